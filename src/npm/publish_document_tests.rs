//! The publish document: what npm sends is taken, and each single change to it that would make two readers see two
//! releases is refused with a sentence that names it.

use serde_json::{Value, json};

use super::*;

const TARBALL: &[u8] = b"bytes of a tarball";

fn name() -> PackageName {
    "@acme/widget".parse().unwrap()
}

/// What npm 11.19.1 sends for `npm stage publish --tag next` in a work tree.
fn document() -> Value {
    json!({
        "_id": "@acme/widget",
        "name": "@acme/widget",
        "description": "A widget",
        "dist-tags": { "next": "1.2.3" },
        "access": null,
        "versions": { "1.2.3": {
            "name": "@acme/widget", "version": "1.2.3", "description": "A widget",
            "_id": "@acme/widget@1.2.3", "_nodeVersion": "22.23.3", "_npmVersion": "11.19.1",
            "gitHead": "4F2C9E14F2C9E14F2C9E14F2C9E14F2C9E14F2C9", "readme": "# widget",
            "dist": {
                "integrity": Sha512::of(TARBALL).to_integrity(), "shasum": Sha1::of(TARBALL),
                "tarball": "http://registry.example/@acme/widget/-/@acme/widget-1.2.3.tgz"
            },
        } },
        "_attachments": { "@acme/widget-1.2.3.tgz": {
            "content_type": "application/octet-stream",
            "data": STANDARD.encode(TARBALL), "length": TARBALL.len(),
        } },
    })
}

fn parse(document: &Value) -> Checked<PublishDocument> {
    PublishDocument::parse(&name(), document.to_string().as_bytes())
}

/// The document with one member set to another value, or removed where the value is null.
fn changed(pointer: &[&str], value: Value) -> Value {
    let mut document = document();
    let (last, path) = pointer.split_last().unwrap();
    let mut at = &mut document;
    for key in path {
        at = &mut at[*key];
    }
    let members = at.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(*last)
    } else {
        members.insert((*last).to_owned(), value)
    };
    document
}

#[test]
fn what_npm_sends_is_one_release() {
    let release = parse(&document()).unwrap();
    assert_eq!(release.name, name());
    assert_eq!(release.version.as_str(), "1.2.3");
    assert_eq!(release.dist_tag, "next");
    assert_eq!(release.access, None);
    assert_eq!(release.tarball, TARBALL);
    assert_eq!(release.manifest["readme"], "# widget");
    assert_eq!(release.manifest.get("dist"), None);
    assert_eq!(release.manifest["_nodeVersion"], "22.23.3");
    let commit = "4f2c9e14f2c9e14f2c9e14f2c9e14f2c9e14f2c9".to_owned();
    assert_eq!(release.claims, [Claim { kind: EvidenceKind::GitHead, commit }]);
}

#[test]
fn a_prebuilt_tarball_claims_no_commit_and_neither_does_half_a_hash() {
    for git_head in [Value::Null, json!("4f2c9e1"), json!("HEAD"), json!(7)] {
        let release = parse(&changed(&["versions", "1.2.3", "gitHead"], git_head)).unwrap();
        assert_eq!(release.claims, []);
    }
}

#[test]
fn access_is_public_restricted_or_left_to_the_registry() {
    let access = |value| parse(&changed(&["access"], value)).map(|release| release.access);
    assert_eq!(access(json!("public")), Ok(Some(Access::Public)));
    assert_eq!(access(json!("restricted")), Ok(Some(Access::Restricted)));
    assert_eq!(access(Value::Null), Ok(None));
    assert!(access(json!("private")).unwrap_err().to_string().contains("`private`"));
}

