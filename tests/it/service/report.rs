//! The service takes a report only where it comes to the same from the same bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    queue::{self, QueueError},
    store::{attempts, tokens::Scope},
};
use countersign_core::{
    attestation::{PAYLOAD_TYPE, pre_authentication, report_digest},
    finding::{Class, Code, Finding},
    protocol::{Attempt, Judged, Lease, VerificationId, WorkerReport},
    report::State,
    verdict::{Observations, Outcome},
};
use ed25519_dalek::Signature;
use uuid::Uuid;

use crate::support::{Fixture, Pack, honest, judged_with, observations};

struct Bench {
    fixture: Fixture,
    id: VerificationId,
    token: Uuid,
    lease: Lease,
    staged: bytes::Bytes,
}

impl Bench {
    async fn new(staged: &Pack) -> Self {
        let fixture = Fixture::enrolled().await;
        let id = fixture.stage("1.3.1", staged).await;
        let token = fixture.token_secret(&[Scope::Worker], &[]).await.1;
        let lease = queue::lease(&fixture.app, token, "worker").await.unwrap().unwrap();
        let staged = queue::staged_tarball(&fixture.app, token, &lease.id).await.unwrap();
        Self { fixture, id, token, lease, staged }
    }

    async fn upload(&self, rebuilt: &bytes::Bytes) {
        let app = &self.fixture.app;
        queue::upload_rebuilt(app, self.token, &self.lease.id, rebuilt.clone()).await.unwrap();
    }

    async fn hand_in(&self, report: WorkerReport) -> Result<(), QueueError> {
        queue::report(&self.fixture.app, self.token, &self.lease.id, report).await
    }

    /// The report is refused, and the job goes back to be tried again.
    async fn expect_refused(&self, report: WorkerReport) {
        let refused = self.hand_in(report).await;
        assert!(matches!(refused, Err(QueueError::Disagrees(_))), "{refused:?}");
        let verification = self.fixture.verification(self.id).await;
        assert_eq!((verification.state, verification.verdict), (State::Retrying, None));
        assert!(self.fixture.events(self.id).await.contains(&"report-refused".to_owned()));
    }
}

fn judged(report: &mut WorkerReport) -> &mut Judged {
    match &mut report.attempt {
        Attempt::Judged(judged) => judged,
        Attempt::TagMissing { .. } => panic!("the report has a verdict"),
    }
}

#[tokio::test]
async fn equal_files_are_a_pass_that_is_signed_over_the_very_report() {
    let bench = Bench::new(&Pack::of("1.3.1")).await;
    bench.upload(&bench.staged).await;
    bench.hand_in(honest(&bench.lease.job, &bench.staged, &bench.staged)).await.unwrap();

    let report = bench.fixture.report(bench.id).await;
    assert_eq!((report.state, report.verdict), (State::Final, Some(Outcome::Pass)));
    assert_eq!(
        report.summary,
        "left-pad 1.3.1 is exactly what commit 4f2c9e1 (tag v1.3.1) builds."
    );
    let app = &bench.fixture.app;
    let verdict = bench.fixture.verification(bench.id).await.verdict.unwrap();
    let attempt = attempts::find(&mut app.store.read().await.unwrap(), verdict).await;
    let envelope = attempt.unwrap().unwrap().envelope.unwrap();
    let payload = envelope.payload_bytes().unwrap();
    let signature =
        Signature::from_slice(&STANDARD.decode(&envelope.signatures[0].sig).unwrap()).unwrap();
    let signed = pre_authentication(PAYLOAD_TYPE, &payload);
    app.signer.public_key().verify_strict(&signed, &signature).unwrap();
    let statement: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(statement["predicate"]["verificationResult"], "PASSED");
    assert_eq!(statement["predicate"]["reportSha256"], report_digest(&report).to_hex());
    assert_eq!(statement["subject"][0]["digest"]["sha512"], report.artifact.sha512.to_hex());
}

#[tokio::test]
async fn a_changed_file_is_a_fail_that_names_it() {
    let bench = Bench::new(&Pack::of("1.3.1").with("index.js", "steal()\n")).await;
    let rebuilt = Pack::of("1.3.1").tgz();
    bench.upload(&rebuilt).await;
    bench.hand_in(honest(&bench.lease.job, &bench.staged, &rebuilt)).await.unwrap();
    let report = bench.fixture.report(bench.id).await;
    assert_eq!((report.verdict, report.class), (Some(Outcome::Fail), Some(Class::Differs)));
    assert_eq!(report.findings[0].path.as_deref(), Some("index.js"));
    assert_eq!(report.next.what, "Reject this stage, find out who changed index.js, stage again.");
}

#[tokio::test]
async fn a_worker_that_calls_different_files_a_pass_is_refused() {
    let bench = Bench::new(&Pack::of("1.3.1").with("index.js", "steal()\n")).await;
    let rebuilt = Pack::of("1.3.1").tgz();
    bench.upload(&rebuilt).await;
    // All that it says would hold if the staged bytes were what it rebuilt.
    let mut lie = honest(&bench.lease.job, &rebuilt, &rebuilt);
    lie.rebuilt_sha512 = honest(&bench.lease.job, &bench.staged, &rebuilt).rebuilt_sha512;
    bench.expect_refused(lie).await;
}

