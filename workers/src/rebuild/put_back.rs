//! Tracked files that a step of the build rewrote or removed are written back from the commit's tree before packing: a
//! formatter, a hook or a generated table of contents changes files that no release was meant to take from it. Only bytes
//! of the commit are ever written, so this can make a rebuild differ from the staged files and never agree with what is
//! not in the commit.
//!
//! What the build is there to make stays as it was built, although the commit holds an older form of it:
//! * what the package's own package.json leads to (`main`, `exports`, `bin`, `types` and their like), and everything below
//!   the first folder on the way there: `dist` for `dist/esm/index.js`;
//! * what lies below a folder, other than the root and the folder of a package, in which a file now lies directly that
//!   the commit does not hold;
//! * what lies in a `node_modules`, since that is the install's;
//! * what a step of the plan itself wrote (`npm version`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countersign_core::{package_json::PackageJson, source::Directory};
use serde_json::Value;

use crate::{
    checkout::{ExportTree, Kind},
    rebuild::Failure,
    sandbox::{Entry, EntryKind, Listed, SandboxError, WorkArea},
};

/// Fields of package.json whose texts, at whatever depth, lead to a file that is made for others.
const ENTRY_POINTS: [&str; 13] = [
    "main",
    "module",
    "browser",
    "exports",
    "bin",
    "types",
    "typings",
    "typesVersions",
    "unpkg",
    "jsdelivr",
    "style",
    "jsnext:main",
    "es2015",
];
/// What node makes of a path without its extension.
const ENDINGS: [&str; 6] = ["", ".js", ".json", ".node", ".mjs", ".cjs"];

/// A tree that was written into a work area and then built in.
pub(super) struct Built<'a> {
    /// The commit's tree.
    pub(super) tree: &'a ExportTree,
    /// Where it was written.
    pub(super) area: &'a WorkArea,
    /// The folder of the work area that it lies in.
    pub(super) below: &'a str,
    /// The package's folder.
    pub(super) directory: &'a Directory,
    /// What steps of the plan wrote on purpose: these bytes stand in place of the commit's.
    pub(super) planned: &'a BTreeMap<String, Vec<u8>>,
}

/// What was done.
#[derive(Default, Debug)]
pub(super) struct PutBack {
    /// The paths that were written back, in the order of their names.
    pub(super) paths: Vec<String>,
    /// Those that could not be, each with why: the build left something in their place.
    pub(super) stuck: Vec<String>,
}

impl Built<'_> {
    /// Writes back what was changed and is no output.
    ///
    /// # Errors
    /// A damaged cache. What the build left in the way is told and not an error.
    pub(super) fn put_back(&self) -> Result<PutBack, Failure> {
        let changed = self.changed()?;
        let wanted: BTreeSet<String> = match changed.paths.is_empty() {
            true => BTreeSet::new(),
            false => self.not_output(changed),
        };
        let mut done = PutBack::default();
        if wanted.is_empty() {
            return Ok(done);
        }
        let mut put = |path: &str, kind: Kind, bytes: &[u8]| -> Result<(), Failure> {
            if wanted.contains(path) {
                match self.put(path, kind, bytes) {
                    Ok(()) => done.paths.push(path.to_owned()),
                    Err(error) => done.stuck.push(format!("{path}: {error}")),
                }
            }
            Ok(())
        };
        // It could be written before, so it can be now.
        let _fit = self.tree.export(&mut put)?;
        done.paths.sort();
        Ok(done)
    }

    fn put(&self, path: &str, kind: Kind, bytes: &[u8]) -> Result<(), SandboxError> {
        let bytes = self.planned.get(path).map_or(bytes, Vec::as_slice);
        let entry = match kind {
            Kind::File { executable } => Entry::File { bytes, executable },
            Kind::Symlink => Entry::Symlink { target: bytes },
            Kind::Submodule => Entry::Directory,
        };
        self.area.put(&self.inside(path), &entry)
    }

    fn inside(&self, path: &str) -> String {
        if path.is_empty() { self.below.to_owned() } else { format!("{}/{path}", self.below) }
    }

    /// Every tracked path that is not as it was committed.
    fn changed(&self) -> Result<Changed, Failure> {
        let manifest = self.directory.join("package.json");
        let mut folders = Folders::default();
        let mut changed = Changed::default();
        let mut look = |path: &str, kind: Kind, bytes: &[u8]| -> Result<(), Failure> {
            if path == manifest {
                changed.package = PackageJson::parse(bytes).ok();
            }
            let bytes = self.planned.get(path).map_or(bytes, Vec::as_slice);
            let is_installs = path.split('/').any(|part| part == "node_modules");
            if !is_installs && !self.is_as(path, kind, bytes, &mut folders) {
                changed.paths.push(path.to_owned());
            }
            Ok(())
        };
        let _fit = self.tree.export(&mut look)?;
        Ok(changed)
    }

    fn is_as(&self, path: &str, kind: Kind, bytes: &[u8], folders: &mut Folders) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(found) = folders.of(self, folder).get(name) else { return false };
        let content = || self.area.take_file(&self.inside(path), bytes.len() as u64);
        match kind {
            Kind::File { executable } => {
                found.kind == EntryKind::File
                    && found.executable == executable
                    && found.bytes == bytes.len() as u64
                    && content().is_ok_and(|content| content == bytes)
            }
            Kind::Symlink => {
                found.kind == EntryKind::Symlink
                    && self.area.link_target(&self.inside(path)).is_ok_and(|target| target == bytes)
            }
            Kind::Submodule => found.kind == EntryKind::Directory,
        }
    }

    fn not_output(&self, changed: Changed) -> BTreeSet<String> {
        let tracked: BTreeSet<String> = self.tree.paths().collect();
        let named = Named::by(changed.package.as_ref(), self.directory);
        let mut grown: HashMap<String, bool> = HashMap::new();
        let mut is_output = |path: &str| {
            named.covers(path)
                || above(path).any(|folder| {
                    *grown
                        .entry(folder.to_owned())
                        .or_insert_with(|| self.has_grown(folder, &tracked))
                })
        };
        changed.paths.into_iter().filter(|path| !is_output(path)).collect()
    }

    /// Whether a file lies directly in that folder, which is no package's, that the commit does not hold.
    fn has_grown(&self, folder: &str, tracked: &BTreeSet<String>) -> bool {
        if tracked.contains(&format!("{folder}/package.json")) {
            return false;
        }
        let listed = self.area.list(&self.inside(folder)).unwrap_or_default();
        listed.iter().any(|entry| {
            entry.kind == EntryKind::File && !tracked.contains(&format!("{folder}/{}", entry.name))
        })
    }
}

