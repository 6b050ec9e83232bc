//! The threat model cannot rot: every test that `tests/SECURITY.md` names is a test of this repository.

use super::tree::{expect_none, files};

/// The column that names tests.
const COLUMN: &str = "shown by";

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let files = files();
    let model = files.iter().find(|file| file.path == "tests/SECURITY.md").expect("it is there");
    let named = named(&model.text);
    assert!(named.len() > 80, "the tables were read: {}", named.len());
    let sources: Vec<&str> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| file.text.as_str())
        .collect();
    let is_there = |name: &str| {
        let written =
            if name.contains(' ') { format!("\"{name}\"") } else { format!("fn {name}(") };
        sources.iter().any(|text| text.contains(&written))
    };
    let missing: Vec<String> = named.into_iter().filter(|name| !is_there(name)).collect();
    expect_none(
        &missing,
        "Name the test that shows it now, or say under *left over* that none does.",
    );
}

/// What stands in backticks in the column of tests, in every table.
fn named(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut column = None;
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if let Some(at) = cells.iter().position(|cell| *cell == COLUMN) {
            column = Some(at);
        } else if let Some(cell) = column.and_then(|at| cells.get(at)) {
            names.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

#[test]
fn names_are_read_from_their_column_alone() {
    let text = "| a | shown by |\n| --- | --- |\n| `x` | `one`, `two words` |\n\n| `y` | `z` |\n";
    assert_eq!(named(text), ["one", "two words"]);
}
