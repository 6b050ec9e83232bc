//! An enrolment: what a maintainer confirmed for a package with a second factor, from which source, folder, tags, rules and plan
//! follow. Who confirms it, and how, is not known here.

use serde::{Deserialize, Serialize};

use crate::{
    artifact::PackageName,
    plan::Given,
    policy::Policy,
    source::{Directory, Repository, TagPattern},
    timestamp::Timestamp,
};

/// What the enrolment's gate does without a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing but a pass opens it.
    #[default]
    Enforce,
    /// A second factor opens it without a pass, recorded and shown as *released unverified*.
    Observe,
}

/// What a maintainer confirmed for a package with a second factor. Every change is a new revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Enrolment {
    /// The package.
    pub package: PackageName,
    /// Counts from 1.
    pub revision: u32,
    /// Where its source is.
    pub repository: Repository,
    /// The folder of the package inside it.
    pub directory: Directory,
    /// How its tags are named.
    pub tag_pattern: TagPattern,
    /// Branches from one of which a released commit has to be reachable.
    pub branches: Vec<String>,
    /// What the gate does without a pass.
    pub mode: Mode,
    /// What is asked beyond the rules for everybody.
    pub policy: Policy,
    /// Parts of the plan that are set by hand.
    #[serde(default, skip_serializing_if = "Given::is_empty")]
    pub plan: Given,
    /// The maintainer who confirmed it.
    pub confirmed_by: String,
    /// When.
    pub confirmed_at: Timestamp,
}
