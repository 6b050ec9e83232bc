//! Rebuilds that were done on this machine before, for whoever asks about many tarballs of one commit. An entry lies under a digest of
//! everything that the rebuild depended on and is written by the trusted parent after the sandbox is gone, by one rename. It is used
//! only where it was asked for, and the report says so. It knows nothing of the staged tarball but the digest that it refuses.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use countersign_core::{
    Sha256, Sha512, canonical,
    plan::Plan,
    rebuild::{NetworkRequest, Rebuild, RequestOutcome},
};
use serde::{Deserialize, Serialize};

use super::{Durations, Order, Rebuilt};
use crate::{toolchain, upstream::Registries};

/// The folder of kept rebuilds.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
}

/// Everything that the outcome of a rebuild depends on. A change of any of it is another entry.
#[derive(Serialize)]
struct Key<'a> {
    /// Of this program: what it does with a plan may change with it.
    version: &'static str,
    architecture: &'static str,
    /// What the host's `/usr` is, which the build sees.
    root: &'a str,
    commit: &'a str,
    commit_time: i64,
    /// Every path of the exported tree with its mode and blob.
    tree: Sha256,
    plan: Sha256,
    /// The bytes of each toolchain.
    toolchains: Vec<Sha512>,
    /// Which registries were asked.
    registries: Vec<String>,
    /// Scopes that the tree's settings send elsewhere.
    scopes: Vec<&'a str>,
    /// The mirror refuses it.
    subject: String,
    /// Whether it is the second of two by the same plan: never the first one over again.
    again: bool,
}

/// What lies beside the tarball.
#[derive(Serialize, Deserialize)]
struct Entry {
    rebuild: Rebuild,
    log: String,
    tarball: Sha256,
}

impl Kept {
    /// Opens the folder, and makes it where it is missing.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// The rebuild that was done of exactly this before. None where there is none, where it cannot be read, or where it
    /// installed what this staged tarball is: then the mirror would refuse it today.
    pub(crate) fn find(&self, key: Sha256, order: &Order<'_>) -> Option<Rebuilt> {
        let place = self.place(key);
        let entry: Entry =
            serde_json::from_slice(&fs::read(place.join("entry.json")).ok()?).ok()?;
        let tarball = fs::read(place.join("rebuilt.tgz")).ok()?;
        let mut dependencies = entry.rebuild.dependencies.iter();
        let installs_it =
            dependencies.any(|dependency| dependency.integrity.0 == order.subject.sha512);
        if Sha256::of(&tarball) != entry.tarball || installs_it {
            return None;
        }
        let mut rebuild = entry.rebuild;
        rebuild.reused = Some(key);
        let log = format!("countersign: this is the kept rebuild {key}\n{}", entry.log);
        Some(Rebuilt { rebuild, tarball: Some(tarball), log, durations: Durations::default() })
    }

    /// Keeps what came out, where something was packed and nothing was refused: what was refused may have been so for
    /// this one staged tarball. A disk that is full is no reason for a job to fail.
    pub(crate) fn keep(&self, key: Sha256, rebuilt: &Rebuilt) {
        let Some(tarball) = rebuilt.tarball.as_deref().filter(|_| may_be_kept(&rebuilt.rebuild))
        else {
            return;
        };
        let entry = Entry {
            rebuild: rebuilt.rebuild.clone(),
            log: rebuilt.log.clone(),
            tarball: Sha256::of(tarball),
        };
        if let Err(error) = write(&self.place(key), &entry, ("rebuilt.tgz", tarball)) {
            tracing::warn!(%error, "a rebuild could not be kept");
        }
    }

    fn place(&self, key: Sha256) -> PathBuf {
        self.folder.join(key.to_string())
    }
}

/// Puts an entry with its file into its place, by one rename.
pub(super) fn write(
    place: &Path,
    entry: &impl Serialize,
    (name, bytes): (&str, &[u8]),
) -> io::Result<()> {
    let making = tempfile::tempdir_in(place.parent().unwrap_or(place))?;
    fs::write(making.path().join(name), bytes)?;
    fs::write(making.path().join("entry.json"), serde_json::to_vec(entry)?)?;
    match fs::rename(making.path(), place) {
        Ok(()) => {
            let _ = making.keep();
            Ok(())
        }
        // Somebody else kept the same meanwhile, or what lies there could not be used.
        Err(_) if place.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn may_be_kept(rebuild: &Rebuild) -> bool {
    let refused = |request: &NetworkRequest| request.outcome == RequestOutcome::Refused;
    rebuild.ending.packed() && !rebuild.network.iter().any(refused)
}

/// The digest of all that a rebuild depends on. None where some part of the machine cannot be told: then nothing is kept
/// and nothing reused.
pub(super) fn key(order: &Order<'_>, registries: &Registries) -> Option<Sha256> {
    let root = host_root()?;
    Some(canonical::digest(&Key {
        version: env!("CARGO_PKG_VERSION"),
        architecture: std::env::consts::ARCH,
        root: &root,
        commit: &order.source.commit,
        commit_time: order.source.commit_time.as_millis(),
        tree: order.tree.identity(),
        plan: order.plan.digest(),
        toolchains: toolchains(order.plan)?,
        registries: registry_names(registries),
        scopes: order.scopes.iter().copied().collect(),
        subject: order.subject.spec(),
        again: order.again,
    }))
}

/// Which registries are asked for what.
pub(super) fn registry_names(registries: &Registries) -> Vec<String> {
    let scoped = registries.scopes.iter().map(|(scope, to)| format!("@{scope} {}", to.name()));
    scoped.chain([registries.default.name().to_owned()]).collect()
}

/// The bytes of each toolchain of a plan.
pub(super) fn toolchains(plan: &Plan) -> Option<Vec<Sha512>> {
    plan.tools().into_iter().map(|tool| Some(toolchain::pins().exact(tool)?.sha512)).collect()
}

/// What tells one state of the host's `/usr` from another: this program's own file, the list of packages, and when folders changed.
pub(super) fn host_root() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let stamp = |path: &str| {
        let about = fs::metadata(path).ok()?;
        Some(format!("{path} {} {} {}", about.ino(), about.len(), about.mtime()))
    };
    let needed = ["/proc/self/exe", "/usr", "/usr/bin", "/usr/lib"].map(stamp);
    let stamps: Option<Vec<String>> = needed.into_iter().collect();
    let packages = stamp("/var/lib/dpkg/status").unwrap_or_default();
    Some(format!("{}; {packages}", stamps?.join("; ")))
}
