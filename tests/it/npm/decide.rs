//! Approving and rejecting over HTTP: every refusal with its status, always JSON, and no success before the version is live.

use axum::http::StatusCode;
use countersign::store::{published, tokens::Scope};
use reqwest::{Method, Response};

use super::{staged, told};
use crate::support::{PACKAGE, Pack, Served};

struct Stage {
    served: Served,
    ci: String,
    ada: String,
    id: String,
}

impl Stage {
    /// Staged, and not judged yet.
    async fn new() -> Self {
        let served = Served::new().await;
        let ci = served.token(&[Scope::Stage, Scope::Admin], &[]).await;
        let id = staged(&served, &ci, "1.3.1").await;
        let ada = served.session().await;
        Self { served, ci, ada, id }
    }

    /// Judged, with a pass.
    async fn passed() -> Self {
        let stage = Self::new().await;
        stage.served.rebuild(None).await;
        stage
    }

    fn code(&self) -> String {
        self.served.fixture.authenticator("ada").fresh_code()
    }

    async fn send(&self, method: Method, path: &str, token: &str, code: Option<&str>) -> Response {
        let request = self.served.request(method, path, Some(token));
        let request = match code {
            Some(code) => request.header("npm-otp", code),
            None => request,
        };
        request.send().await.unwrap()
    }

    async fn approve(&self, token: &str, code: Option<&str>) -> Response {
        self.send(Method::POST, &format!("/-/stage/{}/approve", self.id), token, code).await
    }

    async fn reject(&self, token: &str, code: Option<&str>) -> Response {
        self.send(Method::DELETE, &format!("/-/stage/{}", self.id), token, code).await
    }

    async fn is_live(&self) -> bool {
        let mut reader = self.served.fixture.app.store.read().await.unwrap();
        let (name, version) = (PACKAGE.parse().unwrap(), "1.3.1".parse().unwrap());
        published::find(&mut reader, &name, &version).await.unwrap().is_some()
    }
}

/// The answer's notice: one printable line that leads to the report.
fn notice(answer: &Response, stage: &Stage) -> String {
    let line = answer.headers()["npm-notice"].to_str().unwrap().to_owned();
    assert!(line.ends_with(&format!("{}/stages/{}", stage.served.url, stage.id)), "{line}");
    line
}

#[tokio::test]
async fn a_pass_a_session_and_a_code_answer_when_the_version_is_live() {
    let stage = Stage::passed().await;
    let answer = stage.approve(&stage.ada, Some(&stage.code())).await;
    assert!(notice(&answer, &stage).starts_with("left-pad@1.3.1 is released: "));
    let (status, body) = told(answer).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(body.is_object(), "npm 11 takes an empty answer for a failure");
    assert!(stage.is_live().await);
    let again = stage.approve(&stage.ada, Some(&stage.code())).await;
    let (status, body) = told(again).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(body["error"], "left-pad@1.3.1 is released already");
}

#[tokio::test]
async fn without_a_code_npm_is_told_to_ask_for_one() {
    let stage = Stage::passed().await;
    let answer = stage.approve(&stage.ada, None).await;
    assert_eq!(answer.headers()["www-authenticate"], "OTP");
    let (status, body) = told(answer).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body["error"].as_str().unwrap().contains("one-time pass"), "{body}");
    assert!(!stage.is_live().await);
}

