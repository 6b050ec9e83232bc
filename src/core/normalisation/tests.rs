//! What each normalisation lets differ, and how code was tried to be hidden in it: every attempt is refused.

use super::*;

/// Noon of 6 May 2024.
const COMMITTED: Timestamp = Timestamp::from_seconds(1_714_996_800);

/// The tokens that are let differ by that normalisation alone, as packed by pnpm.
fn tokens(name: Normalisation, path: &str, staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    let permission =
        Permission { allowed: &[name], committed: Some(COMMITTED), packer: Some("pnpm") };
    let applied = apply(path, staged.as_bytes(), rebuilt.as_bytes(), &permission)?;
    assert_eq!((applied.name, applied.path.as_str()), (name, path));
    Some(applied.tokens)
}

fn package(staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    tokens(Normalisation::PackageJson, "package.json", staged, rebuilt)
}

fn map(staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    tokens(Normalisation::SourceMapPaths, "dist/index.js.map", staged, rebuilt)
}

fn time(path: &str, staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    tokens(Normalisation::TimeInComment, path, staged, rebuilt)
}

const COMMIT: &str = "4f2c9e1aa0b1c2d3e4f5061728394a5b6c7d8e9f";

#[test]
fn nothing_is_let_differ_that_the_policy_does_not_allow() {
    let (staged, rebuilt) = (r#"{"name":"a","_id":"a@1"}"#, r#"{"name":"a"}"#);
    assert!(package(staged, rebuilt).is_some());
    let nothing = Permission { allowed: &[], committed: Some(COMMITTED), packer: Some("pnpm") };
    assert_eq!(apply("package.json", staged.as_bytes(), rebuilt.as_bytes(), &nothing), None);
    let other = Permission { allowed: &[Normalisation::LineEndings], ..nothing };
    assert_eq!(apply("package.json", staged.as_bytes(), rebuilt.as_bytes(), &other), None);
}

#[test]
fn names_survive_their_text() {
    for name in Normalisation::ALL {
        assert_eq!(name.as_str().parse(), Ok(name));
        assert!(name.meaning().ends_with('.'));
    }
    assert!("everything".parse::<Normalisation>().is_err());
}

#[test]
fn records_of_how_a_package_was_made_may_differ() {
    let staged = format!(
        "{{\n  \"name\": \"a\",\n  \"gitHead\": \"{COMMIT}\",\n  \"_resolved\": \"x\",\n  \"main\": \"a.js\"\n}}\n"
    );
    let rebuilt = "{\n  \"name\": \"a\",\n  \"packageManager\": \"pnpm@9.1.0+sha512.ab\",\n  \"main\": \"a.js\"\n}\n";
    assert_eq!(package(&staged, rebuilt).unwrap(), ["gitHead", "_resolved", "packageManager"]);
    let last = format!("{{\"name\":\"a\",\"gitHead\":\"{COMMIT}\"}}");
    assert_eq!(package(&last, "{\"name\":\"a\"}").unwrap(), ["gitHead"]);
}

#[test]
fn scripts_that_pnpm_takes_out_may_be_missing_and_no_others() {
    let rebuilt = r#"{"name":"a","scripts":{"build":"tsc","prepack":"npm run build"}}"#;
    let staged = r#"{"name":"a","scripts":{"build":"tsc"}}"#;
    assert_eq!(package(staged, rebuilt).unwrap(), ["scripts.prepack"]);
    let all = r#"{"name":"a","scripts":{ "prepack":"tsc" }}"#;
    assert_eq!(package(r#"{"name":"a","scripts":{}}"#, all).unwrap(), ["scripts.prepack"]);
    // Only the packer that takes them out.
    let npm =
        Permission { allowed: &[Normalisation::PackageJson], committed: None, packer: Some("npm") };
    assert_eq!(apply("package.json", staged.as_bytes(), rebuilt.as_bytes(), &npm), None);
    // Taken out, never added or changed; and never one that an install runs.
    assert_eq!(package(rebuilt, staged), None);
    let changed = r#"{"name":"a","scripts":{"build":"tsc","prepack":"evil"}}"#;
    assert_eq!(package(changed, rebuilt), None);
    let other_build = r#"{"name":"a","scripts":{"build":"evil"}}"#;
    assert_eq!(package(other_build, rebuilt), None);
    let install = r#"{"name":"a","scripts":{"build":"tsc","postinstall":"evil"}}"#;
    assert_eq!(package(install, staged), None);
    assert_eq!(package(staged, install), None);
}

/// With any of these an installer or a program would do something else.
#[test]
fn nothing_that_an_installer_acts_on_may_differ() {
    for (ours, theirs) in [
        (r#""dependencies":{"b":"2"}"#, r#""dependencies":{"b":"1"}"#),
        (r#""dependencies":{"b":"1","evil":"1"}"#, r#""dependencies":{"b":"1"}"#),
        (r#""optionalDependencies":{"evil":"1"}"#, r#""x":1"#),
        (r#""bin":"evil.js""#, r#""bin":"a.js""#),
        (r#""main":"evil.js""#, r#""main":"a.js""#),
        (r#""exports":{".":"./evil.js"}"#, r#""exports":{".":"./a.js"}"#),
        (r#""type":"module""#, r#""type":"commonjs""#),
        (r#""files":["evil"]"#, r#""files":["a"]"#),
        (r#""engines":{"node":">=1"}"#, r#""engines":{"node":">=2"}"#),
        (r#""gypfile":true"#, r#""gypfile":false"#),
    ] {
        let (staged, rebuilt) =
            (format!(r#"{{"name":"a",{ours}}}"#), format!(r#"{{"name":"a",{theirs}}}"#));
        assert_eq!(package(&staged, &rebuilt), None, "{ours}");
        let added = format!(r#"{{"name":"a","_id":"a",{ours}}}"#);
        assert_eq!(package(&added, &rebuilt), None, "{ours} beside a key that may differ");
    }
}

/// A parser that takes the first of two keys, or knows an escaped one, would see what we do not.
#[test]
fn no_second_spelling_of_a_key_gets_by() {
    let rebuilt = r#"{"name":"a","main":"a.js"}"#;
    for staged in [
        r#"{"name":"a","main":"a.js","main":"evil.js"}"#,
        r#"{"name":"a","_x":"1","_x":"2","main":"a.js"}"#,
        r#"{"name":"a","\u005fx":"1","main":"a.js"}"#,
        r#"{"name":"a","__proto__":{"main":"evil.js"},"main":"a.js"}"#,
        r#"{"name":"a","_x":{"main":"evil.js"},"main":"a.js"}"#,
        r#"{"name":"a","_x":"\"}","main":"evil.js"}"#,
        r#"{"name":"a","main":"a.js"}{"_x":1}"#,
        "{\"name\":\"a\", \"main\":\"a.js\",\"_x\":\"1\"}",
        "{\"name\":\"a\",\n\"main\":\"a.js\"}",
        r#"{"main":"a.js","name":"a","_x":"1"}"#,
    ] {
        assert_eq!(package(staged, rebuilt), None, "{staged}");
    }
    let deep = r#"{"name":"a","main":"a.js","_x":"1"}"#;
    assert_eq!(tokens(Normalisation::PackageJson, "lib/package.json", deep, rebuilt), None);
}

#[test]
fn what_may_differ_holds_what_it_is_for_and_nothing_else() {
    let rebuilt = r#"{"name":"a"}"#;
    let long = "x".repeat(600);
    for value in [
        r#""gitHead":"main""#.to_owned(),
        r#""gitHead":{"evil":1}"#.to_owned(),
        r#""packageManager":"yarn@https://evil.example/yarn.js""#.to_owned(),
        r#""packageManager":"evil@1.0.0""#.to_owned(),
        format!(r#""_x":"{long}""#),
        r#""_x":["evil"]"#.to_owned(),
    ] {
        assert_eq!(package(&format!(r#"{{"name":"a",{value}}}"#), rebuilt), None, "{value}");
    }
}

fn a_map(sources: &str, rest: &str) -> String {
    format!(r#"{{"version":3,"sources":{sources},"mappings":"AAAA"{rest}}}"#)
}

#[test]
fn where_sources_lay_may_differ() {
    let rebuilt = a_map(r#"["../src/a.ts","../src/b.ts"]"#, "");
    let staged = a_map(r#"["/home/me/pad/src/a.ts","../src/b.ts"]"#, r#","sourceRoot":"/home/me""#);
    assert_eq!(map(&staged, &rebuilt).unwrap(), ["sourceRoot", "sources[0]"]);
}

#[test]
fn no_code_hides_in_a_source_map() {
    let rebuilt = a_map(r#"["../src/a.ts"]"#, r#","sourcesContent":["a"]"#);
    for staged in [
        // Code in a source map's place: loaded by name it would run.
        "require('child_process')".to_owned(),
        format!("{rebuilt};evil()"),
        format!("evil();{rebuilt}"),
        a_map(r#"["../src/evil.ts"]"#, r#","sourcesContent":["a"]"#),
        a_map(r#"["../src/a.ts","evil/a.ts"]"#, r#","sourcesContent":["a"]"#),
        a_map(r#"["../src/a.ts"]"#, r#","sourcesContent":["evil"]"#),
        a_map(r#"["../src/a.ts"]"#, r#","sourcesContent":["a"],"x":"evil""#),
        a_map(r#"["../src/a.ts"]"#, r#","sourcesContent":["a"],"sourceRoot":{"evil":1}"#),
        a_map(r#"["\u0065vil/a.ts"]"#, r#","sourcesContent":["a"]"#),
        a_map(r#"[{"evil":"/a.ts"}]"#, r#","sourcesContent":["a"]"#),
        rebuilt.replace("AAAA", "AAAC"),
        rebuilt.replace("\"version\":3", "\"version\":4"),
        rebuilt.replace("\"version\":3", "\"version\":3,\"version\":3"),
        rebuilt.replace(":[", ": ["),
    ] {
        assert_eq!(map(&staged, &rebuilt), None, "{staged}");
    }
    let moved = a_map(r#"["/x/a.ts"]"#, r#","sourcesContent":["a"]"#);
    assert!(map(&moved, &rebuilt).is_some());
    let elsewhere = "dist/index.json";
    assert_eq!(tokens(Normalisation::SourceMapPaths, elsewhere, &moved, &rebuilt), None);
}

#[test]
fn one_time_near_the_commits_may_differ_in_a_comment_at_the_head() {
    for (ours, theirs) in [
        ("2024-05-06", "2026-11-24"),
        ("2024-05-06T10:00:00.123Z", "2026-11-24T09:59:59.9Z"),
        ("Mon May 06 2024 10:00:00 GMT+0200", "Tue Nov 24 2026 10:00:00 GMT+0000"),
        ("Mon, 06 May 2024 10:00:00 GMT", "Tue, 24 Nov 2026 10:00:00 GMT"),
        ("May 7, 2024", "Nov 24, 2026"),
        ("1714996800123", "1795000000123"),
    ] {
        let file =
            |time: &str| format!("#!/usr/bin/env node\n/*!\n * pad, built {time}\n */\ncode();\n");
        let found = time("dist/a.js", &file(ours), &file(theirs));
        assert_eq!(found, Some(vec![ours.to_owned()]), "{ours}");
    }
    let line = |time: &str| format!("// {time}\ncode();");
    assert!(time("a.js", &line("2024-05-06"), &line("2024-05-09")).is_some());
    assert_eq!(time("a.js", &line("2023-05-06"), &line("2024-05-06")), None, "not near");
}

/// Each of these would run, or would be read, if a time were taken for granted where one stands.
#[test]
fn no_code_hides_in_a_time() {
    let rebuilt = "/* built 2024-05-06 */\nconst at = '2024-05-06';\n";
    for staged in [
        // Not in a comment.
        "/* built 2024-05-06 */\nconst at = '2024-05-07';\n",
        // A comment that ends early, and one that begins anew.
        "/* built 2024-05-07*/evil()/* */\nconst at = '2024-05-06';\n",
        "/* built 2024-05-07 */evil()/* */\nconst at = '2024-05-06';\n",
        "/* built */evil('2024-05-07')/* */\nconst at = '2024-05-06';\n",
        // Two at once.
        "/* built 2024-05-07 */\nconst at = '2024-05-07';\n",
        // No time.
        "/* built 2024-13-40 */\nconst at = '2024-05-06';\n",
        "/* built yesterday */\nconst at = '2024-05-06';\n",
        // A time with something behind it.
        "/* built 2024-05-07x */\nconst at = '2024-05-06';\n",
        "/* built 2024-05-07\u{2028}evil() */\nconst at = '2024-05-06';\n",
    ] {
        assert_eq!(time("a.js", staged, rebuilt), None, "{staged}");
    }
    let in_text = |day: u8| format!("const a = `/* 2024-05-{day:02} */`;\n");
    assert_eq!(time("a.js", &in_text(7), &in_text(6)), None, "a comment inside a text");
    let line = |day: u8| format!("// x\rconst a = 1 // 2024-05-{day:02}\n");
    assert_eq!(time("a.js", &line(7), &line(6)), None, "a carriage return ends a comment");
    let css = |day: u8| format!("// 2024-05-{day:02}\n");
    assert_eq!(time("a.css", &css(7), &css(6)), None, "CSS has no such comment");
    let shebang = |day: u8| format!("#!/opt/2024-05-{day:02}/node\n");
    assert_eq!(time("a.js", &shebang(7), &shebang(6)), None, "a shebang says what runs");
    let text = |day: u8| format!("/* 2024-05-{day:02} */");
    assert_eq!(time("a.json", &text(7), &text(6)), None, "JSON has no comments");
}

#[test]
fn line_endings_of_documents_may_differ_and_of_nothing_else() {
    let ends = |path: &str, staged: &str, rebuilt: &str| {
        tokens(Normalisation::LineEndings, path, staged, rebuilt)
    };
    for path in ["README.md", "LICENSE", "docs/guide.txt"] {
        assert_eq!(ends(path, "a\r\nb\r\n", "a\nb\n").unwrap(), ["2 line endings"], "{path}");
    }
    for path in ["a.js", "a.d.ts", "package.json", "a.sh", "a.html", "bin/tool", "Makefile"] {
        assert_eq!(ends(path, "a\r\nb", "a\nb"), None, "{path}");
    }
    assert_eq!(ends("LICENSE", "#!/bin/sh\r\n", "#!/bin/sh\n"), None, "a shebang");
    assert_eq!(ends("README.md", "a\r\nb!", "a\nb"), None, "something else besides");
    assert_eq!(ends("README.md", "a\rb", "a\nb"), None, "a lone carriage return");
    assert_eq!(ends("README.md", "a\n\nb", "a\nb"), None, "another line");
}

#[test]
fn two_normalisations_are_never_taken_together() {
    let permission =
        Permission { allowed: &Normalisation::ALL, committed: Some(COMMITTED), packer: None };
    let (staged, rebuilt) = ("{\r\n\"_x\":\"1\",\r\n\"name\":\"a\"}", "{\n\"name\":\"a\"}");
    assert_eq!(apply("package.json", staged.as_bytes(), rebuilt.as_bytes(), &permission), None);
}
