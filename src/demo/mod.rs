//! `countersign demo`: the main job from end to end, on this machine, with nothing mocked. A service with one worker is
//! started as a child process; a sample repository is written and served; the real npm stages a tampered release, one
//! that names another repository, and an honest one; a maintainer is refused where they should be and approves where
//! they may. Everything goes over HTTP and child processes, as an outsider would.

mod attended;
mod maintainer;
mod narrator;
mod npm;
mod repository;
mod service;
mod story;

use std::path::Path;

use countersign_core::toolchain::{DEFAULT_NODE, DEFAULT_NPM, Tool, ToolName};
use countersign_worker::{
    toolchain::{Cache, default_folder},
    upstream::{Upstream, UpstreamConfig},
};

/// All as it should.
const AS_IT_SHOULD: u8 = 0;
/// A step came out otherwise.
const NOT_AS_IT_SHOULD: u8 = 1;
/// The registry could not be reached, or this machine has no sandbox.
const NOT_POSSIBLE_HERE: u8 = 3;

/// It was asked to stop, as a shell tells it of a program that SIGTERM ended.
const TERMINATED: u8 = 128 + 15;

/// Arguments of `countersign demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct DemoArgs {
    /// Go through all of it, print each step, and exit
    #[arg(long)]
    unattended: bool,
}

/// Runs the demo. Exit code 0: all as it should; 1: not; 3: registry unreachable or no sandbox; 143: ended by SIGTERM.
#[expect(clippy::print_stderr, reason = "a command says on standard error what went wrong")]
pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<u8> {
    let folder = open_folder()?;
    let tools = match prepare(folder.path()).await {
        Ok(tools) => tools,
        Err(error) => {
            eprintln!(
                "countersign: the demo is not possible here: {error:#}\n  hint: countersign doctor"
            );
            return Ok(NOT_POSSIBLE_HERE);
        }
    };
    let told = async {
        if args.unattended {
            story::run(folder.path(), &tools).await
        } else {
            attended::run(folder.path(), &tools).await
        }
    };
    let came_out = tokio::select! {
        came_out = told => came_out,
        // What it had started ends with it: the service at once, and its worker with the service.
        () = terminated() => return Ok(TERMINATED),
    };
    match came_out {
        Ok(()) => Ok(AS_IT_SHOULD),
        Err(error) => {
            let log = service::Service::log_tail(folder.path());
            eprintln!("countersign: {error:#}\nthe service's log ends with:\n{log}");
            Ok(NOT_AS_IT_SHOULD)
        }
    }
}

/// Waits for SIGTERM. Ctrl-C reaches every program of a terminal by itself.
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// A folder whose parents anybody may pass through, as the build's own user must, and nobody may list.
fn open_folder() -> anyhow::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("countersign-demo-").tempdir_in("/var/tmp")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}

/// Makes sure of the sandbox and brings node and npm; the folder of both programs.
async fn prepare(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let walls = countersign_worker::sandbox::walls(folder);
    if let Some(gap) = walls.iter().find(|wall| !wall.stands) {
        anyhow::bail!("{}: {}", gap.name, gap.detail);
    }
    let is_root = rustix::process::geteuid().is_root();
    let cache = Cache::open(&default_folder(|name| std::env::var(name).ok(), is_root)?, is_root)?;
    let upstream = Upstream::new(&UpstreamConfig::from_environment()?, &cache.registry_folder())?;
    let mut paths = Vec::new();
    for (name, version) in [(ToolName::Node, DEFAULT_NODE), (ToolName::Npm, DEFAULT_NPM)] {
        let tool = Tool { name, version: version.parse().expect("the defaults are versions") };
        paths.push(cache.ensure(&upstream, &tool, &mut |_, _| {}).await?);
    }
    npm::lay_tools(&folder.join("tools"), &paths[0], &paths[1])
}
