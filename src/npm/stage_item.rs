//! One stage as npm shows it. `npm stage view` prints every member that it does not know as `key: value`, so what matters
//! to a maintainer stands here as flat texts, the verdict first.

use countersign_core::{
    Access,
    report::{Report, State},
    verdict::Outcome,
};
use serde_json::{Value, json};

use crate::{
    app::App,
    reports,
    store::{
        self, Connection,
        decisions::Kind,
        listing::{Listed, ListedDecision},
    },
};

/// What stands in an item beside the stage itself.
struct Standing {
    outcome: Option<Outcome>,
    reason: String,
    next: Option<String>,
    tag: Option<String>,
    commit: Option<String>,
}

/// The item of one line of a list. What is not judged yet has its sentence made anew; what is judged keeps the stored one,
/// so that a list does not read every comparison.
pub(super) async fn item(app: &App, at: &mut Connection, listed: &Listed) -> store::Result<Value> {
    let standing = match &listed.verdict {
        Some(verdict) => Standing {
            outcome: Some(verdict.outcome),
            reason: verdict.summary.clone(),
            next: None,
            tag: verdict.tag.clone(),
            commit: verdict.commit.clone(),
        },
        None => {
            let report = reports::report_of(app, at, listed.verification.id).await?;
            report.map_or_else(nothing, of_report)
        }
    };
    Ok(json_of(app, listed, standing))
}

/// The item of one stage with what its report says to do next.
pub(super) async fn item_with_next(
    app: &App,
    at: &mut Connection,
    listed: &Listed,
) -> store::Result<Value> {
    let report = reports::report_of(app, at, listed.verification.id).await?;
    Ok(json_of(app, listed, report.map_or_else(nothing, of_report)))
}

fn of_report(report: Report) -> Standing {
    let next = report.next;
    Standing {
        outcome: report.verdict,
        reason: report.summary,
        next: Some(match next.command {
            Some(command) => format!("{} Run: {command}", next.what),
            None => next.what,
        }),
        tag: report.source.as_ref().map(|source| source.tag.clone()),
        commit: report.source.map(|source| source.commit),
    }
}

fn nothing() -> Standing {
    Standing { outcome: None, reason: String::new(), next: None, tag: None, commit: None }
}

/// The members in npm's order (npm/api-documentation, `stage.yaml`), then ours. Null members are not printed.
fn json_of(app: &App, listed: &Listed, standing: Standing) -> Value {
    let stage = &listed.verification;
    let subject = &stage.subject;
    json!({
        "id": stage.id,
        "packageName": subject.name,
        "version": subject.version,
        "tag": subject.dist_tag,
        "createdAt": stage.staged_at,
        "actor": stage.actor,
        "actorType": stage.actor_type.as_str(),
        "shasum": stage.shasum,
        "access": subject.access.map(access),
        "status": status(stage.state, standing.outcome, listed.decision.as_ref()),
        "integrity": subject.sha512.to_integrity(),
        "verdict": standing.outcome.map(Outcome::as_str).unwrap_or(stage.state.as_str()),
        "verdictReason": standing.reason,
        "next": standing.next,
        "sourceTag": standing.tag,
        "sourceCommit": standing.commit,
        "report": reports::page(app, stage.id),
    })
}

/// npm's words for it.
fn access(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Restricted => "private",
    }
}

/// The word for one staged version: a fail blocks it (npm/api-documentation, `package-version-status.yaml`).
pub(super) fn version_status(state: State, outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Fail) => "blocked",
        Some(Outcome::Pass | Outcome::Inconclusive) | None => status(state, outcome, None),
    }
}

/// npm's own two words while it is staged: `validating` until a pass. Afterwards, what became of it.
fn status(
    state: State,
    outcome: Option<Outcome>,
    decision: Option<&ListedDecision>,
) -> &'static str {
    match decision.map(|decision| (decision.kind, decision.released_at)) {
        Some((Kind::Rejected, _)) => return "rejected",
        Some((Kind::Approved, Some(_))) => return "published",
        Some((Kind::Approved, None)) | None => {}
    }
    match (state, outcome) {
        (State::Final, Some(Outcome::Pass)) => "staged",
        (State::Cancelled, _) => "withdrawn",
        (
            State::Queued | State::WaitingForTag | State::Running | State::Retrying | State::Final,
            _,
        ) => "validating",
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::Timestamp;

    use super::*;

    fn decision(kind: Kind, released: bool) -> ListedDecision {
        let at = Timestamp::from_seconds(1);
        let (by, released_at) = ("ada".to_owned(), released.then_some(at));
        ListedDecision { kind, by, at, unverified: false, released_at }
    }

    #[test]
    fn a_stage_is_validating_until_a_pass_and_nothing_else_makes_it_staged() {
        use State::{Cancelled, Final, Queued, Retrying, Running, WaitingForTag};
        for state in [Queued, WaitingForTag, Running, Retrying] {
            assert_eq!(status(state, None, None), "validating", "{state:?}");
        }
        assert_eq!(status(Final, Some(Outcome::Pass), None), "staged");
        for outcome in [Some(Outcome::Fail), Some(Outcome::Inconclusive), None] {
            assert_eq!(status(Final, outcome, None), "validating", "{outcome:?}");
        }
        assert_eq!(status(Cancelled, None, None), "withdrawn");
    }

    #[test]
    fn a_decision_is_named_and_an_approval_is_not_yet_a_release() {
        let of = |kind, released| {
            status(State::Final, Some(Outcome::Pass), Some(&decision(kind, released)))
        };
        assert_eq!(of(Kind::Rejected, false), "rejected");
        assert_eq!(of(Kind::Approved, true), "published");
        assert_eq!(of(Kind::Approved, false), "staged");
    }
}
