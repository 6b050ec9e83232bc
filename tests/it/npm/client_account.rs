//! The real npm signs in and out.

use countersign::store::tokens::Scope;

use crate::support::{PASSWORD, RealNpm, Served};

#[tokio::test]
async fn ada_signs_in_at_a_terminal_is_known_and_signs_out() {
    let served = Served::new().await;
    let npm = RealNpm::new(&served.url).await;
    npm.run(&["ping"]).await.ok();
    npm.run(&["whoami"]).await.failed().says("npm error code ENEEDAUTH");
    let code = served.fixture.authenticator("ada").fresh_code();
    let login = npm.login("ada", PASSWORD, &code).await.ok();
    assert!(login.stdout.contains(&format!("Logged in on {}/.", served.url)), "{login:?}");
    assert!(!login.stdout.contains(PASSWORD));
    assert_eq!(npm.run(&["whoami"]).await.ok().stdout.trim(), "ada");

    let tokens = npm.run(&["token", "list", "--json"]).await.ok().json();
    assert_eq!(tokens[0]["name"], "npm login");
    npm.run(&["token", "create", "--name", "x", "--password", "y"])
        .await
        .failed()
        .says("countersign token create");
    let npmrc = std::fs::read_to_string(npm.npmrc()).unwrap();
    let (_, token) = npmrc.split_once(":_authToken=").unwrap();
    let token = token.lines().next().unwrap().to_owned();
    npm.run(&["logout"]).await.ok();
    let still =
        served.request(reqwest::Method::GET, "/-/whoami", Some(&token)).send().await.unwrap();
    assert_eq!(still.status(), 401, "the session is ended on the server");
}

#[tokio::test]
async fn the_browsers_login_falls_back_to_the_terminal() {
    let served = Served::new().await;
    let npm = RealNpm::new(&served.url).await;
    let code = served.fixture.authenticator("ada").fresh_code();
    let answers = [("Username:", "ada"), ("Password:", PASSWORD), ("Enter OTP:", code.as_str())];
    npm.converse(&["login"], &answers).await.ok();
    assert_eq!(npm.run(&["whoami"]).await.ok().stdout.trim(), "ada");
}

#[tokio::test]
async fn a_wrong_password_or_code_signs_nobody_in() {
    let served = Served::new().await;
    let npm = RealNpm::new(&served.url).await;
    let code = served.fixture.authenticator("ada").fresh_code();
    let refused = npm.login("ada", "wrong", &code).await.failed();
    assert!(refused.stdout.contains("the name or the password is wrong"), "{refused:?}");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    npm.login("ada", PASSWORD, wrong).await.failed();
    npm.run(&["whoami"]).await.failed();
}

#[tokio::test]
async fn a_token_of_a_machine_is_known_by_its_id_and_an_expired_one_is_told_to_be_renewed() {
    let served = Served::new().await;
    let token = served.token(&[Scope::Stage], &[]).await;
    let npm = RealNpm::with_token(&served.url, &token).await;
    assert!(npm.run(&["whoami"]).await.ok().stdout.starts_with("token:"));
    served.fixture.clock.pass_seconds(3601);
    npm.run(&["whoami"]).await.failed().says("npm error code E401");
}
