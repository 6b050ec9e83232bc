//! One row for each cause: what an honest release of that kind looks like, and what is said of it.

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::{archive::read, compare::compare};

/// What a case is made of.
#[derive(Clone, Copy)]
struct Row {
    cause: Cause,
    path: &'static str,
    staged: Option<&'static str>,
    rebuilt: Option<&'static str>,
    /// What is known beside the contents.
    known: Known,
    /// What the sentence has to name.
    says: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Known {
    Nothing,
    Built,
    BuiltUnlocked,
    /// The tagged tree has a file there, and no commit has these bytes.
    Source,
    /// No commit has these bytes, and nothing is built.
    Nowhere,
    /// These bytes are in the tagged commit, which is not packed whole.
    Tagged,
    /// Another commit has every staged file.
    Another,
    Varying,
}

const ROWS: &[Row] = &[
    changed(
        Cause::LineEndings,
        "a.js",
        "a;\r\nb;\r\n",
        "a;\nb;\n",
        Known::Built,
        "The staged file has CRLF",
    ),
    changed(
        Cause::TimeInOutput,
        "dist/a.js",
        "/* built 2024-05-06 */ a",
        "/* built 2026-11-24 */ a",
        Known::Built,
        "2024-05-06",
    ),
    changed(
        Cause::TimeInOutput,
        "dist/a.js",
        "const y = 2024;",
        "const y = 2026;",
        Known::Built,
        "2024",
    ),
    changed(
        Cause::PathInOutput,
        "dist/a.js",
        "f(\"/home/me/pad/a.ts\")",
        "f(\"/build/source/a.ts\")",
        Known::Built,
        "/home/me/pad/a.ts",
    ),
    changed(
        Cause::SourceMapPaths,
        "a.js.map",
        "{\"version\":3,\"sources\":[\"../a.ts\"]}",
        "{\"version\":3,\"sources\":[\"a.ts\"]}",
        Known::Built,
        "`sources`",
    ),
    changed(
        Cause::OtherCompiler,
        "dist/a.js",
        "var __awaiter = 1;\na();",
        "a();",
        Known::BuiltUnlocked,
        "__awaiter",
    ),
    changed(Cause::OtherCompiler, "a.d.ts", "b;\na;", "a;\nb;", Known::Built, "another order"),
    changed(Cause::StaleBuild, "dist/a.js", "v = '1.0.0';", "v = '1.0.1';", Known::Built, "1.0.0"),
    missing(Cause::StaleBuild, "dist/new.js", Known::Built, "the one that was packed did not"),
    changed(
        Cause::UnlockedDependencies,
        "dist/a.js",
        "a()",
        "b()",
        Known::BuiltUnlocked,
        "lockfile",
    ),
    changed(Cause::InNoCommit, "index.js", "a()", "b()", Known::Source, "in no commit"),
    added(Cause::InNoCommit, "evil.js", Known::Nowhere, "No commit"),
    changed(
        Cause::PublishedFromAnotherCommit,
        "a.js",
        "a()",
        "b()",
        Known::Another,
        "2 commits after the tag `v1.0.1`",
    ),
    added(Cause::LeftOver, "tsconfig.tsbuildinfo", Known::Built, "tools or people"),
    added(Cause::LeftOver, "notes.txt", Known::Nowhere, "tools or people"),
    added(Cause::LeftOver, "types/old.d.ts", Known::Nowhere, "by-product"),
    added(Cause::EditorFile, "lib/.DS_Store", Known::Nowhere, "editor"),
    added(Cause::EditorFile, ".idea/workspace.xml", Known::Nowhere, "editor"),
    changed(
        Cause::PackageJsonRewritten,
        "package.json",
        "{\"name\":\"a\",\"version\":\"1.0.1\",\"dependencies\":{\"b\":\"2\"},\"gitHead\":\"x\"}",
        "{\"name\":\"a\",\"version\":\"1.0.1\",\"dependencies\":{\"b\":\"1\"},\"scripts\":{\"test\":\"x\"}}",
        Known::Nothing,
        "Key by key: changed `dependencies.b`; added `gitHead` (harmless); removed `scripts` (harmless).",
    ),
    changed(
        Cause::RewrittenAtPublish,
        "README.md",
        "# a\nuse\n",
        "# a\nlogo\nuse\n",
        Known::Nothing,
        "cut short",
    ),
    added(Cause::OtherPacker, "CHANGELOG.md", Known::Tagged, "does not pack it"),
    missing(Cause::OtherPacker, "CHANGELOG.md", Known::Nothing, "npm 6.14.18 packs it"),
    changed(Cause::NotDeterministic, "dist/a.js", "a()", "b()", Known::Varying, "Two rebuilds"),
    changed(
        Cause::Unexplained,
        "dist/a.js",
        "a();\nevil()",
        "a();",
        Known::Built,
        "other contents",
    ),
];

const fn changed(
    cause: Cause,
    path: &'static str,
    staged: &'static str,
    rebuilt: &'static str,
    known: Known,
    says: &'static str,
) -> Row {
    Row { cause, path, staged: Some(staged), rebuilt: Some(rebuilt), known, says }
}

const fn added(cause: Cause, path: &'static str, known: Known, says: &'static str) -> Row {
    Row { cause, path, staged: Some("x"), rebuilt: None, known, says }
}

const fn missing(cause: Cause, path: &'static str, known: Known, says: &'static str) -> Row {
    Row { cause, path, staged: None, rebuilt: Some("x"), known, says }
}

fn archive(path: &str, content: Option<&str>, mode: u32) -> Archive {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let package = ("package.json", "{\"name\":\"a\",\"version\":\"1.0.1\"}");
    let files =
        [Some(package).filter(|_| path != "package.json"), content.map(|text| (path, text))];
    for (path, text) in files.into_iter().flatten() {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(mode);
        header.set_entry_type(tar::EntryType::Regular);
        builder.append_data(&mut header, format!("package/{path}"), text.as_bytes()).unwrap();
    }
    read(&builder.into_inner().unwrap().finish().unwrap()).unwrap()
}

fn history(row: &Row) -> Option<History> {
    let (commit, at) = ("c".repeat(40), row.path.to_owned());
    let (tagged, seen) = match row.known {
        Known::Source => (true, Seen::Nowhere),
        Known::Tagged => (true, Seen::At { commit: commit.clone(), at }),
        Known::Another => (true, Seen::At { commit: commit.clone(), at }),
        Known::Built | Known::BuiltUnlocked | Known::Nowhere => (false, Seen::Nowhere),
        Known::Nothing | Known::Varying => return None,
    };
    let another = AnotherCommit { commit, after: 2, before: 0 };
    Some(History {
        complete: true,
        commits: 9,
        files: vec![FileHistory { path: row.path.to_owned(), tagged, seen }],
        another: (row.known == Known::Another).then_some(another),
    })
}

fn explained(row: &Row) -> FileComparison {
    let (staged, rebuilt) =
        (archive(row.path, row.staged, 0o644), archive(row.path, row.rebuilt, 0o644));
    let mut comparison = compare(&staged, &rebuilt);
    let history = history(row);
    let varying = [row.path.to_owned()];
    let known = Circumstances {
        builds: matches!(row.known, Known::Built | Known::BuiltUnlocked | Known::Varying),
        installed: match row.known {
            Known::BuiltUnlocked => Installed::Unlocked,
            Known::Built => Installed::Locked,
            Known::Nothing
            | Known::Source
            | Known::Nowhere
            | Known::Tagged
            | Known::Another
            | Known::Varying => Installed::Nothing,
        },
        packer: "npm 6.14.18",
        tag: "v1.0.1",
        history: history.as_ref(),
        varying: if row.known == Known::Varying { &varying } else { &[] },
    };
    explain(&mut comparison, &staged, &rebuilt, &known);
    comparison.files.into_iter().find(|file| file.path == row.path).unwrap()
}

#[test]
fn every_cause_is_recognised_and_says_by_what() {
    for row in ROWS {
        let file = explained(row);
        let because = file.because.as_deref().unwrap_or_default();
        assert_eq!(file.cause, Some(row.cause), "{}: {because}", row.path);
        assert!(because.contains(row.says), "{}: {because}", row.path);
    }
    for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::ExecutableBit) {
        assert!(ROWS.iter().any(|row| row.cause == *cause), "no row for {cause}");
    }
}

