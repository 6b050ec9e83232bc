//! Staging over HTTP: who may, what is taken, and that what is refused leaves nothing behind.

use axum::http::StatusCode;
use countersign::store::{listing, tokens::Scope, verifications};
use reqwest::Method;
use serde_json::{Value, json};

use super::{document, staged, told};
use crate::support::{PACKAGE, Pack, Served};

const PATH: &str = "/-/stage/package/left-pad";

async fn post(
    served: &Served,
    path: &str,
    token: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let request = served.request(Method::POST, path, token).body(body.into());
    told(request.header("content-type", "application/json").send().await.unwrap()).await
}

async fn stored(served: &Served) -> u64 {
    let mut reader = served.fixture.app.store.read().await.unwrap();
    listing::count(&mut reader, &listing::Filter::default()).await.unwrap()
}

fn said(body: &Value) -> &str {
    body["error"].as_str().unwrap()
}

#[tokio::test]
async fn a_stage_answers_with_its_id_and_one_printable_line_that_leads_to_its_report() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[PACKAGE]).await;
    let body = document(PACKAGE, "1.3.1", &Pack::of("1.3.1"));
    let answer = served.request(Method::POST, PATH, Some(&ci)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let notice = answer.headers()["npm-notice"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    let id = body["stageId"].as_str().unwrap();
    assert_eq!(
        notice,
        format!(
            "left-pad@1.3.1 is staged and will be rebuilt from its tag: {}/stages/{id}",
            served.url
        )
    );
    let verification = served.fixture.verification(id.parse().unwrap()).await;
    assert_eq!(verification.claims[0].commit, "4f2c9e1aa0b1c2d3e4f5061728394a5b6c7d8e9f");
}

#[tokio::test]
async fn every_way_to_write_a_scoped_name_names_one_package() {
    let served = Served::new().await;
    served.enrol("@acme/widget").await;
    let ci = served.token(&[Scope::Stage], &["@acme/widget"]).await;
    let written = ["@acme%2fwidget", "@acme%2Fwidget", "@acme/widget", "%40acme%2fwidget"];
    for (patch, name) in written.into_iter().enumerate() {
        let version = format!("1.0.{patch}");
        let pack = Pack::named("@acme/widget", &version);
        let body = document("@acme/widget", &version, &pack).to_string();
        let (status, body) =
            post(&served, &format!("/-/stage/package/{name}"), Some(&ci), body).await;
        assert_eq!(status, 201, "{name}: {body}");
    }
}

#[tokio::test]
async fn only_a_live_token_that_stages_this_package_may_stage_it() {
    let served = Served::new().await;
    let body = document(PACKAGE, "1.3.1", &Pack::of("1.3.1")).to_string();
    let with = async |token: Option<&str>| post(&served, PATH, token, body.clone()).await;
    assert_eq!(with(None).await.0, 401);
    assert_eq!(with(Some("csn_token_0000")).await.0, 401);
    let (status, refused) = with(Some(&served.token(&[Scope::Read], &[]).await)).await;
    assert_eq!(status, 403, "{refused}");
    assert!(said(&refused).contains("--scope stage --package left-pad"), "{refused}");
    let other = served.token(&[Scope::Stage], &["other"]).await;
    assert_eq!(with(Some(&other)).await.0, 403);
    let expiring = served.token(&[Scope::Stage], &[]).await;
    served.fixture.clock.pass_seconds(3601);
    let (status, refused) = with(Some(&expiring)).await;
    assert_eq!(status, 401);
    assert!(said(&refused).contains("expired"), "{refused}");
    assert_eq!(stored(&served).await, 0);
}

#[tokio::test]
async fn a_name_that_nobody_enrolled_is_refused_with_the_command_that_mends_it() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let body = document("other", "1.0.0", &Pack::named("other", "1.0.0")).to_string();
    let (status, refused) = post(&served, "/-/stage/package/other", Some(&ci), body).await;
    assert_eq!(status, 403);
    let command = "countersign package enrol other --by MAINTAINER --repo URL";
    assert!(said(&refused).contains(command), "{refused}");
    assert_eq!(stored(&served).await, 0);
}

#[tokio::test]
async fn a_version_is_staged_once_and_the_stage_in_the_way_is_named() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let first = staged(&served, &ci, "1.3.1").await;
    let body = document(PACKAGE, "1.3.1", &Pack::of("1.3.1")).to_string();
    let (status, refused) = post(&served, PATH, Some(&ci), body).await;
    assert_eq!(status, 409);
    assert!(said(&refused).contains(&first), "{refused}");
    assert_eq!(stored(&served).await, 1);
}

#[tokio::test]
async fn a_document_that_is_malformed_contradictory_or_too_large_has_its_own_status() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let honest = document(PACKAGE, "1.3.1", &Pack::of("1.3.1"));
    let with = async |body: String| post(&served, PATH, Some(&ci), body).await;
    assert_eq!(with("{".to_owned()).await.0, 400);
    let twice = honest.to_string().replacen("\"access\"", "\"access\":null,\"access\"", 1);
    let (status, refused) = with(twice).await;
    assert_eq!(status, 422, "{refused}");
    let mut other = honest.clone();
    other["versions"]["1.3.1"]["dist"]["shasum"] = json!("00");
    let (status, refused) = with(other.to_string()).await;
    assert_eq!(status, 422);
    assert!(said(&refused).contains("dist.shasum"), "{refused}");
    let (status, refused) = post(&served, "/-/stage/package/@acme%2f", Some(&ci), "{}").await;
    assert_eq!(status, 400, "{refused}");
    let (status, refused) = with(honest.to_string().replace("left-pad", "right-pad")).await;
    assert_eq!(status, 422);
    assert!(said(&refused).contains("`right-pad`"), "{refused}");
    assert_eq!(stored(&served).await, 0);
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_in_words_and_not_by_a_broken_connection() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let chunk = bytes::Bytes::from(vec![b' '; 1024 * 1024]);
    let endless = |megabytes: usize| {
        let chunks = std::iter::repeat_n(chunk.clone(), megabytes).map(Ok::<_, std::io::Error>);
        reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    let (status, refused) = post(&served, PATH, Some(&ci), endless(190)).await;
    assert_eq!(status, 413, "{refused}");
    let (status, _) = post(&served, PATH, None, endless(20)).await;
    assert_eq!(status, 401, "a stranger's body is read away before the refusal");
}

