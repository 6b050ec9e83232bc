//! `npm stage list | view | download`: what is staged, as far as the asker may see it. What they may not see does not exist.

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{PackageName, Sha512, protocol::VerificationId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{named::StageId, stage_item};
use crate::{
    app::App,
    asker::Asker,
    error::Error,
    http::Known,
    store::{
        Connection,
        listing::{self, Filter, Listed},
        verifications::{self, Origin},
    },
};

/// npm always asks for so many. A page that is silently shorter than what was asked for ends npm's list: so a larger page
/// is refused and never capped.
const PER_PAGE_MAX: u32 = 100;
/// What a page has without being asked (npm/api-documentation, `stage.yaml`).
const PER_PAGE: u32 = 10;

/// What `npm stage list` asks for; pages count from 0.
#[derive(Deserialize, Debug)]
pub(super) struct Page {
    #[serde(default)]
    page: u32,
    #[serde(default, rename = "perPage")]
    per_page: Option<u32>,
    #[serde(default)]
    package: Option<PackageName>,
}

/// The live stages that the asker may see, newest first.
pub(super) async fn list(
    State(app): State<App>,
    Known(asker): Known,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Error> {
    let Query(page) = page.map_err(|rejection| Error::bad_request(rejection.body_text()))?;
    let per_page = page.per_page.unwrap_or(PER_PAGE);
    if !(1..=PER_PAGE_MAX).contains(&per_page) {
        return Err(Error::bad_request(format!(
            "`perPage` is {per_page}; a page has 1 to {PER_PAGE_MAX} stages"
        )));
    }
    let Some(visible) = asker.visible() else {
        return Ok(Json(json!({ "items": [], "total": 0 })));
    };
    let (package, origin) = (page.package, Some(Origin::Stage));
    let filter = Filter { package, origin, live_only: true, ..visible };
    let mut reader = app.store.read().await?;
    let total = listing::count(&mut reader, &filter).await?;
    let offset = u64::from(page.page) * u64::from(per_page);
    let mut items = Vec::new();
    for listed in listing::list(&mut reader, &filter, offset, per_page).await? {
        items.push(stage_item::item(&app, &mut reader, &listed).await?);
    }
    Ok(Json(json!({ "items": items, "total": total })))
}

/// One stage, live or decided.
pub(super) async fn view(
    State(app): State<App>,
    Known(asker): Known,
    StageId(id): StageId,
) -> Result<Json<Value>, Error> {
    let mut reader = app.store.read().await?;
    let listed = visible(&mut reader, &asker, id).await?;
    Ok(Json(stage_item::item_with_next(&app, &mut reader, &listed).await?))
}

/// The staged bytes.
pub(super) async fn tarball(
    State(app): State<App>,
    Known(asker): Known,
    StageId(id): StageId,
) -> Result<Response, Error> {
    let mut reader = app.store.read().await?;
    let sha512 = visible(&mut reader, &asker, id).await?.verification.subject.sha512;
    drop(reader);
    tarball_answer(&app, sha512).await
}

/// A tarball of ours with its digest beside it (RFC 9530).
pub(super) async fn tarball_answer(app: &App, sha512: Sha512) -> Result<Response, Error> {
    let bytes = app.blobs.tarball(sha512).await?;
    let mut answer = bytes.into_response();
    let digest = format!("sha-512=:{}:", STANDARD.encode(sha512.as_bytes()));
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ETAG, format!("\"{sha512}\"")),
        (HeaderName::from_static("repr-digest"), digest),
    ] {
        let value = HeaderValue::try_from(value).expect("digests are printable");
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

/// The stage of that id, where there is one that the asker may see.
pub(super) async fn visible(
    at: &mut Connection,
    asker: &Asker,
    id: VerificationId,
) -> Result<Listed, Error> {
    let unknown = || Error::not_found(format!("there is no stage `{id}`"));
    let found = verifications::find(at, id).await?.filter(|found| found.origin == Origin::Stage);
    let found = found.ok_or_else(unknown)?;
    if !asker.may_see(at, &found.subject.name).await? {
        return Err(unknown());
    }
    listing::find(at, id).await?.ok_or_else(unknown)
}
