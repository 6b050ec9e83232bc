//! Installs that were done on this machine before. Where an install depends on nothing but a package.json, a lockfile that names each
//! package by its bytes, and an `.npmrc`, it is made of these files alone, before the rest of the tree is there, and its `node_modules` is
//! kept as one archive under a digest of all that it depends on. The trusted parent never looks into that archive: it is packed and
//! unpacked behind the walls. It is used only where it was asked for, and the report says so.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use countersign_core::{
    Sha256, Sha512, Subject, canonical,
    limits::KEPT_INSTALLS_BYTES_MAX,
    plan::Install,
    rebuild::{Dependency, NetworkRequest, Phase, RequestOutcome},
    toolchain::ToolName,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, Order, kept};
use crate::{
    checkout::{ExportTree, Kind},
    mirror::Record,
    upstream::Registries,
};

/// The files of its folder that npm reads when it installs by a lockfile and runs no script.
const READ_BY_NPM: [&str; 4] =
    ["package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"];

/// The archive of `node_modules` in an entry.
const ARCHIVE: &str = "node_modules.tar";

/// The folder of kept installs.
#[derive(Clone, Debug)]
pub(crate) struct Installs {
    folder: PathBuf,
}

/// An install that depends on few files of the tree.
#[derive(Debug)]
pub(super) struct Alone {
    /// The digest of all that it depends on.
    pub(super) key: Sha256,
    /// These files.
    pub(super) tree: ExportTree,
    /// The version in package.json, which npm writes into `node_modules` and nothing else follows from.
    pub(super) version: String,
}

/// What lies beside the archive of an install.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    archive: Sha256,
    version: String,
    dependencies: Vec<Dependency>,
    requests: Vec<NetworkRequest>,
    cutoff_unreliable: bool,
}

/// An install of before.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) key: Sha256,
    /// The archive of `node_modules`, on the host.
    pub(super) archive: PathBuf,
    /// The version that stands in it.
    pub(super) version: String,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) requests: Vec<NetworkRequest>,
    pub(super) cutoff_unreliable: bool,
}

/// All that an install depends on.
#[derive(Serialize)]
struct Key<'a> {
    version: &'static str,
    architecture: &'static str,
    root: &'a str,
    directory: &'a str,
    argv: &'a [String],
    toolchains: Vec<Sha512>,
    registries: Vec<String>,
    scopes: Vec<&'a str>,
    files: BTreeMap<String, Sha256>,
}

