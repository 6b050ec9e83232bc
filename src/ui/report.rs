//! The report page: the answer first, the reason next, the proof on demand. It lays out a report and what the service
//! says of its stage, in the order of `ui.md`, and decides nothing.

use askama::{Template, filters::Safe};
use countersign_core::{
    Timestamp,
    artifact::Access,
    finding::Finding,
    gate::Decision,
    report::{Enforcement, Report, State},
    verdict::Outcome,
};

use super::{
    address,
    badge::Badge,
    diff::{DiffView, RowKind},
    escape::{prose, visible},
    files::{Files, Filter},
    log::LogLine,
    progress::{Progress, ProgressRow},
    shell::{Shell, Viewer},
    stage::{Approval, Decided, Stage, closed_words},
    way::Way,
    words::{self, Moment},
};

/// Findings that are shown at once; the rest is one click away.
const FINDINGS_SHOWN_MAX: usize = 20;
/// A page without scripts looks again after so many seconds while something is under way.
const REFRESH_SECONDS: u32 = 5;

/// What the service adds to a report: parts that are read from the stored archives and the log.
#[derive(Default)]
pub(crate) struct Extracts {
    /// The differences of the most dangerous files, by path.
    pub(crate) diffs: Vec<DiffView>,
    /// The end of the log of a build that did not run to an end.
    pub(crate) log_tail: Option<LogTail>,
    /// What the running attempt is doing.
    pub(crate) progress: Progress,
    /// The number of the last event that is on the page.
    pub(crate) seen: i64,
}

/// The last lines of a log.
pub(crate) struct LogTail {
    /// The lines.
    pub(crate) lines: Vec<LogLine>,
}

/// A likely cause, and what speaks for it.
pub(crate) struct Cause {
    word: &'static str,
    because: Safe<String>,
}

/// One finding.
pub(crate) struct FindingView {
    badge: Badge,
    message: Safe<String>,
    /// Why the file likely differs.
    cause: Option<Cause>,
    fix: Safe<String>,
    code: &'static str,
    meaning: &'static str,
    /// The page of the file that it is about.
    file_href: Option<String>,
    diff: Option<DiffView>,
}

/// A fact beside what to do.
pub(crate) struct Fact {
    name: &'static str,
    value: String,
    title: String,
    /// What the copy button copies, where the value is only its start.
    whole: Option<String>,
}

/// The page.
#[derive(Template)]
#[template(path = "report.html", config = "src/ui/askama.toml")]
pub(crate) struct ReportPage {
    shell: Shell,
    name: String,
    version: String,
    package_href: String,
    badge: Badge,
    sentence: Safe<String>,
    aside: String,
    action: Action,
    next: Safe<String>,
    command: Option<String>,
    facts: Vec<Fact>,
    progress: Option<ProgressRow>,
    events_href: Option<String>,
    findings: Vec<FindingView>,
    further: Vec<FindingView>,
    log_tail: Option<LogTail>,
    log_href: Option<String>,
    way: Option<Way>,
    files: Option<Files>,
}

/// What the page offers to do.
pub(crate) enum Action {
    /// Approve or reject.
    Approve { approve: String, reject: String, unverified: bool },
    /// Approving is closed.
    Closed {
        badge: Badge,
        reason: Safe<String>,
        opens: Option<Safe<String>>,
        reject: Option<String>,
    },
    /// It was decided.
    Decided { badge: Badge, line: String, at: Moment, reason: Option<String>, undo: Option<String> },
}

impl ReportPage {
    /// The page for this report as the viewer sees it now.
    pub(crate) fn new(
        viewer: Viewer,
        report: &Report,
        stage: &Stage,
        extracts: Extracts,
        filter: Filter,
        now: Timestamp,
    ) -> Self {
        let badge = plate_badge(report, stage);
        let spec = format!("{} {}", report.artifact.name, report.artifact.version);
        let mut shell =
            Shell::new(format!("{} {spec}: {}", badge.mark(), badge.word), Some(viewer));
        let pending = !report.state.is_final() || releasing(stage);
        shell.refresh_seconds = pending.then_some(REFRESH_SECONDS);
        let mut diffs = extracts.diffs;
        let mut findings: Vec<FindingView> = report
            .findings
            .iter()
            .map(|f| FindingView::of(&stage.id, f, report, &mut diffs))
            .collect();
        let further = findings.split_off(findings.len().min(FINDINGS_SHOWN_MAX));
        Self {
            shell,
            name: report.artifact.name.clone(),
            version: report.artifact.version.clone(),
            package_href: address::package(&report.artifact.name),
            badge,
            sentence: if is_unverified(stage) {
                Safe(format!("{} was released unverified.", visible(&spec)))
            } else {
                emphasised(&report.summary)
            },
            aside: if is_unverified(stage) { report.summary.clone() } else { aside(report) },
            action: Action::of(report, stage, now),
            next: prose(&report.next.what),
            command: report.next.command.clone(),
            facts: facts(report, stage, now),
            progress: ProgressRow::of(report.state, &extracts.progress, now),
            events_href: pending.then(|| {
                format!("{}?after={}", address::of_stage(&stage.id, "events"), extracts.seen)
            }),
            findings,
            further,
            log_tail: extracts.log_tail,
            log_href: report
                .rebuild
                .as_ref()
                .and_then(|rebuild| rebuild.log.as_ref())
                .map(|_| address::of_stage(&stage.id, "log")),
            way: Way::of(report),
            files: report.comparison.as_ref().map(|c| Files::of(&stage.id, c, filter)),
        }
    }
}

