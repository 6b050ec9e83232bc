//! `countersign toolchain TOOL [VERSION]` (hidden): brings a pinned node or package manager into the cache and prints its folder, so
//! that the repository's scripts rely on no system node.

use std::io::Write;

use countersign_core::toolchain::{Tool, ToolName};
use countersign_worker::{
    toolchain::{Cache, default_folder},
    upstream::{Upstream, UpstreamConfig},
};

use super::exit;

/// Arguments of `countersign toolchain`.
#[derive(clap::Args, Debug)]
pub(crate) struct ToolchainArgs {
    /// Which tool
    #[arg(value_parser = ToolName::ALL.map(ToolName::as_str))]
    tool: String,
    /// The exact version [default: the one that the demo uses]
    version: Option<String>,
}

/// Prints the tool's folder.
pub(crate) async fn run(args: &ToolchainArgs) -> anyhow::Result<u8> {
    let name = ToolName::of(&args.tool).expect("clap takes the names of tools alone");
    let version = args.version.as_deref().unwrap_or(name.default_version()).parse()?;
    let is_root = rustix::process::geteuid().is_root();
    let cache = Cache::open(&default_folder(|name| std::env::var(name).ok(), is_root)?, is_root)?;
    let upstream = Upstream::new(&UpstreamConfig::from_environment()?, &cache.registry_folder())?;
    let folder = cache.ensure(&upstream, &Tool { name, version }, &mut |_, _| {}).await?;
    writeln!(std::io::stdout().lock(), "{}", folder.display())?;
    Ok(exit::PASS)
}