/// The files that the plan's install depends on, where they are few and known: npm by its lockfile, in a package that is no
/// workspace, with every package named by a registry's bytes, and no `node_modules` in the tree.
pub(super) fn alone(order: &Order<'_>, registries: &Registries) -> Result<Option<Alone>, Failure> {
    let plan = order.plan;
    let Install::Lockfile { directory, argv, .. } = &plan.install else { return Ok(None) };
    let modules = directory.join("node_modules");
    let in_modules = |path: String| {
        path.strip_prefix(&modules).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if plan.package_manager.name != ToolName::Npm || order.tree.paths().any(in_modules) {
        return Ok(None);
    }
    let tree = order.tree.only(|path| READ_BY_NPM.iter().any(|name| directory.join(name) == path));
    let Some(files) = contents(&tree)? else { return Ok(None) };
    let file = |name: &str| files.get(&directory.join(name));
    let Some(package) = file("package.json").and_then(|bytes| without_version(bytes)) else {
        return Ok(None);
    };
    let lockfile = file("npm-shrinkwrap.json").or_else(|| file("package-lock.json"));
    let Some(lockfile) = lockfile.and_then(|bytes| without_version(bytes)) else { return Ok(None) };
    if package.value.get("workspaces").is_some() || !is_closed(&lockfile.value) {
        return Ok(None);
    }
    let digest_of = |name: &str, bytes: &Vec<u8>| match without_version(bytes) {
        Some(read) if !name.ends_with(".npmrc") => canonical::digest(&read.value),
        Some(_) | None => Sha256::of(bytes),
    };
    let (Some(root), Some(toolchains)) = (kept::host_root(), kept::toolchains(plan)) else {
        return Ok(None);
    };
    let key = canonical::digest(&Key {
        version: env!("CARGO_PKG_VERSION"),
        architecture: std::env::consts::ARCH,
        root: &root,
        directory: directory.as_str(),
        argv,
        toolchains,
        registries: kept::registry_names(registries),
        scopes: order.scopes.iter().copied().collect(),
        files: files.iter().map(|(name, bytes)| (name.clone(), digest_of(name, bytes))).collect(),
    });
    Ok(Some(Alone { key, tree, version: package.version }))
}

/// The files of a tree by their paths; none where one of them is no file.
fn contents(tree: &ExportTree) -> Result<Option<BTreeMap<String, Vec<u8>>>, Failure> {
    let mut files = BTreeMap::new();
    let mut plain = true;
    let mut put = |path: &str, kind: Kind, bytes: &[u8]| -> Result<(), Failure> {
        plain &= matches!(kind, Kind::File { .. });
        files.insert(path.to_owned(), bytes.to_owned());
        Ok(())
    };
    let fit = tree.export(&mut put)?;
    Ok((fit.is_ok() && plain).then_some(files))
}

/// A package.json or a lockfile without the package's own version.
struct Unversioned {
    value: Value,
    version: String,
}

fn without_version(bytes: &[u8]) -> Option<Unversioned> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let object = value.as_object_mut()?;
    let version = object.remove("version").unwrap_or_default();
    if let Some(root) = object.get_mut("packages").and_then(|packages| packages.get_mut("")) {
        root.as_object_mut()?.remove("version");
    }
    Some(Unversioned { value, version: version.as_str().unwrap_or_default().to_owned() })
}

/// Whether a lockfile names nothing but packages of a registry, each by a SHA-512: no link, no folder, no git.
fn is_closed(lockfile: &Value) -> bool {
    let Some(packages) = lockfile.get("packages").and_then(Value::as_object) else { return false };
    let text = |entry: &Value, key: &str, start: &str| {
        entry.get(key).and_then(Value::as_str).is_some_and(|text| text.starts_with(start))
    };
    let closed = |(path, entry): (&String, &Value)| {
        let bundled = entry.get("inBundle").and_then(Value::as_bool) == Some(true);
        // Where npm was told to leave addresses out (`omit-lockfile-registry-resolved`), it leaves out those of registries alone.
        let of_registry = entry.get("resolved").is_none() || text(entry, "resolved", "http");
        let named = of_registry && text(entry, "integrity", "sha512-");
        path.is_empty() || (path.starts_with("node_modules/") && (bundled || named))
    };
    let workspaces = packages.get("").is_some_and(|root| root.get("workspaces").is_some());
    !workspaces && packages.iter().all(closed)
}

impl Installs {
    /// Opens the folder, and makes it where it is missing.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// The install that was done of exactly this. None where there is none, where its archive is another, or where it
    /// has what the mirror would refuse today.
    pub(super) fn find(&self, key: Sha256, subject: &Subject) -> Option<Found> {
        let place = self.place(key);
        let entry: Entry =
            serde_json::from_slice(&fs::read(place.join("entry.json")).ok()?).ok()?;
        let refused = |one: &Dependency| {
            let is_subject = one.name == subject.name && one.version == subject.version;
            is_subject || one.integrity.0 == subject.sha512
        };
        let archive = place.join(ARCHIVE);
        if entry.dependencies.iter().any(refused) || digest(&archive).ok()? != entry.archive {
            return None;
        }
        // What was used last goes last; a file system that refuses the time only forgets sooner.
        let _kept_longer = fs::File::open(&place).and_then(|f| f.set_modified(SystemTime::now()));
        Some(Found {
            key,
            archive,
            version: entry.version,
            dependencies: entry.dependencies,
            requests: entry.requests,
            cutoff_unreliable: entry.cutoff_unreliable,
        })
    }

