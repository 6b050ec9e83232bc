//! Codes and passwords: none counts twice, and guessing has an end in every process.

use countersign::{
    app::App,
    second_factor::{CodeRefused, SignIn, SignInRefused, sign_in, spend_code},
    store::sessions::SessionKind,
};
use countersign_core::limits::{GUESS_WINDOW_SECONDS, GUESSES_MAX};
use countersign_worker::upstream::Secret;

use crate::support::Fixture;

async fn spend(app: &App, code: &str) -> Result<u64, CodeRefused> {
    let mut writer = app.store.write().await.unwrap();
    let answer = spend_code(&mut writer, "ada", code, app.now()).await.unwrap();
    writer.commit().await.unwrap();
    answer
}

async fn page(
    app: &App,
    name: &str,
    password: &str,
    code: Option<&str>,
) -> Result<(), SignInRefused> {
    let password = Secret::new(password);
    let shown = SignIn { kind: SessionKind::Page, name, password: &password, code };
    sign_in(app, shown).await.map(drop)
}

#[tokio::test]
async fn a_code_counts_once_in_whichever_process() {
    let fixture = Fixture::new().await;
    let ada = fixture.add_maintainer("ada").await;
    let other = fixture.another_process().await;
    let code = ada.code();
    fixture.clock.pass_seconds(4);
    assert!(spend(&fixture.app, &code).await.is_ok());
    assert_eq!(spend(&other, &code).await, Err(CodeRefused::Used { wait_seconds: 26 }));
    let text = CodeRefused::Used { wait_seconds: 26 }.to_string();
    assert_eq!(text, "this code was used; wait for the next, 26 s");
    assert!(spend(&other, &ada.fresh_code()).await.is_ok());
}

#[tokio::test]
async fn one_step_of_skew_is_taken_either_way_and_no_older_step_after_a_newer() {
    let fixture = Fixture::new().await;
    let ada = fixture.add_maintainer("ada").await;
    let (before, next) = (ada.code_in(-30), ada.code_in(30));
    for far in [ada.code_in(-60), ada.code_in(60)] {
        assert_eq!(spend(&fixture.app, &far).await, Err(CodeRefused::Wrong));
    }
    assert!(spend(&fixture.app, &before).await.is_ok());
    assert!(spend(&fixture.app, &next).await.is_ok());
    assert!(matches!(spend(&fixture.app, &ada.code()).await, Err(CodeRefused::Used { .. })));
}

#[tokio::test]
async fn after_too_many_wrong_codes_the_right_one_is_not_looked_at() {
    let fixture = Fixture::new().await;
    let ada = fixture.add_maintainer("ada").await;
    let other = fixture.another_process().await;
    let wrong = ada.code_in(3600);
    for guess in 0..GUESSES_MAX {
        let app = if guess % 2 == 0 { &fixture.app } else { &other };
        assert_eq!(spend(app, &wrong).await, Err(CodeRefused::Wrong));
    }
    let window = GUESS_WINDOW_SECONDS;
    let refused = spend(&other, &ada.code()).await;
    assert_eq!(refused, Err(CodeRefused::TooMany { wait_seconds: window }));
    fixture.clock.pass_seconds(i64::try_from(window).unwrap());
    assert!(spend(&fixture.app, &ada.code()).await.is_ok());
}

#[tokio::test]
async fn the_pages_ask_for_both_factors_and_do_not_say_which_names_exist() {
    let fixture = Fixture::new().await;
    let ada = fixture.add_maintainer("ada").await;
    let right = "correct horse battery staple";
    let app = &fixture.app;
    let unknown = page(app, "eve", right, Some("000000")).await.unwrap_err();
    let wrong = page(app, "ada", "wrong", Some(&ada.code())).await.unwrap_err();
    assert_eq!(unknown.to_string(), wrong.to_string());
    assert!(matches!(page(app, "ada", right, None).await, Err(SignInRefused::CodeMissing)));
    let code = ada.code();
    assert!(page(app, "ada", right, Some(&code)).await.is_ok());
    let again = page(app, "ada", right, Some(&code)).await;
    assert!(matches!(again, Err(SignInRefused::Code(CodeRefused::Used { .. }))));
}

#[tokio::test]
async fn guessed_passwords_lock_passwords_and_leave_codes_alone() {
    let fixture = Fixture::new().await;
    let ada = fixture.add_maintainer("ada").await;
    let app = &fixture.app;
    for _ in 0..GUESSES_MAX {
        assert!(matches!(page(app, "ada", "wrong", None).await, Err(SignInRefused::Wrong)));
    }
    let right = page(app, "ada", "correct horse battery staple", Some(&ada.code())).await;
    assert!(matches!(right, Err(SignInRefused::TooMany { .. })));
    assert!(spend(app, &ada.code()).await.is_ok());
}

#[tokio::test]
async fn a_right_password_is_no_guess() {
    let fixture = Fixture::new().await;
    fixture.add_maintainer("ada").await;
    for _ in 0..=GUESSES_MAX {
        fixture.session("ada").await;
    }
}
