//! Wrong passwords and codes, counted for limits that hold across processes. What the limit is, is not known here.

use countersign_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Connection, Result, Writer,
    column::{At, Word},
};

/// What is guessed; each has a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuessedFactor {
    /// A password.
    Password,
    /// A one-time code.
    Code,
}

/// A guess that was written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuessId(i64);

/// Writes a guess down.
pub async fn insert(
    writer: &mut Writer,
    account: &str,
    factor: GuessedFactor,
    now: Timestamp,
) -> Result<GuessId> {
    let id = sqlx::query_scalar(
        "insert into guesses (account, factor, at) values ($1, $2, $3) returning id",
    )
    .bind(account)
    .bind(Word(factor))
    .bind(At(now))
    .fetch_one(writer.sqlite())
    .await?;
    Ok(GuessId(id))
}

/// Takes a guess back, since it was right.
pub async fn remove(writer: &mut Writer, guess: GuessId) -> Result<()> {
    sqlx::query("delete from guesses where id = $1").bind(guess.0).execute(writer.sqlite()).await?;
    Ok(())
}

/// Forgets guesses of before that moment, of every account: they count for nothing any more.
pub async fn remove_before(writer: &mut Writer, moment: Timestamp) -> Result<()> {
    sqlx::query("delete from guesses where at < $1")
        .bind(At(moment))
        .execute(writer.sqlite())
        .await?;
    Ok(())
}

/// The moments of an account's guesses since `since`, oldest first.
pub async fn since(
    at: &mut Connection,
    account: &str,
    factor: GuessedFactor,
    since: Timestamp,
) -> Result<Vec<Timestamp>> {
    let rows: Vec<(At,)> = sqlx::query_as(
        "select at from guesses where account = $1 and factor = $2 and at > $3 order by at",
    )
    .bind(account)
    .bind(Word(factor))
    .bind(At(since))
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(|(at,)| at.0).collect())
}
