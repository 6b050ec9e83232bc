//! The folder of a package in one commit: the one that is asked for, or the one whose package.json has the name and the
//! version.

use countersign_core::{
    limits::PACKAGE_JSON_BYTES_MAX, package_json::PackageJson, source::Directory,
};
use git2::Oid;

use super::{
    CheckoutError, Wanted,
    tree::{Kind, Objects, Unfit},
};

/// How many package.json files of one tree are looked into.
const LOOKED_INTO_MAX: usize = 5_000;

/// Where the package is in a commit.
pub(super) enum Folder {
    /// Here, with its package.json.
    At(Directory, Box<PackageJson>),
    /// Nowhere; a clause that says what stands there instead.
    Nowhere(String),
    /// In two folders of equal standing.
    Two(Directory, Directory),
    /// The tree cannot be searched.
    Unfit(Unfit),
}

/// Looks by rank: the folder that the request names and no other; the one that the staged package.json names, where the tree
/// holds no rival; the root; the only one in the tree. A tarball could have been packed from any folder and names the one that it
/// likes, so that its own word cannot decide between two.
pub(super) fn find(
    wanted: &Wanted<'_>,
    objects: &Objects,
    commit: Oid,
) -> Result<Folder, CheckoutError> {
    if let Some(directory) = &wanted.request.directory {
        return Ok(match read(objects, commit, directory)? {
            Some(package) if is_wanted(wanted, &package) => {
                Folder::At(directory.clone(), Box::new(package))
            }
            other => Folder::Nowhere(instead(directory, other.as_ref())),
        });
    }
    let claimed = wanted.staged.repository().and_then(|claim| claim.directory?.parse().ok());
    let root = Directory::default();
    let mut named = None;
    for directory in claimed.into_iter().chain([root.clone()]) {
        if let Some(package) = read(objects, commit, &directory)?
            && is_wanted(wanted, &package)
        {
            named = Some((directory, Box::new(package)));
            break;
        }
    }
    if let Some((directory, package)) = named.take_if(|(directory, _)| directory.is_root()) {
        return Ok(Folder::At(directory, package));
    }
    let items = match objects.items(commit, &root)? {
        Ok(items) => items,
        Err(unfit) => return Ok(Folder::Unfit(unfit)),
    };
    let folders = items
        .iter()
        .filter(|item| matches!(item.kind, Kind::File { .. }))
        .filter_map(|item| item.path.strip_suffix("/package.json"))
        .filter(|folder| !folder.split('/').any(|part| part == "node_modules"))
        .filter_map(|folder| folder.parse::<Directory>().ok());
    let mut found: Vec<(Directory, Box<PackageJson>)> = Vec::new();
    let root_too = named.as_ref().map(|_| root.clone());
    for directory in root_too.into_iter().chain(folders).take(LOOKED_INTO_MAX) {
        if let Some(package) = read(objects, commit, &directory)?
            && is_wanted(wanted, &package)
        {
            found.push((directory, Box::new(package)));
        }
    }
    if let Some((directory, package)) = named {
        let below = directory.join("");
        let rival = found.into_iter().find(|(other, package)| {
            !package.is_private() && *other != directory && !other.as_str().starts_with(&below)
        });
        return Ok(match rival {
            Some((rival, _)) => Folder::Two(directory, rival),
            None => Folder::At(directory, package),
        });
    }
    let mut found = found.into_iter();
    Ok(match (found.next(), found.next()) {
        (Some((one, _)), Some((other, _))) => Folder::Two(one, other),
        (Some((directory, package)), None) => Folder::At(directory, package),
        (None, _) => {
            let package = read(objects, commit, &root)?;
            Folder::Nowhere(instead(&root, package.as_ref()))
        }
    })
}

/// The package.json of a folder, where there is one that can be read.
pub(super) fn read(
    objects: &Objects,
    commit: Oid,
    directory: &Directory,
) -> Result<Option<PackageJson>, CheckoutError> {
    let bytes = objects.file(commit, &directory.join("package.json"), PACKAGE_JSON_BYTES_MAX)?;
    Ok(bytes.and_then(|bytes| PackageJson::parse(&bytes).ok()))
}

fn is_wanted(wanted: &Wanted<'_>, package: &PackageJson) -> bool {
    package.name() == Some(wanted.name.as_str())
        && package.version() == Some(wanted.version.as_str())
}

fn instead(directory: &Directory, package: Option<&PackageJson>) -> String {
    let path = directory.join("package.json");
    let Some(package) = package else {
        return format!("there is no `{path}` that can be read");
    };
    let shown = |field: Option<&str>| field.map_or("none".to_owned(), |text| format!("`{text}`"));
    let (name, version) = (shown(package.name()), shown(package.version()));
    format!("`{path}` has the name {name} and the version {version}")
}
