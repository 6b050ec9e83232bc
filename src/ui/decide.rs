//! The two dialogs: approve and reject. Each repeats what it is about, so that nobody decides about anything else, and
//! names the verdict that was shown. Whether it goes through is decided by the service.

use askama::{Template, filters::Safe};
use countersign_core::report::Report;

use super::{
    address,
    badge::Badge,
    escape::prose,
    shell::{Shell, Viewer},
    stage::{Approval, Stage, closed_words},
    symbol::Symbol,
    words,
};

/// What a decision is about, repeated in full.
pub(crate) struct Subject {
    badge: Badge,
    name: String,
    version: String,
    summary: Safe<String>,
    sha512: String,
    commit: String,
    tag: String,
    dist_tag: String,
    staged_by: String,
}

impl Subject {
    fn of(report: &Report, stage: &Stage) -> Self {
        let artifact = &report.artifact;
        let (commit, tag) = report
            .source
            .as_ref()
            .map_or_else(Default::default, |source| (source.commit.clone(), source.tag.clone()));
        Self {
            badge: Badge::of(report),
            name: artifact.name.clone(),
            version: artifact.version.clone(),
            summary: prose(&report.summary),
            sha512: artifact.sha512.to_hex(),
            commit,
            tag,
            dist_tag: artifact.dist_tag.clone().unwrap_or_default(),
            staged_by: words::actor(&stage.staged_by),
        }
    }
}

/// Why the form is not there.
pub(crate) struct Closed {
    badge: Badge,
    reason: Safe<String>,
    opens: Option<Safe<String>>,
}

/// The approve dialog.
#[derive(Template)]
#[template(path = "approve.html", config = "src/ui/askama.toml")]
pub(crate) struct ApprovePage {
    shell: Shell,
    subject: Subject,
    back: String,
    action: String,
    form_token: String,
    /// The verdict that is shown, when, and the seal over both.
    shown: [String; 3],
    unverified: bool,
    closed: Option<Closed>,
    refusal: Option<String>,
}

impl ApprovePage {
    /// The dialog for this report, with what is shown (verdict, time, seal), and why the last attempt was refused.
    pub(crate) fn new(
        viewer: Viewer,
        report: &Report,
        stage: &Stage,
        shown: [String; 3],
        refusal: Option<String>,
    ) -> Self {
        let form_token = viewer.form_token.clone();
        let spec = format!("{} {}", report.artifact.name, report.artifact.version);
        let (unverified, closed) = match &stage.approval {
            Approval::Open { unverified } => (*unverified, None),
            Approval::Closed { reason, opens, .. } => (
                false,
                Some(Closed {
                    badge: Badge::of(report),
                    reason: closed_words(report, reason),
                    opens: opens.as_deref().map(prose),
                }),
            ),
            Approval::Decided(decided) => {
                let badge = Badge::of_decision(decided.decision, decided.verified);
                let line =
                    format!("{} {} UTC by {}.", badge.word, words::clock(decided.at), decided.by);
                (false, Some(Closed { badge, reason: prose(&line), opens: None }))
            }
        };
        Self {
            shell: Shell::new(format!("Approve {spec}"), Some(viewer)),
            subject: Subject::of(report, stage),
            back: address::stage(&stage.id),
            action: address::of_stage(&stage.id, "approve"),
            form_token,
            shown,
            unverified,
            closed,
            refusal,
        }
    }
}

/// The reject dialog.
#[derive(Template)]
#[template(path = "reject.html", config = "src/ui/askama.toml")]
pub(crate) struct RejectPage {
    shell: Shell,
    subject: Subject,
    back: String,
    action: String,
    form_token: String,
    reason: String,
    decided: Option<Badge>,
    refusal: Option<String>,
}

impl RejectPage {
    /// The dialog for this report, with what was typed before and why it was refused.
    pub(crate) fn new(
        viewer: Viewer,
        report: &Report,
        stage: &Stage,
        reason: String,
        refusal: Option<String>,
    ) -> Self {
        let form_token = viewer.form_token.clone();
        let spec = format!("{} {}", report.artifact.name, report.artifact.version);
        let decided = match &stage.approval {
            Approval::Decided(decided) => {
                Some(Badge::of_decision(decided.decision, decided.verified))
            }
            Approval::Open { .. } | Approval::Closed { .. } => None,
        };
        Self {
            shell: Shell::new(format!("Reject {spec}"), Some(viewer)),
            subject: Subject::of(report, stage),
            back: address::stage(&stage.id),
            action: address::of_stage(&stage.id, "reject"),
            form_token,
            reason,
            decided,
            refusal,
        }
    }
}
