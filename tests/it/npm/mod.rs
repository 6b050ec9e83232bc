//! The npm protocol over real HTTP on loopback, and with the real npm as its client.

mod account;
mod client_account;
mod client_decide;
mod client_install;
mod client_list;
mod client_stage;
mod closed;
mod decide;
mod read;
mod read_through;
mod stage;

use axum::http::StatusCode;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Pack, Served};

/// What npm sends for this tarball under that name.
fn document(name: &str, version: &str, pack: &Pack) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use countersign_core::{Sha1, Sha512};
    let tarball = pack.tgz();
    let mut manifest = Value::Object(pack.manifest());
    manifest["_id"] = json!(format!("{name}@{version}"));
    manifest["gitHead"] = json!("4f2c9e1aa0b1c2d3e4f5061728394a5b6c7d8e9f");
    manifest["dist"] = json!({
        "integrity": Sha512::of(&tarball).to_integrity(), "shasum": Sha1::of(&tarball),
        "tarball": format!("http://anywhere.example/{name}/-/{name}-{version}.tgz"),
    });
    json!({
        "_id": name, "name": name, "access": null, "dist-tags": { "latest": version },
        "versions": { version: manifest },
        "_attachments": { format!("{name}-{version}.tgz"): {
            "content_type": "application/octet-stream", "data": STANDARD.encode(&tarball),
            "length": tarball.len(),
        } },
    })
}

/// The status and the body, which is JSON with a text under `error` wherever it is an error: npm shows nothing else.
async fn told(response: Response) -> (StatusCode, Value) {
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.as_u16() >= 400 {
        assert!(body["error"].is_string(), "{status} without a text under `error`: {text}");
    }
    (status, body)
}

/// Stages a tarball of the tests' package over HTTP with that token; the stage's id.
async fn staged(served: &Served, token: &str, version: &str) -> String {
    staged_as(served, token, crate::support::PACKAGE, version).await
}

/// The same of another package.
async fn staged_as(served: &Served, token: &str, name: &str, version: &str) -> String {
    let document = document(name, version, &Pack::named(name, version));
    let path = format!("/-/stage/package/{}", name.replace('/', "%2f"));
    let request = served.request(Method::POST, &path, Some(token)).json(&document);
    let (status, body) = told(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["stageId"].as_str().unwrap().to_owned()
}

/// Stages, rebuilds to a pass, and approves over HTTP: the version is live.
async fn released_as(served: &Served, name: &str, version: &str) {
    let ci = served.token(&[countersign::store::tokens::Scope::Stage], &[]).await;
    let id = staged_as(served, &ci, name, version).await;
    served.rebuild(None).await;
    let session = served.session().await;
    let code = served.fixture.authenticator("ada").fresh_code();
    let request = served.request(Method::POST, &format!("/-/stage/{id}/approve"), Some(&session));
    let (status, body) = told(request.header("npm-otp", code).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
}
