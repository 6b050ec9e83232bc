//! `countersign check --replay REPORT`: the rebuild of a report done again, by the plan and with the dependencies that stand in it, so that
//! anybody can find out whether a verdict can be had once more. It says in what the two reports differ, and decides nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use countersign_core::{
    compare::FileComparison,
    normalisation::Normalisation,
    report::{Report, SCHEMA, SourcePart},
    source::FirstSight,
};
use countersign_worker::job::Replay;

use super::Fetched;
use crate::cli::render::{visible, word_of};

/// A report whose rebuild is done again.
pub(super) struct Recording {
    path: PathBuf,
    pub(super) report: Report,
    pub(super) replay: Replay,
}

/// Reads a report.
///
/// # Errors
/// What is no report, or has no whole plan in it.
pub(super) fn read(path: &Path) -> anyhow::Result<Recording> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("`{shown}` cannot be read"))?;
    let report: Report = serde_json::from_slice(&bytes)
        .with_context(|| format!("`{shown}` is no report of `countersign check --json`"))?;
    if report.schema != SCHEMA {
        bail!(
            "`{shown}` is a report of the form `{}`, and this program reads {SCHEMA}",
            report.schema
        );
    }
    let Some(part) = &report.plan else {
        bail!(
            "`{shown}` holds no plan: it ended before anything was rebuilt, so there is nothing to do again"
        );
    };
    let Some(plan) = report.followed_plan() else {
        bail!(
            "the plan in `{shown}` is not the one that its digest {} names: the file was changed",
            part.digest
        );
    };
    let resolved = report.dependencies.as_ref().map(|part| part.resolved.clone());
    let replay = Replay { plan, dependencies: resolved.unwrap_or_default() };
    Ok(Recording { path: path.to_owned(), report, replay })
}

impl Recording {
    /// What the report is about, as it is asked of the registry.
    pub(super) fn subject(&self) -> String {
        format!("{}@{}", self.report.artifact.name, self.report.artifact.version)
    }

    /// The source that was found. A report with a plan has one.
    pub(super) fn source(&self) -> anyhow::Result<&SourcePart> {
        self.report.source.as_ref().context("the report names no source")
    }

    /// The commit that was rebuilt, so that a tag that was moved since is noticed.
    pub(super) fn first_sight(&self) -> anyhow::Result<FirstSight> {
        let commit = self.source()?.commit.clone();
        Ok(FirstSight { commit, at: self.replay.plan.cutoff })
    }

    /// The normalisations that the report says were needed.
    pub(super) fn allowed(&self) -> Vec<Normalisation> {
        let comparison = self.report.comparison.as_ref();
        comparison.into_iter().flat_map(|part| &part.normalisations).map(|one| one.name).collect()
    }

    /// # Errors
    /// Where the bytes are others than those that the report is about.
    pub(super) fn is_about(&self, fetched: &Fetched) -> anyhow::Result<()> {
        let (recorded, had) = (self.report.artifact.sha512, fetched.subject.sha512);
        if recorded != had {
            bail!(
                "`{}` is about other bytes: sha512 {recorded}, and these have {had}; give the tarball that it is about",
                self.path.display()
            );
        }
        Ok(())
    }

    /// In what the new report differs from the recorded one, as a line for people.
    pub(super) fn compared_with(&self, new: &Report) -> String {
        let old = &self.report;
        let mut differ = Vec::new();
        let mut hold = |what: &str, old: String, new: String| {
            if old != new {
                differ.push(format!("{what} {} now, {} recorded", or_none(&new), or_none(&old)));
            }
        };
        hold("verdict", word_of(&old.verdict), word_of(&new.verdict));
        hold("level", word_of(&old.level), word_of(&new.level));
        hold("reasons", codes(old), codes(new));
        let (recorded, had) = (files(old), files(new));
        if recorded != had {
            let paths = had.iter().filter(|file| !recorded.contains(file)).map(|file| file.0);
            let paths: Vec<&str> = paths.take(5).collect();
            differ.push(format!("other files came out: {}", or_none(&paths.join(", "))));
        }
        let name = self.path.display();
        visible(&if differ.is_empty() {
            format!("replay: the same as {name}, file by file")
        } else {
            format!("replay: not the same as {name}: {}", differ.join("; "))
        })
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn codes(report: &Report) -> String {
    let codes: Vec<String> = report.findings.iter().map(|found| found.code.to_string()).collect();
    codes.join(", ")
}

/// Each file with what both archives have of it: of the cause nothing follows.
fn files(report: &Report) -> Vec<(&str, FileComparison)> {
    let files = report.comparison.iter().flat_map(|part| &part.files);
    files
        .map(|file| {
            let plain = FileComparison { cause: None, because: None, ..file.clone() };
            (file.path.as_str(), plain)
        })
        .collect()
}
