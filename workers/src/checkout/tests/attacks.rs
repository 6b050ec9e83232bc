//! Repositories that lie.

use super::{
    super::tree::{Bounds, Unfit},
    *,
};

/// A tree with one entry of this raw form, beside a good package.json, tagged v1.3.1.
fn with_entry(mode: &str, name: &[u8]) -> Made {
    let made = Made::tagged();
    let blob = made.git_fed(&["hash-object", "-w", "--stdin"], b"content");
    let package = made.git(&["rev-parse", "HEAD:package.json"]);
    let entry = |mode: &str, name: &[u8], hash: &str| {
        let mut bytes = format!("{mode} ").into_bytes();
        bytes.extend_from_slice(name);
        bytes.push(0);
        let digits: Vec<u8> = hash.bytes().collect();
        bytes.extend(
            digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
        bytes
    };
    let mut entries = [entry(mode, name, &blob), entry("100644", b"package.json", &package)];
    entries.sort_by_key(|bytes| bytes.split(|byte| *byte == b' ').nth(1).map(<[u8]>::to_vec));
    let arguments = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
    let tree = made.git_fed(&arguments, &entries.concat());
    let commit = made.git(&["commit-tree", "-p", "HEAD", "-m", "Hostile", &tree]);
    made.git(&["update-ref", "refs/heads/main", &commit]);
    made.git(&["tag", "-f", "v1.3.1", &commit]);
    made
}

#[test]
fn a_tree_with_a_git_folder_inside_is_never_exported() {
    for name in [".git", ".GIT", "git~1"] {
        let made = with_entry("100644", name.as_bytes());
        let finding = Search::given(&made.address()).undetermined();
        assert!(
            finding.message.contains("hasDotgit"),
            "git refuses it itself: {}",
            finding.message
        );
    }
}

/// Over a plain file server git checks no objects: our own walk is the wall.
#[test]
fn what_git_did_not_check_is_refused_by_the_walk() {
    for name in [b".git".as_slice(), b"..", b".", b"a\\..\\.git\xff"] {
        let made = with_entry("100644", name);
        let (folder, _) = served::bare(&made, "x.git");
        let served = served::Served::files(folder.path());
        match Search::given(&served.address("/x.git")).run() {
            Outcome::Unplannable { ending: Ending::NoPlan { detail }, .. } => {
                assert!(detail.contains("path") || detail.contains("UTF-8"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn modes_of_old_repositories_are_read_as_git_reads_them() {
    for mode in ["100664", "0100644"] {
        let made = with_entry(mode, b"old.js");
        let search = Search::given(&made.address());
        let checkout = search.ready();
        assert_eq!(exported(&checkout)["old.js"].0, Kind::File { executable: false }, "{mode}");
    }
}

#[test]
fn names_that_differ_by_case_alone_both_come_out() {
    let made = Made::tagged();
    made.write("README", "upper");
    made.write("readme", "lower");
    made.commit("Both");
    made.git(&["tag", "-f", "v1.3.1"]);
    let search = Search::given(&made.address());
    let files = exported(&search.ready());
    assert_eq!((files["README"].1.as_str(), files["readme"].1.as_str()), ("upper", "lower"));
}

#[test]
fn a_file_or_a_tree_over_its_bound_ends_the_export() {
    let made = Made::tagged();
    made.write("huge", &"x".repeat(2000));
    made.commit("Huge");
    made.git(&["tag", "-f", "v1.3.1"]);
    let search = Search::given(&made.address());
    let checkout = search.ready();
    let within = |file_bytes, tree_bytes| {
        let mut put = |_: &str, _: Kind, _: &[u8]| Ok::<(), super::super::CheckoutError>(());
        checkout.tree.export_within(Bounds { file_bytes, tree_bytes }, &mut put).unwrap()
    };
    assert_eq!(within(2000, 2100), Ok(()));
    let file = Unfit::Bytes { path: "huge".to_owned(), bytes: 2000 };
    assert_eq!(within(1999, 2100), Err(file), "told before its bytes are read");
    let Err(Unfit::Bytes { path, bytes: 2001.. }) = within(2000, 2001) else { panic!("taken") };
    assert_eq!(path, "index.js", "the file at which the bound was reached");
}

/// Without the cell's own configuration the repository's would lead git elsewhere, and its hooks would run.
#[test]
fn hooks_and_settings_of_a_repository_are_not_obeyed() {
    use std::os::unix::fs::PermissionsExt;
    let made = Made::tagged();
    let marker = made.path().join("marker");
    let script = format!("#!/bin/sh\ntouch '{}'\n", marker.display());
    for hook in ["post-checkout", "pre-auto-gc", "reference-transaction", "post-update"] {
        let path = made.path().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let hook = made.path().join(".git/hooks/post-update").display().to_string();
    made.git(&["config", "uploadpack.packObjectsHook", &hook]);
    made.git(&["config", "core.fsmonitor", &hook]);
    Search::given(&made.address()).ready();
    assert!(!marker.exists());
}
