//! The gate: the pure rule that says whether an approval may go through. It is asked twice, before a code is spent and
//! again inside the transaction of the release, each time over what the store says at that moment.

use serde::{Deserialize, Serialize};

use crate::{
    artifact::{Sha256, Subject},
    enrolment::{Enrolment, Mode},
    finding::Class,
    limits,
    protocol::VerdictId,
    report::State,
    timestamp::Timestamp,
    verdict::Outcome,
};

/// A stored verdict, as far as the gate looks at it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StandingVerdict {
    /// Which one.
    pub id: VerdictId,
    /// What it says.
    pub outcome: Outcome,
    /// Why it is a fail.
    pub class: Option<Class>,
    /// Its sentence.
    pub summary: String,
    /// The subject that it is about.
    pub subject: Subject,
    /// The enrolment's revision that it was judged under.
    pub enrolment_revision: Option<u32>,
    /// The policy that it was judged under.
    pub policy_sha256: Sha256,
    /// Whether it was revoked since.
    pub revoked: bool,
}

/// What a maintainer decided about a stage, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is to be released; the release may still be under way.
    Approved,
    /// It is live.
    Released,
    /// It will not be released.
    Rejected,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A maintainer's own session, from `npm login` or the page.
    MaintainerSession,
    /// An API token, of whatever scope.
    ApiToken,
}

/// The state of the second factor of this request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Factor {
    /// None was sent.
    Absent,
    /// One was sent and has not been looked at: what is decided now must not depend on it.
    NotYetLookedAt,
    /// It was checked at that moment and is spent.
    Verified(Timestamp),
}

/// What the maintainer was shown when they decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The verdict.
    pub verdict: VerdictId,
    /// When.
    pub at: Timestamp,
}

/// What the store says of a stage at this moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where its verification stands.
    pub state: State,
    /// What would be released: digests of the bytes and manifest that are really stored.
    pub subject: Subject,
    /// The enrolment that holds now.
    pub enrolment: Option<Enrolment>,
    /// The current verdict.
    pub verdict: Option<StandingVerdict>,
    /// What was decided already.
    pub decision: Option<Decision>,
    /// Whether the registry already has this version from another stage.
    pub version_taken: bool,
}

/// Why an approval does not go through.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no verdict yet, or it is inconclusive.
    #[error("{0}")]
    NoVerdictYet(String),
    /// The verdict is a fail.
    #[error("{summary}")]
    Failed {
        /// The verdict's sentence.
        summary: String,
        /// Its class.
        class: Option<Class>,
    },
    /// Only a maintainer's session may approve.
    #[error(
        "an API token of no scope can approve: run `npm login` as a maintainer, then approve with a one-time code"
    )]
    NotAMaintainer,
    /// No second factor was sent.
    #[error("approving needs a one-time password from your authenticator: add --otp=CODE")]
    FactorMissing,
    /// What was shown is too old, or not what stands now.
    #[error("{0}")]
    Changed(String),
    /// The stage was decided before.
    #[error("{0}")]
    AlreadyDecided(String),
}

/// A release that may go through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// The verdict that it rests on; none where the mode is `observe` and there is none.
    pub verdict: Option<VerdictId>,
    /// Whether it goes through without a pass, in the mode `observe`: shown everywhere as *released unverified*.
    pub unverified: bool,
}

/// Whether this approval may go through now. With a factor that was not yet looked at, `Ok` means only that the code
/// may be checked: a refused verdict spends no code.
pub fn decide(
    standing: &Standing,
    asker: Asker,
    factor: Factor,
    shown: Option<&Shown>,
    now: Timestamp,
) -> Result<Release, Refusal> {
    match asker {
        Asker::ApiToken => return Err(Refusal::NotAMaintainer),
        Asker::MaintainerSession => {}
    }
    undecided(standing)?;
    let release = verdict_allows(standing)?;
    still_as_shown(standing, shown, now)?;
    match factor {
        Factor::Absent => Err(Refusal::FactorMissing),
        Factor::NotYetLookedAt => Ok(release),
        Factor::Verified(at) if now.millis_since(at) <= window_millis() => Ok(release),
        Factor::Verified(_) => Err(Refusal::FactorMissing),
    }
}

