//! The gate over the store: who asks, may they see it, the verdict, and the code last; each refusal with its status.

use axum::http::StatusCode;
use countersign::{
    approval::{self, ApprovalRefused},
    error::Error,
    queue,
    store::{published, tokens::Scope},
};
use countersign_core::{
    Timestamp,
    enrolment::Mode,
    gate::Shown,
    limits::GUESSES_MAX,
    protocol::{VerdictId, VerificationId},
};
use uuid::Uuid;

use crate::support::{Fixture, PACKAGE, Pack, honest};

/// Stages this tarball and lets a worker rebuild `index.js` as it stands in the source.
async fn judged(fixture: &Fixture, version: &str, staged: &Pack) -> VerificationId {
    let id = fixture.stage(version, staged).await;
    judge(fixture, version).await;
    id
}

async fn judge(fixture: &Fixture, version: &str) {
    let token = fixture.token_secret(&[Scope::Worker], &[]).await.1;
    let app = &fixture.app;
    let lease = queue::lease(app, token, "worker").await.unwrap().unwrap();
    let staged = queue::staged_tarball(app, token, &lease.id).await.unwrap();
    let rebuilt = Pack::of(version).tgz();
    queue::upload_rebuilt(app, token, &lease.id, rebuilt.clone()).await.unwrap();
    let report = honest(&lease.job, &staged, &rebuilt);
    queue::report(app, token, &lease.id, report).await.unwrap();
}

fn tampered(version: &str) -> Pack {
    Pack::of(version).with("index.js", "steal()\n")
}

async fn is_live(fixture: &Fixture, version: &str) -> bool {
    let mut reader = fixture.app.store.read().await.unwrap();
    let (name, version) = (PACKAGE.parse().unwrap(), version.parse().unwrap());
    published::find(&mut reader, &name, &version).await.unwrap().is_some()
}

/// The status and the text that npm shows.
fn answer(refused: ApprovalRefused) -> (u16, String) {
    let text = refused.to_string();
    (Error::from(refused).status().as_u16(), text)
}

async fn approve(
    fixture: &Fixture,
    who: &countersign::asker::Asker,
    id: VerificationId,
    code: Option<&str>,
) -> Result<(), (u16, String)> {
    approval::approve(&fixture.app, who, id, code, None).await.map(drop).map_err(answer)
}

#[tokio::test]
async fn a_pass_a_maintainer_and_a_code_make_the_version_live() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let released = approval::approve(&fixture.app, &ada, id, Some(&code), None).await.unwrap();
    assert_eq!((released.spec.as_str(), released.unverified), ("left-pad@1.3.1", false));
    let mut reader = fixture.app.store.read().await.unwrap();
    let name = PACKAGE.parse().unwrap();
    let tags = published::dist_tags(&mut reader, &name).await.unwrap();
    assert_eq!(tags["latest"].as_str(), "1.3.1");
    assert_eq!(fixture.events(id).await[4..], ["approved", "released"]);
}

#[tokio::test]
async fn a_token_of_no_scope_can_approve_and_its_code_is_not_looked_at() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let code = fixture.authenticator("ada").fresh_code();
    for scope in Scope::ALL {
        let token = fixture.token(&[scope, Scope::Read], &[]).await;
        let (status, _) = approve(&fixture, &token, id, Some(&code)).await.unwrap_err();
        assert_eq!(status, 403, "{scope:?}");
    }
    let ada = fixture.session("ada").await;
    approve(&fixture, &ada, id, Some(&code)).await.expect("the code was not spent");
}

#[tokio::test]
async fn what_is_unknown_and_what_may_not_be_seen_have_one_answer() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    fixture.add_maintainer("eve").await;
    let eve = fixture.session("eve").await;
    let narrow = fixture.token(&[Scope::Read], &["other"]).await;
    let worker = fixture.token(&[Scope::Worker], &[]).await;
    let ada = fixture.session("ada").await;
    let unknown = VerificationId(Uuid::from_u128(1));
    for (who, id) in [(&eve, id), (&narrow, id), (&worker, id), (&ada, unknown)] {
        let (status, text) = approve(&fixture, who, id, Some("000000")).await.unwrap_err();
        assert_eq!((status, text), (404, format!("there is no stage {id}")));
    }
}

#[tokio::test]
async fn without_a_code_it_is_401_and_npm_is_told_to_ask_for_one() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let refused = approval::approve(&fixture.app, &ada, id, None, None).await.unwrap_err();
    assert!(refused.to_string().contains("one-time pass"));
    match Error::from(refused) {
        Error::Refused(problem) => {
            assert_eq!(problem.status, StatusCode::UNAUTHORIZED);
            assert_eq!(problem.authenticate, Some("OTP"));
        }
        Error::Internal(error) => panic!("{error:#}"),
    }
    assert!(!is_live(&fixture, "1.3.1").await);
}

#[tokio::test]
async fn a_fail_refuses_a_right_code_and_does_not_spend_it() {
    let fixture = Fixture::enrolled().await;
    let bad = judged(&fixture, "1.3.1", &tampered("1.3.1")).await;
    let good = judged(&fixture, "1.3.2", &Pack::of("1.3.2")).await;
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let (status, text) = approve(&fixture, &ada, bad, Some(&code)).await.unwrap_err();
    assert_eq!((status, text.contains("does not match its source")), (403, true), "{text}");
    assert!(!is_live(&fixture, "1.3.1").await);
    approve(&fixture, &ada, good, Some(&code)).await.expect("the code was not spent");
}

