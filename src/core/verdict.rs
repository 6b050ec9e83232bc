//! The verdict: what was observed, held against the rules. `judge` is pure and total, and both the worker and the service
//! call it: a report whose verdict the service does not reach by itself is refused. It fails closed: nothing but a
//! whole chain from source to equal files is a pass.

use serde::{Deserialize, Serialize};

use crate::{
    artifact::{PackageName, Version},
    compare::{Comparison, FileComparison, Level, Status},
    finding::{Class, Code, Finding, Kind, Severity},
    plan::Plan,
    policy::Policy,
    rebuild::Rebuild,
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
    /// The other candidates, in order.
    pub other_candidates: Vec<Plan>,
    /// What is known of the rebuild.
    pub rebuild: Option<Rebuild>,
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
    findings.extend(rebuild_findings(rebuild).into_iter().map(|f| policy.weigh(f)));
    if !rebuild.ending.packed() {
        return verdict(
            Outcome::Fail,
            first_class(&findings).or(Some(Class::NotRebuilt)),
            None,
            findings,
        );
    }
    let Some(comparison) = comparison else {
        return lost("The rebuild packed a tarball, but it was not compared.", findings);
    };
    findings.extend(comparison.files.iter().filter_map(file_finding));
    match (comparison.level, first_class(&findings)) {
        (level, Some(class)) => verdict(Outcome::Fail, Some(class), Some(level), findings),
        (Level::Different | Level::Normalised, None) => {
            verdict(Outcome::Fail, Some(Class::Differs), Some(comparison.level), findings)
        }
        (
            level @ (Level::IdenticalTarball | Level::IdenticalArchive | Level::IdenticalFiles),
            None,
        ) => verdict(Outcome::Pass, None, Some(level), findings),
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
        findings.extend(rebuild_findings(rebuild).into_iter().map(|f| policy.weigh(f)));
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
    findings.sort_by_key(danger);
    Verdict { outcome, class, level, findings }
}

fn first_class(findings: &[Finding]) -> Option<Class> {
    findings.iter().filter_map(Finding::fail_class).min()
}

/// The findings that a rebuild is by itself.
pub fn rebuild_findings(rebuild: &Rebuild) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rebuild.ending.finding().into_iter().collect();
    if !rebuild.dependencies_pinned {
        let installed = rebuild.dependencies.len();
        let message = format!(
            "There is no complete lockfile: {installed} {} resolved as of the release's time.",
            if installed == 1 { "dependency was" } else { "dependencies were" }
        );
        findings.push(Finding::new(Code::DependenciesUnpinned, message));
    }
    if rebuild.cutoff_unreliable {
        let message = "The registry's publication times contradict the commit's time, so unlocked dependencies may be \
                       newer than the release.";
        findings.push(Finding::new(Code::CutoffUnreliable, message));
    }
    findings
}

fn file_finding(file: &FileComparison) -> Option<Finding> {
    let path = &file.path;
    let (code, message) = match file.status {
        Status::Same => return None,
        Status::Added => (
            Code::FileAdded,
            format!("`{path}` is in the staged tarball, and the rebuild does not make it."),
        ),
        Status::Missing => (
            Code::FileMissing,
            format!("`{path}` is made by the rebuild, and the staged tarball lacks it."),
        ),
        Status::Changed => {
            (Code::FileChanged, format!("`{path}` has other contents than the rebuilt file."))
        }
        Status::ModeChanged => (
            Code::ExecutableBitChanged,
            format!(
                "`{path}` {} in the staged tarball, {} in the rebuilt one.",
                may_run(file.staged.as_ref().is_some_and(|r| r.executable)),
                may_run(file.rebuilt.as_ref().is_some_and(|r| r.executable)),
            ),
        ),
    };
    Some(Finding::new(code, message).at(path.clone()))
}

fn may_run(executable: bool) -> &'static str {
    if executable { "may be executed" } else { "may not be executed" }
}

