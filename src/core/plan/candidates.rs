//! From facts to plans: the few ways in which a tree may have been built, likeliest first, fixed before the staged files
//! are read. They differ in toolchain, packer, install mode, clock and putting back; folder and build steps are the same
//! in all.

use std::collections::BTreeSet;

use super::{
    Clock, Given, GivenInstall, Install, Plan, Why, few,
    given::by_hand,
    manager, managers,
    release::{self, Release},
    scripts, settings,
    steps::{self, Building},
    tools::{self, Tools},
};
use crate::{
    facts::{FolderFacts, SourceFacts},
    finding::{Code, Finding},
    lockfile::{Lockfile, is_git},
    package_json::{DependencyKind, PackageJson},
    source::Source,
    timestamp::Timestamp,
    toolchain::{Pins, ToolName},
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
    /// Two ways have equal standing.
    Ambiguous(String),
}

/// The plans for a tree, at least one and at most six. What is `given` holds in every one of them.
///
/// # Errors
/// What makes every plan impossible.
pub fn candidates(
    facts: &SourceFacts,
    source: &Source,
    declared: &Declared,
    given: &Given,
    offer: &Offer<'_>,
) -> Result<Vec<Plan>, PlanProblem> {
    given.refuse(offer.pins)?;
    let releases = release::releases(facts);
    let packs_it = |release: &&Release| given.pack_from.as_ref() == Some(&release.folder);
    let release = match releases.iter().find(packs_it) {
        Some(release) => Some(release),
        None if given.pack_from.is_some() => steps::decided(&releases).unwrap_or_default(),
        None => steps::decided(&releases)?,
    };
    let place = manager::place(facts);
    let mut chosen = manager::choose(facts, place, release);
    if let Some(manager) = given.manager() {
        (chosen.manager, chosen.other) = (manager, None);
    }
    let ground = Ground { facts, source, declared, given, offer, release, place };
    let tools = ground.tools(chosen.manager, &chosen.because);
    let first = ground.plan(&tools);
    let by_other = chosen.other.map(|other| {
        let because = "its lockfile stands there as well";
        ground.plan(&ground.tools(other, because))
    });
    let mut plans = match (first, by_other) {
        (Ok(first), Some(Ok(other))) => vec![first, other],
        (Ok(plan), _) | (Err(_), Some(Ok(plan))) => vec![plan],
        (Err(problem), _) => return Err(problem),
    };
    // Both lockfiles are only needed where something is installed.
    if plans[0].install == Install::None {
        plans.truncate(1);
    }
    let varied = ground.varied(&plans[0], &tools)?;
    plans.extend(varied);
    let mut cheap = if given.settles_building() { Vec::new() } else { ground.as_committed(&plans) };
    if !cheap.is_empty() {
        cheap.extend(plans.iter().find_map(|plan| few::of(facts, plan)));
    }
    plans.splice(0..0, cheap);
    plans.iter_mut().for_each(|plan| given.set_rest(plan));
    let mut seen = BTreeSet::new();
    plans.retain(|plan| seen.insert(plan.digest().to_string()));
    plans.truncate(CANDIDATES_MAX);
    Ok(plans)
}

/// Who writes the version into package.json when this tree is released, where the tree itself says that somebody does:
/// its release runs a tool or a command that does, or it is set up for such a tool.
pub fn version_writer(facts: &SourceFacts) -> Option<String> {
    let of_release = release::releases(facts).into_iter().find_map(|release| {
        let by = release.version_by?;
        Some(format!("{by} in {}", release.place))
    });
    let set_up = || {
        settings::declares_semantic_release(facts)
            .then(|| "semantic-release, for which the tree is set up,".to_owned())
    };
    of_release.or_else(set_up)
}

/// What package.json leads to, the tree does not hold, and this plan runs nothing to make. Where the staged tarball has it, its build was not found.
pub fn unmade(facts: &SourceFacts, plan: &Plan) -> Vec<String> {
    if plan.build.iter().all(steps::is_version) {
        scripts::missing_outputs(facts)
    } else {
        Vec::new()
    }
}

