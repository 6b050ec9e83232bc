//! `countersign inspect` and `countersign compare` as an outsider sees them: words, JSON, exit codes, and what a hostile
//! tarball cannot do to a terminal.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/packed").join(name)
}

fn countersign(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).args(args).output().unwrap()
}

fn inspect(args: &[&Path]) -> Output {
    countersign(&[&[Path::new("inspect")], args].concat())
}

fn compare(args: &[&Path]) -> Output {
    countersign(&[&[Path::new("compare")], args].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A tarball in this folder with these files, each with its mode.
fn write_tarball(folder: &Path, name: &str, files: &[(&str, u32, &[u8])]) -> PathBuf {
    let mut builder = tar::Builder::new(Vec::new());
    let package: (&str, u32, &[u8]) =
        ("package.json", 0o644, br#"{"name":"sample","version":"1.0.0"}"#);
    for (path, mode, content) in [package].iter().chain(files) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(499_162_500);
        builder.append_data(&mut header, format!("package/{path}"), *content).unwrap();
    }
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(&builder.into_inner().unwrap()).unwrap();
    let path = folder.join(name);
    fs::write(&path, encoder.finish().unwrap()).unwrap();
    path
}

#[test]
fn inspect_lists_what_would_be_installed() {
    let file = fixture("every-shape-yarn-1.22.22.tgz");
    let output = inspect(&[&file]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}");
    let first = text.lines().next().unwrap();
    assert!(
        first.ends_with(
            "every-shape-yarn-1.22.22.tgz is accepted: @countersign-fixtures/every-shape@1.2.3, \
             10 files, 373 bytes unpacked."
        ),
        "{first}"
    );
    assert!(text.contains("\ntolerated (directory-entries): "), "{text}");
    assert!(text.contains("\nx         40  bin/run.js\n"), "{text}");
    assert!(text.contains("\n-          0  empty.txt\n"), "{text}");
}

#[test]
fn inspect_says_the_files_as_json_and_nothing_else() {
    let output = inspect(&[Path::new("--json"), &fixture("plain-npm-11.19.1.tgz")]);
    assert_eq!(code(&output), 0);
    let file = |path, bytes, sha256| json!({"path": path, "bytes": bytes, "sha256": sha256, "executable": false});
    let index = "688a93ed146889e945541932d8e7951919716179ca38d6702275d2e2a40be4e9";
    let package = "b143d879fed4ca5bf06eb69cf764bacf37fc3d7d3a35709893a1e8f4d8bb4206";
    assert_eq!(
        parsed(&output),
        json!({
            "files": [file("index.js", 26, index), file("package.json", 72, package)],
            "tolerances": [],
        })
    );
    assert!(output.stderr.is_empty());
}

#[test]
fn inspect_refuses_with_the_rule_the_byte_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("plain-npm-11.19.1.tgz")).unwrap();
    let cut = folder.path().join("cut.tgz");
    fs::write(&cut, &whole[..100]).unwrap();
    let output = inspect(&[&cut]);
    let text = stdout(&output);
    assert_eq!(code(&output), 1);
    assert!(
        text.contains("cut.tgz is refused (archive-truncated): at byte 100 of the .tgz: "),
        "{text}"
    );
    assert!(text.contains("\nfix: "), "{text}");
    let output = inspect(&[&cut, Path::new("--json")]);
    assert_eq!(code(&output), 1);
    let message = "at byte 100 of the .tgz: the file ends in the deflate data";
    assert_eq!(
        parsed(&output),
        json!({"refused": {"code": "archive-truncated", "offset": 100, "message": message}})
    );
}

#[test]
fn what_cannot_be_read_is_unreadable_and_not_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = fixture("plain-npm-11.19.1.tgz");
    let absent = folder.path().join("absent.tgz");
    for unreadable in [absent.as_path(), folder.path()] {
        for output in [inspect(&[unreadable]), compare(&[&good, unreadable])] {
            assert_eq!(code(&output), 3);
            assert!(output.stdout.is_empty());
            let complaint = String::from_utf8(output.stderr).unwrap();
            assert!(complaint.contains(" cannot be read: "), "{complaint}");
        }
    }
    let empty = folder.path().join("empty.tgz");
    fs::write(&empty, b"").unwrap();
    assert_eq!(code(&inspect(&[&empty])), 1);
    assert_eq!(code(&compare(&[&good, &empty])), 3);
}

#[test]
fn compare_finds_the_same_files_in_the_tarballs_of_different_packers() {
    let npm = fixture("plain-npm-11.19.1.tgz");
    for (other, level) in [
        ("plain-npm-12.2.0.tgz", "identical-tarball"),
        ("plain-npm-6.14.18.tgz", "identical-archive"),
        ("plain-bun-1.4.5.tgz", "identical-files"),
        ("plain-yarn-1.22.22.tgz", "identical-files"),
        // pnpm writes package.json anew.
        ("plain-pnpm-9.15.9.tgz", "different"),
    ] {
        let output = compare(&[&npm, &fixture(other), Path::new("--json")]);
        assert_eq!(parsed(&output)["level"], level, "{other}");
        assert_eq!(code(&output), i32::from(level == "different"), "{other}");
        let says_same = stdout(&compare(&[&npm, &fixture(other)])).contains("installs the same");
        assert_eq!(says_same, level != "different", "{other}");
    }
}

