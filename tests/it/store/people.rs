//! Maintainers, sessions, tokens, guesses and enrolments.

use countersign::store::{
    Store, enrolments,
    guesses::{self, GuessedFactor},
    maintainers::{self, Maintainer},
    sessions::{self, Session, SessionKind},
    tokens::{self, Packages, Scope, Token},
};
use countersign_core::{
    Sha256,
    enrolment::{Enrolment, Mode},
    policy::Policy,
    source::TagPattern,
};
use uuid::Uuid;

use crate::support::{Fixture, PACKAGE};

#[tokio::test]
async fn processes_that_start_at_once_on_an_empty_folder_all_find_a_whole_database() {
    // Several rounds: one alone meets the moment in which a new file changes to WAL only now and then.
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite://{}/new-{round}.sqlite", folder.path().display());
        let open = || async { Store::open(&address).await.unwrap().ping().await.unwrap() };
        tokio::join!(open(), open(), open(), open(), open(), open(), open(), open());
    }
}

#[tokio::test]
async fn a_name_is_one_maintainer() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let again = Maintainer {
        name: "ada".to_owned(),
        password_hash: String::new(),
        totp_secret: String::new(),
        totp_last_step: None,
        created_at: fixture.app.now(),
    };
    let refused = maintainers::insert(&mut writer, &again).await.unwrap_err();
    assert!(refused.is_refused_by("maintainers_name"), "{refused:?}");
}

#[tokio::test]
async fn an_accepted_step_only_rises() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    let mut writer = fixture.app.store.write().await.unwrap();
    for (step, accepted) in [(5, true), (5, false), (4, false), (6, true)] {
        let answer = maintainers::accept_step(&mut writer, "ada", step).await.unwrap();
        assert_eq!(answer, accepted, "{step}");
    }
    let ada = maintainers::find(&mut writer, "ada").await.unwrap().unwrap();
    assert_eq!(ada.totp_last_step, Some(6));
}

#[tokio::test]
async fn a_session_lives_until_it_expires_or_is_ended() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    let now = fixture.app.now();
    let secret = Sha256::of(b"secret");
    let session = Session {
        id: Uuid::from_u128(1),
        kind: SessionKind::Page,
        maintainer: "ada".to_owned(),
        created_at: now,
        expires_at: now.plus_seconds(10),
        revoked_at: None,
    };
    let mut writer = fixture.app.store.write().await.unwrap();
    sessions::insert(&mut writer, &session, secret).await.unwrap();
    let found = sessions::find_live(&mut writer, secret, now).await.unwrap();
    assert_eq!(found.as_ref(), Some(&session));
    let at_its_end = sessions::find_live(&mut writer, secret, now.plus_seconds(10)).await.unwrap();
    assert_eq!(at_its_end, None);
    let other = sessions::find_live(&mut writer, Sha256::of(b"other"), now).await.unwrap();
    assert_eq!(other, None);
    assert!(sessions::revoke(&mut writer, session.id, now).await.unwrap());
    assert!(!sessions::revoke(&mut writer, session.id, now).await.unwrap());
    assert_eq!(sessions::find_live(&mut writer, secret, now).await.unwrap(), None);
}

#[tokio::test]
async fn a_token_keeps_its_scopes_and_packages_and_an_empty_list_is_no_package() {
    let fixture = Fixture::new().await;
    let now = fixture.app.now();
    let mut writer = fixture.app.store.write().await.unwrap();
    for (number, packages) in [
        (1, Packages::Every),
        (2, Packages::Only(vec!["@a/b".parse().unwrap(), "left-pad".parse().unwrap()])),
        (3, Packages::Only(Vec::new())),
    ] {
        let secret = Sha256::of(&[number]);
        let token = Token {
            id: Uuid::from_u128(u128::from(number)),
            scopes: vec![Scope::Read, Scope::Stage],
            packages,
            created_by: "operator".to_owned(),
            created_at: now,
            expires_at: now.plus_seconds(10),
            revoked_at: None,
        };
        tokens::insert(&mut writer, &token, secret).await.unwrap();
        let found = tokens::find_live(&mut writer, secret, now).await.unwrap().unwrap();
        assert_eq!(found, token);
        assert_eq!(found.packages.contain(&PACKAGE.parse().unwrap()), number != 3);
        let later = now.plus_seconds(10);
        assert_eq!(tokens::find_live(&mut writer, secret, later).await.unwrap(), None);
        assert!(tokens::revoke(&mut writer, token.id, now).await.unwrap());
        assert_eq!(tokens::find_live(&mut writer, secret, now).await.unwrap(), None);
    }
    assert_eq!(tokens::all(&mut writer).await.unwrap().len(), 3);
}

#[tokio::test]
async fn guesses_are_counted_by_account_and_factor_within_the_window() {
    let fixture = Fixture::new().await;
    let now = fixture.app.now();
    let mut writer = fixture.app.store.write().await.unwrap();
    let (code, password) = (GuessedFactor::Code, GuessedFactor::Password);
    let mut last = None;
    for (account, factor, seconds) in
        [("ada", code, 0), ("ada", code, 5), ("ada", password, 5), ("eve", code, 5)]
    {
        let at = now.plus_seconds(seconds);
        last = Some(guesses::insert(&mut writer, account, factor, at).await.unwrap());
    }
    let since = |seconds| now.plus_seconds(seconds);
    assert_eq!(guesses::since(&mut writer, "ada", code, since(-1)).await.unwrap().len(), 2);
    assert_eq!(guesses::since(&mut writer, "ada", code, since(0)).await.unwrap().len(), 1);
    assert_eq!(guesses::since(&mut writer, "eve", code, since(-1)).await.unwrap().len(), 1);
    guesses::remove(&mut writer, last.unwrap()).await.unwrap();
    assert_eq!(guesses::since(&mut writer, "eve", code, since(-1)).await.unwrap().len(), 0);
    guesses::remove_before(&mut writer, since(5)).await.unwrap();
    assert_eq!(guesses::since(&mut writer, "ada", code, since(-1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_revision_of_an_enrolment_is_kept_and_none_is_written_twice() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    let mut writer = fixture.app.store.write().await.unwrap();
    let of = |revision: u32| Enrolment {
        package: PACKAGE.parse().unwrap(),
        revision,
        repository: format!("https://git.example/{revision}").parse().unwrap(),
        directory: "packages/x".parse().unwrap(),
        tag_pattern: TagPattern::default(),
        branches: vec!["main".to_owned()],
        mode: Mode::Observe,
        policy: Policy::default(),
        plan: countersign_core::plan::Given::default(),
        confirmed_by: "ada".to_owned(),
        confirmed_at: fixture.app.now(),
    };
    let name = PACKAGE.parse().unwrap();
    assert_eq!(enrolments::current(&mut writer, &name).await.unwrap(), None);
    for revision in [1, 2] {
        enrolments::insert(&mut writer, &of(revision), 7).await.unwrap();
    }
    let refused = enrolments::insert(&mut writer, &of(2), 8).await.unwrap_err();
    assert!(refused.is_refused_by("enrolments_revision"), "{refused:?}");
    assert_eq!(enrolments::current(&mut writer, &name).await.unwrap(), Some(of(2)));
    assert_eq!(enrolments::revision(&mut writer, &name, 1).await.unwrap(), Some(of(1)));
    assert_eq!(enrolments::all_current(&mut writer).await.unwrap(), [of(2)]);
}
