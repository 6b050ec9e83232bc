//! What the history says of staged files: where their bytes are, which commit has all of them, which one set the version.

use countersign_core::{
    archive::{self, Archive},
    compare::{Comparison, compare},
    history::{AnotherCommit, History, Seen},
    source::{Evidence, EvidenceKind},
};
use flate2::{Compression, write::GzEncoder};

use super::{repository::Made, *};

const PACKAGE: &str = r#"{"name":"pad","version":"1.3.1","main":"index.js"}"#;
const RELEASED: &str = "module.exports = 1\n";

fn packed(files: &[(&str, &str)]) -> Archive {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        builder.append_data(&mut header, format!("package/{path}"), text.as_bytes()).unwrap();
    }
    archive::read(&builder.into_inner().unwrap().finish().unwrap()).unwrap()
}

/// The tarball of the tagged commit.
fn rebuilt() -> Archive {
    packed(&[("index.js", RELEASED), ("package.json", PACKAGE)])
}

fn compared(staged: &Archive) -> Comparison {
    compare(staged, &rebuilt())
}

fn looked_up(made: &Made, staged: &Archive) -> History {
    let search = Search::given(&made.address());
    search.ready().history.look_up(staged, &compared(staged)).unwrap()
}

fn seen(history: &History, path: &str) -> Seen {
    history.of(path).unwrap().seen.clone()
}

#[test]
fn bytes_are_found_in_the_newest_commit_that_has_them_under_whatever_name() {
    let made = Made::tagged();
    made.write("old/copy.js", "evil()\n");
    let first = made.commit("A copy elsewhere");
    made.write("README.md", "more\n");
    let newest = made.commit("It is still there");
    std::fs::remove_file(made.path().join("old/copy.js")).unwrap();
    made.commit("It is gone");
    let staged = packed(&[("index.js", "evil()\n"), ("new.js", "?"), ("package.json", PACKAGE)]);
    let history = looked_up(&made, &staged);
    assert!(history.complete && history.commits == 4);
    let expected = Seen::At { commit: newest, at: "old/copy.js".to_owned() };
    assert_eq!(seen(&history, "index.js"), expected, "and not {first}");
    assert_eq!(seen(&history, "new.js"), Seen::Nowhere);
    assert!(history.of("index.js").unwrap().tagged && !history.of("new.js").unwrap().tagged);
    assert_eq!(history.another, None, "no commit has both");
}

#[test]
fn bytes_that_no_branch_or_tag_reaches_are_in_no_commit() {
    let made = Made::tagged();
    made.write("index.js", "evil()\n");
    let away = made.commit("Pushed to a pull request");
    made.git(&["update-ref", "refs/pull/1/head", &away]);
    made.git(&["reset", "-q", "--hard", "v1.3.1"]);
    let staged = packed(&[("index.js", "evil()\n"), ("package.json", PACKAGE)]);
    let history = looked_up(&made, &staged);
    assert_eq!(seen(&history, "index.js"), Seen::Nowhere);
    made.git(&["branch", "side", &away]);
    let history = looked_up(&made, &staged);
    assert!(matches!(seen(&history, "index.js"), Seen::At { .. }));
    let another = Some(AnotherCommit { commit: away, after: 1, before: 0 });
    assert_eq!(history.another, another);
}

