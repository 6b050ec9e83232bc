//! What a tagged tree says about how its package is built: package.json, lockfiles, version files, workspaces, workflow
//! files and the settings of `.npmrc`, as values. Facts alone; what follows from them stands in `plan/`.

pub mod shell;
mod workflow;
mod workspace;

use std::collections::BTreeSet;

use serde_json::Value;

pub use workflow::{Job, JobStep, Workflow};
pub use workspace::fits;
pub use workspace::{Lerna, Patterns};

use crate::{
    lockfile::{InvalidLockfile, Lockfile},
    package_json::PackageJson,
    source::Directory,
    toolchain::ToolName,
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
    /// The members of the workspace that the package belongs to, itself among them, in the order of their folders.
    pub members: Vec<Member>,
    /// The workflow files of the forge.
    pub workflows: Vec<Workflow>,
    /// The version that the release writes into package.json, where the tree has another there.
    pub written_version: Option<String>,
}

/// One member of a workspace.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Its folder.
    pub directory: Directory,
    /// Its package.json.
    pub package: PackageJson,
}

/// Another package manager's lockfile.
#[derive(Clone, PartialEq, Debug)]
pub struct OtherLockfile {
    /// Its name in the folder.
    pub name: String,
    /// Whose it is.
    pub manager: ToolName,
    /// The version of its form, as it writes it: `5.4`, `9.0`, `1`, `8`; empty where it says none.
    pub form: String,
    /// What it names, where it was read.
    pub read: Option<Result<Lockfile, InvalidLockfile>>,
}

/// A version of a tool that a file of the tree pins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pinned {
    /// The tool.
    pub tool: ToolName,
    /// The version, as it stands there.
    pub version: String,
    /// The file's name in the folder.
    pub file: String,
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
    /// Other package managers' lockfiles.
    pub other_lockfiles: Vec<OtherLockfile>,
    /// The first lines of `.nvmrc`, `.node-version` and of `nodejs` in `.tool-versions`, by the file's name.
    pub node_versions: Vec<(String, String)>,
    /// Package managers that `.tool-versions` and `.yarnrc.yml` pin.
    pub pinned: Vec<Pinned>,
    /// The patterns of its `pnpm-workspace.yaml`, where it has one.
    pub pnpm_workspace: Option<Patterns>,
    /// Its `lerna.json`, where it has one.
    pub lerna: Option<Lerna>,
    /// The settings of release tools in files of their own, by the file's name; null where it is no JSON or YAML.
    pub release_settings: Vec<(String, Value)>,
    /// What its `.npmrc` says.
    pub npmrc: Npmrc,
}

impl FolderFacts {
    /// Every lockfile of the folder that could be read.
    pub fn lockfiles(&self) -> impl Iterator<Item = &Lockfile> {
        let npm = self.lockfile.iter().filter_map(|(_, read)| read.as_ref().ok());
        npm.chain(
            self.other_lockfiles.iter().filter_map(|other| other.read.as_ref()?.as_ref().ok()),
        )
    }

    /// The members that a workspace file of this folder names; none where it is no workspace's root.
    pub fn workspace(&self) -> Option<Patterns> {
        let in_package = self.package.as_ref().and_then(Patterns::of_package);
        let lerna = || self.lerna.as_ref().and_then(|lerna| lerna.packages.clone());
        self.pnpm_workspace.clone().or(in_package).or_else(lerna)
    }
}

/// The version of a lockfile's form: `lockfileVersion` of pnpm's and bun's, `1` for yarn's classic one, the `version` of
/// `__metadata` for berry's.
pub fn lockfile_form(name: &str, text: &str) -> String {
    let head = || text.lines().take(20).map(str::trim);
    let after = |key: &str| {
        let value = head().find_map(|line| line.trim_start_matches('"').strip_prefix(key))?;
        Some(value.trim_matches(|c: char| !c.is_ascii_digit()).to_owned())
    };
    let form = match name {
        "yarn.lock" if head().any(|line| line == "# yarn lockfile v1") => Some("1".to_owned()),
        "yarn.lock" => after("version:"),
        _ => after("lockfileVersion"),
    };
    form.unwrap_or_default()
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

    /// The nearest folder above the package's whose workspace names it.
    pub fn workspace_root(&self) -> Option<&FolderFacts> {
        self.folders.iter().skip(1).find(|folder| {
            folder.workspace().is_some_and(|patterns| {
                patterns.names(&relative(&folder.directory, self.directory()))
            })
        })
    }

    /// The folder at the repository's root.
    pub fn root(&self) -> &FolderFacts {
        self.folders.last().expect("the facts of the package's folder are always there")
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

/// A folder as seen from one above it.
pub(crate) fn relative(above: &Directory, folder: &Directory) -> String {
    if above.is_root() {
        return folder.as_str().to_owned();
    }
    folder.as_str().get(above.as_str().len() + 1..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_lockfile_stands_in_its_head() {
        let berry = "# generated\n\n__metadata:\n  version: 6\n  cacheKey: 8\n";
        for (name, text, form) in [
            ("pnpm-lock.yaml", "lockfileVersion: 5.4\n\nspecifiers:\n", "5.4"),
            ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n", "9.0"),
            ("yarn.lock", "# AUTOGENERATED\n# yarn lockfile v1\n", "1"),
            ("yarn.lock", berry, "6"),
            ("bun.lock", "{\n  \"lockfileVersion\": 1,\n", "1"),
            ("bun.lockb", "", ""),
        ] {
            assert_eq!(lockfile_form(name, text), form, "{name} {text}");
        }
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
