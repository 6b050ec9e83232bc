//! The ways round an approval are closed over HTTP, for every asker, each with what to run instead.

use axum::http::StatusCode;
use countersign::store::{published, tokens::Scope};
use reqwest::Method;

use super::{document, released_as, told};
use crate::support::{PACKAGE, Pack, Served};

#[tokio::test]
async fn every_write_past_a_stage_is_refused_and_says_what_to_run() {
    let served = Served::new().await;
    released_as(&served, PACKAGE, "1.0.0").await;
    let token = served.token(&[Scope::Stage, Scope::Admin], &[]).await;
    let session = served.session().await;
    let cases = [
        (Method::PUT, "/left-pad", "publish", "npm stage publish"),
        (Method::PUT, "/left-pad", "deprecate", "cannot be deprecated here"),
        (Method::PUT, "/left-pad", "", "npm stage publish"),
        (Method::PUT, "/@acme%2fwidget", "publish", "`@acme/widget` is published here only"),
        (Method::PUT, "/left-pad/-rev/1-a", "unpublish", "not taken back"),
        (Method::DELETE, "/left-pad/-rev/1-a", "unpublish", "not taken back"),
        (Method::DELETE, "/left-pad/-/left-pad-1.0.0.tgz/-rev/1-a", "unpublish", "not taken back"),
        (Method::PUT, "/left-pad/-rev/1-a", "owner", "countersign package enrol left-pad"),
        (Method::PUT, "/left-pad", "star", "stars are not kept"),
        (Method::PUT, "/-/package/left-pad/dist-tags/latest", "dist-tag", "--tag TAG"),
        (Method::DELETE, "/-/package/@acme%2fwidget/dist-tags/x", "dist-tag", "@acme/widget"),
        (Method::PUT, "/-/package/@acme/widget/dist-tags/x", "dist-tag", "@acme/widget"),
        (Method::POST, "/-/package/left-pad/access", "access", "--access public"),
        (Method::PUT, "/-/package/left-pad/collaborators", "access", "--by MAINTAINER"),
        (Method::POST, "/-/package/left-pad/trust", "trust", "--by MAINTAINER"),
        (Method::PUT, "/-/team/acme/devs/user", "team", "countersign maintainer add"),
        (Method::POST, "/-/npm/v1/tokens", "token", "countersign token create"),
        (Method::POST, "/-/npm/v1/user", "profile", "by an operator"),
    ];
    for (method, path, command, expected) in cases {
        for asker in [None, Some(token.as_str()), Some(session.as_str())] {
            let request = served.request(method.clone(), path, asker);
            let request = request.header("npm-command", command).body("\"1.0.0\"");
            let (status, body) = told(request.send().await.unwrap()).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
            assert!(body["error"].as_str().unwrap().contains(expected), "{path}: {body}");
        }
    }
    let mut reader = served.fixture.app.store.read().await.unwrap();
    let live = published::of(&mut reader, &PACKAGE.parse().unwrap()).await.unwrap();
    assert_eq!(live.len(), 1);
}

#[tokio::test]
async fn a_large_direct_publish_is_refused_in_words_and_not_by_a_broken_connection() {
    let served = Served::new().await;
    let token = served.token(&[Scope::Stage], &[]).await;
    let noise: String =
        (0..400_000u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let body = document(PACKAGE, "1.0.0", &Pack::of("1.0.0").with("noise.js", &noise)).to_string();
    assert!(body.len() > 1024 * 1024, "larger than any socket's buffer: {}", body.len());
    let request = served.request(Method::PUT, "/left-pad", Some(&token)).body(body);
    let (status, body) = told(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body["error"].as_str().unwrap().contains("npm stage publish"));
}

#[tokio::test]
async fn what_this_registry_does_not_answer_is_said_as_json() {
    let served = Served::new().await;
    for (method, path, expected) in [
        (Method::GET, "/-/v1/search?text=x", 404),
        (Method::POST, "/-/npm/v1/security/advisories/bulk", 404),
        (Method::GET, "/-/nonsense", 404),
        (Method::GET, "/@acme", 404),
        (Method::GET, "/%zz", 404),
        (Method::PATCH, "/-/ping", 405),
        (Method::GET, "/-/stage/package/left-pad", 405),
    ] {
        let answer = served.request(method, path, None).send().await.unwrap();
        assert_eq!(told(answer).await.0.as_u16(), expected, "{path}");
    }
}
