//! Addresses that a submission names: the service asks only what the one who submits could ask as well.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
    routing::any,
};
use countersign::store::tokens::Scope;
use countersign_core::Sha512;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::CLOSED_UPSTREAM;
use crate::support::{Pack, Served};

/// A host inside: it counts who asks it, and sends on whoever asks for `/moved`.
struct Inside {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Inside {
    async fn new(moved_to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, to) = (Arc::clone(&asked), moved_to.to_owned());
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let moved = (StatusCode::FOUND, [(LOCATION, to.clone())]).into_response();
            async move { moved }
        };
        let router = Router::new().fallback(any(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn submit(served: &Served, url: &str) -> (StatusCode, Value) {
    let token = served.token(&[Scope::Verify], &[]).await;
    let bytes = Pack::of("1.3.1").tgz();
    let body = json!({
        "registry": "https://registry.example", "ecosystem": "npm",
        "name": crate::support::PACKAGE, "version": "1.3.1",
        "tarball": { "url": url, "integrity": Sha512::of(&bytes).to_integrity() },
    });
    let request = served.request(Method::POST, "/v1/verifications", Some(&token)).json(&body);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn what_lies_inside_is_not_asked_under_any_name() {
    let served =
        Served::with(&[CLOSED_UPSTREAM, ("COUNTERSIGN_PRIVATE_HOSTS", "[\"files.example\"]")])
            .await;
    let inside = Inside::new("/").await;
    let port = inside.port;
    for address in [
        format!("http://127.0.0.2:{port}/a.tgz"),
        format!("https://127.0.0.2:{port}/a.tgz"),
        format!("https://2130706434:{port}/a.tgz"),
        format!("https://[::ffff:127.0.0.2]:{port}/a.tgz"),
        format!("https://localhost:{port}/a.tgz"),
        format!("http://localhost:{port}/a.tgz"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let (status, body) = submit(&served, &address).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{address}: {body}");
        let error = body["error"].as_str().unwrap();
        assert!(error.contains("cannot be fetched"), "{address}: {error}");
    }
    assert_eq!(inside.asked(), 0);
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_the_operator_did_not_name() {
    let target = Inside::new("/").await;
    let inside = Inside::new(&format!("http://127.0.0.1:{}/a.tgz", target.port)).await;
    let named = ("COUNTERSIGN_PRIVATE_HOSTS", "[\"127.0.0.1\"]");
    let served = Served::with(&[CLOSED_UPSTREAM, named]).await;
    let address = format!("http://127.0.0.1:{}/a.tgz", inside.port);
    let (status, body) = submit(&served, &address).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body["error"].as_str().unwrap().contains("redirect_hosts"), "{body}");
    assert_eq!((inside.asked(), target.asked()), (1, 0));

    let followed = ("COUNTERSIGN_REDIRECT_HOSTS", "[\"127.0.0.1\"]");
    let served = Served::with(&[CLOSED_UPSTREAM, named, followed]).await;
    let (status, body) = submit(&served, &address).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(target.asked() > 0, "it was followed");
}
