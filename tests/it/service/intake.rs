//! What comes in: stored whole and queued, judged at once where it is malformed, or refused with nothing left behind.

use countersign::{
    error::Error,
    intake::{self, IntakeRefused, Submission},
    store::{listing, tokens::Scope, verifications::Origin},
};
use countersign_core::{
    Sha512,
    finding::Class,
    npm_manifest,
    report::{Enforcement, State},
    verdict::Outcome,
};
use serde_json::json;

use crate::support::{Fixture, PACKAGE, Pack, package_json, staging};

fn status(refused: IntakeRefused) -> (u16, String) {
    let text = refused.to_string();
    (Error::from(refused).status().as_u16(), text)
}

async fn stored(fixture: &Fixture) -> u64 {
    let mut reader = fixture.app.store.read().await.unwrap();
    listing::count(&mut reader, &listing::Filter::default()).await.unwrap()
}

#[tokio::test]
async fn a_stage_is_stored_whole_and_queued() {
    let fixture = Fixture::enrolled().await;
    let pack = Pack::of("1.3.1");
    let id = fixture.stage("1.3.1", &pack).await;
    let found = fixture.verification(id).await;
    assert_eq!((found.state, found.origin), (State::Queued, Origin::Stage));
    assert_eq!(found.subject.sha512, Sha512::of(&pack.tgz()));
    let digest = npm_manifest::digest(&package_json("1.3.1"));
    assert_eq!(found.subject.manifest_sha256, Some(digest));
    assert_eq!(fixture.app.blobs.tarball(found.subject.sha512).await.unwrap(), pack.tgz());
    let report = fixture.report(id).await;
    assert_eq!(report.enforcement, Enforcement::Enforced);
    assert_eq!(report.summary, "left-pad 1.3.1 is staged and waits for a worker.");
}

#[tokio::test]
async fn a_name_that_nobody_enrolled_is_refused_with_the_command_and_nothing_is_stored() {
    let fixture = Fixture::new().await;
    let refused = fixture.try_stage("1.3.1", &Pack::of("1.3.1")).await.unwrap_err();
    let (code, text) = status(refused);
    assert_eq!(code, 403);
    assert!(
        text.contains("countersign package enrol left-pad --by MAINTAINER --repo URL"),
        "{text}"
    );
    assert_eq!(stored(&fixture).await, 0);
    assert!(!fixture.folder().join("blobs/sha512").exists());
}

#[tokio::test]
async fn the_same_version_is_not_staged_twice_and_the_first_is_named() {
    let fixture = Fixture::enrolled().await;
    let first = fixture.stage("1.3.1", &Pack::of("1.3.1")).await;
    let refused = fixture.try_stage("1.3.1", &Pack::of("1.3.1")).await.unwrap_err();
    let (code, text) = status(refused);
    assert_eq!((code, text.contains(&first.to_string())), (409, true), "{text}");
    assert_eq!(stored(&fixture).await, 1);
    fixture.stage("1.3.2", &Pack::of("1.3.2")).await;
}

#[tokio::test]
async fn a_malformed_tarball_has_its_verdict_at_once() {
    let fixture = Fixture::enrolled().await;
    let ci = fixture.token(&[Scope::Stage], &[]).await;
    let mut staging = staging("1.3.1", &Pack::of("1.3.1"));
    staging.tarball = bytes::Bytes::from_static(b"not a gzip");
    let id = intake::stage(&fixture.app, &ci, staging).await.unwrap();
    let report = fixture.report(id).await;
    assert_eq!((report.state, report.verdict), (State::Final, Some(Outcome::Fail)));
    assert_eq!((report.class, report.level), (Some(Class::Archive), None));
    assert_eq!(report.findings[0].code.as_str(), "archive-not-gzip");
    assert_eq!(fixture.events(id).await, ["staged", "judged"]);
}

