//! Answers kept for `Idempotency-Key`. What a request is and how it is answered is not known here.

use countersign_core::{Sha256, Timestamp};
use sqlx::FromRow;

use super::{
    Connection, Result, Writer,
    column::{At, Text},
};

/// A request that came with a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The digest of the whole request.
    pub request: Sha256,
    /// Status and body of the answer; none while the first request is under way.
    pub answer: Option<(u16, String)>,
    /// When the key was first used.
    pub created_at: Timestamp,
}

/// Takes a key for a request. False, and nothing is changed, where it is taken.
pub async fn begin(
    writer: &mut Writer,
    caller: &str,
    key: &str,
    request: Sha256,
    now: Timestamp,
) -> Result<bool> {
    let added = sqlx::query(
        "insert into idempotency_keys (caller, key, request_sha256, created_at)
         values ($1, $2, $3, $4) on conflict (caller, key) do nothing",
    )
    .bind(caller)
    .bind(key)
    .bind(Text(request))
    .bind(At(now))
    .execute(writer.sqlite())
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Keeps the answer.
pub async fn finish(
    writer: &mut Writer,
    caller: &str,
    key: &str,
    status: u16,
    body: &str,
) -> Result<()> {
    sqlx::query(
        "update idempotency_keys set status = $3, body = $4 where caller = $1 and key = $2",
    )
    .bind(caller)
    .bind(key)
    .bind(status)
    .bind(body)
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// Gives the key free, since the request came to nothing.
pub async fn abandon(writer: &mut Writer, caller: &str, key: &str) -> Result<()> {
    sqlx::query("delete from idempotency_keys where caller = $1 and key = $2 and status is null")
        .bind(caller)
        .bind(key)
        .execute(writer.sqlite())
        .await?;
    Ok(())
}

/// What is kept under the key.
pub async fn find(at: &mut Connection, caller: &str, key: &str) -> Result<Option<Kept>> {
    let row: Option<Row> = sqlx::query_as(
        "select request_sha256, status, body, created_at from idempotency_keys
         where caller = $1 and key = $2",
    )
    .bind(caller)
    .bind(key)
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(Kept::from))
}

#[derive(FromRow)]
struct Row {
    request_sha256: Text<Sha256>,
    status: Option<u16>,
    body: Option<String>,
    created_at: At,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        Self {
            request: row.request_sha256.0,
            answer: row.status.zip(row.body),
            created_at: row.created_at.0,
        }
    }
}
