//! `npm stage publish`: a release comes in as one JSON document. It is read strictly here; whether it may come in is known
//! to `intake`.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use countersign_core::{PackageName, limits::PUBLISH_DOCUMENT_BYTES_MAX};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    body,
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

/// Documents held in memory at once: each takes up to its 180 MB and its tarball's 128 MB. Others wait for their turn
/// before their body is read.
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
    let _turn = DOCUMENTS.acquire().await.expect("the semaphore is never closed");
    let what = "the document of a staged release";
    let document = body::read(request.into_body(), PUBLISH_DOCUMENT_BYTES_MAX, what).await?;
    let document = parse(name, document).await?;
    let spec = format!("{}@{}", document.name, document.version);
    let id = intake::stage(&app, &asker, staging(document)).await?;

    let report = reports::page(&app, id);
    let answer = json!({ "message": format!("{spec} is staged"), "stageId": id, "report": report });
    let answer = (StatusCode::CREATED, Json(answer)).into_response();
    Ok(with_notice(answer, &format!("{spec} is staged and will be rebuilt from its tag: {report}")))
}

/// Decodes and digests megabytes, off the threads that serve others.
async fn parse(name: PackageName, document: Bytes) -> Result<PublishDocument, Error> {
    let parsed = tokio::task::spawn_blocking(move || PublishDocument::parse(&name, &document));
    Ok(parsed.await.map_err(|error| Error::internal(error.into()))??)
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
