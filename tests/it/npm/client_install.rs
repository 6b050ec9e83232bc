//! The real npm reads: what is released here, what is read through, and that every other way to write is closed to it.

use countersign::store::tokens::Scope;
use serde_json::json;

use super::released_as;
use crate::support::{Elsewhere, PACKAGE, RealNpm, Served};

/// A registry elsewhere that is a Countersign too, with one package in it.
async fn with_dependency() -> Served {
    let elsewhere = Served::new().await;
    elsewhere.enrol("@other/dependency").await;
    released_as(&elsewhere, "@other/dependency", "2.0.0").await;
    elsewhere
}

#[tokio::test]
async fn an_approved_release_is_installed_with_its_dependency_read_through() {
    let elsewhere = with_dependency().await;
    let served = Served::with(&[("COUNTERSIGN_REGISTRY__URL", &elsewhere.url)]).await;
    let token = served.token(&[Scope::Stage], &[]).await;
    let ci = RealNpm::with_token(&served.url, &token).await;
    let manifest = json!({
        "name": PACKAGE, "version": "1.3.1", "main": "index.js", "description": "pads",
        "bin": { "left-pad": "cli.js" }, "dependencies": { "@other/dependency": "^2.0.0" },
    });
    let files = [
        ("index.js", "module.exports = require('@other/dependency')\n"),
        ("cli.js", "#!/usr/bin/env node\nconsole.log(require('./index.js'))\n"),
    ];
    let folder = ci.package(&manifest, &files);
    let id = ci.run_in(&folder, &["stage", "publish"]).await.ok().stage_id();
    let user = RealNpm::new(&served.url).await;
    let before = user.run(&["view", PACKAGE, "version"]).await.failed();
    before.says("npm error code E404");
    served.rebuild(None).await;
    let ada = RealNpm::with_token(&served.url, &served.session().await).await;
    let code = served.fixture.authenticator("ada").fresh_code();
    ada.run(&["stage", "approve", &id, "--otp", &code]).await.ok();

    let view = user.run(&["view", PACKAGE, "--json"]).await.ok().json();
    assert_eq!((&view["version"], &view["description"]), (&json!("1.3.1"), &json!("pads")));
    let project = user.folder("project");
    user.run_in(&project, &["init", "--yes"]).await.ok();
    user.run_in(&project, &["install", PACKAGE]).await.ok();
    let said = user.run_in(&project, &["exec", "--offline", "--", PACKAGE]).await.ok();
    assert_eq!(said.stdout.trim(), "1");
    let lock = std::fs::read_to_string(project.join("package-lock.json")).unwrap();
    assert!(lock.contains(&format!("{}/left-pad/-/left-pad-1.3.1.tgz", served.url)), "{lock}");
    std::fs::remove_dir_all(project.join("node_modules")).unwrap();
    user.run_in(&project, &["ci"]).await.ok();
    user.run_in(&project, &["exec", "--offline", "--", PACKAGE]).await.ok();
}

#[tokio::test]
async fn a_tarball_of_the_public_registry_comes_through_us_and_is_checked_by_npm() {
    let elsewhere = Elsewhere::new().await;
    let pack = crate::support::Pack::named("other", "1.0.0");
    let integrity = countersign_core::Sha512::of(&pack.tgz()).to_integrity();
    // npm takes this registry in place of the public one's host, and keeps the path.
    let tarball = "https://registry.npmjs.org/other/-/other-1.0.0.tgz";
    let packument = json!({
        "name": "other", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": {
            "name": "other", "version": "1.0.0", "dist": { "integrity": integrity, "tarball": tarball },
        } },
    });
    elsewhere.gives("/other", "application/json", packument.to_string());
    elsewhere.gives("/other/-/other-1.0.0.tgz", "application/octet-stream", pack.tgz());
    let served = Served::with(&[("COUNTERSIGN_REGISTRY__URL", &elsewhere.url)]).await;
    let npm = RealNpm::new(&served.url).await;
    let project = npm.folder("project");
    npm.run_in(&project, &["init", "--yes"]).await.ok();
    npm.run_in(&project, &["install", "other"]).await.ok();
    assert!(project.join("node_modules/other/index.js").exists());
    let paths: Vec<String> = elsewhere.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/other", "/other/-/other-1.0.0.tgz"]);
}

#[tokio::test]
async fn npm_is_told_what_to_run_where_it_would_go_past_a_stage() {
    let served = Served::new().await;
    released_as(&served, PACKAGE, "1.0.0").await;
    let npm = RealNpm::with_token(&served.url, &served.session().await).await;
    let folder = npm.package(&json!({ "name": PACKAGE, "version": "1.1.0" }), &[]);
    for (arguments, expected) in [
        (vec!["publish"], "run `npm stage publish`"),
        (vec!["dist-tag", "add", "left-pad@1.0.0", "next"], "npm stage publish --tag TAG"),
        (vec!["unpublish", "left-pad@1.0.0", "--force"], "is not taken back here"),
        (vec!["deprecate", "left-pad@1.0.0", "old"], "cannot be deprecated here"),
        (vec!["access", "set", "status=private", "@acme/x"], "--access public"),
        (vec!["star", "left-pad"], "stars are not kept here"),
    ] {
        let refused = npm.run_in(&folder, &arguments).await.failed();
        refused.says("npm error code E403").says(expected);
    }
    let owner = npm.run(&["owner", "add", "eve", "left-pad"]).await.failed();
    owner.says("npm error");
    let tags = npm.run(&["dist-tag", "ls", "left-pad"]).await.ok();
    assert_eq!(tags.stdout.trim(), "latest: 1.0.0");
    let versions = npm.run(&["view", "left-pad", "versions", "--json"]).await.ok();
    assert_eq!(versions.json(), json!(["1.0.0"]));
}
