//! The service under test on a free port of loopback, as clients reach it, and a registry beside it that remembers who
//! asked it for what.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign::{
    door::{self, Bounds},
    queue,
    store::tokens::Scope,
};
use countersign_core::{
    protocol::{Attempt, WorkerReport},
    source::Reference,
};
use reqwest::{Client, Method, RequestBuilder};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Fixture, honest};

/// The service, listening.
pub(crate) struct Served {
    /// What it is made of.
    pub(crate) fixture: Fixture,
    /// Its address, without a last slash.
    pub(crate) url: String,
    client: Client,
    serving: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served {
    /// With these settings (`COUNTERSIGN_…` variables), and the maintainer `ada` who enrolled the tests' package.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::bounded(settings, Bounds::default()).await
    }

    /// The same with these bounds of its front door.
    pub(crate) async fn bounded(settings: &[(&str, &str)], bounds: Bounds) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listen = ("COUNTERSIGN_LISTEN", address.to_string());
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let fixture = Fixture::with_settings(settings.chain([listen])).await;
        let ada = fixture.add_maintainer("ada").await;
        fixture.enrol("ada", &ada, |_| {}).await;
        let router = countersign::app(fixture.app.clone());
        let serving = tokio::spawn(door::serve(listener, router, bounds, CancellationToken::new()));
        let client = Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{address}");
        Self { fixture, url, client, serving }
    }

    /// With nothing set, so that nothing is reached but this machine: its upstream is a closed port.
    pub(crate) async fn new() -> Self {
        Self::with(&[("COUNTERSIGN_REGISTRY__URL", "http://127.0.0.1:9/")]).await
    }

    /// Lets `ada` enrol another package.
    pub(crate) async fn enrol(&self, package: &str) {
        let ada = self.fixture.authenticator("ada");
        self.fixture
            .enrol("ada", &ada, |proposal| proposal.package = package.parse().unwrap())
            .await;
    }

    /// The secret of a token for these packages; for every one where none is named.
    pub(crate) async fn token(&self, scopes: &[Scope], packages: &[&str]) -> String {
        self.fixture.token_secret(scopes, packages).await.0.expose().to_owned()
    }

    /// The secret of a session of `ada`'s npm.
    pub(crate) async fn session(&self) -> String {
        self.fixture.session_secret("ada").await.expose().to_owned()
    }

    /// A request to that path, as it is written.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
    ) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A worker takes the next job and finds that its tag is not there yet.
    pub(crate) async fn miss_tag(&self) {
        let app = &self.fixture.app;
        let token = self.fixture.token_secret(&[Scope::Worker], &[]).await.1;
        let lease = queue::lease(app, token, "worker").await.unwrap().expect("a job is due");
        let Reference::Named(tag) = lease.job.source.reference else { panic!("a tag is named") };
        let report = WorkerReport {
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            attempt: Attempt::TagMissing { tag },
            rebuilt_sha512: None,
        };
        queue::report(app, token, &lease.id, report).await.unwrap();
    }

    /// A worker takes the next job and hands in these bytes as its rebuild; the staged ones where none are given.
    pub(crate) async fn rebuild(&self, rebuilt: Option<Bytes>) {
        let app = &self.fixture.app;
        let token = self.fixture.token_secret(&[Scope::Worker], &[]).await.1;
        let lease = queue::lease(app, token, "worker").await.unwrap().expect("a job is due");
        let staged = queue::staged_tarball(app, token, &lease.id).await.unwrap();
        let rebuilt = rebuilt.unwrap_or_else(|| staged.clone());
        queue::upload_rebuilt(app, token, &lease.id, rebuilt.clone()).await.unwrap();
        let report = honest(&lease.job, &staged, &rebuilt);
        queue::report(app, token, &lease.id, report).await.unwrap();
    }
}

/// What an [`Elsewhere`] was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The path as it was sent.
    pub(crate) path: String,
    /// Every header.
    pub(crate) headers: HeaderMap,
}

type Answers = BTreeMap<String, (&'static str, Bytes)>;

/// Another registry: it gives what it was given under each path, 404 for everything else, and remembers every request.
pub(crate) struct Elsewhere {
    /// Its address, without a last slash.
    pub(crate) url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<Answers>,
    asked: Mutex<Vec<Asked>>,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Elsewhere {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    /// From now on it gives these bytes under that path.
    pub(crate) fn gives(&self, path: &str, kind: &'static str, bytes: impl Into<Bytes>) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), (kind, bytes.into()));
    }

    /// Everything that it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

/// The ETag of everything that an [`Elsewhere`] gives.
pub(crate) const ELSEWHERE_ETAG: &str = "\"elsewhere-1\"";

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
    let knows = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == ELSEWHERE_ETAG);
    shared.asked.lock().unwrap().push(Asked { path: path.clone(), headers });
    let found = shared.answers.lock().unwrap().get(&path).cloned();
    match found {
        None => (StatusCode::NOT_FOUND, [(header::SET_COOKIE, "a=b")], "{}").into_response(),
        Some(_) if knows => StatusCode::NOT_MODIFIED.into_response(),
        Some((kind, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::ETAG, ELSEWHERE_ETAG),
                (header::SET_COOKIE, "a=b"),
            ];
            (headers, bytes).into_response()
        }
    }
}
