//! Reads from a commit's tree what it says about its build. What cannot be read, or is larger than such a file is, counts
//! as not there.

use countersign_core::{
    facts::{FolderFacts, Npmrc, SourceFacts},
    limits::LOCKFILE_BYTES_MAX,
    lockfile::Lockfile,
    package_json::PackageJson,
    source::Directory,
};
use git2::Oid;

use super::{
    CheckoutError, folder,
    tags::Found,
    tree::{Item, Objects},
};

/// The largest `.npmrc` or version file that is read.
const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// npm's own lockfiles, in the order in which npm takes them.
const LOCKFILES: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
/// Those of others.
const OTHER_LOCKFILES: [&str; 4] = ["bun.lock", "bun.lockb", "pnpm-lock.yaml", "yarn.lock"];
/// Files that name a node version on their first line.
const NODE_FILES: [&str; 2] = [".nvmrc", ".node-version"];

/// The facts of a commit, seen from the package's folder.
pub(super) fn read(
    objects: &Objects,
    found: &Found,
    items: &[Item],
) -> Result<SourceFacts, CheckoutError> {
    let mut folders = Vec::new();
    for directory in upwards(&found.directory) {
        folders.push(folder_facts(objects, found.commit, directory, items)?);
    }
    let prefix = found.directory.join("");
    let below = items.iter().filter_map(|item| item.path.strip_prefix(&prefix));
    let own = folders.first().and_then(|folder| folder.package.clone());
    let package = found.package.as_deref().cloned().or(own).map_or_else(empty, Ok)?;
    Ok(SourceFacts { package, paths: below.map(str::to_owned).collect(), folders })
}

fn empty() -> Result<PackageJson, CheckoutError> {
    PackageJson::parse(b"{}").map_err(|error| CheckoutError::GitFailed(error.to_string()))
}

/// A folder and those above it, nearest first.
fn upwards(directory: &Directory) -> Vec<Directory> {
    let parts: Vec<&str> = directory.as_str().split('/').filter(|part| !part.is_empty()).collect();
    let named = |count: usize| parts[..count].join("/").parse().ok();
    (0..=parts.len()).rev().filter_map(named).collect()
}

fn folder_facts(
    objects: &Objects,
    commit: Oid,
    directory: Directory,
    items: &[Item],
) -> Result<FolderFacts, CheckoutError> {
    let text = |name: &str| -> Result<Option<String>, CheckoutError> {
        let bytes = objects.file(commit, &directory.join(name), SMALL_BYTES_MAX)?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let mut lockfile = None;
    for name in LOCKFILES {
        if let Some(bytes) = objects.file(commit, &directory.join(name), LOCKFILE_BYTES_MAX)? {
            lockfile = Some((name.to_owned(), Lockfile::parse(&bytes)));
            break;
        }
    }
    let mut lockfiles = Vec::new();
    for name in OTHER_LOCKFILES {
        let bytes = objects.file(commit, &directory.join(name), LOCKFILE_BYTES_MAX)?;
        let read = bytes.and_then(|bytes| Lockfile::of(name, &bytes));
        lockfiles.extend(read.map(|read| (name.to_owned(), read)));
    }
    let mut node_versions = Vec::new();
    for name in NODE_FILES {
        let first = text(name)?.and_then(|text| first_word(&text));
        node_versions.extend(first.map(|version| (name.to_owned(), version)));
    }
    let tools = text(".tool-versions")?.and_then(|text| asdf_node(&text));
    node_versions.extend(tools.map(|version| (".tool-versions".to_owned(), version)));
    let has = |name: &&str| {
        let path = directory.join(name);
        items.iter().any(|item| item.path == path)
    };
    Ok(FolderFacts {
        package: folder::read(objects, commit, &directory)?,
        lockfile,
        other_lockfiles: OTHER_LOCKFILES.iter().filter(|n| has(n)).map(|&n| n.to_owned()).collect(),
        lockfiles,
        node_versions,
        npmrc: text(".npmrc")?.map(|text| Npmrc::parse(&text)).unwrap_or_default(),
        directory,
    })
}

/// The first word that is no comment.
fn first_word(text: &str) -> Option<String> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let line = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#'))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// The node of asdf's and mise's file: `nodejs 20.11.0`.
fn asdf_node(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("nodejs" | "node")).then(|| words.next().map(str::to_owned))?
    })
}
