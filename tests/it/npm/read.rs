//! What is released here, as `npm install` reads it.

use axum::http::StatusCode;
use countersign::store::tokens::Scope;
use countersign_core::Sha512;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{document, released_as, staged, told};
use crate::support::{PACKAGE, Pack, Served};

const INSTALL: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

fn get(served: &Served, path: &str) -> RequestBuilder {
    served.request(Method::GET, path, None)
}

#[tokio::test]
async fn a_release_is_read_whole_abbreviated_by_version_and_as_its_bytes() {
    let served = Served::new().await;
    released_as(&served, PACKAGE, "1.0.0").await;
    released_as(&served, PACKAGE, "1.1.0").await;
    let whole = get(&served, "/left-pad").header("accept", "application/json");
    let (status, whole) = told(whole.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(whole["dist-tags"], json!({ "latest": "1.1.0" }));
    let answer = get(&served, "/left-pad").header("accept", INSTALL).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/vnd.npm.install-v1+json");
    let short: Value = answer.json().await.unwrap();
    assert_eq!(short["versions"]["1.0.0"]["dist"], whole["versions"]["1.0.0"]["dist"]);
    assert_eq!(short.get("readme"), None);
    for wanted in ["1.1.0", "latest"] {
        let (_, one) =
            told(get(&served, &format!("/left-pad/{wanted}")).send().await.unwrap()).await;
        assert_eq!(one, whole["versions"]["1.1.0"]);
    }
    let tarball = whole["versions"]["1.0.0"]["dist"]["tarball"].as_str().unwrap();
    assert_eq!(tarball, format!("{}/left-pad/-/left-pad-1.0.0.tgz", served.url));
    let answer = get(&served, "/left-pad/-/left-pad-1.0.0.tgz").send().await.unwrap();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(bytes, Pack::of("1.0.0").tgz());
    let integrity = Sha512::of(&bytes).to_integrity();
    assert_eq!(whole["versions"]["1.0.0"]["dist"]["integrity"], integrity);
    for missing in ["/left-pad/2.0.0", "/left-pad/-/left-pad-2.0.0.tgz", "/left-pad/-/x.tgz"] {
        assert_eq!(told(get(&served, missing).send().await.unwrap()).await.0, 404, "{missing}");
    }
}

#[tokio::test]
async fn whoever_has_the_document_already_is_told_so() {
    let served = Served::new().await;
    released_as(&served, PACKAGE, "1.0.0").await;
    let first = get(&served, "/left-pad").header("accept", INSTALL).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(first.headers()["vary"], "accept, authorization");
    let again = async |tag: &str, accept: &str| {
        let request = get(&served, "/left-pad").header("accept", accept);
        request.header("if-none-match", tag).send().await.unwrap().status().as_u16()
    };
    assert_eq!(again(&tag, INSTALL).await, 304);
    assert_eq!(again(&format!("\"x\", W/{tag}"), INSTALL).await, 304);
    assert_eq!(again(&tag, "application/json").await, 200, "the other form is another document");
    released_as(&served, PACKAGE, "1.1.0").await;
    assert_eq!(again(&tag, INSTALL).await, 200);
}

#[tokio::test]
async fn a_scoped_release_is_read_by_every_spelling_and_from_every_place_that_clients_look() {
    let served = Served::new().await;
    served.enrol("@acme/widget").await;
    released_as(&served, "@acme/widget", "1.0.0").await;
    for name in ["@acme%2fwidget", "@acme%2Fwidget", "@acme/widget"] {
        let (status, body) = told(get(&served, &format!("/{name}")).send().await.unwrap()).await;
        assert_eq!((status, &body["name"]), (StatusCode::OK, &json!("@acme/widget")), "{name}");
        for file in ["widget-1.0.0.tgz", "@acme/widget-1.0.0.tgz", "@acme%2fwidget-1.0.0.tgz"] {
            let answer = get(&served, &format!("/{name}/-/{file}")).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{name} {file}");
        }
    }
}

#[tokio::test]
async fn a_registry_behind_a_path_of_its_own_says_and_takes_that_path() {
    let served = Served::with(&[("COUNTERSIGN_PUBLIC_URL", "http://localhost/team/npm/")]).await;
    released_as(&served, PACKAGE, "1.0.0").await;
    let there = format!("http://{}", served.fixture.app.config.listen);
    for path in ["/left-pad", "/team/npm/left-pad"] {
        let request = reqwest::Client::new().get(format!("{there}{path}"));
        let (status, body) = told(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let tarball = "http://localhost/team/npm/left-pad/-/left-pad-1.0.0.tgz";
        assert_eq!(body["versions"]["1.0.0"]["dist"]["tarball"], tarball);
    }
}

#[tokio::test]
async fn a_restricted_release_exists_only_for_those_who_may_see_its_package() {
    let served = Served::new().await;
    served.enrol("@acme/widget").await;
    let ci = served.token(&[Scope::Stage], &["@acme/widget"]).await;
    let mut body = document("@acme/widget", "1.0.0", &Pack::named("@acme/widget", "1.0.0"));
    body["access"] = json!("restricted");
    let request = served.request(Method::POST, "/-/stage/package/@acme%2fwidget", Some(&ci));
    let (_, body) = told(request.json(&body).send().await.unwrap()).await;
    served.rebuild(None).await;
    let session = served.session().await;
    let code = served.fixture.authenticator("ada").fresh_code();
    let path = format!("/-/stage/{}/approve", body["stageId"].as_str().unwrap());
    let request = served.request(Method::POST, &path, Some(&session)).header("npm-otp", code);
    assert_eq!(told(request.send().await.unwrap()).await.0, StatusCode::CREATED);
    let others = served.token(&[Scope::Read], &["other"]).await;
    let reader = served.token(&[Scope::Read], &["@acme/widget"]).await;
    for path in ["/@acme%2fwidget", "/@acme/widget/-/widget-1.0.0.tgz", "/@acme%2fwidget/1.0.0"] {
        for (asker, expected) in
            [(None, 404), (Some(&others), 404), (Some(&reader), 200), (Some(&session), 200)]
        {
            let request = served.request(Method::GET, path, asker.map(String::as_str));
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(status, expected, "{path} {asker:?}");
        }
    }
    let visibility = "/-/package/@acme%2fwidget/visibility";
    let request = served.request(Method::GET, visibility, Some(&reader));
    assert_eq!(told(request.send().await.unwrap()).await.1, json!({ "public": false }));
}

#[tokio::test]
async fn the_way_of_a_version_is_told_from_staged_to_published() {
    let served = Served::new().await;
    let ci = served.token(&[Scope::Stage], &[]).await;
    let path = "/-/package/left-pad/version/1.3.1/status";
    let status = async |token: Option<&str>| {
        let (code, body) =
            told(served.request(Method::GET, path, token).send().await.unwrap()).await;
        (code.as_u16(), body["status"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(status(Some(&ci)).await.0, 404);
    staged(&served, &ci, "1.3.1").await;
    assert_eq!(status(Some(&ci)).await, (200, "validating".to_owned()));
    assert_eq!(status(None).await.0, 404, "a stranger does not learn what is staged");
    served.rebuild(Some(Pack::of("1.3.1").with("index.js", "x\n").tgz())).await;
    assert_eq!(status(Some(&ci)).await, (200, "blocked".to_owned()));
    released_as(&served, PACKAGE, "1.3.2").await;
    let path = "/-/package/left-pad/version/1.3.2/status";
    let published = served.request(Method::GET, path, None).send().await.unwrap();
    assert_eq!(told(published).await.1["status"], "published");
    let tags = served.request(Method::GET, "/-/package/left-pad/dist-tags", None);
    assert_eq!(told(tags.send().await.unwrap()).await.1, json!({ "latest": "1.3.2" }));
}
