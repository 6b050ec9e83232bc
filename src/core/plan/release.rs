//! How the tree's own release publishes a package: read from the jobs of its workflow files, else from the package
//! scripts that publish. What comes before the publishing command in the same job is how it was built. Words of a closed
//! vocabulary alone are understood; what is not is passed over.

use super::{
    call::{self, Call},
    settings,
};
use crate::{
    facts::{JobStep, SourceFacts, Workflow, shell},
    package_json::PackageJson,
    source::Directory,
    toolchain::ToolName,
};

/// How deep scripts that run scripts are followed.
const DEPTH_MAX: usize = 4;
/// How many commands of one release are looked at.
const COMMANDS_MAX: usize = 400;
/// Names of scripts that publish, likeliest first; others come after them.
const PUBLISHING_SCRIPTS: [&str; 6] =
    ["release", "publish", "publish:npm", "release:npm", "publish-npm", "ship"];

/// One way in which the tree publishes the package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Release {
    /// Where it stands, for the reader.
    pub place: String,
    /// Whether a workflow file says it; else it is a script that somebody may run.
    pub by_workflow: bool,
    /// The node that the job sets up, as it is written.
    pub node: Option<String>,
    /// Package managers that the job sets up, with their versions as they are written.
    pub tools: Vec<(ToolName, String)>,
    /// What the job installs with.
    pub installs_with: Option<ToolName>,
    /// What the job runs before it publishes.
    pub runs: Vec<Run>,
    /// What packs; none: what the repository installs with, or npm for managers that do not publish themselves.
    pub packer: Option<ToolName>,
    /// The folder that is published.
    pub folder: Directory,
    /// Whether publishing runs the package's lifecycle scripts.
    pub lifecycle: bool,
    /// What writes the version into package.json, where something does.
    pub version_by: Option<String>,
    /// Whether a cleaner makes the folder that is published.
    pub cleaned: bool,
    /// Whether it is under a dist-tag of its own, so that it is not the usual release.
    aside: bool,
}

impl Release {
    /// Whether it is under a dist-tag of its own, so that it is not the usual release.
    pub(super) fn is_aside(&self) -> bool {
        self.aside
    }
}

/// A script that a release runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// With what.
    pub tool: ToolName,
    /// The whole command where it runs the script of other packages than that of `cwd`.
    pub argv: Option<Vec<String>>,
    /// The script's name.
    pub script: String,
    /// Where.
    pub cwd: Directory,
    /// Variables of the workflow.
    pub env: Vec<(String, String)>,
}

/// The releases that a tree declares for its package, the likeliest first: those of workflows, else those of scripts.
pub(super) fn releases(facts: &SourceFacts) -> Vec<Release> {
    let mut found = Vec::new();
    for workflow in &facts.workflows {
        found.extend(of_workflow(facts, workflow));
    }
    if found.is_empty() {
        found = of_scripts(facts);
    }
    found.sort_by_key(|release| release.aside);
    found
}

fn of_workflow(facts: &SourceFacts, workflow: &Workflow) -> Vec<Release> {
    // What only a pull request starts publishes previews.
    let only_previews =
        !workflow.events.is_empty() && workflow.events.iter().all(|event| event == "pull_request");
    if only_previews {
        return Vec::new();
    }
    let mut found = Vec::new();
    for job in &workflow.jobs {
        let place = format!("the job `{}` of `{}`", job.name, workflow.path);
        let mut walk = Walk::new(facts, place, true);
        for step in &job.steps {
            walk.job_step(step);
        }
        found.append(&mut walk.found);
    }
    found
}

