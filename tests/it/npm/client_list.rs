//! The real npm lists stages, whole at every size around its pages of a hundred.

use countersign::store::{
    tokens::Scope,
    verifications::{self, ActorType, Origin, Verification},
};
use countersign_core::{
    Access, Sha1, Sha512, Subject, Timestamp,
    protocol::VerificationId,
    report::{Enforcement, State},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{PACKAGE, RealNpm, Served};

/// Rows as intake would write them, one for each second; the tarballs' bytes are not asked for here.
async fn insert(served: &Served, from: usize, until: usize) {
    let mut writer = served.fixture.app.store.write().await.unwrap();
    for number in from..until {
        let version = format!("1.0.{number}");
        let at = Timestamp::from_seconds(1_700_000_000 + i64::try_from(number).unwrap());
        let manifest = json!({ "name": PACKAGE, "version": version });
        let new = Verification {
            id: VerificationId(Uuid::now_v7()),
            origin: Origin::Stage,
            subject: Subject {
                registry: served.url.clone(),
                name: PACKAGE.parse().unwrap(),
                version: version.parse().unwrap(),
                sha512: Sha512::of(version.as_bytes()),
                manifest_sha256: None,
                dist_tag: Some("latest".to_owned()),
                access: Some(Access::Public),
            },
            bytes: Some(1),
            shasum: Some(Sha1::of(version.as_bytes())),
            claims: Vec::new(),
            enforcement: Enforcement::Enforced,
            actor: "ci".to_owned(),
            actor_type: ActorType::TrustedAutomation,
            staged_at: at,
            created_at: at,
            state: State::Queued,
            round_started_at: at,
            attempts: 0,
            next_attempt_at: Some(at),
            tag_wait_until: None,
            tag_looks: 0,
            verdict: None,
            closed_at: None,
        };
        verifications::insert(&mut writer, &new, Some(&manifest)).await.unwrap();
    }
    writer.commit().await.unwrap();
}

async fn listed(npm: &RealNpm, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["stage", "list", "--json"], arguments].concat();
    let items = npm.run(&arguments).await.ok().json();
    let version = |item: &Value| item["version"].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(version).collect()
}

#[tokio::test]
async fn a_list_is_whole_at_every_size_and_newest_first() {
    let served = Served::new().await;
    served.enrol("@acme/widget").await;
    let token = served.token(&[Scope::Stage], &[]).await;
    let npm = RealNpm::with_token(&served.url, &token).await;
    let mut there = 0;
    for count in [0, 1, 100, 101, 250] {
        insert(&served, there, count).await;
        there = count;
        let expected: Vec<String> =
            (0..count).rev().map(|number| format!("1.0.{number}")).collect();
        assert_eq!(listed(&npm, &[]).await, expected, "{count}");
    }
    super::staged_as(&served, &token, "@acme/widget", "2.0.0").await;
    assert_eq!(listed(&npm, &["@acme/widget"]).await, ["2.0.0"]);
    assert_eq!(listed(&npm, &[PACKAGE]).await.len(), 250);
    assert_eq!(listed(&npm, &["other"]).await, Vec::<String>::new());
    let text = npm.run(&["stage", "list", "@acme/widget"]).await.ok().stdout;
    assert!(text.contains("verdict: queued") && text.contains("status: validating"), "{text}");
    let limited = served.token(&[Scope::Stage], &["@acme/widget"]).await;
    let npm = RealNpm::with_token(&served.url, &limited).await;
    assert_eq!(listed(&npm, &[]).await, ["2.0.0"]);
}
