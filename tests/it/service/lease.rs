//! Leases fence: what a worker does under a dead lease changes nothing, and another worker takes the job over.

use countersign::{
    queue::{self, QueueError},
    store::tokens::Scope,
};
use countersign_core::{
    limits::{ATTEMPTS_MAX, LEASE_SECONDS, RETRY_HOURS_MAX},
    plan::Given,
    protocol::{Heartbeat, HeartbeatAnswer, Lease, LeaseId, VerificationId},
    rebuild::Phase,
    report::State,
    verdict::Outcome,
};
use uuid::Uuid;

use crate::support::{Fixture, Pack, honest};

fn beat(phase: Phase) -> Heartbeat {
    Heartbeat { phase, detail: "npm ci".to_owned() }
}

fn past_the_lease() -> i64 {
    i64::try_from(LEASE_SECONDS).unwrap() + 1
}

async fn worker(fixture: &Fixture) -> Uuid {
    fixture.token_secret(&[Scope::Worker], &[]).await.1
}

async fn leased(fixture: &Fixture) -> (VerificationId, Uuid, Lease) {
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let token = worker(fixture).await;
    let lease = queue::lease(&fixture.app, token, "first").await.unwrap().unwrap();
    assert_eq!(lease.job.verification, id);
    (id, token, lease)
}

#[tokio::test]
async fn a_job_is_in_one_workers_hands_at_a_time() {
    let fixture = Fixture::enrolled().await;
    let (id, token, _) = leased(&fixture).await;
    assert_eq!(fixture.verification(id).await.state, State::Running);
    assert_eq!(queue::lease(&fixture.app, token, "second").await.unwrap(), None);
    let other = fixture.another_process().await;
    assert_eq!(queue::lease(&other, token, "third").await.unwrap(), None);
}

/// The parts of the plan that a maintainer confirmed reach the worker as they were confirmed, and those of another revision do
/// not stay behind.
#[tokio::test]
async fn a_worker_is_told_what_the_enrolment_sets_of_the_plan() {
    let fixture = Fixture::new().await;
    let ada = fixture.add_maintainer("ada").await;
    let text = r#"{"node":"22.23.3","steps":[{"argv":["node","make.js"]}]}"#;
    let given: Given = serde_json::from_str(text).unwrap();
    let set = given.clone();
    fixture.enrol("ada", &ada, |proposal| proposal.plan = set).await;
    let (_, _, lease) = leased(&fixture).await;
    assert_eq!(lease.job.plan, given);
    let sent = serde_json::to_value(&lease.job).unwrap();
    assert_eq!(sent["plan"]["steps"][0]["argv"][1], "make.js");
}