fn of_scripts(facts: &SourceFacts) -> Vec<Release> {
    let mut found = Vec::new();
    for directory in [facts.directory(), &facts.root().directory] {
        let Some(package) = package_at(facts, directory) else { continue };
        let scripts = package.scripts();
        let rank = |name: &str| PUBLISHING_SCRIPTS.iter().position(|known| *known == name);
        let mut names: Vec<&String> = scripts.keys().collect();
        names.sort_by_key(|name| rank(name).unwrap_or(PUBLISHING_SCRIPTS.len()));
        for name in names {
            let file = directory.join("package.json");
            let mut walk = Walk::new(facts, format!("the script `{name}` of `{file}`"), false);
            walk.state.cwd = directory.clone();
            walk.text(&scripts[name], 0);
            found.append(&mut walk.found);
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// The package.json of a folder that the facts hold.
pub(super) fn package_at<'a>(
    facts: &'a SourceFacts,
    directory: &Directory,
) -> Option<&'a PackageJson> {
    let above = facts.folders.iter().find(|folder| folder.directory == *directory);
    let member = || facts.members.iter().find(|member| member.directory == *directory);
    match above {
        Some(folder) => folder.package.as_ref(),
        None => member().map(|member| &member.package),
    }
}

#[derive(Clone, Default)]
struct State {
    cwd: Directory,
    env: Vec<(String, String)>,
    node: Option<String>,
    tools: Vec<(ToolName, String)>,
    installs_with: Option<ToolName>,
    runs: Vec<Run>,
    version_by: Option<String>,
}

/// What publishes, as far as one command says it.
#[derive(Clone, Default)]
struct Publishing<'w> {
    packer: Option<ToolName>,
    /// The folder that is named, as it is written.
    folder: Option<&'w str>,
    /// The members that are named.
    scope: call::Scope<'w>,
    without_lifecycle: bool,
    version_by: Option<&'static str>,
    cleaned: bool,
    aside: bool,
}

struct Walk<'a> {
    facts: &'a SourceFacts,
    place: String,
    by_workflow: bool,
    state: State,
    commands: usize,
    found: Vec<Release>,
}

impl<'a> Walk<'a> {
    fn new(facts: &'a SourceFacts, place: String, by_workflow: bool) -> Self {
        let (state, found) = (State::default(), Vec::new());
        Self { facts, place, by_workflow, state, commands: 0, found }
    }

    fn job_step(&mut self, step: &JobStep) {
        match step {
            JobStep::Uses { action, with } => {
                let told = |key: &str| with.get(key).map(String::as_str);
                self.action(action, &told);
            }
            JobStep::Run { commands, folder, env } => {
                let Some(cwd) = call::resolve(&Directory::default(), folder) else { return };
                self.state.cwd = cwd;
                self.state.env = env.clone();
                self.commands(commands, 0);
            }
        }
        self.state.cwd = Directory::default();
        self.state.env.clear();
    }

