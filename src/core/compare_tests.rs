//! What a comparison says of two archives, and that it says the same from either side.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use super::*;
use crate::archive::read;

type Files<'a> = [(&'a str, u32, &'a str)];

fn tar(files: &Files<'_>) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    let package = ("package.json", 0o644, "{}");
    for (path, mode, content) in [package].iter().chain(files) {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_entry_type(::tar::EntryType::Regular);
        header.set_mtime(499_162_500);
        let path = format!("package/{path}");
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn packed(files: &Files<'_>, level: Compression) -> Archive {
    let mut encoder = GzBuilder::new().write(Vec::new(), level);
    encoder.write_all(&tar(files)).unwrap();
    read(&encoder.finish().unwrap()).unwrap()
}

fn archive(files: &Files<'_>) -> Archive {
    packed(files, Compression::best())
}

fn statuses(comparison: &Comparison) -> Vec<(&str, Status)> {
    comparison.files.iter().map(|file| (file.path.as_str(), file.status)).collect()
}

/// The same comparison seen from the other side.
fn swapped(comparison: &Comparison) -> Comparison {
    let turned = |status| match status {
        Status::Added => Status::Missing,
        Status::Missing => Status::Added,
        Status::Same | Status::Changed | Status::ModeChanged => status,
    };
    let Counts { added, missing, .. } = comparison.counts;
    Comparison {
        level: comparison.level,
        counts: Counts { added: missing, missing: added, ..comparison.counts },
        normalisations: comparison.normalisations.clone(),
        tolerances: Tolerated {
            staged: comparison.tolerances.rebuilt.clone(),
            rebuilt: comparison.tolerances.staged.clone(),
        },
        files: comparison
            .files
            .iter()
            .map(|file| FileComparison {
                path: file.path.clone(),
                status: turned(file.status),
                staged: file.rebuilt,
                rebuilt: file.staged,
                ..file.clone()
            })
            .collect(),
    }
}

#[test]
fn what_was_tolerated_in_either_archive_is_told_and_changes_no_level() {
    let files: &Files<'_> = &[("a.js", 0o644, "a")];
    let mut encoder =
        GzBuilder::new().filename("package.tar").write(Vec::new(), Compression::fast());
    encoder.write_all(&tar(files)).unwrap();
    let named = read(&encoder.finish().unwrap()).unwrap();
    let comparison = compare(&named, &packed(files, Compression::fast()));
    assert_eq!(comparison.level, Level::IdenticalArchive);
    assert_eq!(comparison.tolerances.staged, [Tolerance::GzipFileName]);
    assert_eq!(comparison.tolerances.rebuilt, []);
}

#[test]
fn every_path_of_either_archive_has_its_status() {
    let staged = archive(&[
        ("added.js", 0o644, "new"),
        ("both.js", 0o755, "new"),
        ("changed.js", 0o644, "new"),
        ("mode.sh", 0o755, "x"),
        ("same.js", 0o644, "x"),
    ]);
    let rebuilt = archive(&[
        ("both.js", 0o644, "old"),
        ("changed.js", 0o644, "old"),
        ("missing.js", 0o644, "old"),
        ("mode.sh", 0o644, "x"),
        ("same.js", 0o600, "x"),
    ]);
    let comparison = compare(&staged, &rebuilt);
    assert_eq!(
        statuses(&comparison),
        [
            ("added.js", Status::Added),
            ("both.js", Status::Changed),
            ("changed.js", Status::Changed),
            ("missing.js", Status::Missing),
            ("mode.sh", Status::ModeChanged),
            ("package.json", Status::Same),
            ("same.js", Status::Same),
        ]
    );
    let counts = Counts { same: 2, added: 1, missing: 1, changed: 2, mode_changed: 1 };
    assert_eq!((comparison.level, comparison.counts), (Level::Different, counts));
    assert_eq!(comparison.differing().count(), counts.differing());
    let added = &comparison.files[0];
    let record = added.staged.unwrap();
    assert_eq!((record.bytes, record.sha256), (3, crate::Sha256::of(b"new")));
    assert_eq!(added.rebuilt, None);
}

#[test]
fn the_level_is_the_strongest_that_holds() {
    let files = [("a.js", 0o644, "a"), ("b.js", 0o644, "b")];
    let turned = [files[1], files[0]];
    let staged = archive(&files);
    let level = |rebuilt: &Archive| compare(&staged, rebuilt).level;
    assert_eq!(level(&archive(&files)), Level::IdenticalTarball);
    assert_eq!(level(&packed(&files, Compression::none())), Level::IdenticalArchive);
    assert_eq!(level(&archive(&turned)), Level::IdenticalFiles);
    assert_eq!(level(&archive(&files[..1])), Level::Different);
    assert!(Level::ALL.is_sorted());
}

#[test]
fn a_single_changed_bit_anywhere_makes_archives_different() {
    let content = "0123456789";
    let staged = archive(&[("a.js", 0o644, content)]);
    for at in 0..content.len() {
        let mut changed = content.as_bytes().to_vec();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        let comparison = compare(&staged, &archive(&[("a.js", 0o644, &changed)]));
        assert_eq!(comparison.level, Level::Different, "byte {at}");
        assert_eq!(statuses(&comparison)[0], ("a.js", Status::Changed));
    }
}

/// Pairs of archives over a few paths, contents and modes: every combination of three choices for each of three paths.
fn many() -> Vec<Archive> {
    let choices = [None, Some((0o644, "x")), Some((0o755, "x")), Some((0o644, "y"))];
    let mut all = Vec::new();
    for first in choices {
        for second in choices {
            let files: Vec<_> = [("a", first), ("b/c", second)]
                .into_iter()
                .filter_map(|(path, choice)| choice.map(|(mode, content)| (path, mode, content)))
                .collect();
            all.push(archive(&files));
        }
    }
    all
}

#[test]
fn a_comparison_with_itself_is_the_same_and_from_the_other_side_it_is_turned_around() {
    let archives = many();
    for one in &archives {
        let itself = compare(one, one);
        assert_eq!((itself.level, itself.counts.differing()), (Level::IdenticalTarball, 0));
        for other in &archives {
            let comparison = compare(one, other);
            assert_eq!(compare(other, one), swapped(&comparison));
            let equal = Manifest::of(one) == Manifest::of(other);
            assert_eq!(comparison.level != Level::Different, equal);
            assert!(comparison.files.is_sorted_by(|a, b| a.path < b.path));
            let counts = comparison.counts;
            assert_eq!(counts.same + counts.differing(), comparison.files.len());
        }
    }
}

#[test]
fn a_comparison_survives_its_json_and_says_kebab_words() {
    let comparison = compare(&archive(&[("a.sh", 0o755, "x")]), &archive(&[("a.sh", 0o644, "x")]));
    let json = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
    assert!(json.contains(r#""level":"different""#), "{json}");
    assert!(json.contains(r#""status":"mode-changed""#), "{json}");
    for level in Level::ALL {
        assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{}\"", level.as_str()));
    }
}

const ALL: Permission<'_> =
    Permission { allowed: &normalisation::Normalisation::ALL, committed: None, packer: None };

#[test]
fn what_is_let_differ_is_named_and_makes_no_more_than_a_normalised_level() {
    let staged = archive(&[("README.md", 0o644, "a\r\n"), ("a.js", 0o644, "a")]);
    let rebuilt = archive(&[("README.md", 0o644, "a\n"), ("a.js", 0o644, "a")]);
    let comparison = compare_under(&staged, &rebuilt, &ALL);
    assert_eq!((comparison.level, comparison.unexcused()), (Level::Normalised, 0));
    assert_eq!(comparison.normalised("README.md").unwrap().tokens, ["1 line endings"]);
    assert_eq!(comparison.counts.changed, 1, "it is shown as changed all the same");
    let nothing = Permission { allowed: &[], ..ALL };
    assert_eq!(compare_under(&staged, &rebuilt, &nothing).level, Level::Different);
}

#[test]
fn nothing_else_is_let_differ_beside_it() {
    let rebuilt = archive(&[("README.md", 0o644, "a\n"), ("a.js", 0o644, "a")]);
    for files in [
        [("README.md", 0o644, "a\r\n"), ("a.js", 0o644, "b")],
        [("README.md", 0o755, "a\r\n"), ("a.js", 0o644, "a")],
        [("README.md", 0o644, "a\r\n"), ("a.js", 0o755, "a")],
        [("README.md", 0o644, "a\r\n"), ("b.js", 0o644, "a")],
    ] {
        let comparison = compare_under(&archive(&files), &rebuilt, &ALL);
        assert_eq!(comparison.level, Level::Different, "{files:?}");
    }
}