#[tokio::test]
async fn a_verdict_that_does_not_follow_from_its_own_observations_is_refused() {
    let bench = Bench::new(&Pack::of("1.3.1").with("index.js", "steal()\n")).await;
    let rebuilt = Pack::of("1.3.1").tgz();
    bench.upload(&rebuilt).await;
    let mut lie = honest(&bench.lease.job, &bench.staged, &rebuilt);
    judged(&mut lie).verdict.outcome = Outcome::Pass;
    bench.expect_refused(lie).await;
}

#[tokio::test]
async fn a_report_about_a_tarball_that_was_not_uploaded_is_refused() {
    let bench = Bench::new(&Pack::of("1.3.1")).await;
    bench.expect_refused(honest(&bench.lease.job, &bench.staged, &bench.staged)).await;
}

#[tokio::test]
async fn a_pass_from_another_source_than_the_enrolled_is_refused() {
    for change in [
        |seen: &mut Observations| {
            seen.source.as_mut().unwrap().repository = "evil/left-pad".parse().unwrap();
        },
        |seen: &mut Observations| seen.source.as_mut().unwrap().tag = "v1.3.0".to_owned(),
        |seen: &mut Observations| seen.source.as_mut().unwrap().enrolment_revision = Some(7),
        |seen: &mut Observations| {
            seen.source.as_mut().unwrap().directory = "packages/x".parse().unwrap();
        },
    ] {
        let bench = Bench::new(&Pack::of("1.3.1")).await;
        bench.upload(&bench.staged).await;
        let mut seen = observations(&bench.lease.job);
        change(&mut seen);
        let archives = Some((&bench.staged, &bench.staged));
        bench.expect_refused(judged_with(&bench.lease.job, seen, archives)).await;
    }
}

#[tokio::test]
async fn a_tag_that_moved_since_it_was_first_seen_cannot_pass() {
    let bench = Bench::new(&Pack::of("1.3.1").with("index.js", "steal()\n")).await;
    let rebuilt = Pack::of("1.3.1").tgz();
    bench.upload(&rebuilt).await;
    bench.hand_in(honest(&bench.lease.job, &bench.staged, &rebuilt)).await.unwrap();
    // The tag is moved to a commit that builds the staged bytes, and the enrolment is confirmed anew for a rerun.
    let fixture = &bench.fixture;
    fixture.enrol("ada", &fixture.authenticator("ada"), |_| {}).await;
    let ada = fixture.session("ada").await;
    queue::rerun(&fixture.app, &ada, bench.id).await.unwrap();
    let lease = queue::lease(&fixture.app, bench.token, "worker").await.unwrap().unwrap();
    let sight = lease.job.source.first_sight.clone().unwrap();
    let mut seen = observations(&lease.job);
    seen.source.as_mut().unwrap().commit = "0".repeat(40);
    assert_ne!(seen.source.as_ref().unwrap().commit, sight.commit);
    let app = &fixture.app;
    queue::upload_rebuilt(app, bench.token, &lease.id, bench.staged.clone()).await.unwrap();
    let archives = Some((&bench.staged, &bench.staged));
    let silent = judged_with(&lease.job, seen, archives);
    let refused = queue::report(app, bench.token, &lease.id, silent).await;
    assert!(matches!(refused, Err(QueueError::Disagrees(text)) if text.contains("moved")));
}

#[tokio::test]
async fn an_inconclusive_report_is_tried_again_and_its_attempt_stays_listed() {
    let bench = Bench::new(&Pack::of("1.3.1")).await;
    let reason = Finding::new(Code::RegistryUnavailable, "The registry did not answer.");
    let seen = Observations { undetermined: Some(reason), ..Observations::default() };
    bench.hand_in(judged_with(&bench.lease.job, seen, None)).await.unwrap();
    let report = bench.fixture.report(bench.id).await;
    assert_eq!((report.state, report.verdict), (State::Retrying, None));
    let mut reader = bench.fixture.app.store.read().await.unwrap();
    let listed = attempts::of(&mut reader, bench.id).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].judged.verdict.outcome, Outcome::Inconclusive);
    assert_eq!(listed[0].envelope, None, "there is nothing to attest");
}

#[tokio::test]
async fn a_pass_is_not_tried_again_and_a_fail_only_where_something_changed() {
    let bench = Bench::new(&Pack::of("1.3.1")).await;
    bench.upload(&bench.staged).await;
    bench.hand_in(honest(&bench.lease.job, &bench.staged, &bench.staged)).await.unwrap();
    let fixture = &bench.fixture;
    let ada = fixture.session("ada").await;
    assert!(queue::rerun(&fixture.app, &ada, bench.id).await.is_err());
    fixture.enrol("ada", &fixture.authenticator("ada"), |_| {}).await;
    queue::rerun(&fixture.app, &ada, bench.id).await.unwrap();
    assert_eq!(fixture.verification(bench.id).await.state, State::Queued);
    let mut reader = fixture.app.store.read().await.unwrap();
    assert_eq!(attempts::of(&mut reader, bench.id).await.unwrap().len(), 1);
}
