//! `GET /assets/{file}`: what pages refer to, kept by browsers for a year, since another content has another name.

use axum::{
    extract::Path,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use crate::ui::{answer::PageError, assets};

/// The file of that name.
pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    match assets::find(&file) {
        Some(asset) => (
            [
                (CONTENT_TYPE, asset.media_type()),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.bytes(),
        )
            .into_response(),
        None => PageError::NotFound(format!("file `{file}`")).into_response(),
    }
}
