//! A release survives a crash between any two of its steps, and is done once however often it is asked for. A crash is the
//! end of everything that the process held in memory: another process opens the same data.

use countersign::{
    approval::{self, ApprovalRefused},
    queue,
    store::{decisions, published, tokens::Scope},
};
use countersign_core::protocol::VerificationId;

use crate::support::{Fixture, PACKAGE, Pack, honest};

async fn passed(fixture: &Fixture, version: &str) -> VerificationId {
    let id = fixture.stage(version, &Pack::of(version)).await;
    let token = fixture.token_secret(&[Scope::Worker], &[]).await.1;
    let app = &fixture.app;
    let lease = queue::lease(app, token, "worker").await.unwrap().unwrap();
    let pack = Pack::of(version).tgz();
    queue::upload_rebuilt(app, token, &lease.id, pack.clone()).await.unwrap();
    queue::report(app, token, &lease.id, honest(&lease.job, &pack, &pack)).await.unwrap();
    id
}

async fn approve_and_crash(fixture: &Fixture, id: VerificationId) {
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    approval::record_approval(&fixture.app, &ada, id, Some(&code), None).await.unwrap();
}

async fn live_versions(app: &countersign::app::App) -> Vec<String> {
    let mut reader = app.store.read().await.unwrap();
    let live = published::of(&mut reader, &PACKAGE.parse().unwrap()).await.unwrap();
    live.into_iter().map(|live| live.version.to_string()).collect()
}

#[tokio::test]
async fn an_approval_that_was_cut_off_before_its_release_is_finished_at_the_next_start() {
    let fixture = Fixture::enrolled().await;
    let id = passed(&fixture, "1.3.1").await;
    approve_and_crash(&fixture, id).await;
    assert_eq!(live_versions(&fixture.app).await, Vec::<String>::new());
    assert_eq!(fixture.report(id).await.next.what, "Its release is under way.");

    fixture.clock.pass_seconds(24 * 3600);
    let next = fixture.another_process().await;
    assert_eq!(approval::finish_releases(&next).await.unwrap(), 1);
    assert_eq!(live_versions(&next).await, ["1.3.1"]);
    assert_eq!(approval::finish_releases(&next).await.unwrap(), 0);
    let events = fixture.events(id).await;
    assert_eq!(events.iter().filter(|kind| *kind == "released").count(), 1);
}

#[tokio::test]
async fn a_release_that_is_asked_for_again_and_at_once_is_done_once() {
    let fixture = Fixture::enrolled().await;
    let id = passed(&fixture, "1.3.1").await;
    approve_and_crash(&fixture, id).await;
    let other = fixture.another_process().await;
    let (one, two) =
        tokio::join!(approval::release(&fixture.app, id), approval::release(&other, id));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(live_versions(&other).await, ["1.3.1"]);
    let events = fixture.events(id).await;
    assert_eq!(events.iter().filter(|kind| *kind == "released").count(), 1);
}

#[tokio::test]
async fn a_crash_before_the_decision_was_written_leaves_the_code_unspent() {
    let fixture = Fixture::enrolled().await;
    let id = passed(&fixture, "1.3.1").await;
    let code = fixture.authenticator("ada").fresh_code();
    let mut writer = fixture.app.store.write().await.unwrap();
    let now = fixture.app.now();
    let spent = countersign::second_factor::spend_code(&mut writer, "ada", &code, now).await;
    assert!(spent.unwrap().is_ok());
    drop(writer);
    let next = fixture.another_process().await;
    let ada = fixture.session("ada").await;
    approval::approve(&next, &ada, id, Some(&code), None).await.unwrap();
}

#[tokio::test]
async fn what_nobody_approved_is_not_released_by_asking() {
    let fixture = Fixture::enrolled().await;
    let id = passed(&fixture, "1.3.1").await;
    let refused = approval::release(&fixture.app, id).await;
    assert!(matches!(refused, Err(ApprovalRefused::NotFound(_))), "{refused:?}");
    assert_eq!(live_versions(&fixture.app).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_enrolment_that_changed_between_approval_and_release_stops_it() {
    let fixture = Fixture::enrolled().await;
    let id = passed(&fixture, "1.3.1").await;
    approve_and_crash(&fixture, id).await;
    fixture.enrol("ada", &fixture.authenticator("ada"), |_| {}).await;
    let next = fixture.another_process().await;
    assert_eq!(approval::finish_releases(&next).await.unwrap(), 0);
    assert_eq!(live_versions(&next).await, Vec::<String>::new());
    let mut reader = next.store.read().await.unwrap();
    assert_eq!(decisions::under_way(&mut reader).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_version_goes_live_under_its_own_approval_in_any_order() {
    let fixture = Fixture::enrolled().await;
    let first = passed(&fixture, "1.3.1").await;
    let second = passed(&fixture, "1.3.2").await;
    approve_and_crash(&fixture, second).await;
    approve_and_crash(&fixture, first).await;
    let next = fixture.another_process().await;
    assert_eq!(approval::finish_releases(&next).await.unwrap(), 2);
    assert_eq!(live_versions(&next).await.len(), 2);
}
