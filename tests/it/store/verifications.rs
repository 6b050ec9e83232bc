//! Verifications, leases, verdicts, decisions, published versions, tags and kept answers.

use countersign::store::{
    Writer,
    decisions::{self, DecisionRow, Kind},
    idempotency,
    leases::{self, LeaseEnding, LeaseRow},
    listing::{self, Filter},
    maintainers,
    published::{self, Published},
    tag_sights,
    verifications::{self, ActorType, Origin, Verification},
};
use countersign_core::{
    Access, Sha1, Sha256, Sha512, Subject, Timestamp,
    protocol::{VerdictId, VerificationId},
    rebuild::Phase,
    report::{Enforcement, State},
    source::{Claim, EvidenceKind, FirstSight, Repository},
};
use serde_json::json;
use uuid::Uuid;

use crate::support::Fixture;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn verification(number: u128, package: &str, version: &str) -> Verification {
    Verification {
        id: VerificationId(Uuid::from_u128(number)),
        origin: Origin::Stage,
        subject: Subject {
            registry: "http://localhost".to_owned(),
            name: package.parse().unwrap(),
            version: version.parse().unwrap(),
            sha512: Sha512::of(version.as_bytes()),
            manifest_sha256: Some(Sha256::of(b"manifest")),
            dist_tag: Some("latest".to_owned()),
            access: Some(Access::Restricted),
        },
        bytes: Some(7),
        shasum: Some(Sha1::of(b"x")),
        claims: vec![Claim { kind: EvidenceKind::GitHead, commit: "abc".to_owned() }],
        enforcement: Enforcement::Enforced,
        actor: "token:1".to_owned(),
        actor_type: ActorType::TrustedAutomation,
        staged_at: NOW.plus_seconds(-5),
        created_at: NOW.plus_seconds(i64::try_from(number).unwrap()),
        state: State::Queued,
        round_started_at: NOW,
        attempts: 0,
        next_attempt_at: Some(NOW),
        tag_wait_until: None,
        tag_looks: 0,
        verdict: None,
        closed_at: None,
    }
}

async fn insert(writer: &mut Writer, new: &Verification) {
    verifications::insert(writer, new, Some(&json!({ "name": "x" }))).await.unwrap();
}

fn lease(number: u128, of: &Verification) -> LeaseRow {
    LeaseRow {
        id: Uuid::from_u128(number),
        verification: of.id,
        attempt: 1,
        worker: "w".to_owned(),
        token: Uuid::from_u128(9),
        enrolment_revision: 3,
        granted_at: NOW,
        expires_at: NOW.plus_seconds(30),
        phase: None,
        detail: None,
        rebuilt_sha512: None,
        log_sha256: None,
        ended: None,
    }
}

#[tokio::test]
async fn a_verification_survives_the_store_whole() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let mut one = verification(1, "@s/p", "1.0.0-rc.1");
    insert(&mut writer, &one).await;
    assert_eq!(verifications::find(&mut writer, one.id).await.unwrap().as_ref(), Some(&one));
    let manifest = verifications::manifest(&mut writer, one.id).await.unwrap();
    assert_eq!(manifest, Some(json!({ "name": "x" })));
    one.state = State::WaitingForTag;
    one.tag_looks = 3;
    one.attempts = 1;
    one.tag_wait_until = Some(NOW.plus_seconds(60));
    verifications::update(&mut writer, &one).await.unwrap();
    assert_eq!(verifications::find(&mut writer, one.id).await.unwrap(), Some(one));
}

#[tokio::test]
async fn one_stage_of_a_version_is_live_and_closing_it_frees_the_version() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let mut first = verification(1, "p", "1.0.0");
    insert(&mut writer, &first).await;
    let second = verification(2, "p", "1.0.0");
    let refused = verifications::insert(&mut writer, &second, None).await.unwrap_err();
    assert!(refused.is_refused_by("verifications_one_live_stage"), "{refused:?}");
    insert(&mut writer, &verification(3, "p", "1.0.1")).await;
    let asked = Verification { origin: Origin::Api, ..verification(4, "p", "1.0.0") };
    insert(&mut writer, &asked).await;
    first.closed_at = Some(NOW);
    verifications::update(&mut writer, &first).await.unwrap();
    insert(&mut writer, &second).await;
    let (name, version) = ("p".parse().unwrap(), "1.0.0".parse().unwrap());
    let live = verifications::live_stage(&mut writer, &name, &version).await.unwrap();
    assert_eq!(live.map(|live| live.id), Some(second.id));
}

