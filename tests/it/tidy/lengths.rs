//! How long files and functions may be. What does not fit on a few screens is two things.

use super::{
    rust_text::Code,
    tree::{expect_none, files, rust_files},
};

/// The longest file of code or of prose for programs.
const FILE_LINES_MAX: usize = 500;
/// The longest function, in lines that hold code. Clippy counts the same (`too_many_lines`); here it holds for test
/// code that clippy's configuration may not reach, and in one place with the files.
const FUNCTION_LINES_MAX: usize = 70;
/// Kinds of files that people write and read line by line. Data (JSON, TSV, lock files) may be as long as it is.
const KINDS: &[&str] = &["rs", "sql", "js", "mjs", "css", "html", "sh", "toml", "yml", "md", ""];
/// Tables: long because the matter is, one row like the other. Named here, each with its reason.
const TABLES: &[(&str, &str)] = &[];

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let long: Vec<String> = files()
        .iter()
        .filter(|file| KINDS.contains(&file.extension()))
        .filter(|file| !TABLES.iter().any(|(path, _)| *path == file.path))
        .map(|file| (&file.path, file.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{path} has {lines} lines, more than {FILE_LINES_MAX}"))
        .collect();
    expect_none(
        &long,
        "Split it where its second subject begins, tests with the subject they test.",
    );
}

#[test]
fn no_function_is_longer_than_seventy_lines() {
    let mut long = Vec::new();
    for file in rust_files() {
        for function in Code::of(&file.text).functions() {
            if function.lines > FUNCTION_LINES_MAX {
                let (path, name) = (&file.path, &function.name);
                let (line, lines) = (function.line, function.lines);
                long.push(format!("{path}:{line} `{name}` has {lines} lines of code"));
            }
        }
    }
    expect_none(
        &long,
        "Let the parent branch and the leaves compute: 70 lines at most, most under 20.",
    );
}

#[test]
fn a_table_that_is_excused_exists_and_is_long() {
    let files = files();
    for (path, reason) in TABLES {
        let file = files.iter().find(|file| file.path == *path);
        let file = file.unwrap_or_else(|| panic!("{path} is gone: take it from the list"));
        let lines = file.text.lines().count();
        assert!(lines > FILE_LINES_MAX, "{path} ({reason}) has {lines} lines: no excuse needed");
    }
}