#[tokio::test]
async fn a_manifest_that_hides_what_the_tarball_does_has_its_verdict_at_once() {
    let fixture = Fixture::enrolled().await;
    let mut inside = package_json("1.3.1");
    inside.insert("scripts".to_owned(), json!({ "postinstall": "node steal.js" }));
    let pack = Pack::of("1.3.1").with("package.json", &json!(inside).to_string());
    let id = fixture.stage("1.3.1", &pack).await;
    let report = fixture.report(id).await;
    assert_eq!((report.verdict, report.class), (Some(Outcome::Fail), Some(Class::Archive)));
    assert_eq!(report.findings[0].code.as_str(), "manifest-disagrees");
    assert!(report.findings[0].message.contains("scripts.postinstall"));
}

#[tokio::test]
async fn a_manifest_of_another_package_is_refused() {
    let fixture = Fixture::enrolled().await;
    let ci = fixture.token(&[Scope::Stage], &[]).await;
    let mut staging = staging("1.3.1", &Pack::of("1.3.1"));
    staging.manifest.insert("name".to_owned(), json!("other"));
    let refused = intake::stage(&fixture.app, &ci, staging).await.unwrap_err();
    assert_eq!(status(refused).0, 422);
    assert_eq!(stored(&fixture).await, 0);
}

#[tokio::test]
async fn only_a_token_for_this_package_and_scope_and_its_own_maintainers_may_stage() {
    let fixture = Fixture::enrolled().await;
    fixture.add_maintainer("eve").await;
    let askers = [
        fixture.token(&[Scope::Read, Scope::Verify], &[]).await,
        fixture.token(&[Scope::Stage], &["other"]).await,
        fixture.session("eve").await,
    ];
    for asker in askers {
        let staging = staging("1.3.1", &Pack::of("1.3.1"));
        let refused = intake::stage(&fixture.app, &asker, staging).await.unwrap_err();
        assert_eq!(status(refused).0, 403, "{asker:?}");
    }
    let ada = fixture.session("ada").await;
    let own = staging("1.3.1", &Pack::of("1.3.1"));
    intake::stage(&fixture.app, &ada, own).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_asks_about_an_unenrolled_package_gets_a_fail_that_is_not_signed() {
    let fixture = Fixture::new().await;
    let registry = fixture.token(&[Scope::Verify, Scope::Read], &[]).await;
    let pack = Pack::of("1.3.1").tgz();
    let submission = Submission {
        registry: "https://npm.example/".to_owned(),
        name: PACKAGE.parse().unwrap(),
        version: "1.3.1".parse().unwrap(),
        sha512: Sha512::of(&pack),
        tarball: None,
        manifest: None,
        dist_tag: None,
        access: None,
        staged_at: None,
        actor: None,
        stage_id: None,
        claims: Vec::new(),
    };
    let id = intake::submit(&fixture.app, &registry, submission.clone()).await.unwrap();
    let report = fixture.report(id).await;
    assert_eq!((report.verdict, report.class), (Some(Outcome::Fail), Some(Class::Source)));
    assert_eq!(report.findings[0].code.as_str(), "package-not-enrolled");
    assert_eq!(report.artifact.registry, "https://npm.example");
    assert_eq!(report.enforcement, Enforcement::Advisory);
    assert!(!report.links.contains_key("attestation"));
    intake::submit(&fixture.app, &registry, submission).await.expect("registries may ask twice");
}

#[tokio::test]
async fn a_registrys_tarball_has_to_have_the_stated_digest() {
    let fixture = Fixture::enrolled().await;
    let registry = fixture.token(&[Scope::Verify], &[]).await;
    let submission = Submission {
        registry: "https://npm.example".to_owned(),
        name: PACKAGE.parse().unwrap(),
        version: "1.3.1".parse().unwrap(),
        sha512: Sha512::of(b"something else"),
        tarball: Some(Pack::of("1.3.1").tgz()),
        manifest: Some(package_json("1.3.1")),
        dist_tag: None,
        access: None,
        staged_at: None,
        actor: None,
        stage_id: None,
        claims: Vec::new(),
    };
    let refused = intake::submit(&fixture.app, &registry, submission).await.unwrap_err();
    assert_eq!(status(refused).0, 422);
    assert_eq!(stored(&fixture).await, 0);
}
