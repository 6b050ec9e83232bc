//! Lockfiles: which versions they name, with which bytes, from where. Each package manager's form has a reader of its own
//! below; all give the same value. Nothing here knows folders, registries or how anything is installed.

mod bun;
mod indented;
mod npm;
mod pnpm;
mod yarn;

use std::collections::BTreeSet;

use url::Url;

use crate::artifact::{PackageName, Version};

/// yarn's name for npm's registry, which it writes into its lockfiles: another name for the same service.
const YARN_HOST: &str = "registry.yarnpkg.com";
const NPM_HOST: &str = "registry.npmjs.org";

/// Whose form a lockfile has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// npm's, which npm alone reads.
    Npm,
    /// pnpm's.
    Pnpm,
    /// That of yarn 1.
    Yarn,
    /// That of yarn from 2 on.
    Berry,
    /// bun's text form.
    Bun,
}

/// A lockfile, reduced to what an install takes from elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lockfile {
    /// Whose form it has.
    pub format: Format,
    /// `lockfileVersion`, of berry `__metadata.version`; 1 where it says none.
    pub version: u64,
    /// What stands behind the point of pnpm's `lockfileVersion`; 0 elsewhere.
    pub minor: u64,
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
    /// Whether the lockfile has a digest of another form, which the package manager holds against what it downloads:
    /// berry's, of the archive that it makes. It cannot be held against a tarball.
    pub checksum: bool,
    /// The host that its tarball is to come from; none where the lockfile names no address.
    pub host: Option<String>,
    /// Whether it runs a script when it is installed; version 1 does not say.
    pub has_install_script: bool,
    /// Whether an install goes on without it.
    pub optional: bool,
}

/// A text that its package manager could not use either.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLockfile(String);

impl Lockfile {
    /// Reads npm's lockfile (package-lock.json and npm-shrinkwrap.json of lockfile versions 1 to 3).
    ///
    /// # Errors
    /// What is no JSON object of that form, or of a version after 3.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidLockfile> {
        npm::parse(bytes)
    }

    /// Reads the lockfile of that file name; none where it is no lockfile that is known here.
    ///
    /// # Errors
    /// What its package manager could not use, and bun's binary form, which is not read.
    pub fn of(file: &str, bytes: &[u8]) -> Option<Result<Self, InvalidLockfile>> {
        let read: fn(&str) -> Result<Self, InvalidLockfile> = match file {
            "package-lock.json" | "npm-shrinkwrap.json" => return Some(npm::parse(bytes)),
            "pnpm-lock.yaml" => pnpm::parse,
            "yarn.lock" => yarn::parse,
            "bun.lock" => bun::parse,
            "bun.lockb" => |_| {
                Err(InvalidLockfile("it has bun's binary form, which is not read here".to_owned()))
            },
            _ => return None,
        };
        // The binary form alone is no text, and is refused as what it is.
        let text = if file == "bun.lockb" { Ok("") } else { std::str::from_utf8(bytes) };
        let text = text.map_err(|_| InvalidLockfile("it is not UTF-8".to_owned()));
        Some(text.and_then(|text| read(text.strip_prefix('\u{feff}').unwrap_or(text))))
    }

    fn empty(format: Format, version: u64, minor: u64) -> Self {
        Self { format, version, minor, packages: Vec::new(), from_git: Vec::new() }
    }

    /// Whether each package is named with the digest of its bytes, or with one that the package manager checks. Berry has
    /// none for what does not fit the machines that it was installed on.
    pub fn is_complete(&self) -> bool {
        let spared = |package: &LockedPackage| self.format == Format::Berry && package.optional;
        self.packages.iter().all(|p| p.integrity.is_some() || p.checksum || spared(p))
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
        let host = address.and_then(|url| url.host_str().map(str::to_ascii_lowercase));
        let host = host.map(|host| if host == YARN_HOST { NPM_HOST.to_owned() } else { host });
        self.packages.push(LockedPackage {
            name,
            version,
            integrity: named.integrity.map(str::to_owned),
            checksum: named.checksum,
            host,
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
    checksum: bool,
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
