//! Parts of a plan that a person sets by hand: a maintainer in an enrolment, or whoever runs `check`. What is set goes before
//! anything that the tree says, in every candidate; what is not set is found out as ever. It knows nothing of how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Clock, Plan, PlanProblem, Step, Why, managers, steps::Building, tools::Tools};
use crate::{
    artifact::{Invalid, Version},
    source::Directory,
    toolchain::{Pins, Tool, ToolName},
};

/// Why a part is as it is.
const BY_HAND: &str = "it was set by hand";

/// A choice that somebody made by hand.
pub(super) fn by_hand(choice: impl Into<String>) -> Why {
    Why { choice: choice.into(), because: BY_HAND.to_owned() }
}

/// Parts of a plan that were set by hand, as a JSON object; every one may be left out.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// The exact node, such as `22.23.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Version>,
    /// The exact npm that scripts find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npm: Option<Version>,
    /// What installs and runs scripts, such as `pnpm@10.34.9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_manager: Option<ExactTool>,
    /// What packs, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packer: Option<ExactTool>,
    /// Whether and how dependencies are installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<GivenInstall>,
    /// The steps between install and pack, all of them, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<GivenStep>>,
    /// The folder that is packed, from the repository's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack_from: Option<Directory>,
    /// What the build sees as the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// Whether tracked files that a step rewrote are put back before packing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_back: Option<bool>,
}

/// How dependencies are to come onto the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenInstall {
    /// Not at all.
    None,
    /// By the package manager's own lockfile.
    Lockfile,
    /// As the registry was at the release.
    AsOfCutoff,
}

/// One step that was set by hand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenStep {
    /// The command and its arguments; no shell reads them.
    pub argv: Vec<String>,
    /// The folder of the repository in which it runs.
    #[serde(default)]
    pub cwd: Directory,
    /// Variables beyond the sandbox's own few.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A tool of an exact version, written as `pnpm@10.34.9`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExactTool(pub Tool);

impl TryFrom<String> for ExactTool {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let (name, version) = text.split_once('@').unwrap_or((&text, ""));
        Tool::named(name, version).map(Self)
    }
}

impl From<ExactTool> for String {
    fn from(tool: ExactTool) -> Self {
        format!("{}@{}", tool.0.name, tool.0.version)
    }
}

impl Given {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is set, a line each, as a text for people.
    pub fn in_words(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.tools().iter().map(Tool::to_string).collect();
        if let Some(packer) = &self.packer {
            lines.push(format!("packed with {}", packer.0));
        }
        lines.extend(self.install.map(|install| match install {
            GivenInstall::None => "nothing installed".to_owned(),
            GivenInstall::Lockfile => "installed by the lockfile".to_owned(),
            GivenInstall::AsOfCutoff => "installed as of the release's time".to_owned(),
        }));
        for step in self.steps.iter().flatten() {
            lines.push(format!("`{}` in {}", step.argv.join(" "), shown(&step.cwd)));
        }
        if self.steps.as_ref().is_some_and(Vec::is_empty) {
            lines.push("no steps".to_owned());
        }
        lines
            .extend(self.pack_from.as_ref().map(|folder| format!("packed from {}", shown(folder))));
        lines.extend(self.clock.map(|clock| match clock {
            Clock::Real => "the machine's clock".to_owned(),
            Clock::Preload => "a clock at the commit's time".to_owned(),
        }));
        lines.extend(self.put_back.map(|put_back| {
            let verb = if put_back { "put back" } else { "kept" };
            format!("rewritten tracked files are {verb}")
        }));
        lines
    }

