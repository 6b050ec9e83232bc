//! Approving and rejecting. The gate is asked before a code is looked at and again with it, in the transaction that writes
//! the decision, and a third time in the transaction of the release, each time over what the store says at that moment and
//! the digest of the bytes that are really stored. A release that was cut off is finished by the same road. Who may decide
//! and when a verdict holds is the core's rule.

use countersign_core::{
    Access, Sha512, Timestamp,
    gate::{self, Decision, Factor, Refusal, Shown, Standing, StandingVerdict},
    npm_manifest,
    protocol::VerificationId,
    report::State,
};
use serde_json::json;

use crate::{
    app::App,
    asker::Asker,
    blobs::BlobError,
    queue,
    second_factor::{CodeRefused, spend_code},
    store::{
        self, Connection, Writer, attempts,
        decisions::{self, DecisionRow, Kind},
        enrolments,
        events::{self, Event, EventKind},
        published::{self, Published},
        verifications::{self, Origin, Verification},
    },
};

/// The dist-tag that every package has: without it `npm install NAME` finds nothing.
const LATEST: &str = "latest";

/// Why nothing was decided or released.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalRefused {
    /// There is no such stage, or the asker may not see it: which of the two is not said.
    #[error("there is no stage {0}")]
    NotFound(VerificationId),
    /// The gate is closed.
    #[error(transparent)]
    Gate(#[from] Refusal),
    /// The code is not accepted.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// The store failed.
    #[error("the decision could not be written")]
    Store(#[from] store::Error),
    /// The blobs failed.
    #[error("the staged tarball could not be read")]
    Blob(#[from] BlobError),
}

/// A version that is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Released {
    /// `name@version`.
    pub spec: String,
    /// Whether it went through without a pass, in the mode `observe`.
    pub unverified: bool,
    /// Since when.
    pub at: Timestamp,
}

/// How a stage stands at the gate, for pages that show it.
#[derive(Clone, Debug)]
pub struct Look {
    /// The verification.
    pub verification: Verification,
    /// What was decided.
    pub decision: Option<DecisionRow>,
    /// Whether a code would open the gate now.
    pub gate: Result<gate::Release, Refusal>,
}

/// Looks at the gate without spending anything and without reading the tarball.
pub async fn look(app: &App, asker: &Asker, id: VerificationId) -> Result<Look, ApprovalRefused> {
    let mut reader = app.store.read().await?;
    let verification = visible(&mut reader, asker, id).await?;
    let stored = verification.subject.sha512;
    let standing = standing(&mut reader, &verification, stored).await?;
    let gate = gate::decide(&standing, asker.for_gate(), Factor::NotYetLookedAt, None, app.now());
    let decision = decisions::find(&mut reader, id).await?;
    Ok(Look { verification, decision, gate })
}

/// Approves a stage with a one-time code, and releases it: when this returns, the version is live.
pub async fn approve(
    app: &App,
    asker: &Asker,
    id: VerificationId,
    otp: Option<&str>,
    shown: Option<&Shown>,
) -> Result<Released, ApprovalRefused> {
    record_approval(app, asker, id, otp, shown).await?;
    release(app, id).await
}

/// The first half of an approval: the gate, the code, and the decision. A refused verdict spends no code.
pub async fn record_approval(
    app: &App,
    asker: &Asker,
    id: VerificationId,
    otp: Option<&str>,
    shown: Option<&Shown>,
) -> Result<(), ApprovalRefused> {
    let mut reader = app.store.read().await?;
    let verification = visible(&mut reader, asker, id).await?;
    let stored = stored_digest(app, &verification).await?;
    let factor = if otp.is_some() { Factor::NotYetLookedAt } else { Factor::Absent };
    let before = standing(&mut reader, &verification, stored).await?;
    gate::decide(&before, asker.for_gate(), factor, shown, app.now())?;
    drop(reader);
    let (Asker::Maintainer(session), Some(code)) = (asker, otp) else {
        return Err(Refusal::FactorMissing.into());
    };

    let now = app.now();
    let mut writer = app.store.write().await?;
    let step = match spend_code(&mut writer, &session.maintainer, code, now).await? {
        Ok(step) => step,
        Err(refused) => {
            writer.commit().await?;
            return Err(refused.into());
        }
    };
    // Refused from here on, the transaction is dropped and the code was never spent.
    let verification = visible(&mut writer, asker, id).await?;
    let standing = standing(&mut writer, &verification, stored).await?;
    let open = gate::decide(&standing, asker.for_gate(), Factor::Verified(now), shown, now)?;
    let decision = DecisionRow {
        verification: id,
        kind: Kind::Approved,
        by: session.maintainer.clone(),
        at: now,
        factor_step: step,
        verdict: open.verdict,
        unverified: open.unverified,
        reason: None,
        released_at: None,
    };
    record(&mut writer, &verification, &decision).await?;
    Ok(writer.commit().await?)
}

/// The second half of an approval: the version goes live. It may be called again at any time: what is done stays done, and
/// what is not approved is not released.
pub async fn release(app: &App, id: VerificationId) -> Result<Released, ApprovalRefused> {
    let mut reader = app.store.read().await?;
    let verification =
        verifications::find(&mut reader, id).await?.ok_or(ApprovalRefused::NotFound(id))?;
    drop(reader);
    let stored = stored_digest(app, &verification).await?;

    let now = app.now();
    let mut writer = app.store.write().await?;
    let mut verification =
        verifications::find(&mut writer, id).await?.ok_or(ApprovalRefused::NotFound(id))?;
    let decision = decisions::find(&mut writer, id).await?;
    let decision = decision
        .filter(|decision| decision.kind == Kind::Approved)
        .ok_or(ApprovalRefused::NotFound(id))?;
    let spec = verification.subject.spec();
    if let Some(at) = decision.released_at {
        return Ok(Released { spec, unverified: decision.unverified, at });
    }
    let standing = standing(&mut writer, &verification, stored).await?;
    // The code was fresh when the decision was written; a release that was cut off needs no other.
    let (asker, factor) = (gate::Asker::MaintainerSession, Factor::Verified(decision.at));
    let open = gate::decide(&standing, asker, factor, None, decision.at)?;
    if open.unverified && !decision.unverified {
        return Err(Refusal::Changed(
            "the verdict that was approved does not hold any more".to_owned(),
        )
        .into());
    }
    publish(&mut writer, &verification, &decision, now).await?;
    decisions::released(&mut writer, id, now).await?;
    verification.closed_at = Some(now);
    verifications::update(&mut writer, &verification).await?;
    let data = json!({ "verdict": decision.verdict, "unverified": decision.unverified, "by": decision.by });
    let event = about(&verification, EventKind::Released, &decision.by, now, data);
    events::append(&mut writer, &event).await?;
    writer.commit().await?;
    Ok(Released { spec, unverified: decision.unverified, at: now })
}

/// Finishes the releases that a crash cut off; called when the service starts. What cannot be released stays approved and
/// is named in the log.
pub async fn finish_releases(app: &App) -> store::Result<usize> {
    let mut reader = app.store.read().await?;
    let under_way = decisions::under_way(&mut reader).await?;
    drop(reader);
    let mut finished = 0;
    for decision in under_way {
        let stage = decision.verification;
        match release(app, stage).await {
            Ok(released) => {
                tracing::info!(%stage, spec = released.spec, "finished a release that was cut off");
                finished += 1;
            }
            Err(error) => {
                tracing::error!(%stage, %error, "an approved stage could not be released");
            }
        }
    }
    Ok(finished)
}

/// Rejects a stage with a one-time code. A job that still runs is withdrawn.
pub async fn reject(
    app: &App,
    asker: &Asker,
    id: VerificationId,
    otp: Option<&str>,
    reason: Option<&str>,
) -> Result<(), ApprovalRefused> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    let mut verification = visible(&mut writer, asker, id).await?;
    let Asker::Maintainer(session) = asker else { return Err(Refusal::NotAMaintainer.into()) };
    undecided(&mut writer, &verification).await?;
    let code = otp.ok_or(Refusal::FactorMissing)?;
    let step = match spend_code(&mut writer, &session.maintainer, code, now).await? {
        Ok(step) => step,
        Err(refused) => {
            writer.commit().await?;
            return Err(refused.into());
        }
    };
    let decision = DecisionRow {
        verification: id,
        kind: Kind::Rejected,
        by: session.maintainer.clone(),
        at: now,
        factor_step: step,
        verdict: verification.verdict,
        unverified: false,
        reason: reason.map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned),
        released_at: None,
    };
    record(&mut writer, &verification, &decision).await?;
    queue::withdraw(&mut writer, &mut verification, now).await?;
    Ok(writer.commit().await?)
}

