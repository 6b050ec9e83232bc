//! The truth table of the gate, walked whole: nothing but a pass that holds, a maintainer and a fresh factor releases.

use super::*;
use crate::{artifact::Sha512, policy::Policy, report::State, source::TagPattern};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn subject(bytes: &[u8]) -> Subject {
    Subject {
        registry: "https://registry.example".to_owned(),
        name: "left-pad".parse().unwrap(),
        version: "1.3.1".parse().unwrap(),
        sha512: Sha512::of(bytes),
        manifest_sha256: None,
        dist_tag: Some("latest".to_owned()),
        access: None,
    }
}

fn enrolment(mode: Mode, revision: u32) -> Enrolment {
    Enrolment {
        package: "left-pad".parse().unwrap(),
        revision,
        repository: "https://git.example/left-pad".parse().unwrap(),
        directory: "".parse().unwrap(),
        tag_pattern: TagPattern::default(),
        branches: vec!["main".to_owned()],
        mode,
        policy: Policy::default(),
        plan: crate::plan::Given::default(),
        confirmed_by: "ada".to_owned(),
        confirmed_at: NOW,
    }
}

fn verdict(outcome: Outcome) -> StandingVerdict {
    StandingVerdict {
        id: VerdictId(uuid::Uuid::from_u128(7)),
        outcome,
        class: (outcome == Outcome::Fail).then_some(Class::Differs),
        summary: "the sentence".to_owned(),
        subject: subject(b"staged"),
        enrolment_revision: Some(1),
        policy_sha256: Policy::default().digest(),
        revoked: false,
    }
}

fn passing() -> Standing {
    Standing {
        state: State::Final,
        subject: subject(b"staged"),
        enrolment: Some(enrolment(Mode::Enforce, 1)),
        verdict: Some(verdict(Outcome::Pass)),
        decision: None,
        version_taken: false,
    }
}

fn with_verdict(change: impl FnOnce(&mut StandingVerdict)) -> Standing {
    let mut standing = passing();
    change(standing.verdict.as_mut().unwrap());
    standing
}

fn ask(standing: &Standing) -> Result<Release, Refusal> {
    decide(standing, Asker::MaintainerSession, Factor::Verified(NOW), None, NOW)
}

#[test]
fn a_pass_a_maintainer_and_a_code_release() {
    let release = ask(&passing()).unwrap();
    assert_eq!(
        release,
        Release { verdict: Some(VerdictId(uuid::Uuid::from_u128(7))), unverified: false }
    );
}

#[test]
fn in_enforce_only_a_final_pass_that_holds_opens_the_gate() {
    const STATES: [State; 6] = [
        State::Queued,
        State::WaitingForTag,
        State::Running,
        State::Retrying,
        State::Final,
        State::Cancelled,
    ];
    let outcomes = [None, Some(Outcome::Pass), Some(Outcome::Fail), Some(Outcome::Inconclusive)];
    let mut opened = 0;
    for state in STATES {
        for outcome in outcomes {
            for (revoked, same_subject, revision) in
                [(false, true, 1), (true, true, 1), (false, false, 1), (false, true, 2)]
            {
                let mut standing = passing();
                standing.state = state;
                standing.verdict = outcome.map(verdict);
                standing.enrolment = Some(enrolment(Mode::Enforce, revision));
                if let Some(verdict) = &mut standing.verdict {
                    verdict.revoked = revoked;
                }
                if !same_subject {
                    standing.subject = subject(b"other bytes");
                }
                let may = state == State::Final
                    && outcome == Some(Outcome::Pass)
                    && !revoked
                    && same_subject
                    && revision == 1;
                assert_eq!(
                    ask(&standing).is_ok(),
                    may,
                    "{state:?} {outcome:?} {revoked} {same_subject} {revision}"
                );
                opened += usize::from(may);
            }
        }
    }
    assert_eq!(opened, 1);
}

#[test]
fn a_token_is_refused_before_the_verdict_or_a_code_is_looked_at() {
    for factor in [Factor::Absent, Factor::NotYetLookedAt, Factor::Verified(NOW)] {
        let answer = decide(&passing(), Asker::ApiToken, factor, None, NOW);
        assert_eq!(answer, Err(Refusal::NotAMaintainer));
    }
}

#[test]
fn a_refused_verdict_is_said_before_a_missing_code() {
    let failing = with_verdict(|v| v.outcome = Outcome::Fail);
    let answer = decide(&failing, Asker::MaintainerSession, Factor::Absent, None, NOW);
    assert!(matches!(answer, Err(Refusal::Failed { .. })));
    let answer = decide(&passing(), Asker::MaintainerSession, Factor::Absent, None, NOW);
    assert_eq!(answer, Err(Refusal::FactorMissing));
}

#[test]
fn a_factor_of_long_ago_is_no_factor() {
    let later = NOW.plus_seconds(i64::try_from(limits::CHALLENGE_SECONDS).unwrap() + 1);
    let answer = decide(&passing(), Asker::MaintainerSession, Factor::Verified(NOW), None, later);
    assert_eq!(answer, Err(Refusal::FactorMissing));
}

#[test]
fn another_verdict_or_an_old_page_closes_the_gate() {
    let shown = |id: u128, at| Shown { verdict: VerdictId(uuid::Uuid::from_u128(id)), at };
    let ask = |shown: &Shown| {
        decide(&passing(), Asker::MaintainerSession, Factor::Verified(NOW), Some(shown), NOW)
    };
    assert!(ask(&shown(7, NOW)).is_ok());
    assert!(matches!(ask(&shown(8, NOW)), Err(Refusal::Changed(_))));
    assert!(matches!(ask(&shown(7, NOW.plus_seconds(-301))), Err(Refusal::Changed(_))));
}

#[test]
fn a_policy_that_changed_closes_the_gate() {
    let mut standing = passing();
    standing.enrolment.as_mut().unwrap().policy.tag_wait_minutes = 5;
    assert!(matches!(ask(&standing), Err(Refusal::Changed(_))));
}

#[test]
fn a_stage_is_decided_once() {
    for decision in [Decision::Released, Decision::Rejected] {
        let standing = Standing { decision: Some(decision), ..passing() };
        assert!(matches!(ask(&standing), Err(Refusal::AlreadyDecided(_))), "{decision:?}");
    }
    assert!(matches!(
        ask(&Standing { version_taken: true, ..passing() }),
        Err(Refusal::AlreadyDecided(_))
    ));
    assert!(
        ask(&Standing { decision: Some(Decision::Approved), ..passing() }).is_ok(),
        "a cut-off release goes on"
    );
}

#[test]
fn observe_releases_without_a_pass_but_says_so_and_still_asks_for_the_code() {
    let mut standing = with_verdict(|v| v.outcome = Outcome::Fail);
    standing.enrolment = Some(enrolment(Mode::Observe, 1));
    assert!(ask(&standing).unwrap().unverified);
    let answer = decide(&standing, Asker::MaintainerSession, Factor::Absent, None, NOW);
    assert_eq!(answer, Err(Refusal::FactorMissing));
    standing.verdict = Some(verdict(Outcome::Pass));
    assert!(!ask(&standing).unwrap().unverified);
}

#[test]
fn without_an_enrolment_nothing_is_released() {
    assert!(matches!(ask(&Standing { enrolment: None, ..passing() }), Err(Refusal::Changed(_))));
}
