//! The package or stage that a path below `/-/` names. What the path is for is not known here.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use countersign_core::{PackageName, protocol::VerificationId};

use crate::{app::App, error::Error};

/// The package, in one segment or, with a raw slash, in two.
#[derive(Clone, Debug)]
pub(super) struct Named(pub(super) PackageName);

impl FromRequestParts<App> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let name = parameter(parts, app, "name").await?;
        let text = match parameter(parts, app, "scope").await {
            Ok(scope) => format!("{scope}/{name}"),
            Err(_) => name,
        };
        text.parse().map(Self).map_err(|error| Error::bad_request(format!("{error}")))
    }
}

/// A stage's id. What is no id names no stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct StageId(pub(super) VerificationId);

impl FromRequestParts<App> for StageId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let text = parameter(parts, app, "id").await?;
        text.parse().map(Self).map_err(|_| {
            let shown: String = text.chars().take(64).collect();
            Error::not_found(format!("there is no stage `{shown}`"))
        })
    }
}

async fn parameter(parts: &mut Parts, app: &App, wanted: &str) -> Result<String, Error> {
    let unreadable = || Error::bad_request("the path is not percent-encoded text");
    let found = RawPathParams::from_request_parts(parts, app).await.map_err(|_| unreadable())?;
    let found = found.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.to_owned());
    found.ok_or_else(unreadable)
}
