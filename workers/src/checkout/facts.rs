//! Reads from a commit's tree what it says about its build. What cannot be read, or is larger than such a file is, counts
//! as not there.

use countersign_core::{
    facts::{
        FolderFacts, Lerna, Member, Npmrc, OtherLockfile, Patterns, Pinned, SourceFacts, Workflow,
        lockfile_form,
    },
    limits::LOCKFILE_BYTES_MAX,
    lockfile::Lockfile,
    package_json::PackageJson,
    source::Directory,
    toolchain::ToolName,
    yaml,
};

use super::{
    CheckoutError, folder,
    oid::Oid,
    tree::{Item, Objects},
};

/// The largest `.npmrc` or version file that is read.
const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// npm's own lockfiles, in the order in which npm takes them.
const LOCKFILES: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
/// Those of others.
const OTHER_LOCKFILES: [(&str, ToolName); 4] = [
    ("bun.lock", ToolName::Bun),
    ("bun.lockb", ToolName::Bun),
    ("pnpm-lock.yaml", ToolName::Pnpm),
    ("yarn.lock", ToolName::Yarn),
];
/// The largest workflow file that is read.
const WORKFLOW_BYTES_MAX: u64 = 256 * 1024;
/// How many workflow files of one tree are read.
const WORKFLOWS_MAX: usize = 60;
/// How many members of one workspace are read.
const MEMBERS_MAX: usize = 1_000;
/// Files in which release tools keep their settings.
const RELEASE_FILES: [&str; 13] = [
    ".changeset/config.json",
    ".clean-publish",
    ".clean-publish.json",
    ".np-config.json",
    ".release-it.json",
    ".releaserc",
    ".releaserc.json",
    ".releaserc.yaml",
    ".releaserc.yml",
    "nx.json",
    "release.config.cjs",
    "release.config.js",
    "release.config.mjs",
];
/// Files that name a node version on their first line.
const NODE_FILES: [&str; 2] = [".nvmrc", ".node-version"];

/// The facts of a commit, seen from the package's folder, with the package.json that was found there.
pub(super) fn read(
    objects: &Objects,
    commit: Oid,
    directory: &Directory,
    found: Option<&PackageJson>,
    items: &[Item],
) -> Result<SourceFacts, CheckoutError> {
    let mut folders = Vec::new();
    for directory in upwards(directory) {
        folders.push(folder_facts(objects, commit, directory, items)?);
    }
    let prefix = directory.join("");
    let below = items.iter().filter_map(|item| item.path.strip_prefix(&prefix));
    let own = folders.first().and_then(|folder| folder.package.clone());
    let package = found.cloned().or(own).map_or_else(empty, Ok)?;
    let paths = below.map(str::to_owned).collect();
    let members = members(objects, commit, &folders, items)?;
    let workflows = workflows(objects, commit, items)?;
    Ok(SourceFacts { package, paths, folders, members, workflows, written_version: None })
}

/// The members of the nearest workspace that the package's folder is the root or a member of.
fn members(
    objects: &Objects,
    commit: Oid,
    folders: &[FolderFacts],
    items: &[Item],
) -> Result<Vec<Member>, CheckoutError> {
    let Some(own) = folders.first() else { return Ok(Vec::new()) };
    let root = folders.iter().find_map(|folder| {
        let patterns = folder.workspace()?;
        let below = below(&folder.directory, own.directory.as_str())?;
        (below.is_empty() || patterns.names(below)).then_some((&folder.directory, patterns))
    });
    let Some((root, patterns)) = root else { return Ok(Vec::new()) };
    let named = items
        .iter()
        .filter_map(|item| item.path.strip_suffix("/package.json"))
        .filter(|folder| !folder.split('/').any(|part| part == "node_modules"))
        .filter(|folder| below(root, folder).is_some_and(|below| patterns.names(below)))
        .filter_map(|folder| folder.parse::<Directory>().ok());
    let mut members = Vec::new();
    for directory in named.take(MEMBERS_MAX) {
        if let Some(package) = folder::read(objects, commit, &directory)? {
            members.push(Member { directory, package });
        }
    }
    Ok(members)
}

