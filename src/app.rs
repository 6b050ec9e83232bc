//! The parts of the service in one value that every request gets: [`App`]. It opens them and hands them out; what is done
//! with them is known to `intake`, `queue`, `approval` and the routes.
//!
//! ```text
//! let app = App::open(config, Arc::new(SystemClock)).await?;
//! app.now();                         // the only "now" of the service
//! app.store.read().await?;           // crate::store
//! app.blobs.tarball(sha512).await?;  // checked bytes
//! app.upstream                       // registries that are read through (countersign_worker::upstream)
//! app.config.base_url();             // what addresses of ours begin with
//! app.registry();                    // our own name as a registry, as subjects write it
//! ```
//!
//! What the routes call, each with its own list of refusals that `crate::error::Error` translates to HTTP:
//!
//! ```text
//! asker::identify(&app, bearer).await?            -> Option<Asker>      // npm session or API token
//! asker::identify_page(&app, cookie).await?       -> Option<Asker>      // the pages' cookie
//! second_factor::sign_in(&app, SignIn { kind, name, password, code }).await -> Result<NewSession, SignInRefused>
//! second_factor::sign_out(&app, &session).await
//! intake::stage(&app, &asker, Staging { … }).await        -> Result<VerificationId, IntakeRefused>
//! intake::submit(&app, &asker, Submission { … }).await    -> Result<VerificationId, IntakeRefused>
//! reports::report_of(&app, &mut reader, id).await         -> Result<Option<Report>>     // pending or judged
//! queue::{lease, heartbeat, upload_rebuilt, upload_log, report, rerun, cancel, sweep}
//! approval::approve(&app, &asker, id, otp, shown).await   -> Result<Approved, ApprovalRefused>
//! approval::reject(&app, &asker, id, otp, reason).await   -> Result<(), ApprovalRefused>
//! ```

use std::{
    fs::DirBuilder,
    ops::Deref,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use countersign_core::Timestamp;
use countersign_worker::upstream::Upstream;

use crate::{blobs::Blobs, config::Config, door::Rates, signer::Signer, store::Store};

/// Where "now" comes from. It is handed in so that tests can move it; no binary takes it from a flag, the environment or a
/// request.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The parts of the service.
#[derive(Debug)]
pub struct Parts {
    /// What the operator set.
    pub config: Config,
    /// Everything that must survive the process.
    pub store: Store,
    /// Tarballs and logs.
    pub blobs: Blobs,
    /// The key that verdicts are signed with.
    pub signer: Signer,
    /// The registries that are read through.
    pub upstream: Upstream,
    /// How often each address asked.
    pub(crate) rates: Rates,
    clock: Arc<dyn Clock>,
}

/// The service. Cloning gives another handle of the same.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Opens every part, making what does not exist yet, and brings the database forward.
    ///
    /// # Errors
    /// Where a folder, the database, the key or the registries' configuration cannot be used; the message names it.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        make_folder(&config.data)?;
        let store = Store::open(&config.database_address()).await?;
        let blobs = Blobs::open(&config.blobs_folder()?)?;
        let signer = Signer::open(&config.data)?;
        let packages = config.cache_folder().join("packages");
        let upstream = Upstream::new(config.upstream(), &packages)
            .context("the registries that are read through cannot be used")?;
        let rates = Rates::new(config.requests_per_second);
        Ok(Self(Arc::new(Parts { config, store, blobs, signer, upstream, rates, clock })))
    }

    /// The present moment, in the whole service.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Our own name as a registry: the base address, without a last slash.
    pub fn registry(&self) -> String {
        self.config.base_url()
    }
}

fn make_folder(folder: &PathBuf) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the data folder `{}` cannot be made", folder.display()))
}
