//! Which node, npm, package manager and packer a plan takes, with the fact that each choice rests on: what was recorded at the release, what the
//! repository asks for, what was current at the commit's time, or the default.

use serde_json::Value;

use super::{Declared, Offer, Why, manager, managers, release::Release};
use crate::{
    artifact::Version,
    facts::{FolderFacts, SourceFacts},
    lockfile::Lockfile,
    timestamp::Timestamp,
    toolchain::{Choice, DEFAULT_NODE, DEFAULT_NPM, Pins, Tool, ToolName},
};

/// What most publishers had before a moment: node and the npm that came with it.
struct Era {
    end_seconds: i64,
    end: &'static str,
    node: &'static str,
    npm: &'static str,
}

/// The moments are those at which node's next line became the recommended one (nodejs/Release); npm 7 came with node 16.
const ERAS: [Era; 4] = [
    Era { end_seconds: 1_635_206_400, end: "2021-10-26", node: "14", npm: "6" },
    Era { end_seconds: 1_666_656_000, end: "2022-10-25", node: "16", npm: "8" },
    Era { end_seconds: 1_698_105_600, end: "2023-10-24", node: "18", npm: "9" },
    Era { end_seconds: 1_730_160_000, end: "2024-10-29", node: "20", npm: "10" },
];

/// From when on a line of node was the recommended one (nodejs/Release): what `lts/*` meant at a time.
const LTS_ERAS: [(i64, &str); 5] = [
    (1_761_609_600, "24"), // 2025-10-28
    (1_730_160_000, "22"), // 2024-10-29
    (1_698_105_600, "20"), // 2023-10-24
    (1_666_656_000, "18"), // 2022-10-25
    (1_635_206_400, "16"), // 2021-10-26
];

/// The tools of a plan with the reasons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tools {
    pub node: Tool,
    pub npm: Tool,
    pub manager: Tool,
    pub packer: Tool,
    pub why: Vec<Why>,
    /// Whether the npm was only guessed, so that another generation is worth a candidate.
    pub npm_is_a_guess: bool,
    /// What else may have packed, where that is only guessed.
    pub other_packer: Option<Tool>,
}

/// What somebody asks for, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub version: String,
    pub place: String,
}

/// What the tools of a tree depend on.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub facts: &'a SourceFacts,
    /// Where dependencies are installed.
    pub place: &'a FolderFacts,
    /// What installs them.
    pub manager: ToolName,
    pub release: Option<&'a Release>,
    pub commit_time: Timestamp,
    pub declared: &'a Declared,
}

/// The tools for a tree.
pub(super) fn choose(wanted: &Wanted<'_>, because: &str, offer: &Offer<'_>) -> Tools {
    let committed = wanted.commit_time;
    let era = ERAS.iter().find(|era| committed < Timestamp::from_seconds(era.end_seconds));
    let lockfile = wanted.place.lockfile.as_ref().filter(|_| wanted.manager == ToolName::Npm);
    let lockfile = lockfile.and_then(|(_, read)| read.as_ref().ok());
    let Wanted { facts, declared, release, .. } = *wanted;
    let chooser = Chooser { facts, lockfile, era, declared, release, committed, pins: offer.pins };
    let mut why = Vec::new();
    let node = chooser.node(&mut why);
    let (npm, npm_is_a_guess) = chooser.npm(&node, &mut why);
    let manager = if wanted.manager == ToolName::Npm {
        npm.clone()
    } else {
        let asked = manager::version(facts, wanted.place, release, wanted.manager, committed);
        why.push(Why { choice: wanted.manager.to_string(), because: because.to_owned() });
        taken(&offer.pins.nearest(wanted.manager, &asked.version, &node.version), &asked, &mut why)
    };
    let (packer, other_packer) = packer(release, &npm, &manager, &mut why);
    Tools { node, npm, manager, packer, why, npm_is_a_guess, other_packer }
}