#[tokio::test]
async fn the_database_refuses_states_that_contradict_themselves() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let changes: [fn(&mut Verification); 3] = [
        |one| one.next_attempt_at = None,
        |one| one.state = State::Running,
        |one| {
            one.state = State::Final;
            one.next_attempt_at = None;
        },
    ];
    for change in changes {
        let mut wrong = verification(1, "p", "1.0.0");
        change(&mut wrong);
        assert!(verifications::insert(&mut writer, &wrong, None).await.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_is_due_first_is_first_and_what_is_not_due_waits() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    for (number, seconds) in [(1, 20), (2, 10), (3, 10)] {
        let mut one = verification(number, "p", &format!("1.0.{number}"));
        one.next_attempt_at = Some(NOW.plus_seconds(seconds));
        insert(&mut writer, &one).await;
    }
    assert_eq!(verifications::due(&mut writer, NOW.plus_seconds(9)).await.unwrap(), None);
    let due = verifications::due(&mut writer, NOW.plus_seconds(30)).await.unwrap().unwrap();
    assert_eq!(due.id, VerificationId(Uuid::from_u128(2)));
    assert_eq!(verifications::queue_length(&mut writer).await.unwrap(), (3, 0));
}

#[tokio::test]
async fn a_second_lease_waits_for_the_end_of_the_first() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let one = verification(1, "p", "1.0.0");
    insert(&mut writer, &one).await;
    let (secret, other) = (Sha256::of(b"1"), Sha256::of(b"2"));
    let mut first = lease(1, &one);
    leases::insert(&mut writer, &first, secret).await.unwrap();
    let refused = leases::insert(&mut writer, &lease(2, &one), other).await.unwrap_err();
    assert!(refused.is_refused_by("leases_one_live"), "{refused:?}");

    first.phase = Some(Phase::Build);
    first.detail = Some("tsc".to_owned());
    first.rebuilt_sha512 = Some(Sha512::of(b"r"));
    first.log_sha256 = Some(Sha256::of(b"l"));
    leases::update(&mut writer, &first).await.unwrap();
    assert_eq!(leases::find(&mut writer, secret).await.unwrap().as_ref(), Some(&first));
    assert_eq!(leases::open_of(&mut writer, one.id).await.unwrap().as_ref(), Some(&first));
    let end = NOW.plus_seconds(30);
    assert!(first.is_live(NOW) && !first.is_live(end));
    assert_eq!(leases::overdue(&mut writer, end).await.unwrap(), [first.clone()]);
    first.ended = Some((end, LeaseEnding::Expired));
    leases::update(&mut writer, &first).await.unwrap();
    assert_eq!(leases::overdue(&mut writer, end).await.unwrap(), []);
    leases::insert(&mut writer, &lease(2, &one), other).await.unwrap();
}

#[tokio::test]
async fn a_list_holds_what_the_asker_may_see_newest_first() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    let mut writer = fixture.app.store.write().await.unwrap();
    for (number, package) in [(1, "a"), (2, "b"), (3, "a")] {
        insert(&mut writer, &verification(number, package, &format!("1.0.{number}"))).await;
    }
    maintainers::add_to_package(&mut writer, "ada", &"a".parse().unwrap(), NOW).await.unwrap();
    maintainers::add_to_package(&mut writer, "ada", &"a".parse().unwrap(), NOW).await.unwrap();
    let everything = Filter::default();
    let adas = Filter { maintainer: Some("ada".to_owned()), ..Filter::default() };
    let nobodys = Filter { limited_token: Some(Uuid::from_u128(1)), ..Filter::default() };
    let one = Filter { version: Some("1.0.2".parse().unwrap()), ..Filter::default() };
    for (filter, expected) in
        [(&everything, vec![3, 2, 1]), (&adas, vec![3, 1]), (&nobodys, vec![]), (&one, vec![2])]
    {
        let listed = listing::list(&mut writer, filter, 0, 10).await.unwrap();
        let ids: Vec<u128> = listed.iter().map(|one| one.verification.id.0.as_u128()).collect();
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(listing::count(&mut writer, filter).await.unwrap(), expected.len() as u64);
    }
    let page = listing::list(&mut writer, &everything, 1, 1).await.unwrap();
    assert_eq!(page[0].verification.id, VerificationId(Uuid::from_u128(2)));
}