#[test]
fn the_commit_nearest_to_the_tag_that_has_every_staged_file_is_named() {
    let made = Made::tagged();
    let tagged = made.git(&["rev-parse", "HEAD"]);
    made.write("index.js", "module.exports = 2\n");
    made.commit("Half of it");
    made.write("more.js", "more\n");
    let published = made.commit("What was published");
    made.write("unrelated.txt", "x\n");
    made.commit("Has it too");
    let staged = packed(&[
        ("index.js", "module.exports = 2\n"),
        ("more.js", "more\n"),
        ("package.json", PACKAGE),
    ]);
    let another = looked_up(&made, &staged).another.unwrap();
    assert_eq!(another, AnotherCommit { commit: published, after: 2, before: 0 });
    assert_eq!(another.place("v1.3.1"), "2 commits after the tag `v1.3.1`");
    // Seen from the later commit, the tag's own files are those of an earlier one.
    made.git(&["tag", "-f", "v1.3.1"]);
    let search = Search::given(&made.address());
    let checkout = search.ready();
    let now = packed(&[
        ("index.js", "module.exports = 2\n"),
        ("more.js", "more\n"),
        ("package.json", PACKAGE),
    ]);
    let comparison = compare(&rebuilt(), &now);
    let history = checkout.history.look_up(&rebuilt(), &comparison).unwrap();
    let expected = AnotherCommit { commit: tagged, after: 0, before: 3 };
    assert_eq!(history.another, Some(expected), "a file that is missing is absent there");
}

#[test]
fn a_file_that_is_only_left_out_comes_from_no_other_commit() {
    let made = Made::tagged();
    std::fs::remove_file(made.path().join("index.js")).unwrap();
    made.commit("Gone");
    let history = looked_up(&made, &packed(&[("package.json", PACKAGE)]));
    assert_eq!((history.another, history.files), (None, Vec::new()));
}

fn evidence(made: &Made, staged: &Archive) -> Vec<Evidence> {
    let search = Search::given(&made.address());
    search.ready().history.evidence(staged, &search.version).unwrap()
}

#[test]
fn the_commit_that_set_the_version_and_the_likest_one_stand_side_by_side() {
    let made = Made::empty();
    made.write("package.json", &PACKAGE.replace("1.3.1", "1.3.0"));
    made.write("index.js", RELEASED);
    made.commit("Before");
    made.write("package.json", PACKAGE);
    let set = made.commit("Release 1.3.1");
    made.write("index.js", "module.exports = 2\n");
    let tagged = made.commit("One thing more");
    made.git(&["tag", "v1.3.1"]);
    made.write("index.js", "module.exports = 3\n");
    let after = made.commit("After the tag");
    let of_tag = packed(&[("index.js", "module.exports = 2\n"), ("package.json", PACKAGE)]);
    let found = evidence(&made, &of_tag);
    let told: Vec<_> = found.iter().map(|e| (e.kind, e.commit.as_str(), e.agrees)).collect();
    let expected = [
        (EvidenceKind::VersionHistory, set.as_str(), true),
        (EvidenceKind::BlobOverlap, tagged.as_str(), true),
    ];
    assert_eq!(told, expected);
    assert!(found[0].detail.contains("one commit before the tag's"), "{}", found[0].detail);
    let of_later = packed(&[("index.js", "module.exports = 3\n"), ("package.json", PACKAGE)]);
    let overlap = evidence(&made, &of_later).pop().unwrap();
    assert_eq!((&overlap.commit, overlap.agrees), (&after, false));
    assert_eq!(
        overlap.detail,
        format!("The commit {after} holds 2 of the 2 staged files, and the tag's 1.")
    );
}

#[test]
fn in_a_clone_without_its_whole_history_nothing_is_said_to_be_in_no_commit() {
    let made = Made::tagged();
    made.write("index.js", "module.exports = 2\n");
    made.commit("Later");
    made.git(&["tag", "-f", "v1.3.1"]);
    let folder = tempfile::tempdir().unwrap();
    let shallow = folder.path().join("shallow");
    let (from, to) = (format!("file://{}", made.address()), shallow.display().to_string());
    made.git(&["clone", "-q", "--depth=1", "--branch=v1.3.1", &from, &to]);
    let search = Search::given(&to);
    let checkout = search.ready();
    let staged = packed(&[("index.js", "evil()\n"), ("package.json", PACKAGE)]);
    let history = checkout.history.look_up(&staged, &compared(&staged)).unwrap();
    assert_eq!((history.complete, seen(&history, "index.js")), (false, Seen::Unknown));
}
