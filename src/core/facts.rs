//! What a tagged tree says about how its package is built: package.json, lockfiles, version files and the settings of
//! `.npmrc`, as values. Facts alone; what follows from them stands in `plan/`.

use std::collections::BTreeSet;

use crate::{
    lockfile::{InvalidLockfile, Lockfile},
    package_json::PackageJson,
    source::Directory,
};

/// The facts of one tree, seen from the package's folder.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceFacts {
    /// The package's own package.json.
    pub package: PackageJson,
    /// The package's folder and those above it up to the root, nearest first; never empty.
    pub folders: Vec<FolderFacts>,
    /// Every file and link below the package's folder, relative to it.
    pub paths: BTreeSet<String>,
}

/// The facts of one folder.
#[derive(Clone, PartialEq, Debug)]
pub struct FolderFacts {
    /// The folder.
    pub directory: Directory,
    /// Its package.json, where it has one that can be read.
    pub package: Option<PackageJson>,
    /// Its npm lockfile by the file's name; npm takes npm-shrinkwrap.json before package-lock.json.
    pub lockfile: Option<(String, Result<Lockfile, InvalidLockfile>)>,
    /// The names of other package managers' lockfiles.
    pub other_lockfiles: Vec<String>,
    /// The same, read, by the file's name.
    pub lockfiles: Vec<(String, Result<Lockfile, InvalidLockfile>)>,
    /// The first lines of `.nvmrc`, `.node-version` and of `nodejs` in `.tool-versions`, by the file's name.
    pub node_versions: Vec<(String, String)>,
    /// What its `.npmrc` says.
    pub npmrc: Npmrc,
}

/// The settings of a project's `.npmrc` that matter here. Registries, scopes and credentials are never followed: they
/// are reported, and the sandbox's own take their place.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Npmrc {
    /// `ignore-scripts=true`, under which npm hides a package's own lifecycle scripts when it packs.
    pub ignore_scripts: bool,
    /// Scopes with a registry of their own, with their `@`.
    pub scopes: BTreeSet<String>,
    /// The keys that were passed over: registries and what belongs to them.
    pub passed_over: BTreeSet<String>,
}

impl Npmrc {
    /// Reads the file as npm's `ini` does: `key = value` lines, `;` and `#` open a comment, sections are not used.
    pub fn parse(text: &str) -> Self {
        let mut npmrc = Self::default();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with([';', '#', '[']) {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, "true"));
            let (key, value) = (key.trim(), value.trim().trim_matches(['"', '\'']));
            match key {
                "ignore-scripts" => npmrc.ignore_scripts = value == "true",
                "registry" | "proxy" | "https-proxy" | "noproxy" | "cafile" | "ca"
                | "strict-ssl" => {
                    npmrc.passed_over.insert(key.to_owned());
                }
                _ if key.starts_with("//") => {
                    // The host, without the name of the credential.
                    let host = key.rsplit_once(':').map_or(key, |(host, _)| host);
                    npmrc.passed_over.insert(host.to_owned());
                }
                _ => {
                    if let Some(scope) = key.strip_suffix(":registry").filter(|s| is_scope(s)) {
                        npmrc.scopes.insert(scope.to_owned());
                        npmrc.passed_over.insert(key.to_owned());
                    }
                }
            }
        }
        npmrc
    }
}

fn is_scope(text: &str) -> bool {
    let Some(name) = text.strip_prefix('@') else { return false };
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
}

impl SourceFacts {
    /// The package's folder.
    pub fn directory(&self) -> &Directory {
        &self.own().directory
    }

    /// The facts of the package's own folder.
    pub fn own(&self) -> &FolderFacts {
        self.folders.first().expect("the facts of the package's folder are always there")
    }

    /// The nearest folder above the package's whose `workspaces` name it.
    pub fn workspace_root(&self) -> Option<&FolderFacts> {
        self.folders.iter().skip(1).find(|folder| {
            folder.package.as_ref().is_some_and(|package| {
                let below = relative(&folder.directory, self.directory());
                workspaces(package).names(&below)
            })
        })
    }