/// What is worth a warning about a plan before anything has run.
pub fn warnings(facts: &SourceFacts, plan: &Plan) -> Vec<Finding> {
    let Install::Lockfile { lockfile, directory, .. } = &plan.install else { return Vec::new() };
    let folder = facts.folders.iter().find(|folder| folder.directory == *directory);
    let locks = folder.map(manager::lockfiles).unwrap_or_default();
    let read = locks.iter().find(|lock| directory.join(lock.name) == *lockfile);
    match read.and_then(|lock| lock.read?.as_ref().ok()) {
        Some(read) if !read.is_complete() => {
            let bare = read.packages.iter().filter(|p| p.integrity.is_none()).count();
            let message = format!("`{lockfile}` names {bare} packages without a digest.");
            vec![Finding::new(Code::LockfileWithoutIntegrity, message)]
        }
        Some(_) | None => Vec::new(),
    }
}

/// All that the candidates of one tree have in common.
struct Ground<'a> {
    facts: &'a SourceFacts,
    source: &'a Source,
    declared: &'a Declared,
    given: &'a Given,
    offer: &'a Offer<'a>,
    release: Option<&'a Release>,
    place: &'a FolderFacts,
}

impl Ground<'_> {
    fn tools(&self, manager: ToolName, because: &str) -> Tools {
        let wanted = tools::Wanted {
            facts: self.facts,
            place: self.place,
            manager,
            release: self.release,
            commit_time: self.source.commit_time,
            declared: self.declared,
        };
        let mut tools = tools::choose(&wanted, because, self.offer);
        self.given.set_tools(&mut tools);
        tools
    }

    fn plan(&self, tools: &Tools) -> Result<Plan, PlanProblem> {
        let mut building = steps::building(self.facts, self.place, self.release, tools);
        self.given.set_building(&mut building);
        let Building { steps: build, folder, why: reasons } = &building;
        let mut why = tools.why.clone();
        why.extend(reasons.iter().cloned());
        let install = if self.given.install.is_some() || building.needs_install() {
            self.install(tools, &mut why)?
        } else {
            let because = "no script that publishing runs can change the tarball";
            why.push(Why { choice: "no install".to_owned(), because: because.to_owned() });
            Install::None
        };
        if folder != self.facts.directory() && self.given.pack_from.is_none() {
            let because = match self.release {
                Some(release) if release.folder == *folder => {
                    format!("{} publishes it", release.place)
                }
                Some(_) | None => "the repository's own settings name it".to_owned(),
            };
            why.push(Why { choice: format!("pack `{folder}`"), because });
        }
        let seen = self.declared.tag_first_seen.filter(|seen| *seen < self.source.commit_time);
        let put_back = building.needs_install();
        if put_back {
            let because = "a formatter, a hook or a generated page may rewrite what is committed, and what the \
                           release took of it is committed mostly";
            let choice = "put rewritten tracked files back".to_owned();
            why.push(Why { choice, because: because.to_owned() });
        }
        why.extend(passed_over(self.facts));
        Ok(Plan {
            node: tools.node.clone(),
            npm: tools.npm.clone(),
            package_manager: tools.manager.clone(),
            packer: tools.packer.clone(),
            directory: self.facts.directory().clone(),
            install,
            build: build.clone(),
            pack: managers::pack(&tools.packer, folder),
            cutoff: seen.unwrap_or(self.source.commit_time),
            clock: Clock::Real,
            put_back,
            why,
        })
    }

    /// How dependencies come onto the disk: as it was set by hand, else as the tree has them.
    fn install(&self, tools: &Tools, why: &mut Vec<Why>) -> Result<Install, PlanProblem> {
        match self.given.install {
            None => self.found_install(tools, why),
            Some(GivenInstall::None) => {
                why.push(by_hand("no install"));
                Ok(Install::None)
            }
            Some(GivenInstall::AsOfCutoff) => {
                why.push(by_hand("install as of the cut-off"));
                let argv = managers::install_without_lockfile(&tools.manager);
                Ok(Install::AsOfCutoff { directory: self.place.directory.clone(), argv })
            }
            Some(GivenInstall::Lockfile) => match self.found_install(tools, why)? {
                found @ Install::Lockfile { .. } => Ok(found),
                Install::None | Install::AsOfCutoff { .. } => {
                    Err(PlanProblem::LockfileUnusable(format!(
                        "An install by the lockfile was set by hand, and `{}` holds none of {}.",
                        self.place.directory, tools.manager.name
                    )))
                }
            },
        }
    }

    fn found_install(&self, tools: &Tools, why: &mut Vec<Why>) -> Result<Install, PlanProblem> {
        let packages =
            [self.place.package.as_ref().unwrap_or(&self.facts.package), &self.facts.package];
        let members = self.facts.members.iter().map(|member| &member.package);
        if !packages.into_iter().chain(members).any(manager::asks) {
            let because = "package.json names no dependencies".to_owned();
            why.push(Why { choice: "no install".to_owned(), because });
            return Ok(Install::None);
        }
        let directory = self.place.directory.clone();
        let locks = manager::lockfiles(self.place);
        let manager = &tools.manager;
        if let Some(lock) = locks.iter().find(|lock| lock.manager == manager.name) {
            let path = directory.join(lock.name);
            if let Some(read) = lock.read {
                let read = read.as_ref().map_err(|error| {
                    PlanProblem::LockfileUnusable(format!("`{path}` cannot be used: {error}."))
                })?;
                refuse_elsewhere(read, self.offer)?;
            }
            let argv = managers::install_by_lockfile(manager);
            let because = format!("`{path}` locks the dependencies");
            why.push(Why {
                choice: argv.iter().take(2).cloned().collect::<Vec<_>>().join(" "),
                because,
            });
            return Ok(Install::Lockfile { directory, lockfile: path, argv });
        }
        refuse_unlocked(packages, manager.name)?;
        let because = match locks.first() {
            Some(other) => {
                let file = directory.join(other.name);
                format!(
                    "{} cannot read `{file}`, and there is no lockfile of its own",
                    manager.name
                )
            }
            None => "there is no lockfile".to_owned(),
        };
        let choice = format!("{} install as of the cut-off", manager.name);
        why.push(Why { choice, because });
        Ok(Install::AsOfCutoff { directory, argv: managers::install_without_lockfile(manager) })
    }

    /// What the first plan is varied by, likeliest first: the clock, where something is built that may print the time;
    /// the packer and its generation, where they are guessed; what is put back; the install scripts of dependencies.
    fn varied(&self, first: &Plan, tools: &Tools) -> Result<Vec<Plan>, PlanProblem> {
        let builds = first.build.iter().any(|step| !steps::is_version(step));
        let mut plans = Vec::new();
        if builds {
            let because = "a year or a time in the output is that of the release";
            plans.push(varied(
                first,
                "a clock that starts at the commit's time",
                because,
                |plan| {
                    plan.clock = Clock::Preload;
                },
            ));
        }
        if let Some(packer) = &tools.other_packer {
            let because = "nothing in the tree says for certain what publishes";
            plans.push(self.plan(&tools.packing_with(packer.clone(), because))?);
        }
        if let Some(other) = self.other_generation(tools)? {
            plans.push(other);
        }
        if builds {
            let because = "a script may rewrite a tracked file for the release alone";
            plans.push(varied(first, "keep rewritten tracked files", because, |plan| {
                plan.put_back = false;
            }));
        }
        plans.extend(self.with_install_scripts(first));
        Ok(plans)
    }

    /// What is committed, packed as it is: the cheapest candidate, and likely where the tree already holds all that
    /// package.json leads to, so that its scripts test, document or publish and build nothing. Equal files come from the commit
    /// whatever its scripts do. One for each packer of the plans; none where they build nothing anyway.
    fn as_committed(&self, plans: &[Plan]) -> Vec<Plan> {
        const PACKERS_MAX: usize = 2;
        if !scripts::missing_outputs(self.facts).is_empty() {
            return Vec::new();
        }
        let because = "the tree holds all that package.json leads to";
        let mut found: Vec<Plan> = Vec::new();
        for plan in plans.iter().filter(|plan| !plan.packs_as_committed()) {
            let same_folder = plan.pack.cwd == plan.directory;
            let known = found.iter().any(|other| other.packer == plan.packer);
            if same_folder && !known && found.len() < PACKERS_MAX {
                found.push(varied(plan, "pack what is committed first", because, |plan| {
                    plan.install = Install::None;
                    plan.package_manager = plan.packer.clone();
                    plan.build.retain(steps::is_version);
                    (plan.clock, plan.put_back) = (Clock::Real, false);
                }));
            }
        }
        found
    }

    /// The same plan with the install scripts of dependencies run before the build, where there are any.
    fn with_install_scripts(&self, plan: &Plan) -> Option<Plan> {
        let Install::Lockfile { directory, lockfile, .. } = &plan.install else { return None };
        let locks = manager::lockfiles(self.place);
        let lock = locks.iter().find(|lock| directory.join(lock.name) == *lockfile)?;
        let running = lock.read?.as_ref().ok()?.with_install_scripts();
        let first = running.first()?;
        let because =
            format!("the lockfile says that `{first}` runs a script when it is installed");
        Some(varied(plan, "run install scripts of dependencies", &because, |other| {
            let step = managers::run_install_scripts(&plan.package_manager, directory);
            other.build.insert(0, step);
        }))
    }

    /// The same tree with npm 6 in place of a later one, or the other way round: npm up to 6 packs other files
    /// (CHANGELOG always), and which one published is only guessed for commits of the years in which both were in use.
    fn other_generation(&self, tools: &Tools) -> Result<Option<Plan>, PlanProblem> {
        // From 2024 on hardly anybody publishes with npm 6.
        let both_in_use = self.source.commit_time < Timestamp::from_seconds(1_704_067_200);
        if !tools.npm_is_a_guess || !both_in_use || tools.packer.name != ToolName::Npm {
            return Ok(None);
        }
        let older = tools.npm.version.semver().major() < 7;
        let range = if older { ">=7" } else { "6" };
        let npm = self.offer.pins.nearest_npm(range, &tools.node.version).pin.tool.clone();
        if npm == tools.npm {
            return Ok(None);
        }
        let mut other = tools.clone();
        let because = "which npm published it was not recorded".to_owned();
        other.why.push(Why { choice: npm.to_string(), because });
        if other.manager == other.npm {
            other.manager = npm.clone();
        }
        other.packer = npm.clone();
        other.npm = npm;
        self.plan(&other).map(Some)
    }
}

fn varied(plan: &Plan, choice: &str, because: &str, change: impl FnOnce(&mut Plan)) -> Plan {
    let mut other = plan.clone();
    change(&mut other);
    other.why.push(Why { choice: choice.to_owned(), because: because.to_owned() });
    other
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
    manager: ToolName,
) -> Result<(), PlanProblem> {
    for package in packages {
        for kind in [DependencyKind::Production, DependencyKind::Development] {
            for (name, specifier) in package.dependencies(kind) {
                if is_git(&specifier) {
                    return Err(PlanProblem::DependencyFromGit(name));
                }
                let other = ["workspace:", "catalog:", "portal:", "patch:", "link:"];
                let protocol = other.iter().find(|protocol| specifier.starts_with(**protocol));
                if let Some(protocol) = protocol.filter(|_| manager == ToolName::Npm) {
                    return Err(PlanProblem::NoPlan(format!(
                        "The dependency `{name}` is written as `{protocol}…`, which npm does not know, and nothing \
                         in the tree names another package manager."
                    )));
                }
            }
        }
    }
    Ok(())
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
