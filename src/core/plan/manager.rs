//! Which package manager installs, where, and by which lockfile; and which version of it, as far as the tree says so.

use serde_json::Value;

use super::{release::Release, tools::Asked};
use crate::{
    facts::{FolderFacts, SourceFacts},
    lockfile::{InvalidLockfile, Lockfile},
    package_json::{DependencyKind, PackageJson},
    timestamp::Timestamp,
    toolchain::ToolName,
};

const MANAGERS: [ToolName; 4] = [ToolName::Npm, ToolName::Pnpm, ToolName::Yarn, ToolName::Bun];
/// From when on a major version of pnpm was the current one (npm's `time` of pnpm's x.0.0).
const PNPM_ERAS: [(i64, &str); 5] = [
    (1_736_208_000, "10"), // 2025-01-07
    (1_713_225_600, "9"),  // 2024-04-16
    (1_679_875_200, "8"),  // 2023-03-27
    (1_651_449_600, "7"),  // 2022-05-02
    (0, "6"),
];

/// A lockfile of a folder, whoever's it is.
pub(super) struct Locked<'a> {
    pub manager: ToolName,
    pub name: &'a str,
    /// The version of its form; empty for npm's, which is read.
    form: &'a str,
    pub read: Option<&'a Result<Lockfile, InvalidLockfile>>,
}

/// Every lockfile of a folder, npm's first.
pub(super) fn lockfiles(folder: &FolderFacts) -> Vec<Locked<'_>> {
    let npm = folder.lockfile.iter().map(|(name, read)| Locked {
        manager: ToolName::Npm,
        name,
        form: "",
        read: Some(read),
    });
    let others = folder.other_lockfiles.iter().map(|other| Locked {
        manager: other.manager,
        name: &other.name,
        form: &other.form,
        read: other.read.as_ref(),
    });
    npm.chain(others).collect()
}

/// Where dependencies are installed: the workspace's root, the package's own lockfile, the nearest lockfile above, or
/// the package's folder; where that asks for nothing, the root. A member of a workspace may carry a lockfile of its own,
/// which a package manager then does not look at.
pub(super) fn place(facts: &SourceFacts) -> &FolderFacts {
    // A workspace above that does not name the package is none of its.
    let near = || {
        let own = facts.directory();
        let is_near =
            |folder: &&FolderFacts| folder.directory == *own || folder.workspace().is_none();
        facts.folders.iter().filter(is_near)
    };
    facts
        .workspace_root()
        .or_else(|| near().find(|folder| !lockfiles(folder).is_empty()))
        .or_else(|| near().find(|folder| folder.package.as_ref().is_some_and(asks)))
        .unwrap_or_else(|| facts.own())
}

/// Whether a package.json names any dependency.
pub(super) fn asks(package: &PackageJson) -> bool {
    const KINDS: [DependencyKind; 4] = [
        DependencyKind::Production,
        DependencyKind::Development,
        DependencyKind::Optional,
        DependencyKind::Peer,
    ];
    KINDS.iter().any(|kind| !package.dependencies(*kind).is_empty())
}

/// A package manager that a tree may be installed with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    pub manager: ToolName,
    /// Half a sentence.
    pub because: String,
    /// Another whose lockfile stands there with the same right.
    pub other: Option<ToolName>,
}

/// The package manager by rank: the one that package.json names, that of the release, the only one with a lockfile, the
/// one that files and scripts of the tree speak of, npm.
pub(super) fn choose(
    facts: &SourceFacts,
    place: &FolderFacts,
    release: Option<&Release>,
) -> Chosen {
    let sure = |manager, because: String| Chosen { manager, because, other: None };
    if let Some((manager, asked)) = named(facts) {
        return sure(manager, asked.place);
    }
    let locks = lockfiles(place);
    if let Some(release) = release
        && let Some(manager) = release.installs_with
        && (release.by_workflow || locks.iter().any(|lock| lock.manager == manager))
    {
        return sure(manager, format!("{} installs with it", release.place));
    }
    let mut managers: Vec<ToolName> = locks.iter().map(|lock| lock.manager).collect();
    managers.dedup();
    match managers.as_slice() {
        [manager] => {
            let file = place.directory.join(locks[0].name);
            return sure(*manager, format!("`{file}` is its lockfile"));
        }
        [_, _, ..] => return of_several(facts, &managers),
        [] => {}
    }
    if facts.folders.iter().any(|folder| folder.pnpm_workspace.is_some()) {
        return sure(ToolName::Pnpm, "`pnpm-workspace.yaml` is its own".to_owned());
    }
    if let Some((manager, asked)) = pinned(facts) {
        return sure(manager, asked.place);
    }
    let client = facts.folders.iter().find_map(|folder| folder.lerna.as_ref()?.npm_client.clone());
    if let Some(manager) = client.and_then(|client| ToolName::of(&client)) {
        return sure(manager, "`lerna.json` names it as its client".to_owned());
    }
    sure(ToolName::Npm, "nothing asks for another package manager".to_owned())
}

/// Of several lockfiles that of the manager that scripts call; else npm's, and the other is a candidate.
fn of_several(facts: &SourceFacts, managers: &[ToolName]) -> Chosen {
    let pinned = pinned(facts).map(|(manager, asked)| (manager, asked.place));
    let called = || {
        let calls = |manager: &&ToolName| {
            let word = format!("{manager} ");
            let scripts = facts.folders.iter().filter_map(|folder| folder.package.as_ref());
            **manager != ToolName::Npm
                && scripts
                    .flat_map(|package| package.scripts().into_values())
                    .any(|text| text.contains(&word))
        };
        let manager = managers.iter().find(calls)?;
        Some((*manager, "scripts of package.json call it".to_owned()))
    };
    let decided = pinned.or_else(called).filter(|(manager, _)| managers.contains(manager));
    let because =
        "it is one of several with a lockfile, and nothing decides between them".to_owned();
    let (manager, because) = decided.unwrap_or((managers[0], because));
    Chosen { manager, because, other: managers.iter().copied().find(|other| *other != manager) }
}

