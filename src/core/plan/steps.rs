//! The steps between install and pack, in order: siblings of a workspace, what the release runs before it publishes, the
//! version, the package's lifecycle scripts, a cleaner. There is one list for a tree; where two would have equal
//! standing, that is said in place of it.

use std::collections::BTreeSet;

use nodejs_semver::Range;

use super::{
    PlanProblem, Step, Why, managers,
    release::{Release, Run, package_at},
    scripts, settings,
    tools::Tools,
};
use crate::{
    facts::{FolderFacts, Member, SourceFacts},
    package_json::{DependencyKind, PackageJson},
    source::Directory,
    toolchain::{Tool, ToolName},
};

/// The most siblings that are built for one package.
const SIBLINGS_MAX: usize = 100;
/// The folder that a cleaner is told to make, below the package's.
const CLEANED: &str = "countersign-cleaned";
/// Versions of clean-publish that can be told which folder to make; the first is the earliest (its `--temp-dir`).
const CLEANERS: [&str; 5] = ["3.4.5", "4.4.0", "5.2.2", "6.0.5", "7.1.0"];
/// Words in the build of a workspace's root that say that it builds the members.
const BUILDS_MEMBERS: [&str; 14] = [
    "--filter",
    "--workspace",
    "-r ",
    "-ws",
    "build:",
    "foreach",
    "lerna",
    "nx ",
    "packages",
    "recursive",
    "tsc",
    "turbo",
    "wireit",
    "workspaces",
];

/// How a package is built and what is packed.
pub(super) struct Building {
    pub steps: Vec<Step>,
    /// The folder that is packed.
    pub folder: Directory,
    pub why: Vec<Why>,
}

impl Building {
    /// Whether a step needs what the tree depends on; writing a version does not.
    pub(super) fn needs_install(&self) -> bool {
        self.steps.iter().any(|step| !is_version(step))
    }
}

/// Whether a step writes the version, which is the plan's own doing.
pub(super) fn is_version(step: &Step) -> bool {
    step.argv.get(..2).is_some_and(|words| words == ["npm", "version"])
}

