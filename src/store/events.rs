//! The one sequence of events: appended in the transaction of the change that each tells of, read after a number, and
//! waited for. Whoever waits is woken at once by its own process and within [`POLL`] by another one's writing.

use std::time::Duration;

use countersign_core::{PackageName, Timestamp, protocol::VerificationId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use tokio::sync::{Mutex, watch};

use super::{
    Connection, Result, Store, Writer,
    column::{At, Json, Text, Word},
};

/// How often the table is looked at for what other processes wrote, and only while somebody waits.
const POLL: Duration = Duration::from_millis(250);

/// What happened, in the past tense. A kind never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A maintainer was added by an operator.
    MaintainerAdded,
    /// A session began.
    SignedIn,
    /// A session was ended before its time.
    SignedOut,
    /// Guesses of an account reached the limit.
    GuessesExhausted,
    /// A token was made.
    TokenCreated,
    /// A token was ended before its time.
    TokenRevoked,
    /// An enrolment took force.
    Enrolled,
    /// An artifact was staged, or submitted to the verify API.
    Staged,
    /// A worker took the job.
    Leased,
    /// The job reached another phase.
    Progressed,
    /// The tag does not exist yet; it is looked for again.
    TagMissed,
    /// A tag was seen for the first time.
    TagSeen,
    /// A worker was lost: its lease ran out.
    LeaseExpired,
    /// A worker's report was refused, since the service does not come to the same verdict.
    ReportRefused,
    /// We could not tell, and try again.
    Retrying,
    /// The verdict stands.
    Judged,
    /// A rerun was asked for.
    Rerun,
    /// The verification was withdrawn.
    Cancelled,
    /// A maintainer approved; the release is under way.
    Approved,
    /// A maintainer rejected the stage.
    Rejected,
    /// The version is live.
    Released,
}

/// One event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The verification that it is about.
    pub verification: Option<VerificationId>,
    /// The package that it is about.
    pub package: Option<PackageName>,
    /// A maintainer's name, a token's id, a worker, `operator`, or `countersign` for what time brings.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// A JSON object with the particulars. Never a secret.
    pub data: Value,
}

/// An event with its place in the sequence.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// Rises with every event; the `id:` of the event stream.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

/// Appends an event to the sequence.
pub async fn append(writer: &mut Writer, event: &Event) -> Result<i64> {
    let seq: i64 = sqlx::query_scalar(
        "insert into events (at, kind, verification, package, actor, data)
         values ($1, $2, $3, $4, $5, $6) returning seq",
    )
    .bind(At(event.at))
    .bind(Word(event.kind))
    .bind(event.verification.map(Text))
    .bind(event.package.as_ref().map(PackageName::as_str))
    .bind(&event.actor)
    .bind(Json(&event.data))
    .fetch_one(writer.sqlite())
    .await?;
    writer.last_event = Some(seq);
    Ok(seq)
}

/// At most `limit` events after `seq`, oldest first; of one verification where one is named.
pub async fn after(
    at: &mut Connection,
    seq: i64,
    verification: Option<VerificationId>,
    limit: u32,
) -> Result<Vec<Recorded>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select seq, at, kind, verification, package, actor, data from events
         where seq > $1 and ($2 is null or verification = $2) order by seq limit $3",
    )
    .bind(seq)
    .bind(verification.map(Text))
    .bind(limit)
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(Recorded::from).collect())
}

/// The number of the newest event; 0 where there is none.
pub async fn last(at: &mut Connection) -> Result<i64> {
    Ok(sqlx::query_scalar("select coalesce(max(seq), 0) from events")
        .fetch_one(at.sqlite())
        .await?)
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    at: At,
    kind: Word<EventKind>,
    verification: Option<Text<VerificationId>>,
    package: Option<Text<PackageName>>,
    actor: String,
    data: Json<Value>,
}

impl From<Row> for Recorded {
    fn from(row: Row) -> Self {
        let event = Event {
            kind: row.kind.0,
            verification: row.verification.map(|id| id.0),
            package: row.package.map(|name| name.0),
            actor: row.actor,
            at: row.at.0,
            data: row.data.0,
        };
        Self { seq: row.seq, event }
    }
}

/// Wakes those who wait. One of them looks at the table for all others of its process, so that a thousand open pages
/// cost the database no more than one.
#[derive(Debug)]
pub struct Events {
    newest: watch::Sender<i64>,
    looking: Mutex<()>,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { newest: watch::Sender::new(0), looking: Mutex::new(()) }
    }

    pub(super) fn announce(&self, seq: i64) {
        self.newest.send_if_modified(|newest| {
            let is_newer = seq > *newest;
            *newest = seq.max(*newest);
            is_newer
        });
    }

    pub(super) async fn wait_after(&self, store: &Store, seq: i64) -> Result<()> {
        let mut newest = self.newest.subscribe();
        tokio::select! {
            // The sender lives in `self`, so waiting cannot fail.
            _ = newest.wait_for(|newest| *newest > seq) => Ok(()),
            looked = self.look_until(store, seq) => looked,
        }
    }

    async fn look_until(&self, store: &Store, seq: i64) -> Result<()> {
        let _only_one = self.looking.lock().await;
        loop {
            let newest = last(&mut store.read().await?).await?;
            self.announce(newest);
            if newest > seq {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
