//! `countersign check` as a person runs it: over a table of packages, over ten mutants of a good tarball, in a work tree
//! before a release, and on a version whose registry says something else than its package.json.

mod again;
mod batch;
mod by_hand;
mod confused;
mod patch;
mod worktree;

use std::{path::Path, process::Command};

/// Runs the program in a folder; its exit code and what it wrote to standard output and standard error.
fn countersign(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
