//! What maintainers decided, and how far each release has come. Whether a decision may be taken is known to the gate.

use countersign_core::{
    Timestamp,
    protocol::{VerdictId, VerificationId},
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::{
    Connection, Result, Writer,
    column::{At, Flag, Text, Word},
};

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is to be released.
    Approved,
    /// It is not.
    Rejected,
}

/// A maintainer's decision about one stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecisionRow {
    /// The stage.
    pub verification: VerificationId,
    /// What was decided.
    pub kind: Kind,
    /// By which maintainer.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The step of the code that was spent on it.
    pub factor_step: u64,
    /// The verdict that it rests on.
    pub verdict: Option<VerdictId>,
    /// Whether it goes through without a pass.
    pub unverified: bool,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// When the version went live.
    pub released_at: Option<Timestamp>,
}

/// Writes a decision. An approval that was not released yet gives way to a newer decision; any other refuses by
/// `decisions_once`.
pub async fn record(writer: &mut Writer, decision: &DecisionRow) -> Result<()> {
    sqlx::query(
        "delete from decisions
         where verification = $1 and decision = 'approved' and released_at is null",
    )
    .bind(Text(decision.verification))
    .execute(writer.sqlite())
    .await?;
    sqlx::query(
        "insert into decisions (verification, decision, decided_by, decided_at, factor_step, verdict_id,
            unverified, reason)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(Text(decision.verification))
    .bind(Word(decision.kind))
    .bind(&decision.by)
    .bind(At(decision.at))
    .bind(i64::try_from(decision.factor_step).unwrap_or(i64::MAX))
    .bind(decision.verdict.map(Text))
    .bind(Flag(decision.unverified))
    .bind(&decision.reason)
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The decision about a stage.
pub async fn find(at: &mut Connection, id: VerificationId) -> Result<Option<DecisionRow>> {
    let row: Option<Row> = sqlx::query_as("select * from decisions where verification = $1")
        .bind(Text(id))
        .fetch_optional(at.sqlite())
        .await?;
    Ok(row.map(DecisionRow::from))
}

/// Approvals whose release is not done, oldest first: a crash lies between, or another process is at it.
pub async fn under_way(at: &mut Connection) -> Result<Vec<DecisionRow>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from decisions where decision = 'approved' and released_at is null
         order by decided_at, verification",
    )
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(DecisionRow::from).collect())
}

/// Records that the version is live. False, and nothing is changed, where that was recorded before.
pub async fn released(writer: &mut Writer, id: VerificationId, now: Timestamp) -> Result<bool> {
    let changed = sqlx::query(
        "update decisions set released_at = $2
         where verification = $1 and decision = 'approved' and released_at is null",
    )
    .bind(Text(id))
    .bind(At(now))
    .execute(writer.sqlite())
    .await?;
    Ok(changed.rows_affected() == 1)
}

#[derive(FromRow)]
struct Row {
    verification: Text<VerificationId>,
    decision: Word<Kind>,
    decided_by: String,
    decided_at: At,
    factor_step: i64,
    verdict_id: Option<Text<VerdictId>>,
    unverified: Flag,
    reason: Option<String>,
    released_at: Option<At>,
}

impl From<Row> for DecisionRow {
    fn from(row: Row) -> Self {
        Self {
            verification: row.verification.0,
            kind: row.decision.0,
            by: row.decided_by,
            at: row.decided_at.0,
            factor_step: u64::try_from(row.factor_step).unwrap_or(0),
            verdict: row.verdict_id.map(|id| id.0),
            unverified: row.unverified.0,
            reason: row.reason,
            released_at: row.released_at.map(|at| at.0),
        }
    }
}