#[tokio::test]
async fn a_wrong_code_is_asked_for_again_a_used_one_is_told_and_guessing_ends() {
    let stage = Stage::passed().await;
    let right = stage.code();
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let answer = stage.approve(&stage.ada, Some(wrong)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["www-authenticate"]),
        (401, &"OTP".parse().unwrap())
    );
    for _ in 1..countersign_core::limits::GUESSES_MAX {
        assert_eq!(stage.approve(&stage.ada, Some(wrong)).await.status().as_u16(), 401);
    }
    let answer = stage.approve(&stage.ada, Some(&right)).await;
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(told(answer).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert!(!stage.is_live().await);
    let window = i64::try_from(countersign_core::limits::GUESS_WINDOW_SECONDS).unwrap();
    stage.served.fixture.clock.pass_seconds(window + 60);
    let code = stage.code();
    let rejected = stage.reject(&stage.ada, Some(&code)).await;
    assert_eq!(rejected.status().as_u16(), 204);
    let second = staged(&stage.served, &stage.ci, "1.3.2").await;
    let path = format!("/-/stage/{second}");
    let (status, body) =
        told(stage.send(Method::DELETE, &path, &stage.ada, Some(&code)).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(
        body["error"].as_str().unwrap().starts_with("this code was used; wait for the next, "),
        "{body}"
    );
}

#[tokio::test]
async fn a_token_of_every_scope_approves_and_rejects_nothing_and_no_code_is_looked_at() {
    let stage = Stage::passed().await;
    let scopes = [Scope::Verify, Scope::Read, Scope::Stage, Scope::Worker, Scope::Admin];
    let token = stage.served.token(&scopes, &[]).await;
    let code = stage.code();
    for answer in
        [stage.approve(&token, Some(&code)).await, stage.reject(&token, Some(&code)).await]
    {
        let (status, body) = told(answer).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(body["error"].as_str().unwrap().contains("npm login"), "{body}");
    }
    assert_eq!(stage.approve(&stage.ada, Some(&code)).await.status().as_u16(), 201);
}

#[tokio::test]
async fn a_fail_is_refused_with_its_sentence_and_spends_no_code() {
    let stage = Stage::new().await;
    let rebuilt = Pack::of("1.3.1").with("index.js", "another()\n").tgz();
    stage.served.rebuild(Some(rebuilt)).await;
    let code = stage.code();
    let answer = stage.approve(&stage.ada, Some(&code)).await;
    assert!(
        notice(&answer, &stage)
            .starts_with("left-pad 1.3.1 does not match its source: 1 file was changed.")
    );
    let (status, body) = told(answer).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["error"], "left-pad 1.3.1 does not match its source: 1 file was changed.");
    assert!(!stage.is_live().await);
    assert_eq!(
        stage.reject(&stage.ada, Some(&code)).await.status().as_u16(),
        204,
        "the code is unspent"
    );
}

#[tokio::test]
async fn without_a_verdict_it_is_locked_and_an_unknown_stage_does_not_exist() {
    let stage = Stage::new().await;
    let code = stage.code();
    let (status, body) = told(stage.approve(&stage.ada, Some(&code)).await).await;
    assert_eq!(status, StatusCode::LOCKED);
    assert_eq!(body["error"], "left-pad@1.3.1 has no verdict yet: it is queued");
    for id in ["00000000-0000-0000-0000-000000000000", "nonsense"] {
        for (method, path) in [
            (Method::POST, format!("/-/stage/{id}/approve")),
            (Method::DELETE, format!("/-/stage/{id}")),
        ] {
            let answer = stage.send(method, &path, &stage.ada, Some(&code)).await;
            assert!(!answer.headers().contains_key("npm-notice"));
            assert_eq!(told(answer).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }
    stage.served.fixture.add_maintainer("eve").await;
    let eve = stage.served.fixture.session_secret("eve").await;
    let answer = stage.approve(eve.expose(), Some(&code)).await;
    assert!(!answer.headers().contains_key("npm-notice"), "the verdict is not hers to know");
    assert_eq!(told(answer).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_rejected_stage_frees_its_version_and_is_not_approved_any_more() {
    let stage = Stage::passed().await;
    assert_eq!(stage.reject(&stage.ada, Some(&stage.code())).await.status().as_u16(), 204);
    let (status, body) = told(stage.approve(&stage.ada, Some(&stage.code())).await).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    staged(&stage.served, &stage.ci, "1.3.1").await;
    assert!(!stage.is_live().await);
}

#[tokio::test]
async fn two_who_approve_at_once_get_one_release_and_one_answer_each() {
    let served = Served::new().await;
    let grace = served.fixture.add_maintainer("grace").await;
    served.fixture.enrol("grace", &grace, |_| {}).await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let id = staged(&served, &ci, "1.3.1").await;
    served.rebuild(None).await;
    let ada = served.session().await;
    let stage = Stage { served, ci, ada, id };
    let grace = stage.served.fixture.session_secret("grace").await;
    stage.served.fixture.clock.pass_seconds(30);
    let codes = ["ada", "grace"].map(|name| stage.served.fixture.authenticator(name).code());
    let (one, two) = tokio::join!(
        stage.approve(&stage.ada, Some(&codes[0])),
        stage.approve(grace.expose(), Some(&codes[1])),
    );
    let statuses = [one.status().as_u16(), two.status().as_u16()];
    assert!(statuses.contains(&201), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
    assert!(stage.is_live().await);
}
