//! A stage waits for its tag: nothing is judged before the tag names a commit, and the wait has an end.

use countersign::{queue, store::tokens::Scope};
use countersign_core::{
    finding::Class,
    protocol::{Attempt, Heartbeat, Lease, VerificationId, WorkerReport},
    rebuild::Phase,
    report::State,
    verdict::Outcome,
};
use uuid::Uuid;

use crate::support::{Fixture, Pack, honest};

async fn staged() -> (Fixture, VerificationId, Uuid) {
    let fixture = Fixture::enrolled().await;
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let token = fixture.token_secret(&[Scope::Worker], &[]).await.1;
    (fixture, id, token)
}

async fn next(fixture: &Fixture, token: Uuid) -> Option<Lease> {
    queue::lease(&fixture.app, token, "worker").await.unwrap()
}

async fn miss(fixture: &Fixture, token: Uuid, lease: &Lease) {
    let missing = WorkerReport {
        worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        attempt: Attempt::TagMissing { tag: "v1.3.1".to_owned() },
        rebuilt_sha512: None,
    };
    queue::report(&fixture.app, token, &lease.id, missing).await.unwrap();
}

#[tokio::test]
async fn a_stage_whose_tag_is_missing_waits_and_says_which_to_push() {
    let (fixture, id, token) = staged().await;
    let lease = next(&fixture, token).await.unwrap();
    miss(&fixture, token, &lease).await;
    fixture.clock.pass_seconds(13 * 60);
    let report = fixture.report(id).await;
    assert_eq!((report.state, report.verdict), (State::WaitingForTag, None));
    assert_eq!(
        report.summary,
        "left-pad 1.3.1 is staged; its tag v1.3.1 is not there yet. Push it and we go on (47 minutes left)."
    );
    assert_eq!(report.next.command.as_deref(), Some("git push origin v1.3.1"));
}

#[tokio::test]
async fn looks_are_spaced_and_are_no_attempts() {
    let (fixture, id, token) = staged().await;
    for pause in [5, 10, 20, 40, 60, 60] {
        let lease = next(&fixture, token).await.expect("it is time to look");
        assert_eq!(lease.job.attempt, 1);
        miss(&fixture, token, &lease).await;
        fixture.clock.pass_seconds(pause - 1);
        assert!(next(&fixture, token).await.is_none(), "not before {pause} s");
        fixture.clock.pass_seconds(1);
    }
    assert_eq!(fixture.verification(id).await.attempts, 0);
}

#[tokio::test]
async fn a_look_keeps_the_state_until_the_tag_was_found() {
    let (fixture, id, token) = staged().await;
    let first = next(&fixture, token).await.unwrap();
    miss(&fixture, token, &first).await;
    fixture.clock.pass_seconds(5);
    let second = next(&fixture, token).await.unwrap();
    for (phase, state) in [
        (Phase::Fetch, State::WaitingForTag),
        (Phase::Checkout, State::WaitingForTag),
        (Phase::Install, State::Running),
    ] {
        let beat = Heartbeat { phase, detail: String::new() };
        queue::heartbeat(&fixture.app, token, &second.id, beat).await.unwrap();
        assert_eq!(fixture.verification(id).await.state, state);
    }
    let pack = Pack::of("1.3.1").tgz();
    queue::upload_rebuilt(&fixture.app, token, &second.id, pack.clone()).await.unwrap();
    let report = honest(&second.job, &pack, &pack);
    queue::report(&fixture.app, token, &second.id, report).await.unwrap();
    assert_eq!(fixture.report(id).await.verdict, Some(Outcome::Pass));
}

#[tokio::test]
async fn at_the_end_of_the_wait_it_is_a_fail_of_the_source() {
    let (fixture, id, token) = staged().await;
    let lease = next(&fixture, token).await.unwrap();
    miss(&fixture, token, &lease).await;
    fixture.clock.pass_seconds(60 * 60 - 1);
    queue::sweep(&fixture.app).await.unwrap();
    assert_eq!(fixture.verification(id).await.state, State::WaitingForTag);
    fixture.clock.pass_seconds(1);
    queue::sweep(&fixture.app).await.unwrap();
    let report = fixture.report(id).await;
    assert_eq!((report.verdict, report.class), (Some(Outcome::Fail), Some(Class::Source)));
    assert_eq!(report.findings[0].code.as_str(), "tag-not-found");
    assert!(report.findings[0].message.contains("`v1.3.1`"));

    // Pushed late, a rerun takes it up again.
    let ci = fixture.token(&[Scope::Stage], &[]).await;
    queue::rerun(&fixture.app, &ci, id).await.unwrap();
    assert!(next(&fixture, token).await.is_some());
}

#[tokio::test]
async fn a_worker_that_looked_for_another_tag_is_refused() {
    let (fixture, _, token) = staged().await;
    let lease = next(&fixture, token).await.unwrap();
    let missing = WorkerReport {
        worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        attempt: Attempt::TagMissing { tag: "1.3.1".to_owned() },
        rebuilt_sha512: None,
    };
    assert!(queue::report(&fixture.app, token, &lease.id, missing).await.is_err());
}
