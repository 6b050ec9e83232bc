//! The patch of a report, applied as a person would: what failed before passes then.

use std::path::Path;

use countersign_core::archive;
use serde_json::Value;

use super::countersign;
use crate::hostile::rig::{Release, TAG, git, passable_folder};

fn check(folder: &Path, more: &[&str]) -> (Option<i32>, Value, String) {
    let begin = ["check", "p.tgz", "--repo", "repository", "--ref", TAG, "--json"];
    let (code, said, complained) = countersign(folder, &[&begin[..], more].concat());
    (code, serde_json::from_str(&said).unwrap_or_default(), complained)
}

/// Packed where an editor wrote CRLF and something lay about.
fn careless() -> Release {
    let package = r#"{
  "name": "hostile",
  "version": "1.0.0",
  "files": [
    "lib"
  ]
}
"#;
    let mut release = Release::honest().with_package(package);
    release.packed.retain(|(path, _)| path != "out.txt");
    for (path, committed, packed) in [
        ("lib/a.js", Some("exports.a = 1;\n"), "exports.a = 1;\n"),
        ("README.md", Some("one\ntwo\n"), "one\r\ntwo\r\n"),
        ("lib/.DS_Store", None, "left"),
    ] {
        release.packed.push((path.to_owned(), packed.to_owned()));
        release.committed.extend(committed.map(|text| (path.to_owned(), text.to_owned())));
    }
    release
}

#[test]
fn a_patch_mends_what_was_careless() {
    let folder = passable_folder();
    let repository = folder.path().join("repository");
    careless().commit_to(&repository);
    std::fs::write(folder.path().join("p.tgz"), careless().tgz()).unwrap();
    let (code, report, complained) = check(folder.path(), &["--patch", "mend.patch"]);
    assert_eq!(code, Some(1), "{complained}");
    assert_eq!(report["mends"].as_array().unwrap().len(), 2, "{report:#}");
    assert!(complained.contains("mend.patch mends line-endings, editor-file"), "{complained}");

    // The editor leaves its file again where the release is packed from.
    git(&repository, &["apply", "../mend.patch"]);
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--message=Mend"]);
    git(&repository, &["tag", "--force", TAG]);
    std::fs::write(repository.join("lib/.DS_Store"), "left").unwrap();
    let mended = std::fs::read_to_string(repository.join("package.json")).unwrap();
    assert!(mended.contains("\"!lib/.DS_Store\""), "{mended}");
    let (code, said, complained) = crate::check::countersign(&repository, &["check", "--json"]);
    assert_eq!(code, Some(0), "{said}{complained}");
}

#[test]
fn a_mode_is_mended_by_its_patch() {
    let folder = passable_folder();
    let repository = folder.path().join("repository");
    let package = r#"{"name":"hostile","version":"1.0.0","files":["run.sh"]}"#;
    let mut release = Release::honest().with_package(package);
    release.packed.retain(|(path, _)| path != "out.txt");
    for files in [&mut release.committed, &mut release.packed] {
        files.push(("run.sh".to_owned(), "#!/bin/sh\n".to_owned()));
    }
    release.commit_to(&repository);
    let executable = with_mode(&release.tgz());
    std::fs::write(folder.path().join("p.tgz"), executable).unwrap();
    let (code, report, complained) = check(folder.path(), &["--patch", "mend.patch"]);
    assert_eq!(
        (code, &report["findings"][0]["code"]),
        (Some(1), &"executable-bit-changed".into()),
        "{complained}"
    );
    git(&repository, &["apply", "--index", "../mend.patch"]);
    git(&repository, &["commit", "--quiet", "--message=Mend"]);
    git(&repository, &["tag", "--force", TAG]);
    let (code, report, complained) = check(folder.path(), &["--patch", "none.patch"]);
    assert_eq!((code, &report["verdict"]), (Some(0), &"pass".into()), "{complained}");
    assert!(complained.contains("nothing mechanical mends this"), "{complained}");
    assert!(!folder.path().join("none.patch").exists());
}

/// The same tarball with its last member executable.
fn with_mode(tgz: &[u8]) -> Vec<u8> {
    let read = archive::read(tgz).unwrap();
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best()));
    for path in ["package.json", "run.sh"] {
        let content = read.get(path).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(if path == "run.sh" { 0o755 } else { 0o644 });
        header.set_mtime(499_162_500);
        builder.append_data(&mut header, format!("package/{path}"), content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
