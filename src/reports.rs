//! Reports: the one document about a verification, assembled from the store for pages, API and npm alike. The sentence of
//! a verdict is the core's; the sentences of waiting stand here.

use std::collections::BTreeMap;

use countersign_core::{
    Timestamp,
    finding::Class,
    limits::ATTEMPTS_MAX,
    protocol::VerificationId,
    report::{ArtifactPart, Frame, Next, Report, State},
    verdict::Outcome,
};

use crate::{
    app::App,
    queue::expected_tag,
    store::{
        self, Connection,
        attempts::{self, AttemptRow},
        decisions::{self, DecisionRow, Kind},
        enrolments, leases,
        verifications::{self, Origin, Verification},
    },
};

/// The report on a verification as it stands; none where there is no such verification.
pub async fn report_of(
    app: &App,
    at: &mut Connection,
    id: VerificationId,
) -> store::Result<Option<Report>> {
    let Some(verification) = verifications::find(at, id).await? else { return Ok(None) };
    let decision = decisions::find(at, id).await?;
    let judged = match verification.verdict {
        Some(verdict) => attempts::find(at, verdict).await?,
        None => None,
    };
    Ok(Some(match judged {
        Some(attempt) => {
            let mut report = judged_report(app, &verification, &attempt);
            report.next = next_after_verdict(app, &verification, &attempt, decision.as_ref());
            report.links = links(app, &verification, Some(&attempt));
            if let Some(rebuild) = &mut report.rebuild {
                rebuild.log = report.links.get("log").cloned();
            }
            report
        }
        None => pending_report(app, at, &verification).await?,
    }))
}

/// The report on one attempt, whether or not it is the one that stands, without links and next steps: what is digested and
/// signed.
pub fn judged_report(app: &App, verification: &Verification, attempt: &AttemptRow) -> Report {
    let mut frame = frame(app, verification, attempt.attempts_so_far);
    frame.state = State::Final;
    frame.links = BTreeMap::new();
    Report::judged(frame, &attempt.judged)
}

fn frame(app: &App, verification: &Verification, attempts: u32) -> Frame {
    Frame {
        id: verification.id.to_string(),
        state: verification.state,
        next: nobody("Nothing."),
        links: links(app, verification, None),
        artifact: ArtifactPart::of(&verification.subject, verification.shasum, verification.bytes),
        enforcement: verification.enforcement,
        attempts,
    }
}

async fn pending_report(
    app: &App,
    at: &mut Connection,
    verification: &Verification,
) -> store::Result<Report> {
    let attempts = attempts::count(at, verification.id).await?;
    let mut frame = frame(app, verification, attempts);
    let spec = format!("{} {}", verification.subject.name, verification.subject.version);
    let summary = match verification.state {
        State::Queued => {
            frame.next = nobody("A worker takes it next.");
            format!("{spec} is staged and waits for a worker.")
        }
        State::Running => {
            frame.next = nobody("The verdict comes by itself.");
            let lease = leases::open_of(at, verification.id).await?;
            let doing = lease.and_then(|lease| lease.detail).filter(|detail| !detail.is_empty());
            match doing {
                Some(doing) => format!("{spec} is being rebuilt: {doing}"),
                None => format!("{spec} is being rebuilt."),
            }
        }
        State::WaitingForTag => {
            let enrolment = enrolments::current(at, &verification.subject.name).await?;
            let tag = enrolment.map(|e| expected_tag(verification, &e)).unwrap_or_default();
            frame.next = Next {
                who: "ci".to_owned(),
                what: format!("Push the tag {tag}."),
                command: Some(format!("git push origin {tag}")),
                url: None,
            };
            waiting_sentence(&spec, &tag, verification.tag_wait_until, app.now())
        }
        State::Retrying => {
            frame.next = nobody("We try again by ourselves.");
            let last = attempts::last_summary(at, verification.id).await?;
            retrying_sentence(&spec, last, verification, app.now())
        }
        State::Final | State::Cancelled => {
            frame.next = nobody("Nothing; stage again.");
            format!("The verification of {spec} was cancelled.")
        }
    };
    Ok(Report::pending(frame, summary))
}

fn waiting_sentence(spec: &str, tag: &str, until: Option<Timestamp>, now: Timestamp) -> String {
    let left = until.map_or(0, |until| until.millis_since(now).max(0)) as u64;
    let minutes = left.div_ceil(60_000);
    format!(
        "{spec} is staged; its tag {tag} is not there yet. Push it and we go on ({minutes} {} left).",
        if minutes == 1 { "minute" } else { "minutes" }
    )
}

