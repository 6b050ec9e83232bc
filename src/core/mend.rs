//! Mends: for a cause that something mechanical takes away, the change to the repository, written as `git apply` takes it. It is an offer
//! to people and changes no verdict. It says which committed files it has to see, and knows nothing of where they lie.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;

use crate::{
    cause::Cause,
    compare::{Comparison, FileComparison, Status},
    limits::MEND_BYTES_MAX,
    source::Directory,
};

const ATTRIBUTES: &str = ".gitattributes";
/// Put first: what stands below it goes before it.
const TEXT_IS_LF: &str = "* text=auto eol=lf\n";

/// A change to the repository that takes causes away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mend {
    /// What it takes away.
    pub causes: Vec<Cause>,
    /// The files of the tarball that it is about.
    pub paths: Vec<String>,
    /// The change, as `git apply` takes it at the repository's root.
    pub patch: String,
}

/// A committed file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Its content.
    pub text: Vec<u8>,
    /// Whether git's mode is 100755.
    pub executable: bool,
}

/// Committed files by their paths from the repository's root.
pub type Tree = BTreeMap<String, Committed>;

/// The paths, from the repository's root, of the files that [`mends`] has to see, whether they are there or not. None
/// where nothing that differs has a mend.
pub fn needed(comparison: &Comparison, directory: &Directory) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for file in comparison.differing() {
        match way(file) {
            Some(Way::Attributes) => paths.extend([ATTRIBUTES.to_owned()]),
            Some(Way::Mode) => paths.extend([directory.join(&file.path)]),
            Some(Way::LeaveOut) => {
                let names = ["package.json", ".npmignore", ".gitignore"];
                paths.extend(names.map(|name| directory.join(name)));
            }
            None => {}
        }
    }
    paths
}

/// The mends for what differs, one for each way of mending.
pub fn mends(comparison: &Comparison, directory: &Directory, committed: &Tree) -> Vec<Mend> {
    let mut by_way: BTreeMap<Way, Vec<&FileComparison>> = BTreeMap::new();
    for file in comparison.differing() {
        if let Some(way) = way(file) {
            by_way.entry(way).or_default().push(file);
        }
    }
    let made = by_way.into_iter().filter_map(|(way, files)| {
        let (patch, files) = match way {
            Way::Attributes => (attributes(committed)?, files),
            Way::Mode => modes(&files, directory, committed)?,
            Way::LeaveOut => (leaving_out(&files, directory, committed)?, files),
        };
        let causes: BTreeSet<Cause> = files.iter().filter_map(|file| file.cause).collect();
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Some(Mend { causes: causes.into_iter().collect(), paths, patch })
    });
    made.filter(|mend| mend.patch.len() <= MEND_BYTES_MAX).collect()
}

/// How something is mended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Way {
    /// `.gitattributes` fixes the line endings.
    Attributes,
    /// git's mode becomes that of the tarball.
    Mode,
    /// The package no longer packs it.
    LeaveOut,
}

fn way(file: &FileComparison) -> Option<Way> {
    match file.cause? {
        Cause::LineEndings => Some(Way::Attributes),
        Cause::ExecutableBit => Some(Way::Mode),
        Cause::InNoCommit | Cause::LeftOver | Cause::EditorFile => {
            (file.status == Status::Added).then_some(Way::LeaveOut)
        }
        Cause::TimeInOutput
        | Cause::PathInOutput
        | Cause::SourceMapPaths
        | Cause::OtherCompiler
        | Cause::StaleBuild
        | Cause::UnlockedDependencies
        | Cause::PublishedFromAnotherCommit
        | Cause::PackageJsonRewritten
        | Cause::RewrittenAtPublish
        | Cause::OtherPacker
        | Cause::NotDeterministic
        | Cause::Unexplained => None,
    }
}

fn attributes(committed: &Tree) -> Option<String> {
    let before = text(committed, ATTRIBUTES)?;
    if before.contains("eol=lf") || before.contains('\r') {
        return None;
    }
    changed(ATTRIBUTES, committed, &format!("{TEXT_IS_LF}{before}"))
}

/// The modes of committed files, where the tarball has the other one.
fn modes<'f>(
    files: &[&'f FileComparison],
    directory: &Directory,
    committed: &Tree,
) -> Option<(String, Vec<&'f FileComparison>)> {
    let mode = |executable: bool| if executable { "100755" } else { "100644" };
    let mut patch = String::new();
    let mut mended = Vec::new();
    for file in files {
        let path = directory.join(&file.path);
        let (Some(was), Some(staged)) = (committed.get(&path), &file.staged) else { continue };
        if was.executable == staged.executable || !is_plain(&path) {
            continue;
        }
        let (old, new) = (mode(was.executable), mode(staged.executable));
        patch += &format!("diff --git a/{path} b/{path}\nold mode {old}\nnew mode {new}\n");
        mended.push(*file);
    }
    (!mended.is_empty()).then_some((patch, mended))
}

