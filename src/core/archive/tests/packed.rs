//! Tarballs of real packers (tests/fixtures/packed): each is accepted with the exact files and executable bits.

use std::path::PathBuf;

use super::super::{Archive, Tolerance, read};

const DEEP: &str = "lib/a-folder-with-a-long-name/another-folder-with-a-long-name/\
                    yet-another-folder-with-a-long-name/and-one-more/deep.js";

/// The packers, in the names of the fixtures.
const PACKERS: [&str; 14] = [
    "npm-6.14.18",
    "npm-8.19.4",
    "npm-9.9.4",
    "npm-10.9.4",
    "npm-11.19.1",
    "npm-12.2.0",
    "pnpm-8.15.9",
    "pnpm-9.15.9",
    "pnpm-10.34.9",
    "pnpm-12.21.0",
    "yarn-1.22.22",
    "yarn-3.8.7",
    "yarn-4.18.1",
    "bun-1.4.5",
];

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/packed"))
}

#[expect(clippy::disallowed_methods, reason = "the fixtures of a test lie on the disk")]
fn fixture(name: &str) -> Archive {
    let path = folder().join(name);
    let tgz = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read(&tgz).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

fn listing(archive: &Archive) -> Vec<(String, bool, String)> {
    archive
        .files()
        .filter(|file| file.path != "package.json")
        .map(|file| {
            let content = String::from_utf8(file.content.to_vec()).unwrap();
            (file.path.to_owned(), file.executable, content)
        })
        .collect()
}

#[test]
fn every_packer_s_archive_gives_the_exact_files_and_executable_bits() {
    for packer in PACKERS {
        let archive = fixture(&format!("every-shape-{packer}.tgz"));
        // These keep the execute bit of nothing but the files that `bin` names.
        let only_bins = ["pnpm-8.15.9", "pnpm-9.15.9", "pnpm-10.34.9", "yarn-3.8.7", "yarn-4.18.1"];
        let tool_is_executable = !only_bins.contains(&packer);
        let mut expected: Vec<(String, bool, String)> = [
            ("README.md".to_owned(), false, "# every-shape\n"),
            ("bin/run.js".to_owned(), true, "#!/usr/bin/env node\nconsole.log(\"run\");\n"),
            ("empty.txt".to_owned(), false, ""),
            ("grüße.md".to_owned(), false, "Grüße\n"),
            (DEEP.to_owned(), false, "deep\n"),
            ("lib/index.js".to_owned(), false, "module.exports = 1;\n"),
            (format!("lib/{}.js", "n".repeat(120)), false, "name\n"),
            ("lib/tool.sh".to_owned(), tool_is_executable, "#!/bin/sh\n"),
            (format!("lib/{}.js", "ü".repeat(70)), false, "umlauts\n"),
        ]
        .map(|(path, executable, content)| (path, executable, content.to_owned()))
        .to_vec();
        expected.sort();
        assert_eq!(listing(&archive), expected, "{packer}");
        let package = archive.package_json();
        assert_eq!(package.name(), Some("@countersign-fixtures/every-shape"), "{packer}");
        assert_eq!(package.version(), Some("1.2.3"), "{packer}");
        assert_eq!(archive.root(), "package", "{packer}");
    }
}

#[test]
fn the_smallest_package_of_every_packer_has_two_files() {
    for packer in PACKERS {
        let archive = fixture(&format!("plain-{packer}.tgz"));
        let expected = [("index.js".to_owned(), false, "module.exports = \"plain\";\n".to_owned())];
        assert_eq!(listing(&archive), expected, "{packer}");
        assert!(archive.get("package.json").is_some() && archive.get("absent").is_none());
    }
}

#[test]
fn only_yarn_1_needs_a_tolerance() {
    for packer in PACKERS {
        let expected: &[Tolerance] =
            if packer == "yarn-1.22.22" { &[Tolerance::DirectoryEntries] } else { &[] };
        for package in ["every-shape", "plain"] {
            let archive = fixture(&format!("{package}-{packer}.tgz"));
            assert_eq!(archive.tolerances(), expected, "{package} {packer}");
        }
    }
}

#[test]
fn no_fixture_lies_there_unread() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".tgz"))
        .collect();
    let mut expected: Vec<String> = PACKERS
        .iter()
        .flat_map(|packer| [format!("every-shape-{packer}.tgz"), format!("plain-{packer}.tgz")])
        .collect();
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}
