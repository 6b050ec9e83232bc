//! The end of an attempt: its verdict is written and signed, and the verification is final or tried again. One
//! transaction holds the attempt, the envelope, the state and the event, or none of them.

use countersign_core::{
    Sha256, Sha512, Timestamp, attestation,
    enrolment::Enrolment,
    finding::{Code, Finding},
    limits::{ATTEMPTS_MAX, RETRY_FIRST_SECONDS, RETRY_HOURS_MAX},
    policy::Policy,
    protocol::{Judged, VerdictId},
    report::{Report, State},
    source::{FirstSight, Trust},
    verdict::{Observations, Outcome, judge},
};
use serde_json::json;
use uuid::Uuid;

use super::{about, doubled};
use crate::{
    app::App,
    reports,
    store::{
        self, Writer,
        attempts::{self, AttemptRow},
        events::{self, EventKind},
        tag_sights,
        verifications::{self, Verification},
    },
};

/// The pause between attempts never exceeds this; 24 h would be over before.
const RETRY_PAUSE_SECONDS_MAX: u64 = 60 * 60;

/// What an attempt came to.
pub(crate) struct Conclusion {
    /// What was found out and judged.
    pub(crate) judged: Judged,
    /// The enrolment that it was judged under.
    pub(crate) enrolment: Option<Enrolment>,
    /// The worker's version.
    pub(crate) worker_version: Option<String>,
    /// The rebuilt tarball.
    pub(crate) rebuilt_sha512: Option<Sha512>,
    /// The log.
    pub(crate) log_sha256: Option<Sha256>,
    /// Who reported it.
    pub(crate) actor: String,
}

impl Conclusion {
    /// What no worker had to find out.
    pub(crate) fn without_worker(seen: Observations, enrolment: Option<&Enrolment>) -> Self {
        let policy = enrolment.map(|enrolment| enrolment.policy.clone()).unwrap_or_default();
        let verdict = judge(&seen, None, &policy);
        Self {
            judged: Judged { observations: seen, comparison: None, verdict },
            enrolment: enrolment.cloned(),
            worker_version: None,
            rebuilt_sha512: None,
            log_sha256: None,
            actor: "countersign".to_owned(),
        }
    }

    /// What kept us from finding out.
    pub(super) fn undetermined(reason: Finding, enrolment: Option<&Enrolment>) -> Self {
        let seen = Observations { undetermined: Some(reason), ..Observations::default() };
        Self::without_worker(seen, enrolment)
    }
}

/// Writes the end of an attempt. An inconclusive one is tried again while attempts and time last.
pub(crate) async fn conclude(
    app: &App,
    writer: &mut Writer,
    verification: &mut Verification,
    conclusion: Conclusion,
    now: Timestamp,
) -> store::Result<()> {
    see_tag(writer, verification, &conclusion, now).await?;
    let attempt = attempts::count(writer, verification.id).await? + 1;
    verification.attempts += 1;
    let outcome = conclusion.judged.verdict.outcome;
    let again = outcome == Outcome::Inconclusive && may_retry(verification, now);
    let row = attempt_row(app, verification, conclusion, attempt, now);
    attempts::insert(writer, &row).await?;

    let kind = if again {
        let pause =
            doubled(RETRY_FIRST_SECONDS, verification.attempts - 1, RETRY_PAUSE_SECONDS_MAX);
        verification.state = State::Retrying;
        verification.next_attempt_at = Some(now.plus_seconds(pause));
        verification.verdict = None;
        EventKind::Retrying
    } else {
        verification.state = State::Final;
        verification.next_attempt_at = None;
        verification.verdict = Some(row.id);
        EventKind::Judged
    };
    verifications::update(writer, verification).await?;
    let data = json!({
        "verdict": row.id, "outcome": outcome, "class": row.judged.verdict.class, "level": row.judged.verdict.level,
        "summary": row.summary, "attempt": attempt, "state": verification.state,
        "next_attempt_at": verification.next_attempt_at,
    });
    events::append(writer, &about(verification, kind, &row_actor(&row), now, data)).await?;
    Ok(())
}

/// A package whose enrolment is gone: judged without a worker.
pub(super) async fn not_enrolled(
    app: &App,
    writer: &mut Writer,
    verification: &mut Verification,
    now: Timestamp,
) -> store::Result<()> {
    let name = &verification.subject.name;
    let message = format!("Nobody has confirmed where the source of `{name}` is.");
    let fix = format!("countersign package enrol {name} --by MAINTAINER --repo URL");
    let finding = Finding::new(Code::PackageNotEnrolled, message).with_fix(fix);
    let seen = Observations { findings: vec![finding], ..Observations::default() };
    conclude(app, writer, verification, Conclusion::without_worker(seen, None), now).await
}

fn may_retry(verification: &Verification, now: Timestamp) -> bool {
    let hours = i64::try_from(RETRY_HOURS_MAX).unwrap_or(i64::MAX);
    verification.attempts < ATTEMPTS_MAX
        && now < verification.round_started_at.plus_seconds(hours * 3600)
}

fn attempt_row(
    app: &App,
    verification: &Verification,
    conclusion: Conclusion,
    attempt: u32,
    now: Timestamp,
) -> AttemptRow {
    let policy: Policy =
        conclusion.enrolment.as_ref().map(|e| e.policy.clone()).unwrap_or_default();
    let mut row = AttemptRow {
        id: VerdictId(Uuid::now_v7()),
        verification: verification.id,
        attempt,
        summary: String::new(),
        judged: conclusion.judged,
        subject: verification.subject.clone(),
        enrolment_revision: conclusion.enrolment.map(|enrolment| enrolment.revision),
        policy_sha256: policy.digest(),
        attempts_so_far: attempt,
        worker_version: conclusion.worker_version,
        rebuilt_sha512: conclusion.rebuilt_sha512,
        log_sha256: conclusion.log_sha256,
        envelope: None,
        judged_at: now,
        revoked_at: None,
    };
    let report: Report = reports::judged_report(app, verification, &row);
    row.summary.clone_from(&report.summary);
    // Only what a maintainer's enrolment vouches for is signed.
    if row.enrolment_revision.is_some() {
        row.envelope = attestation::statement(&row.subject, &report, now)
            .map(|statement| app.signer.seal(&statement));
    }
    row
}

fn row_actor(row: &AttemptRow) -> String {
    match &row.worker_version {
        Some(version) => format!("worker {version}"),
        None => "countersign".to_owned(),
    }
}

/// The first sight of a tag is written down with the first verdict that names its commit.
async fn see_tag(
    writer: &mut Writer,
    verification: &Verification,
    conclusion: &Conclusion,
    now: Timestamp,
) -> store::Result<()> {
    let (Some(source), Some(enrolment)) =
        (&conclusion.judged.observations.source, &conclusion.enrolment)
    else {
        return Ok(());
    };
    if source.trust != Trust::Enrolled {
        return Ok(());
    }
    let sight = FirstSight { commit: source.commit.clone(), at: now };
    let name = &verification.subject.name;
    if tag_sights::record(writer, name, &enrolment.repository, &source.tag, &sight).await? {
        let data = json!({ "tag": source.tag, "commit": source.commit });
        let event = about(verification, EventKind::TagSeen, &conclusion.actor, now, data);
        events::append(writer, &event).await?;
    }
    Ok(())
}