/// What packs, and what else may have packed.
fn packer(
    release: Option<&Release>,
    npm: &Tool,
    manager: &Tool,
    why: &mut Vec<Why>,
) -> (Tool, Option<Tool>) {
    // pnpm publishes itself; berry has a command of its own; whoever uses yarn 1 or bun mostly publishes with npm.
    let by_itself = match manager.name {
        ToolName::Pnpm => true,
        ToolName::Yarn => manager.major() >= 2,
        ToolName::Node | ToolName::Npm | ToolName::Bun => false,
    };
    let (likely, unlikely) = if by_itself { (manager, npm) } else { (npm, manager) };
    let named = release.and_then(|release| release.packer);
    let packer = match named {
        Some(name) if name == manager.name && managers::can_pack(manager) => manager,
        Some(_) => npm,
        None => likely,
    };
    let because = match (release, named) {
        (Some(release), Some(name)) => format!("{} publishes with {name}", release.place),
        (Some(release), None) => format!("{} publishes with what the tree uses", release.place),
        (None, _) => "nothing in the tree says what publishes, and this is likeliest".to_owned(),
    };
    if packer.name != ToolName::Npm || release.is_some() {
        why.push(Why { choice: format!("pack with {packer}"), because });
    }
    let known = named.is_some() && release.is_some_and(|release| release.by_workflow);
    let other = [likely, unlikely].into_iter().find(|other| *other != packer);
    (packer.clone(), other.filter(|other| !known && managers::can_pack(other)).cloned())
}

struct Chooser<'a> {
    facts: &'a SourceFacts,
    lockfile: Option<&'a Lockfile>,
    era: Option<&'a Era>,
    declared: &'a Declared,
    release: Option<&'a Release>,
    committed: Timestamp,
    pins: &'a Pins,
}

impl Chooser<'_> {
    fn node(&self, why: &mut Vec<Why>) -> Tool {
        if let Some(asked) = self.asked_node() {
            return taken(&self.pins.nearest_node(&asked.version), &asked, why);
        }
        let range = engines(self.facts, "node");
        if let Some(era) = self.era {
            let tool = &self.pins.nearest_node(era.node).pin.tool;
            let fits = |asked: &Asked| satisfies(&tool.version, &asked.version);
            if range.as_ref().is_none_or(fits) {
                let before = era.end;
                let because =
                    format!("the commit is from before {before}, and nothing asks for another");
                why.push(Why { choice: tool.to_string(), because });
                return tool.clone();
            }
        }
        match range {
            Some(asked) => taken(&self.pins.nearest_node(&asked.version), &asked, why),
            None => self.default(self.pins.nearest_node(DEFAULT_NODE), why),
        }
    }

    fn npm(&self, node: &Tool, why: &mut Vec<Why>) -> (Tool, bool) {
        let nearest = |range: &str| self.pins.nearest_npm(range, &node.version);
        if let Some(asked) = self.asked_npm() {
            return (taken(&nearest(&asked.version), &asked, why), false);
        }
        let default = nearest(DEFAULT_NPM);
        let guess = match (self.lockfile, self.era) {
            (Some(lockfile), _) if lockfile.version == 1 => {
                Some(("6", "the lockfile is of the version that npm 6 writes".to_owned()))
            }
            (None, Some(era)) => Some((era.npm, format!("the commit is from before {}", era.end))),
            (Some(_) | None, _) if !default.pin.runs_on(&node.version) => {
                Some(("*", format!("npm {DEFAULT_NPM} does not run on {node}")))
            }
            (Some(_) | None, _) => None,
        };
        let npm = match guess {
            Some((range, place)) => {
                let asked = Asked { version: range.to_owned(), place };
                taken(&nearest(range), &asked, why)
            }
            None => self.default(default, why),
        };
        (npm, true)
    }

    /// An exact or near-exact wish, by rank: what was recorded at the release, what the release's job sets up, then
    /// what the repository pins for whoever works in it.
    fn asked_node(&self) -> Option<Asked> {
        if let Some(version) = &self.declared.node {
            let place = "the registry recorded it at the release".to_owned();
            return Some(Asked { version: version.clone(), place });
        }
        self.released_node().or_else(|| pinned_node(self.facts))
    }

    fn released_node(&self) -> Option<Asked> {
        let release = self.release?;
        let version = release.node.as_deref()?;
        let place = format!("{} sets it up", release.place);
        match version {
            "lts/*" | "lts/-0" | "lts" => {
                let from = |era: &&(i64, &str)| self.committed >= Timestamp::from_seconds(era.0);
                let (_, line) = LTS_ERAS.iter().find(from)?;
                Some(Asked {
                    version: (*line).to_owned(),
                    place: format!("{place} as `{version}`"),
                })
            }
            "latest" | "node" | "current" => None,
            _ => Some(Asked { version: version.to_owned(), place }),
        }
    }

    fn asked_npm(&self) -> Option<Asked> {
        if let Some(version) = &self.declared.npm {
            let place = "the registry recorded it at the release".to_owned();
            return Some(Asked { version: version.clone(), place });
        }
        let released = self.release.and_then(|release| {
            let npm = release.tools.iter().rfind(|(tool, _)| *tool == ToolName::Npm);
            let (_, version) = npm?;
            version.starts_with(|c: char| c.is_ascii_digit() || "^~>".contains(c)).then(|| Asked {
                version: version.clone(),
                place: format!("{} installs it", release.place),
            })
        });
        released.or_else(|| named_npm(self.facts)).or_else(|| in_package(self.facts, "npm"))
    }

    fn default(&self, choice: Choice<'_>, why: &mut Vec<Why>) -> Tool {
        let because = "nothing asks for another".to_owned();
        why.push(Why { choice: choice.pin.tool.to_string(), because });
        choice.pin.tool.clone()
    }
}

