//! The manifest that npm sends beside a tarball: its digest, and where it disagrees with the package.json inside. Installers
//! resolve by the manifest and run by the package.json, so a difference between the two is a way to hide something. This
//! file knows npm's own normalisation (`@npmcli/package-json` 7, the steps of `prepare`) and nothing of registries.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    archive::Archive,
    artifact::Sha256,
    canonical,
    finding::{Code, Finding},
    source::Repository,
};

/// Keys that registries and clients write beside what the package's author wrote. They are no part of the digest: what
/// they say comes from the bytes, from the registry, or is shown to people only.
pub const REGISTRY_KEYS: [&str; 19] = [
    "_args",
    "_from",
    "_hasShrinkwrap",
    "_id",
    "_integrity",
    "_nodeVersion",
    "_npmOperationalInternal",
    "_npmUser",
    "_npmVersion",
    "_requested",
    "_resolved",
    "_rev",
    "_shasum",
    "_where",
    "deprecated",
    "dist",
    "maintainers",
    "readme",
    "readmeFilename",
];

/// The digest of a version's manifest: SHA-256 over its RFC 8785 form without [`REGISTRY_KEYS`].
pub fn digest(manifest: &Map<String, Value>) -> Sha256 {
    let mut bare = manifest.clone();
    bare.retain(|key, _| !REGISTRY_KEYS.contains(&key.as_str()));
    canonical::digest(&bare)
}

/// Everything that an installer acts on and where manifest and package.json do not say the same, one finding for each
/// field. What npm changes on the way (a `bin` that is a text, optional dependencies that are listed twice, `node-gyp
/// rebuild` for a `*.gyp` file) is no difference.
pub fn disagreements(manifest: &Map<String, Value>, archive: &Archive) -> Vec<Finding> {
    let inside = archive.package_json().raw();
    let files: Vec<&str> = archive.files().map(|file| file.path).collect();
    compare(manifest, inside, &files)
}

fn compare(sent: &Map<String, Value>, inside: &Map<String, Value>, files: &[&str]) -> Vec<Finding> {
    let (sent_facts, inside_facts) = (facts(sent), facts(inside));
    let filled = filled_in(inside, files);
    let fields: BTreeSet<&String> = sent_facts.keys().chain(inside_facts.keys()).collect();
    fields
        .into_iter()
        .filter(|field| {
            let (sent, inside) = (sent_facts.get(*field), inside_facts.get(*field));
            sent != inside && !(inside.is_none() && sent.is_some() && sent == filled.get(*field))
        })
        .map(|field| finding(field, sent_facts.get(field), inside_facts.get(field)))
        .collect()
}

fn finding(field: &str, sent: Option<&Value>, inside: Option<&Value>) -> Finding {
    let said = |value: Option<&Value>| match value {
        Some(value) => format!("is `{}`", shortened(&value.to_string())),
        None => "is absent".to_owned(),
    };
    let message = format!(
        "`{field}` {} in the manifest that was sent and {} in the package.json inside the tarball.",
        said(sent),
        said(inside)
    );
    Finding::new(Code::ManifestDisagrees, message).at("package.json")
}

fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// What an installer acts on, flat and in npm's normal form: `scripts.install` → its command.
fn facts(package: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let mut put = |field: String, value: Value| {
        let says_nothing = match &value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if !says_nothing {
            facts.insert(field, value);
        }
    };
    for (field, normal) in [("name", trimmed as fn(&str) -> String), ("version", plain_version)] {
        if let Some(text) = package.get(field).and_then(Value::as_str) {
            put(field.to_owned(), json!(normal(text)));
        }
    }
    const AS_WRITTEN: [&str; 11] = [
        "engines",
        "os",
        "cpu",
        "libc",
        "main",
        "exports",
        "imports",
        "type",
        "browser",
        "peerDependenciesMeta",
        "acceptDependencies",
    ];
    for field in AS_WRITTEN {
        put(field.to_owned(), package.get(field).cloned().unwrap_or_default());
    }
    for (name, command) in scripts(package) {
        put(format!("scripts.{name}"), json!(command));
    }
    for (command, file) in bin(package) {
        put(format!("bin.{command}"), json!(file));
    }
    for (field, dependencies) in dependency_maps(package) {
        for (name, range) in dependencies {
            put(format!("{field}.{name}"), json!(range));
        }
    }
    for name in bundled(package) {
        put(format!("bundleDependencies.{name}"), json!(true));
    }
    facts
}

fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

/// `v1.2.3` and `=1.2.3` are cleaned by npm (semver's `clean`).
fn plain_version(text: &str) -> String {
    text.trim().trim_start_matches(['v', '=']).trim().to_owned()
}

/// Step `scriptpath`: a leading `node_modules/.bin/` is taken away, and what is no text is dropped.
fn scripts(package: &Map<String, Value>) -> BTreeMap<String, String> {
    texts(package.get("scripts"))
        .into_iter()
        .map(|(name, command)| {
            let bare = command.strip_prefix("./").unwrap_or(&command);
            let bare = bare.strip_prefix("node_modules/.bin/").map(str::to_owned);
            (name, bare.unwrap_or(command))
        })
        .collect()
}

