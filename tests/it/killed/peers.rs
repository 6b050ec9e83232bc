//! Peers of the test's own: a server of a folder's files on a loopback port, which is git's "dumb" protocol or a small
//! registry, and a gate that keeps whoever asks waiting until it is opened.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
};
use countersign_core::Sha512;
use tokio::sync::watch;

use crate::hostile::rig::Release;

/// Whom a gate lets through.
#[derive(Clone, Debug)]
enum Passage {
    /// Everybody.
    Open,
    /// Not those who ask for a path that begins so.
    Closed(String),
}

/// Stands before a peer's routes.
#[derive(Clone)]
pub(super) struct Gate {
    passage: Arc<watch::Sender<Passage>>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        let (passage, waiting) = (watch::Sender::new(Passage::Open), watch::Sender::new(0));
        Self { passage: Arc::new(passage), waiting: Arc::new(waiting) }
    }

    /// Everybody who asks for this path waits from now on.
    pub(super) fn stall(&self, path: &str) -> Stalled {
        self.passage.send_replace(Passage::Closed(path.to_owned()));
        Stalled { gate: self.clone(), waiting: self.waiting.subscribe() }
    }

    /// The same routes behind this gate.
    pub(super) fn before(&self, routes: Router) -> Router {
        let gate = self.clone();
        routes.layer(middleware::from_fn(move |request: Request, next: Next| {
            let gate = gate.clone();
            async move {
                gate.pass(request.uri().path()).await;
                next.run(request).await
            }
        }))
    }

    async fn pass(&self, path: &str) {
        let mut passage = self.passage.subscribe();
        let closed = |passage: &Passage| match passage {
            Passage::Open => false,
            Passage::Closed(prefix) => path.starts_with(prefix.as_str()),
        };
        if closed(&passage.borrow()) {
            self.waiting.send_modify(|waiting| *waiting += 1);
        }
        passage.wait_for(|now| !closed(now)).await.unwrap();
    }
}

/// A closed gate.
pub(super) struct Stalled {
    gate: Gate,
    waiting: watch::Receiver<usize>,
}

impl Stalled {
    /// Waits until somebody waits at the gate; false where nobody came.
    pub(super) async fn reached(&mut self, patience: Duration) -> bool {
        let somebody = self.waiting.wait_for(|waiting| *waiting > 0);
        tokio::time::timeout(patience, somebody).await.is_ok()
    }

    /// Lets everybody through.
    pub(super) fn open(&self) {
        self.gate.passage.send_replace(Passage::Open);
    }
}

/// A server of a folder's files.
pub(super) struct Files {
    address: std::net::SocketAddr,
    gate: Gate,
}

impl Files {
    /// Serves what lies in the folder, also what is put there later; it ends with the test's runtime.
    pub(super) async fn serve(folder: &Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gate, folder) = (Gate::new(), folder.to_owned());
        let routes = Router::new().fallback(move |request: Request| {
            let path = folder.join(request.uri().path().trim_start_matches('/'));
            async move { answer(&path) }
        });
        let routes = gate.before(routes);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, gate }
    }

    /// The address of a path on it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Answers nobody from now on who asks for a path that begins so.
    pub(super) fn stall_at(&self, path: &str) -> Stalled {
        self.gate.stall(path)
    }

    /// Answers nobody from now on.
    pub(super) fn stall(&self) -> Stalled {
        self.gate.stall("/")
    }
}

/// A folder answers with its `index.json`: the packument of a registry.
fn answer(path: &Path) -> Response {
    let path = if path.is_dir() { path.join("index.json") } else { path.to_owned() };
    match std::fs::read(path) {
        Ok(bytes) => Response::new(Body::from(bytes)),
        Err(_) => {
            let mut response = Response::new(Body::from("{}"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// Publishes a package `dep` in the folder of a registry, and gives a release that builds with it by its lockfile.
pub(super) fn with_a_dependency(folder: &Path, registry: &Files) -> Release {
    let dependency = Release {
        committed: Vec::new(),
        packed: vec![
            ("package.json".to_owned(), r#"{"name":"dep","version":"1.0.0"}"#.to_owned()),
            ("index.js".to_owned(), "module.exports = 'built\\n';\n".to_owned()),
        ],
    };
    let tarball = dependency.tgz();
    let address = registry.url("dep/-/dep-1.0.0.tgz");
    let integrity = Sha512::of(&tarball).to_integrity();
    std::fs::create_dir_all(folder.join("dep/-")).unwrap();
    std::fs::write(folder.join("dep/-/dep-1.0.0.tgz"), &tarball).unwrap();
    let packument = serde_json::json!({
        "name": "dep",
        "dist-tags": { "latest": "1.0.0" },
        "time": { "created": "2025-01-01T00:00:00.000Z", "1.0.0": "2025-01-01T00:00:00.000Z" },
        "versions": { "1.0.0": {
            "name": "dep", "version": "1.0.0",
            "dist": { "tarball": address, "integrity": integrity },
        } },
    });
    std::fs::write(folder.join("dep/index.json"), packument.to_string()).unwrap();
    let script = "require('fs').writeFileSync('out.txt', require('dep'));\n";
    let mut release = Release::building(script, "built\n");
    let depends = r#""devDependencies":{"dep":"1.0.0"},"files""#;
    for (path, text) in release.committed.iter_mut().chain(&mut release.packed) {
        if path == "package.json" {
            *text = text.replace("\"files\"", depends);
        }
    }
    let lockfile = serde_json::json!({
        "name": "hostile", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": { "name": "hostile", "version": "1.0.0", "devDependencies": { "dep": "1.0.0" } },
            "node_modules/dep": {
                "version": "1.0.0", "resolved": address, "integrity": integrity, "dev": true,
            },
        },
    });
    release.committed.push(("package-lock.json".to_owned(), lockfile.to_string()));
    release
}