#[derive(Default)]
struct Changed {
    paths: Vec<String>,
    package: Option<PackageJson>,
}

/// Folders of the work area that were listed once.
#[derive(Default)]
struct Folders(HashMap<String, BTreeMap<String, Listed>>);

impl Folders {
    fn of(&mut self, built: &Built<'_>, folder: &str) -> &BTreeMap<String, Listed> {
        self.0.entry(folder.to_owned()).or_insert_with(|| {
            // A folder that cannot be listed holds nothing that was committed.
            let listed = built.area.list(&built.inside(folder)).unwrap_or_default();
            listed.into_iter().map(|entry| (entry.name.clone(), entry)).collect()
        })
    }
}

/// The folders above a path, without the root.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// What a package.json leads to.
#[derive(PartialEq, Eq, Debug)]
struct Named {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Named {
    fn by(package: Option<&PackageJson>, directory: &Directory) -> Self {
        let mut named = Self { files: BTreeSet::new(), folders: BTreeSet::new() };
        // What node takes where `main` is missing.
        named.add("index.js", directory);
        for field in ENTRY_POINTS {
            if let Some(value) = package.and_then(|package| package.raw().get(field)) {
                texts(value, &mut |target| named.add(target, directory));
            }
        }
        named
    }

    fn add(&mut self, target: &str, directory: &Directory) {
        let parts: Vec<&str> =
            target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return;
        }
        match parts.as_slice() {
            // `exports` names it so that it can be read, not because it is made.
            [] | ["package.json"] => {}
            [file] => {
                let forms = ENDINGS.map(|ending| directory.join(&format!("{file}{ending}")));
                self.files.extend(forms);
            }
            [first, ..] => drop(self.folders.insert(directory.join(first))),
        }
    }

    fn covers(&self, path: &str) -> bool {
        self.files.contains(path) || above(path).any(|folder| self.folders.contains(folder))
    }
}

/// Every text in a value; the parser bounds how deep they nest.
fn texts(value: &Value, each: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, each)),
        Value::Object(map) => map.values().for_each(|item| texts(item, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(package: &str, directory: &str) -> Named {
        let package = PackageJson::parse(package.as_bytes()).unwrap();
        Named::by(Some(&package), &directory.parse().unwrap())
    }

    #[test]
    fn what_package_json_leads_to_is_output_and_the_rest_is_not() {
        let package = r#"{"main":"./dist/cjs/index","bin":{"x":"cli.js"},"types":"types.d.ts",
            "exports":{".":{"import":["./dist/esm/index.mjs"]},"./features/*":"./features/*.js","./package.json":"./package.json"},
            "browser":{"./lib/node.js":"./lib/web.js","fs":false},"module":"../elsewhere/x.js"}"#;
        let named = named(package, "packages/a");
        for output in [
            "dist/cjs/index.js",
            "dist/style.css",
            "cli.js",
            "types.d.ts",
            "features/a.js",
            "lib/x",
        ] {
            assert!(named.covers(&format!("packages/a/{output}")), "{output}");
            assert!(!named.covers(output), "{output} of the root is another file");
        }
        for other in ["README.md", "package.json", "src/index.js", "distant.js", "elsewhere/x.js"] {
            assert!(!named.covers(&format!("packages/a/{other}")), "{other}");
        }
    }

    #[test]
    fn without_main_it_is_index_js() {
        let named = named("{}", "");
        assert!(named.covers("index.js") && !named.covers("lib/index.js"));
    }
}
