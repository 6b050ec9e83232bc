//! The front door, tried from outside: clients that are slow, many or without end, addresses that are somebody else's, and what a log
//! tells whoever reads it.

mod logs;
mod reach;

use std::{future::Future, time::Duration};

use axum::http::StatusCode;
use countersign::door::Bounds;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::Served;

/// Whatever is not done by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);
/// A bound that a test waits for.
const SOON: Duration = Duration::from_millis(300);
/// A bound that no test waits for.
const NEVER: Duration = Duration::from_secs(3600);

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it goes on without end")
}

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.url.trim_start_matches("http://")).await.unwrap()
}

/// Sends this and gives all that comes until the service closes the connection.
async fn told(served: &Served, sent: &str) -> String {
    let mut stream = connect(served).await;
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset has ended as well.
    let _reset = within(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const CLOSED_UPSTREAM: (&str, &str) = ("COUNTERSIGN_REGISTRY__URL", "http://127.0.0.1:9/");

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_end_the_connection() {
    let bounds = Bounds { header: SOON, body_idle: NEVER, body: NEVER, ..Bounds::default() };
    let served = Served::bounded(&[CLOSED_UPSTREAM], bounds).await;
    for begun in
        ["", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: "]
    {
        let answer = told(&served, begun).await;
        assert!(!answer.contains(" 200 "), "{begun:?}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_by_either_bound() {
    for (body_idle, body) in [(SOON, NEVER), (NEVER, SOON)] {
        let bounds = Bounds { header: NEVER, body_idle, body, ..Bounds::default() };
        let served = Served::bounded(&[CLOSED_UPSTREAM], bounds).await;
        let request = "POST /sign-in HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
            content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\nconnection: close\r\n\r\nname=";
        let answer = told(&served, request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn headers_without_measure_are_refused() {
    let served = Served::with(&[CLOSED_UPSTREAM]).await;
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(1_000_000));
    for headers in [many, long] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        let answer = told(&served, &request).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{} bytes: {answer}", headers.len());
    }
}

#[tokio::test]
async fn idle_connections_give_way_to_those_that_ask() {
    let bounds = Bounds { header: SOON, connections: 3, ..Bounds::default() };
    let served = Served::bounded(&[CLOSED_UPSTREAM], bounds).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(connect(&served).await);
    }
    let asked = served.request(Method::GET, "/healthz", None).send();
    assert_eq!(within(asked).await.unwrap().status(), StatusCode::OK);
}

/// The status of a request that a proxy on loopback hands on for that address.
async fn from(served: &Served, address: &str) -> (StatusCode, Option<u64>) {
    let request = served.request(Method::GET, "/healthz", None);
    let answer = request.header("x-forwarded-for", address).send().await.unwrap();
    let wait = answer.headers().get("retry-after");
    (answer.status(), wait.map(|seconds| seconds.to_str().unwrap().parse().unwrap()))
}

#[tokio::test]
async fn who_asks_too_often_waits_and_nobody_else_does() {
    let settings = [
        CLOSED_UPSTREAM,
        ("COUNTERSIGN_TRUSTED_PROXIES", "[\"127.0.0.0/8\"]"),
        ("COUNTERSIGN_REQUESTS_PER_SECOND", "1"),
    ];
    let served = Served::with(&settings).await;
    let mut refused = None;
    for _ in 0..200 {
        let (status, wait) = from(&served, "192.0.2.7").await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            refused = wait;
            break;
        }
        assert_eq!(status, StatusCode::OK);
    }
    assert!(refused.is_some_and(|seconds| (1..=2).contains(&seconds)), "{refused:?}");
    assert_eq!(from(&served, "192.0.2.8").await.0, StatusCode::OK);
    // What the client itself writes in front of it makes nobody else of it.
    assert_eq!(from(&served, "192.0.2.9, 192.0.2.7").await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_header_of_a_stranger_lends_it_no_other_address() {
    let settings = [CLOSED_UPSTREAM, ("COUNTERSIGN_REQUESTS_PER_SECOND", "1")];
    let served = Served::with(&settings).await;
    // Loopback is not counted, and nobody is trusted to speak for another address.
    for _ in 0..40 {
        assert_eq!(from(&served, "192.0.2.7").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn many_accounts_are_not_tried_from_one_address() {
    let served = Served::with(&[CLOSED_UPSTREAM]).await;
    let sign_in = async |number: usize| {
        let path = format!("/-/user/org.couchdb.user:name-{number}");
        let body = json!({ "name": format!("name-{number}"), "password": "a leaked password" });
        let request = served.request(Method::PUT, &path, None).json(&body);
        request.header("npm-otp", "123456").send().await.unwrap().status()
    };
    let mut refused = false;
    for number in 0..200 {
        match sign_in(number).await {
            StatusCode::TOO_MANY_REQUESTS => {
                refused = true;
                break;
            }
            status => assert_eq!(status, StatusCode::UNAUTHORIZED),
        }
    }
    assert!(refused, "200 accounts were tried");
    let looked = served.request(Method::GET, "/sign-in", None).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::OK, "looking at the page is no sign-in");
}

#[tokio::test]
async fn every_answer_has_the_headers_that_a_browser_is_to_obey() {
    let settings = [CLOSED_UPSTREAM, ("COUNTERSIGN_PUBLIC_URL", "https://sign.example")];
    let served = Served::with(&settings).await;
    for path in [
        "/sign-in",
        "/healthz",
        "/v1/verifications",
        "/-/whoami",
        "/assets/page.css",
        "/nothing/at/all",
    ] {
        let request = served.request(Method::GET, path, None).header("host", "sign.example");
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert!(
            header("strict-transport-security").is_some_and(|v| v.starts_with("max-age=63072000"))
        );
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{path}");
        assert!(
            header("content-security-policy").is_some_and(|policy| {
                policy.contains("default-src 'none'")
                    && policy.contains("frame-ancestors 'none'")
                    && !policy.contains("unsafe")
            }),
            "{path}"
        );
        assert!(header("permissions-policy").is_some_and(|policy| policy.contains("camera=()")));
        assert!(
            header("referrer-policy").is_some() && header("cross-origin-resource-policy").is_some()
        );
        assert!(header("server").is_none() && header("x-powered-by").is_none(), "{path}");
    }
    let plain = Served::with(&[CLOSED_UPSTREAM]).await;
    let answer = plain.request(Method::GET, "/sign-in", None).send().await.unwrap();
    assert!(answer.headers().get("strict-transport-security").is_none());
}
