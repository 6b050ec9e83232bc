//! The one sentence of a report, with the package in it (`ui.md`): what pages, command line and API show first. It says
//! what a verdict says and decides nothing.

use std::collections::BTreeSet;

use super::{Observations, Outcome, Verdict};
use crate::{
    artifact::{PackageName, Version},
    compare::{Comparison, Level},
    finding::{Class, Code, Severity},
};

/// The one sentence of a report.
pub fn sentence(
    name: &PackageName,
    version: &Version,
    seen: &Observations,
    verdict: &Verdict,
    comparison: Option<&Comparison>,
) -> String {
    let spec = format!("{name} {version}");
    match (verdict.outcome, verdict.class) {
        (Outcome::Pass, _) => pass_sentence(&spec, seen, verdict, comparison),
        (Outcome::Inconclusive, _) => {
            format!("We could not tell about {spec}: {}", reason_of(verdict))
        }
        (Outcome::Fail, Some(Class::Differs)) => match varying(seen) {
            0 => differs_sentence(&spec, verdict, comparison),
            count => format!(
                "{spec} does not match its source: its build is not deterministic, and two rebuilds differ from one \
                 another in {count} {}.",
                if count == 1 { "file" } else { "files" }
            ),
        },
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

/// The names of the normalisations that were applied, each once.
fn let_differ(comparison: Option<&Comparison>) -> String {
    let applied = comparison.map(|comparison| comparison.normalisations.as_slice());
    let names = applied.unwrap_or_default().iter().map(|applied| applied.name.as_str());
    names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

fn pass_sentence(
    spec: &str,
    seen: &Observations,
    verdict: &Verdict,
    comparison: Option<&Comparison>,
) -> String {
    let (commit, tag) =
        seen.source.as_ref().map_or(("", ""), |s| (s.short_commit(), s.tag.as_str()));
    let said = match verdict.level {
        Some(Level::IdenticalTarball) => {
            format!("{spec} is exactly what commit {commit} (tag {tag}) builds")
        }
        Some(Level::Normalised) => format!(
            "Every file of {spec} is what commit {commit} (tag {tag}) builds, but for what the policy lets differ ({})",
            let_differ(comparison)
        ),
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

/// In how many files two rebuilds differ.
fn varying(seen: &Observations) -> usize {
    seen.again.as_ref().map_or(0, |again| again.varying().len() + again.further)
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
