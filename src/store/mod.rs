//! The store: everything that must survive the process, behind one set of functions, one file for each noun. Nothing
//! here decides; what a state change means is known to `intake`, `queue` and `approval`. No other module writes SQL.
//!
//! ```text
//! let store = Store::open(&settings).await?;              // brings the database forward
//! let mut reader = store.read().await?;                   // a snapshot: `&mut Connection`
//! let found = verifications::find(&mut reader, id).await?;
//! let mut writer = store.write().await?;                  // BEGIN IMMEDIATE; dropped without commit = rolled back
//! verifications::close(&mut writer, id, now).await?;
//! events::append(&mut writer, &Event::about(id, …)).await?;
//! writer.commit().await?;                                 // wakes whoever waits in `store.events()`
//! ```
//!
//! Functions that read take `&mut Connection`, functions that write take `&mut Writer`, and a `Writer` is a `Connection`
//! too. Everything that they take and give is a type of the core or a record of this module; no type of sqlx is visible.
//! A refusal by a constraint of the database is [`Error::Refused`] with the constraint's name.
//!
//! The SQL of the nouns keeps to what SQLite and PostgreSQL share (`$1`, `returning`, `on conflict`, partial indexes);
//! what differs (opening, locking, the names of violated constraints) stands in `sqlite.rs`, and how ids, times and JSON
//! are written in `column.rs`.

pub mod attempts;
mod column;
pub mod decisions;
pub mod enrolments;
pub mod events;
pub mod guesses;
pub mod idempotency;
pub mod leases;
pub mod listing;
pub mod maintainers;
pub mod published;
pub mod sessions;
mod sqlite;
pub mod tag_sights;
pub mod tokens;
pub mod verifications;

use std::sync::Arc;

pub use events::Events;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A constraint of the database refused: a race was decided, or a caller did not check.
    #[error("the database refused: {0}")]
    Refused(&'static str),
    /// The database cannot be opened or brought forward.
    #[error("the database {place} cannot be opened")]
    Open {
        /// Which one, without credentials.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database did not answer as it should.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl Error {
    /// Whether this constraint refused; its name is the one in the migration.
    pub fn is_refused_by(&self, constraint: &str) -> bool {
        matches!(self, Self::Refused(name) if *name == constraint)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match sqlite::refusing_constraint(&error) {
            Some(constraint) => Self::Refused(constraint),
            None => Self::Database(error),
        }
    }
}

/// What the functions of this module give back.
pub type Result<T> = std::result::Result<T, Error>;

/// The database. Cloning gives another handle of the same.
#[derive(Clone, Debug)]
pub struct Store {
    pools: sqlite::Pools,
    events: Arc<Events>,
}

impl Store {
    /// Opens the database at this address (`sqlite:///absolute/path`), creating it where it does not exist, and brings
    /// it forward.
    pub async fn open(address: &str) -> Result<Self> {
        let pools = sqlite::Pools::open(address).await?;
        let events = Arc::new(Events::new());
        Ok(Self { pools, events })
    }

    /// A snapshot to read from. What others write after its first query is not seen.
    pub async fn read(&self) -> Result<Connection> {
        Ok(Connection { transaction: self.pools.begin_reading().await? })
    }

    /// A transaction that writes, alone among all processes. Dropped without [`Writer::commit`], it never was.
    pub async fn write(&self) -> Result<Writer> {
        let connection = Connection { transaction: self.pools.begin_writing().await? };
        Ok(Writer { connection, last_event: None, events: Arc::clone(&self.events) })
    }

    /// The sequence of events, to wait for.
    pub fn events(&self) -> EventsOf<'_> {
        EventsOf { store: self }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        let mut reader = self.read().await?;
        sqlx::query("select 1").execute(reader.sqlite()).await?;
        Ok(())
    }

    /// Waits until everything written is on the disk and closes; for an orderly end.
    pub async fn close(&self) {
        self.pools.close().await;
    }
}

/// One view of the database, in a transaction.
#[derive(Debug)]
pub struct Connection {
    transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
}

impl Connection {
    fn sqlite(&mut self) -> &mut sqlx::SqliteConnection {
        &mut self.transaction
    }
}

/// A transaction that writes.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    last_event: Option<i64>,
    events: Arc<Events>,
}

impl Writer {
    /// Makes all of it true at once, and wakes those who wait for events.
    pub async fn commit(self) -> Result<()> {
        self.connection.transaction.commit().await?;
        if let Some(seq) = self.last_event {
            self.events.announce(seq);
        }
        Ok(())
    }
}

impl std::ops::Deref for Writer {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::ops::DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// The events of one store; see [`Events`].
#[derive(Debug)]
pub struct EventsOf<'s> {
    store: &'s Store,
}

impl EventsOf<'_> {
    /// Returns as soon as there is an event after `seq`, from whichever process. To be bounded by the caller
    /// (`tokio::time::timeout`).
    pub async fn wait_after(&self, seq: i64) -> Result<()> {
        self.store.events.wait_after(self.store, seq).await
    }
}
