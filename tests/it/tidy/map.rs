//! The map cannot rot: every module that the three packages name stands in `src/ARCHITECTURE.md`, and the map names no
//! path that is gone.

use super::{
    rust_text::Code,
    tree::{expect_none, files, top},
};

/// Where the packages list their modules.
const LISTS: &[&str] = &["src/core/lib.rs", "src/lib.rs", "src/main.rs", "workers/src/lib.rs"];

/// The documents that send a reader somewhere.
const GUIDES: &[&str] = &[
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "src/ARCHITECTURE.md",
    "tests/README.md",
    "tests/SECURITY.md",
];

#[test]
fn every_module_stands_on_the_map() {
    let files = files();
    let text = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.unwrap_or_else(|| panic!("{path} is gone")).text.as_str()
    };
    let map = text("src/ARCHITECTURE.md");
    let mut missing = Vec::new();
    for list in LISTS {
        let code = Code::of(text(list));
        let words = code.words();
        let declared = words.windows(2).filter(|pair| pair[0].1 == "mod").map(|pair| pair[1].1);
        // These are built only for the tests of their package.
        let declared = declared.filter(|module| !["peer", "tests"].contains(module));
        missing.extend(
            declared.filter(|module| !map.contains(&format!("`{module}`"))).map(|module| {
                format!("`{module}` of {list} does not stand in src/ARCHITECTURE.md")
            }),
        );
    }
    expect_none(&missing, "Say in the code map what it holds: a reader starts there.");
}

#[test]
fn no_guide_sends_a_reader_to_a_path_that_is_gone() {
    let mut gone = Vec::new();
    for file in files().iter().filter(|file| GUIDES.contains(&file.path.as_str())) {
        for path in paths_in(&file.text) {
            let beside = top().join(&file.path).with_file_name(&path);
            if !top().join(&path).exists() && !beside.exists() {
                gone.push(format!("{} names {path}", file.path));
            }
        }
    }
    expect_none(&gone, "Name where it is now.");
}

/// What is written as a path of this repository: a link's target, or a word in backticks that begins with one of its
/// folders.
fn paths_in(text: &str) -> Vec<String> {
    const FOLDERS: &[&str] = &["src/", "workers/", "tests/", "migrations/", "script/"];
    let quoted = text.split('`').skip(1).step_by(2);
    let quoted = quoted.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
    let quoted = quoted.filter(|word| !word.contains([' ', '*']) && !word.ends_with("CASE"));
    let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let linked = linked.filter(|target| !target.contains("://"));
    quoted.chain(linked).map(str::to_owned).collect()
}

#[test]
fn paths_are_found_in_links_and_in_backticks() {
    let text =
        "[a](src/x.md) [b](https://h/i) `src/core` `cargo test` `tests/packages/CASE` `tests/it/*`";
    assert_eq!(paths_in(text), ["src/core", "src/x.md"]);
}
