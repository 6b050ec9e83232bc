//! What `check` needs of this machine, opened: the registries as the user's npm is configured, or as an operator's file
//! says that is named, the cache, and the work folder.

use countersign_worker::{
    job::Tools,
    reach::Reach,
    settings::{RebuildLimits, Settings, default_work},
    toolchain::default_folder,
    upstream::{Secret, UpstreamConfig},
};

use crate::config::{Config, Flags};

/// Opens them; nothing is started or downloaded. `reuse`: rebuilds that were done before are used again.
pub(crate) fn open(flags: &Flags, reuse: bool) -> anyhow::Result<Tools> {
    let is_root = rustix::process::geteuid().is_root();
    let settings = Settings {
        service: String::new(),
        token: Secret::new(""),
        name: countersign_worker::settings::own_name(),
        upstream: registries(flags)?.map_or_else(UpstreamConfig::from_environment, Ok)?,
        cache: default_folder(|name| std::env::var(name).ok(), is_root)?,
        work: default_work(is_root),
        reach: Reach::default(),
        limits: RebuildLimits::default(),
    };
    let tools = Tools::open(&settings)?;
    Ok(if reuse { tools.reusing_rebuilds(&settings)? } else { tools })
}

/// The registries of the operator's configuration, where one was named: its mapped scopes go before those of npm's own,
/// which is read beneath it.
///
/// # Errors
/// Where the named file cannot be read or is wrong.
pub(crate) fn registries(flags: &Flags) -> anyhow::Result<Option<UpstreamConfig>> {
    let named = std::env::var_os("COUNTERSIGN_CONFIG").is_some_and(|path| !path.is_empty());
    if flags.config.is_none() && !named {
        return Ok(None);
    }
    Ok(Some(Config::load(flags)?.upstream().clone()))
}
