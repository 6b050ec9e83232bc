//! `npm token list | revoke`: a maintainer's own sessions, or the one token that asks. Secrets are never shown again.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use countersign_core::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::App,
    asker::Asker,
    error::Error,
    http::Known,
    second_factor,
    store::{
        sessions::{self, Session, SessionKind},
        tokens::Token,
    },
    tokens,
};

/// What the asker can show, newest first, all on one page.
pub(super) async fn list(
    State(app): State<App>,
    Known(asker): Known,
) -> Result<Json<Value>, Error> {
    let objects: Vec<Value> = match &asker {
        Asker::Token(token) => vec![token_object(token)],
        Asker::Maintainer(session) => {
            let mut reader = app.store.read().await?;
            let live = sessions::live_of(&mut reader, &session.maintainer, app.now()).await?;
            live.iter().map(session_object).collect()
        }
    };
    Ok(Json(json!({ "total": objects.len(), "objects": objects, "urls": {} })))
}

/// Ends one of those.
pub(super) async fn revoke(
    State(app): State<App>,
    Known(asker): Known,
    Path(key): Path<String>,
) -> Result<StatusCode, Error> {
    let unknown = || Error::not_found("you have no token with that id; see: npm token list");
    let key: Uuid = key.parse().map_err(|_| unknown())?;
    match &asker {
        Asker::Token(token) if token.id == key => {
            tokens::revoke(&app, key, &asker.actor()).await?;
        }
        Asker::Token(_) => return Err(unknown()),
        Asker::Maintainer(session) => {
            let mut reader = app.store.read().await?;
            let live = sessions::live_of(&mut reader, &session.maintainer, app.now()).await?;
            drop(reader);
            let session = live.into_iter().find(|session| session.id == key).ok_or_else(unknown)?;
            second_factor::sign_out(&app, &session).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn session_object(session: &Session) -> Value {
    let name = match session.kind {
        SessionKind::Npm => "npm login",
        SessionKind::Page => "page",
    };
    object(session.id, "csn_session_", name, session.created_at, session.expires_at)
}

fn token_object(token: &Token) -> Value {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    object(token.id, "csn_token_", &scopes.join(","), token.created_at, token.expires_at)
}

/// One entry with what npm 11 reads of it: `token` is what the secret begins with.
fn object(id: Uuid, begins: &str, name: &str, created: Timestamp, expires: Timestamp) -> Value {
    json!({
        "key": id, "token": begins, "name": name, "created": created, "expires": expires,
        "readonly": false, "cidr_whitelist": null,
    })
}