fn retrying_sentence(
    spec: &str,
    last: Option<(Outcome, String)>,
    verification: &Verification,
    now: Timestamp,
) -> String {
    let because = last.map(|(_, summary)| summary);
    let prefix = format!("We could not tell about {spec}: ");
    let because = because.as_deref().map_or("the last attempt did not come to an end.", |text| {
        text.strip_prefix(&prefix).unwrap_or(text)
    });
    let seconds = verification
        .next_attempt_at
        .map_or(0, |at| at.millis_since(now).max(0) as u64)
        .div_ceil(1000);
    format!(
        "We could not tell yet about {spec}: {because} Trying again in {seconds} s ({} of {ATTEMPTS_MAX}).",
        verification.attempts + 1
    )
}

fn nobody(what: &str) -> Next {
    Next { who: "nobody".to_owned(), what: what.to_owned(), command: None, url: None }
}

fn next_after_verdict(
    app: &App,
    verification: &Verification,
    attempt: &AttemptRow,
    decision: Option<&DecisionRow>,
) -> Next {
    let page = Some(page(app, verification.id));
    if let Some(decision) = decision {
        return decided(decision);
    }
    let who = match verification.origin {
        Origin::Stage => "maintainer",
        Origin::Api => "ci",
    };
    let next = |what: String, command: Option<String>| Next {
        who: who.to_owned(),
        what,
        command,
        url: page.clone(),
    };
    let verdict = &attempt.judged.verdict;
    let fix = verdict.findings.first().and_then(|finding| finding.fix.clone());
    match (verdict.outcome, verdict.class, verification.origin) {
        (Outcome::Pass, _, Origin::Stage) => next(
            "Approve it with a one-time code, or reject it.".to_owned(),
            Some(format!("npm stage approve {}", verification.id)),
        ),
        (Outcome::Pass, _, Origin::Api) => nobody("The registry may release it."),
        (Outcome::Fail, Some(Class::Differs), Origin::Stage) => {
            let path = verdict.findings.first().and_then(|finding| finding.path.as_deref());
            let changed = path.unwrap_or("it");
            next(
                format!("Reject this stage, find out who changed {changed}, stage again."),
                Some(format!("npm stage reject {}", verification.id)),
            )
        }
        (Outcome::Fail, _, Origin::Stage) => {
            let fix = fix.unwrap_or_else(|| "See the findings.".to_owned());
            next(fix, None)
        }
        (Outcome::Fail, _, Origin::Api) => {
            next(fix.unwrap_or_else(|| "Do not release it.".to_owned()), None)
        }
        (Outcome::Inconclusive, _, Origin::Stage | Origin::Api) => {
            next("Ask for a rerun.".to_owned(), None)
        }
    }
}

fn decided(decision: &DecisionRow) -> Next {
    match (decision.kind, decision.released_at) {
        (Kind::Rejected, _) => nobody(&format!("Nothing: {} rejected it.", decision.by)),
        (Kind::Approved, Some(at)) if decision.unverified => {
            nobody(&format!("Nothing: {} released it unverified at {at}.", decision.by))
        }
        (Kind::Approved, Some(at)) => {
            nobody(&format!("Nothing: {} released it at {at}.", decision.by))
        }
        (Kind::Approved, None) => nobody("Its release is under way."),
    }
}

/// The page of a verification.
pub fn page(app: &App, id: VerificationId) -> String {
    format!("{}/stages/{id}", app.config.base_url())
}

fn links(
    app: &App,
    verification: &Verification,
    attempt: Option<&AttemptRow>,
) -> BTreeMap<String, String> {
    let base = app.config.base_url();
    let api = |rest: &str| format!("{base}/v1/verifications/{}{rest}", verification.id);
    let mut links = BTreeMap::from([
        ("self".to_owned(), api("")),
        ("page".to_owned(), page(app, verification.id)),
        ("events".to_owned(), api("/events")),
    ]);
    let Some(attempt) = attempt else { return links };
    links.insert("report".to_owned(), api("/report"));
    for (name, is_there) in [
        ("log", attempt.log_sha256.is_some()),
        ("attestation", attempt.envelope.is_some()),
        ("rebuilt", attempt.rebuilt_sha512.is_some()),
    ] {
        if is_there {
            let rest =
                if name == "rebuilt" { "/rebuilt.tgz".to_owned() } else { format!("/{name}") };
            links.insert(name.to_owned(), api(&rest));
        }
    }
    links
}
