//! Between the moment at which something is looked at and the moment at which it counts: each test changes what stands in between, and
//! what was looked at before opens nothing.

use axum::http::StatusCode;
use countersign::{
    approval::{self, ApprovalRefused},
    error::Error,
    queue::{self, QueueError},
    store::{published, tokens::Scope},
};
use countersign_core::{
    gate::Shown,
    protocol::{Lease, VerificationId},
    report::State,
    verdict::Outcome,
};
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Fixture, PACKAGE, Pack, Served, honest};

async fn leased(fixture: &Fixture) -> (Uuid, Lease) {
    let token = fixture.token_secret(&[Scope::Worker], &[]).await.1;
    let lease = queue::lease(&fixture.app, token, "worker").await.unwrap().expect("a job is due");
    (token, lease)
}

/// Hands in what an honest worker finds that rebuilds these bytes.
async fn hand_in(
    fixture: &Fixture,
    (token, lease): &(Uuid, Lease),
    rebuilt: &Pack,
) -> Result<(), QueueError> {
    let app = &fixture.app;
    let staged = queue::staged_tarball(app, *token, &lease.id).await?;
    let rebuilt = rebuilt.tgz();
    queue::upload_rebuilt(app, *token, &lease.id, rebuilt.clone()).await?;
    queue::report(app, *token, &lease.id, honest(&lease.job, &staged, &rebuilt)).await
}

fn status(refused: ApprovalRefused) -> u16 {
    Error::from(refused).status().as_u16()
}

async fn is_live(fixture: &Fixture, version: &str) -> bool {
    let mut reader = fixture.app.store.read().await.unwrap();
    let (name, version) = (PACKAGE.parse().unwrap(), version.parse().unwrap());
    published::find(&mut reader, &name, &version).await.unwrap().is_some()
}

fn stolen() -> Pack {
    Pack::of("1.3.1").with("index.js", "steal()\n")
}

/// A stage that passes, rejected, and the same version staged once more with other bytes.
async fn staged_anew(fixture: &Fixture) -> (VerificationId, VerificationId) {
    let first = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    hand_in(fixture, &leased(fixture).await, &Pack::of("1.3.1")).await.unwrap();
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    approval::reject(&fixture.app, &ada, first, Some(&code), None).await.unwrap();
    (first, fixture.stage("1.3.1", &stolen()).await)
}

#[tokio::test]
async fn the_pass_of_a_rejected_stage_says_nothing_of_the_one_that_took_its_place() {
    let fixture = Fixture::enrolled().await;
    let (first, second) = staged_anew(&fixture).await;
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let shown = Shown {
        verdict: fixture.verification(first).await.verdict.unwrap(),
        at: fixture.app.now(),
    };
    let approve = async |id, shown: Option<&Shown>| {
        let asked = approval::approve(&fixture.app, &ada, id, Some(&code), shown).await;
        asked.map(drop).map_err(status)
    };
    // The old one is decided; the new one has no verdict yet, whichever was on the screen.
    assert_eq!(approve(first, Some(&shown)).await, Err(409));
    assert_eq!(approve(second, None).await, Err(423));
    assert!(approve(second, Some(&shown)).await.is_err());
    hand_in(&fixture, &leased(&fixture).await, &Pack::of("1.3.1")).await.unwrap();
    assert_eq!(fixture.report(second).await.verdict, Some(Outcome::Fail));
    assert!(approve(second, Some(&shown)).await.is_err());
    assert!(approve(second, None).await.is_err());
    assert!(!is_live(&fixture, "1.3.1").await);
}

#[tokio::test]
async fn a_worker_that_was_sent_for_a_rejected_stage_reports_to_nobody() {
    let fixture = Fixture::enrolled().await;
    let first = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let held = leased(&fixture).await;
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    approval::reject(&fixture.app, &ada, first, Some(&code), None).await.unwrap();
    let second = fixture.stage("1.3.1", &stolen()).await;
    let late = hand_in(&fixture, &held, &Pack::of("1.3.1")).await;
    assert!(matches!(late, Err(QueueError::LeaseDead)), "{late:?}");
    for id in [first, second] {
        assert_eq!(fixture.verification(id).await.verdict, None);
    }
}

