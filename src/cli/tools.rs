//! What `check` needs of this machine, opened: the registries as the user's npm is configured, the cache, and a work
//! folder of its own for the length of the command.

use countersign_worker::{
    job::Tools,
    settings::{RebuildLimits, Settings, default_work},
    toolchain::default_folder,
    upstream::{Secret, UpstreamConfig},
};

/// Opens them; nothing is started or downloaded. `reuse`: rebuilds that were done before are used again.
pub(crate) fn open(reuse: bool) -> anyhow::Result<Tools> {
    let is_root = rustix::process::geteuid().is_root();
    let settings = Settings {
        service: String::new(),
        token: Secret::new(""),
        name: countersign_worker::settings::own_name(),
        upstream: UpstreamConfig::from_environment()?,
        cache: default_folder(|name| std::env::var(name).ok(), is_root)?,
        work: default_work(is_root),
        limits: RebuildLimits::default(),
    };
    let tools = Tools::open(&settings)?;
    Ok(if reuse { tools.reusing_rebuilds(&settings)? } else { tools })
}
