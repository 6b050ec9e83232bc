//! The page of a package: its releases with their verdicts as a strip, and where its source is enrolled. It lays out what
//! the service says.

use askama::Template;
use countersign_core::{
    Timestamp,
    enrolment::{Enrolment, Mode},
};

use super::{
    address,
    badge::Badge,
    shell::{Shell, Viewer},
    words::{Moment, absolute},
};

/// One release or stage.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// The stage.
    pub(crate) id: String,
    /// The version.
    pub(crate) version: String,
    /// The badge of its verdict.
    pub(crate) verdict: Badge,
    /// The badge of what was decided.
    pub(crate) decision: Option<Badge>,
    /// When it was staged.
    pub(crate) staged_at: Timestamp,
    /// Who staged it.
    pub(crate) staged_by: String,
}

/// One row.
pub(crate) struct ReleaseRow {
    href: String,
    version: String,
    verdict: Badge,
    decision: Option<Badge>,
    staged: Moment,
    staged_by: String,
}

/// The page.
#[derive(Template)]
#[template(path = "package.html", config = "src/ui/askama.toml")]
pub(crate) struct PackagePage {
    shell: Shell,
    name: String,
    rows: Vec<ReleaseRow>,
    enrolment: Vec<(&'static str, String)>,
    maintainers: String,
}

impl PackagePage {
    /// The page, with releases newest first.
    pub(crate) fn new(
        viewer: Viewer,
        name: &str,
        releases: Vec<Release>,
        enrolment: Option<&Enrolment>,
        maintainers: &[String],
        now: Timestamp,
    ) -> Self {
        let rows = releases
            .into_iter()
            .map(|one| ReleaseRow {
                href: address::stage(&one.id),
                version: one.version,
                verdict: one.verdict,
                decision: one.decision,
                staged: Moment::new(one.staged_at, now),
                staged_by: one.staged_by,
            })
            .collect();
        Self {
            shell: Shell::new(name, Some(viewer)),
            name: name.to_owned(),
            rows,
            enrolment: enrolment.map(facts).unwrap_or_default(),
            maintainers: maintainers.join(", "),
        }
    }
}

fn facts(enrolment: &Enrolment) -> Vec<(&'static str, String)> {
    let folder = if enrolment.directory.is_root() {
        "the root".to_owned()
    } else {
        enrolment.directory.to_string()
    };
    let mode = match enrolment.mode {
        Mode::Enforce => "enforce: nothing but a pass opens the gate",
        Mode::Observe => "observe: releases without a pass, shown as released unverified",
    };
    let policy = &enrolment.policy;
    let mut facts = vec![
        ("Repository", enrolment.repository.to_string()),
        ("Folder", folder),
        ("Tags", enrolment.tag_pattern.to_string()),
        ("Branches", enrolment.branches.join(", ")),
        ("Mode", mode.to_owned()),
        ("Waits for a tag", format!("{} minutes", policy.tag_wait_minutes)),
    ];
    if !policy.fail_on.is_empty() {
        let codes: Vec<&str> = policy.fail_on.iter().map(|code| code.as_str()).collect();
        facts.push(("Fails also on", codes.join(", ")));
    }
    if !enrolment.plan.is_empty() {
        facts.push(("Plan, by hand", enrolment.plan.in_words().join("; ")));
    }
    facts.push(("Revision", enrolment.revision.to_string()));
    let confirmed = format!("{}, {}", enrolment.confirmed_by, absolute(enrolment.confirmed_at));
    facts.push(("Confirmed by", confirmed));
    facts
}
