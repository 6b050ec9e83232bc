//! npm's lockfiles (package-lock.json and npm-shrinkwrap.json of lockfile versions 1 to 3): which versions they name, with
//! which bytes, from where. It knows nothing of folders, registries or how anything is installed.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::Url;

use crate::artifact::{PackageName, Version};

/// A lockfile, reduced to what an install takes from elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lockfile {
    /// `lockfileVersion`; 1 where it says none.
    pub version: u64,
    /// Every package that it names from a registry or an address, in the order of the file.
    pub packages: Vec<LockedPackage>,
    /// The names of dependencies that come from a git repository and are not optional.
    pub from_git: Vec<String>,
}

/// One package that a lockfile names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockedPackage {
    /// Its name in the registry, also where it is installed under an alias.
    pub name: PackageName,
    /// Its exact version.
    pub version: Version,
    /// The digest of its tarball, as the lockfile writes it.
    pub integrity: Option<String>,
    /// The host that its tarball is to come from; none where the lockfile names no address.
    pub host: Option<String>,
    /// Whether it runs a script when it is installed; version 1 does not say.
    pub has_install_script: bool,
    /// Whether an install goes on without it.
    pub optional: bool,
}

/// A text that npm could not use as its lockfile either.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLockfile(String);

impl Lockfile {
    /// Reads a lockfile. Versions 2 and 3 are read by their `packages`, version 1 by its nested `dependencies`.
    ///
    /// # Errors
    /// What is no JSON object of that form, or of a version after 3.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidLockfile> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| InvalidLockfile("it is not UTF-8".to_owned()))?;
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
        let mut lockfile = Self { version, packages: Vec::new(), from_git: Vec::new() };
        match (map("packages")?, map("dependencies")?) {
            (Some(packages), _) => lockfile.add_packages(packages),
            (None, Some(dependencies)) => lockfile.add_dependencies(dependencies),
            (None, None) => {}
        }
        Ok(lockfile)
    }

    /// Whether each package is named with the digest of its bytes.
    pub fn is_complete(&self) -> bool {
        self.packages.iter().all(|package| package.integrity.is_some())
    }

    /// The hosts that tarballs are to come from, of what is not optional.
    pub fn hosts(&self) -> BTreeSet<&str> {
        let needed = self.packages.iter().filter(|package| !package.optional);
        needed.filter_map(|package| package.host.as_deref()).collect()
    }

    /// The names of packages that run a script when they are installed.
    pub fn with_install_scripts(&self) -> BTreeSet<&PackageName> {
        let running = self.packages.iter().filter(|package| package.has_install_script);
        running.map(|package| &package.name).collect()
    }

    fn add_packages(&mut self, packages: &Map<String, Value>) {
        for (place, entry) in packages {
            let Some((_, alias)) = place.rsplit_once("node_modules/") else { continue };
            let flag = |key| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
            if flag("link") || flag("inBundle") {
                continue;
            }
            let text = |key| entry.get(key).and_then(Value::as_str);
            let name = text("name").unwrap_or(alias);
            self.add(Named {
                name,
                version: text("version").unwrap_or_default(),
                resolved: text("resolved"),
                integrity: text("integrity"),
                has_install_script: flag("hasInstallScript"),
                optional: flag("optional") || flag("devOptional"),
            });
        }
    }

    /// The parser bounds how deep they nest.
    fn add_dependencies(&mut self, dependencies: &Map<String, Value>) {
        for (alias, entry) in dependencies {
            let flag = |key| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
            let text = |key| entry.get(key).and_then(Value::as_str);
            let spec = text("version").unwrap_or_default();
            let aliased = spec.strip_prefix("npm:").and_then(|target| target.rsplit_once('@'));
            let (name, version) = aliased.unwrap_or((alias, spec));
            if !flag("bundled") {
                self.add(Named {
                    name,
                    version,
                    resolved: text("resolved").or_else(|| spec.contains(':').then_some(spec)),
                    integrity: text("integrity"),
                    has_install_script: false,
                    optional: flag("optional"),
                });
            }
            if let Some(nested) = entry.get("dependencies").and_then(Value::as_object) {
                self.add_dependencies(nested);
            }
        }
    }

    fn add(&mut self, named: Named<'_>) {
        if named.resolved.is_some_and(is_git) {
            if !named.optional {
                self.from_git.push(named.name.to_owned());
            }
            return;
        }
        // A folder of the repository has no version of its own that a registry could serve.
        let (Ok(name), Ok(version)) = (named.name.parse(), named.version.parse()) else { return };
        let address = named.resolved.and_then(|text| Url::parse(text).ok());
        let address = address.filter(|url| matches!(url.scheme(), "http" | "https"));
        self.packages.push(LockedPackage {
            name,
            version,
            integrity: named.integrity.map(str::to_owned),
            host: address.and_then(|url| url.host_str().map(str::to_ascii_lowercase)),
            has_install_script: named.has_install_script,
            optional: named.optional,
        });
    }
}

struct Named<'a> {
    name: &'a str,
    version: &'a str,
    resolved: Option<&'a str>,
    integrity: Option<&'a str>,
    has_install_script: bool,
    optional: bool,
}

/// Whether a dependency's specifier leads to a git repository (npm-package-arg 13): a git address, or a forge's shorthand.
pub(crate) fn is_git(specifier: &str) -> bool {
    let specifier = specifier.trim();
    let schemes = ["git+", "git:", "git@", "github:", "gitlab:", "bitbucket:", "gist:", "ssh:"];
    if schemes.iter().any(|scheme| specifier.starts_with(scheme)) {
        return true;
    }
    if specifier.starts_with("http") {
        let path = specifier.split(['#', '?']).next().unwrap_or_default();
        return path.ends_with(".git");
    }
    // `owner/name`, which no range and no tag can be.
    let plain = specifier.split('#').next().unwrap_or_default();
    let parts: Vec<&str> = plain.split('/').collect();
    let word = |part: &&str| {
        !part.is_empty()
            && !part.starts_with(['.', '@', '~'])
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    parts.len() == 2 && parts.iter().all(word)
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

    #[test]
    fn a_specifier_that_leads_to_git_is_told_from_a_range() {
        for git in [
            "owner/name",
            "owner/name#v1",
            "github:o/n",
            "git+https://x/y",
            "git@x:y",
            "https://x/y.git#v1",
        ] {
            assert!(is_git(git), "{git}");
        }
        for other in [
            "^1.0.0",
            "latest",
            "npm:x@1",
            "file:../x",
            "./x",
            "../a/b",
            "https://x/y.tgz",
            "workspace:*",
            "1 || 2",
            "~/x",
            "@s/n",
        ] {
            assert!(!is_git(other), "{other}");
        }
    }
}
