//! From facts to plans: the few ways in which a tree may have been built, likeliest first, fixed before the staged files
//! are read. They differ in toolchain and install mode; folder and build steps are the same in all.

use std::collections::BTreeSet;

use super::{Clock, Install, Plan, Step, Why, scripts, tools};
use crate::{
    facts::{FolderFacts, SourceFacts},
    finding::{Code, Finding},
    lockfile::{Lockfile, is_git},
    package_json::{DependencyKind, PackageJson},
    source::{Directory, Source},
    timestamp::Timestamp,
    toolchain::Pins,
};

/// The most candidates that one tree may have.
pub(super) const CANDIDATES_MAX: usize = 6;
/// The host that npm writes into lockfiles; it puts the registry that it is told of in its place.
const NPM_HOST: &str = "registry.npmjs.org";

/// What the publish document or the registry recorded about how a version was made. Claims: they choose among tools.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Declared {
    /// `_nodeVersion`.
    pub node: Option<String>,
    /// `_npmVersion`.
    pub npm: Option<String>,
    /// When the tag was first seen, where we saw it earlier.
    pub tag_first_seen: Option<Timestamp>,
}

/// What is at hand to build with.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The toolchains.
    pub pins: &'a Pins,
    /// Hosts of configured registries and their aliases, beside npm's own.
    pub registry_hosts: &'a BTreeSet<String>,
}

/// Why there is no plan: each is a way for the rebuild to end before it began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlanProblem {
    /// The lockfile cannot be read.
    LockfileUnusable(String),
    /// A dependency that the build needs comes from a git repository.
    DependencyFromGit(String),
    /// A locked dependency lies on a host that is no configured registry.
    LockfileForeignHost(String),
    /// Nothing that we know builds this.
    NoPlan(String),
}

/// The plans for a tree, at least one and at most six.
///
/// # Errors
/// What makes every plan impossible.
pub fn candidates(
    facts: &SourceFacts,
    source: &Source,
    declared: &Declared,
    offer: &Offer<'_>,
) -> Result<Vec<Plan>, PlanProblem> {
    let place = InstallPlace::of(facts);
    let tools = tools::choose(facts, place.lockfile_read(), source.commit_time, declared, offer);
    let mut plans = vec![plan(facts, source, declared, offer, &tools)?];
    if let Some(rebuilt) = with_install_scripts(&plans[0], place.lockfile_read()) {
        plans.push(rebuilt);
    }
    if let Some(other) = other_generation(facts, source, declared, offer, &tools)? {
        plans.push(other);
    }
    plans.truncate(CANDIDATES_MAX);
    Ok(plans)
}

/// What is worth a warning about a plan before anything has run.
pub fn warnings(facts: &SourceFacts, plan: &Plan) -> Vec<Finding> {
    let place = InstallPlace::of(facts);
    match (&plan.install, place.lockfile_read()) {
        (Install::Lockfile { lockfile, .. }, Some(read)) if !read.is_complete() => {
            let bare = read.packages.iter().filter(|p| p.integrity.is_none()).count();
            let message = format!("`{lockfile}` names {bare} packages without a digest.");
            vec![Finding::new(Code::LockfileWithoutIntegrity, message)]
        }
        _ => Vec::new(),
    }
}

fn plan(
    facts: &SourceFacts,
    source: &Source,
    declared: &Declared,
    offer: &Offer<'_>,
    tools: &tools::Tools,
) -> Result<Plan, PlanProblem> {
    let npm_major = tools.npm.version.semver().major();
    let (scripts, reasons) = scripts::to_run(facts, npm_major);
    let mut why = tools.why.clone();
    why.extend(reasons);
    let install = if scripts.is_empty() {
        let because = "no script that npm runs when it publishes can change the tarball";
        why.push(Why { choice: "no install".to_owned(), because: because.to_owned() });
        Install::None
    } else {
        install(facts, offer, &mut why)?
    };
    let first_seen = declared.tag_first_seen.filter(|seen| *seen < source.commit_time);
    why.extend(passed_over(facts));
    Ok(Plan {
        node: tools.node.clone(),
        npm: tools.npm.clone(),
        package_manager: tools.npm.clone(),
        packer: tools.npm.clone(),
        directory: facts.directory().clone(),
        install,
        build: scripts.iter().map(|name| npm(&["run", name], facts.directory())).collect(),
        pack: pack(npm_major, facts.directory()),
        cutoff: first_seen.unwrap_or(source.commit_time),
        clock: Clock::Real,
        put_back: false,
        why,
    })
}

