//! A plan: how a package is built, as a value that prints and has a digest. Nothing is executed here, and nothing of the
//! staged files is known here: the candidates are fixed before those are read.
//!
//! `candidates` puts plans together from facts: `release` (with `call` and `settings`) reads how the tree publishes,
//! `manager` says what installs and where, `tools` with which versions, `scripts` what a script does, `steps` what runs;
//! `managers` in which words each package manager is told. `given` is what a person sets by hand.

use serde::{Deserialize, Serialize};

mod call;
mod candidates;
mod few;
mod given;
mod manager;
pub mod managers;
mod release;
mod scripts;
mod settings;
mod steps;
mod tools;

#[cfg(test)]
mod tests;

pub use candidates::{Declared, Offer, PlanProblem, candidates, unmade, version_writer, warnings};
pub use given::{ExactTool, Given, GivenInstall, GivenStep};

use crate::{
    artifact::Sha256, canonical, source::Directory, timestamp::Timestamp, toolchain::Tool,
};

/// The folder inside the sandbox that the tarball is packed into. It is made when everything else of the build has ended.
pub const PACKED: &str = "/build/packed";

/// The folder inside the sandbox that the tree lies in.
pub const ABOVE_TREE: &str = "/build";

/// How dependencies come onto the disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Install {
    /// Not at all: no lifecycle script can change the tarball.
    None,
    /// Exactly by the lockfile in this folder.
    Lockfile {
        /// The folder that holds it.
        directory: Directory,
        /// The lockfile's path.
        lockfile: String,
        /// The command, without registry settings, which the sandbox adds.
        argv: Vec<String>,
    },
    /// From the registry as of the cut-off, since there is no lockfile.
    AsOfCutoff {
        /// The folder whose package.json is installed.
        directory: Directory,
        /// The command.
        argv: Vec<String>,
    },
}

impl Install {
    /// How dependencies came, in a few words for people.
    pub fn in_words(&self) -> String {
        match self {
            Self::None => "nothing installed".to_owned(),
            Self::Lockfile { lockfile, .. } => format!("installed by {lockfile}"),
            Self::AsOfCutoff { .. } => "installed as of the release's time".to_owned(),
        }
    }
}

/// One command of the build.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The command and its arguments; no shell reads them.
    pub argv: Vec<String>,
    /// The folder of the repository in which it runs.
    pub cwd: Directory,
    /// Variables beyond the sandbox's own few.
    #[serde(default)]
    pub env: Vec<(String, String)>,
}

/// What the build sees as the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The machine's clock, with `SOURCE_DATE_EPOCH` at the commit's time.
    Real,
    /// A clock that starts at the commit's time and runs on from there, preloaded into every program of the build.
    Preload,
}

/// One choice of the plan and why it was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Why {
    /// What was chosen.
    pub choice: String,
    /// The fact that it rests on.
    pub because: String,
}

/// How to build one package at one commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The exact node.
    pub node: Tool,
    /// The npm that scripts find; always brought, whoever installs and packs.
    pub npm: Tool,
    /// The exact package manager, which installs and runs scripts.
    pub package_manager: Tool,
    /// What packs: often the package manager, but not where a workflow publishes with another.
    pub packer: Tool,
    /// The folder of the package.
    pub directory: Directory,
    /// How dependencies come onto the disk.
    pub install: Install,
    /// The steps between install and pack, in order.
    pub build: Vec<Step>,
    /// The command that packs.
    pub pack: Step,
    /// Nothing published later is seen by the install.
    pub cutoff: Timestamp,
    /// What the build sees as the time.
    pub clock: Clock,
    /// Whether tracked files that a step rewrote are put back before packing.
    pub put_back: bool,
    /// Each choice with its reason. Not part of the digest: words may be mended without changing what is done.
    pub why: Vec<Why>,
}

impl Plan {
    /// The digest that a verdict names: SHA-256 over the RFC 8785 form of everything but the reasons.
    pub fn digest(&self) -> Sha256 {
        canonical::digest(&Self { why: Vec::new(), ..self.clone() })
    }

    /// Every tool that has to be brought: node, npm, and the package manager and the packer where they are others.
    pub fn tools(&self) -> Vec<&Tool> {
        distinct([&self.node, &self.npm, &self.package_manager, &self.packer])
    }

    /// Whether it packs what is committed: nothing is installed, and no step but one that writes the version is run.
    pub fn packs_as_committed(&self) -> bool {
        self.install == Install::None && self.build.iter().all(steps::is_version)
    }

    /// Whether an install that fails by one of these plans fails by the other: the same command with the same tools.
    pub fn installs_as(&self, other: &Self) -> bool {
        let tools = |plan: &Self| [&plan.node, &plan.npm, &plan.package_manager].map(Clone::clone);
        self.install == other.install && self.cutoff == other.cutoff && tools(self) == tools(other)
    }

    /// In what candidates for one tree differ, as a text for people.
    pub fn in_words(&self) -> String {
        let install = self.install.in_words();
        let tools: Vec<String> = self.tools().into_iter().map(Tool::to_string).collect();
        let clock = match self.clock {
            Clock::Real => "",
            Clock::Preload => ", at the commit's time",
        };
        let put_back = if self.put_back { ", tracked files put back" } else { "" };
        let steps = self.build.iter().map(|step| step.argv.join(" "));
        let steps: Vec<String> = steps.chain([self.pack.argv.join(" ")]).collect();
        format!("{}, {install}{clock}{put_back}: {}", tools.join(", "), steps.join("; "))
    }
}

/// These tools in their order, each once.
pub(crate) fn distinct(tools: [&Tool; 4]) -> Vec<&Tool> {
    let mut once = Vec::new();
    for tool in tools {
        if !once.contains(&tool) {
            once.push(tool);
        }
    }
    once
}