#[test]
fn a_mode_alone_is_told_as_such_and_what_is_the_same_has_no_cause() {
    let (staged, rebuilt) = (archive("a.sh", Some("x"), 0o755), archive("a.sh", Some("x"), 0o644));
    let mut comparison = compare(&staged, &rebuilt);
    explain(&mut comparison, &staged, &rebuilt, &Circumstances::default());
    assert!(comparison.files.iter().all(|file| file.cause == Some(Cause::ExecutableBit)));
    let mut same = compare(&staged, &staged);
    explain(&mut same, &staged, &staged, &Circumstances::default());
    assert!(same.files.iter().all(|file| file.cause.is_none() && file.because.is_none()));
}

/// A cause that is told for what it is not would lull the reader.
#[test]
fn a_change_that_only_looks_like_a_time_or_a_path_is_not_told_as_one() {
    for (staged, rebuilt) in [
        ("f(1);", "f(2);"),
        ("at('2024-05-06'); evil()", "at('2024-05-06'); good()"),
        ("at(2024);\nevil()", "at(2026);\ngood()"),
        ("x = 'abc'", "x = 'abd'"),
    ] {
        let row = changed(Cause::Unexplained, "dist/a.js", staged, rebuilt, Known::Built, "");
        let row = Row { staged: Some(staged), rebuilt: Some(rebuilt), ..row };
        assert_eq!(explained(&row).cause, Some(Cause::Unexplained), "{staged}");
    }
}
