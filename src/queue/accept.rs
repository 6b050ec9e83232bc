//! Taking a worker's report: the service reads both archives itself, compares and judges again, and takes the report only
//! where it comes to the same. A report under a dead lease changes nothing.

use bytes::Bytes;
use countersign_core::{
    archive,
    compare::Comparison,
    enrolment::Enrolment,
    finding::{Class, Code, Finding},
    limits::{TAG_LOOK_FIRST_SECONDS, TAG_LOOK_SECONDS_MAX, TAG_WAIT_MINUTES_MAX},
    policy::Policy,
    protocol::{Attempt, Judged, LeaseId, WorkerReport},
    report::State,
    source::{Reference, SourceRequest, Trust},
    verdict::{Observations, Outcome, examine, judge},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Conclusion, QueueError, about, conclude, doubled, expected_tag, lease::live, source_request,
};
use crate::{
    app::App,
    store::{
        self, Writer, enrolments,
        events::{self, EventKind},
        leases::{self, LeaseEnding, LeaseRow},
        verifications::{self, Verification},
    },
};

/// Takes a report.
///
/// # Errors
/// [`QueueError::LeaseDead`] where the lease may not be used any more, and nothing is changed; and
/// [`QueueError::Disagrees`] where the service comes to another result: the lease is ended, and the job goes to another
/// worker.
pub async fn report(
    app: &App,
    token: Uuid,
    lease: &LeaseId,
    handed_in: WorkerReport,
) -> Result<(), QueueError> {
    let mut reader = app.store.read().await?;
    let (row, verification) = live(&mut reader, token, lease, app.now()).await?;
    let name = &verification.subject.name;
    let enrolment = enrolments::revision(&mut reader, name, row.enrolment_revision).await?;
    let enrolment = enrolment.ok_or(QueueError::LeaseDead)?;
    let request = source_request(&mut reader, &verification, &enrolment).await?;
    drop(reader);

    let objection = match (another_version(&handed_in.worker_version), &handed_in.attempt) {
        (Some(other), _) => Some(other),
        (None, Attempt::TagMissing { tag }) => {
            let expected = expected_tag(&verification, &enrolment);
            (*tag != expected).then(|| format!("it looked for the tag `{tag}`, not `{expected}`"))
        }
        (None, Attempt::Judged(judged)) => {
            judge_again(app, &row, &verification, &enrolment, &request, &handed_in, judged).await?
        }
    };

    let now = app.now();
    let mut writer = app.store.write().await?;
    // Fenced: between the first look and this lock the lease may have died.
    let (mut row, mut verification) = live(&mut writer, token, lease, now).await?;
    let ending = if objection.is_none() { LeaseEnding::Reported } else { LeaseEnding::Refused };
    row.ended = Some((now, ending));
    leases::update(&mut writer, &row).await?;
    match (&objection, handed_in.attempt) {
        (Some(objection), _) => {
            refuse(app, &mut writer, &mut verification, &row, &enrolment, objection).await?;
        }
        (None, Attempt::TagMissing { tag }) => {
            tag_missing(app, &mut writer, &mut verification, &enrolment, &tag).await?;
        }
        (None, Attempt::Judged(judged)) => {
            #[cfg(feature = "sabotage")]
            let judged = Box::new(crate::sabotage::judged(*judged));
            let conclusion = Conclusion {
                judged: *judged,
                enrolment: Some(enrolment),
                worker_version: Some(handed_in.worker_version),
                rebuilt_sha512: row.rebuilt_sha512,
                log_sha256: row.log_sha256,
                actor: row.worker.clone(),
            };
            conclude(app, &mut writer, &mut verification, conclusion, now).await?;
        }
    }
    writer.commit().await?;
    match objection {
        Some(objection) => Err(QueueError::Disagrees(objection)),
        None => Ok(()),
    }
}

/// What a worker of another version found out follows other rules, some of which the service cannot see by coming to the
/// same comparison: how the source was looked for, and how the plan was made.
fn another_version(worker: &str) -> Option<String> {
    let own = env!("CARGO_PKG_VERSION");
    (worker != own).then(|| format!("the worker is of version {worker}, and the service of {own}"))
}

/// Why the report is not taken; none where the service comes to the same.
async fn judge_again(
    app: &App,
    row: &LeaseRow,
    verification: &Verification,
    enrolment: &Enrolment,
    request: &SourceRequest,
    handed_in: &WorkerReport,
    judged: &Judged,
) -> Result<Option<String>, QueueError> {
    if handed_in.rebuilt_sha512 != row.rebuilt_sha512 {
        return Ok(Some("it names another rebuilt tarball than was uploaded".to_owned()));
    }
    let staged = app.blobs.tarball(verification.subject.sha512).await?;
    let rebuilt = match row.rebuilt_sha512 {
        Some(digest) => Some(app.blobs.tarball(digest).await?),
        None => None,
    };
    let (judged, policy) = (judged.clone(), enrolment.policy.clone());
    let request = request.clone();
    let look = move || {
        source_objection(&request, &judged.observations).or_else(|| {
            let (is_readable, comparison) =
                compare_again(&staged, rebuilt.as_ref(), &judged.observations, &policy);
            let again = judge(&judged.observations, comparison.as_ref(), &policy);
            if comparison != judged.comparison {
                return Some("its comparison is not the one that the service makes".to_owned());
            }
            if again != judged.verdict {
                return Some("its verdict is not the one that the service reaches".to_owned());
            }
            let refused_as_archive = again.class == Some(Class::Archive);
            (!is_readable && !refused_as_archive)
                .then(|| "it judges a tarball that the strict reader refuses".to_owned())
        })
    };
    Ok(tokio::task::spawn_blocking(look).await.expect("reading and judging do not panic"))
}