/// `packageManager`, or `devEngines.packageManager`, of the nearest package.json that has one.
fn named(facts: &SourceFacts) -> Option<(ToolName, Asked)> {
    facts.folders.iter().find_map(|folder| {
        let package = folder.package.as_ref()?;
        let file = folder.directory.join("package.json");
        let asked = |field: &str, version: &str| Asked {
            version: version.split('+').next().unwrap_or(version).to_owned(),
            place: format!("`{field}` of `{file}` asks for it"),
        };
        if let Some((name, version)) =
            package.package_manager().and_then(|text| text.split_once('@'))
            && let Some(manager) = ToolName::of(name)
        {
            return Some((manager, asked("packageManager", version)));
        }
        let wish = package.raw().get("devEngines")?.get("packageManager")?;
        let wish = wish.as_array().and_then(|list| list.first()).unwrap_or(wish);
        let manager = ToolName::of(wish.get("name")?.as_str()?)?;
        let version = wish.get("version").and_then(Value::as_str).unwrap_or("*");
        Some((manager, asked("devEngines", version)))
    })
}

/// A package manager other than npm that a version file, volta or `engines` pins.
fn pinned(facts: &SourceFacts) -> Option<(ToolName, Asked)> {
    MANAGERS
        .into_iter()
        .filter(|manager| *manager != ToolName::Npm)
        .find_map(|manager| Some((manager, asked_in_files(facts, manager)?)))
}

fn asked_in_files(facts: &SourceFacts, manager: ToolName) -> Option<Asked> {
    facts.folders.iter().find_map(|folder| {
        let file = |name: &str| format!("`{}` asks for it", folder.directory.join(name));
        if let Some(pinned) = folder.pinned.iter().find(|pinned| pinned.tool == manager) {
            return Some(Asked { version: pinned.version.clone(), place: file(&pinned.file) });
        }
        let package = folder.package.as_ref()?;
        let volta = package.raw().get("volta").and_then(|volta| volta.get(manager.as_str()));
        if let Some(version) = volta.and_then(Value::as_str) {
            return Some(Asked { version: version.to_owned(), place: file("package.json") });
        }
        let range = package.engines().remove(manager.as_str())?;
        // `"yarn": "please use npm"` forbids it.
        nodejs_semver::Range::parse(&range).ok()?;
        Some(Asked { version: range, place: file("package.json") })
    })
}

/// The version of a manager other than npm that the tree asks for, with where it says so.
pub(super) fn version(
    facts: &SourceFacts,
    place: &FolderFacts,
    release: Option<&Release>,
    manager: ToolName,
    committed: Timestamp,
) -> Asked {
    let of_release = || {
        let release = release?;
        let (_, version) = release.tools.iter().rfind(|(tool, _)| *tool == manager)?;
        let is_version = version.starts_with(|c: char| c.is_ascii_digit() || "^~>=<v".contains(c));
        is_version.then(|| Asked {
            version: version.clone(),
            place: format!("{} sets it up", release.place),
        })
    };
    named(facts)
        .filter(|(named, _)| *named == manager)
        .map(|(_, asked)| asked)
        .or_else(of_release)
        .or_else(|| of_lockfile(place, manager))
        .or_else(|| asked_in_files(facts, manager))
        .unwrap_or_else(|| of_era(manager, committed))
}

/// The generation that writes a lockfile of that form, or still reads it.
fn of_lockfile(place: &FolderFacts, manager: ToolName) -> Option<Asked> {
    let locks = lockfiles(place);
    let lock = locks.iter().find(|lock| lock.manager == manager)?;
    let number = lock.form.split('.').next()?.parse::<u64>().ok()?;
    let range = match manager {
        ToolName::Pnpm => match number {
            ..=5 => "7",
            6 => "8",
            // Written by 9 and later alike.
            _ => return None,
        },
        ToolName::Yarn => match number {
            1 => "1",
            2..=4 => "2",
            5..=7 => "3",
            _ => "4",
        },
        ToolName::Node | ToolName::Npm | ToolName::Bun => return None,
    };
    // An exact version of the same generation, where a file pins one, is nearer.
    let pinned = place.pinned.iter().find(|pinned| pinned.tool == manager);
    if let Some(pinned) = pinned.filter(|pinned| pinned.version.starts_with(&format!("{range}."))) {
        let place = format!("`{}` asks for it", place.directory.join(&pinned.file));
        return Some(Asked { version: pinned.version.clone(), place });
    }
    let file = place.directory.join(lock.name);
    let place = format!("`{file}` is of the form {} that {manager} {range} writes", lock.form);
    Some(Asked { version: range.to_owned(), place })
}

fn of_era(manager: ToolName, committed: Timestamp) -> Asked {
    let era = PNPM_ERAS.iter().find(|(from, _)| committed >= Timestamp::from_seconds(*from));
    match era.filter(|_| manager == ToolName::Pnpm) {
        Some((_, major)) => {
            let place = format!("{manager} {major} was current at the commit");
            Asked { version: (*major).to_owned(), place }
        }
        None => Asked { version: "*".to_owned(), place: "nothing asks for another".to_owned() },
    }
}