async fn undecided(
    writer: &mut Writer,
    verification: &Verification,
) -> Result<(), ApprovalRefused> {
    let spec = verification.subject.spec();
    let text = match decisions::find(writer, verification.id).await? {
        Some(decision) if decision.kind == Kind::Rejected => {
            format!("this stage of {spec} was rejected already")
        }
        Some(decision) if decision.released_at.is_some() => format!("{spec} is released already"),
        // An approval whose release is stuck may be taken back.
        Some(_) | None if verification.closed_at.is_none() => return Ok(()),
        Some(_) | None => format!("this stage of {spec} was withdrawn already"),
    };
    Err(Refusal::AlreadyDecided(text).into())
}

async fn record(
    writer: &mut Writer,
    verification: &Verification,
    decision: &DecisionRow,
) -> store::Result<()> {
    decisions::record(writer, decision).await?;
    let kind = match decision.kind {
        Kind::Approved => EventKind::Approved,
        Kind::Rejected => EventKind::Rejected,
    };
    let data = json!({
        "verdict": decision.verdict, "unverified": decision.unverified, "reason": decision.reason,
        "factor_step": decision.factor_step, "subject": verification.subject,
    });
    events::append(writer, &about(verification, kind, &decision.by, decision.at, data)).await?;
    Ok(())
}