/// `bin` as an object of command → file, both made safe as npm does it (`normalizePackageBin`).
fn bin(package: &Map<String, Value>) -> BTreeMap<String, String> {
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default().trim();
    let pairs: Vec<(String, String)> = match package.get("bin") {
        Some(Value::String(file)) => vec![(name.to_owned(), file.clone())],
        Some(Value::Array(files)) => {
            let files = files.iter().filter_map(Value::as_str);
            files.map(|file| (file.to_owned(), file.to_owned())).collect()
        }
        other => texts(other).into_iter().collect(),
    };
    pairs
        .into_iter()
        .map(|(command, file)| (last_part(&inside_path(&command)), inside_path(&file)))
        .filter(|(command, file)| !command.is_empty() && !file.is_empty())
        .collect()
}

fn last_part(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// A path below the package, without `.`, `..`, doubled slashes, backslashes and colons (`secureAndUnixifyPath`).
fn inside_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\', ':']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The three maps that an installer follows. What stands in `optionalDependencies` counts only there: clients of before
/// npm 7 list it in `dependencies` too.
fn dependency_maps(package: &Map<String, Value>) -> [(&'static str, BTreeMap<String, String>); 3] {
    let optional = dependencies(package.get("optionalDependencies"));
    let mut production = dependencies(package.get("dependencies"));
    for name in bundled(package) {
        production.entry(name).or_insert_with(|| "*".to_owned());
    }
    production.retain(|name, _| !optional.contains_key(name));
    [
        ("dependencies", production),
        ("optionalDependencies", optional),
        ("peerDependencies", dependencies(package.get("peerDependencies"))),
    ]
}

/// A dependency map; the list and text forms of old times are spelled out as npm does it.
fn dependencies(value: Option<&Value>) -> BTreeMap<String, String> {
    let listed: Vec<String> = match value {
        Some(Value::String(text)) => {
            let parts = text.split([' ', '\t', '\r', '\n', ',']);
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(|item| item.trim().to_owned()).collect()
        }
        other => {
            let map = texts(other).into_iter();
            return map.map(|(name, range)| (name, plain_range(&range))).collect();
        }
    };
    listed
        .into_iter()
        .map(|item| {
            let end = item.char_indices().skip(1).find(|(_, c)| "@<>= ".contains(*c));
            let (name, range) = item.split_at(end.map_or(item.len(), |(index, _)| index));
            let range = range.strip_prefix('@').unwrap_or(range).trim();
            (name.to_owned(), plain_range(range))
        })
        .collect()
}

/// A range as it stands; of a git repository the one address that all its spellings have.
fn plain_range(range: &str) -> String {
    let (address, fragment) = match range.split_once('#') {
        Some((address, fragment)) => (address, format!("#{fragment}")),
        None => (range, String::new()),
    };
    let names_a_repository = address.contains('/')
        && !address.starts_with(['/', '.', '~'])
        && !address.contains("file:");
    let is_tarball = address.starts_with("http") && !address.ends_with(".git");
    if !names_a_repository || is_tarball || address.starts_with("npm:") {
        return range.to_owned();
    }
    match address.parse::<Repository>() {
        Ok(repository) => format!("{}{fragment}", repository.as_str().trim_end_matches(".git")),
        Err(_) => range.to_owned(),
    }
}

/// Names that the tarball brings along; `true` means all dependencies.
fn bundled(package: &Map<String, Value>) -> BTreeSet<String> {
    let listed = package
        .get("bundleDependencies")
        .or_else(|| package.get("bundledDependencies"))
        .unwrap_or(&Value::Null);
    match listed {
        Value::Bool(true) => dependencies(package.get("dependencies")).into_keys().collect(),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What npm fills in from the files where package.json says nothing: the manifest may have it or not.
fn filled_in(inside: &Map<String, Value>, files: &[&str]) -> BTreeMap<String, Value> {
    let mut filled = BTreeMap::new();
    let scripts = scripts(inside);
    let has_gyp_file = files.iter().any(|path| path.ends_with(".gyp") && !path.contains('/'));
    let runs_at_install = scripts.contains_key("install") || scripts.contains_key("preinstall");
    if has_gyp_file && !runs_at_install && inside.get("gypfile") != Some(&Value::Bool(false)) {
        filled.insert("scripts.install".to_owned(), json!("node-gyp rebuild"));
    }
    if files.contains(&"server.js") {
        filled.insert("scripts.start".to_owned(), json!("node server.js"));
    }
    let folder = inside
        .get("directories")
        .and_then(|directories| directories.get("bin"))
        .and_then(Value::as_str)
        .map(inside_path)
        .filter(|_| inside.get("bin").is_none());
    for (folder, path) in
        folder.iter().flat_map(|folder| files.iter().map(move |file| (folder, file)))
    {
        let below = path.strip_prefix(folder.as_str()).and_then(|rest| rest.strip_prefix('/'));
        if below.is_some_and(|rest| !rest.starts_with('.')) {
            filled.insert(format!("bin.{}", last_part(path)), json!(path));
        }
    }
    filled
}

#[cfg(test)]
#[path = "npm_manifest_tests.rs"]
mod tests;
