//! Verifications: what is to be verified and where it stands. Which state follows which is known to `queue`.

use countersign_core::{
    Access, PackageName, Sha1, Sha256, Sha512, Subject, Timestamp, Version,
    protocol::{VerdictId, VerificationId},
    report::{Enforcement, State},
    source::Claim,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;

use super::{
    Connection, Result, Writer,
    column::{At, Count, Json, Text, Word},
};

/// Where a verification comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It was staged here: we hold it back and would release it.
    Stage,
    /// Another registry asks about it.
    Api,
}

/// What kind of caller brought it; the words are npm's (`actorType`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ActorType {
    /// A person.
    #[serde(rename = "user")]
    User,
    /// A machine with a token.
    #[serde(rename = "trusted automation")]
    TrustedAutomation,
}

impl ActorType {
    /// npm's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::TrustedAutomation => "trusted automation",
        }
    }
}

/// A verification. What stands above `state` never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// The id; for a stage, npm's stage id.
    pub id: VerificationId,
    /// Where it comes from.
    pub origin: Origin,
    /// What is to be verified.
    pub subject: Subject,
    /// Size of the tarball; none where its bytes were never brought.
    pub bytes: Option<u64>,
    /// npm's SHA-1 of the tarball.
    pub shasum: Option<Sha1>,
    /// What somebody said about the commit.
    pub claims: Vec<Claim>,
    /// Whether the verdict can be gone round.
    pub enforcement: Enforcement,
    /// Who brought it.
    pub actor: String,
    /// What kind of caller that is.
    pub actor_type: ActorType,
    /// When it was staged, by the word of whoever staged it.
    pub staged_at: Timestamp,
    /// When it came in.
    pub created_at: Timestamp,

    /// Where it stands.
    pub state: State,
    /// When the present round began; a rerun begins another.
    pub round_started_at: Timestamp,
    /// Attempts of this round that came to an end.
    pub attempts: u32,
    /// Not leased before; none where nothing is to be done.
    pub next_attempt_at: Option<Timestamp>,
    /// Until when the tag is waited for; none before it was first missed.
    pub tag_wait_until: Option<Timestamp>,
    /// Looks for the tag in vain.
    pub tag_looks: u32,
    /// The verdict that stands.
    pub verdict: Option<VerdictId>,
    /// When the stage was decided or withdrawn; live while there is none.
    pub closed_at: Option<Timestamp>,
}

/// Adds a verification with the version's manifest. Refused by `verifications_one_live_stage` where this version is
/// staged already.
pub async fn insert(
    writer: &mut Writer,
    new: &Verification,
    manifest: Option<&Value>,
) -> Result<()> {
    sqlx::query(
        "insert into verifications (id, origin, registry, package, version, sha512, manifest_sha256, dist_tag,
            access, bytes, shasum, manifest, claims, enforcement, actor, actor_type, staged_at, created_at,
            state, round_started_at, attempts, next_attempt_at, tag_wait_until, tag_looks, verdict_id, closed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
            $22, $23, $24, $25, $26)",
    )
    .bind(Text(new.id))
    .bind(Word(new.origin))
    .bind(&new.subject.registry)
    .bind(new.subject.name.as_str())
    .bind(new.subject.version.as_str())
    .bind(Text(new.subject.sha512))
    .bind(new.subject.manifest_sha256.map(Text))
    .bind(&new.subject.dist_tag)
    .bind(new.subject.access.map(Word))
    .bind(new.bytes.map(Count))
    .bind(new.shasum.map(Text))
    .bind(manifest.map(Json))
    .bind(Json(&new.claims))
    .bind(Word(new.enforcement))
    .bind(&new.actor)
    .bind(Word(new.actor_type))
    .bind(At(new.staged_at))
    .bind(At(new.created_at))
    .bind(Word(new.state))
    .bind(At(new.round_started_at))
    .bind(new.attempts)
    .bind(new.next_attempt_at.map(At))
    .bind(new.tag_wait_until.map(At))
    .bind(new.tag_looks)
    .bind(new.verdict.map(Text))
    .bind(new.closed_at.map(At))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// Writes everything of it that may change.
