//! What the name of a file says about where it comes from.

use crate::cause::Cause;

/// Files that editors and systems leave behind, by the end of their names or by a folder.
const EDITORS: [&str; 9] = [
    ".ds_store",
    "thumbs.db",
    "desktop.ini",
    ".swp",
    ".swo",
    "~",
    ".project",
    ".iml",
    ".code-workspace",
];
const EDITOR_FOLDERS: [&str; 4] = [".idea", ".vscode", ".vs", "__macosx"];
/// Files that tools and people leave behind.
const LEFT_OVER: [&str; 11] = [
    ".tsbuildinfo",
    ".log",
    ".orig",
    ".rej",
    ".bak",
    ".tmp",
    ".tgz",
    ".eslintcache",
    ".env",
    ".pid",
    ".stackdump",
];
const LEFT_OVER_FOLDERS: [&str; 4] = [".nyc_output", "coverage", "node_modules", ".cache"];
const LEFT_OVER_STEMS: [&str; 4] = ["notes", "note", "todo", "scratch"];
/// What npm packs whatever `files` says (npm-packlist 1 to 10); up to npm 6 also the second line.
const ALWAYS_PACKED: [&str; 9] = [
    "readme",
    "license",
    "licence",
    "copying", //
    "changelog",
    "changes",
    "history",
    "notice",
    "contributors",
];
/// Folders that builds write into.
const OUTPUT_FOLDERS: [&str; 13] = [
    "dist", "lib", "build", "out", "es", "esm", "cjs", "umd", "types", "typings", "module",
    "bundle", "min",
];

fn parts(path: &str) -> (impl Iterator<Item = String>, String) {
    let lower = path.to_ascii_lowercase();
    let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let name = name.to_owned();
    let folders: Vec<String> = folders.split('/').map(str::to_owned).collect();
    (folders.into_iter(), name)
}

/// The cause of a file that stands in a package by mistake, where its name gives it away.
pub(super) fn stray(path: &str) -> Option<(Cause, String)> {
    let (folders, name) = parts(path);
    let folders: Vec<String> = folders.collect();
    let lies_in = |known: &[&str]| folders.iter().any(|folder| known.contains(&folder.as_str()));
    let ends = |known: &[&str]| known.iter().any(|end| name.ends_with(end));
    if ends(&EDITORS)
        || name.starts_with("._")
        || name.starts_with(".#")
        || lies_in(&EDITOR_FOLDERS)
    {
        let because = format!("`{path}` is what an editor or a system leaves in a folder.");
        return Some((Cause::EditorFile, because));
    }
    let stem = name.split('.').next().unwrap_or_default();
    let is_note = LEFT_OVER_STEMS.contains(&stem) && is_document(path);
    if ends(&LEFT_OVER) || lies_in(&LEFT_OVER_FOLDERS) || is_note {
        let because = format!("`{path}` is what tools or people leave in a folder.");
        return Some((Cause::LeftOver, because));
    }
    None
}

/// Whether npm, of some generation, packs it whatever `files` says.
pub(super) fn is_always_packed(path: &str) -> bool {
    let (mut folders, name) = parts(path);
    let stem = name.split('.').next().unwrap_or_default();
    folders.all(|folder| folder.is_empty()) && ALWAYS_PACKED.contains(&stem)
}

/// Whether it is a document.
pub(super) fn is_document(path: &str) -> bool {
    let name = path.to_ascii_lowercase();
    [".md", ".markdown", ".txt", ".rst"].iter().any(|end| name.ends_with(end))
        || is_always_packed(path)
}

/// Whether it is what a compiler writes beside code: declarations and maps.
pub(super) fn is_side_output(path: &str) -> bool {
    let ends = [".d.ts", ".d.mts", ".d.cts", ".map", ".js.flow", ".d.ts.map"];
    ends.iter().any(|end| path.ends_with(end))
}

/// Whether it looks like the output of a build.
pub(super) fn is_output(path: &str) -> bool {
    let (mut folders, name) = parts(path);
    folders.any(|folder| OUTPUT_FOLDERS.contains(&folder.as_str()))
        || is_side_output(path)
        || [".min.js", ".umd.js", ".cjs", ".mjs"].iter().any(|end| name.ends_with(end))
}