fn pinned_node(facts: &SourceFacts) -> Option<Asked> {
    let filed = facts.folders.iter().flat_map(|folder| {
        let place = move |name: &String| format!("`{}` asks for it", folder.directory.join(name));
        folder
            .node_versions
            .iter()
            .map(move |(name, version)| Asked { version: version.clone(), place: place(name) })
    });
    filed.into_iter().next().or_else(|| in_package(facts, "node"))
}

/// `volta` and `devEngines`, the package's own first.
fn in_package(facts: &SourceFacts, tool: &str) -> Option<Asked> {
    let part = if tool == "node" { "runtime" } else { "packageManager" };
    facts.folders.iter().find_map(|folder| {
        let raw = folder.package.as_ref()?.raw();
        let place = |field: &str| {
            format!("`{field}` of `{}` asks for it", folder.directory.join("package.json"))
        };
        if let Some(version) = raw.get("volta").and_then(|v| v.get(tool)).and_then(Value::as_str) {
            return Some(Asked { version: version.to_owned(), place: place("volta") });
        }
        let wish = raw.get("devEngines")?.get(part)?;
        let wish = wish.as_array().and_then(|list| list.first()).unwrap_or(wish);
        if wish.get("name").and_then(Value::as_str) != Some(tool) {
            return None;
        }
        let version = wish.get("version")?.as_str()?.to_owned();
        Some(Asked { version, place: place("devEngines") })
    })
}

fn engines(facts: &SourceFacts, tool: &str) -> Option<Asked> {
    let near = |folder: &FolderFacts| {
        let version = folder.package.as_ref()?.engines().remove(tool)?;
        let place = format!("`engines` of `{}` asks for it", folder.directory.join("package.json"));
        Some(Asked { version, place })
    };
    facts.folders.iter().find_map(near)
}

fn named_npm(facts: &SourceFacts) -> Option<Asked> {
    facts.folders.iter().find_map(|folder| {
        let version = folder.package.as_ref()?.package_manager()?.strip_prefix("npm@")?;
        let version = version.split('+').next().unwrap_or(version).to_owned();
        let file = folder.directory.join("package.json");
        Some(Asked { version, place: format!("`packageManager` of `{file}` asks for it") })
    })
}

fn taken(choice: &Choice<'_>, asked: &Asked, why: &mut Vec<Why>) -> Tool {
    let because = match &choice.reason {
        Some(reason) => format!("{}: {reason}", asked.place),
        None => asked.place.clone(),
    };
    why.push(Why { choice: choice.pin.tool.to_string(), because });
    choice.pin.tool.clone()
}

fn satisfies(version: &Version, range: &str) -> bool {
    nodejs_semver::Range::parse(range).is_ok_and(|range| range.satisfies(&version.semver()))
}