/// What keeps files out of the package: an exception in `files`, or, where that is not used, a line in the file that npm
/// reads in its place.
fn leaving_out(
    files: &[&FileComparison],
    directory: &Directory,
    committed: &Tree,
) -> Option<String> {
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    if !paths.iter().all(|path| is_plain(path)) {
        return None;
    }
    let package = directory.join("package.json");
    let json = text(committed, &package)?;
    let value: Value = serde_json::from_str(&json).ok()?;
    if value.get("files").is_some() {
        return changed(&package, committed, &excepting(&json, &value, &paths)?);
    }
    // Without an .npmignore npm reads .gitignore; a new .npmignore beside it would hide it.
    let ignoring = [".npmignore", ".gitignore"].map(|name| directory.join(name));
    let there = ignoring.iter().find(|path| committed.contains_key(*path));
    let file = there.unwrap_or(&ignoring[0]);
    let mut after = text(committed, file)?;
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    paths.iter().for_each(|path| after += &format!("/{path}\n"));
    changed(file, committed, &after)
}

/// A package.json with exceptions at the end of its `files`, all else as it was written. None where its form is not
/// understood.
fn excepting(json: &str, value: &Value, paths: &[&str]) -> Option<String> {
    let mut wanted = value.clone();
    let list = wanted.get_mut("files")?.as_array_mut()?;
    list.extend(paths.iter().map(|path| Value::from(format!("!{path}"))));
    let last = value.get("files")?.as_array()?.last()?;
    let last = serde_json::to_string(last).ok()?;
    let begin = json.find("\"files\"")?;
    let end = begin + json[begin..].find(']')?;
    let at = begin + json[begin..end].rfind(&last)?;
    // What parts two entries is what stands before the last one, back to the bracket or the comma.
    let gap = &json[..at][json[..at].rfind(['[', ','])? + 1..];
    let more = paths.iter().map(|path| format!(",{gap}{}", Value::from(format!("!{path}"))));
    let (before, after) = json.split_at(at + last.len());
    let text = format!("{before}{}{after}", more.collect::<String>());
    let read: Value = serde_json::from_str(&text).ok()?;
    (read == wanted).then_some(text)
}

/// The text of a committed file; empty where there is none. None where it is no text.
fn text(committed: &Tree, path: &str) -> Option<String> {
    let Some(file) = committed.get(path) else { return Some(String::new()) };
    String::from_utf8(file.text.clone()).ok()
}

/// The change of one file, or a new file.
fn changed(path: &str, committed: &Tree, after: &str) -> Option<String> {
    if !is_plain(path) {
        return None;
    }
    let before = text(committed, path)?;
    let diff = TextDiff::from_lines(before.as_str(), after);
    let (new, old_name) = match committed.get(path) {
        Some(_) => ("", format!("a/{path}")),
        None => ("new file mode 100644\n", "/dev/null".to_owned()),
    };
    let hunks = diff.unified_diff().header(&old_name, &format!("b/{path}")).to_string();
    Some(format!("diff --git a/{path} b/{path}\n{new}{hunks}"))
}