#[test]
fn compare_names_every_difference_and_shows_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let staged = write_tarball(
        folder.path(),
        "staged.tgz",
        &[
            ("added.js", 0o644, b"evil()\n"),
            ("index.js", 0o644, b"let a = 1;\nsteal();\n"),
            ("run.sh", 0o755, b"#!/bin/sh\n"),
            ("same.js", 0o644, b"\n"),
        ],
    );
    let rebuilt = write_tarball(
        folder.path(),
        "rebuilt.tgz",
        &[
            ("index.js", 0o644, b"let a = 1;\n"),
            ("logo.png", 0o644, b"\x89PNG\0"),
            ("run.sh", 0o644, b"#!/bin/sh\n"),
            ("same.js", 0o644, b"\n"),
        ],
    );
    let output = compare(&[&staged, &rebuilt]);
    let text = stdout(&output);
    assert_eq!(code(&output), 1);
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(
        first.ends_with(
            "rebuilt.tgz: 1 changed, 1 added, 1 missing, 1 with another executable bit; \
             2 files are the same."
        ),
        "{first}"
    );
    assert_eq!(
        rest,
        "added         added.js\n\
         changed       index.js\n\
         missing       logo.png\n\
         mode-changed  run.sh\n\
         \n--- /dev/null\n+++ staged/added.js\n@@ -0,0 +1 @@\n+evil()\n\
         \n--- rebuilt/index.js\n+++ staged/index.js\n@@ -1 +1,2 @@\n let a = 1;\n+steal();\n\
         \nlogo.png is no text: staged absent, rebuilt 5 bytes.\n"
    );
    let output = compare(&[&staged, &rebuilt, Path::new("--json")]);
    assert_eq!(code(&output), 1);
    let counts = json!({"same": 2, "added": 1, "missing": 1, "changed": 1, "mode_changed": 1});
    assert_eq!(parsed(&output)["counts"], counts);
    assert_eq!(parsed(&output)["files"].as_array().unwrap().len(), 6);
}

#[test]
fn compare_says_which_of_the_two_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = fixture("plain-npm-11.19.1.tgz");
    let bad = folder.path().join("bad.tgz");
    fs::write(&bad, b"no tarball").unwrap();
    for (args, side) in [([&bad, &good], "staged"), ([&good, &bad], "rebuilt")] {
        let output = compare(&[args[0], args[1], Path::new("--json")]);
        assert_eq!(code(&output), 3);
        let refused = &parsed(&output)["refused"];
        assert_eq!(
            (&refused["side"], &refused["code"]),
            (&json!(side), &json!("archive-not-gzip"))
        );
        assert_eq!(refused["offset"], 0);
        let output = compare(&[args[0], args[1]]);
        assert_eq!(code(&output), 3);
        assert!(stdout(&output).contains("bad.tgz is refused (archive-not-gzip): "));
    }
}

#[test]
fn a_tarball_cannot_draw_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let files: &[(&str, u32, &[u8])] = &[
        ("a\u{200b}b.js", 0o644, b"\x1b]0;title\x07\x1b[2J // \xe2\x80\xaelive\r\n"),
        ("package-lock.json", 0o644, b"{}"),
    ];
    let hostile = write_tarball(folder.path(), "hostile.tgz", files);
    let plain = write_tarball(folder.path(), "plain.tgz", &files[1..]);
    for output in [inspect(&[&hostile]), compare(&[&hostile, &plain])] {
        let text = stdout(&output);
        let drawing =
            |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200b}');
        assert!(!text.contains(drawing), "{text:?}");
        assert!(text.contains("a\\u{200b}b.js"), "{text}");
    }
}

#[test]
fn usage_errors_exit_2_and_help_exits_0() {
    for args in [&[][..], &["inspect"], &["compare", "a.tgz"], &["no-such"], &["inspect", "--x"]] {
        let output = countersign(&args.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["inspect", "--help"], &["help", "compare"]] {
        let output = countersign(&args.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(code(&output), 0, "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<String> = (0..20_000).map(|n| format!("lib/file-number-{n}.js")).collect();
    let files: Vec<(&str, u32, &[u8])> =
        paths.iter().map(|path| (path.as_str(), 0o644, b"x".as_slice())).collect();
    let large = write_tarball(folder.path(), "large.tgz", &files);
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("inspect")
        .arg(&large)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Far more than a pipe holds is still to come when its reader goes.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), String::from_utf8(output.stderr).unwrap()), (0, String::new()));
}
