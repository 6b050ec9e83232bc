//! A small registry on a loopback port for tests: a peer that answers with exactly the bytes that a test put there.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// One request as the peer saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) if_none_match: Option<String>,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, (u16, Vec<u8>)>,
    etags: BTreeMap<String, String>,
    redirects: BTreeMap<String, String>,
    seen: Vec<Seen>,
}

/// The running peer; it ends with the test's runtime.
pub(crate) struct Peer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                let service = service_fn(move |request| {
                    let state = state.clone();
                    async move { Ok::<_, Infallible>(answer(&state, &request)) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { address, state }
    }

    /// Its address, as a registry's.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers this path with these bytes from now on.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.fail(path, 200, bytes);
    }

    /// Answers this path with this status from now on.
    pub(crate) fn fail(&self, path: &str, status: u16, bytes: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), (status, bytes.into()));
    }

    /// Gives this path an entity tag.
    pub(crate) fn tag(&self, path: &str, etag: &str) {
        self.state.lock().unwrap().etags.insert(path.to_owned(), etag.to_owned());
    }

    /// Sends whoever asks for this path to that address.
    pub(crate) fn redirect(&self, path: &str, to: &str) {
        self.state.lock().unwrap().redirects.insert(path.to_owned(), to.to_owned());
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

fn answer(state: &Mutex<State>, request: &Request<Incoming>) -> Response<Full<bytes::Bytes>> {
    let mut state = state.lock().unwrap();
    let header =
        |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let path = request.uri().path().to_owned();
    let seen = Seen {
        path: path.clone(),
        authorization: header("authorization"),
        if_none_match: header("if-none-match"),
    };
    state.seen.push(seen.clone());
    let mut response = Response::new(Full::default());
    if let Some(etag) = state.etags.get(&path) {
        response.headers_mut().insert("etag", etag.parse().unwrap());
        if seen.if_none_match.as_ref() == Some(etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
    }
    if let Some(to) = state.redirects.get(&path) {
        response.headers_mut().insert("location", to.parse().unwrap());
        *response.status_mut() = StatusCode::FOUND;
        return response;
    }
    let (status, bytes) = state.answers.get(&path).cloned().unwrap_or((404, b"{}".to_vec()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.body_mut() = Full::from(bytes);
    response
}