/// Whether the staged tarball can be read, and the comparison where both can.
fn compare_again(
    staged: &Bytes,
    rebuilt: Option<&Bytes>,
    seen: &Observations,
    policy: &Policy,
) -> (bool, Option<Comparison>) {
    let (staged, rebuilt) =
        rayon::join(|| archive::read(staged), || rebuilt.map(|bytes| archive::read(bytes)));
    match (staged, rebuilt) {
        (Ok(staged), Some(Ok(rebuilt))) => (true, Some(examine(&staged, &rebuilt, seen, policy))),
        (staged, _) => (staged.is_ok(), None),
    }
}

/// A source that is not the one that the worker was sent to. What it found there, only another worker could check.
fn source_objection(request: &SourceRequest, seen: &Observations) -> Option<String> {
    let source = seen.source.as_ref()?;
    let tag = match &request.reference {
        Reference::Named(tag) => Some(tag),
        Reference::Proposed => None,
    };
    let as_asked = source.trust == Trust::Enrolled
        && request.repository.as_ref() == Some(&source.repository)
        && request.directory.as_ref() == Some(&source.directory)
        && tag == Some(&source.tag)
        && request.enrolment_revision == source.enrolment_revision;
    if !as_asked {
        return Some("its source is not the enrolled one".to_owned());
    }
    let moved = request.first_sight.as_ref().is_some_and(|sight| sight.commit != source.commit);
    let says_so = seen.findings.iter().any(|finding| finding.code == Code::TagMoved);
    (moved && !says_so).then(|| format!("it does not say that the tag `{}` moved", source.tag))
}

async fn refuse(
    app: &App,
    writer: &mut Writer,
    verification: &mut Verification,
    row: &LeaseRow,
    enrolment: &Enrolment,
    objection: &str,
) -> store::Result<()> {
    let now = app.now();
    let data = json!({ "because": objection, "attempt": row.attempt });
    let event = about(verification, EventKind::ReportRefused, &row.worker, now, data);
    events::append(writer, &event).await?;
    let message = format!("The report of the worker `{}` was refused: {objection}.", row.worker);
    let reason = Finding::new(Code::WorkerLost, message);
    let conclusion = Conclusion::undetermined(reason, Some(enrolment));
    conclude(app, writer, verification, conclusion, now).await
}

/// Nothing is judged before the tag names a commit: it is looked for again until the wait is over.
async fn tag_missing(
    app: &App,
    writer: &mut Writer,
    verification: &mut Verification,
    enrolment: &Enrolment,
    tag: &str,
) -> store::Result<()> {
    let now = app.now();
    let minutes = enrolment.policy.tag_wait_minutes.min(TAG_WAIT_MINUTES_MAX);
    let seconds = i64::try_from(minutes * 60).unwrap_or(i64::MAX);
    let deadline = verification.round_started_at.plus_seconds(seconds);
    verification.tag_wait_until = Some(deadline);
    if now >= deadline {
        return tag_not_found(app, writer, verification, enrolment).await;
    }
    let waited_before = verification.state == State::WaitingForTag;
    let pause = doubled(TAG_LOOK_FIRST_SECONDS, verification.tag_looks, TAG_LOOK_SECONDS_MAX);
    verification.state = State::WaitingForTag;
    verification.tag_looks += 1;
    verification.next_attempt_at = Some(now.plus_seconds(pause));
    verifications::update(writer, verification).await?;
    if !waited_before {
        let data = json!({ "tag": tag, "until": deadline, "state": verification.state });
        let event = about(verification, EventKind::TagMissed, "countersign", now, data);
        events::append(writer, &event).await?;
    }
    Ok(())
}

/// The wait for the tag is over.
pub(super) async fn tag_not_found(
    app: &App,
    writer: &mut Writer,
    verification: &mut Verification,
    enrolment: &Enrolment,
) -> store::Result<()> {
    let tag = expected_tag(verification, enrolment);
    let message = format!("{} has no tag `{tag}`.", enrolment.repository);
    let fix = format!("git push origin {tag}, then ask for a rerun.");
    let finding = Finding::new(Code::TagNotFound, message).with_fix(fix);
    let seen = Observations { findings: vec![finding], ..Observations::default() };
    let conclusion = Conclusion::without_worker(seen, Some(enrolment));
    debug_assert_eq!(conclusion.judged.verdict.outcome, Outcome::Fail);
    conclude(app, writer, verification, conclusion, app.now()).await
}