    /// Why it cannot be followed: a tool that cannot be brought, a step without a command.
    ///
    /// # Errors
    /// Names the part.
    pub fn check(&self, pins: &Pins) -> Result<(), String> {
        let packer = self.packer.iter().map(|packer| packer.0.clone());
        for tool in self.tools().into_iter().chain(packer) {
            if pins.exact(&tool).is_none() {
                let near = &pins.nearest(tool.name, tool.version.as_str(), &tool.version).pin.tool;
                return Err(format!(
                    "{tool} was set by hand, but its bytes are not known here; the nearest that is known is {near}"
                ));
            }
        }
        if let Some(ExactTool(tool)) = &self.packer
            && !managers::can_pack(tool)
        {
            return Err(format!("{tool} was set by hand to pack with, and cannot"));
        }
        if self.package_manager.as_ref().is_some_and(|tool| tool.0.name == ToolName::Node) {
            return Err(
                "node was set by hand as the package manager, and installs nothing".to_owned()
            );
        }
        let blank = |step: &GivenStep| step.argv.first().is_none_or(String::is_empty);
        if self.steps.iter().flatten().any(blank) {
            return Err("a step that was set by hand has no command".to_owned());
        }
        Ok(())
    }

    fn tools(&self) -> Vec<Tool> {
        let of =
            |name, version: &Option<Version>| version.clone().map(|version| Tool { name, version });
        let manager = self.package_manager.as_ref().map(|tool| tool.0.clone());
        [of(ToolName::Node, &self.node), of(ToolName::Npm, &self.npm), manager]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The package manager, where it is set.
    pub(super) fn manager(&self) -> Option<ToolName> {
        self.package_manager.as_ref().map(|tool| tool.0.name)
    }

    /// Whether what is installed or run is set, so that no other way of building is a candidate.
    pub(super) fn settles_building(&self) -> bool {
        self.install.is_some() || self.steps.is_some()
    }

    pub(super) fn refuse(&self, pins: &Pins) -> Result<(), PlanProblem> {
        self.check(pins).map_err(|why| PlanProblem::NoPlan(format!("{why}.")))
    }

    /// Puts the tools that are set in place of those that were found.
    pub(super) fn set_tools(&self, tools: &mut Tools) {
        for tool in self.tools() {
            tools.why.retain(|why| !why.choice.starts_with(&format!("{} ", tool.name)));
            tools.why.push(by_hand(tool.to_string()));
            for place in [&mut tools.node, &mut tools.npm, &mut tools.manager, &mut tools.packer] {
                if place.name == tool.name {
                    *place = tool.clone();
                }
            }
            tools.npm_is_a_guess &= tool.name != ToolName::Npm;
        }
        if let Some(ExactTool(packer)) = &self.packer {
            tools.why.retain(|why| !why.choice.starts_with("pack with "));
            tools.why.push(by_hand(format!("pack with {packer}")));
            tools.packer = packer.clone();
            (tools.other_packer, tools.npm_is_a_guess) = (None, false);
        }
    }

    /// Puts the steps and the folder that are set in place of those that were found.
    pub(super) fn set_building(&self, building: &mut Building) {
        if let Some(steps) = &self.steps {
            building.steps = steps.iter().map(Step::from).collect();
            let run = |step: &Step| by_hand(format!("run `{}`", step.argv.join(" ")));
            building.why = building.steps.iter().map(run).collect();
        }
        if let Some(folder) = &self.pack_from {
            building.folder = folder.clone();
            building.why.push(by_hand(format!("pack from {}", shown(folder))));
        }
    }

    /// Puts what candidates vary in and is set in place of what they have.
    pub(super) fn set_rest(&self, plan: &mut Plan) {
        plan.clock = self.clock.unwrap_or(plan.clock);
        plan.put_back = self.put_back.unwrap_or(plan.put_back);
        let set = [self.clock.map(|_| "the clock"), self.put_back.map(|_| "what is put back")];
        plan.why.extend(set.into_iter().flatten().map(by_hand));
    }
}

fn shown(folder: &Directory) -> &str {
    if folder.is_root() { "the root" } else { folder.as_str() }
}

impl From<&GivenStep> for Step {
    fn from(step: &GivenStep) -> Self {
        let env = step.env.iter().map(|(name, value)| (name.clone(), value.clone()));
        Self { argv: step.argv.clone(), cwd: step.cwd.clone(), env: env.collect() }
    }
}
