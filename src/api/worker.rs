//! The workers' routes: a lease is asked for, renewed, and used to fetch, upload and report. They need a token of the scope
//! `worker` and the lease's secret in a header; what a lease is good for is decided in `queue`.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Query, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use countersign_core::{
    limits::{LOG_BYTES_MAX, TARBALL_BYTES_MAX, WAIT_SECONDS_MAX},
    protocol::{Heartbeat, HeartbeatAnswer, LeaseId, LeaseRequest, WorkerReport, paths},
};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    app::App,
    asker::Asker,
    error::Error,
    http::{JsonBody, Known},
    queue,
    store::{events, tokens::Scope},
};

/// A retry or a look for a tag becomes due without any event: an idle worker that waits looks at the clock this often.
const LOOK: Duration = Duration::from_secs(1);
/// A report names every file of both archives and every request: the largest real package has some 40,000 files.
const REPORT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest name of a worker: it stands in events and sentences.
const WORKER_NAME_CHARACTERS_MAX: usize = 100;

/// The workers' routes.
pub(crate) fn routes() -> Router<App> {
    let tarball = usize::try_from(TARBALL_BYTES_MAX).unwrap_or(usize::MAX);
    // The log is cut to its bound before it is sent; the cut itself is announced in it.
    let log = LOG_BYTES_MAX + 4096;
    Router::new()
        .route(paths::LEASES, post(lease))
        .route(paths::HEARTBEAT, post(heartbeat))
        .route(paths::TARBALL, get(staged))
        .route(paths::REBUILT, put(rebuilt).layer(DefaultBodyLimit::max(tarball)))
        .route(paths::LOG, put(log_text).layer(DefaultBodyLimit::max(log)))
        .route(paths::REPORT, post(report).layer(DefaultBodyLimit::max(REPORT_BYTES_MAX)))
}

/// A caller with a token of the scope `worker`.
struct WorkerToken(Uuid);

impl FromRequestParts<App> for WorkerToken {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let Known(asker) = Known::from_request_parts(parts, app).await?;
        match asker {
            Asker::Token(token) if token.scopes.contains(&Scope::Worker) => Ok(Self(token.id)),
            Asker::Token(_) | Asker::Maintainer(_) => {
                Err(Error::forbidden("this takes a token of the scope `worker`"))
            }
        }
    }
}

/// The secret of a lease, from its header.
struct ShownLease(LeaseId);

impl FromRequestParts<App> for ShownLease {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let shown = parts.headers.get(paths::LEASE_HEADER).and_then(|value| value.to_str().ok());
        let secret = shown.ok_or_else(|| {
            Error::bad_request(format!("send the lease in the header `{}`", paths::LEASE_HEADER))
        })?;
        Ok(Self(LeaseId(secret.to_owned())))
    }
}

#[derive(Deserialize)]
struct Waiting {
    wait: Option<u64>,
}

/// Gives a job, or 204 when the time is over and there was none.
async fn lease(
    State(app): State<App>,
    WorkerToken(token): WorkerToken,
    Query(waiting): Query<Waiting>,
    JsonBody(asking): JsonBody<LeaseRequest>,
) -> Result<Response, Error> {
    if asking.version != env!("CARGO_PKG_VERSION") {
        // Its report would be refused: better said before a package is built for it.
        return Err(Error::conflict(format!(
            "this worker is of version {}, and the service of {}; bring both to one version",
            asking.version,
            env!("CARGO_PKG_VERSION")
        )));
    }
    let worker: String = asking.worker.chars().take(WORKER_NAME_CHARACTERS_MAX).collect();
    let seconds = waiting.wait.unwrap_or(0).min(WAIT_SECONDS_MAX);
    let ends = Instant::now() + Duration::from_secs(seconds);
    loop {
        // Read before the queue, so that what is recorded in between is not slept through.
        let seen = events::last(&mut app.store.read().await?).await?;
        if let Some(lease) = queue::lease(&app, token, &worker).await? {
            return Ok(Json(lease).into_response());
        }
        let now = Instant::now();
        if now >= ends {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let until = ends.min(now + LOOK);
        if let Ok(failed) =
            tokio::time::timeout_at(until, app.store.events().wait_after(seen)).await
        {
            failed?;
        }
    }
}

async fn heartbeat(
    State(app): State<App>,
    WorkerToken(token): WorkerToken,
    ShownLease(lease): ShownLease,
    JsonBody(beat): JsonBody<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Error> {
    Ok(Json(queue::heartbeat(&app, token, &lease, beat).await?))
}

async fn staged(
    State(app): State<App>,
    WorkerToken(token): WorkerToken,
    ShownLease(lease): ShownLease,
) -> Result<Response, Error> {
    let bytes = queue::staged_tarball(&app, token, &lease).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

async fn rebuilt(
    State(app): State<App>,
    WorkerToken(token): WorkerToken,
    ShownLease(lease): ShownLease,
    bytes: Bytes,
) -> Result<StatusCode, Error> {
    queue::upload_rebuilt(&app, token, &lease, bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn log_text(
    State(app): State<App>,
    WorkerToken(token): WorkerToken,
    ShownLease(lease): ShownLease,
    bytes: Bytes,
) -> Result<StatusCode, Error> {
    queue::upload_log(&app, token, &lease, bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn report(
    State(app): State<App>,
    WorkerToken(token): WorkerToken,
    ShownLease(lease): ShownLease,
    JsonBody(handed_in): JsonBody<WorkerReport>,
) -> Result<StatusCode, Error> {
    queue::report(&app, token, &lease, handed_in).await?;
    Ok(StatusCode::NO_CONTENT)
}
