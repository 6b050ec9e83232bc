//! `npm stage approve | reject`: a maintainer's decision. Whether it goes through is known to `approval` and the gate. npm
//! takes every status below 400 for "published", so an answer of success leaves only when the version is live.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use countersign_core::protocol::VerificationId;
use serde_json::json;

use super::{named::StageId, notice::with_notice};
use crate::{
    app::App,
    approval::{self, ApprovalRefused, Released},
    asker::Asker,
    error::Error,
    http::Known,
    reports,
};

/// Approves, and answers when the version is live. A client that hangs up meanwhile does not stop half-way what it began.
pub(super) async fn approve(
    State(app): State<App>,
    Known(asker): Known,
    StageId(id): StageId,
    headers: HeaderMap,
) -> Response {
    let code = one_time_code(&headers);
    let (doing, who) = (app.clone(), asker.clone());
    let done =
        tokio::spawn(
            async move { approval::approve(&doing, &who, id, code.as_deref(), None).await },
        );
    match done.await {
        Ok(Ok(released)) => approved(&app, id, &released),
        Ok(Err(refused)) => refusal(&app, &asker, id, refused).await,
        Err(error) => Error::internal(error.into()).into_response(),
    }
}

/// Rejects: 204, and the version may be staged anew.
pub(super) async fn reject(
    State(app): State<App>,
    Known(asker): Known,
    StageId(id): StageId,
    headers: HeaderMap,
) -> Response {
    let code = one_time_code(&headers);
    match approval::reject(&app, &asker, id, code.as_deref(), None).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refusal(&app, &asker, id, refused).await,
    }
}

/// npm's `--otp` and what it asks for at a terminal.
fn one_time_code(headers: &HeaderMap) -> Option<String> {
    let code = headers.get("npm-otp").and_then(|value| value.to_str().ok()).map(str::trim);
    code.filter(|code| !code.is_empty()).map(str::to_owned)
}

fn approved(app: &App, id: VerificationId, released: &Released) -> Response {
    let Released { spec, unverified, at } = released;
    let how = if *unverified { "released unverified" } else { "released" };
    let message = format!("{spec} is {how}: {}", reports::page(app, id));
    let answer = json!({ "message": message, "releasedAt": at });
    with_notice((StatusCode::CREATED, Json(answer)).into_response(), &message)
}

/// The refusal, with the verdict's sentence and the way to its report as a notice for whoever may see them.
async fn refusal(
    app: &App,
    asker: &Asker,
    id: VerificationId,
    refused: ApprovalRefused,
) -> Response {
    let answer = Error::from(refused).into_response();
    match sentence(app, asker, id).await {
        Ok(Some(sentence)) => with_notice(answer, &sentence),
        Ok(None) | Err(_) => answer,
    }
}

async fn sentence(app: &App, asker: &Asker, id: VerificationId) -> Result<Option<String>, Error> {
    let mut reader = app.store.read().await?;
    if super::stage_read::visible(&mut reader, asker, id).await.is_err() {
        return Ok(None);
    }
    let report = reports::report_of(app, &mut reader, id).await?;
    Ok(report.map(|report| format!("{} {}", report.summary, reports::page(app, id))))
}
