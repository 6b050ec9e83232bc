//! Words that may not stand in the code, each with what to write instead: what was got wrong once, here or elsewhere.

use super::{
    rust_text::Code,
    tree::{File, expect_none, files, rust_files},
};

/// Every place of these rules in this file's code, as `path:line`.
fn places(file: &File, found: impl Fn(&Code) -> Vec<usize>) -> Vec<String> {
    let code = Code::of(&file.text);
    found(&code).into_iter().map(|at| format!("{}:{}", file.path, code.line_at(at))).collect()
}

#[test]
fn nothing_is_left_to_be_done_later() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let mut left = Vec::new();
    for file in files().iter().filter(|file| !file.path.starts_with("tests/packages/")) {
        for (number, line) in file.text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric());
            if words.into_iter().any(|word| marks.contains(&word)) {
                left.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    expect_none(&left, "No debt is landed knowingly: do it, or open an issue and leave it out.");
}

#[test]
fn a_lint_is_excused_only_with_a_reason() {
    let mut found = Vec::new();
    for file in rust_files() {
        found.extend(places(&file, |code| {
            let text = code.text();
            let words = code.words();
            let follows = |at: usize| text[at..].starts_with("allow(");
            let attribute = |at: usize| {
                let before = text[..at].trim_end();
                before.ends_with("#[") || before.ends_with("#![") || before.ends_with(',')
            };
            let starts = words.iter().filter(|(_, word)| *word == "allow").map(|(at, _)| *at);
            starts.filter(|&at| follows(at) && attribute(at)).collect()
        }));
    }
    expect_none(
        &found,
        "Write #[expect(lint, reason = \"…\")]: it says why, and it complains when it is no longer needed.",
    );
}

#[test]
fn no_test_is_ignored_and_none_waits_for_a_panic() {
    let mut found = Vec::new();
    for file in rust_files() {
        found.extend(places(&file, |code| {
            let text = code.text();
            let marks = ["#[ignore", "#[should_panic"].iter();
            marks
                .flat_map(|mark| text.match_indices(mark).map(|(at, _)| at).collect::<Vec<_>>())
                .collect()
        }));
    }
    // Spelled in two parts, so that this line is not found by itself.
    let example = concat!("```", "ignore");
    for file in rust_files() {
        let lines = file.text.lines().enumerate().filter(|(_, line)| line.contains(example));
        found.extend(lines.map(|(number, _)| {
            format!("{}:{}: an example that is not run", file.path, number + 1)
        }));
    }
    expect_none(
        &found,
        "A test runs or is deleted; an expected failure is a value that the test looks at. What is no program is ```text.",
    );
}

/// The one place where a test may sleep: a function of this name that looks again and again for a condition, under a
/// bound, where nothing tells of it (a process of `/proc`, a mount, a cgroup).
const BOUNDED_WAIT: &str = "within";

/// The sleeps of this code that are in tests and in no bounded wait.
fn sleeps(file: &File, code: &Code) -> Vec<usize> {
    let parts = code.test_parts();
    let waits = code.functions();
    let waits: Vec<_> = waits.iter().filter(|f| f.name == BOUNDED_WAIT).map(|f| &f.body).collect();
    let in_tests = |at: usize| file.is_test() || parts.iter().any(|part| part.contains(&at));
    let in_wait = |at: usize| waits.iter().any(|body| body.contains(&at));
    let sleeps = ["sleep", "sleep_ms", "sleep_until"];
    let words = code.words().into_iter().filter(|(_, word)| sleeps.contains(word));
    words.map(|(at, _)| at).filter(|&at| in_tests(at) && !in_wait(at)).collect()
}

#[test]
fn no_test_sleeps() {
    let mut found = Vec::new();
    for file in rust_files() {
        found.extend(places(&file, |code| sleeps(&file, code)));
    }
    for file in files().iter().filter(|file| file.is_under(&["tests/browser/"])) {
        let lines = file.text.lines().enumerate();
        let waits =
            lines.filter(|(_, l)| l.contains("waitForTimeout") || l.contains("setTimeout("));
        found.extend(waits.map(|(number, _)| format!("{}:{}", file.path, number + 1)));
    }
    expect_none(
        &found,
        "Wait for the event itself (a line, a status, a socket, a moved clock) under a bound, never for a time. Where \
         nothing tells of it, look again and again in a function called `within` that takes the bound.",
    );
}

#[test]
fn a_sleep_is_found_in_a_test_and_not_in_a_bounded_wait() {
    let text = "fn f() { sleep(a) }\nfn within(b: B) { sleep(c) }\n";
    let lines = |path: &str| {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        let code = Code::of(&file.text);
        sleeps(&file, &code).into_iter().map(|at| code.line_at(at)).collect::<Vec<_>>()
    };
    assert_eq!(lines("tests/it/x.rs"), [1]);
    assert!(lines("workers/src/x.rs").is_empty());
}
