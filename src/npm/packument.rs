//! The document that npm reads before it installs: every released version of one package, whole or abbreviated
//! (npm/registry, `package-metadata.md`). It is made of what the store says was released here, and knows nothing of requests.

use std::collections::BTreeMap;

use countersign_core::{PackageName, Sha256, Timestamp, Version, npm_manifest::REGISTRY_KEYS};
use serde_json::{Map, Value, json};

use crate::store::published::Published;

/// The media type of the abbreviated form.
pub(crate) const ABBREVIATED_TYPE: &str = "application/vnd.npm.install-v1+json";

/// What the abbreviated form keeps of a manifest: all that an installer needs (npm/registry, `package-metadata.md`;
/// `libc`, `peerDependenciesMeta` and `acceptDependencies` are read by npm 11's arborist).
const ABBREVIATED_KEYS: [&str; 21] = [
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
    "engines",
    "os",
    "cpu",
    "libc",
    "funding",
    "hasInstallScript",
    "_hasShrinkwrap",
    "dist",
];

/// Keys with an underscore steer npm (`_resolved`, `_integrity`), so of what a client sent only those that tell of the
/// packing are passed on. `_hasShrinkwrap` was written by intake, from the bytes.
const PASSED_ON: [&str; 3] = ["_nodeVersion", "_npmVersion", "_hasShrinkwrap"];

/// What the newest release says about the whole package.
const HOISTED_KEYS: [&str; 9] = [
    "description",
    "readme",
    "readmeFilename",
    "homepage",
    "repository",
    "bugs",
    "author",
    "license",
    "keywords",
];

/// Everything that was released here of one package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packument<'a> {
    /// The package.
    pub(crate) name: &'a PackageName,
    /// Its versions in the order of their release; at least one.
    pub(crate) versions: &'a [Published],
    /// The version that each dist-tag names.
    pub(crate) dist_tags: &'a BTreeMap<String, Version>,
    /// This registry's address without a trailing slash.
    pub(crate) registry: &'a str,
}

impl Packument<'_> {
    /// The whole document.
    pub(crate) fn full(&self) -> Value {
        let mut document = Map::new();
        for key in HOISTED_KEYS {
            if let Some(value) = self.newest().and_then(|newest| newest.manifest.get(key)) {
                document.insert(key.to_owned(), value.clone());
            }
        }
        document.insert("_id".to_owned(), json!(self.name));
        document.insert("name".to_owned(), json!(self.name));
        document.insert("dist-tags".to_owned(), json!(self.dist_tags()));
        document.insert("versions".to_owned(), self.manifests(|manifest| manifest));
        document.insert("time".to_owned(), self.times());
        Value::Object(document)
    }

    /// The form that `npm install` asks for.
    pub(crate) fn abbreviated(&self) -> Value {
        let shortened = |manifest: Map<String, Value>| {
            manifest
                .into_iter()
                .filter(|(key, _)| ABBREVIATED_KEYS.contains(&key.as_str()))
                .collect()
        };
        json!({
            "name": self.name,
            "modified": self.modified(),
            "dist-tags": self.dist_tags(),
            "versions": self.manifests(shortened),
        })
    }

    /// The manifest of one version, as it stands in the whole document.
    pub(crate) fn manifest(&self, version: &str) -> Option<Value> {
        let wanted = self.dist_tags().get(version).map_or(version, |named| named.as_str());
        let released = self.versions.iter().find(|one| one.version.as_str() == wanted)?;
        Some(Value::Object(self.served(released)))
    }

    /// The version that each dist-tag names. `latest` is there from the first release on, whatever its tag, because npm
    /// installs nothing without it.
    pub(crate) fn dist_tags(&self) -> BTreeMap<&str, &Version> {
        let first = self.versions.first().map(|first| ("latest", &first.version));
        let set = self.dist_tags.iter().map(|(tag, version)| (tag.as_str(), version));
        first.into_iter().chain(set).collect()
    }

    fn newest(&self) -> Option<&Published> {
        let latest = self.dist_tags().remove("latest")?;
        self.versions.iter().find(|one| one.version == *latest)
    }

    fn modified(&self) -> Option<Timestamp> {
        self.versions.iter().map(|one| one.released_at).max()
    }

    fn times(&self) -> Value {
        let own = self.versions.iter().map(|one| (one.version.as_str(), one.released_at));
        let mut times: BTreeMap<&str, Timestamp> = own.collect();
        times.extend(
            self.versions.iter().map(|one| one.released_at).min().map(|at| ("created", at)),
        );
        times.extend(self.modified().map(|at| ("modified", at)));
        json!(times)
    }

    fn manifests(&self, form: impl Fn(Map<String, Value>) -> Map<String, Value>) -> Value {
        let one =
            |one: &Published| (one.version.to_string(), Value::Object(form(self.served(one))));
        Value::Object(self.versions.iter().map(one).collect())
    }

    /// The manifest as npm gets it: what was staged, with all that a registry writes written here.
    fn served(&self, released: &Published) -> Map<String, Value> {
        let passed_on = |key: &str| {
            PASSED_ON.contains(&key)
                || !(key.starts_with('_')
                    || REGISTRY_KEYS.contains(&key)
                    || key == "hasInstallScript")
        };
        let staged = released.manifest.as_object().cloned().unwrap_or_default();
        let mut manifest: Map<_, _> =
            staged.into_iter().filter(|(key, _)| passed_on(key)).collect();
        let spec = format!("{}@{}", self.name, released.version);
        manifest.insert("_id".to_owned(), json!(spec));
        if runs_at_install(&released.manifest) {
            manifest.insert("hasInstallScript".to_owned(), json!(true));
        }
        manifest.insert("dist".to_owned(), self.dist(released));
        manifest
    }

    fn dist(&self, released: &Published) -> Value {
        json!({
            "integrity": released.sha512.to_integrity(),
            "shasum": released.shasum,
            "tarball": tarball_url(self.registry, self.name, &released.version),
        })
    }
}

/// Where a tarball of ours is had: the form of the public registry, below this registry's own address.
pub(crate) fn tarball_url(registry: &str, name: &PackageName, version: &Version) -> String {
    format!("{registry}/{name}/-/{}-{version}.tgz", name.unscoped())
}

/// An ETag over the very bytes.
pub(crate) fn etag(body: &[u8]) -> String {
    format!("\"{}\"", &Sha256::of(body).to_hex()[..32])
}

/// Which form a client asks for by its `accept` header: the abbreviated one where it names it and does not like the
/// whole one better.
pub(crate) fn wants_abbreviated(accept: &str) -> bool {
    let weight = |wanted: &str| {
        accept.split(',').find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let q = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok());
            named.then_some(q.unwrap_or(1.0))
        })
    };
    let abbreviated = weight(ABBREVIATED_TYPE).unwrap_or(0.0);
    abbreviated > 0.0 && abbreviated >= weight("application/json").unwrap_or(0.0)
}

/// Whether installing this package runs something of it (npm/registry: `hasInstallScript`). npm itself runs node-gyp
/// for a package that says `gypfile`.
fn runs_at_install(manifest: &Value) -> bool {
    let script = |name| manifest.get("scripts").and_then(|scripts| scripts.get(name)).is_some();
    script("preinstall")
        || script("install")
        || script("postinstall")
        || manifest.get("gypfile") == Some(&json!(true))
}

#[cfg(test)]
#[path = "packument_tests.rs"]
mod tests;
