//! Who calls the verify API: the bearer of a live token or session, who may see that package. What they may not see is
//! answered as what does not exist.

use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use countersign_core::protocol::VerificationId;

use crate::{
    app::App,
    asker::{self, Asker},
    error::Error,
    store::verifications::{self, Verification},
};

/// A caller whose secret was found.
pub(super) struct Caller(pub(super) Asker);

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let bearer = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| {
                Error::unauthorized("this needs a token: send `authorization: Bearer TOKEN`")
            })?;
        let found = asker::identify(app, bearer.trim()).await?;
        found.map(Self).ok_or_else(|| {
            Error::unauthorized(
                "this token is not known or has expired; make one with: countersign token create",
            )
        })
    }
}

impl Caller {
    /// The verification of that id, where the caller may see it.
    pub(super) async fn find(&self, app: &App, id: &str) -> Result<Verification, Error> {
        let unknown = || Error::not_found(format!("there is no verification `{}`", shortened(id)));
        let id: VerificationId = id.parse().map_err(|_| unknown())?;
        let mut reader = app.store.read().await?;
        let found = verifications::find(&mut reader, id).await?.ok_or_else(unknown)?;
        if self.0.may_see(&mut reader, &found.subject.name).await? {
            Ok(found)
        } else {
            Err(unknown())
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