    /// Keeps an install of which nothing was refused and everything is named by the lockfile. A disk that is full is no
    /// reason for a job to fail.
    pub(super) fn keep(&self, alone: &Alone, archive: &[u8], record: &Record) {
        let of_install = |request: &&NetworkRequest| request.phase == Phase::Install;
        let requests: Vec<_> = record.requests.iter().filter(of_install).cloned().collect();
        let all_served = requests.iter().all(|one| one.outcome == RequestOutcome::Served);
        if !all_served || !record.all_locked() {
            return;
        }
        let entry = Entry {
            archive: Sha256::of(archive),
            version: alone.version.clone(),
            dependencies: record.dependencies.clone(),
            requests,
            cutoff_unreliable: !record.cutoff_unreliable.is_empty(),
        };
        let room = self.make_room(archive.len() as u64);
        let written =
            room.and_then(|()| kept::write(&self.place(alone.key), &entry, (ARCHIVE, archive)));
        if let Err(error) = written {
            tracing::warn!(%error, "an install could not be kept");
        }
    }

    /// Removes what was used longest ago until so many bytes more are within [`KEPT_INSTALLS_BYTES_MAX`].
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut kept: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let size = fs::metadata(entry.path().join(ARCHIVE)).map_or(0, |m| m.len());
            kept.push((entry.metadata()?.modified()?, size, entry.path()));
        }
        kept.sort();
        let mut all = kept.iter().map(|(_, size, _)| size).sum::<u64>().saturating_add(bytes);
        for (_, size, path) in kept {
            if all <= KEPT_INSTALLS_BYTES_MAX {
                break;
            }
            fs::remove_dir_all(path)?;
            all -= size;
        }
        Ok(())
    }

    fn place(&self, key: Sha256) -> PathBuf {
        self.folder.join(key.to_string())
    }
}

fn digest(path: &Path) -> io::Result<Sha256> {
    Ok(Sha256::of(&fs::read(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lockfile(entry: &str) -> Value {
        let text = format!(
            r#"{{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{{"":{{"version":"1.0.0"}},{entry}}}}}"#
        );
        without_version(text.as_bytes()).unwrap().value
    }

    #[test]
    fn only_what_the_lockfile_names_by_its_bytes_is_an_install_of_its_own() {
        let named = r#""node_modules/b":{"resolved":"https://r.example/b/-/b-1.0.0.tgz","integrity":"sha512-A"}"#;
        assert!(is_closed(&lockfile(named)));
        let without_address = r#""node_modules/b":{"version":"1.0.0","integrity":"sha512-A"}"#;
        assert!(is_closed(&lockfile(without_address)));
        for open in [
            r#""node_modules/b":{"resolved":"packages/b","link":true}"#,
            r#""packages/b":{"version":"1.0.0"}"#,
            r#""node_modules/b":{"resolved":"git+ssh://git@r.example/b.git#1","integrity":"sha512-A"}"#,
            r#""node_modules/b":{"resolved":"file:b.tgz","integrity":"sha512-A"}"#,
            r#""node_modules/b":{"resolved":"https://r.example/b/-/b-1.0.0.tgz","integrity":"sha1-A"}"#,
            r#""node_modules/b":{"resolved":"https://r.example/b/-/b-1.0.0.tgz"}"#,
        ] {
            assert!(!is_closed(&lockfile(open)), "{open}");
        }
    }

    #[test]
    fn the_own_version_is_all_that_is_left_out() {
        let read = |version: &str, more: &str| {
            let text = format!(
                r#"{{"version":"{version}","packages":{{"":{{"version":"{version}"{more}}}}}}}"#
            );
            canonical::digest(&without_version(text.as_bytes()).unwrap().value)
        };
        assert_eq!(read("1.0.0", ""), read("1.1.0", ""));
        assert_ne!(read("1.0.0", ""), read("1.0.0", r#","x":1"#));
    }
}