fn npm(arguments: &[&str], cwd: &Directory) -> Step {
    let argv = std::iter::once("npm").chain(arguments.iter().copied());
    Step { argv: argv.map(str::to_owned).collect(), cwd: cwd.clone(), env: Vec::new() }
}

/// npm up to 6 knows no `--pack-destination` and packs into the package's folder.
fn pack(npm_major: u64, directory: &Directory) -> Step {
    let mut arguments = vec!["pack", "--ignore-scripts"];
    if npm_major >= 7 {
        arguments.extend(["--pack-destination", super::PACKED]);
    }
    npm(&arguments, directory)
}

fn install(
    facts: &SourceFacts,
    offer: &Offer<'_>,
    why: &mut Vec<Why>,
) -> Result<Install, PlanProblem> {
    let place = InstallPlace::of(facts);
    if !place.asks_for_anything(facts) {
        let because = "package.json names no dependencies".to_owned();
        why.push(Why { choice: "no install".to_owned(), because });
        return Ok(Install::None);
    }
    let quiet = ["--ignore-scripts", "--no-audit", "--no-fund"];
    let argv = |words: &[&str]| {
        let all = std::iter::once("npm").chain(words.iter().copied()).chain(quiet);
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let directory = place.folder.directory.clone();
    if let Some((name, read)) = &place.folder.lockfile {
        let path = directory.join(name);
        let read = read.as_ref().map_err(|error| {
            PlanProblem::LockfileUnusable(format!("`{path}` cannot be used: {error}."))
        })?;
        refuse_elsewhere(read, offer)?;
        let because = format!("`{path}` locks the dependencies");
        why.push(Why { choice: "npm ci".to_owned(), because });
        return Ok(Install::Lockfile { directory, lockfile: path, argv: argv(&["ci"]) });
    }
    refuse_unlocked(place.packages(facts))?;
    let because = match place.folder.other_lockfiles.first() {
        Some(other) => {
            format!(
                "npm cannot read `{}`, and there is no lockfile of npm's",
                directory.join(other)
            )
        }
        None => "there is no lockfile".to_owned(),
    };
    why.push(Why { choice: "npm install as of the cut-off".to_owned(), because });
    Ok(Install::AsOfCutoff { directory, argv: argv(&["install", "--no-package-lock"]) })
}

fn refuse_elsewhere(lockfile: &Lockfile, offer: &Offer<'_>) -> Result<(), PlanProblem> {
    if let Some(name) = lockfile.from_git.first() {
        return Err(PlanProblem::DependencyFromGit(name.clone()));
    }
    let foreign = |host: &&str| *host != NPM_HOST && !offer.registry_hosts.contains(*host);
    match lockfile.hosts().into_iter().find(foreign) {
        Some(host) => Err(PlanProblem::LockfileForeignHost(host.to_owned())),
        None => Ok(()),
    }
}

fn refuse_unlocked<'p>(
    packages: impl IntoIterator<Item = &'p PackageJson>,
) -> Result<(), PlanProblem> {
    for package in packages {
        for kind in [DependencyKind::Production, DependencyKind::Development] {
            for (name, specifier) in package.dependencies(kind) {
                if is_git(&specifier) {
                    return Err(PlanProblem::DependencyFromGit(name));
                }
                let other = ["workspace:", "catalog:", "portal:", "patch:", "link:"];
                if let Some(protocol) = other.iter().find(|p| specifier.starts_with(**p)) {
                    return Err(PlanProblem::NoPlan(format!(
                        "The dependency `{name}` is written as `{protocol}…`, which npm does not know, and no other \
                         package manager is used here yet."
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Where dependencies are installed: at the package's own lockfile, else at its workspace's root, else in its folder.
struct InstallPlace<'a> {
    folder: &'a FolderFacts,
}

impl<'a> InstallPlace<'a> {
    fn of(facts: &'a SourceFacts) -> Self {
        // A member of a workspace may carry a lockfile of its own, which npm then does not look at.
        Self { folder: facts.workspace_root().unwrap_or_else(|| facts.own()) }
    }

    fn lockfile_read(&self) -> Option<&'a Lockfile> {
        self.folder.lockfile.as_ref().and_then(|(_, read)| read.as_ref().ok())
    }

    fn packages(&self, facts: &'a SourceFacts) -> [&'a PackageJson; 2] {
        [self.folder.package.as_ref().unwrap_or(&facts.package), &facts.package]
    }

    fn asks_for_anything(&self, facts: &'a SourceFacts) -> bool {
        const KINDS: [DependencyKind; 4] = [
            DependencyKind::Production,
            DependencyKind::Development,
            DependencyKind::Optional,
            DependencyKind::Peer,
        ];
        let asks = |package: &PackageJson| {
            KINDS.iter().any(|kind| !package.dependencies(*kind).is_empty())
        };
        self.packages(facts).into_iter().any(asks)
    }
}

/// The same plan with the install scripts of dependencies run before the build, where there are any.
fn with_install_scripts(plan: &Plan, lockfile: Option<&Lockfile>) -> Option<Plan> {
    let Install::Lockfile { directory, .. } = &plan.install else { return None };
    let running = lockfile?.with_install_scripts();
    let first = running.first()?;
    let mut other = plan.clone();
    other.build.insert(0, npm(&["rebuild"], directory));
    let because = format!("the lockfile says that `{first}` runs a script when it is installed");
    other.why.push(Why { choice: "run install scripts of dependencies".to_owned(), because });
    Some(other)
}

/// The same tree with npm 6 in place of a later one, or the other way round: npm up to 6 packs other files
/// (CHANGELOG always), and which one published is only guessed for commits of the years in which both were in use.
fn other_generation(
    facts: &SourceFacts,
    source: &Source,
    declared: &Declared,
    offer: &Offer<'_>,
    tools: &tools::Tools,
) -> Result<Option<Plan>, PlanProblem> {
    // From 2024 on hardly anybody publishes with npm 6.
    let both_in_use = source.commit_time < Timestamp::from_seconds(1_704_067_200);
    if !tools.npm_is_a_guess || !both_in_use {
        return Ok(None);
    }
    let older = tools.npm.version.semver().major() < 7;
    let range = if older { ">=7" } else { "6" };
    let npm = offer.pins.nearest_npm(range, &tools.node.version).pin.tool.clone();
    if npm == tools.npm {
        return Ok(None);
    }
    let mut other = tools.clone();
    let because = "which npm published it was not recorded".to_owned();
    other.why.push(Why { choice: npm.to_string(), because });
    other.npm = npm;
    plan(facts, source, declared, offer, &other).map(Some)
}

/// Settings of the tree's `.npmrc` that are not followed.
fn passed_over(facts: &SourceFacts) -> Vec<Why> {
    let told = |folder: &FolderFacts| {
        if folder.npmrc.passed_over.is_empty() {
            return None;
        }
        let keys: Vec<&str> = folder.npmrc.passed_over.iter().map(String::as_str).collect();
        let because = format!(
            "`{}` of `{}` are not followed: registries come from the operator alone",
            keys.join("`, `"),
            folder.directory.join(".npmrc")
        );
        Some(Why { choice: "the configured registries".to_owned(), because })
    };
    facts.folders.iter().filter_map(told).collect()
}
