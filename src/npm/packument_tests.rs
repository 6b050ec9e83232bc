//! Packuments: what npm needs is in them, and nothing that a client sent can steer npm past the bytes.

use countersign_core::{Access, Sha1, Sha512, protocol::VerificationId};
use uuid::Uuid;

use super::*;

fn released(version: &str, second: i64, extra: Value) -> Published {
    let mut manifest = json!({
        "name": "@acme/widget", "version": version, "description": format!("widget {version}"),
        "readme": format!("# {version}"), "dependencies": { "left-pad": "^1.0.0" },
        "scripts": { "test": "true" }, "bin": { "widget": "cli.js" },
    });
    manifest.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Published {
        package: "@acme/widget".parse().unwrap(),
        version: version.parse().unwrap(),
        verification: VerificationId(Uuid::nil()),
        manifest,
        sha512: Sha512::of(version.as_bytes()),
        shasum: Sha1::of(version.as_bytes()),
        bytes: 1,
        access: Access::Public,
        unverified: false,
        released_at: Timestamp::from_seconds(second),
    }
}

/// A packument of these versions with these dist-tags.
fn with<T>(
    versions: &[Published],
    tags: &[(&str, &str)],
    then: impl FnOnce(Packument<'_>) -> T,
) -> T {
    let name = "@acme/widget".parse().unwrap();
    let tag = |(tag, version): &(&str, &str)| ((*tag).to_owned(), version.parse().unwrap());
    let dist_tags = &tags.iter().map(tag).collect();
    then(Packument { name: &name, versions, dist_tags, registry: "https://host.example/npm" })
}

#[test]
fn the_whole_document_lists_versions_tags_times_and_where_the_bytes_are() {
    let versions = [released("1.0.0", 10, json!({})), released("1.1.0", 20, json!({}))];
    let document = with(&versions, &[("latest", "1.1.0")], |packument| packument.full());
    assert_eq!(document["name"], "@acme/widget");
    assert_eq!(document["dist-tags"], json!({ "latest": "1.1.0" }));
    assert_eq!(document["description"], "widget 1.1.0");
    assert_eq!(document["readme"], "# 1.1.0");
    let expected = json!({
        "created": "1970-01-01T00:00:10Z", "modified": "1970-01-01T00:00:20Z",
        "1.0.0": "1970-01-01T00:00:10Z", "1.1.0": "1970-01-01T00:00:20Z",
    });
    assert_eq!(document["time"], expected);
    let dist = json!({
        "integrity": Sha512::of(b"1.0.0").to_integrity(), "shasum": Sha1::of(b"1.0.0"),
        "tarball": "https://host.example/npm/@acme/widget/-/widget-1.0.0.tgz",
    });
    assert_eq!(document["versions"]["1.0.0"]["dist"], dist);
    assert_eq!(document["versions"]["1.0.0"]["_id"], "@acme/widget@1.0.0");
    assert_eq!(document["versions"]["1.0.0"].get("readme"), None);
}

#[test]
fn the_abbreviated_form_holds_what_an_installer_reads_and_no_more() {
    let extra =
        json!({ "peerDependenciesMeta": {}, "_hasShrinkwrap": true, "_npmVersion": "11.19.1" });
    let versions = [released("1.0.0", 10, extra)];
    let document = with(&versions, &[], |packument| packument.abbreviated());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), ["dist-tags", "modified", "name", "versions"]);
    let expected = [
        "_hasShrinkwrap",
        "bin",
        "dependencies",
        "dist",
        "name",
        "peerDependenciesMeta",
        "version",
    ];
    assert_eq!(keys(&document["versions"]["1.0.0"]), expected);
}

#[test]
fn latest_is_the_first_release_until_another_is_released_under_it() {
    let versions = [released("1.0.0-rc.1", 10, json!({})), released("1.0.0", 20, json!({}))];
    let tags = |set: &[(&str, &str)]| with(&versions, set, |p| json!(p.dist_tags()));
    let next = ("next", "1.0.0-rc.1");
    assert_eq!(tags(&[next]), json!({ "latest": "1.0.0-rc.1", "next": "1.0.0-rc.1" }));
    let expected = json!({ "latest": "1.0.0", "next": "1.0.0-rc.1" });
    assert_eq!(tags(&[next, ("latest", "1.0.0")]), expected);
}

#[test]
fn what_a_client_sent_cannot_steer_npm_past_the_bytes() {
    let sent = json!({
        "_resolved": "https://evil.example/x.tgz", "_integrity": "sha512-x", "maintainers": ["eve"],
        "_id": "@acme/widget@9.9.9", "_npmVersion": "11.19.1", "hasInstallScript": false,
        "deprecated": "use evil", "dist": { "tarball": "https://evil.example/x.tgz" },
        "scripts": { "postinstall": "node x.js" },
    });
    let versions = [released("1.0.0", 10, sent)];
    let manifest = with(&versions, &[], |packument| packument.manifest("1.0.0")).unwrap();
    for gone in ["_resolved", "_integrity", "maintainers", "deprecated", "readme"] {
        assert_eq!(manifest.get(gone), None, "{gone}");
    }
    assert_eq!(manifest["_id"], "@acme/widget@1.0.0");
    assert_eq!(manifest["_npmVersion"], "11.19.1");
    assert_eq!(manifest["hasInstallScript"], true);
    assert!(manifest["dist"]["tarball"].as_str().unwrap().starts_with("https://host.example/"));
}

#[test]
fn one_version_is_had_by_its_number_or_a_tag() {
    let versions = [released("1.0.0", 10, json!({})), released("2.0.0", 20, json!({}))];
    let version = |wanted: &str| {
        let found = with(&versions, &[("next", "2.0.0")], |p| p.manifest(wanted));
        found.map(|found| found["version"].clone())
    };
    assert_eq!(version("1.0.0"), Some(json!("1.0.0")));
    assert_eq!(version("latest"), Some(json!("1.0.0")));
    assert_eq!(version("next"), Some(json!("2.0.0")));
    assert_eq!(version("3.0.0"), None);
}

#[test]
fn a_client_gets_the_form_that_it_likes_best() {
    let install = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
    assert!(wants_abbreviated(install));
    assert!(wants_abbreviated("Application/vnd.npm.install-v1+json"));
    for whole in ["application/json", "*/*", "", "application/vnd.npm.install-v1+json; q=0"] {
        assert!(!wants_abbreviated(whole), "{whole}");
    }
    assert!(!wants_abbreviated("application/vnd.npm.install-v1+json;q=0.5, application/json"));
}

#[test]
fn two_bodies_have_two_etags() {
    assert_eq!(etag(b"a"), etag(b"a"));
    assert_ne!(etag(b"a"), etag(b"b"));
    assert!(etag(b"a").starts_with('"') && etag(b"a").ends_with('"'));
}