    /// Every scope that some `.npmrc` on the way sends to a registry of its own.
    pub fn scopes(&self) -> BTreeSet<&str> {
        self.folders.iter().flat_map(|folder| &folder.npmrc.scopes).map(String::as_str).collect()
    }

    /// Whether the tree holds what package.json points to: a file, a folder, or what node's `require` makes of a path
    /// without its extension.
    pub fn holds(&self, target: &str) -> bool {
        let parts: Vec<&str> =
            target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return false;
        }
        let path = parts.join("/");
        if path.is_empty() {
            return true;
        }
        let forms = ["", ".js", ".json", ".node", ".mjs", ".cjs"];
        if forms.iter().any(|ending| self.paths.contains(&format!("{path}{ending}"))) {
            return true;
        }
        let below = format!("{path}/");
        self.paths.range(below.clone()..).next().is_some_and(|found| found.starts_with(&below))
    }
}

fn relative(above: &Directory, folder: &Directory) -> String {
    if above.is_root() {
        return folder.as_str().to_owned();
    }
    folder.as_str().get(above.as_str().len() + 1..).unwrap_or_default().to_owned()
}

/// The patterns of a package.json's `workspaces`, in its list or its object form.
struct Workspaces(Vec<String>);

fn workspaces(package: &PackageJson) -> Workspaces {
    let field = package.raw().get("workspaces");
    let list =
        field.and_then(|value| value.as_array().or_else(|| value.get("packages")?.as_array()));
    let texts = list.into_iter().flatten().filter_map(|value| value.as_str());
    Workspaces(
        texts.map(|text| text.trim_matches('/').trim_start_matches("./").to_owned()).collect(),
    )
}

impl Workspaces {
    /// Whether the patterns name this folder; a later `!pattern` takes it out again (@npmcli/map-workspaces 5).
    fn names(&self, folder: &str) -> bool {
        let folder: Vec<&str> = folder.split('/').collect();
        self.0.iter().fold(false, |named, pattern| match pattern.strip_prefix('!') {
            Some(out) => named && !covers(&out.split('/').collect::<Vec<_>>(), &folder),
            None => named || covers(&pattern.split('/').collect::<Vec<_>>(), &folder),
        })
    }
}

/// Whether a pattern of path parts, with `*` inside a part and `**` for any number of parts, covers these parts.
fn covers(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) if covers(rest, parts) => true,
        (Some((&"**", _)), Some((_, after))) => covers(pattern, after),
        (Some((part, rest)), Some((name, after))) => fits(part, name) && covers(rest, after),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_name_folders_as_npm_reads_them() {
        let named = |patterns: &[&str], folder: &str| {
            Workspaces(patterns.iter().map(|&p| p.to_owned()).collect()).names(folder)
        };
        assert!(named(&["packages/*"], "packages/a"));
        assert!(!named(&["packages/*"], "packages/a/b"));
        assert!(named(&["packages/**"], "packages/a/b"));
        assert!(named(&["a", "lib-*"], "lib-x"));
        assert!(!named(&["packages/*", "!packages/private-*"], "packages/private-x"));
        assert!(!named(&[], "packages/a"));
    }

    #[test]
    fn an_npmrc_is_read_for_what_matters_and_its_registries_are_passed_over() {
        let npmrc = Npmrc::parse(
            "; a comment\nignore-scripts = true\n@corp:registry=https://npm.corp.example\n\
             registry=https://mirror.example\n//npm.corp.example/:_authToken=${TOKEN}\nsave-exact\nloglevel=error\n",
        );
        assert!(npmrc.ignore_scripts);
        assert_eq!(npmrc.scopes, BTreeSet::from(["@corp".to_owned()]));
        let passed: Vec<&str> = npmrc.passed_over.iter().map(String::as_str).collect();
        assert_eq!(passed, ["//npm.corp.example/", "@corp:registry", "registry"]);
        assert!(!Npmrc::parse("ignore-scripts=false").ignore_scripts);
    }
}