async fn publish(
    writer: &mut Writer,
    verification: &Verification,
    decision: &DecisionRow,
    now: Timestamp,
) -> Result<(), ApprovalRefused> {
    let subject = &verification.subject;
    let missing = || ApprovalRefused::NotFound(verification.id);
    let new = Published {
        package: subject.name.clone(),
        version: subject.version.clone(),
        verification: verification.id,
        manifest: verifications::manifest(writer, verification.id).await?.ok_or_else(missing)?,
        sha512: subject.sha512,
        shasum: verification.shasum.ok_or_else(missing)?,
        bytes: verification.bytes.ok_or_else(missing)?,
        access: subject.access.unwrap_or(Access::Public),
        unverified: decision.unverified,
        released_at: now,
    };
    match published::insert(writer, &new).await {
        Err(error) if error.is_refused_by("published_versions_version") => {
            let text = format!("{} was released from another stage", subject.spec());
            return Err(Refusal::AlreadyDecided(text).into());
        }
        other => other?,
    }
    let tags = published::dist_tags(writer, &subject.name).await?;
    let tag = subject.dist_tag.as_deref().unwrap_or(LATEST);
    published::set_dist_tag(writer, &subject.name, tag, &subject.version, now).await?;
    if !tags.contains_key(LATEST) && tag != LATEST {
        // The first version is the latest too, whatever its tag, as on the public registry.
        published::set_dist_tag(writer, &subject.name, LATEST, &subject.version, now).await?;
    }
    Ok(())
}

/// The stage, if there is one that the asker may see.
async fn visible(
    at: &mut Connection,
    asker: &Asker,
    id: VerificationId,
) -> Result<Verification, ApprovalRefused> {
    let found = verifications::find(at, id).await?;
    let stage = found.filter(|found| found.origin == Origin::Stage);
    let stage = stage.ok_or(ApprovalRefused::NotFound(id))?;
    if asker.may_see(at, &stage.subject.name).await? {
        Ok(stage)
    } else {
        Err(ApprovalRefused::NotFound(id))
    }
}

/// The digest of the bytes that would be released. Other bytes than the staged ones are a closed gate, not our failure.
async fn stored_digest(app: &App, verification: &Verification) -> Result<Sha512, ApprovalRefused> {
    match app.blobs.tarball(verification.subject.sha512).await {
        Ok(_) => Ok(verification.subject.sha512),
        Err(BlobError::Damaged(_) | BlobError::Missing(_)) => Err(Refusal::Changed(format!(
            "the stored bytes of {} are not those that were staged; stage again",
            verification.subject.spec()
        ))
        .into()),
        Err(error) => Err(error.into()),
    }
}

/// What the gate is asked about: the store's word of this moment.
async fn standing(
    at: &mut Connection,
    verification: &Verification,
    stored: Sha512,
) -> store::Result<Standing> {
    let mut subject = verification.subject.clone();
    subject.sha512 = stored;
    let manifest = verifications::manifest(at, verification.id).await?;
    subject.manifest_sha256 =
        manifest.as_ref().and_then(|manifest| manifest.as_object()).map(npm_manifest::digest);
    let verdict = match verification.verdict {
        Some(id) => attempts::find(at, id).await?.map(|attempt| StandingVerdict {
            id: attempt.id,
            outcome: attempt.judged.verdict.outcome,
            class: attempt.judged.verdict.class,
            summary: attempt.summary,
            subject: attempt.subject,
            enrolment_revision: attempt.enrolment_revision,
            policy_sha256: attempt.policy_sha256,
            revoked: attempt.revoked_at.is_some(),
        }),
        None => None,
    };
    let live = published::find(at, &subject.name, &subject.version).await?;
    let decision = decisions::find(at, verification.id).await?.map(|decision| {
        match (decision.kind, decision.released_at) {
            (Kind::Rejected, _) => Decision::Rejected,
            (Kind::Approved, Some(_)) => Decision::Released,
            (Kind::Approved, None) => Decision::Approved,
        }
    });
    Ok(Standing {
        state: state_at_gate(verification),
        enrolment: enrolments::current(at, &subject.name).await?,
        version_taken: live.is_some_and(|live| live.verification != verification.id),
        subject,
        verdict,
        decision,
    })
}

/// A stage that was withdrawn after its verdict is as good as cancelled.
fn state_at_gate(verification: &Verification) -> State {
    let withdrawn = verification.closed_at.is_some() && verification.verdict.is_none();
    if withdrawn { State::Cancelled } else { verification.state }
}

fn about(
    verification: &Verification,
    kind: EventKind,
    actor: &str,
    at: Timestamp,
    data: serde_json::Value,
) -> Event {
    Event {
        kind,
        verification: Some(verification.id),
        package: Some(verification.subject.name.clone()),
        actor: actor.to_owned(),
        at,
        data,
    }
}
