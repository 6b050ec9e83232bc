//! Line endings of documents: CRLF for LF and nothing else. In code they are never let differ: a carriage return inside a
//! text changes what a program does, and behind a shebang it changes which program runs.

/// Endings of documents that nothing runs.
const DOCUMENTS: [&str; 5] = [".md", ".markdown", ".mkd", ".txt", ".rst"];
/// Names of documents that come without an ending.
const NAMES: [&str; 11] = [
    "license",
    "licence",
    "copying",
    "notice",
    "readme",
    "changelog",
    "history",
    "authors",
    "contributors",
    "patents",
    "unlicense",
];

/// How many line endings differ; none where anything else does.
pub(super) fn tokens(path: &str, staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    if !is_document(path) || staged.starts_with("#!") || rebuilt.starts_with("#!") {
        return None;
    }
    let in_lf = |text: &str| text.replace("\r\n", "\n");
    let returns = |text: &str| text.matches("\r\n").count();
    let differ = returns(staged).abs_diff(returns(rebuilt));
    (in_lf(staged) == in_lf(rebuilt)).then(|| vec![format!("{differ} line endings")])
}

fn is_document(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    DOCUMENTS.iter().any(|ending| name.ends_with(ending)) || NAMES.contains(&name.as_str())
}