#[tokio::test]
async fn without_a_verdict_it_is_423() {
    let fixture = Fixture::enrolled().await;
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let (status, text) = approve(&fixture, &ada, id, Some(&code)).await.unwrap_err();
    assert_eq!((status, text.contains("no verdict yet")), (423, true));
    judge(&fixture, "1.3.1").await;
    approve(&fixture, &ada, id, Some(&code)).await.expect("the code was not spent");
}

#[tokio::test]
async fn a_wrong_and_a_used_code_are_refused_and_too_many_are_429() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let used = fixture.authenticator("ada").code();
    let (status, text) = approve(&fixture, &ada, id, Some(&used)).await.unwrap_err();
    assert_eq!((status, text.contains("this code was used")), (401, true), "{text}");
    for _ in 0..GUESSES_MAX {
        let (status, _) = approve(&fixture, &ada, id, Some("not a code")).await.unwrap_err();
        assert_eq!(status, 401);
    }
    let code = fixture.authenticator("ada").fresh_code();
    let (status, _) = approve(&fixture, &ada, id, Some(&code)).await.unwrap_err();
    assert_eq!(status, 429);
    assert!(!is_live(&fixture, "1.3.1").await);
}

#[tokio::test]
async fn an_enrolment_that_changed_since_the_verdict_closes_the_gate() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let authenticator = fixture.authenticator("ada");
    fixture.enrol("ada", &authenticator, |_| {}).await;
    let ada = fixture.session("ada").await;
    let code = authenticator.fresh_code();
    let (status, text) = approve(&fixture, &ada, id, Some(&code)).await.unwrap_err();
    assert_eq!((status, text.contains("enrolment changed")), (409, true));
}

#[tokio::test]
async fn stored_bytes_that_somebody_changed_are_not_released() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let name = fixture.verification(id).await.subject.sha512.to_hex();
    let path = fixture.folder().join("blobs/sha512").join(&name[..2]).join(&name);
    std::fs::write(path, tampered("1.3.1").tgz()).unwrap();
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let (status, text) = approve(&fixture, &ada, id, Some(&code)).await.unwrap_err();
    assert_eq!((status, text.contains("not those that were staged")), (409, true));
    assert!(!is_live(&fixture, "1.3.1").await);
}

#[tokio::test]
async fn what_was_shown_has_to_be_what_stands() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let verdict = fixture.verification(id).await.verdict.unwrap();
    let now = fixture.app.now();
    let ask = async |verdict: VerdictId, at: Timestamp| {
        let shown = Shown { verdict, at };
        let asked = approval::approve(&fixture.app, &ada, id, Some(&code), Some(&shown)).await;
        asked.map(drop).map_err(|refused| answer(refused).0)
    };
    assert_eq!(ask(VerdictId(Uuid::from_u128(7)), now).await, Err(409));
    assert_eq!(ask(verdict, now.plus_seconds(-301)).await, Err(409));
    assert_eq!(ask(verdict, now).await, Ok(()));
}

#[tokio::test]
async fn a_stage_is_decided_once() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &Pack::of("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let authenticator = fixture.authenticator("ada");
    let code = authenticator.fresh_code();
    approve(&fixture, &ada, id, Some(&code)).await.unwrap();
    let code = authenticator.fresh_code();
    let (status, _) = approve(&fixture, &ada, id, Some(&code)).await.unwrap_err();
    assert_eq!(status, 409);
    let refused = approval::reject(&fixture.app, &ada, id, Some(&code), None).await;
    assert_eq!(answer(refused.unwrap_err()).0, 409);
    assert!(fixture.try_stage("1.3.1", &Pack::of("1.3.1")).await.is_err(), "the version is taken");
}

#[tokio::test]
async fn a_rejected_stage_frees_its_version_and_takes_a_code_too() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.3.1", &tampered("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let app = &fixture.app;
    let token = fixture.token(&[Scope::Stage], &[]).await;
    let code = fixture.authenticator("ada").fresh_code();
    for (who, code, status) in [(&token, Some(code.as_str()), 403), (&ada, None, 401)] {
        let refused = approval::reject(app, who, id, code, None).await.unwrap_err();
        assert_eq!(answer(refused).0, status);
    }
    assert!(fixture.try_stage("1.3.1", &Pack::of("1.3.1")).await.is_err());
    approval::reject(app, &ada, id, Some(&code), Some("not ours")).await.unwrap();
    let next = fixture.report(id).await.next;
    assert_eq!((next.who.as_str(), next.what.as_str()), ("nobody", "Nothing: ada rejected it."));
    fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
}

#[tokio::test]
async fn observe_releases_a_fail_with_a_code_and_says_so_everywhere() {
    let fixture = Fixture::enrolled().await;
    let authenticator = fixture.authenticator("ada");
    fixture.enrol("ada", &authenticator, |proposal| proposal.mode = Mode::Observe).await;
    let id = judged(&fixture, "1.3.1", &tampered("1.3.1")).await;
    let ada = fixture.session("ada").await;
    let (status, _) = approve(&fixture, &ada, id, None).await.unwrap_err();
    assert_eq!(status, 401);
    let code = authenticator.fresh_code();
    let released = approval::approve(&fixture.app, &ada, id, Some(&code), None).await.unwrap();
    assert!(released.unverified);
    assert!(fixture.report(id).await.next.what.contains("released it unverified"));
}
