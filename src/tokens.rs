//! Making API tokens: for whom an operator runs the command, and for the workers that `serve` starts. A secret is given
//! out once and never again.

use countersign_core::Timestamp;
use countersign_worker::upstream::Secret;
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::App,
    asker::new_token_secret,
    store::{
        self,
        events::{self, Event, EventKind},
        tokens::{self, Packages, Scope, Token},
    },
};

/// The token of child workers ends by itself after so long; `serve` revokes it when it stops, and makes another at each
/// start.
const OWN_WORKERS_DAYS: i64 = 365;

/// What a token is to be good for.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// For which packages.
    pub packages: Packages,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
}

/// Makes a token; gives its secret, which is not kept.
pub async fn create(app: &App, new: NewToken) -> store::Result<(Secret, Token)> {
    let now = app.now();
    let (secret, digest) = new_token_secret();
    let token = Token {
        id: Uuid::now_v7(),
        scopes: new.scopes,
        packages: new.packages,
        created_by: new.created_by,
        created_at: now,
        expires_at: new.expires_at,
        revoked_at: None,
    };
    let mut writer = app.store.write().await?;
    tokens::insert(&mut writer, &token, digest).await?;
    let packages = match &token.packages {
        Packages::Every => json!("every"),
        Packages::Only(listed) => json!(listed),
    };
    let data = json!({
        "token": token.id, "scopes": token.scopes, "packages": packages, "expires_at": token.expires_at,
    });
    append(&mut writer, EventKind::TokenCreated, &token.created_by, now, data).await?;
    writer.commit().await?;
    Ok((secret, token))
}

/// Makes the token of the workers that this process starts.
pub async fn create_for_own_workers(app: &App) -> store::Result<(Secret, Token)> {
    let new = NewToken {
        scopes: vec![Scope::Worker],
        packages: Packages::Every,
        expires_at: app.now().plus_seconds(OWN_WORKERS_DAYS * 24 * 3600),
        created_by: "serve".to_owned(),
    };
    create(app, new).await
}

/// Ends a token before its time. False where none of that id lives.
pub async fn revoke(app: &App, id: Uuid, by: &str) -> store::Result<bool> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    let revoked = tokens::revoke(&mut writer, id, now).await?;
    if revoked {
        append(&mut writer, EventKind::TokenRevoked, by, now, json!({ "token": id })).await?;
    }
    writer.commit().await?;
    Ok(revoked)
}

async fn append(
    writer: &mut store::Writer,
    kind: EventKind,
    actor: &str,
    at: Timestamp,
    data: serde_json::Value,
) -> store::Result<i64> {
    let event =
        Event { kind, verification: None, package: None, actor: actor.to_owned(), at, data };
    events::append(writer, &event).await
}
