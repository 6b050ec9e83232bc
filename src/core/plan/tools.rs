//! Which node and npm a plan takes, with the fact that each choice rests on: what was recorded at the release, what the
//! repository asks for, what was current at the commit's time, or the default.

use serde_json::Value;

use super::{Declared, Offer, Why};
use crate::{
    artifact::Version,
    facts::{FolderFacts, SourceFacts},
    lockfile::Lockfile,
    timestamp::Timestamp,
    toolchain::{Choice, DEFAULT_NODE, DEFAULT_NPM, Pins, Tool},
};

/// What most publishers had before a moment: node and the npm that came with it.
struct Era {
    end_seconds: i64,
    end: &'static str,
    node: &'static str,
    npm: &'static str,
}

/// The moments are those at which node's next line became the recommended one (nodejs/Release); npm 7 came with node 16.
const ERAS: [Era; 2] = [
    Era { end_seconds: 1_635_206_400, end: "2021-10-26", node: "14", npm: "6" },
    Era { end_seconds: 1_666_656_000, end: "2022-10-25", node: "16", npm: "8" },
];

/// A pair of tools with the reasons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tools {
    pub node: Tool,
    pub npm: Tool,
    pub why: Vec<Why>,
    /// Whether the npm was only guessed, so that another generation is worth a candidate.
    pub npm_is_a_guess: bool,
}

/// What somebody asks for, and where it stands.
struct Asked {
    version: String,
    place: String,
}

/// The tools for a tree, given which lockfile is installed by.
pub(super) fn choose(
    facts: &SourceFacts,
    lockfile: Option<&Lockfile>,
    commit_time: Timestamp,
    declared: &Declared,
    offer: &Offer<'_>,
) -> Tools {
    let era = ERAS.iter().find(|era| commit_time < Timestamp::from_seconds(era.end_seconds));
    let chooser = Chooser { facts, lockfile, era, declared, pins: offer.pins };
    let mut why = Vec::new();
    let node = chooser.node(&mut why);
    let (npm, npm_is_a_guess) = chooser.npm(&node, &mut why);
    Tools { node, npm, why, npm_is_a_guess }
}

struct Chooser<'a> {
    facts: &'a SourceFacts,
    lockfile: Option<&'a Lockfile>,
    era: Option<&'a Era>,
    declared: &'a Declared,
    pins: &'a Pins,
}

impl Chooser<'_> {
    fn node(&self, why: &mut Vec<Why>) -> Tool {
        if let Some(asked) = asked_node(self.facts, self.declared) {
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
        if let Some(asked) = asked_npm(self.facts, self.declared) {
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

    fn default(&self, choice: Choice<'_>, why: &mut Vec<Why>) -> Tool {
        let because = "nothing asks for another".to_owned();
        why.push(Why { choice: choice.pin.tool.to_string(), because });
        choice.pin.tool.clone()
    }
}

/// An exact or near-exact wish, by rank: what was recorded at the release, then what the repository pins for whoever
/// works in it.
fn asked_node(facts: &SourceFacts, declared: &Declared) -> Option<Asked> {
    if let Some(version) = &declared.node {
        let place = "the registry recorded it at the release".to_owned();
        return Some(Asked { version: version.clone(), place });
    }
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

fn asked_npm(facts: &SourceFacts, declared: &Declared) -> Option<Asked> {
    if let Some(version) = &declared.npm {
        let place = "the registry recorded it at the release".to_owned();
        return Some(Asked { version: version.clone(), place });
    }
    let named = facts.folders.iter().find_map(|folder| {
        let version = folder.package.as_ref()?.package_manager()?.strip_prefix("npm@")?;
        let version = version.split('+').next().unwrap_or(version).to_owned();
        let file = folder.directory.join("package.json");
        Some(Asked { version, place: format!("`packageManager` of `{file}` asks for it") })
    });
    named.or_else(|| in_package(facts, "npm"))
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