#[test]
fn each_contradiction_is_refused_with_a_sentence_that_names_it() {
    let manifest = |key| vec!["versions", "1.2.3", key];
    let tarball = |key| vec!["_attachments", "@acme/widget-1.2.3.tgz", key];
    let other = Sha512::of(b"other").to_integrity();
    let cases: Vec<(Vec<&str>, Value, &str)> = vec![
        (vec!["name"], json!("@acme/gadget"), "the body's `name` is `@acme/gadget`"),
        (vec!["name"], Value::Null, "the body's `name` is nothing"),
        (vec!["_id"], json!("@acme/gadget"), "the body's `_id` is `@acme/gadget`"),
        (manifest("name"), json!("widget"), "has `widget` as its `name`"),
        (manifest("version"), json!("1.2.4"), "has `1.2.4` as its `version`"),
        (manifest("_id"), json!("@acme/widget@1.2.4"), "has `@acme/widget@1.2.4` as its `_id`"),
        (manifest("private"), json!(true), "marked as `private`"),
        (vec!["versions", "1.2.4"], json!({}), "`versions` holds 2 versions"),
        (vec!["versions"], json!({}), "`versions` holds 0 versions"),
        (vec!["versions"], json!({"v1.2.3": {}}), "`v1.2.3` is not an exact version"),
        (vec!["versions"], json!({"1.2.3": []}), "the manifest of @acme/widget@1.2.3 is no object"),
        (vec!["dist-tags", "latest"], json!("1.2.3"), "`dist-tags` holds 2 dist-tags"),
        (vec!["dist-tags"], Value::Null, "no `dist-tags`"),
        (vec!["dist-tags", "next"], json!("1.2.2"), "`next` names `1.2.2`, not 1.2.3"),
        (vec!["dist-tags"], json!({"1.x": "1.2.3"}), "`1.x` is not a dist-tag"),
        (vec!["dist-tags"], json!({"a b": "1.2.3"}), "`a b` is not a dist-tag"),
        (vec!["_attachments"], json!({}), "does not hold @acme/widget-1.2.3.tgz"),
        (vec!["_attachments", "widget-1.2.3.tgz"], json!({}), "holds `widget-1.2.3.tgz`"),
        (vec!["_attachments", "@acme/widget-1.2.3.sigstore"], json!({}), "1.2.3.sigstore`"),
        (tarball("content_type"), json!("application/gzip"), "is `application/gzip`"),
        (tarball("data"), json!("####"), "is not base64"),
        (tarball("data"), json!("YQ"), "is not base64"),
        (tarball("data"), Value::Null, "`data` of @acme/widget-1.2.3.tgz is missing"),
        (tarball("length"), json!(17), "is 17, and its `data` has 18 bytes"),
        (tarball("length"), Value::Null, "is nothing, and its `data` has 18 bytes"),
        (vec!["versions", "1.2.3", "dist", "shasum"], json!("00"), "`dist.shasum` is `00`"),
        (
            vec!["versions", "1.2.3", "dist", "integrity"],
            json!(other),
            "`dist.integrity` is sha512",
        ),
        (manifest("dist"), Value::Null, "`dist` names no digest"),
    ];
    for (pointer, value, expected) in cases {
        let refusal = parse(&changed(&pointer, value)).unwrap_err();
        let said = refusal.to_string();
        assert!(matches!(refusal, Unpublishable::Contradictory(_)), "{said}");
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{said} — not: {expected}");
        assert!(said.ends_with('.'), "{said}");
    }
}

#[test]
fn a_provenance_bundle_may_ride_along_and_is_not_kept() {
    let bundle = json!({
        "content_type": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "data": "{\"mediaType\":\"…\"}", "length": 17,
    });
    let with = changed(&["_attachments", "@acme/widget-1.2.3.sigstore"], bundle);
    assert_eq!(parse(&with).unwrap(), parse(&document()).unwrap());
}

#[test]
fn duplicate_keys_and_text_that_is_no_json_are_told_apart() {
    let text = document().to_string();
    let twice = text.replacen("\"readme\":", "\"version\":\"1.2.4\",\"readme\":", 1);
    let refusal = PublishDocument::parse(&name(), twice.as_bytes()).unwrap_err();
    assert!(matches!(refusal, Unpublishable::Contradictory(_)));
    assert!(refusal.to_string().contains("`versions` / `1.2.3` / `version`"), "{refusal}");
    let refusal = PublishDocument::parse(&name(), &text.as_bytes()[1..]).unwrap_err();
    assert!(matches!(refusal, Unpublishable::Malformed(_)), "{refusal}");
    let refusal = PublishDocument::parse(&name(), b"[]").unwrap_err();
    assert!(matches!(refusal, Unpublishable::Contradictory(_)), "{refusal}");
}

#[test]
fn a_manifest_or_tarball_over_its_bound_is_too_large() {
    let readme = "x".repeat(usize::try_from(PACKAGE_JSON_BYTES_MAX).unwrap());
    let refusal = parse(&changed(&["versions", "1.2.3", "readme"], json!(readme))).unwrap_err();
    assert!(matches!(refusal, Unpublishable::TooLarge(_)), "{refusal}");
    let data = "A".repeat(usize::try_from(TARBALL_BYTES_MAX).unwrap() / 3 * 4 + 8);
    let refusal = parse(&changed(&["_attachments", "@acme/widget-1.2.3.tgz", "data"], json!(data)));
    assert!(matches!(refusal, Err(Unpublishable::TooLarge(_))));
}

#[test]
fn a_name_without_a_scope_cannot_be_restricted() {
    let text = document().to_string().replace("@acme/widget", "widget");
    let text = text.replacen("\"access\":null", "\"access\":\"restricted\"", 1);
    let refusal = PublishDocument::parse(&"widget".parse().unwrap(), text.as_bytes()).unwrap_err();
    assert!(refusal.to_string().contains("widget has no scope"), "{refusal}");
}
