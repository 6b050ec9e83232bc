//! The verdict: what was observed, held against the rules. `judge` is pure and total, and both the worker and the service
//! call it: a report whose verdict the service does not reach by itself is refused. It fails closed: nothing but a
//! whole chain from source to equal files is a pass.

mod examine;
mod findings;
mod sentence;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use examine::{examine, explained, permission};
pub use sentence::sentence;

use crate::{
    compare::{Comparison, Level},
    finding::{Class, Code, Finding},
    history::History,
    mend::Mend,
    plan::Plan,
    policy::Policy,
    rebuild::Rebuild,
    search::{Again, Candidate},
    source::Source,
};

/// What a verdict says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// These bytes come from this commit.
    Pass,
    /// They do not, or nobody could show it; the class says which.
    Fail,
    /// We could not tell. Never the package's fault, and never opens the gate.
    Inconclusive,
}

impl Outcome {
    /// The word, as in the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Milliseconds that each phase took; none where it was not reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Downloading the staged tarball.
    pub fetch: Option<u64>,
    /// Bringing and exporting the commit.
    pub checkout: Option<u64>,
    /// Installing dependencies.
    pub install: Option<u64>,
    /// The package's own scripts.
    pub build: Option<u64>,
    /// Packing.
    pub pack: Option<u64>,
    /// Reading and comparing both tarballs.
    pub compare: Option<u64>,
    /// All of it, with what lies between.
    pub total: Option<u64>,
}

/// Everything that one attempt found out, beside the two tarballs.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Observations {
    /// The source, where it was found.
    pub source: Option<Source>,
    /// What the strict reader, the staged manifest and the source said.
    pub findings: Vec<Finding>,
    /// The plan that was run.
    pub plan: Option<Plan>,
    /// The other candidates, in order, with what each one gave.
    #[serde(default)]
    pub other_candidates: Vec<Candidate>,
    /// The second rebuild of the nearest candidate, where none gave the staged files.
    #[serde(default)]
    pub again: Option<Again>,
    /// What is known of the rebuild.
    pub rebuild: Option<Rebuild>,
    /// What the history says of the staged files, where they differ.
    #[serde(default)]
    pub history: Option<History>,
    /// Changes to the repository that take the causes of differences away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Mend>,
    /// What kept us from finding out.
    pub undetermined: Option<Finding>,
    /// How long each phase took.
    pub timings: Timings,
}

/// What is said about a subject, with its reasons.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Pass, fail or inconclusive.
    pub outcome: Outcome,
    /// Why it is a fail.
    pub class: Option<Class>,
    /// How equal the archives are; none where nothing was compared.
    pub level: Option<Level>,
    /// The reasons, most dangerous first.
    pub findings: Vec<Finding>,
}

/// The verdict on what was observed. `comparison` is the one that the caller made itself of both tarballs.
pub fn judge(seen: &Observations, comparison: Option<&Comparison>, policy: &Policy) -> Verdict {
    let mut findings: Vec<Finding> =
        seen.findings.iter().cloned().map(|f| policy.weigh(f)).collect();
    let before_rebuild =
        first_class(&findings).filter(|c| matches!(c, Class::Archive | Class::Source));
    if let Some(reason) = &seen.undetermined {
        findings.push(reason.clone());
        return verdict(Outcome::Inconclusive, None, None, findings);
    }
    if let Some(class) = before_rebuild {
        return verdict(Outcome::Fail, Some(class), None, findings);
    }
    let (Some(rebuild), Some(_), Some(_)) = (&seen.rebuild, &seen.source, &seen.plan) else {
        return judge_without_rebuild(seen, findings, policy);
    };
    let ending = match comparison {
        Some(comparison) if !is_match(comparison, policy) => rebuild.ending.unless_equal(),
        Some(_) | None => rebuild.ending.clone(),
    };
    let of_rebuild = findings::of_rebuild(rebuild, &ending);
    findings.extend(of_rebuild.into_iter().map(|f| policy.weigh(f)));
    if !ending.packed() {
        let class = first_class(&findings).or(Some(Class::NotRebuilt));
        return verdict(Outcome::Fail, class, comparison.map(|c| c.level), findings);
    }
    let Some(comparison) = comparison else {
        return lost("The rebuild packed a tarball, but it was not compared.", findings);
    };
    findings.extend(findings::of_comparison(comparison, seen));
    let level = Some(comparison.level);
    match first_class(&findings) {
        Some(class) => verdict(Outcome::Fail, Some(class), level, findings),
        None if is_match(comparison, policy) => verdict(Outcome::Pass, None, level, findings),
        None => verdict(Outcome::Fail, Some(Class::Differs), level, findings),
    }
}

/// Whether the staged files are the rebuilt ones, but for what the policy lets differ. A candidate that gives this ends the
/// search.
pub fn is_match(comparison: &Comparison, policy: &Policy) -> bool {
    match comparison.level {
        Level::IdenticalTarball | Level::IdenticalArchive | Level::IdenticalFiles => true,
        Level::Normalised => {
            let allowed = |name| policy.allow.contains(&name);
            let applied = &comparison.normalisations;
            !applied.is_empty()
                && comparison.unexcused() == 0
                && applied.iter().all(|applied| allowed(applied.name))
        }
        Level::Different => false,
    }
}

/// A rebuild that could not even begin for want of a plan is a fail; anything else that is missing is our own gap.
fn judge_without_rebuild(
    seen: &Observations,
    mut findings: Vec<Finding>,
    policy: &Policy,
) -> Verdict {
    if let (Some(rebuild), Some(_)) = (&seen.rebuild, &seen.source)
        && !rebuild.ending.packed()
    {
        let of_rebuild = findings::of_rebuild(rebuild, &rebuild.ending);
        findings.extend(of_rebuild.into_iter().map(|f| policy.weigh(f)));
        return verdict(
            Outcome::Fail,
            first_class(&findings).or(Some(Class::NotRebuilt)),
            None,
            findings,
        );
    }
    lost("The worker reported neither a rebuild nor what kept it from one.", findings)
}

fn lost(message: &str, mut findings: Vec<Finding>) -> Verdict {
    findings.push(Finding::new(Code::WorkerLost, message));
    verdict(Outcome::Inconclusive, None, None, findings)
}

fn verdict(
    outcome: Outcome,
    class: Option<Class>,
    level: Option<Level>,
    mut findings: Vec<Finding>,
) -> Verdict {
    findings.sort_by_key(findings::danger);
    Verdict { outcome, class, level, findings }
}

fn first_class(findings: &[Finding]) -> Option<Class> {
    findings.iter().filter_map(Finding::fail_class).min()
}
