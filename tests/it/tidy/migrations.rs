//! Migrations never change once they have landed: a store somewhere has run them. The digests stand here.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::tree::{expect_none, files};

/// Each migration with the SHA-256 of its bytes.
const LANDED: &[(&str, &str)] = &[
    (
        "migrations/sqlite/0001_people.sql",
        "dc9f104544a68ce791526b1142ea9e13f216fbbf96200e7c0e0a35c5ae8b0fe8",
    ),
    (
        "migrations/sqlite/0002_enrolments.sql",
        "c2a6a9a5ae7cedcc3697f9afc6aa7de5e1ef874d273ce8ddfd48f22d415efd3c",
    ),
    (
        "migrations/sqlite/0003_verifications.sql",
        "efc2942bd4b3088848e89d595005b70f108029ffa9f0befddea5988f63749b67",
    ),
    (
        "migrations/sqlite/0004_releases.sql",
        "cc23174c186f6bf02244b69622fd824328cf9ee2bd9009609ee352515ad2d7c6",
    ),
    (
        "migrations/sqlite/0005_events.sql",
        "dae1a88e2a34864d90a5de99a91525f8864736c58b616d28aec0eea69c20fd55",
    ),
];

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
