//! The folder of a package in one commit: the one that is asked for, or the one whose package.json has the name and the
//! version. A package.json of that name with another version is the package only where the tree itself says that its
//! release writes the version, and the tag is this package's.

use countersign_core::{
    limits::PACKAGE_JSON_BYTES_MAX, package_json::PackageJson, plan, source::Directory,
};

use super::{
    CheckoutError, Wanted, facts,
    oid::Oid,
    tree::{Item, Kind, Objects, Unfit},
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
    tag: &str,
) -> Result<Folder, CheckoutError> {
    let root = Directory::default();
    if let Some(directory) = &wanted.request.directory {
        return match read(objects, commit, directory)? {
            Some(package) if is_wanted(wanted, &package) => {
                Ok(Folder::At(directory.clone(), Box::new(package)))
            }
            Some(package) if is_named(wanted, &package) => {
                let named = vec![(directory.clone(), Box::new(package))];
                written(objects, commit, tag, named, directory)
            }
            other => Ok(Folder::Nowhere(instead(directory, other.as_ref()))),
        };
    }
    let claimed = wanted.staged.repository().and_then(|claim| claim.directory?.parse().ok());
    let mut by_its_word = None;
    for directory in claimed.into_iter().chain([root.clone()]) {
        if let Some(package) = read(objects, commit, &directory)?
            && is_wanted(wanted, &package)
        {
            by_its_word = Some((directory, Box::new(package)));
            break;
        }
    }
    if let Some((directory, package)) = by_its_word.take_if(|(directory, _)| directory.is_root()) {
        return Ok(Folder::At(directory, package));
    }
    let items = match objects.items(commit, &root)? {
        Ok(items) => items,
        Err(unfit) => return Ok(Folder::Unfit(unfit)),
    };
    let (found, named) = all(wanted, objects, commit, &items)?;
    if let Some((directory, package)) = by_its_word {
        return Ok(unrivalled(directory, package, found));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((one, _)), Some((other, _))) => Ok(Folder::Two(one, other)),
        (Some((directory, package)), None) => Ok(Folder::At(directory, package)),
        (None, _) => written(objects, commit, tag, named, &root),
    }
}

/// The folder that the staged package.json names, where no other that could be published holds the same name and version.
/// What lies below it, or is private, is a part of its tests or its build.
fn unrivalled(directory: Directory, package: Box<PackageJson>, found: Packages) -> Folder {
    let below = directory.join("");
    let rival = found.into_iter().find(|(other, package)| {
        !package.is_private() && *other != directory && !other.as_str().starts_with(&below)
    });
    match rival {
        Some((rival, _)) => Folder::Two(directory, rival),
        None => Folder::At(directory, package),
    }
}

type Packages = Vec<(Directory, Box<PackageJson>)>;

/// Every folder whose package.json has the name and the version, and those that have the name alone.
fn all(
    wanted: &Wanted<'_>,
    objects: &Objects,
    commit: Oid,
    items: &[Item],
) -> Result<(Packages, Packages), CheckoutError> {
    let folders = items
        .iter()
        .filter(|item| matches!(item.kind, Kind::File { .. }))
        .filter_map(|item| match item.path.as_str() {
            "package.json" => Some(""),
            path => path.strip_suffix("/package.json"),
        })
        .filter(|folder| !folder.split('/').any(|part| part == "node_modules"))
        .filter_map(|folder| folder.parse::<Directory>().ok());
    let (mut found, mut named) = (Vec::new(), Vec::new());
    for directory in folders.take(LOOKED_INTO_MAX) {
        if let Some(package) = read(objects, commit, &directory)? {
            if is_wanted(wanted, &package) {
                found.push((directory, Box::new(package)));
            } else if is_named(wanted, &package) {
                named.push((directory, Box::new(package)));
            }
        }
    }
    Ok((found, named))
}

/// The one folder of that name, where the tree says that its release writes the version. A tag that may be a sibling's
/// does not count: outside of the root it has to name the package or its folder.
fn written(
    objects: &Objects,
    commit: Oid,
    tag: &str,
    named: Packages,
    asked: &Directory,
) -> Result<Folder, CheckoutError> {
    let there = || -> Result<Folder, CheckoutError> {
        Ok(Folder::Nowhere(instead(asked, read(objects, commit, asked)?.as_ref())))
    };
    let mut named = named.into_iter();
    let (Some((directory, package)), None) = (named.next(), named.next()) else { return there() };
    let last = directory.as_str().rsplit('/').next().unwrap_or_default();
    let name = package.name().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    let is_own = directory.is_root()
        || [last, name].iter().any(|word| !word.is_empty() && tag.contains(word));
    if !is_own {
        return there();
    }
    let items = match objects.items(commit, &Directory::default())? {
        Ok(items) => items,
        Err(unfit) => return Ok(Folder::Unfit(unfit)),
    };
    let facts = facts::read(objects, commit, &directory, Some(&package), &items)?;
    match plan::version_writer(&facts) {
        Some(_) => Ok(Folder::At(directory, package)),
        None => there(),
    }
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

fn is_named(wanted: &Wanted<'_>, package: &PackageJson) -> bool {
    package.name() == Some(wanted.name.as_str())
}

fn is_wanted(wanted: &Wanted<'_>, package: &PackageJson) -> bool {
    is_named(wanted, package) && package.version() == Some(wanted.version.as_str())
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