/// Sort key, most dangerous first: what closes the gate before what warns; code that only the tarball has, changed
/// code, package.json, the rest; then by path.
fn danger(finding: &Finding) -> (Severity, u8, u8, String) {
    let undetermined = matches!(finding.code.kind(), Kind::Undetermined);
    let weight = if undetermined { Severity::Fail } else { finding.severity };
    let by_code = match finding.code {
        Code::FileAdded => 1,
        Code::FileChanged => 2,
        Code::ExecutableBitChanged => 3,
        Code::FileMissing => 4,
        other => {
            if matches!(other.kind(), Kind::Fail(Class::Differs)) {
                5
            } else {
                0
            }
        }
    };
    let path = finding.path.clone().unwrap_or_default();
    (weight, by_code, kind_of_file(&path), path)
}

fn kind_of_file(path: &str) -> u8 {
    const CODE: [&str; 12] =
        ["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "node", "wasm", "sh", "gyp"];
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match path {
        "package.json" => 1,
        _ if CODE.contains(&extension) && !path.ends_with(".d.ts") => 0,
        _ => 2,
    }
}

/// The one sentence of a report, with the package in it (`ui.md`): what pages, command line and API show first.
pub fn sentence(
    name: &PackageName,
    version: &Version,
    seen: &Observations,
    verdict: &Verdict,
    comparison: Option<&Comparison>,
) -> String {
    let spec = format!("{name} {version}");
    match (verdict.outcome, verdict.class) {
        (Outcome::Pass, _) => pass_sentence(&spec, seen, verdict),
        (Outcome::Inconclusive, _) => {
            format!("We could not tell about {spec}: {}", reason_of(verdict))
        }
        (Outcome::Fail, Some(Class::Differs)) => differs_sentence(&spec, verdict, comparison),
        (Outcome::Fail, Some(Class::NotRebuilt)) => {
            format!(
                "We could not rebuild {spec}: {} This says nothing about its contents.",
                reason_of(verdict)
            )
        }
        (Outcome::Fail, Some(Class::Archive)) => {
            format!("{spec} is a malformed tarball: {}", reason_of(verdict))
        }
        (Outcome::Fail, Some(Class::Source) | None) => {
            format!("The source of {spec} is not to be believed: {}", reason_of(verdict))
        }
    }
}

fn pass_sentence(spec: &str, seen: &Observations, verdict: &Verdict) -> String {
    let (commit, tag) =
        seen.source.as_ref().map_or(("", ""), |s| (s.short_commit(), s.tag.as_str()));
    let said = match verdict.level {
        Some(Level::IdenticalTarball) => {
            format!("{spec} is exactly what commit {commit} (tag {tag}) builds")
        }
        _ => format!("Every file of {spec} is what commit {commit} (tag {tag}) builds"),
    };
    let exceptions: Vec<&str> = verdict
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Warning)
        .map(|f| match f.code {
            Code::DependenciesUnpinned => "with dependencies that no lockfile pins",
            Code::BuildExitedNonzero => "though its build ended with an error",
            Code::CutoffUnreliable => "with dependencies that may be newer than the release",
            other => other.as_str(),
        })
        .collect();
    if exceptions.is_empty() {
        format!("{said}.")
    } else {
        format!("{said}, {}.", exceptions.join(", "))
    }
}

fn differs_sentence(spec: &str, verdict: &Verdict, comparison: Option<&Comparison>) -> String {
    let Some(counts) = comparison.map(|c| &c.counts) else {
        return format!("{spec} does not match its source: {}", reason_of(verdict));
    };
    let parts: Vec<(usize, &str)> = [
        (counts.changed, "changed"),
        (counts.added, "added"),
        (counts.missing, "missing"),
        (counts.mode_changed, "with another executable bit"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .collect();
    let Some(((first_count, first_word), rest)) = parts.split_first() else {
        return format!("{spec} does not match its source: {}", reason_of(verdict));
    };
    let (noun, were) = if *first_count == 1 { ("file", "was") } else { ("files", "were") };
    let verb = if matches!(*first_word, "changed" | "added") {
        format!(" {were}")
    } else {
        format!(" {}", if *first_count == 1 { "is" } else { "are" })
    };
    let mut text =
        format!("{spec} does not match its source: {first_count} {noun}{verb} {first_word}");
    for (index, (count, word)) in rest.iter().enumerate() {
        text.push_str(if index + 1 == rest.len() { " and " } else { ", " });
        text.push_str(&format!("{count} {word}"));
    }
    text.push('.');
    text
}

fn reason_of(verdict: &Verdict) -> &str {
    verdict.findings.first().map_or("no reason was recorded.", |f| f.message.as_str())
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
