//! The mirror's HTTP/1.1 side: a unix socket, few and short-lived connections, small heads, no bodies read. Nothing that
//! a client sends beyond its request line and `accept` is looked at, least of all a credential.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use countersign_core::{
    limits::{
        MIRROR_CONNECTION_SECONDS_MAX, MIRROR_CONNECTIONS_MAX, MIRROR_HEAD_BYTES_MAX,
        MIRROR_HEAD_SECONDS_MAX,
    },
    rebuild::{NetworkRequest, Phase, RequestOutcome},
};
use futures_util::{TryStreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::{io::ReaderStream, sync::CancellationToken};

use super::{
    Gate,
    answer::{Answer, Desk},
    document,
    policy::Reason,
    route::{Route, route, target},
};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How much of a body is handed to the connection at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Takes connections until `gate.ended` is cancelled; then ends those that are still there.
pub(super) async fn serve(listener: UnixListener, desk: Arc<Desk>, gate: Arc<Gate>) {
    let places = Arc::new(Semaphore::new(MIRROR_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned();
        let accepted = tokio::select! {
            () = gate.ended.cancelled() => break,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        let (Ok(place), Ok((stream, _))) = accepted else {
            // Out of descriptors: those that are open will end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (desk, gate) = (desk.clone(), gate.clone());
        connections.spawn(async move {
            connection(stream, desk, gate).await;
            drop(place);
        });
    }
    connections.shutdown().await;
}

async fn connection(stream: UnixStream, desk: Arc<Desk>, gate: Arc<Gate>) {
    // What was opened in the install ends with it; what comes later is refused request by request.
    let ended = if gate.is_open() { gate.closed.clone() } else { gate.ended.clone() };
    let service = service_fn(|request: Request<Incoming>| {
        let (desk, gate) = (desk.clone(), gate.clone());
        async move { Ok::<_, Infallible>(handle(&request, &desk, &gate).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(MIRROR_HEAD_SECONDS_MAX))
        .max_buf_size(MIRROR_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let limit = Duration::from_secs(MIRROR_CONNECTION_SECONDS_MAX);
    tokio::select! {
        // A client that breaks off, stalls or sends nonsense has only lost its own answer.
        _ended = tokio::time::timeout(limit, served) => {}
        () = ended.cancelled() => {}
    }
}

async fn handle(request: &Request<Incoming>, desk: &Desk, gate: &Gate) -> Response<Body> {
    let asked = route(request.method(), request.uri());
    let Some(phase) = desk.recorder.begin() else {
        return response(Answer::Refused(Reason::TooManyRequests));
    };
    let answer = if gate.is_open() {
        tokio::select! {
            answer = desk.answer(&asked, wants_abbreviated(request)) => answer,
            () = gate.closed.cancelled() => Answer::Refused(Reason::NetworkClosed),
        }
    } else {
        Answer::Refused(Reason::NetworkClosed)
    };
    desk.recorder.note(noted(phase, request, &asked, &answer));
    match answer.etag() {
        Some(etag) if is_known(request, &etag) => unchanged(&etag),
        etag => with_etag(response(answer), etag.as_ref()),
    }
}

/// Whether the client holds what that tag names (RFC 9110, 13.1.2).
fn is_known(request: &Request<Incoming>, etag: &HeaderValue) -> bool {
    let held = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut held = held.into_iter().flat_map(|list| list.split(','));
    held.any(|one| one.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes())
}

fn unchanged(etag: &HeaderValue) -> Response<Body> {
    let mut response =
        Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    with_etag(response, Some(etag))
}

fn with_etag(mut response: Response<Body>, etag: Option<&HeaderValue>) -> Response<Body> {
    if let Some(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag.clone());
    }
    response
}

fn wants_abbreviated(request: &Request<Incoming>) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(document::ABBREVIATED_TYPE))
}

fn noted(
    phase: Phase,
    request: &Request<Incoming>,
    asked: &Route,
    answer: &Answer,
) -> NetworkRequest {
    let (outcome, reason) = match answer {
        Answer::Json(..) | Answer::Tarball(_) => (RequestOutcome::Served, None),
        Answer::Refused(reason) => (RequestOutcome::Refused, Some(reason.as_str().to_owned())),
        Answer::NotFound(_) => (RequestOutcome::NotFound, None),
        Answer::Unavailable(_) => (RequestOutcome::Unavailable, None),
    };
    let method = match asked {
        Route::Dns(_) => "DNS".to_owned(),
        Route::Ping
        | Route::Packument(_)
        | Route::Manifest(..)
        | Route::Tarball(..)
        | Route::Refused(_) => method_name(request.method()),
    };
    NetworkRequest { phase, method, target: target(request.uri(), asked), outcome, reason }
}

/// A method is any token; a long one is no method that anybody means.
fn method_name(method: &Method) -> String {
    method.as_str().chars().take(16).collect()
}

fn response(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Json(json, permit) => {
            let length = json.text.len() as u64;
            let chunks =
                stream::unfold((Bytes::from(json.text), permit), |(mut rest, permit)| async move {
                    if rest.is_empty() {
                        return None;
                    }
                    let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
                    Some((Ok(Frame::data(chunk)), (rest, permit)))
                });
            whole(StatusCode::OK, json.kind, length, StreamBody::new(chunks).boxed_unsync())
        }
        Answer::Tarball(tarball) => {
            let file = tokio::fs::File::from_std(tarball.file);
            let chunks = ReaderStream::with_capacity(file, CHUNK_BYTES).map_ok(Frame::data);
            let body = StreamBody::new(chunks).boxed_unsync();
            whole(StatusCode::OK, "application/octet-stream", tarball.bytes, body)
        }
        Answer::Refused(reason) => {
            let status = match reason {
                Reason::Method => StatusCode::METHOD_NOT_ALLOWED,
                Reason::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
                Reason::Subject
                | Reason::StagedBytes
                | Reason::AfterCutoff
                | Reason::NotRecorded
                | Reason::NetworkClosed
                | Reason::Audit
                | Reason::Dns
                | Reason::NotOffered
                | Reason::ForeignHost
                | Reason::Integrity
                | Reason::LockedIntegrity
                | Reason::TooManyBytes => StatusCode::FORBIDDEN,
            };
            problem(status, reason.as_str(), reason.sentence())
        }
        Answer::NotFound(what) => problem(StatusCode::NOT_FOUND, "not-found", &what),
        Answer::Unavailable(what) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "registry-unavailable", &what)
        }
    }
}

fn problem(status: StatusCode, code: &str, sentence: &str) -> Response<Body> {
    let text = json!({"error": sentence, "code": code}).to_string();
    let length = text.len() as u64;
    let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
    let mut response = whole(status, "application/json", length, body);
    // A refused request may have a body that nobody reads.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn whole(status: StatusCode, kind: &'static str, length: u64, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

impl Gate {
    pub(super) fn new() -> Self {
        let ended = CancellationToken::new();
        Self { closed: ended.child_token(), ended }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closed.is_cancelled()
    }
}
