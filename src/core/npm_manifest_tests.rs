//! What npm changes between a package.json and the manifest that it sends is no difference, and everything else is one.

use super::*;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The fields that disagree, as they stand in the messages.
fn fields(sent: Value, inside: Value, files: &[&str]) -> Vec<String> {
    compare(&map(sent), &map(inside), files)
        .into_iter()
        .map(|finding| {
            assert_eq!(finding.code, Code::ManifestDisagrees);
            finding.message.split('`').nth(1).unwrap().to_owned()
        })
        .collect()
}

#[track_caller]
fn agree(sent: Value, inside: Value, files: &[&str]) {
    assert_eq!(fields(sent, inside, files), Vec::<String>::new());
}

#[test]
fn what_npm_normalises_is_no_difference() {
    agree(
        json!({"name": "@s/p", "version": "1.0.0", "bin": {"p": "cli.js"}, "_id": "@s/p@1.0.0",
               "bundleDependencies": ["a"], "dependencies": {"a": "^1", "g": "github:o/r#semver:^1"},
               "optionalDependencies": {"o": "1"}, "scripts": {"test": "mocha"}, "readme": "x", "gitHead": "1"}),
        json!({"name": " @s/p ", "version": "v1.0.0", "bin": "./cli.js",
               "bundledDependencies": ["a"], "dependencies": {"a": "^1", "o": "2", "g": "o/r#semver:^1"},
               "optionalDependencies": {"o": "1"}, "scripts": {"test": "./node_modules/.bin/mocha", "odd": 1},
               "_private": true, "engines": {}}),
        &[],
    );
}

#[test]
fn what_npm_fills_in_from_the_files_may_be_there_or_not() {
    let inside = json!({"name": "p", "version": "1.0.0", "directories": {"bin": "./cmd"}});
    let files = ["binding.gyp", "server.js", "cmd/run", "cmd/.hidden", "index.js"];
    let sent = json!({"name": "p", "version": "1.0.0", "directories": {"bin": "./cmd"}, "gypfile": true,
                      "bin": {"run": "cmd/run"}, "scripts": {"install": "node-gyp rebuild", "start": "node server.js"}});
    agree(sent.clone(), inside.clone(), &files);
    agree(inside.clone(), inside.clone(), &files);
    assert_eq!(
        fields(sent, inside, &["index.js"]),
        ["bin.run", "scripts.install", "scripts.start"]
    );
}

#[test]
fn each_field_that_an_installer_acts_on_is_held_against_the_file() {
    for (field, sent, inside) in [
        ("name", json!("a"), json!("b")),
        ("version", json!("1.0.0"), json!("1.0.1")),
        ("scripts.postinstall", json!({"postinstall": "node x"}), json!({})),
        ("scripts.install", json!({"install": "a"}), json!({"install": "b"})),
        ("dependencies.evil", json!({}), json!({"evil": "1"})),
        ("dependencies.a", json!({"a": "1"}), json!({"a": "2"})),
        ("dependencies.a", json!({"a": "github:o/r"}), json!({"a": "github:evil/r"})),
        ("dependencies.a", json!({"a": "o/r#1"}), json!({"a": "o/r#2"})),
        ("optionalDependencies.a", json!({"a": "1"}), json!({})),
        ("peerDependencies.a", json!({"a": "1"}), json!({})),
        ("peerDependenciesMeta", json!({"a": {"optional": true}}), json!({})),
        ("bin.c", json!({"c": "a.js"}), json!({"c": "b.js"})),
        ("acceptDependencies", json!({"a": "*"}), json!({})),
        ("engines", json!({"node": "1"}), json!({"node": "2"})),
        ("os", json!(["linux"]), json!(["!linux"])),
        ("cpu", json!(["x64"]), json!([])),
        ("libc", json!(["musl"]), Value::Null),
        ("main", json!("a.js"), json!("b.js")),
        ("exports", json!("./a.js"), json!("./b.js")),
        ("imports", json!({"#a": "./a.js"}), json!({})),
        ("type", json!("module"), Value::Null),
    ] {
        let key = field.split('.').next().unwrap();
        let package = |value: &Value| {
            let mut package = map(json!({"name": "p", "version": "9.0.0"}));
            package.insert(key.to_owned(), value.clone());
            Value::Object(package)
        };
        assert_eq!(fields(package(&sent), package(&inside), &[]), [field]);
        assert_eq!(fields(package(&inside), package(&sent), &[]), [field], "the other way round");
    }
}

#[test]
fn a_bundled_name_is_a_dependency_and_a_missing_one_is_seen() {
    let bundling =
        |list: Value| json!({"name": "p", "dependencies": {"a": "1"}, "bundleDependencies": list});
    agree(bundling(json!(true)), bundling(json!(["a"])), &[]);
    assert_eq!(fields(bundling(json!([])), bundling(json!(["a"])), &[]), ["bundleDependencies.a"]);
}

#[test]
fn old_forms_of_dependencies_are_spelled_out() {
    agree(
        json!({"dependencies": {"a": "^1", "@s/b": "2", "c": ""}}),
        json!({"dependencies": ["a@^1", "@s/b@2", "c"]}),
        &[],
    );
    agree(json!({"dependencies": {"a": ">=1", "b": ""}}), json!({"dependencies": "a>=1, b"}), &[]);
}

#[test]
fn the_digest_leaves_out_what_registries_write_and_nothing_else() {
    let sent = map(json!({"name": "p", "scripts": {"a": "b"}}));
    let mut served = sent.clone();
    for key in REGISTRY_KEYS {
        served.insert(key.to_owned(), json!("x"));
    }
    assert_eq!(digest(&sent), digest(&served));
    served.insert("hasInstallScript".to_owned(), json!(false));
    assert_ne!(digest(&sent), digest(&served));
}
