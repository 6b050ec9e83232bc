//! `npm install` itself: many tarballs in one project, each under a name of its own, and what then lies on the disk. It knows
//! nothing of our reader.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use countersign_core::Sha256;
use serde_json::{Map, json};

use super::tree::Tree;
use crate::support::{Ran, RealNpm};

/// Nothing of these packages comes from a registry; one that is asked would be a fault.
const NO_REGISTRY: &str = "http://127.0.0.1:9/";

/// Installs the tarballs into a new project by the pinned npm, without scripts.
///
/// # Errors
/// npm's own words where it gives up, which it does for all of them at once.
pub(super) async fn install(tarballs: &[(String, &[u8])]) -> Result<BTreeMap<String, Tree>, Ran> {
    let npm = RealNpm::new(NO_REGISTRY).await;
    let project = npm.folder("project");
    let mut dependencies = Map::new();
    for (name, tgz) in tarballs {
        fs::write(project.join(format!("{name}.tgz")), tgz).unwrap();
        dependencies.insert(name.clone(), json!(format!("file:{name}.tgz")));
    }
    let package = json!({ "name": "project", "version": "1.0.0", "dependencies": dependencies });
    fs::write(project.join("package.json"), package.to_string()).unwrap();
    let ran = npm.run_in(&project, &["install", "--ignore-scripts", "--no-package-lock"]).await;
    if ran.code != Some(0) {
        return Err(ran);
    }
    let installed = |name: &String| {
        let mut files = BTreeMap::new();
        walk(&project.join("node_modules").join(name), "", &mut files);
        (name.clone(), Tree(files))
    };
    Ok(tarballs.iter().map(|(name, _)| installed(name)).collect())
}

fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, (String, bool)>) {
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(Result::unwrap).collect();
    if entries.is_empty() && !prefix.is_empty() {
        files.insert(prefix.to_owned(), ("empty folder".to_owned(), false));
    }
    for entry in entries {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() {
            let digest = Sha256::of(&fs::read(entry.path()).unwrap()).to_string();
            let mode = entry.metadata().unwrap().permissions().mode();
            files.insert(path, (digest, mode & 0o111 != 0));
        } else {
            files.insert(path, ("no file".to_owned(), false));
        }
    }
}
