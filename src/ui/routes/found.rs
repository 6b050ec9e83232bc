//! A stage as the pages need it, looked up for one visitor: its report, its place at the gate, its attempt. What a visitor
//! may not see is not found.

use countersign_core::{
    gate::{Decision, Refusal, Release},
    protocol::VerificationId,
    report::Report,
};

use crate::{
    app::App,
    approval::{self, ApprovalRefused},
    reports,
    store::{
        attempts::{self, AttemptRow},
        decisions::{DecisionRow, Kind},
        events, leases,
        verifications::{self, ActorType, Origin, Verification},
    },
    ui::{
        answer::PageError,
        progress::Progress,
        stage::{Approval, Decided, Stage},
        visitor::Visitor,
    },
};

/// What is known of a stage at one moment.
pub(super) struct Found {
    /// Its id.
    pub(super) id: VerificationId,
    /// The verification.
    pub(super) verification: Verification,
    /// The attempt whose verdict stands.
    pub(super) attempt: Option<AttemptRow>,
    /// The report.
    pub(super) report: Report,
    /// The stage.
    pub(super) stage: Stage,
    /// What is under way.
    pub(super) progress: Progress,
    /// The number of the last event that this view has seen.
    pub(super) seen: i64,
}

impl Found {
    /// The stage of that id.
    pub(super) async fn look_up(app: &App, visitor: &Visitor, id: &str) -> Result<Self, PageError> {
        let unknown = || PageError::NotFound(format!("stage `{id}`"));
        let id: VerificationId = id.parse().map_err(|_| unknown())?;
        let mut reader = app.store.read().await?;
        let seen = events::last(&mut reader).await?;
        let verification = verifications::find(&mut reader, id).await?.ok_or_else(unknown)?;
        if !visitor.asker.may_see(&mut reader, &verification.subject.name).await? {
            return Err(unknown());
        }
        let report = reports::report_of(app, &mut reader, id).await?.ok_or_else(unknown)?;
        let attempt = match verification.verdict {
            Some(verdict) => attempts::find(&mut reader, verdict).await?,
            None => None,
        };
        let lease = leases::open_of(&mut reader, id).await?;
        let progress = lease.map_or_else(Progress::default, |lease| Progress {
            phase: lease.phase,
            detail: lease.detail.unwrap_or_default(),
            since: Some(lease.granted_at),
        });
        drop(reader);
        let approval = approval_of(app, visitor, &verification).await?;
        let stage = Stage {
            id: id.to_string(),
            staged_by: verification.actor.clone(),
            staged_with: match verification.actor_type {
                ActorType::User => "a maintainer’s session",
                ActorType::TrustedAutomation => "a token of trusted automation",
            }
            .to_owned(),
            staged_at: verification.staged_at,
            verdict_id: verification.verdict.map(|verdict| verdict.to_string()),
            approval,
        };
        Ok(Self { id, verification, attempt, report, stage, progress, seen })
    }

    /// `left-pad 1.3.1`.
    pub(super) fn spec(&self) -> String {
        format!("{} {}", self.verification.subject.name, self.verification.subject.version)
    }
}

async fn approval_of(
    app: &App,
    visitor: &Visitor,
    verification: &Verification,
) -> Result<Approval, PageError> {
    match verification.origin {
        Origin::Api => {
            return Ok(Approval::Closed {
                reason: "Another registry holds this release and asks us before it publishes."
                    .to_owned(),
                opens: None,
                reject: false,
            });
        }
        Origin::Stage => {}
    }
    let look = match approval::look(app, &visitor.asker, verification.id).await {
        Ok(look) => look,
        Err(ApprovalRefused::NotFound(id)) => {
            return Err(PageError::NotFound(format!("stage `{id}`")));
        }
        Err(error) => return Err(PageError::Ours(error.into())),
    };
    if let Some(decision) = look.decision {
        return Ok(Approval::Decided(decided(decision)));
    }
    Ok(match look.gate {
        Ok(Release { unverified, .. }) => Approval::Open { unverified },
        Err(refusal) => Approval::Closed {
            reason: refusal.to_string(),
            opens: opens(&refusal).map(str::to_owned),
            reject: verification.closed_at.is_none(),
        },
    })
}

fn decided(row: DecisionRow) -> Decided {
    let (decision, at) = match (row.kind, row.released_at) {
        (Kind::Rejected, _) => (Decision::Rejected, row.at),
        (Kind::Approved, Some(released_at)) => (Decision::Released, released_at),
        (Kind::Approved, None) => (Decision::Approved, row.at),
    };
    Decided { decision, verified: !row.unverified, by: row.by, at, reason: row.reason }
}

/// What would open the gate, where the refusal itself does not say.
fn opens(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::NoVerdictYet(_) => Some("A pass opens it."),
        Refusal::Failed { .. } => {
            Some("A verdict never changes: a new stage that passes opens it.")
        }
        Refusal::NotAMaintainer
        | Refusal::FactorMissing
        | Refusal::Changed(_)
        | Refusal::AlreadyDecided(_) => None,
    }
}
