//! How a package.json was rewritten, key by key, with the keys named that no installer acts on.

use serde_json::{Map, Value};

use crate::package_json::PackageJson;

/// Keys that an installer, a bundler or node acts on (npm 12's documentation, node's `packages` page).
const ACTED_ON: [&str; 30] = [
    "name",
    "version",
    "main",
    "module",
    "browser",
    "exports",
    "imports",
    "type",
    "types",
    "typings",
    "typesVersions",
    "bin",
    "man",
    "directories",
    "files",
    "dependencies",
    "optionalDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "bundledDependencies",
    "bundleDependencies",
    "engines",
    "os",
    "cpu",
    "libc",
    "gypfile",
    "config",
    "sideEffects",
    "overrides",
    "private",
];
/// Scripts that run when a package is installed.
const AT_INSTALL: [&str; 3] = ["preinstall", "install", "postinstall"];
/// Keys whose own keys are told one by one.
const NESTED: [&str; 6] = [
    "scripts",
    "dependencies",
    "devDependencies",
    "peerDependencies",
    "optionalDependencies",
    "engines",
];
/// Keys that a sentence names.
const NAMED_MAX: usize = 12;

/// What was rewritten, as a sentence.
pub(super) fn rewritten(staged: &str, rebuilt: &str) -> String {
    let read = |text: &str| PackageJson::parse(text.as_bytes());
    let (Ok(staged), Ok(rebuilt)) = (read(staged), read(rebuilt)) else {
        return "One of the two is no package.json.".to_owned();
    };
    let mut changes = Vec::new();
    collect(staged.raw(), rebuilt.raw(), None, &mut changes);
    if changes.is_empty() {
        return "Only white space or the order of keys differs.".to_owned();
    }
    let (harmless, other): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| change.harmless);
    let said = [(other, ""), (harmless, " (harmless)")].into_iter().flat_map(|(changes, note)| {
        ["added", "removed", "changed"]
            .into_iter()
            .filter_map(move |how| {
                let keys: Vec<String> =
                    changes.iter().filter(|change| change.how == how).map(Change::shown).collect();
                (!keys.is_empty()).then(|| format!("{how} {}{note}", listed(&keys)))
            })
            .collect::<Vec<_>>()
    });
    let said: Vec<String> = said.collect();
    format!("Key by key: {}.", said.join("; "))
}

struct Change {
    key: String,
    how: &'static str,
    harmless: bool,
}

impl Change {
    fn shown(&self) -> String {
        format!("`{}`", self.key)
    }
}

fn listed(keys: &[String]) -> String {
    let named = keys.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn collect(
    staged: &Map<String, Value>,
    rebuilt: &Map<String, Value>,
    above: Option<&str>,
    changes: &mut Vec<Change>,
) {
    let mut keys: Vec<&String> = staged.keys().chain(rebuilt.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let how = match (staged.get(key), rebuilt.get(key)) {
            (Some(one), Some(other)) if one == other => continue,
            (Some(Value::Object(one)), Some(Value::Object(other)))
                if above.is_none() && NESTED.contains(&key.as_str()) =>
            {
                collect(one, other, Some(key), changes);
                continue;
            }
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "added",
            (None, _) => "removed",
        };
        let harmless = match above {
            Some("scripts") => !AT_INSTALL.contains(&key.as_str()),
            Some(above) => !ACTED_ON.contains(&above),
            None if key == "scripts" => how == "removed",
            None => !ACTED_ON.contains(&key.as_str()),
        };
        let key = above.map_or_else(|| key.clone(), |above| format!("{above}.{key}"));
        changes.push(Change { key, how, harmless });
    }
}