    fn action<'w>(&mut self, action: &str, told: &dyn Fn(&str) -> Option<&'w str>) {
        let mut set_up = |tool, version: Option<&str>| {
            self.state.tools.extend(version.map(|version| (tool, version.to_owned())));
        };
        match action {
            "actions/setup-node" => {
                self.state.node =
                    told("node-version").map(str::to_owned).or(self.state.node.take());
            }
            "pnpm/action-setup" => set_up(ToolName::Pnpm, told("version")),
            "oven-sh/setup-bun" => set_up(ToolName::Bun, told("bun-version")),
            "js-devtools/npm-publish" if told("dry-run") != Some("true") => {
                let package = told("package").map(|path| path.trim_end_matches("package.json"));
                // It runs `npm publish --ignore-scripts` unless it is told not to.
                let without_lifecycle = told("ignore-scripts") != Some("false");
                let aside = told("tag").is_some_and(|tag| tag != "latest");
                let packer = Some(ToolName::Npm);
                let folder = package;
                self.publish(&Publishing {
                    packer,
                    folder,
                    without_lifecycle,
                    aside,
                    ..Default::default()
                });
            }
            "cycjimmy/semantic-release-action" => self.semantic_release(),
            "changesets/action" => {
                if let Some(text) = told("publish") {
                    self.text(text, 0);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, depth: usize) {
        self.commands(&shell::commands(text), depth);
    }

    fn commands(&mut self, commands: &[shell::Command], depth: usize) {
        for command in commands {
            self.commands += 1;
            if self.commands > COMMANDS_MAX {
                return;
            }
            self.command(command, depth);
        }
    }

    fn command(&mut self, command: &shell::Command, depth: usize) {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        // Assignments before a command, and programs that only set variables.
        let skip =
            words.iter().take_while(|word| word.contains('=') || **word == "cross-env").count();
        let words = &words[skip..];
        match words {
            ["cd" | "pushd", folder] => {
                self.state.cwd = call::resolve(&self.state.cwd, folder).unwrap_or_default();
            }
            [] => {}
            words => match Call::of(words) {
                Some(call) => self.call(&call, words, command.whole, depth),
                None => self.program(words, command.whole),
            },
        }
    }

    fn call(&mut self, call: &Call<'_>, words: &[&str], whole: bool, depth: usize) {
        let cwd = call.folder.map_or_else(
            || Some(self.state.cwd.clone()),
            |folder| call::resolve(&self.state.cwd, folder),
        );
        let Some(cwd) = cwd else { return };
        match call.verbs.as_slice() {
            ["install" | "i" | "ci" | "clean-install" | "add", rest @ ..] if call.global => {
                let named = rest.iter().filter_map(|word| word.rsplit_once('@'));
                let tools =
                    named.filter_map(|(name, at)| Some((ToolName::of(name)?, at.to_owned())));
                self.state.tools.extend(tools);
            }
            ["install" | "i" | "ci" | "clean-install"] => {
                self.state.installs_with = Some(call.tool)
            }
            [] if call.tool == ToolName::Yarn => self.state.installs_with = Some(call.tool),
            ["publish", rest @ ..] | ["stage" | "npm", "publish", rest @ ..] => {
                self.publish_call(call, rest.first().copied(), whole);
            }
            // By hand it commits and tags what it wrote, so that the tree at the tag has it.
            ["version", ..] if self.by_workflow || words.contains(&"--no-git-tag-version") => {
                self.state.version_by = Some("`npm version`".to_owned());
            }
            ["version", ..] => {}
            ["exec" | "dlx" | "x", rest @ ..] => self.program(rest, whole),
            verbs => {
                let Some(script) = call.script() else {
                    self.program(verbs, whole);
                    return;
                };
                self.script(call, script, words, whole, cwd, depth);
            }
        }
    }

    fn publish_call(&mut self, call: &Call<'_>, folder: Option<&str>, whole: bool) {
        // Where a word is cut off that is no flag's value, the folder is not known.
        if call.dry_run || (!whole && !call.cut_in_a_flag) {
            return;
        }
        if folder.is_some_and(|folder| folder.ends_with(".tgz")) {
            return;
        }
        let packer = match (call.tool, call.verbs.first()) {
            (ToolName::Yarn, Some(&"npm")) => ToolName::Yarn,
            (tool, _) => tool,
        };
        self.publish(&Publishing {
            packer: Some(packer),
            folder: folder.or(call.folder),
            scope: call.scope.clone(),
            without_lifecycle: call.without_scripts,
            aside: call.tag.is_some_and(|tag| tag != "latest"),
            ..Default::default()
        });
    }

    /// A script that publishes is followed; another is what the release builds with.
    fn script(
        &mut self,
        call: &Call<'_>,
        script: &str,
        words: &[&str],
        whole: bool,
        cwd: Directory,
        depth: usize,
    ) {
        let here = package_at(self.facts, &cwd).map(PackageJson::scripts).unwrap_or_default();
        let known = here.contains_key(script);
        if !known && !call.is_run && call.scope.is_own() {
            // `pnpm tsup` and `yarn tsup` run a program where there is no script of that name.
            self.program(&call.verbs, whole);
            return;
        }
        if call.scope.is_own() && known && depth < DEPTH_MAX {
            let before = (self.state.clone(), self.found.len());
            self.state.cwd = cwd.clone();
            for name in [&format!("pre{script}"), script, &format!("post{script}")] {
                if let Some(text) = here.get(name) {
                    self.text(text, depth + 1);
                }
            }
            let follows = self.found.len() > before.1;
            let inside = std::mem::replace(&mut self.state, before.0);
            if follows {
                self.state.runs = inside.runs;
                self.state.version_by = inside.version_by;
                return;
            }
        }
        let verbatim = !call.scope.is_own() || (whole && call.has_arguments);
        let argv = verbatim.then(|| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        if argv.is_some() && !(whole && call.known_flags) {
            return;
        }
        let env = self.state.env.clone();
        self.state.runs.push(Run { tool: call.tool, argv, script: script.to_owned(), cwd, env });
    }

    /// A program of the tree's own dependencies.
    fn program(&mut self, words: &[&str], whole: bool) {
        let flag = |name: &str| words.contains(&name);
        let value = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1).copied()
        };
        match words {
            ["npx" | "bunx" | "pnpx" | "dotenv", rest @ ..] => {
                let flags = rest.iter().take_while(|word| word.starts_with('-')).count();
                self.program(&rest[flags..], whole);
            }
            ["semantic-release", ..] if !flag("--dry-run") => self.semantic_release(),
            ["changeset" | "@changesets/cli", "publish", ..] => {
                let aside = value("--tag").is_some();
                let scope = call::Scope::All;
                self.publish(&Publishing { scope, aside, ..Default::default() });
            }
            ["lerna", "publish", ..] => self.lerna(),
            ["np", ..] if !flag("--no-publish") && !flag("--preview") => {
                let contents = settings::np_contents(self.facts);
                let folder = value("--contents").map(str::to_owned).or(contents);
                let folder = folder.as_deref();
                self.publish(&Publishing { folder, ..Default::default() });
            }
            ["release-it", ..] if !flag("--no-npm.publish") && !flag("--no-npm") => {
                if let Some(path) = settings::release_it_folder(self.facts) {
                    let (packer, folder) = (Some(ToolName::Npm), path.as_deref());
                    self.publish(&Publishing { packer, folder, ..Default::default() });
                }
            }
            ["clean-publish", ..] => {
                let packer = Some(ToolName::Npm);
                self.publish(&Publishing { packer, cleaned: true, ..Default::default() });
            }
            ["nx", "release", ..] => {
                let version_by = (words.get(2) != Some(&"publish")).then_some("`nx release`");
                let (scope, packer) = (call::Scope::All, Some(ToolName::Npm));
                self.publish(&Publishing { scope, packer, version_by, ..Default::default() });
            }
            ["turbo" | "lerna" | "nx", ..] if whole => self.runner(words),
            _ => {}
        }
    }

    /// `turbo run build`, `lerna run build` and `nx run-many -t build` run a script of all members.
    fn runner(&mut self, words: &[&str]) {
        let script = match words {
            ["turbo" | "lerna", "run", name, ..] | ["turbo", name] => name,
            ["nx", "run-many", "-t", name, ..] => name,
            ["nx", "run-many", target, ..] => match target.split_once('=') {
                Some(("--target" | "--targets" | "-t", name)) => name,
                _ => return,
            },
            _ => return,
        };
        let mut argv = vec!["npx".to_owned(), "--no-install".to_owned()];
        argv.extend(words.iter().map(|&word| word.to_owned()));
        let (cwd, env) = (self.state.cwd.clone(), self.state.env.clone());
        let tool = ToolName::Npm;
        self.state.runs.push(Run { tool, argv: Some(argv), script: script.to_owned(), cwd, env });
    }

    fn semantic_release(&mut self) {
        if let Some(folder) = settings::semantic_release_folder(self.facts) {
            let (packer, folder) = (Some(ToolName::Npm), folder.as_deref());
            let version_by = Some("semantic-release");
            self.publish(&Publishing { packer, folder, version_by, ..Default::default() });
        }
    }

    fn lerna(&mut self) {
        let contents = self.facts.root().lerna.as_ref().and_then(|lerna| lerna.contents.clone());
        let own = self.facts.directory().clone();
        let cwd = match &contents {
            Some(contents) => call::resolve(&own, contents).unwrap_or(own),
            None => own,
        };
        let before = std::mem::replace(&mut self.state.cwd, cwd);
        self.publish(&Publishing { packer: Some(ToolName::Npm), ..Default::default() });
        self.state.cwd = before;
    }

    fn publish(&mut self, publishing: &Publishing<'_>) {
        let Some(folder) = self.target(publishing) else { return };
        let state = &self.state;
        self.found.push(Release {
            place: self.place.clone(),
            by_workflow: self.by_workflow,
            node: state.node.clone(),
            tools: state.tools.clone(),
            installs_with: state.installs_with,
            runs: state.runs.clone(),
            packer: publishing.packer,
            folder,
            lifecycle: !publishing.without_lifecycle,
            version_by: publishing
                .version_by
                .map(str::to_owned)
                .or_else(|| state.version_by.clone()),
            cleaned: publishing.cleaned,
            aside: publishing.aside,
        });
    }

    /// The folder that is published, where it is the package's or one that the build makes below it.
    fn target(&self, publishing: &Publishing<'_>) -> Option<Directory> {
        let own = self.facts.directory();
        if !publishing.scope.is_own() {
            let name = self.facts.package.name().unwrap_or_default();
            return publishing.scope.names(name, own).then(|| own.clone());
        }
        let folder = match publishing.folder {
            Some(folder) => call::resolve(&self.state.cwd, folder)?,
            None => self.state.cwd.clone(),
        };
        if folder == *own {
            return Some(folder);
        }
        let below = if own.is_root() {
            folder.as_str().to_owned()
        } else {
            folder.as_str().strip_prefix(own.as_str())?.strip_prefix('/')?.to_owned()
        };
        // A folder with a package.json in the tree is another package.
        let another = self.facts.paths.contains(&format!("{below}/package.json"));
        (!another).then_some(folder)
    }
}
