//! What a worker has to know: the service, its token, the registries, its folders. A worker that a service starts gets all
//! of it through one pipe; one that an operator starts reads it from its environment. Nothing is decided here.

use std::{io::BufRead, path::PathBuf, time::Duration};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{
    reach::Reach,
    sandbox::Limits,
    upstream::{Secret, UpstreamConfig},
};

/// Everything that a worker has to know.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The service's address.
    pub service: String,
    /// A token with the scope `worker`.
    pub token: Secret,
    /// The worker's name, for people.
    pub name: String,
    /// The registries, with their credentials.
    pub upstream: UpstreamConfig,
    /// Toolchains, packages and repositories that were fetched before.
    pub cache: PathBuf,
    /// Where rebuilds take place.
    pub work: PathBuf,
    /// What may be reached beyond the public network: repositories that an enrolment or a package names.
    #[serde(default)]
    pub reach: Reach,
    /// The bounds of a rebuild, where they are not those of `countersign_core::limits`.
    #[serde(default)]
    pub limits: RebuildLimits,
}

/// Bounds of a rebuild that an operator may set; none keeps the default.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RebuildLimits {
    /// Wall time of all steps together.
    pub seconds: Option<u64>,
    /// A step that prints nothing for so long is ended.
    pub silence_seconds: Option<u64>,
    /// Memory of all processes together.
    pub memory_bytes: Option<u64>,
    /// The work area.
    pub disk_bytes: Option<u64>,
    /// Processes and threads at one time.
    pub processes: Option<u64>,
    /// What a step may print.
    pub output_bytes: Option<u64>,
}

impl RebuildLimits {
    /// As the sandbox takes them.
    pub fn into_sandbox(self) -> Limits {
        let default = Limits::default();
        Limits {
            wall: self.seconds.map_or(default.wall, Duration::from_secs),
            silence: self.silence_seconds.map_or(default.silence, Duration::from_secs),
            memory_bytes: self.memory_bytes.unwrap_or(default.memory_bytes),
            disk_bytes: self.disk_bytes.unwrap_or(default.disk_bytes),
            processes: self.processes.unwrap_or(default.processes),
            output_bytes: self.output_bytes.unwrap_or(default.output_bytes),
            ..default
        }
    }
}

/// What stands on the command line of a worker that an operator starts.
#[derive(clap::Args, Clone, Debug)]
pub struct WorkerArgs {
    /// The service's address
    #[arg(long, env = "COUNTERSIGN_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// A file with a token of the scope `worker`
    #[arg(long, env = "COUNTERSIGN_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// What was fetched before: toolchains, packages, repositories
    #[arg(long, env = "COUNTERSIGN_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Where rebuilds take place
    #[arg(long, env = "COUNTERSIGN_WORK", value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// A host inside a private network that repositories may be fetched from; may be given again
    #[arg(long = "private-host", value_name = "HOST")]
    pub private_hosts: Vec<String>,
    /// Read the whole configuration as JSON from standard input; for a service that starts its own workers
    #[arg(long, hide = true)]
    pub settings_from_stdin: bool,
}

impl WorkerArgs {
    /// The settings, from the pipe or from arguments and environment.
    ///
    /// # Errors
    /// Names what is missing or cannot be read.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        if self.settings_from_stdin {
            let mut text = String::new();
            // One line: the pipe stays open behind it, and its end says that the service is gone.
            std::io::stdin()
                .lock()
                .read_line(&mut text)
                .context("the settings cannot be read from standard input")?;
            return serde_json::from_str(&text)
                .context("the settings on standard input are not those of a worker");
        }
        let is_root = rustix::process::geteuid().is_root();
        let cache = match &self.cache {
            Some(folder) => folder.clone(),
            None => crate::toolchain::default_folder(|name| std::env::var(name).ok(), is_root)?,
        };
        Ok(Settings {
            service: self
                .server
                .clone()
                .context("name the service with --server URL or COUNTERSIGN_SERVER")?,
            token: self.token()?,
            name: own_name(),
            upstream: UpstreamConfig::from_environment()?,
            cache,
            work: self.work.clone().unwrap_or_else(|| default_work(is_root)),
            reach: self
                .private_hosts
                .iter()
                .fold(Reach::default(), |reach, host| reach.naming(host)),
            limits: RebuildLimits::default(),
        })
    }

    fn token(&self) -> anyhow::Result<Secret> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("`{}` cannot be read", path.display()))?;
            return Ok(Secret::new(text.trim()));
        }
        let token = std::env::var("COUNTERSIGN_TOKEN").ok().filter(|token| !token.is_empty());
        let token = token.context(
            "give a token of the scope `worker` in COUNTERSIGN_TOKEN or with --token-file",
        )?;
        Ok(Secret::new(token.trim()))
    }
}

/// Where rebuilds take place unless it is said: every parent has to be searchable by the build's own user.
pub fn default_work(is_root: bool) -> PathBuf {
    if is_root {
        PathBuf::from("/var/lib/countersign/work")
    } else {
        PathBuf::from(format!("/var/tmp/countersign-{}", rustix::process::geteuid().as_raw()))
    }
}

/// Host and process: enough to find the worker that a lease names.
pub fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host}/{}", std::process::id())
}
