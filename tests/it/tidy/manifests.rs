//! The walls that stand in the manifests: what a package may name at all. The compiler holds them; this holds the
//! manifests, so that a wall falls only by a change of this file.

use std::collections::BTreeSet;

use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde_json::Value;

use super::tree::{expect_none, top};

/// All that the pure core may name. None of these does IO, reads a clock or the environment, or makes random numbers
/// by itself as it is used here.
const CORE_DEPENDENCIES: &[&str] = &[
    "base64",
    "flate2",
    "hex",
    "nodejs-semver",
    "rayon",
    "saphyr-parser",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    "similar",
    "thiserror",
    "time",
    "unicode-normalization",
    "url",
    "uuid",
];

/// What a worker may not name: it has no database credentials and serves nobody.
const NEVER_IN_A_WORKER: &[&str] =
    &["sqlx", "axum", "axum-extra", "tower-http", "askama", "countersign"];

/// The manifests of the workspace.
const MEMBERS: &[&str] = &["Cargo.toml", "src/core/Cargo.toml", "workers/Cargo.toml"];

fn manifest(path: &str) -> Value {
    let read = Figment::from(Toml::file_exact(top().join(path)));
    read.extract().unwrap_or_else(|error| panic!("{path} is no manifest: {error}"))
}

/// The names under this table of the manifest; none where it has no such table.
fn names(manifest: &Value, table: &str) -> BTreeSet<String> {
    manifest[table].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_core_may_name_exactly_these_packages() {
    let present = names(&manifest("src/core/Cargo.toml"), "dependencies");
    let allowed: BTreeSet<String> = CORE_DEPENDENCIES.iter().map(|&name| name.to_owned()).collect();
    let more = present.difference(&allowed).map(|name| format!("the core names `{name}`"));
    let fewer =
        allowed.difference(&present).map(|name| format!("the core no longer names `{name}`"));
    let wrong: Vec<String> = more.chain(fewer).collect();
    expect_none(
        &wrong,
        "The core is pure. Take what it needs as an argument; a new pure package is added here with thought.",
    );
}

#[test]
fn a_worker_can_name_neither_a_database_nor_a_web_server() {
    let manifest = manifest("workers/Cargo.toml");
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let present = tables.iter().flat_map(|table| names(&manifest, table));
    let wrong: Vec<String> =
        present.filter(|name| NEVER_IN_A_WORKER.contains(&name.as_str())).collect();
    expect_none(
        &wrong,
        "A worker speaks to the service through core's protocol and to nothing else of ours.",
    );
}

#[test]
fn every_version_and_every_lint_stands_once_at_the_top() {
    let mut wrong = Vec::new();
    for path in MEMBERS {
        let manifest = manifest(path);
        if manifest["lints"]["workspace"] != Value::Bool(true) {
            wrong.push(format!("{path} does not take the workspace's lints"));
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in names(&manifest, table) {
                if manifest[table][&name]["workspace"] != Value::Bool(true) {
                    wrong.push(format!("{path} gives `{name}` a version of its own"));
                }
            }
        }
    }
    expect_none(
        &wrong,
        "Versions and lints stand in the top Cargo.toml; a member says `workspace = true`.",
    );
}

#[test]
fn every_dependency_of_the_table_is_used_by_a_member() {
    let table = manifest("Cargo.toml");
    let declared = names(&table["workspace"], "dependencies");
    let mut used = BTreeSet::new();
    for path in MEMBERS {
        let manifest = manifest(path);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            used.extend(names(&manifest, table));
        }
    }
    let idle: Vec<String> = declared.difference(&used).cloned().collect();
    expect_none(&idle, "Take a dependency only when something uses it.");
}

#[test]
fn the_core_restates_the_house_rules_of_the_linter() {
    let read = |path: &str| {
        let figment = Figment::from(Toml::file_exact(top().join(path)));
        figment.extract::<Value>().unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let (house, core) = (read(".clippy.toml"), read("src/core/.clippy.toml"));
    for (rule, setting) in house.as_object().expect("a table") {
        assert_eq!(
            &core[rule], setting,
            "clippy reads the nearest file only: restate `{rule}` in src/core/.clippy.toml"
        );
    }
    let banned = core["disallowed-methods"].as_array().map_or(0, Vec::len);
    assert!(banned >= 10, "the core's second wall has fewer stones than it had: {banned}");
}
