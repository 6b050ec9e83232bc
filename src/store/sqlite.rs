//! SQLite: how it is opened, how it locks, and which constraint refused. It knows nothing of what is stored.

use std::{fs::File, str::FromStr, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Error, Result};

/// Another process may hold the write lock: a transaction of ours never computes inside it, so seconds mean trouble.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers of one process at once; each is a file handle and a thread.
const READERS_MAX: u32 = 8;

/// One connection that writes and several that read. SQLite has one writer at a time; queueing for it inside the
/// process is fair and wakes at once, where its own lock would poll.
#[derive(Clone, Debug)]
pub(super) struct Pools {
    writing: SqlitePool,
    reading: SqlitePool,
}

impl Pools {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Open {
            place: address.to_owned(),
            source,
        };
        let options = SqliteConnectOptions::from_str(address)
            .map_err(|error| failed(error.into()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A verdict or a release that was answered must survive a loss of power, which `normal` does not promise.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writing = open_in_turn(&options).await.map_err(failed)?;
        let reading = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(Self { writing, reading })
    }

    pub(super) async fn begin_reading(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.reading.begin().await?)
    }

    /// `immediate`: a transaction that began by reading and then writes fails with "busy" when another wrote between.
    pub(super) async fn begin_writing(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writing.begin_with("begin immediate").await?)
    }

    pub(super) async fn close(&self) {
        self.reading.close().await;
        self.writing.close().await;
    }
}

/// Opens the writing connection and brings the database forward, one process at a time: `serve` and an operator's command
/// may well start at once on an empty folder. SQLite has no lock that spans several migrations, and the change of a new
/// file to WAL does not wait for another connection that is at the same (it answers "busy" at once, whatever the timeout).
async fn open_in_turn(
    options: &SqliteConnectOptions,
) -> std::result::Result<SqlitePool, Box<dyn std::error::Error + Send + Sync>> {
    let path = options.get_filename().with_extension("migrating");
    let lock = move || {
        let file = File::options().create(true).append(true).open(path)?;
        file.lock()?;
        Ok::<File, std::io::Error>(file)
    };
    let _until_done = tokio::task::spawn_blocking(lock).await??;
    let writing = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    sqlx::migrate!("migrations/sqlite").run(&writing).await?;
    Ok(writing)
}

/// SQLite names the columns of a violated unique index and not the index. The second text is the name that the
/// migration gives it.
const UNIQUE: [(&str, &str); 8] = [
    ("verifications.package, verifications.version", "verifications_one_live_stage"),
    ("leases.verification", "leases_one_live"),
    ("attempts.verification, attempts.attempt", "attempts_number"),
    ("published_versions.package, published_versions.version", "published_versions_version"),
    ("published_versions.verification", "published_versions_once_per_stage"),
    ("maintainers.name", "maintainers_name"),
    ("enrolments.package, enrolments.revision", "enrolments_revision"),
    ("decisions.verification", "decisions_once"),
];

/// The constraint that refused, where it is one that callers ask for.
pub(super) fn refusing_constraint(error: &sqlx::Error) -> Option<&'static str> {
    let message = error.as_database_error()?.message();
    let columns = message.strip_prefix("UNIQUE constraint failed: ")?;
    UNIQUE.iter().find(|(listed, _)| *listed == columns).map(|(_, name)| *name)
}