#[tokio::test]
async fn a_worker_without_a_sign_of_life_loses_the_job_and_its_late_report_changes_nothing() {
    let fixture = Fixture::enrolled().await;
    let (id, token, first) = leased(&fixture).await;
    fixture.clock.pass_seconds(past_the_lease());
    queue::sweep(&fixture.app).await.unwrap();
    assert_eq!(fixture.verification(id).await.state, State::Retrying);

    fixture.clock.pass_seconds(60);
    let second = queue::lease(&fixture.app, token, "second").await.unwrap().unwrap();
    assert_eq!((second.job.verification, second.job.attempt), (id, 2));

    let pack = Pack::of("1.3.1").tgz();
    let late = honest(&first.job, &pack, &pack);
    for refused in [
        queue::report(&fixture.app, token, &first.id, late).await.err(),
        queue::heartbeat(&fixture.app, token, &first.id, beat(Phase::Build)).await.err(),
        queue::upload_rebuilt(&fixture.app, token, &first.id, pack.clone()).await.err(),
        queue::upload_log(&fixture.app, token, &first.id, pack.clone()).await.err(),
        queue::staged_tarball(&fixture.app, token, &first.id).await.err(),
    ] {
        assert!(matches!(refused, Some(QueueError::LeaseDead)), "{refused:?}");
    }
    assert_eq!(fixture.verification(id).await.state, State::Running);

    queue::upload_rebuilt(&fixture.app, token, &second.id, pack.clone()).await.unwrap();
    let report = honest(&second.job, &pack, &pack);
    queue::report(&fixture.app, token, &second.id, report).await.unwrap();
    assert_eq!(fixture.report(id).await.verdict, Some(Outcome::Pass));
    let events = fixture.events(id).await;
    let expected =
        ["staged", "leased", "lease-expired", "retrying", "leased", "tag-seen", "judged"];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_heartbeat_keeps_the_lease_alive() {
    let fixture = Fixture::enrolled().await;
    let (_, token, lease) = leased(&fixture).await;
    for _ in 0..5 {
        fixture.clock.pass_seconds(past_the_lease() - 2);
        let answer = queue::heartbeat(&fixture.app, token, &lease.id, beat(Phase::Build)).await;
        assert_eq!(answer.unwrap(), HeartbeatAnswer::Continue);
    }
    assert!(queue::staged_tarball(&fixture.app, token, &lease.id).await.is_ok());
}

#[tokio::test]
async fn a_lease_is_worth_nothing_with_another_token_or_a_guessed_secret() {
    let fixture = Fixture::enrolled().await;
    let (_, token, lease) = leased(&fixture).await;
    let stranger = worker(&fixture).await;
    let guessed = LeaseId("0".repeat(64));
    for (token, lease) in [(stranger, &lease.id), (token, &guessed)] {
        let refused = queue::staged_tarball(&fixture.app, token, lease).await;
        assert!(matches!(refused, Err(QueueError::LeaseDead)));
    }
}

#[tokio::test]
async fn lost_workers_are_final_after_the_last_attempt_and_never_the_packages_fault() {
    let fixture = Fixture::enrolled().await;
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let token = worker(&fixture).await;
    for attempt in 1..=ATTEMPTS_MAX {
        fixture.clock.pass_seconds(3600);
        let lease = queue::lease(&fixture.app, token, "w").await.unwrap().unwrap();
        assert_eq!(lease.job.attempt, attempt);
        fixture.clock.pass_seconds(past_the_lease());
        queue::sweep(&fixture.app).await.unwrap();
    }
    let report = fixture.report(id).await;
    assert_eq!((report.state, report.verdict), (State::Final, Some(Outcome::Inconclusive)));
    assert_eq!(report.findings[0].code.as_str(), "worker-lost");
    fixture.clock.pass_seconds(7200);
    assert_eq!(queue::lease(&fixture.app, token, "w").await.unwrap(), None);
}

#[tokio::test]
async fn a_day_is_the_end_of_trying_whatever_the_attempts() {
    let fixture = Fixture::enrolled().await;
    let (id, _, _) = leased(&fixture).await;
    fixture.clock.pass_seconds(i64::try_from(RETRY_HOURS_MAX).unwrap() * 3600);
    queue::sweep(&fixture.app).await.unwrap();
    assert_eq!(fixture.verification(id).await.state, State::Final);
}

#[tokio::test]
async fn the_pause_between_attempts_doubles_and_is_told() {
    let fixture = Fixture::enrolled().await;
    let (id, token, _) = leased(&fixture).await;
    fixture.clock.pass_seconds(past_the_lease());
    queue::sweep(&fixture.app).await.unwrap();
    let summary = fixture.report(id).await.summary;
    assert_eq!(
        summary,
        "We could not tell yet about left-pad 1.3.1: The worker `first` gave no sign of life for 30 s. \
         Trying again in 5 s (2 of 5)."
    );
    fixture.clock.pass_seconds(5);
    queue::lease(&fixture.app, token, "second").await.unwrap().unwrap();
    fixture.clock.pass_seconds(past_the_lease());
    queue::sweep(&fixture.app).await.unwrap();
    assert!(fixture.report(id).await.summary.ends_with("Trying again in 10 s (3 of 5)."));
}

#[tokio::test]
async fn a_withdrawn_job_is_told_to_stop() {
    let fixture = Fixture::enrolled().await;
    let (id, token, lease) = leased(&fixture).await;
    let ci = fixture.token(&[Scope::Stage], &[]).await;
    queue::cancel(&fixture.app, &ci, id).await.unwrap();
    let answer = queue::heartbeat(&fixture.app, token, &lease.id, beat(Phase::Build)).await;
    assert_eq!(answer.unwrap(), HeartbeatAnswer::Stop);
    let pack = Pack::of("1.3.1").tgz();
    let late =
        queue::report(&fixture.app, token, &lease.id, honest(&lease.job, &pack, &pack)).await;
    assert!(matches!(late, Err(QueueError::LeaseDead)));
    assert_eq!(fixture.verification(id).await.state, State::Cancelled);
    fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
}
