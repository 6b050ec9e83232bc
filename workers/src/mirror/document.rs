//! The documents that the mirror shows: a registry's own, with the hidden versions left out and every tarball's address
//! leading back to the mirror. It decides nothing about what is hidden.

use countersign_core::PackageName;
use serde_json::{Map, Value, json};

use super::{ORIGIN, policy::Shelf};
use crate::upstream::Packument;

/// The type of the form that an install needs.
pub(super) const ABBREVIATED_TYPE: &str = "application/vnd.npm.install-v1+json";
/// The keys of a manifest in the abbreviated form (npm/registry, `package-metadata.md`, and what npm 11 reads of it).
const ABBREVIATED: [&str; 22] = [
    "name",
    "version",
    "deprecated",
    "dependencies",
    "optionalDependencies",
    "devDependencies",
    "bundleDependencies",
    "bundledDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "acceptDependencies",
    "bin",
    "directories",
    "dist",
    "engines",
    "cpu",
    "os",
    "libc",
    "funding",
    "_hasShrinkwrap",
    "_integrity",
    "hasInstallScript",
];

/// What is said of a version that is likely younger than the commit.
const LATER: &str = "the registry says that this was published after the commit";

/// The last part of the address under which the mirror serves a version's tarball.
pub(super) fn file_name(name: &PackageName, version: &str) -> String {
    format!("{}-{version}.tgz", name.unscoped())
}

/// The whole document of a package, in the abbreviated form where that was asked for.
pub(super) fn packument(packument: &Packument, shelf: &Shelf, abbreviated: bool) -> Value {
    let name = &packument.name;
    let mut versions = Map::new();
    let mut time = Map::new();
    for (version, raw) in packument.versions() {
        let offer = shelf.offers.get(version.as_str()).filter(|offer| offer.hidden.is_none());
        let (Some(offer), Ok(Value::Object(mut written))) =
            (offer, serde_json::from_str(raw.get()))
        else {
            continue;
        };
        if offer.last_choice {
            written.entry("deprecated").or_insert_with(|| Value::String(LATER.to_owned()));
        }
        versions
            .insert(version.to_string(), manifest(name, version.as_str(), written, abbreviated));
        if let Some(at) = packument.time(version.as_str()) {
            time.insert(version.to_string(), json!(at));
        }
    }
    let mut document = json!({"name": name, "dist-tags": shelf.dist_tags, "versions": versions});
    let modified = packument.time("modified");
    if abbreviated {
        document["modified"] = json!(modified);
    } else {
        document["_id"] = json!(name);
        for key in ["created", "modified"] {
            time.extend(packument.time(key).map(|at| (key.to_owned(), json!(at))));
        }
        document["time"] = Value::Object(time);
    }
    document
}

/// One version's manifest.
pub(super) fn manifest(
    name: &PackageName,
    version: &str,
    mut written: Map<String, Value>,
    abbreviated: bool,
) -> Value {
    let tarball = format!("{ORIGIN}/{name}/-/{}", file_name(name, version));
    if let Some(dist) = written.get_mut("dist").and_then(Value::as_object_mut) {
        dist.insert("tarball".to_owned(), Value::String(tarball));
    }
    if !abbreviated {
        return Value::Object(written);
    }
    let scripts = written.get("scripts").and_then(Value::as_object);
    let installs = ["preinstall", "install", "postinstall"];
    if scripts.is_some_and(|scripts| installs.iter().any(|key| scripts.contains_key(*key))) {
        written.insert("hasInstallScript".to_owned(), Value::Bool(true));
    }
    written.retain(|key, _| ABBREVIATED.contains(&key.as_str()));
    Value::Object(written)
}