/// The verdict's badge, but for a release without a pass: that is never shown as anything else.
fn plate_badge(report: &Report, stage: &Stage) -> Badge {
    if is_unverified(stage) {
        Badge::of_decision(Decision::Released, false)
    } else {
        Badge::of(report)
    }
}

/// Whether it was released without a pass.
fn is_unverified(stage: &Stage) -> bool {
    match &stage.approval {
        Approval::Decided(decided) => decided.decision == Decision::Released && !decided.verified,
        Approval::Open { .. } | Approval::Closed { .. } => false,
    }
}

fn releasing(stage: &Stage) -> bool {
    match &stage.approval {
        Approval::Decided(decided) => decided.decision == Decision::Approved,
        Approval::Open { .. } | Approval::Closed { .. } => false,
    }
}

/// The sentence, with the word that decides it set off.
fn emphasised(summary: &str) -> Safe<String> {
    match summary.split_once(" does not match ") {
        Some((before, after)) => {
            Safe(format!("{} does <strong>not</strong> match {}", visible(before), visible(after)))
        }
        None => prose(summary),
    }
}

/// What stands under the sentence, so that nobody takes it for more than it says.
fn aside(report: &Report) -> String {
    if report.state != State::Final {
        return String::new();
    }
    let mut sentences = Vec::new();
    if report.verdict == Some(Outcome::Pass) {
        sentences.push(
            "A pass says where these bytes come from. It does not say that the commit is honest.",
        );
    }
    if report.enforcement == Enforcement::Advisory {
        sentences.push("Advisory: maintainers can approve at the registry without us.");
    }
    sentences.join(" ")
}

impl Action {
    fn of(report: &Report, stage: &Stage, now: Timestamp) -> Self {
        let reject = address::of_stage(&stage.id, "reject");
        match &stage.approval {
            Approval::Open { unverified } => Self::Approve {
                approve: address::of_stage(&stage.id, "approve"),
                reject,
                unverified: *unverified,
            },
            Approval::Closed { reason, opens, reject: can_reject } => Self::Closed {
                badge: Badge::of(report),
                reason: closed_words(report, reason),
                opens: opens.as_deref().map(prose),
                reject: can_reject.then_some(reject),
            },
            Approval::Decided(decided) => Self::decided(report, decided, now),
        }
    }

    fn decided(report: &Report, decided: &Decided, now: Timestamp) -> Self {
        let badge = Badge::of_decision(decided.decision, decided.verified);
        let time = words::clock(decided.at);
        let by = &decided.by;
        let (line, undo) = match decided.decision {
            Decision::Released => (
                format!("{} {time} UTC by {by}.", badge.word),
                Some(format!(
                    "npm deprecate {}@{} \"reason\"",
                    report.artifact.name, report.artifact.version
                )),
            ),
            Decision::Approved => (format!("Approved {time} UTC by {by}; it is going live."), None),
            Decision::Rejected => (format!("Rejected {time} UTC by {by}."), None),
        };
        let at = Moment::new(decided.at, now);
        Self::Decided { badge, line, at, reason: decided.reason.clone(), undo }
    }
}

fn facts(report: &Report, stage: &Stage, now: Timestamp) -> Vec<Fact> {
    let plain = |name, value: String| Fact { name, value, title: String::new(), whole: None };
    let artifact = &report.artifact;
    let staged = Moment::new(stage.staged_at, now);
    let mut facts = vec![
        plain("Staged by", words::actor(&stage.staged_by)),
        plain("With", stage.staged_with.clone()),
        Fact { name: "Staged", value: staged.relative, title: staged.absolute, whole: None },
    ];
    let digest = artifact.sha512.to_hex();
    facts.push(Fact {
        name: "SHA-512",
        value: words::short(&digest).to_owned(),
        title: String::new(),
        whole: Some(digest),
    });
    facts.extend(artifact.bytes.map(|bytes| plain("Size", words::bytes(bytes))));
    facts.extend(artifact.dist_tag.clone().map(|tag| plain("Dist-tag", tag)));
    facts.extend(artifact.access.map(|access| {
        plain(
            "Access",
            match access {
                Access::Public => "public",
                Access::Restricted => "restricted",
            }
            .to_owned(),
        )
    }));
    facts.push(plain("Registry", artifact.registry.clone()));
    facts.push(plain(
        "Gate",
        match report.enforcement {
            Enforcement::Enforced => "enforced here",
            Enforcement::Advisory => "advisory",
        }
        .to_owned(),
    ));
    facts.push(Fact {
        name: "Stage",
        value: words::short(&stage.id).to_owned(),
        title: String::new(),
        whole: Some(stage.id.clone()),
    });
    facts
}

impl FindingView {
    fn of(id: &str, finding: &Finding, report: &Report, diffs: &mut Vec<DiffView>) -> Self {
        let files = report.comparison.iter().flat_map(|comparison| &comparison.files);
        let file = files.into_iter().find(|file| Some(&file.path) == finding.path.as_ref());
        let at = diffs.iter().position(|diff| Some(&diff.path) == finding.path.as_ref());
        Self {
            badge: Badge::of_finding(finding),
            message: prose(&finding.message),
            cause: file.and_then(|file| {
                let because = file.because.as_deref().unwrap_or_default();
                file.cause.map(|cause| Cause { word: cause.as_str(), because: prose(because) })
            }),
            fix: prose(finding.fix.as_deref().unwrap_or_default()),
            code: finding.code.as_str(),
            meaning: finding.code.meaning(),
            file_href: finding.path.as_ref().map(|path| address::file(id, path)),
            diff: at.map(|index| diffs.swap_remove(index)),
        }
    }
}
