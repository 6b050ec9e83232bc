//! Leases: which worker has which job, until when, and what it uploaded. The secret is known here only as a digest.

use countersign_core::{Sha256, Sha512, Timestamp, protocol::VerificationId, rebuild::Phase};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Connection, Result, Writer,
    column::{At, Text, Word},
};

/// How a lease ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseEnding {
    /// With a report that was taken.
    Reported,
    /// With a report that was refused.
    Refused,
    /// Without a sign of life.
    Expired,
    /// The verification was cancelled.
    Withdrawn,
}

/// A job in a worker's hands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRow {
    /// Names the lease in the store; not the secret.
    pub id: Uuid,
    /// The verification.
    pub verification: VerificationId,
    /// The attempt, over all rounds.
    pub attempt: u32,
    /// The worker's own name.
    pub worker: String,
    /// The token that took it.
    pub token: Uuid,
    /// What the worker holds the artifact against.
    pub enrolment_revision: u32,
    /// When it was given.
    pub granted_at: Timestamp,
    /// When it dies without another heartbeat.
    pub expires_at: Timestamp,
    /// The phase of the last heartbeat.
    pub phase: Option<Phase>,
    /// What is being done.
    pub detail: Option<String>,
    /// The rebuilt tarball that was uploaded.
    pub rebuilt_sha512: Option<Sha512>,
    /// The log that was uploaded.
    pub log_sha256: Option<Sha256>,
    /// How it ended and when; none while nobody ended it.
    pub ended: Option<(Timestamp, LeaseEnding)>,
}

impl LeaseRow {
    /// Whether it may be used.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.expires_at > now
    }
}

/// Gives a lease whose secret has this digest. Refused by `leases_one_live` where another worker has the job.
pub async fn insert(writer: &mut Writer, lease: &LeaseRow, secret: Sha256) -> Result<()> {
    sqlx::query(
        "insert into leases (id, verification, attempt, secret_sha256, worker, token, enrolment_revision,
            granted_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(Text(lease.id))
    .bind(Text(lease.verification))
    .bind(lease.attempt)
    .bind(Text(secret))
    .bind(&lease.worker)
    .bind(Text(lease.token))
    .bind(lease.enrolment_revision)
    .bind(At(lease.granted_at))
    .bind(At(lease.expires_at))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The lease of that secret, dead or alive.
pub async fn find(at: &mut Connection, secret: Sha256) -> Result<Option<LeaseRow>> {
    let row: Option<Row> = sqlx::query_as("select * from leases where secret_sha256 = $1")
        .bind(Text(secret))
        .fetch_optional(at.sqlite())
        .await?;
    Ok(row.map(LeaseRow::from))
}

/// The lease of a verification that nobody ended.
pub async fn open_of(at: &mut Connection, id: VerificationId) -> Result<Option<LeaseRow>> {
    let row: Option<Row> =
        sqlx::query_as("select * from leases where verification = $1 and ended_at is null")
            .bind(Text(id))
            .fetch_optional(at.sqlite())
            .await?;
    Ok(row.map(LeaseRow::from))
}

/// The leases whose time is over and that nobody ended.
pub async fn overdue(at: &mut Connection, now: Timestamp) -> Result<Vec<LeaseRow>> {
    let rows: Vec<Row> =
        sqlx::query_as("select * from leases where ended_at is null and expires_at <= $1")
            .bind(At(now))
            .fetch_all(at.sqlite())
            .await?;
    Ok(rows.into_iter().map(LeaseRow::from).collect())
}

/// The workers that hold a live lease or did so since that moment, by name.
pub async fn workers_since(at: &mut Connection, since: Timestamp) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select distinct worker from leases where expires_at > $1 order by worker",
    )
    .bind(At(since))
    .fetch_all(at.sqlite())
    .await?)
}

/// Writes everything of it that may change.
pub async fn update(writer: &mut Writer, changed: &LeaseRow) -> Result<()> {
    sqlx::query(
        "update leases set expires_at = $2, phase = $3, detail = $4, rebuilt_sha512 = $5, log_sha256 = $6,
            ended_at = $7, ending = $8
         where id = $1",
    )
    .bind(Text(changed.id))
    .bind(At(changed.expires_at))
    .bind(changed.phase.map(Word))
    .bind(&changed.detail)
    .bind(changed.rebuilt_sha512.map(Text))
    .bind(changed.log_sha256.map(Text))
    .bind(changed.ended.map(|(at, _)| At(at)))
    .bind(changed.ended.map(|(_, ending)| Word(ending)))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    id: Text<Uuid>,
    verification: Text<VerificationId>,
    attempt: u32,
    worker: String,
    token: Text<Uuid>,
    enrolment_revision: u32,
    granted_at: At,
    expires_at: At,
    phase: Option<Word<Phase>>,
    detail: Option<String>,
    rebuilt_sha512: Option<Text<Sha512>>,
    log_sha256: Option<Text<Sha256>>,
    ended_at: Option<At>,
    ending: Option<Word<LeaseEnding>>,
}

impl From<Row> for LeaseRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.0,
            verification: row.verification.0,
            attempt: row.attempt,
            worker: row.worker,
            token: row.token.0,
            enrolment_revision: row.enrolment_revision,
            granted_at: row.granted_at.0,
            expires_at: row.expires_at.0,
            phase: row.phase.map(|phase| phase.0),
            detail: row.detail,
            rebuilt_sha512: row.rebuilt_sha512.map(|digest| digest.0),
            log_sha256: row.log_sha256.map(|digest| digest.0),
            ended: row.ended_at.zip(row.ending).map(|(at, ending)| (at.0, ending.0)),
        }
    }
}
