//! Migrations never change once they have landed: a store somewhere has run them. The digests stand here.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::tree::{expect_none, files};

/// Each migration with the SHA-256 of its bytes.
const LANDED: &[(&str, &str)] = &[];

#[test]
fn a_migration_that_has_landed_never_changes() {
    let mut wrong = Vec::new();
    let files = files();
    let present = files.iter().filter(|file| file.extension() == "sql");
    for file in present.filter(|file| file.is_under(&["migrations/"])) {
        let digest = hex::encode(Sha256::digest(file.text.as_bytes()));
        match LANDED.iter().find(|(path, _)| *path == file.path) {
            Some((_, landed)) if *landed == digest => {}
            Some(_) => wrong.push(format!("{} was changed", file.path)),
            None => wrong.push(format!("    (\"{}\", \"{digest}\"),", file.path)),
        }
    }
    let gone = LANDED.iter().filter(|(path, _)| !files.iter().any(|file| file.path == *path));
    wrong.extend(gone.map(|(path, _)| format!("{path} is gone")));
    let mut instead = String::from("Write a new migration that goes on from there. ");
    write!(instead, "A new one is added to LANDED in {} with the line above.", file!()).unwrap();
    expect_none(&wrong, &instead);
}
