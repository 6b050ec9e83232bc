//! Another round for a verification, or none any more. A verdict never changes: a rerun adds attempts.

use countersign_core::{
    finding::{Class, Code},
    protocol::VerificationId,
    report::State,
    verdict::Outcome,
};
use serde_json::json;

use super::about;
use crate::{
    app::App,
    asker::Asker,
    store::{
        self, Writer,
        attempts::{self, AttemptRow},
        enrolments,
        events::{self, EventKind},
        leases::{self, LeaseEnding},
        tokens::Scope,
        verifications::{self, Verification},
    },
};

/// Why there is no rerun, or nothing is cancelled.
#[derive(Debug, thiserror::Error)]
pub enum RoundRefused {
    /// There is no such verification, or the asker may not see it.
    #[error("there is no verification {0}")]
    NotFound(VerificationId),
    /// The asker may not do that.
    #[error("this token may not do that: it needs the scope `verify` or `stage`")]
    NotAllowed,
    /// It does not stand where that would make sense.
    #[error("{0}")]
    Conflict(String),
    /// Our own failure.
    #[error("the verification could not be changed")]
    Store(#[from] store::Error),
}

/// Begins another round of a verification whose verdict stands. A fail is tried again only where something that it rests on
/// changed, or, where it was not rebuilt, because a maintainer asks; a pass is not.
pub async fn rerun(app: &App, asker: &Asker, id: VerificationId) -> Result<(), RoundRefused> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    let mut verification = found(&mut writer, asker, id).await?;
    let conflict = |text: &str| Err(RoundRefused::Conflict(text.to_owned()));
    if verification.closed_at.is_some() {
        return conflict("this stage was decided; stage again");
    }
    let Some(verdict) = verification.verdict else {
        return conflict("there is no verdict yet, so there is nothing to try again");
    };
    let Some(attempt) = attempts::find(&mut writer, verdict).await? else {
        return conflict("the verdict is not there any more");
    };
    if !may_supersede(&mut writer, asker, &verification, &attempt).await? {
        return conflict(
            "nothing that this verdict rests on has changed: enrolment, policy, verifier and source are the same",
        );
    }
    verification.state = State::Queued;
    verification.round_started_at = now;
    verification.attempts = 0;
    verification.next_attempt_at = Some(now);
    verification.tag_wait_until = None;
    verification.tag_looks = 0;
    verification.verdict = None;
    verifications::update(&mut writer, &verification).await?;
    let data = json!({ "supersedes": verdict, "state": verification.state });
    let event = about(&verification, EventKind::Rerun, &asker.actor(), now, data);
    events::append(&mut writer, &event).await?;
    Ok(writer.commit().await?)
}

async fn may_supersede(
    writer: &mut Writer,
    asker: &Asker,
    verification: &Verification,
    attempt: &AttemptRow,
) -> store::Result<bool> {
    let verdict = &attempt.judged.verdict;
    if attempt.revoked_at.is_some() || verdict.outcome == Outcome::Inconclusive {
        return Ok(true);
    }
    let current = enrolments::current(writer, &verification.subject.name).await?;
    let enrolment_changed =
        current.map(|enrolment| enrolment.revision) != attempt.enrolment_revision;
    // A verdict that no worker came to was reached by this service's own reading.
    let verifier_changed =
        attempt.worker_version.as_deref().is_some_and(|v| v != env!("CARGO_PKG_VERSION"));
    let was_absent = verdict.findings.iter().any(|finding| finding.code == Code::TagNotFound);
    let maintainer_asks = matches!(asker, Asker::Maintainer(_));
    Ok(enrolment_changed
        || verifier_changed
        || was_absent
        || (verdict.class == Some(Class::NotRebuilt) && maintainer_asks))
}

/// Withdraws a verification that has no verdict yet. The stage is closed with it.
pub async fn cancel(app: &App, asker: &Asker, id: VerificationId) -> Result<(), RoundRefused> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    let mut verification = found(&mut writer, asker, id).await?;
    if verification.state.is_final() {
        return Err(RoundRefused::Conflict("its verdict stands already".to_owned()));
    }
    withdraw(&mut writer, &mut verification, now).await?;
    let data = json!({ "state": verification.state });
    let event = about(&verification, EventKind::Cancelled, &asker.actor(), now, data);
    events::append(&mut writer, &event).await?;
    Ok(writer.commit().await?)
}

/// Takes the job from whoever has it and closes the stage.
pub(crate) async fn withdraw(
    writer: &mut Writer,
    verification: &mut Verification,
    now: countersign_core::Timestamp,
) -> store::Result<()> {
    if let Some(mut lease) = leases::open_of(writer, verification.id).await? {
        lease.ended = Some((now, LeaseEnding::Withdrawn));
        leases::update(writer, &lease).await?;
    }
    if !verification.state.is_final() {
        verification.state = State::Cancelled;
        verification.next_attempt_at = None;
    }
    verification.closed_at = Some(now);
    verifications::update(writer, verification).await
}

async fn found(
    writer: &mut Writer,
    asker: &Asker,
    id: VerificationId,
) -> Result<Verification, RoundRefused> {
    let verification = verifications::find(writer, id).await?.ok_or(RoundRefused::NotFound(id))?;
    let name = &verification.subject.name;
    if !asker.may_see(writer, name).await? {
        return Err(RoundRefused::NotFound(id));
    }
    if !asker.has(Scope::Verify, Some(name)) && !asker.has(Scope::Stage, Some(name)) {
        return Err(RoundRefused::NotAllowed);
    }
    Ok(verification)
}
