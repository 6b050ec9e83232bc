//! Maintainers' sessions, found by the digest of their secret. How a secret is made and compared is not known here.

use countersign_core::{Sha256, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Connection, Result, Writer,
    column::{At, Text, Word},
};

/// What a session was opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// `npm login`: a bearer token.
    Npm,
    /// The pages: a cookie.
    Page,
}

/// A maintainer who signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Names the session in lists and logs.
    pub id: Uuid,
    /// What it was opened for.
    pub kind: SessionKind,
    /// Whose it is.
    pub maintainer: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was ended before.
    pub revoked_at: Option<Timestamp>,
}

/// Opens a session whose secret has this digest.
pub async fn insert(writer: &mut Writer, session: &Session, secret: Sha256) -> Result<()> {
    sqlx::query(
        "insert into sessions (id, secret_sha256, kind, maintainer, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(Text(session.id))
    .bind(Text(secret))
    .bind(Word(session.kind))
    .bind(&session.maintainer)
    .bind(At(session.created_at))
    .bind(At(session.expires_at))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The live session of that secret: neither expired nor ended.
pub async fn find_live(
    at: &mut Connection,
    secret: Sha256,
    now: Timestamp,
) -> Result<Option<Session>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, kind, maintainer, created_at, expires_at, revoked_at from sessions
         where secret_sha256 = $1 and revoked_at is null and expires_at > $2",
    )
    .bind(Text(secret))
    .bind(At(now))
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(Session::from))
}

/// Ends a session. False where it was ended already.
pub async fn revoke(writer: &mut Writer, id: Uuid, now: Timestamp) -> Result<bool> {
    let changed =
        sqlx::query("update sessions set revoked_at = $2 where id = $1 and revoked_at is null")
            .bind(Text(id))
            .bind(At(now))
            .execute(writer.sqlite())
            .await?;
    Ok(changed.rows_affected() == 1)
}

/// The live sessions of a maintainer, newest first.
pub async fn live_of(
    at: &mut Connection,
    maintainer: &str,
    now: Timestamp,
) -> Result<Vec<Session>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, kind, maintainer, created_at, expires_at, revoked_at from sessions
         where maintainer = $1 and revoked_at is null and expires_at > $2
         order by created_at desc",
    )
    .bind(maintainer)
    .bind(At(now))
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(Session::from).collect())
}

#[derive(FromRow)]
struct Row {
    id: Text<Uuid>,
    kind: Word<SessionKind>,
    maintainer: String,
    created_at: At,
    expires_at: At,
    revoked_at: Option<At>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.0,
            kind: row.kind.0,
            maintainer: row.maintainer,
            created_at: row.created_at.0,
            expires_at: row.expires_at.0,
            revoked_at: row.revoked_at.map(|at| at.0),
        }
    }
}