fn window_millis() -> i64 {
    i64::try_from(limits::CHALLENGE_SECONDS * 1000).unwrap_or(i64::MAX)
}

fn undecided(standing: &Standing) -> Result<(), Refusal> {
    let spec = standing.subject.spec();
    match standing.decision {
        Some(Decision::Rejected) => Err(Refusal::AlreadyDecided(format!(
            "this stage of {spec} was rejected; stage it again"
        ))),
        Some(Decision::Released) => {
            Err(Refusal::AlreadyDecided(format!("{spec} is released already")))
        }
        // An approval that was cut off between two steps is taken up again by the same road.
        Some(Decision::Approved) | None if standing.version_taken => Err(Refusal::AlreadyDecided(
            format!("{spec} was released from another stage; stage a new version"),
        )),
        Some(Decision::Approved) | None => Ok(()),
    }
}

fn verdict_allows(standing: &Standing) -> Result<Release, Refusal> {
    let Some(enrolment) = &standing.enrolment else {
        return Err(Refusal::Changed(format!(
            "{} is not enrolled any more",
            standing.subject.name
        )));
    };
    let passed = pass_that_holds(standing, enrolment);
    match (passed, enrolment.mode) {
        (Ok(verdict), _) => Ok(Release { verdict: Some(verdict), unverified: false }),
        (Err(refusal), Mode::Enforce) => Err(refusal),
        (Err(_), Mode::Observe) => {
            Ok(Release { verdict: standing.verdict.as_ref().map(|v| v.id), unverified: true })
        }
    }
}

fn pass_that_holds(standing: &Standing, enrolment: &Enrolment) -> Result<VerdictId, Refusal> {
    let pending = |word: &str| {
        Refusal::NoVerdictYet(format!(
            "{} has no verdict yet: it is {word}",
            standing.subject.spec()
        ))
    };
    match standing.state {
        State::Final => {}
        State::Cancelled => {
            return Err(Refusal::AlreadyDecided(
                "this verification was cancelled; stage again".to_owned(),
            ));
        }
        state @ (State::Queued | State::WaitingForTag | State::Running | State::Retrying) => {
            return Err(pending(state.as_str()));
        }
    }
    let verdict = standing.verdict.as_ref().ok_or_else(|| pending("without a verdict"))?;
    match verdict.outcome {
        Outcome::Pass => {}
        Outcome::Fail => {
            return Err(Refusal::Failed { summary: verdict.summary.clone(), class: verdict.class });
        }
        Outcome::Inconclusive => return Err(Refusal::NoVerdictYet(verdict.summary.clone())),
    }
    if verdict.revoked {
        return Err(Refusal::Changed("the verdict was revoked; ask for a rerun".to_owned()));
    }
    if verdict.subject != standing.subject {
        return Err(Refusal::Changed(
            "what is staged is not what the verdict is about; stage again".to_owned(),
        ));
    }
    let same_rules = verdict.enrolment_revision == Some(enrolment.revision)
        && verdict.policy_sha256 == enrolment.policy.digest();
    if same_rules {
        Ok(verdict.id)
    } else {
        Err(Refusal::Changed("the enrolment changed since the verdict; ask for a rerun".to_owned()))
    }
}

fn still_as_shown(
    standing: &Standing,
    shown: Option<&Shown>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(shown) = shown else { return Ok(()) };
    if standing.verdict.as_ref().map(|v| v.id) != Some(shown.verdict) {
        return Err(Refusal::Changed(
            "the verdict is not the one that was shown; look at the report again".to_owned(),
        ));
    }
    if now.millis_since(shown.at) > window_millis() {
        return Err(Refusal::Changed(
            "the report was shown too long ago; look at it again".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
