//! Reading through to another registry: its bytes untouched, nothing of ours or the client's told to it, and no name of ours
//! ever asked for there.

use axum::http::StatusCode;
use countersign::store::tokens::Scope;
use reqwest::Method;

use super::told;
use crate::support::{ELSEWHERE_ETAG, Elsewhere, PACKAGE, Served};

/// A packument in a spelling that no printer of ours would choose.
const PACKUMENT: &str = "{ \"name\" : \"other\",\n\t\"versions\":{}, \"x\":1.0e0 }";

async fn reading_from(elsewhere: &Elsewhere) -> Served {
    Served::with(&[
        ("COUNTERSIGN_REGISTRY__URL", &elsewhere.url),
        ("COUNTERSIGN_REGISTRY__TOKEN", "upstream-secret"),
        ("COUNTERSIGN_CLAIMED_SCOPES", "[\"@claimed\"]"),
    ])
    .await
}

#[tokio::test]
async fn a_packument_a_manifest_and_a_tarball_come_through_with_their_bytes_untouched() {
    let elsewhere = Elsewhere::new().await;
    let kind = "application/vnd.npm.install-v1+json";
    let noise: Vec<u8> =
        (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    elsewhere.gives("/other", kind, PACKUMENT);
    elsewhere.gives("/other/latest", "application/json", "{\"v\" : 1}");
    elsewhere.gives("/@a%2fother", kind, PACKUMENT);
    elsewhere.gives("/other/-/other-1.0.0.tgz", "application/octet-stream", noise.clone());
    elsewhere.gives("/@a/other/-/other-1.0.0.tgz", "application/octet-stream", noise.clone());
    let served = reading_from(&elsewhere).await;
    for (path, bytes) in [
        ("/other", PACKUMENT.as_bytes()),
        ("/other/latest", b"{\"v\" : 1}"),
        ("/@a%2Fother", PACKUMENT.as_bytes()),
        ("/@a/other", PACKUMENT.as_bytes()),
        ("/other/-/other-1.0.0.tgz", &noise),
        ("/@a%2fother/-/other-1.0.0.tgz", &noise),
    ] {
        let answer = served.request(Method::GET, path, None).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["etag"], ELSEWHERE_ETAG);
        assert!(!answer.headers().contains_key("set-cookie"));
        assert!(answer.bytes().await.unwrap() == bytes, "{path}");
    }
    let again = served.request(Method::GET, "/other", None).header("if-none-match", ELSEWHERE_ETAG);
    assert_eq!(again.send().await.unwrap().status(), 304);
}

#[tokio::test]
async fn nothing_that_a_client_shows_us_is_shown_elsewhere_and_our_credential_only_for_those_we_know()
 {
    let elsewhere = Elsewhere::new().await;
    elsewhere.gives("/other", "application/json", PACKUMENT);
    let served = reading_from(&elsewhere).await;
    let token = served.token(&[Scope::Read], &[]).await;
    let asked_with = async |token: Option<&str>| {
        let request = served.request(Method::GET, "/other?write=true", token);
        let request = request.header("npm-otp", "123456").header("npm-session", "s3ss10n");
        let request = request.header("cookie", "a=b").header("npm-command", "install");
        assert_eq!(request.send().await.unwrap().status(), 200);
        elsewhere.asked().pop().unwrap().headers
    };
    let known = asked_with(Some(&token)).await;
    assert_eq!(known["authorization"], "Bearer upstream-secret");
    for token in [None, Some("csn_token_unknown")] {
        assert!(!asked_with(token).await.contains_key("authorization"), "{token:?}");
    }
    for asked in elsewhere.asked() {
        let all = format!("{:?}", asked.headers);
        for secret in [token.as_str(), "123456", "s3ss10n", "a=b", "npm-command"] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_ours_alone_is_never_asked_for_elsewhere() {
    let elsewhere = Elsewhere::new().await;
    for name in [PACKAGE, "@claimed%2fx"] {
        elsewhere.gives(&format!("/{name}"), "application/json", PACKUMENT);
    }
    elsewhere.gives("/left-pad/-/left-pad-9.9.9.tgz", "application/octet-stream", "evil");
    let served = reading_from(&elsewhere).await;
    let token = served.token(&[Scope::Read], &[]).await;
    for path in [
        "/left-pad",
        "/left-pad/latest",
        "/left-pad/-/left-pad-9.9.9.tgz",
        "/@claimed%2fx",
        "/@claimed/x",
        "/%40claimed%2Fx",
        "/@claimed/x/-/x-1.0.0.tgz",
    ] {
        for asker in [None, Some(token.as_str())] {
            let answer = served.request(Method::GET, path, asker).send().await.unwrap();
            assert_eq!(told(answer).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}

#[tokio::test]
async fn a_mapped_scope_is_asked_for_in_its_own_registry_and_in_no_other() {
    let (elsewhere, mapped) = (Elsewhere::new().await, Elsewhere::new().await);
    elsewhere.gives("/@acme%2fx", "application/json", "{\"from\":\"elsewhere\"}");
    let served = Served::with(&[
        ("COUNTERSIGN_REGISTRY__URL", &elsewhere.url),
        ("COUNTERSIGN_REGISTRIES__@ACME__URL", &mapped.url),
    ])
    .await;
    let answer = served.request(Method::GET, "/@acme%2fx", None).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!((mapped.asked().len(), elsewhere.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_silent_upstream_is_said_to_be_silent_and_does_not_look_like_a_missing_package() {
    let served = Served::new().await;
    let answer = served.request(Method::GET, "/other", None).send().await.unwrap();
    let (status, body) = told(answer).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(
        body["error"].as_str().unwrap().contains("http://127.0.0.1:9 did not answer"),
        "{body}"
    );
}

#[tokio::test]
async fn a_misspelt_address_of_the_api_is_asked_of_nobody_and_a_package_called_v1_is_still_had() {
    let elsewhere = Elsewhere::new().await;
    let served = reading_from(&elsewhere).await;
    for (method, path) in [
        (Method::GET, "/v1/verification"),
        (Method::GET, "/v1/verdict/abc"),
        (Method::GET, "/v1/latest"),
        (Method::POST, "/v1/gates"),
        (Method::PUT, "/v1/packages/other/enrolments"),
    ] {
        let answer = served.request(method, path, None).send().await.unwrap();
        let (status, body) = told(answer).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(body["error"], format!("there is nothing at `{path}`"));
    }
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
    for path in ["/v1", "/v1/1.0.0", "/v1/-/v1-1.0.0.tgz"] {
        elsewhere.gives(path, "application/json", PACKUMENT);
        let answer = served.request(Method::GET, path, None).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_path_climbs_to_no_other_place_of_the_upstream() {
    let elsewhere = Elsewhere::new().await;
    let served = reading_from(&elsewhere).await;
    for path in
        ["/other/-/..%2f..%2fsecret", "/other/a%2f..%2fb", "/other/-/a%3fb", "/other/-/a%23"]
    {
        let answer = served.request(Method::GET, path, None).send().await.unwrap();
        assert_eq!(told(answer).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}
