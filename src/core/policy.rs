//! What an enrolment may ask for beyond the rules that hold for everybody. A policy can be stricter about what passes, wait
//! longer for a tag, and let the named tokens of a normalisation differ; it cannot make any other change pass.

use serde::{Deserialize, Serialize};

use crate::{
    artifact::Sha256,
    canonical,
    finding::{Code, Finding, Kind, Severity},
    limits,
    normalisation::Normalisation,
};

/// The policy of one enrolment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Warnings and notes that close the gate, such as `dependencies-unpinned`.
    pub fail_on: Vec<Code>,
    /// What may differ in a staged file. Left out of the digest where nothing is allowed, as before there were any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Normalisation>,
    /// How many minutes a stage waits for its tag.
    pub tag_wait_minutes: u64,
    /// Whether the tag's commit has to be reachable from an enrolled branch.
    pub require_branch: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fail_on: Vec::new(),
            allow: Vec::new(),
            tag_wait_minutes: limits::TAG_WAIT_MINUTES,
            require_branch: true,
        }
    }
}

impl Policy {
    /// The digest that a verdict names: SHA-256 over the RFC 8785 form.
    pub fn digest(&self) -> Sha256 {
        canonical::digest(self)
    }

    /// The finding with the weight that this policy gives it: warnings and notes may be raised, nothing is lowered.
    pub fn weigh(&self, finding: Finding) -> Finding {
        let raised = match finding.code.kind() {
            Kind::Warning | Kind::Note => self.fail_on.contains(&finding.code),
            Kind::Fail(_) | Kind::Undetermined => false,
        };
        if raised { finding.weighing(Severity::Fail) } else { finding }
    }
}
