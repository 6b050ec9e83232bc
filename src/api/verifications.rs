//! One verification, read: its report while it runs and when it is final, its log, its rebuilt tarball and its signed
//! statement.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{limits, protocol::VerificationId, report::Report};
use serde::Deserialize;

use super::caller::Caller;
use crate::{app::App, error::Error, reports, store::attempts};

/// What a client is told to wait before it asks again, in seconds.
const RETRY_AFTER_SECONDS: &str = "2";

/// `?wait=SECONDS`.
#[derive(Deserialize)]
pub(super) struct Waiting {
    wait: Option<u64>,
}

/// `GET /v1/verifications/{id}`: the report, 200 when final and 202 until then. With `?wait=` (0 to 60 s) or
/// `Prefer: wait=` (RFC 7240) the answer is held until it is final or the time is over.
pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(waiting): Query<Waiting>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let found = caller.find(&app, &id).await?;
    let seconds = waiting.wait.or_else(|| preferred_wait(&headers)).unwrap_or(0);
    if seconds > limits::WAIT_SECONDS_MAX {
        return Err(Error::bad_request(format!(
            "`wait` is 0 to {} seconds",
            limits::WAIT_SECONDS_MAX
        )));
    }
    let report = wait_until_final(&app, found.id, Duration::from_secs(seconds)).await?;
    if report.state.is_final() {
        return Ok(Json(report).into_response());
    }
    Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)], Json(report))
        .into_response())
}

fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let prefer = headers.get("prefer")?.to_str().ok()?;
    prefer.split([',', ';']).find_map(|one| one.trim().strip_prefix("wait=")?.parse().ok())
}

/// Reads the report each time something was recorded, until it is final or the time is over.
async fn wait_until_final(app: &App, id: VerificationId, most: Duration) -> Result<Report, Error> {
    let ends = tokio::time::Instant::now() + most;
    loop {
        let mut reader = app.store.read().await?;
        // The sequence is read before the report, so that nothing recorded in between is slept through.
        let seen = crate::store::events::last(&mut reader).await?;
        let report = report_of(app, &mut reader, id).await?;
        drop(reader);
        let news = app.store.events();
        if report.state.is_final()
            || tokio::time::timeout_at(ends, news.wait_after(seen)).await.is_err()
        {
            return Ok(report);
        }
    }
}

async fn report_of(
    app: &App,
    reader: &mut crate::store::Connection,
    id: VerificationId,
) -> Result<Report, Error> {
    let report = reports::report_of(app, reader, id).await?;
    report.ok_or_else(|| Error::not_found(format!("there is no verification `{id}`")))
}

/// `GET /v1/verifications/{id}/report`: the report as it stands.
pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Report>, Error> {
    let found = caller.find(&app, &id).await?;
    let mut reader = app.store.read().await?;
    Ok(Json(report_of(&app, &mut reader, found.id).await?))
}

/// `GET /v1/verifications/{id}/log`: the build's log as text.
pub(super) async fn log(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let attempt = last_attempt(&app, &caller, &id).await?;
    let digest = attempt
        .log_sha256
        .ok_or_else(|| Error::not_found("this verification has no log: nothing was built"))?;
    let log = app.blobs.log(digest).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], log).into_response())
}

/// `GET /v1/verifications/{id}/rebuilt.tgz`: what the rebuild packed.
pub(super) async fn rebuilt(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let attempt = last_attempt(&app, &caller, &id).await?;
    let digest = attempt
        .rebuilt_sha512
        .ok_or_else(|| Error::not_found("this verification has no rebuilt tarball"))?;
    let bytes = app.blobs.tarball(digest).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// `GET /v1/verifications/{id}/attestation`: the signed statement, a DSSE envelope.
pub(super) async fn attestation(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let attempt = last_attempt(&app, &caller, &id).await?;
    let envelope = attempt
        .envelope
        .ok_or_else(|| Error::not_found("this verification has no signed verdict"))?;
    Ok(Json(envelope).into_response())
}

/// The attempt whose verdict stands: the last one.
async fn last_attempt(app: &App, caller: &Caller, id: &str) -> Result<attempts::AttemptRow, Error> {
    let found = caller.find(app, id).await?;
    let mut reader = app.store.read().await?;
    let mut all = attempts::of(&mut reader, found.id).await?;
    all.pop()
        .ok_or_else(|| Error::not_found(format!("verification `{}` has no verdict yet", found.id)))
}
