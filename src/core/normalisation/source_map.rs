//! Source maps: where the sources lay on the disk of whoever built them. Their names, their contents and the mappings are
//! compared byte for byte.

use super::members::{Item, array, object, plain};
use crate::package_json::PackageJson;

/// The longest path of a source.
const PATH_BYTES_MAX: usize = 1024;

/// The tokens in which two source maps differ; none where they differ in anything else.
pub(super) fn tokens(path: &str, staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    // A whole JSON object with a version is never a program: as JavaScript it is a syntax error.
    if !path.ends_with(".map") || !is_map(staged) || !is_map(rebuilt) {
        return None;
    }
    let (staged, rebuilt) = (object(staged)?, object(rebuilt)?);
    if (staged.open, staged.close) != (rebuilt.open, rebuilt.close) {
        return None;
    }
    let mut tokens = Vec::new();
    let root = |items: &[Item<'_>]| {
        items.iter().copied().find(|item| is_root(item)).map(|item| item.value.to_owned())
    };
    if root(&staged.items) != root(&rebuilt.items) {
        tokens.push("sourceRoot".to_owned());
    }
    let mut ours = staged.items.iter().filter(|item| !is_root(item));
    let mut theirs = rebuilt.items.iter().filter(|item| !is_root(item));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Some(tokens),
            (Some(one), Some(other)) if one == other => {}
            (Some(one), Some(other)) => {
                let sources = one.is_framed_as(other) && one.key() == Some("sources");
                tokens.extend(sources.then(|| moved(one.value, other.value))??);
            }
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Whether it is a source map: one object with each key once, of version 3 (ECMA-426), and not one of several sections.
fn is_map(text: &str) -> bool {
    PackageJson::parse(text.as_bytes()).is_ok_and(|map| {
        map.raw().get("version").and_then(serde_json::Value::as_u64) == Some(3)
            && map.raw().contains_key("mappings")
            && !map.raw().contains_key("sections")
    })
}

fn is_root(item: &Item<'_>) -> bool {
    item.key() == Some("sourceRoot") && plain(item.value).is_some_and(is_path)
}

fn is_path(text: &str) -> bool {
    text.len() <= PATH_BYTES_MAX && !text.chars().any(char::is_control)
}

/// The sources that lie in another folder, where that is all in which the two lists differ.
fn moved(staged: &str, rebuilt: &str) -> Option<Vec<String>> {
    let (staged, rebuilt) = (array(staged)?, array(rebuilt)?);
    let framed = (staged.open, staged.close, staged.items.len())
        == (rebuilt.open, rebuilt.close, rebuilt.items.len());
    if !framed {
        return None;
    }
    let mut tokens = Vec::new();
    for (index, (one, other)) in staged.items.iter().zip(&rebuilt.items).enumerate() {
        if one == other {
            continue;
        }
        let (here, there) = (plain(one.value)?, plain(other.value)?);
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let same_name = name(here) == name(there) && !name(here).is_empty();
        if !one.is_framed_as(other) || !same_name || !is_path(here) || !is_path(there) {
            return None;
        }
        tokens.push(format!("sources[{index}]"));
    }
    Some(tokens)
}