/// The folder that the releases publish; two of equal standing have to be decided by somebody.
pub(super) fn decided(releases: &[Release]) -> Result<Option<&Release>, PlanProblem> {
    let Some(first) = releases.first() else { return Ok(None) };
    let another = releases.iter().find(|other| {
        other.by_workflow && !other.is_aside() && !first.is_aside() && other.folder != first.folder
    });
    match another {
        Some(other) if first.by_workflow => Err(PlanProblem::Ambiguous(format!(
            "{} publishes `{}`, and {} publishes `{}`.",
            capital(&first.place),
            shown(&first.folder),
            other.place,
            shown(&other.folder)
        ))),
        Some(_) | None => Ok(Some(first)),
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn shown(folder: &Directory) -> &str {
    if folder.is_root() { "." } else { folder.as_str() }
}

/// Puts the steps together.
pub(super) fn building(
    facts: &SourceFacts,
    place: &FolderFacts,
    release: Option<&Release>,
    tools: &Tools,
) -> Building {
    let folder = published(facts, release);
    let mut assembly =
        Assembly { facts, place, tools, steps: Vec::new(), ran: BTreeSet::new(), why: Vec::new() };
    for run in release.iter().flat_map(|release| &release.runs) {
        assembly.released(run, &release.map(|release| release.place.clone()).unwrap_or_default());
    }
    let hidden = assembly.lifecycle_hidden(release, &folder);
    let lifecycle = scripts::lifecycle(facts, tools.packer_generation());
    let lifecycle_run = if hidden.is_some() { Vec::new() } else { lifecycle.run.clone() };
    match hidden {
        Some(because) if !lifecycle.run.is_empty() => {
            let choice = "no lifecycle scripts".to_owned();
            assembly.why.push(Why { choice, because });
        }
        Some(_) => {}
        None => assembly.why.extend(lifecycle.why.iter().cloned()),
    }
    let left = [lifecycle.run, lifecycle.passed_over].concat();
    assembly.missing(&lifecycle_run, &left);
    let mut steps = Vec::new();
    if !assembly.steps.is_empty() || !lifecycle_run.is_empty() {
        steps = assembly.siblings();
    }
    assembly.version(release, &folder);
    for name in &lifecycle_run {
        assembly.own_parts(name);
    }
    let folder = assembly.cleaned(release, folder);
    steps.append(&mut assembly.steps);
    Building { steps, folder, why: assembly.why }
}

/// The folder that is published: what the release names, else `publishConfig.directory`, else the package's.
fn published(facts: &SourceFacts, release: Option<&Release>) -> Directory {
    let own = facts.directory();
    if let Some(release) = release.filter(|release| release.folder != *own) {
        return release.folder.clone();
    }
    let config = facts.package.publish_config();
    let directory = config.get("directory").and_then(|value| value.as_str());
    let below = directory.and_then(|directory| super::call::resolve(own, directory));
    below.unwrap_or_else(|| own.clone())
}

struct Assembly<'a> {
    facts: &'a SourceFacts,
    place: &'a FolderFacts,
    tools: &'a Tools,
    steps: Vec<Step>,
    /// Which scripts ran where.
    ran: BTreeSet<(Directory, String)>,
    why: Vec<Why>,
}

impl Assembly<'_> {
    /// What the release runs before it publishes.
    fn released(&mut self, run: &Run, place: &str) {
        let scripts =
            package_at(self.facts, &run.cwd).map(PackageJson::scripts).unwrap_or_default();
        let brought = [&self.tools.npm, &self.tools.manager];
        let by =
            brought.into_iter().find(|tool| tool.name == run.tool).unwrap_or(&self.tools.manager);
        if let Some(argv) = &run.argv {
            if by.name != run.tool || scripts::expanded(&scripts, true, &run.script).is_empty() {
                return;
            }
            let (argv, cwd, env) = (argv.clone(), run.cwd.clone(), run.env.clone());
            let because = format!("{place} runs it before it publishes");
            self.why.push(Why { choice: format!("run `{}`", argv.join(" ")), because });
            self.ran.insert((run.cwd.clone(), run.script.clone()));
            self.steps.push(Step { argv, cwd, env });
            return;
        }
        for name in scripts::expanded(&scripts, true, &run.script) {
            if !self.ran.insert((run.cwd.clone(), name.clone())) {
                continue;
            }
            let mut step = managers::run_script(by, &name, &run.cwd);
            step.env.extend(run.env.iter().cloned());
            let because = format!("{place} runs it before it publishes");
            self.why.push(Why { choice: format!("run `{name}`"), because });
            self.steps.push(step);
        }
    }

    /// What of a script of the package's own may make something.
    fn own_parts(&mut self, name: &str) {
        let lacks_outputs = !scripts::missing_outputs(self.facts).is_empty();
        for part in scripts::expanded(&self.facts.package.scripts(), lacks_outputs, name) {
            self.own(&part);
        }
    }

    /// A script of the package's own.
    fn own(&mut self, name: &str) {
        let cwd = self.facts.directory();
        if self.ran.insert((cwd.clone(), name.to_owned())) {
            self.steps.push(managers::run_script(&self.tools.manager, name, cwd));
        }
    }

    /// Why publishing runs no lifecycle script, where it does not.
    fn lifecycle_hidden(&self, release: Option<&Release>, folder: &Directory) -> Option<String> {
        if let Some(release) = release.filter(|release| !release.lifecycle) {
            return Some(format!("{} publishes without scripts", release.place));
        }
        if folder != self.facts.directory()
            && release.is_some_and(|release| release.folder == *folder)
        {
            let because = "`{}` is published, which has scripts of its own";
            return Some(because.replace("{}", folder.as_str()));
        }
        // npm and pnpm take the setting for a package's own scripts too.
        let quiet = self.facts.folders.iter().find(|folder| folder.npmrc.ignore_scripts)?;
        Some(format!("`ignore-scripts` of `{}` hides them", quiet.directory.join(".npmrc")))
    }

    /// Builds what package.json names and the tree does not hold, where nothing else does.
    fn missing(&mut self, lifecycle: &[String], left: &[String]) {
        let missing = scripts::missing_outputs(self.facts);
        let Some(first) = missing.first() else { return };
        let builds = |name: &String| scripts::may_build(name);
        if lifecycle.iter().any(builds) || self.ran.iter().any(|(_, name)| builds(name)) {
            return;
        }
        let named = format!("package.json names `{first}`, which the tree does not hold");
        let own = self.facts.package.scripts();
        if let Some(root) = self.root_builds() {
            let because = format!("{named}, and the workspace's root builds its members");
            self.why.push(Why { choice: "run `build` of the root".to_owned(), because });
            self.ran.insert((root.clone(), "build".to_owned()));
            self.steps.push(managers::run_script(&self.tools.manager, "build", &root));
        } else if own.contains_key("build") {
            self.why.push(Why { choice: "run `build`".to_owned(), because: named });
            self.own_parts("build");
        } else if lifecycle.is_empty() {
            for name in left {
                let because = format!("{named}, and no other script could make it");
                self.why.push(Why { choice: format!("run `{name}`"), because });
                self.own(name);
            }
        }
    }

    /// The workspace's root, where its `build` builds the members: its words say so, or the member has none.
    fn root_builds(&self) -> Option<Directory> {
        let root = self.facts.workspace_root()?;
        let build = root.package.as_ref()?.scripts().remove("build")?;
        let says = BUILDS_MEMBERS.iter().any(|word| build.contains(word));
        let alone = !self.facts.package.scripts().contains_key("build");
        (says || alone).then(|| root.directory.clone())
    }

    /// The builds of the members that the package needs, in the order of their need, unless something is run for all.
    fn siblings(&mut self) -> Vec<Step> {
        let own = self.facts.directory();
        let elsewhere = |(cwd, _): &(Directory, String)| cwd != own && *cwd == self.place.directory;
        if self.facts.members.is_empty() || self.ran.iter().any(elsewhere) {
            return Vec::new();
        }
        let mut order = Vec::new();
        let mut seen = BTreeSet::from([self.facts.package.name().unwrap_or_default().to_owned()]);
        needed(&self.facts.package, &self.facts.members, &mut seen, &mut order);
        let mut steps = Vec::new();
        for member in order.into_iter().take(SIBLINGS_MAX) {
            if !member.package.scripts().contains_key("build") || member.directory == *own {
                continue;
            }
            let because = "the package depends on it, and it is a member of the same workspace";
            let choice = format!("build `{}`", member.directory);
            self.why.push(Why { choice, because: because.to_owned() });
            steps.push(managers::run_script(&self.tools.manager, "build", &member.directory));
        }
        steps
    }

    fn version(&mut self, release: Option<&Release>, folder: &Directory) {
        let Some(version) = &self.facts.written_version else { return };
        let flags = ["--no-git-tag-version", "--allow-same-version", "--ignore-scripts"];
        let argv = ["npm", "version", version.as_str()].into_iter().chain(flags);
        let cwd = match release {
            Some(release) if release.folder == *folder => folder.clone(),
            Some(_) | None => self.facts.directory().clone(),
        };
        let argv = argv.map(str::to_owned).collect();
        self.steps.push(Step { argv, cwd, env: Vec::new() });
        let by = super::version_writer(self.facts).unwrap_or_default();
        let because = format!("package.json of the tree has another, and {by} writes it");
        self.why.push(Why { choice: format!("write the version {version}"), because });
    }

    /// Runs the cleaner that the tree declares, and hands on the folder that it makes.
    fn cleaned(&mut self, release: Option<&Release>, folder: Directory) -> Directory {
        let declared = settings::clean_publish(self.facts);
        let by_release = release.is_some_and(|release| release.cleaned);
        let by_other = release.is_some_and(|release| release.by_workflow && !release.cleaned);
        if !by_release && (declared.is_none() || by_other) {
            return folder;
        }
        let range = declared.as_deref().unwrap_or("*");
        let range = Range::parse(range).unwrap_or_else(|_| Range::any());
        let tells = |version: &&str| {
            nodejs_semver::Version::parse(version).is_ok_and(|version| range.satisfies(&version))
        };
        if !CLEANERS.iter().any(tells) {
            let because =
                format!("clean-publish within `{range}` cannot be told which folder to make");
            self.why.push(Why { choice: "no cleaner".to_owned(), because });
            return folder;
        }
        let program: &[&str] = match self.tools.npm.major() {
            ..=6 => &["npx", "--no-install"],
            _ => &["npm", "exec", "--no", "--"],
        };
        let words = ["clean-publish", "--without-publish", "--temp-dir", CLEANED];
        let argv = program.iter().chain(&words).map(|&word| word.to_owned()).collect();
        self.steps.push(Step { argv, cwd: folder.clone(), env: Vec::new() });
        let because =
            "the repository itself declares it, and what it makes is published".to_owned();
        self.why.push(Why { choice: "clean with clean-publish".to_owned(), because });
        folder.join(CLEANED).parse().unwrap_or(folder)
    }
}

