//! What every job needs of this machine, opened once: registries, caches, folders and bounds. Nothing here knows of a job.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    checkout::GitCache,
    rebuild::{self, Installs, Kept, Means},
    sandbox::Limits,
    settings::Settings,
    toolchain::Cache,
    upstream::Upstream,
};

/// What stands at the sandbox's door: this very program, which hands `sandbox-init` on.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What every job needs of this machine, opened once.
pub struct Tools {
    /// The registries.
    pub upstream: Upstream,
    cache: Cache,
    /// The repositories.
    pub(crate) git: GitCache,
    work: PathBuf,
    /// The hosts of every configured registry.
    pub(crate) registry_hosts: BTreeSet<String>,
    limits: Limits,
    init: PathBuf,
    kept: Option<Kept>,
    installs: Option<Installs>,
}

impl Tools {
    /// Opens caches and folders; nothing is started or downloaded.
    ///
    /// # Errors
    /// Names the folder or the setting that cannot be used.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let cache = Cache::open(&settings.cache, is_root)?;
        let upstream = Upstream::new(&settings.upstream, &cache.registry_folder())?;
        let git = GitCache::new(
            &settings.cache.join("git"),
            &settings.upstream.client,
            &settings.reach,
            (&settings.work, Path::new(OWN_PROGRAM)),
        );
        let registry_hosts = settings.upstream.registries.hosts();
        let limits = settings.limits.clone().into_sandbox();
        let (work, init) = (settings.work.clone(), PathBuf::from(OWN_PROGRAM));
        Ok(Self {
            upstream,
            cache,
            git,
            work,
            registry_hosts,
            limits,
            init,
            kept: None,
            installs: None,
        })
    }

    /// The same, with a program other than the running one at the sandbox's door, as
    /// [`crate::sandbox::Slot::acquire_with_init`]: for whoever runs jobs in a program that is no worker.
    #[must_use]
    pub fn with_init(self, init: PathBuf) -> Self {
        let git = self.git.with_init(&init);
        Self { init, git, ..self }
    }

    /// The same, with rebuilds and installs of this machine used again where everything that they depend on is the same: for
    /// many tarballs of one commit, and for the next commit with the same lockfile. A report says where it was so. The
    /// service's own workers never do it.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn reusing_rebuilds(self, settings: &Settings) -> std::io::Result<Self> {
        let kept = Kept::open(settings.cache.join("rebuilds"))?;
        let installs = Installs::open(settings.cache.join("installs"))?;
        Ok(Self { kept: Some(kept), installs: Some(installs), ..self })
    }

    /// Clears away what workers that died left on this machine. A worker does it when it starts; jobs of living workers
    /// are not touched.
    ///
    /// # Errors
    /// A wall of the sandbox is missing, or something cannot be removed.
    pub fn sweep(&self) -> anyhow::Result<()> {
        rebuild::sweep(&self.work)
    }

    pub(crate) fn means(&self) -> Means<'_> {
        Means {
            upstream: &self.upstream,
            cache: &self.cache,
            work: self.work.clone(),
            limits: self.limits.clone(),
            init: &self.init,
            kept: self.kept.as_ref(),
            installs: self.installs.as_ref(),
        }
    }
}
