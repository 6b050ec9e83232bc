//! A registry whose manifest of a version says otherwise than the package.json inside the tarball.

use std::process::Command;

use bytes::Bytes;
use countersign_core::{Sha1, Sha512};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::{Elsewhere, Pack};

const NAME: &str = "sample";

/// `countersign check sample@1.0.0 --json` at a registry that gives this tarball under that manifest.
async fn checked(manifest: Map<String, Value>, tgz: &Bytes) -> (Option<i32>, Value) {
    let registry = Elsewhere::new().await;
    let address = format!("{}/{NAME}/-/{NAME}-1.0.0.tgz", registry.url);
    let mut version = manifest;
    let integrity = Sha512::of(tgz).to_integrity();
    let dist = json!({ "tarball": address, "integrity": integrity, "shasum": Sha1::of(tgz) });
    version.insert("dist".to_owned(), dist);
    let packument = json!({
        "name": NAME,
        "dist-tags": { "latest": "1.0.0" },
        "versions": { "1.0.0": version },
        "time": { "created": "2026-01-01T00:00:00.000Z", "1.0.0": "2026-01-01T00:00:00.000Z" },
    });
    registry.gives(&format!("/{NAME}"), "application/json", packument.to_string());
    let path = format!("/{NAME}/-/{NAME}-1.0.0.tgz");
    registry.gives(&path, "application/octet-stream", tgz.clone());
    let home = TempDir::new_in("/var/tmp").unwrap();
    std::fs::write(home.path().join("npmrc"), format!("registry={}/\n", registry.url)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["check", "sample@1.0.0", "--json", "--repo"]).arg(home.path().join("absent.git"));
    command.current_dir(home.path()).env("NPM_CONFIG_USERCONFIG", home.path().join("npmrc"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {output:?}");
    });
    (output.status.code(), said)
}

fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.filter_map(|finding| finding["code"].as_str()).collect()
}

/// Without this a dependency or an install script that only the registry's manifest names would be installed with a pass beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_says_otherwise_than_the_package_json_fails_before_anything_is_rebuilt() {
    let pack = Pack::named(NAME, "1.0.0");
    let (tgz, honest) = (pack.tgz(), pack.manifest());
    let mut hidden = honest.clone();
    hidden.insert("dependencies".to_owned(), json!({ "evil": "1.0.0" }));
    let (code, report) = checked(hidden, &tgz).await;
    assert_eq!(code, Some(1), "{report}");
    assert_eq!((&report["class"], &report["level"]), (&json!("archive"), &Value::Null), "{report}");
    assert_eq!(codes(&report), ["manifest-disagrees"], "{report}");
    assert_eq!(report["rebuild"], Value::Null, "{report}");

    let (_, report) = checked(honest, &tgz).await;
    assert!(!codes(&report).contains(&"manifest-disagrees"), "{report}");
}
