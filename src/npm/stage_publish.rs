//! `npm stage publish`: a release comes in as one JSON document. It is read strictly here; whether it may come in is known
//! to `intake`.

use anyhow::Context;
use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_core::PackageName;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    body::{self, Waiting},
    named::Named,
    notice::with_notice,
    publish_document::{PublishDocument, Unpublishable},
};
use crate::{
    app::App,
    error::Error,
    http::Known,
    intake::{self, Staging},
    reports,
};

/// Documents held in memory at once: each takes up to its 180 MB and its tarball's 128 MB. Others wait for their turn on
/// the disk.
const DOCUMENTS_AT_ONCE: usize = 4;

static DOCUMENTS: Semaphore = Semaphore::const_new(DOCUMENTS_AT_ONCE);

impl From<Unpublishable> for Error {
    fn from(refused: Unpublishable) -> Self {
        let text = refused.to_string();
        match refused {
            Unpublishable::Malformed(_) => Self::bad_request(text),
            Unpublishable::Contradictory(_) => Self::unprocessable(text),
            Unpublishable::TooLarge(_) => Self::too_large(text),
        }
    }
}

/// 201 with the stage's id, once it is stored and queued.
pub(super) async fn publish(
    State(app): State<App>,
    asker: Result<Known, Error>,
    name: Result<Named, Error>,
    request: Request,
) -> Result<Response, Error> {
    let (Known(asker), Named(name)) = match (asker, name) {
        (Ok(asker), Ok(name)) => (asker, name),
        (Err(refused), _) | (_, Err(refused)) => {
            body::discard(request.into_body()).await;
            return Err(refused);
        }
    };
    let waiting = Waiting::receive(request.into_body(), &app.config.data).await?;
    let _turn = DOCUMENTS.acquire().await.expect("the semaphore is never closed");
    let document = parse(name, waiting).await?;
    let spec = format!("{}@{}", document.name, document.version);
    let id = intake::stage(&app, &asker, staging(document)).await?;

    let report = reports::page(&app, id);
    let answer = json!({ "message": format!("{spec} is staged"), "stageId": id, "report": report });
    let answer = (StatusCode::CREATED, Json(answer)).into_response();
    Ok(with_notice(answer, &format!("{spec} is staged and will be rebuilt from its tag: {report}")))
}

/// Decodes and digests megabytes, off the threads that serve others.
async fn parse(name: PackageName, waiting: Waiting) -> Result<PublishDocument, Error> {
    let parse = move || {
        let document = waiting.into_bytes().context("the document could not be read again")?;
        Ok(PublishDocument::parse(&name, &document)?)
    };
    tokio::task::spawn_blocking(parse).await.context("reading a document panicked")?
}

fn staging(document: PublishDocument) -> Staging {
    Staging {
        name: document.name,
        version: document.version,
        tarball: document.tarball.into(),
        manifest: document.manifest,
        dist_tag: document.dist_tag,
        access: document.access,
        claims: document.claims,
    }
}