#[tokio::test]
async fn a_report_counts_once_and_for_its_own_job_alone() {
    let fixture = Fixture::enrolled().await;
    let first = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let (token, lease) = leased(&fixture).await;
    let app = &fixture.app;
    let good = Pack::of("1.3.1").tgz();
    queue::upload_rebuilt(app, token, &lease.id, good.clone()).await.unwrap();
    let report = honest(&lease.job, &good, &good);
    queue::report(app, token, &lease.id, report.clone()).await.unwrap();
    let verdict = fixture.verification(first).await.verdict;
    let again = queue::report(app, token, &lease.id, report.clone()).await;
    assert!(matches!(again, Err(QueueError::LeaseDead)), "{again:?}");
    assert_eq!(fixture.verification(first).await.verdict, verdict);

    // The same report, in the lease of another version whose bytes are others.
    let second = fixture.stage("1.3.2", &Pack::of("1.3.2").with("index.js", "steal()\n")).await;
    let (token, lease) = leased(&fixture).await;
    queue::upload_rebuilt(app, token, &lease.id, good).await.unwrap();
    let elsewhere = queue::report(app, token, &lease.id, report).await;
    assert!(matches!(elsewhere, Err(QueueError::Disagrees(_))), "{elsewhere:?}");
    let verification = fixture.verification(second).await;
    assert_eq!((verification.state, verification.verdict), (State::Retrying, None));
}

#[tokio::test]
async fn what_a_worker_of_another_version_found_out_is_not_taken() {
    let fixture = Fixture::enrolled().await;
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let (token, lease) = leased(&fixture).await;
    let good = Pack::of("1.3.1").tgz();
    queue::upload_rebuilt(&fixture.app, token, &lease.id, good.clone()).await.unwrap();
    let mut report = honest(&lease.job, &good, &good);
    report.worker_version = "0.0.1".to_owned();
    let refused = queue::report(&fixture.app, token, &lease.id, report).await;
    let Err(QueueError::Disagrees(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("0.0.1"), "{why}");
    assert_eq!(fixture.verification(id).await.verdict, None);
}

/// npm asks without a code, is told to ask for one, and sends it: what changed in between closes the gate, and the code is
/// still good for something else.
#[tokio::test]
async fn what_changes_while_npm_asks_for_the_code_closes_the_gate_and_spends_no_code() {
    let served = Served::new().await;
    let fixture = &served.fixture;
    let id = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    served.rebuild(None).await;
    let session = served.session().await;
    let ask = async |code: Option<&str>| {
        let path = format!("/-/stage/{id}/approve");
        let request = served.request(Method::POST, &path, Some(&session));
        let request = match code {
            Some(code) => request.header("npm-otp", code),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap_or_default())
    };
    assert_eq!(ask(None).await.0, StatusCode::UNAUTHORIZED);
    let ada = fixture.authenticator("ada");
    fixture.enrol("ada", &ada, |proposal| proposal.branches = vec!["next".to_owned()]).await;
    let code = ada.fresh_code();
    let (status, body) = ask(Some(&code)).await;
    assert!(!status.is_success(), "{body}");
    assert!(!is_live(fixture, "1.3.1").await);
    let session = fixture.session("ada").await;
    approval::reject(&fixture.app, &session, id, Some(&code), None)
        .await
        .expect("the code was not spent");
}

#[tokio::test]
async fn a_code_that_opened_one_gate_opens_no_other() {
    let fixture = Fixture::enrolled().await;
    let mut stages = Vec::new();
    for version in ["1.3.1", "1.3.2"] {
        stages.push(fixture.stage(version, &Pack::of(version)).await);
        hand_in(&fixture, &leased(&fixture).await, &Pack::of(version)).await.unwrap();
    }
    let ada = fixture.session("ada").await;
    let code = fixture.authenticator("ada").fresh_code();
    let other = fixture.another_process().await;
    approval::approve(&fixture.app, &ada, stages[0], Some(&code), None).await.unwrap();
    let replayed = approval::approve(&other, &ada, stages[1], Some(&code), None).await;
    assert_eq!(replayed.map(drop).map_err(status), Err(401));
    assert!(!is_live(&fixture, "1.3.2").await);
}
