//! `countersign doctor`: what this machine lacks for rebuilding untrusted code, each with the line that mends it.

use std::io::Write;

use countersign_core::toolchain::DEFAULT_NPM;
use countersign_worker::{
    sandbox::{self, Wall},
    settings::default_work,
    toolchain::{Cache, default_folder},
    upstream::{Upstream, UpstreamConfig},
};

use super::exit;

/// Arguments of `countersign doctor`.
#[derive(clap::Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Print the walls as JSON and nothing else
    #[arg(long)]
    json: bool,
}

/// Exit code 0 where nothing is missing, else 1.
pub(crate) async fn run(args: &DoctorArgs) -> anyhow::Result<u8> {
    let is_root = rustix::process::geteuid().is_root();
    let work = default_work(is_root);
    let mut walls = tokio::task::spawn_blocking(move || sandbox::walls(&work)).await?;
    walls.push(git());
    walls.push(registry(is_root).await);
    let whole = walls.iter().all(|wall| wall.stands);
    let text = if args.json { as_json(&walls)? } else { as_lines(&walls, whole) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if whole { exit::PASS } else { exit::FAIL })
}

fn as_json(walls: &[Wall]) -> anyhow::Result<String> {
    let list: Vec<_> = walls
        .iter()
        .map(|wall| serde_json::json!({ "name": wall.name, "stands": wall.stands, "detail": wall.detail, "mend": wall.mend }))
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&list)?))
}

fn as_lines(walls: &[Wall], whole: bool) -> String {
    let mut text = String::new();
    for wall in walls {
        let symbol = if wall.stands { "✔" } else { "✘" };
        text.push_str(&format!("{symbol} {}: {}\n", wall.name, wall.detail));
        if let Some(mend) = wall.mend.as_ref().filter(|_| !wall.stands) {
            text.push_str(&format!("    {mend}\n"));
        }
    }
    let said = if whole {
        "This machine can rebuild."
    } else {
        "This machine cannot rebuild untrusted code until that is mended."
    };
    text.push_str(&format!("\n{said}\n"));
    text
}

fn git() -> Wall {
    let version = std::process::Command::new("git").arg("--version").output();
    let found = version.ok().filter(|output| output.status.success());
    Wall {
        name: "git",
        stands: found.is_some(),
        detail: found.map_or_else(
            || "the program git is not installed".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ),
        mend: Some("apt-get install -y git".to_owned()),
    }
}

/// Whether the registry that npm is configured for answers.
async fn registry(is_root: bool) -> Wall {
    let asked = ask_registry(is_root).await;
    Wall {
        name: "registry",
        stands: asked.is_ok(),
        detail: asked.unwrap_or_else(|error| format!("{error:#}")),
        mend: Some("npm ping    # must answer; see `registry` and `cafile` in ~/.npmrc".to_owned()),
    }
}

async fn ask_registry(is_root: bool) -> anyhow::Result<String> {
    let cache = Cache::open(&default_folder(|name| std::env::var(name).ok(), is_root)?, is_root)?;
    let upstream = Upstream::new(&UpstreamConfig::from_environment()?, &cache.registry_folder())?;
    let name = "npm".parse().expect("npm is a package name");
    let version = DEFAULT_NPM.parse().expect("the default is a version");
    upstream.manifest(&name, &version).await?;
    Ok(format!("{} answers", upstream.registries().default.name()))
}
