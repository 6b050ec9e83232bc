//! The real npm 11.19.1 stages, looks and downloads.

use std::path::Path;

use countersign::store::tokens::Scope;
use serde_json::json;

use crate::support::{PACKAGE, RealNpm, Served};

async fn ci(served: &Served) -> RealNpm {
    RealNpm::with_token(&served.url, &served.token(&[Scope::Stage], &[]).await).await
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder);
    let output = command.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
    let output = output.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_folder_is_staged_with_the_commit_that_its_work_tree_is_at() {
    let served = Served::new().await;
    let npm = ci(&served).await;
    let manifest = json!({ "name": PACKAGE, "version": "1.3.1", "bin": "index.js" });
    let folder = npm.package(&manifest, &[("index.js", "#!/usr/bin/env node\n")]);
    git(&folder, &["init", "--quiet"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "--message", "x"]);
    let staged = npm.run_in(&folder, &["stage", "publish"]).await.ok();
    staged.says("npm notice left-pad@1.3.1 is staged and will be rebuilt from its tag: http://");
    let verification = served.fixture.verification(staged.stage_id().parse().unwrap()).await;
    assert_eq!(verification.claims[0].commit, git(&folder, &["rev-parse", "HEAD"]));
    served.rebuild(None).await;
    let view = npm.run(&["stage", "view", &staged.stage_id(), "--json"]).await.ok().json();
    assert_eq!(view["verdict"], "pass", "npm's own document agrees with its tarball: {view}");
}

#[tokio::test]
async fn a_packed_tarball_and_a_scoped_package_are_staged_with_json_as_well() {
    let served = Served::new().await;
    served.enrol("@acme/widget").await;
    let npm = ci(&served).await;
    let manifest = json!({ "name": "@acme/widget", "version": "1.0.0-rc.1" });
    let folder = npm.package(&manifest, &[("index.js", "x\n")]);
    npm.run_in(&folder, &["pack"]).await.ok();
    let arguments = [
        "stage",
        "publish",
        "acme-widget-1.0.0-rc.1.tgz",
        "--tag",
        "next",
        "--access",
        "restricted",
        "--json",
    ];
    let printed = npm.run_in(&folder, &arguments).await.ok().json();
    let id = printed["@acme/widget"]["stageId"].as_str().unwrap();
    let verification = served.fixture.verification(id.parse().unwrap()).await;
    assert_eq!(verification.subject.dist_tag.as_deref(), Some("next"));
    assert_eq!(verification.subject.access, Some(countersign_core::Access::Restricted));
    assert!(verification.claims.is_empty());
}

#[tokio::test]
async fn a_stage_of_a_name_that_nobody_enrolled_shows_the_command_that_mends_it() {
    let served = Served::new().await;
    let npm = ci(&served).await;
    let folder = npm.package(&json!({ "name": "other", "version": "1.0.0" }), &[]);
    let refused = npm.run_in(&folder, &["stage", "publish"]).await.failed();
    refused.says("npm error code E403");
    refused.says("countersign package enrol other --by MAINTAINER --repo URL");
}

#[tokio::test]
async fn a_second_stage_of_a_version_names_the_first() {
    let served = Served::new().await;
    let npm = ci(&served).await;
    let folder = npm.package(&json!({ "name": PACKAGE, "version": "1.3.1" }), &[]);
    npm.run_in(&folder, &["stage", "publish"]).await.ok();
    let refused = npm.run_in(&folder, &["stage", "publish"]).await.failed();
    refused.says("npm error code E409");
    // npm masks what looks like an id, in addresses and in the text.
    refused.says("left-pad@1.3.1 is staged already as ");
    refused.says("npm stage list shows it");
}

#[tokio::test]
async fn view_shows_the_verdict_in_words_before_and_after_it() {
    let served = Served::new().await;
    let npm = ci(&served).await;
    let folder =
        npm.package(&json!({ "name": PACKAGE, "version": "1.3.1" }), &[("index.js", "x\n")]);
    let id = npm.run_in(&folder, &["stage", "publish"]).await.ok().stage_id();
    let seen = npm.run(&["stage", "view", &id]).await.ok().stdout;
    for line in [
        "package name: left-pad",
        "tag: latest",
        "(trusted automation)",
        "status: validating",
        "verdict: queued",
        "verdictReason: left-pad 1.3.1 is staged and waits for a worker.",
        &format!("report: {}/stages/{id}", served.url),
    ] {
        assert!(seen.contains(line), "no `{line}` in {seen}");
    }
    assert!(!seen.contains("[object Object]") && !seen.contains("null"), "{seen}");
    served.miss_tag().await;
    let seen = npm.run(&["stage", "view", &id]).await.ok().stdout;
    assert!(seen.contains("verdict: waiting-for-tag"), "{seen}");
    assert!(seen.contains("its tag v1.3.1 is not there yet. Push it"), "{seen}");
    served.fixture.clock.pass_seconds(60);
    served.rebuild(None).await;
    let seen = npm.run(&["stage", "view", &id]).await.ok().stdout;
    for line in [
        "status: staged",
        "verdict: pass",
        "verdictReason: left-pad 1.3.1 is exactly what commit 4f2c9e1 (tag v1.3.1) builds.",
        "sourceCommit: 4f2c9e1aa0b1c2d3e4f5061728394a5b6c7d8e9f",
        &format!("Run: npm stage approve {id}"),
    ] {
        assert!(seen.contains(line), "no `{line}` in {seen}");
    }
}

#[tokio::test]
async fn a_downloaded_stage_has_the_staged_bytes() {
    let served = Served::new().await;
    let npm = ci(&served).await;
    let folder =
        npm.package(&json!({ "name": PACKAGE, "version": "1.3.1" }), &[("index.js", "x\n")]);
    npm.run_in(&folder, &["pack"]).await.ok();
    let staged = npm.run_in(&folder, &["stage", "publish", "left-pad-1.3.1.tgz"]).await.ok();
    let id = staged.stage_id();
    npm.run_in(&folder, &["stage", "download", &id]).await.ok();
    let staged = std::fs::read(folder.join("left-pad-1.3.1.tgz")).unwrap();
    let downloaded = std::fs::read(folder.join(format!("left-pad-1.3.1-{id}.tgz"))).unwrap();
    assert!(staged == downloaded);
}

#[tokio::test]
async fn a_token_of_another_scope_is_told_which_one_it_needs() {
    let served = Served::new().await;
    let token = served.token(&[Scope::Read], &[]).await;
    let npm = RealNpm::with_token(&served.url, &token).await;
    let folder = npm.package(&json!({ "name": PACKAGE, "version": "1.3.1" }), &[]);
    let refused = npm.run_in(&folder, &["stage", "publish"]).await.failed();
    refused.says("countersign token create --scope stage --package left-pad");
}