pub async fn update(writer: &mut Writer, changed: &Verification) -> Result<()> {
    sqlx::query(
        "update verifications set state = $2, round_started_at = $3, attempts = $4, next_attempt_at = $5,
            tag_wait_until = $6, tag_looks = $7, verdict_id = $8, closed_at = $9
         where id = $1",
    )
    .bind(Text(changed.id))
    .bind(Word(changed.state))
    .bind(At(changed.round_started_at))
    .bind(changed.attempts)
    .bind(changed.next_attempt_at.map(At))
    .bind(changed.tag_wait_until.map(At))
    .bind(changed.tag_looks)
    .bind(changed.verdict.map(Text))
    .bind(changed.closed_at.map(At))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The verification of that id.
pub async fn find(at: &mut Connection, id: VerificationId) -> Result<Option<Verification>> {
    let row: Option<Row> = sqlx::query_as("select * from verifications where id = $1")
        .bind(Text(id))
        .fetch_optional(at.sqlite())
        .await?;
    Ok(row.map(Verification::from))
}

/// The manifest of the version as it would be released.
pub async fn manifest(at: &mut Connection, id: VerificationId) -> Result<Option<Value>> {
    let row: Option<(Option<Json<Value>>,)> =
        sqlx::query_as("select manifest from verifications where id = $1")
            .bind(Text(id))
            .fetch_optional(at.sqlite())
            .await?;
    Ok(row.and_then(|(manifest,)| manifest).map(|manifest| manifest.0))
}

/// The live stage of that version.
pub async fn live_stage(
    at: &mut Connection,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Verification>> {
    let row: Option<Row> = sqlx::query_as(
        "select * from verifications
         where package = $1 and version = $2 and origin = 'stage' and closed_at is null",
    )
    .bind(package.as_str())
    .bind(version.as_str())
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(Verification::from))
}

/// The verification that is to be leased next, if one is due.
pub async fn due(at: &mut Connection, now: Timestamp) -> Result<Option<Verification>> {
    let row: Option<Row> = sqlx::query_as(
        "select * from verifications where next_attempt_at <= $1
         order by next_attempt_at, created_at, id limit 1",
    )
    .bind(At(now))
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(Verification::from))
}

/// Those that have waited for their tag long enough and that no worker looks at.
pub async fn tired_of_waiting(at: &mut Connection, now: Timestamp) -> Result<Vec<Verification>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from verifications
         where state = 'waiting-for-tag' and next_attempt_at is not null and tag_wait_until <= $1",
    )
    .bind(At(now))
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(Verification::from).collect())
}

/// How many wait for a worker, and how many are in one's hands.
pub async fn queue_length(at: &mut Connection) -> Result<(u64, u64)> {
    let (waiting, running): (Count, Count) = sqlx::query_as(
        "select coalesce(sum(state in ('queued', 'retrying', 'waiting-for-tag')), 0),
                coalesce(sum(state = 'running'), 0)
         from verifications where state in ('queued', 'retrying', 'waiting-for-tag', 'running')",
    )
    .fetch_one(at.sqlite())
    .await?;
    Ok((waiting.0, running.0))
}

#[derive(FromRow)]
pub(super) struct Row {
    id: Text<VerificationId>,
    origin: Word<Origin>,
    registry: String,
    package: Text<PackageName>,
    version: Text<Version>,
    sha512: Text<Sha512>,
    manifest_sha256: Option<Text<Sha256>>,
    dist_tag: Option<String>,
    access: Option<Word<Access>>,
    bytes: Option<Count>,
    shasum: Option<Text<Sha1>>,
    claims: Json<Vec<Claim>>,
    enforcement: Word<Enforcement>,
    actor: String,
    actor_type: Word<ActorType>,
    staged_at: At,
    created_at: At,
    state: Word<State>,
    round_started_at: At,
    attempts: u32,
    next_attempt_at: Option<At>,
    tag_wait_until: Option<At>,
    tag_looks: u32,
    verdict_id: Option<Text<VerdictId>>,
    closed_at: Option<At>,
}

impl From<Row> for Verification {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.0,
            origin: row.origin.0,
            subject: Subject {
                registry: row.registry,
                name: row.package.0,
                version: row.version.0,
                sha512: row.sha512.0,
                manifest_sha256: row.manifest_sha256.map(|digest| digest.0),
                dist_tag: row.dist_tag,
                access: row.access.map(|access| access.0),
            },
            bytes: row.bytes.map(|bytes| bytes.0),
            shasum: row.shasum.map(|digest| digest.0),
            claims: row.claims.0,
            enforcement: row.enforcement.0,
            actor: row.actor,
            actor_type: row.actor_type.0,
            staged_at: row.staged_at.0,
            created_at: row.created_at.0,
            state: row.state.0,
            round_started_at: row.round_started_at.0,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(|at| at.0),
            tag_wait_until: row.tag_wait_until.map(|at| at.0),
            tag_looks: row.tag_looks,
            verdict: row.verdict_id.map(|id| id.0),
            closed_at: row.closed_at.map(|at| at.0),
        }
    }
}
