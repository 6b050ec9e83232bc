//! Whether the service lives and whether it can do its part, for whoever watches over it. Both are open to everybody and
//! say nothing of what is stored.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_core::limits::LEASE_SECONDS;
use serde_json::json;

use crate::{
    app::App,
    store::{leases, verifications},
};

/// 200 as long as the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 where store and blobs answer, 503 where one does not; how many workers there are stands in the body.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let (store, blobs) = tokio::join!(app.store.ping(), app.blobs.ping());
    let is_ready = store.is_ok() && blobs.is_ok();
    let troubles = [
        store.as_ref().err().map(ToString::to_string),
        blobs.as_ref().err().map(ToString::to_string),
    ];
    for error in troubles.into_iter().flatten() {
        tracing::error!(error, "the service is not ready");
    }
    let word = |is_well: bool| if is_well { "ok" } else { "unavailable" };
    let work = if is_ready { work(&app).await.ok() } else { None };
    let body = json!({
        "ready": is_ready, "store": word(store.is_ok()), "blobs": word(blobs.is_ok()), "work": work,
        "enforcement": { "stage": "enforced", "api": "advisory" },
    });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn work(app: &App) -> crate::store::Result<serde_json::Value> {
    let mut reader = app.store.read().await?;
    let since = app.now().plus_seconds(-i64::try_from(LEASE_SECONDS).unwrap_or(0));
    let busy = leases::workers_since(&mut reader, since).await?.len();
    let (waiting, running) = verifications::queue_length(&mut reader).await?;
    Ok(json!({ "workers_lately_busy": busy, "waiting": waiting, "running": running }))
}