/// A path as seen from a folder; none where it is not below it.
fn below<'p>(folder: &Directory, path: &'p str) -> Option<&'p str> {
    if folder.is_root() {
        return Some(path);
    }
    let rest = path.strip_prefix(folder.as_str())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn workflows(
    objects: &Objects,
    commit: Oid,
    items: &[Item],
) -> Result<Vec<Workflow>, CheckoutError> {
    let named = items.iter().map(|item| item.path.as_str()).filter(|path| {
        let file = path.strip_prefix(".github/workflows/");
        let is_yaml = |file: &str| file.ends_with(".yml") || file.ends_with(".yaml");
        *path == ".gitlab-ci.yml" || file.is_some_and(|file| is_yaml(file) && !file.contains('/'))
    });
    let mut workflows = Vec::new();
    for path in named.take(WORKFLOWS_MAX) {
        let bytes = objects.file(commit, path, WORKFLOW_BYTES_MAX)?;
        let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else { continue };
        let Ok(file) = yaml::parse(&text) else { continue };
        workflows.extend(match path {
            ".gitlab-ci.yml" => Workflow::gitlab(path, &file),
            _ => Workflow::github(path, &file),
        });
    }
    Ok(workflows)
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
    let mut node_versions = Vec::new();
    for name in NODE_FILES {
        let first = text(name)?.and_then(|text| first_word(&text));
        node_versions.extend(first.map(|version| (name.to_owned(), version)));
    }
    let asdf = text(".tool-versions")?.unwrap_or_default();
    let node = asdf_version(&asdf, &["nodejs", "node"]);
    node_versions.extend(node.map(|version| (".tool-versions".to_owned(), version)));
    let yaml = |name: &str| -> Result<Option<serde_json::Value>, CheckoutError> {
        Ok(text(name)?.and_then(|text| yaml::parse(&text).ok()))
    };
    let mut pinned = asdf_managers(&asdf);
    pinned.extend(yaml(".yarnrc.yml")?.and_then(|file| yarn_path(&file)));
    let is_there = |name: &str| {
        let path = directory.join(name);
        items.iter().any(|item| item.path == path)
    };
    let mut release_settings = Vec::new();
    for name in RELEASE_FILES.iter().copied().filter(|name| is_there(name)) {
        // JSON is YAML.
        let read =
            if name.contains("config.") && name.ends_with("js") { None } else { yaml(name)? };
        release_settings.push((name.to_owned(), read.unwrap_or_default()));
    }
    let mut other_lockfiles = Vec::new();
    for (name, manager) in OTHER_LOCKFILES.into_iter().filter(|(name, _)| is_there(name)) {
        let bytes = objects.file(commit, &directory.join(name), LOCKFILE_BYTES_MAX)?;
        let bytes = bytes.unwrap_or_default();
        let form = lockfile_form(name, &String::from_utf8_lossy(&bytes));
        // Bun's binary form is bun's alone to read.
        let read = Lockfile::of(name, &bytes).filter(|_| name != "bun.lockb");
        other_lockfiles.push(OtherLockfile { name: name.to_owned(), manager, form, read });
    }
    Ok(FolderFacts {
        package: folder::read(objects, commit, &directory)?,
        lockfile,
        other_lockfiles,
        node_versions,
        pinned,
        pnpm_workspace: yaml("pnpm-workspace.yaml")?.map(|file| Patterns::of_pnpm(&file)),
        lerna: yaml("lerna.json")?.map(|file| Lerna::read(&file)),
        release_settings,
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

/// A tool's version in asdf's and mise's file: `nodejs 20.11.0`.
fn asdf_version(text: &str, names: &[&str]) -> Option<String> {
    text.lines()
        .find_map(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|word| names.contains(&word)).then(|| words.next())?
        })
        .map(str::to_owned)
}

fn asdf_managers(text: &str) -> Vec<Pinned> {
    let managers = [ToolName::Npm, ToolName::Pnpm, ToolName::Yarn, ToolName::Bun];
    let read = |tool: ToolName| {
        let version = asdf_version(text, &[tool.as_str()])?;
        Some(Pinned { tool, version, file: ".tool-versions".to_owned() })
    };
    managers.into_iter().filter_map(read).collect()
}

/// The berry that `.yarnrc.yml` names: `yarnPath: .yarn/releases/yarn-3.4.1.cjs`.
fn yarn_path(file: &serde_json::Value) -> Option<Pinned> {
    let name = file.get("yarnPath")?.as_str()?.rsplit('/').next()?;
    let version = name.strip_prefix("yarn-")?.trim_end_matches(".cjs").trim_end_matches(".js");
    let file = ".yarnrc.yml".to_owned();
    Some(Pinned { tool: ToolName::Yarn, version: version.to_owned(), file })
}
