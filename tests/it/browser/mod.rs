//! The pages, driven in Chromium as a maintainer would drive them, against the real service with verdicts that came
//! through the real queue. What is looked at stands in `tests/browser/drive.mjs`; here stand the stages that it looks at,
//! the clock, and the maintainer's authenticator.

mod driver;
mod scene;

use serde_json::{Value, json};

use driver::Driver;
use scene::Scene;

/// A maintainer signs in, approves a pass, finds a fail closed, watches a rebuild, comes from another site and does it all
/// without scripts; nothing leaves the origin and the console stays silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_maintainer_reads_reports_and_approves_by_code_in_a_browser() {
    let scene = Scene::set().await;
    let mut driver = Driver::start(&scene.script()).await;
    while let Some(asked) = driver.asked().await {
        let answer = match asked["ask"].as_str().unwrap_or_default() {
            "code" => json!(scene.code()),
            "build" => scene.build().await,
            "progress" => scene.pack().await,
            "judge" => scene.judge().await,
            other => panic!("the browser asks for `{other}`"),
        };
        driver.answer(&answer).await;
    }
    driver.succeeds().await;
    assert_eq!(scene.decisions().await, scene.expected_decisions());
}

/// What is done, to be told to the browser.
fn done() -> Value {
    json!("done")
}
