//! The real npm approves and rejects.

use countersign::store::tokens::Scope;
use serde_json::json;

use crate::support::{PACKAGE, PASSWORD, Pack, Ran, RealNpm, Served};

struct Scene {
    served: Served,
    ci: RealNpm,
    ada: RealNpm,
    id: String,
}

impl Scene {
    /// CI staged, and ada ran `npm login` at her terminal.
    async fn new() -> Self {
        let served = Served::new().await;
        let token = served.token(&[Scope::Stage], &[]).await;
        let ci = RealNpm::with_token(&served.url, &token).await;
        let manifest = json!({ "name": PACKAGE, "version": "1.3.1", "main": "index.js" });
        let folder = ci.package(&manifest, &[("index.js", "module.exports = 1\n")]);
        let id = ci.run_in(&folder, &["stage", "publish"]).await.ok().stage_id();
        let ada = RealNpm::new(&served.url).await;
        let code = served.fixture.authenticator("ada").fresh_code();
        ada.login("ada", PASSWORD, &code).await.ok();
        Self { served, ci, ada, id }
    }

    fn code(&self) -> String {
        self.served.fixture.authenticator("ada").fresh_code()
    }

    async fn approve(&self, npm: &RealNpm, more: &[&str]) -> Ran {
        npm.run(&[&["stage", "approve", &self.id], more].concat()).await
    }

    async fn is_live(&self) -> bool {
        let npm = RealNpm::new(&self.served.url).await;
        npm.run(&["view", &format!("{PACKAGE}@1.3.1"), "version"]).await.code == Some(0)
    }
}

#[tokio::test]
async fn a_pass_is_released_by_a_session_with_a_code_and_by_nothing_less() {
    let scene = Scene::new().await;
    let pending = scene.approve(&scene.ada, &["--otp", &scene.code()]).await.failed();
    pending.says("npm error code E423").says("has no verdict yet: it is queued");
    scene.served.rebuild(None).await;

    let refused = scene.approve(&scene.ci, &["--otp", &scene.code()]).await.failed();
    refused.says("npm error code E403").says("an API token of no scope can approve");
    let asked = scene.approve(&scene.ada, &[]).await.failed();
    asked.says("npm error code EOTP").says("one-time password");
    let right = scene.code();
    let wrong = if right == "000000" { "000001" } else { "000000" };
    scene.approve(&scene.ada, &["--otp", wrong]).await.failed().says("npm error code EOTP");
    assert!(!scene.is_live().await);

    let approved = scene.approve(&scene.ada, &["--otp", &right]).await.ok();
    assert!(approved.stdout.contains("approved and published successfully"), "{approved:?}");
    approved.says(&format!("npm notice left-pad@1.3.1 is released: {}/stages/", scene.served.url));
    assert!(scene.is_live().await);
    let again = scene.approve(&scene.ada, &["--otp", &scene.code()]).await.failed();
    again.says("npm error code E409").says("left-pad@1.3.1 is released already");
}

#[tokio::test]
async fn at_a_terminal_npm_asks_for_the_code_and_releases() {
    let scene = Scene::new().await;
    scene.served.rebuild(None).await;
    let code = scene.code();
    let answers = [("Enter OTP:", code.as_str())];
    let approved = scene.ada.converse(&["stage", "approve", &scene.id], &answers).await.ok();
    assert!(approved.stdout.contains("approved and published successfully"), "{approved:?}");
    assert!(scene.is_live().await);
}

#[tokio::test]
async fn a_fail_is_refused_with_its_sentence_and_its_report_and_can_be_rejected_with_the_same_code()
{
    let scene = Scene::new().await;
    let rebuilt = Pack::of("1.3.1").with("index.js", "another()\n").tgz();
    scene.served.rebuild(Some(rebuilt)).await;
    let code = scene.code();
    let refused = scene.approve(&scene.ada, &["--otp", &code]).await.failed();
    refused.says("npm error code E403");
    refused.says("left-pad 1.3.1 does not match its source: ");
    refused.says(&format!("{}/stages/{}", scene.served.url, scene.id));
    assert!(!scene.is_live().await);

    let ci = scene.ci.run(&["stage", "reject", &scene.id, "--otp", &code]).await.failed();
    ci.says("npm error code E403");
    scene.ada.run(&["stage", "reject", &scene.id]).await.failed().says("npm error code EOTP");
    let rejected = scene.ada.run(&["stage", "reject", &scene.id, "--otp", &code]).await.ok();
    assert!(rejected.stdout.contains("has been rejected"), "{rejected:?}");
    let list = scene.ada.run(&["stage", "list"]).await.ok();
    assert!(list.stdout.contains("No staged packages found."), "{list:?}");
}

#[tokio::test]
async fn a_stage_that_is_unknown_or_not_visible_is_not_found() {
    let scene = Scene::new().await;
    let unknown = "01234567-89ab-4cde-8f01-23456789abcd";
    for (npm, id) in [(&scene.ada, unknown), (&scene.ci, unknown)] {
        for command in ["view", "download", "approve", "reject"] {
            let ran = npm.run(&["stage", command, id, "--otp", "123456"]).await.failed();
            ran.says("npm error code E404").says("there is no stage");
        }
    }
}
