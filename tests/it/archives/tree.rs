//! What lies on the disk after an installation, and what our reader says would lie there. It knows the one thing that npm
//! does after unpacking (programs that `bin` names become executable) and nothing of how archives are made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use countersign_core::{archive::Archive, manifest::Manifest};

/// Path → SHA-256 of the content and whether it may be executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tree(pub(super) BTreeMap<String, (String, bool)>);

impl Tree {
    /// What the strict reader says of an archive that it accepts.
    pub(super) fn read(archive: &Archive) -> Self {
        let programs = programs(archive);
        let files = Manifest::of(archive);
        let placed = files.iter().map(|(path, file)| {
            let executable = file.executable || programs.contains(path);
            (path.to_owned(), (file.sha256.to_string(), executable))
        });
        Self(placed.collect())
    }

    /// How two trees differ, for people; none where they are equal.
    pub(super) fn unlike(&self, other: &Self, names: [&str; 2]) -> Option<String> {
        let paths: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let mut out = String::new();
        for path in paths {
            let (one, two) = (self.0.get(path), other.0.get(path));
            if one != two {
                let _ = writeln!(out, "{path:?}: {} {one:?}, {} {two:?}", names[0], names[1]);
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

/// The files that npm makes executable whatever the archive says (pacote's `FileFetcher`, `bin-links`).
fn programs(archive: &Archive) -> BTreeSet<String> {
    let inside = |path: &String| {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        parts.join("/")
    };
    archive.package_json().bin().values().map(inside).collect()
}