/// The members that a package needs, each after what it needs itself.
fn needed<'m>(
    package: &PackageJson,
    members: &'m [Member],
    seen: &mut BTreeSet<String>,
    order: &mut Vec<&'m Member>,
) {
    const KINDS: [DependencyKind; 4] = [
        DependencyKind::Production,
        DependencyKind::Development,
        DependencyKind::Optional,
        DependencyKind::Peer,
    ];
    let names: BTreeSet<String> =
        KINDS.iter().flat_map(|kind| package.dependencies(*kind).into_keys()).collect();
    for name in names {
        let Some(member) = members.iter().find(|m| m.package.name() == Some(name.as_str())) else {
            continue;
        };
        if seen.insert(name) {
            needed(&member.package, members, seen, order);
            order.push(member);
        }
    }
}

impl Tools {
    /// The generation of npm whose lifecycle the packer follows; the others follow the present one.
    fn packer_generation(&self) -> u64 {
        match self.packer.name {
            ToolName::Npm => self.packer.major(),
            ToolName::Node | ToolName::Pnpm | ToolName::Yarn | ToolName::Bun => u64::MAX,
        }
    }

    /// These tools with another packer.
    pub(super) fn packing_with(&self, packer: Tool, because: &str) -> Self {
        let mut other = self.clone();
        other.why.push(Why { choice: format!("pack with {packer}"), because: because.to_owned() });
        other.packer = packer;
        other
    }
}