#[tokio::test]
async fn an_unreleased_approval_gives_way_and_a_released_one_stands() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let one = verification(1, "p", "1.0.0");
    insert(&mut writer, &one).await;
    let decision = |step: u64, kind: Kind| DecisionRow {
        verification: one.id,
        kind,
        by: "ada".to_owned(),
        at: NOW,
        factor_step: step,
        verdict: Some(VerdictId(Uuid::from_u128(5))),
        unverified: false,
        reason: None,
        released_at: None,
    };
    decisions::record(&mut writer, &decision(1, Kind::Approved)).await.unwrap();
    decisions::record(&mut writer, &decision(2, Kind::Approved)).await.unwrap();
    let found = decisions::find(&mut writer, one.id).await.unwrap();
    assert_eq!(found, Some(decision(2, Kind::Approved)));
    assert_eq!(decisions::under_way(&mut writer).await.unwrap().len(), 1);
    assert!(decisions::released(&mut writer, one.id, NOW).await.unwrap());
    assert!(!decisions::released(&mut writer, one.id, NOW).await.unwrap());
    assert_eq!(decisions::under_way(&mut writer).await.unwrap(), []);
    let refused = decisions::record(&mut writer, &decision(3, Kind::Rejected)).await.unwrap_err();
    assert!(refused.is_refused_by("decisions_once"), "{refused:?}");
}

#[tokio::test]
async fn a_version_goes_live_once_and_a_tag_moves() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let name = "p".parse().unwrap();
    for (number, version) in [(1, "1.0.0"), (2, "1.0.1"), (3, "1.0.2")] {
        insert(&mut writer, &verification(number, "p", version)).await;
    }
    let live = |number: u128, version: &str| Published {
        package: "p".parse().unwrap(),
        version: version.parse().unwrap(),
        verification: VerificationId(Uuid::from_u128(number)),
        manifest: json!({ "name": "p" }),
        sha512: Sha512::of(b"x"),
        shasum: Sha1::of(b"x"),
        bytes: 1,
        access: Access::Public,
        unverified: true,
        released_at: NOW.plus_seconds(i64::try_from(number).unwrap()),
    };
    for (number, version) in [(1, "1.0.0"), (2, "1.0.1")] {
        published::insert(&mut writer, &live(number, version)).await.unwrap();
        let version = version.parse().unwrap();
        published::set_dist_tag(&mut writer, &name, "latest", &version, NOW).await.unwrap();
    }
    let refused = published::insert(&mut writer, &live(3, "1.0.1")).await.unwrap_err();
    assert!(refused.is_refused_by("published_versions_version"), "{refused:?}");
    let all = published::of(&mut writer, &name).await.unwrap();
    assert_eq!(all, [live(1, "1.0.0"), live(2, "1.0.1")]);
    let tags = published::dist_tags(&mut writer, &name).await.unwrap();
    assert_eq!(tags["latest"].as_str(), "1.0.1");
    let unknown = "9.9.9".parse().unwrap();
    assert!(published::set_dist_tag(&mut writer, &name, "x", &unknown, NOW).await.is_err());
}

#[tokio::test]
async fn the_first_sight_of_a_tag_stands() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let name = "p".parse().unwrap();
    let repository: Repository = "https://git.example/p".parse().unwrap();
    let sight = |commit: &str| FirstSight { commit: commit.to_owned(), at: NOW };
    for (commit, is_first) in [("a", true), ("b", false)] {
        let recorded =
            tag_sights::record(&mut writer, &name, &repository, "v1", &sight(commit)).await;
        assert_eq!(recorded.unwrap(), is_first);
    }
    let found = tag_sights::find(&mut writer, &name, &repository, "v1").await.unwrap();
    assert_eq!(found, Some(sight("a")));
    let moved: Repository = "https://git.example/q".parse().unwrap();
    assert_eq!(tag_sights::find(&mut writer, &name, &moved, "v1").await.unwrap(), None);
}

#[tokio::test]
async fn a_key_answers_one_request() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let request = Sha256::of(b"request");
    assert!(idempotency::begin(&mut writer, "me", "k", request, NOW).await.unwrap());
    assert!(!idempotency::begin(&mut writer, "me", "k", request, NOW).await.unwrap());
    assert!(idempotency::begin(&mut writer, "you", "k", request, NOW).await.unwrap());
    let kept = idempotency::find(&mut writer, "me", "k").await.unwrap().unwrap();
    assert_eq!((kept.request, kept.answer), (request, None));
    idempotency::finish(&mut writer, "me", "k", 202, "{}").await.unwrap();
    let kept = idempotency::find(&mut writer, "me", "k").await.unwrap().unwrap();
    assert_eq!(kept.answer, Some((202, "{}".to_owned())));
    idempotency::abandon(&mut writer, "me", "k").await.unwrap();
    assert!(idempotency::find(&mut writer, "me", "k").await.unwrap().is_some(), "it is answered");
    idempotency::abandon(&mut writer, "you", "k").await.unwrap();
    assert_eq!(idempotency::find(&mut writer, "you", "k").await.unwrap(), None);
}
