//! npm's lockfiles: package-lock.json and npm-shrinkwrap.json of lockfile versions 1 to 3.

use serde_json::{Map, Value};

use super::{Format, InvalidLockfile, Lockfile, Named};

/// Versions 2 and 3 are read by their `packages`, version 1 by its nested `dependencies`.
///
/// # Errors
/// What is no JSON object of that form, or of a version after 3.
pub(super) fn parse(bytes: &[u8]) -> Result<Lockfile, InvalidLockfile> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| InvalidLockfile("it is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| InvalidLockfile(error.to_string()))?;
    let version = match whole.get("lockfileVersion") {
        None => 1,
        Some(number) => number.as_u64().unwrap_or(u64::MAX),
    };
    if version > 3 {
        return Err(InvalidLockfile("its `lockfileVersion` is not 1, 2 or 3".to_owned()));
    }
    let map = |key: &str| match whole.get(key) {
        None => Ok(None),
        Some(Value::Object(entries)) => Ok(Some(entries)),
        Some(_) => Err(InvalidLockfile(format!("its `{key}` is not an object"))),
    };
    let mut lockfile = Lockfile::empty(Format::Npm, version, 0);
    match (map("packages")?, map("dependencies")?) {
        (Some(packages), _) => add_packages(&mut lockfile, packages),
        (None, Some(dependencies)) => add_dependencies(&mut lockfile, dependencies),
        (None, None) => {}
    }
    Ok(lockfile)
}

fn add_packages(lockfile: &mut Lockfile, packages: &Map<String, Value>) {
    for (place, entry) in packages {
        let Some((_, alias)) = place.rsplit_once("node_modules/") else { continue };
        let flag = |key| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
        if flag("link") || flag("inBundle") {
            continue;
        }
        let text = |key| entry.get(key).and_then(Value::as_str);
        let name = text("name").unwrap_or(alias);
        lockfile.add(Named {
            name,
            version: text("version").unwrap_or_default(),
            resolved: text("resolved"),
            integrity: text("integrity"),
            checksum: false,
            has_install_script: flag("hasInstallScript"),
            optional: flag("optional") || flag("devOptional"),
        });
    }
}

/// The parser bounds how deep they nest.
fn add_dependencies(lockfile: &mut Lockfile, dependencies: &Map<String, Value>) {
    for (alias, entry) in dependencies {
        let flag = |key| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
        let text = |key| entry.get(key).and_then(Value::as_str);
        let spec = text("version").unwrap_or_default();
        let aliased = spec.strip_prefix("npm:").and_then(|target| target.rsplit_once('@'));
        let (name, version) = aliased.unwrap_or((alias, spec));
        if !flag("bundled") {
            lockfile.add(Named {
                name,
                version,
                resolved: text("resolved").or_else(|| spec.contains(':').then_some(spec)),
                integrity: text("integrity"),
                checksum: false,
                has_install_script: false,
                optional: flag("optional"),
            });
        }
        if let Some(nested) = entry.get("dependencies").and_then(Value::as_object) {
            add_dependencies(lockfile, nested);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENT: &str = r#"{"name":"x","lockfileVersion":3,"packages":{
        "":{"devDependencies":{"a":"1"}},
        "node_modules/a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"sha512-AA==","dev":true},
        "node_modules/a/node_modules/@s/b":{"version":"2.0.0","resolved":"https://packages.example.org/b.tgz","integrity":"sha512-BB==","hasInstallScript":true},
        "node_modules/alias":{"name":"real","version":"3.0.0","resolved":"https://registry.npmjs.org/real/-/real-3.0.0.tgz"},
        "node_modules/mac":{"version":"1.0.0","resolved":"https://elsewhere.example.org/mac.tgz","optional":true,"integrity":"sha512-CC=="},
        "node_modules/sibling":{"resolved":"packages/sibling","link":true},
        "packages/sibling":{"version":"9.0.0"},
        "node_modules/g":{"version":"1.0.0","resolved":"git+ssh://git@github.com/o/g.git#abc"},
        "node_modules/a/node_modules/in":{"version":"1.0.0","inBundle":true}}}"#;

    #[test]
    fn a_lockfile_of_today_names_what_an_install_takes_from_elsewhere() {
        let lockfile = Lockfile::parse(CURRENT.as_bytes()).unwrap();
        let names: Vec<String> =
            lockfile.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect();
        assert_eq!(names, ["a@1.0.0", "@s/b@2.0.0", "real@3.0.0", "mac@1.0.0"]);
        assert_eq!(lockfile.from_git, ["g"]);
        assert!(!lockfile.is_complete(), "the alias has no digest");
        let hosts: Vec<&str> = lockfile.hosts().into_iter().collect();
        assert_eq!(hosts, ["packages.example.org", "registry.npmjs.org"]);
        assert_eq!(lockfile.with_install_scripts().len(), 1);
    }

    #[test]
    fn a_lockfile_of_npm_6_is_read_through_all_its_levels() {
        let text = r#"{"lockfileVersion":1,"dependencies":{
            "a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"sha1-x",
                 "dependencies":{"b":{"version":"npm:@s/real@2.0.0","integrity":"sha512-y"},"c":{"version":"1.0.0","bundled":true}}},
            "g":{"version":"github:o/g#abc","from":"github:o/g"},
            "f":{"version":"file:../f"}}}"#;
        let lockfile = Lockfile::parse(text.as_bytes()).unwrap();
        assert_eq!(lockfile.version, 1);
        let names: Vec<&str> = lockfile.packages.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a", "@s/real"]);
        assert_eq!(lockfile.from_git, ["g"]);
        assert!(lockfile.is_complete());
    }

    #[test]
    fn what_npm_could_not_use_is_refused() {
        for text in ["", "[]", "{\"packages\":[]}", "{\"lockfileVersion\":4}", "<<<<<<< HEAD\n{}"] {
            assert!(Lockfile::parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = "{\"dependencies\":{\"a\":".repeat(60) + "1" + &"}}".repeat(60);
        assert!(Lockfile::parse(deep.as_bytes()).is_ok());
        let deeper = "{\"dependencies\":{\"a\":".repeat(5000) + "1" + &"}}".repeat(5000);
        assert!(Lockfile::parse(deeper.as_bytes()).is_err());
    }
}
