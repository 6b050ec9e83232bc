//! The hundred archives of the measurement that the strict reader stands on, made anew: which of them we refuse and which npm
//! installs as we read them, what npm makes of each of the others, and what `countersign inspect` says. The archives themselves
//! are made in `table_rows`.

use std::{collections::BTreeMap, fs, process::Command};

use countersign_core::{Sha256, archive};
use tempfile::TempDir;

use super::{
    differential::{disagreement, say},
    extractor::Extractor,
    installed::install,
    table_rows,
    tree::Tree,
};

/// One row.
pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) tgz: Vec<u8>,
    pub(super) npm: Npm,
}

/// What npm 11 made of an archive when it was measured, and still makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Npm {
    /// Just what we read: the archive is accepted.
    AsRead,
    /// A file of this path with this content, which at least one common reader does not show; or a file that is not there where
    /// the content is none.
    Puts(&'static str, Option<&'static str>),
    /// Its install ends with an error.
    Fails,
}

impl Npm {
    /// What of this is not so in a tree.
    fn unlike(self, what: &str, tree: &Tree) -> Option<String> {
        let Self::Puts(path, content) = self else { return None };
        let there = tree.0.get(path).map(|(digest, _)| digest.clone());
        let expected = content.map(|content| Sha256::of(content.as_bytes()).to_string());
        (there != expected).then(|| format!("{what}: {path} is {there:?} in {tree:?}"))
    }
}

fn name_of(number: usize) -> String {
    format!("case-{:03}", number + 1)
}

#[test]
fn there_are_a_hundred_cases_and_each_is_refused_before_it_is_compared_or_accepted_as_npm_reads_it()
{
    let cases = table_rows::cases();
    assert_eq!(cases.len(), 100);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| match (archive::read(&case.tgz), case.npm) {
            (Ok(_), Npm::AsRead) | (Err(_), Npm::Puts(..) | Npm::Fails) => None,
            (Ok(_), _) => Some(format!("{} is accepted", case.what)),
            (Err(refusal), Npm::AsRead) => Some(format!("{} is refused: {refusal}", case.what)),
        })
        .collect();
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn npm_makes_of_every_case_what_was_measured_and_of_the_accepted_what_we_read() {
    let cases = table_rows::cases();
    let mut extractor = Extractor::start().await;
    let mut wrong = Vec::new();
    // One of those on which npm fails ends the whole process.
    for case in cases.iter().filter(|case| case.npm != Npm::Fails) {
        let extracted = extractor.extract(&case.tgz);
        if case.npm == Npm::AsRead {
            let ours = Tree::read(&archive::read(&case.tgz).unwrap());
            wrong.extend(
                disagreement(&ours, extracted).map(|found| format!("{}: {found}", case.what)),
            );
        } else if let (Npm::Puts(..), Ok(tree)) = (case.npm, extracted.tree()) {
            wrong.extend(case.npm.unlike(case.what, &tree));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// All that npm installs at once, and each by itself where it fails: one such package ends the whole install.
#[tokio::test]
async fn npm_install_makes_of_every_case_what_was_measured_too() {
    let cases = table_rows::cases();
    let named: Vec<(String, &[u8])> = cases
        .iter()
        .enumerate()
        .filter(|(_, case)| case.npm != Npm::Fails)
        .map(|(number, case)| (name_of(number), case.tgz.as_slice()))
        .collect();
    let trees = install(&named).await.unwrap_or_else(|ran| panic!("npm installs them: {ran:?}"));
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        match trees.get(&name_of(number)) {
            Some(tree) if case.npm == Npm::AsRead => {
                let ours = Tree::read(&archive::read(&case.tgz).unwrap());
                wrong.extend(ours.unlike(tree, ["we say", "npm install"]));
            }
            Some(tree) => wrong.extend(case.npm.unlike(case.what, tree)),
            None => {
                let alone = install(&[(name_of(number), case.tgz.as_slice())]).await;
                wrong.extend(
                    alone.ok().map(|trees| format!("{}: installed as {trees:?}", case.what)),
                );
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn inspect_refuses_or_agrees_with_npm_on_every_case() {
    let folder = TempDir::new().unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, case) in table_rows::cases().iter().enumerate() {
        let path = folder.path().join(format!("{}.tgz", name_of(number)));
        fs::write(&path, &case.tgz).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["inspect", "--json"])
            .arg(&path)
            .output()
            .unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_accepted = case.npm == Npm::AsRead;
        assert_eq!(output.status.code(), Some(i32::from(!is_accepted)), "{}: {said}", case.what);
        let refused = &said["refused"];
        let code = refused["code"].as_str();
        assert_eq!(code.is_some_and(|code| code.starts_with("archive-")), !is_accepted, "{said}");
        assert_eq!(refused["offset"].is_u64(), !is_accepted, "{said}");
        *counts.entry(if is_accepted { "agreed" } else { "refused" }).or_default() += 1;
    }
    say(&format!("countersign inspect on the hundred cases: {counts:?}"));
}
