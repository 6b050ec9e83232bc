//! The repository's files as the other rules see them, and the rules about the files themselves: which stand at the
//! top, how each opens, which can be run.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// What a reader finds when he opens the repository: the design's list, section 3, and nothing else.
const TOP: &[&str] = &[
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docker-compose.yml",
    "migrations",
    "rust-toolchain.toml",
    "script",
    "src",
    "tests",
    "workers",
];

/// What tools insist on, under the dot-names that keep it out of sight.
const TOP_HIDDEN: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    ".rustfmt.toml",
];

/// Names that say nothing: a thing without a name of its own field has not been understood yet.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "types", "models"];

/// One file of the repository that is text.
pub(super) struct File {
    /// Its path from the top, with `/`.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
}

impl File {
    /// The last part of its name, after the last dot; empty where there is none.
    pub(super) fn extension(&self) -> &str {
        self.path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, e)| e)
    }

    /// Whether it stands under one of these folders.
    pub(super) fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Whether the whole file is built only for tests.
    pub(super) fn is_test(&self) -> bool {
        self.is_under(&["tests/"])
            || self.path.ends_with("tests.rs")
            || self.path.contains("/tests/")
    }
}

/// The top of the repository.
pub(super) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every path that git knows or would take up, so that a rule holds before the commit and not after it.
fn paths() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(top())
        .output()
        .expect("git lists the repository's files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("paths of this repository are UTF-8");
    let mut paths: Vec<String> =
        names.split('\0').filter(|p| top().join(p).is_file()).map(str::to_owned).collect();
    paths.sort();
    assert!(paths.len() > 30, "the list of files is too short to be true: {paths:?}");
    paths
}

/// Every file of the repository that is text.
pub(super) fn files() -> Vec<File> {
    let read = |path: String| {
        let text = String::from_utf8(fs::read(top().join(&path)).ok()?).ok()?;
        Some(File { path, text })
    };
    paths().into_iter().filter_map(read).collect()
}

/// Every Rust file of the repository.
pub(super) fn rust_files() -> Vec<File> {
    files().into_iter().filter(|file| file.extension() == "rs").collect()
}

/// Fails with all that was found and what to do about it.
#[track_caller]
pub(super) fn expect_none(found: &[String], instead: &str) {
    assert!(found.is_empty(), "\n{}\n\n{instead}\n", found.join("\n"));
}

#[test]
fn the_top_of_the_repository_holds_exactly_what_the_design_lists() {
    let paths = paths();
    let present: BTreeSet<&str> = paths.iter().filter_map(|path| path.split('/').next()).collect();
    let wanted: BTreeSet<&str> = TOP.iter().copied().collect();
    let strangers: Vec<String> = present
        .iter()
        .filter(|name| !wanted.contains(*name) && !TOP_HIDDEN.contains(name))
        .map(|name| format!("{name} stands at the top"))
        .collect();
    expect_none(&strangers, "Put it into the folder whose matter it is: the top is the reader's.");
    let missing: Vec<String> =
        wanted.difference(&present).map(|name| format!("{name} is missing at the top")).collect();
    expect_none(&missing, "The design (section 3) promises it to every reader.");
}

#[test]
fn every_source_file_opens_by_saying_what_it_holds() {
    let opening = |file: &File| match file.extension() {
        "rs" => Some("//! "),
        "sql" => Some("-- "),
        "css" => Some("/* "),
        "js" | "mjs" => Some("// "),
        _ => None,
    };
    let silent: Vec<String> = files()
        .iter()
        .filter(|file| !file.is_under(&["tests/packages/"]))
        .filter(|file| !file.text.starts_with("#![doc = include_str!("))
        .filter(|file| opening(file).is_some_and(|opens| !file.text.starts_with(opens)))
        .map(|file| format!("{} does not open with `{}`", file.path, opening(file).unwrap()))
        .collect();
    expect_none(
        &silent,
        "Open with one paragraph: what the file holds and what it knows nothing of.",
    );
}

#[test]
fn every_script_can_be_run_and_says_what_it_does() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| file.is_under(&["script/", ".ci/"])) {
        let mode = fs::metadata(top().join(&file.path)).unwrap().permissions().mode();
        if mode & 0o111 == 0 {
            wrong.push(format!("{} is not executable (git update-index --chmod=+x)", file.path));
        }
        let mut lines = file.text.lines();
        if !lines.next().unwrap_or_default().starts_with("#!/") {
            wrong.push(format!("{} does not name its interpreter in the first line", file.path));
        }
        if !lines.next().unwrap_or_default().starts_with("# ") {
            wrong.push(format!("{} does not say in its second line what it does", file.path));
        }
    }
    expect_none(
        &wrong,
        "A script is a command: executable, with `#!` and then a comment on its use.",
    );
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let empty: Vec<String> = rust_files()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| {
            path.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part))
        })
        .collect();
    expect_none(&empty, "Name the file after the thing of the domain that it holds.");
}
