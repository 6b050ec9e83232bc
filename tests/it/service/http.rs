//! The routes that are the service's own, asked over HTTP as a worker or a stranger would.

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use countersign::{app, store::tokens::Scope};
use countersign_core::{
    protocol::{Heartbeat, HeartbeatAnswer, Lease, LeaseRequest, paths},
    rebuild::Phase,
    report::State,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Fixture, Pack, honest};

async fn send(fixture: &Fixture, request: Request<Body>) -> Response {
    app(fixture.app.clone()).oneshot(request).await.unwrap()
}

fn asking(
    method: Method,
    path: &str,
    token: Option<&str>,
    lease: Option<&str>,
) -> axum::http::request::Builder {
    let mut request =
        Request::builder().method(method).uri(path).header(header::HOST, "localhost:4873");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(lease) = lease {
        request = request.header(paths::LEASE_HEADER, lease);
    }
    request
}

fn json_body(
    request: axum::http::request::Builder,
    value: &impl serde::Serialize,
) -> Request<Body> {
    let request = request.header(header::CONTENT_TYPE, "application/json");
    request.body(Body::from(serde_json::to_vec(value).unwrap())).unwrap()
}

async fn json_of(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn who() -> LeaseRequest {
    LeaseRequest { worker: "w".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

#[tokio::test]
async fn a_worker_goes_from_lease_to_verdict_over_http() {
    let fixture = Fixture::enrolled().await;
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let (secret, _) = fixture.token_secret(&[Scope::Worker], &[]).await;
    let token = Some(secret.expose());
    let answer =
        send(&fixture, json_body(asking(Method::POST, paths::LEASES, token, None), &who())).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let lease: Lease = serde_json::from_value(json_of(answer).await).unwrap();
    let held = Some(lease.id.0.as_str());

    let beat = Heartbeat { phase: Phase::Build, detail: "tsc".to_owned() };
    let answer =
        send(&fixture, json_body(asking(Method::POST, paths::HEARTBEAT, token, held), &beat)).await;
    assert_eq!(json_of(answer).await, json!(HeartbeatAnswer::Continue));
    assert_eq!(fixture.report(id).await.summary, "left-pad 1.3.1 is being rebuilt: tsc");

    let request = asking(Method::GET, paths::TARBALL, token, held).body(Body::empty()).unwrap();
    let staged = to_bytes(send(&fixture, request).await.into_body(), 1 << 20).await.unwrap();
    assert_eq!(staged, Pack::of("1.3.1").tgz());

    for (path, bytes) in
        [(paths::LOG, bytes::Bytes::from_static(b"log")), (paths::REBUILT, staged.clone())]
    {
        let request = asking(Method::PUT, path, token, held).body(Body::from(bytes)).unwrap();
        assert_eq!(send(&fixture, request).await.status(), StatusCode::NO_CONTENT);
    }
    let report = honest(&lease.job, &staged, &staged);
    let request = || json_body(asking(Method::POST, paths::REPORT, token, held), &report);
    assert_eq!(send(&fixture, request()).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(fixture.verification(id).await.state, State::Final);
    assert_eq!(
        send(&fixture, request()).await.status(),
        StatusCode::CONFLICT,
        "the lease is spent"
    );
}

#[tokio::test]
async fn a_worker_of_another_version_gets_no_job() {
    let fixture = Fixture::enrolled().await;
    fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let token = fixture.token_secret(&[Scope::Worker], &[]).await.0;
    let asking_for = |version: &str| {
        let who = LeaseRequest { worker: "w".to_owned(), version: version.to_owned() };
        json_body(asking(Method::POST, paths::LEASES, Some(token.expose()), None), &who)
    };
    let refused = send(&fixture, asking_for("0.0.1")).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert!(json_of(refused).await["error"].as_str().unwrap().contains("version 0.0.1"));
    assert_eq!(
        send(&fixture, asking_for(env!("CARGO_PKG_VERSION"))).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn only_a_workers_token_opens_the_workers_routes() {
    let fixture = Fixture::enrolled().await;
    let (admin, _) = fixture.token_secret(&[Scope::Admin, Scope::Stage, Scope::Read], &[]).await;
    for (token, status) in
        [(None, 401), (Some("csn_token_unknown"), 401), (Some(admin.expose()), 403)]
    {
        for (method, path) in [
            (Method::POST, paths::LEASES),
            (Method::POST, paths::HEARTBEAT),
            (Method::GET, paths::TARBALL),
            (Method::PUT, paths::REBUILT),
            (Method::PUT, paths::LOG),
            (Method::POST, paths::REPORT),
        ] {
            let answer =
                send(&fixture, json_body(asking(method, path, token, Some("x")), &json!({}))).await;
            assert_eq!(answer.status().as_u16(), status, "{path}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
    }
}

#[tokio::test]
async fn a_problem_says_the_same_in_detail_and_error() {
    let fixture = Fixture::new().await;
    let (secret, _) = fixture.token_secret(&[Scope::Worker], &[]).await;
    let request = asking(Method::POST, paths::LEASES, Some(secret.expose()), None)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{\"worker\":"))
        .unwrap();
    let answer = send(&fixture, request).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.headers().contains_key("x-request-id"));
    let problem = json_of(answer).await;
    assert_eq!(problem["status"], 400);
    assert_eq!(problem["detail"], problem["error"]);
    assert!(problem["error"].as_str().unwrap().starts_with("the body is not the JSON"));

    let request = asking(Method::GET, "/-/nowhere", None, None).body(Body::empty()).unwrap();
    let problem = json_of(send(&fixture, request).await).await;
    assert_eq!(problem["error"], "this registry does not answer `/-/nowhere`");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_before_it_is_read() {
    let fixture = Fixture::new().await;
    let (secret, _) = fixture.token_secret(&[Scope::Worker], &[]).await;
    let request = asking(Method::POST, paths::LEASES, Some(secret.expose()), None)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(vec![b' '; 2 << 20]))
        .unwrap();
    assert_eq!(send(&fixture, request).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_to_ours_is_turned_away() {
    let fixture = Fixture::new().await;
    let ask = async |host: &str, path: &str| {
        let request = Request::builder().uri(path).header(header::HOST, host).body(Body::empty());
        send(&fixture, request.unwrap()).await.status().as_u16()
    };
    assert_eq!(ask("evil.example:4873", "/-/nowhere").await, 421);
    for host in ["localhost:4873", "127.0.0.1:4873", "[::1]:4873"] {
        assert_eq!(ask(host, "/-/nowhere").await, 404, "{host}");
    }
    assert_eq!(ask("10.1.2.3", "/readyz").await, 200, "whoever watches over it knows no name");
}

#[tokio::test]
async fn readiness_says_what_is_queued_and_what_is_missing() {
    let fixture = Fixture::enrolled().await;
    fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let ask = || asking(Method::GET, "/readyz", None, None).body(Body::empty()).unwrap();
    let answer = send(&fixture, ask()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body = json_of(answer).await;
    assert_eq!((&body["ready"], &body["work"]["waiting"]), (&json!(true), &json!(1)));

    std::fs::remove_dir_all(fixture.folder().join("blobs")).unwrap();
    std::fs::write(fixture.folder().join("blobs"), "no folder").unwrap();
    let answer = send(&fixture, ask()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(answer).await["blobs"], "unavailable");
}
