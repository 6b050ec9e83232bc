//! `countersign check` without a subject, in a work tree: what would become of a release, before its version is spent.

use super::countersign;
use crate::{
    hostile::rig::{Release, git, passable_folder},
    support::programs,
};

#[tokio::test]
async fn a_work_tree_is_packed_as_it_would_be_staged_and_held_against_head() {
    let folder = passable_folder();
    let repository = folder.path().join("repository");
    Release::honest().commit_to(&repository);
    let programs = programs().await;
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let check = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("check")
            .args(arguments)
            .current_dir(&repository)
            .env("PATH", &path)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, complained) = check(&[]);
    assert_eq!(code, Some(0), "{said}{complained}");
    assert!(said.contains("A release of this commit would pass"), "{said}");
    // A README that was never committed is packed all the same, and a release would be refused for it.
    std::fs::write(repository.join("README.md"), "call Ada\n").unwrap();
    let (code, said, complained) = check(&[]);
    assert_eq!(code, Some(1), "{said}{complained}");
    assert!(said.contains("file-added  README.md"), "{said}");
    assert!(complained.contains("2 changes are not committed"), "{complained}");
    let (code, _, complained) = check(&["--ref", "v1.0.0"]);
    assert_eq!(code, Some(2), "{complained}");
    assert!(complained.contains("belong to a named subject"), "{complained}");
}

#[test]
fn where_nothing_can_be_packed_the_mending_line_is_said() {
    let folder = passable_folder();
    let (code, _, complained) = countersign(folder.path(), &["check"]);
    assert_eq!(code, Some(2), "{complained}");
    assert!(complained.contains("is no git work tree"), "{complained}");
    let repository = folder.path().join("repository");
    Release::honest().commit_to(&repository);
    git(&repository, &["checkout", "--quiet", "--detach"]);
    let (code, _, complained) = countersign(&repository, &["check"]);
    assert_eq!(code, Some(2), "{complained}");
    assert!(complained.contains("git switch --create"), "{complained}");
    git(&repository, &["checkout", "--quiet", "main"]);
    git(&repository, &["rm", "--quiet", "package.json"]);
    let (code, _, complained) = countersign(&repository, &["check"]);
    assert_eq!(code, Some(2), "{complained}");
    assert!(complained.contains("has a package.json"), "{complained}");
}
