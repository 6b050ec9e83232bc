//! The front door: how connections are taken and how much of anybody's time and memory one client may take. Whoever sends slowly, opens
//! connections without end or asks too often is sent away here, before a route is reached. It knows nothing of what is asked for.

mod address;
mod body;
mod rate;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use countersign_core::limits::{
    BODY_IDLE_SECONDS_MAX, BODY_SECONDS_MAX, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_SECONDS_MAX,
    HEADERS_MAX,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

pub use address::ClientAddress;
use body::Paced;
pub(crate) use rate::{Rates, requests};

/// How long a client may take, and how many there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// From the first byte of a request to the end of its headers, and between two requests of one connection.
    pub header: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// For a whole body.
    pub body: Duration,
    /// Connections at one time; further ones wait to be taken.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(HEADER_SECONDS_MAX),
            body_idle: Duration::from_secs(BODY_IDLE_SECONDS_MAX),
            body: Duration::from_secs(BODY_SECONDS_MAX),
            connections: CONNECTIONS_MAX,
        }
    }
}

/// A pause after a connection could not be taken, for instance since no descriptor is free: trying at once would take
/// the core from those who could give one back.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is told to stop, and then until every request under way has its answer.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    let connections = TaskTracker::new();
    while let Some((stream, peer, permit)) = next(&listener, &room, &stop).await {
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let _held = permit;
            converse(stream, peer, router, bounds, stop).await;
        });
    }
    connections.close();
    connections.wait().await;
}

/// The next connection; none when it is time to stop.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    loop {
        let taken = async {
            let permit = Arc::clone(room).acquire_owned().await.expect("it is never closed");
            listener.accept().await.map(|(stream, peer)| (stream, peer, permit))
        };
        let taken = tokio::select! { () = stop.cancelled() => return None, taken = taken => taken };
        match taken {
            Ok(taken) => return Some(taken),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::select! { () = stop.cancelled() => return None, () = tokio::time::sleep(PAUSE) => {} }
            }
        }
    }
}

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
) {
    // A small answer is not held back for a larger one.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(|body| Body::new(Paced::new(body, &bounds)));
        request.extensions_mut().insert(ClientAddress::of_peer(peer.ip()));
        router.clone().oneshot(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Whoever goes away, is slow or speaks something else is no failure of ours.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