/// Whether git writes a path as it is, and no pattern of npm or git reads it as another.
fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "._-+@/".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{Counts, Tolerated},
        manifest::FileRecord,
    };

    fn comparison(files: &[(&str, Status, Cause, bool)]) -> Comparison {
        let record =
            |executable| Some(FileRecord { sha256: crate::Sha256::of(b""), bytes: 0, executable });
        let files = files.iter().map(|&(path, status, cause, executable)| FileComparison {
            path: path.to_owned(),
            status,
            staged: record(executable),
            rebuilt: record(!executable),
            cause: Some(cause),
            because: None,
        });
        Comparison {
            level: crate::compare::Level::Different,
            counts: Counts::default(),
            files: files.collect(),
            normalisations: Vec::new(),
            tolerances: Tolerated::default(),
        }
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |&(path, text): &(&str, &str)| {
            (path.to_owned(), Committed { text: text.as_bytes().to_owned(), executable: false })
        };
        files.iter().map(file).collect()
    }

    fn patches(
        files: &[(&str, Status, Cause, bool)],
        directory: &str,
        committed: &[(&str, &str)],
    ) -> Vec<String> {
        let (comparison, directory) = (comparison(files), directory.parse().unwrap());
        let seen = tree(committed);
        let needed = needed(&comparison, &directory);
        assert!(seen.keys().all(|path| needed.contains(path)), "{needed:?}");
        mends(&comparison, &directory, &seen).into_iter().map(|mend| mend.patch).collect()
    }

    #[test]
    fn line_endings_are_fixed_in_front_of_what_is_said_of_them_already() {
        let crlf = [("README.md", Status::Changed, Cause::LineEndings, false)];
        assert_eq!(
            patches(&crlf, "", &[(".gitattributes", "*.png binary\n")]),
            [
                "diff --git a/.gitattributes b/.gitattributes\n--- a/.gitattributes\n+++ b/.gitattributes\n\
              @@ -1 +1,2 @@\n+* text=auto eol=lf\n *.png binary\n"
            ]
        );
        assert_eq!(
            patches(&crlf, "", &[]),
            [
                "diff --git a/.gitattributes b/.gitattributes\nnew file mode 100644\n--- /dev/null\n+++ b/.gitattributes\n\
              @@ -0,0 +1 @@\n+* text=auto eol=lf\n"
            ]
        );
        assert!(patches(&crlf, "", &[(".gitattributes", "*.sh eol=lf\n")]).is_empty());
    }

    #[test]
    fn a_mode_becomes_that_of_the_tarball_where_git_has_another() {
        let file = [("run.sh", Status::ModeChanged, Cause::ExecutableBit, true)];
        assert_eq!(
            patches(&file, "packages/a", &[("packages/a/run.sh", "")]),
            [
                "diff --git a/packages/a/run.sh b/packages/a/run.sh\nold mode 100644\nnew mode 100755\n"
            ]
        );
        let same = [("run.sh", Status::ModeChanged, Cause::ExecutableBit, false)];
        assert!(patches(&same, "", &[("run.sh", "")]).is_empty(), "git has it so already");
        assert!(patches(&file, "", &[]).is_empty(), "it is not in git");
    }

    #[test]
    fn what_was_left_over_is_excepted_in_the_form_in_which_files_is_written() {
        let left = [
            (".DS_Store", Status::Added, Cause::EditorFile, false),
            ("dist/a.tsbuildinfo", Status::Added, Cause::LeftOver, false),
        ];
        let several =
            "{\n  \"files\": [\n    \"dist\",\n    \"src\"\n  ],\n  \"main\": \"dist\"\n}\n";
        let patch = patches(&left, "", &[("package.json", several)]).remove(0);
        assert!(patch.contains("\n-    \"src\"\n+    \"src\",\n+    \"!.DS_Store\",\n+    \"!dist/a.tsbuildinfo\"\n   ],\n"), "{patch}");
        let one_line = "{\"files\": [\"dist\"]}\n";
        let patch = patches(&left[1..], "", &[("package.json", one_line)]).remove(0);
        assert!(patch.contains("\n+{\"files\": [\"dist\",\"!dist/a.tsbuildinfo\"]}\n"), "{patch}");
    }

    #[test]
    fn without_files_it_is_ignored_where_npm_looks() {
        let left = [("notes.txt", Status::Added, Cause::InNoCommit, false)];
        let into = |committed: &[(&str, &str)]| {
            let mut all = vec![("package.json", "{}")];
            all.extend(committed);
            let patch = patches(&left, "", &all).remove(0);
            patch.lines().next().unwrap().rsplit('/').next().unwrap().to_owned()
        };
        assert_eq!(into(&[(".gitignore", "dist"), (".npmignore", "test\n")]), ".npmignore");
        assert_eq!(into(&[(".gitignore", "dist")]), ".gitignore");
        assert_eq!(into(&[]), ".npmignore");
        let patch = patches(&left, "", &[("package.json", "{}"), (".gitignore", "dist")]).remove(0);
        assert!(patch.ends_with("+dist\n+/notes.txt\n"), "{patch}");
    }

    #[test]
    fn what_nothing_mechanical_mends_has_no_patch() {
        for &cause in Cause::ALL {
            let file = [("a.js", Status::Changed, cause, true)];
            let mended = !patches(&file, "", &[]).is_empty();
            assert_eq!(mended, cause == Cause::LineEndings, "{cause}");
        }
        let odd = [("a \"b\".txt", Status::Added, Cause::LeftOver, false)];
        assert!(patches(&odd, "", &[("package.json", "{}")]).is_empty());
    }
}
