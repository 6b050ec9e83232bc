//! `countersign check` without a subject: before a version is spent. The package of the present folder is packed the way
//! it would be staged, with the user's own tools in the user's own work tree, and is then checked against a clean export of HEAD. What
//! lies in the folder and in no commit shows as what it is. This file knows nothing of the verdict.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use countersign_core::{package_json::PackageJson, source::Directory};

use crate::cli::terminal;

/// A package as it lies in a work tree, packed.
pub(super) struct WorkTree {
    /// The tarball, in a folder that goes with this value.
    pub(super) tarball: PathBuf,
    /// The repository's folder.
    pub(super) repository: PathBuf,
    /// The full name of the branch that HEAD is on.
    pub(super) reference: String,
    /// The package's folder inside it.
    pub(super) directory: Directory,
    _packed: tempfile::TempDir,
}

/// Packs the package of the present folder.
///
/// # Errors
/// Where this is no work tree with a package, or it cannot be packed: that is the user's to mend.
pub(super) fn pack() -> anyhow::Result<WorkTree> {
    let here = std::env::current_dir().context("the present folder is gone")?;
    let Ok(top) = git(&here, &["rev-parse", "--show-toplevel"]) else {
        bail!(
            "`{}` is no git work tree; name what to check, for example: countersign check left-pad@1.3.0",
            here.display()
        );
    };
    let repository = PathBuf::from(top);
    let folder = package_folder(&here, &repository)?;
    let Ok(reference) = git(&here, &["symbolic-ref", "--quiet", "HEAD"]) else {
        bail!(
            "HEAD is on no branch, so nothing names its commit; mend it with: git switch --create release"
        );
    };
    let inside = folder.strip_prefix(&repository).unwrap_or(Path::new(""));
    let directory: Directory =
        inside.to_str().context("the package's folder has a name that is not UTF-8")?.parse()?;
    tell_changes(&here)?;
    let packed = tempfile::tempdir()?;
    let tarball = run_packer(&folder, &repository, packed.path())?;
    Ok(WorkTree { tarball, repository, reference, directory, _packed: packed })
}

/// The nearest folder with a package.json, from here up to the repository's root, as npm looks for it.
fn package_folder(here: &Path, top: &Path) -> anyhow::Result<PathBuf> {
    let here = here.canonicalize()?;
    let upwards = here.ancestors().take_while(|folder| folder.starts_with(top));
    let found = upwards.into_iter().find(|folder| folder.join("package.json").is_file());
    found.map(Path::to_owned).with_context(|| {
        format!("neither `{}` nor a folder above it has a package.json", here.display())
    })
}

/// What is not committed is packed all the same, and it is what a release is refused for.
fn tell_changes(here: &Path) -> anyhow::Result<()> {
    let status = git(here, &["status", "--porcelain"])?;
    let changed = status.lines().count();
    if changed > 0 {
        terminal::complain(&format!(
            "  {changed} changes are not committed (git status); HEAD is what a release would be rebuilt from"
        ));
    }
    Ok(())
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output();
    let output = output.context("git could not be started")?;
    if !output.status.success() {
        bail!(
            "git {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Packs as the publishing command of the repository's package manager does: `prepublishOnly` first, which only publishing
/// runs, then the packing with its own scripts.
fn run_packer(folder: &Path, top: &Path, into: &Path) -> anyhow::Result<PathBuf> {
    let program = packer(folder, top)?;
    let destination = into.to_str().context("the temporary folder's path is not UTF-8")?;
    let has_script = package(folder)?.scripts().contains_key("prepublishOnly");
    if has_script {
        run(program, &["run", "prepublishOnly"], folder)?;
    }
    run(program, &["pack", "--pack-destination", destination], folder)?;
    let tarballs = std::fs::read_dir(into)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut tarballs = tarballs.filter(|path| path.extension().is_some_and(|end| end == "tgz"));
    tarballs.next().with_context(|| format!("{program} pack made no tarball"))
}

fn package(folder: &Path) -> anyhow::Result<PackageJson> {
    let path = folder.join("package.json");
    let bytes =
        std::fs::read(&path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    PackageJson::parse(&bytes).with_context(|| format!("`{}` cannot be used", path.display()))
}

/// pnpm where the repository says so: it writes package.json anew. Everything else publishes with npm, or packs the same.
fn packer(folder: &Path, top: &Path) -> anyhow::Result<&'static str> {
    let says_pnpm = |folder: &Path| {
        package(folder)
            .ok()
            .and_then(|package| package.package_manager().map(|named| named.starts_with("pnpm@")))
    };
    let by_lockfile =
        || folder.join("pnpm-lock.yaml").is_file() || top.join("pnpm-lock.yaml").is_file();
    let pnpm = says_pnpm(folder).or_else(|| says_pnpm(top)).unwrap_or_else(by_lockfile);
    Ok(if pnpm { "pnpm" } else { "npm" })
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> anyhow::Result<()> {
    terminal::complain(&format!("  {program} {}", arguments.join(" ")));
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.with_context(|| {
        format!("`{program}` could not be started; install it, since it is what would publish this package")
    })?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "{program} {} failed in `{}`, as it would when you publish:\n{}",
            arguments.join(" "),
            folder.display(),
            String::from_utf8_lossy(&said).trim()
        );
    }
    Ok(())
}