#[tokio::test]
async fn a_stage_shows_npms_own_members_first_and_the_verdict_in_words() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let id = staged(&served, &ci, "1.3.1").await;
    let view = async || {
        let request = served.request(Method::GET, &format!("/-/stage/{id}"), Some(&ci));
        told(request.send().await.unwrap()).await.1
    };
    let before = view().await;
    for (member, expected) in [
        ("id", json!(id)),
        ("packageName", json!(PACKAGE)),
        ("version", json!("1.3.1")),
        ("tag", json!("latest")),
        ("actorType", json!("trusted automation")),
        ("access", json!("public")),
        ("status", json!("validating")),
        ("verdict", json!("queued")),
        ("verdictReason", json!("left-pad 1.3.1 is staged and waits for a worker.")),
        ("sourceCommit", Value::Null),
        ("report", json!(format!("{}/stages/{id}", served.url))),
    ] {
        assert_eq!(before[member], expected, "{member}");
    }
    assert!(before["createdAt"].as_str().unwrap().starts_with("2027-01-15T"), "{before}");
    assert!(before.as_object().unwrap().values().all(|value| !value.is_object()), "{before}");
    served.rebuild(None).await;
    let after = view().await;
    assert_eq!((&after["status"], &after["verdict"]), (&json!("staged"), &json!("pass")));
    assert_eq!(after["sourceCommit"], "4f2c9e1aa0b1c2d3e4f5061728394a5b6c7d8e9f");
    let list = served.request(Method::GET, "/-/stage?page=0&perPage=100", Some(&ci));
    let list = told(list.send().await.unwrap()).await.1;
    assert_eq!(list["total"], 1);
    assert_eq!(list["items"][0]["verdictReason"], after["verdictReason"]);
    assert_eq!(list["items"][0]["sourceCommit"], after["sourceCommit"]);
}

#[tokio::test]
async fn what_an_asker_may_not_see_does_not_exist() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let id = staged(&served, &ci, "1.3.1").await;
    served.fixture.add_maintainer("eve").await;
    let eve = served.fixture.session_secret("eve").await;
    let others = served.token(&[Scope::Stage], &["other"]).await;
    let worker = served.token(&[Scope::Worker], &[]).await;
    for token in [eve.expose(), &others, &worker] {
        for path in [format!("/-/stage/{id}"), format!("/-/stage/{id}/tarball")] {
            let request = served.request(Method::GET, &path, Some(token));
            assert_eq!(told(request.send().await.unwrap()).await.0, 404, "{path}");
        }
        let list = served.request(Method::GET, "/-/stage?page=0&perPage=100", Some(token));
        let list = told(list.send().await.unwrap()).await.1;
        assert_eq!((&list["total"], &list["items"]), (&json!(0), &json!([])));
    }
    let stranger = served.request(Method::GET, &format!("/-/stage/{id}"), None);
    assert_eq!(told(stranger.send().await.unwrap()).await.0, 401);
    for path in ["/-/stage/nonsense", "/-/stage/00000000-0000-0000-0000-000000000000"] {
        let request = served.request(Method::GET, path, Some(&ci));
        assert_eq!(told(request.send().await.unwrap()).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_page_is_refused_and_never_silently_shorter_than_what_was_asked_for() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    for query in ["perPage=101", "perPage=0", "page=-1", "package=%40acme", "perPage=x"] {
        let request = served.request(Method::GET, &format!("/-/stage?{query}"), Some(&ci));
        assert_eq!(told(request.send().await.unwrap()).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn a_downloaded_stage_has_the_staged_bytes_and_says_their_digest() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let id = staged(&served, &ci, "1.3.1").await;
    let request = served.request(Method::GET, &format!("/-/stage/{id}/tarball"), Some(&ci));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    let digest = answer.headers()["repr-digest"].to_str().unwrap().to_owned();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(bytes, Pack::of("1.3.1").tgz());
    let integrity = countersign_core::Sha512::of(&bytes).to_integrity();
    assert_eq!(digest, format!("sha-512=:{}:", integrity.strip_prefix("sha512-").unwrap()));
}

#[tokio::test]
async fn whether_a_package_carries_a_lockfile_is_said_from_its_bytes_and_not_from_what_was_sent() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    for (version, carries) in [("1.0.0", true), ("1.0.1", false)] {
        let pack = Pack::of(version);
        let pack = if carries { pack.with("npm-shrinkwrap.json", "{}") } else { pack };
        let mut body = document(PACKAGE, version, &pack);
        body["versions"][version]["_hasShrinkwrap"] = json!(!carries);
        let (status, body) = post(&served, PATH, Some(&ci), body.to_string()).await;
        assert_eq!(status, 201, "{body}");
        let id = body["stageId"].as_str().unwrap().parse().unwrap();
        let mut reader = served.fixture.app.store.read().await.unwrap();
        let kept = verifications::manifest(&mut reader, id).await.unwrap().unwrap();
        assert_eq!(kept["_hasShrinkwrap"], json!(carries), "{version}");
    }
}
