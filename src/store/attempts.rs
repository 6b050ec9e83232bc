//! Attempts with their verdicts, kept for ever. What a verdict means is not known here.

use countersign_core::{
    Sha256, Sha512, Subject, Timestamp,
    attestation::Envelope,
    protocol::{Judged, VerdictId, VerificationId},
    verdict::Outcome,
};
use sqlx::FromRow;

use super::{
    Connection, Result, Writer,
    column::{At, Json, Text, Word},
};

/// One attempt that came to an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptRow {
    /// The verdict's id.
    pub id: VerdictId,
    /// The verification.
    pub verification: VerificationId,
    /// Counts from 1 over all rounds.
    pub attempt: u32,
    /// The sentence.
    pub summary: String,
    /// What was found out and judged.
    pub judged: Judged,
    /// The subject as it was judged.
    pub subject: Subject,
    /// The enrolment that it was judged under; none where there was none.
    pub enrolment_revision: Option<u32>,
    /// The policy that it was judged under.
    pub policy_sha256: Sha256,
    /// How many attempts there had been, this one with them.
    pub attempts_so_far: u32,
    /// The worker's version; none where no worker came to it.
    pub worker_version: Option<String>,
    /// The rebuilt tarball.
    pub rebuilt_sha512: Option<Sha512>,
    /// The log.
    pub log_sha256: Option<Sha256>,
    /// The signed statement.
    pub envelope: Option<Envelope>,
    /// When.
    pub judged_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Adds an attempt. Refused by `attempts_number` where that attempt was written already.
pub async fn insert(writer: &mut Writer, new: &AttemptRow) -> Result<()> {
    let verdict = &new.judged.verdict;
    let source = new.judged.observations.source.as_ref();
    sqlx::query(
        "insert into attempts (verdict_id, verification, attempt, outcome, class, level, summary, tag, commit_id,
            judged, subject, enrolment_revision, policy_sha256, attempts_so_far, worker_version, rebuilt_sha512,
            log_sha256, envelope, judged_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(Text(new.id))
    .bind(Text(new.verification))
    .bind(new.attempt)
    .bind(Word(verdict.outcome))
    .bind(verdict.class.map(Word))
    .bind(verdict.level.map(Word))
    .bind(&new.summary)
    .bind(source.map(|source| &source.tag))
    .bind(source.map(|source| &source.commit))
    .bind(Json(&new.judged))
    .bind(Json(&new.subject))
    .bind(new.enrolment_revision)
    .bind(Text(new.policy_sha256))
    .bind(new.attempts_so_far)
    .bind(&new.worker_version)
    .bind(new.rebuilt_sha512.map(Text))
    .bind(new.log_sha256.map(Text))
    .bind(new.envelope.as_ref().map(Json))
    .bind(At(new.judged_at))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The attempt of that verdict.
pub async fn find(at: &mut Connection, id: VerdictId) -> Result<Option<AttemptRow>> {
    let row: Option<Row> = sqlx::query_as("select * from attempts where verdict_id = $1")
        .bind(Text(id))
        .fetch_optional(at.sqlite())
        .await?;
    Ok(row.map(AttemptRow::from))
}

/// Every attempt of a verification, oldest first.
pub async fn of(at: &mut Connection, verification: VerificationId) -> Result<Vec<AttemptRow>> {
    let rows: Vec<Row> =
        sqlx::query_as("select * from attempts where verification = $1 order by attempt")
            .bind(Text(verification))
            .fetch_all(at.sqlite())
            .await?;
    Ok(rows.into_iter().map(AttemptRow::from).collect())
}

/// How many attempts a verification has had, over all rounds.
pub async fn count(at: &mut Connection, verification: VerificationId) -> Result<u32> {
    Ok(sqlx::query_scalar("select count(*) from attempts where verification = $1")
        .bind(Text(verification))
        .fetch_one(at.sqlite())
        .await?)
}

/// The last attempt's sentence and outcome, for "trying again".
pub async fn last_summary(
    at: &mut Connection,
    verification: VerificationId,
) -> Result<Option<(Outcome, String)>> {
    let row: Option<(Word<Outcome>, String)> = sqlx::query_as(
        "select outcome, summary from attempts where verification = $1 order by attempt desc limit 1",
    )
    .bind(Text(verification))
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(|(outcome, summary)| (outcome.0, summary)))
}

/// Revokes a verdict. False where it was revoked already.
pub async fn revoke(writer: &mut Writer, id: VerdictId, now: Timestamp) -> Result<bool> {
    let changed = sqlx::query(
        "update attempts set revoked_at = $2 where verdict_id = $1 and revoked_at is null",
    )
    .bind(Text(id))
    .bind(At(now))
    .execute(writer.sqlite())
    .await?;
    Ok(changed.rows_affected() == 1)
}

#[derive(FromRow)]
struct Row {
    verdict_id: Text<VerdictId>,
    verification: Text<VerificationId>,
    attempt: u32,
    summary: String,
    judged: Json<Judged>,
    subject: Json<Subject>,
    enrolment_revision: Option<u32>,
    policy_sha256: Text<Sha256>,
    attempts_so_far: u32,
    worker_version: Option<String>,
    rebuilt_sha512: Option<Text<Sha512>>,
    log_sha256: Option<Text<Sha256>>,
    envelope: Option<Json<Envelope>>,
    judged_at: At,
    revoked_at: Option<At>,
}

impl From<Row> for AttemptRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.verdict_id.0,
            verification: row.verification.0,
            attempt: row.attempt,
            summary: row.summary,
            judged: row.judged.0,
            subject: row.subject.0,
            enrolment_revision: row.enrolment_revision,
            policy_sha256: row.policy_sha256.0,
            attempts_so_far: row.attempts_so_far,
            worker_version: row.worker_version,
            rebuilt_sha512: row.rebuilt_sha512.map(|digest| digest.0),
            log_sha256: row.log_sha256.map(|digest| digest.0),
            envelope: row.envelope.map(|envelope| envelope.0),
            judged_at: row.judged_at.0,
            revoked_at: row.revoked_at.map(|at| at.0),
        }
    }
}
