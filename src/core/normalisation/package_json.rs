//! package.json: keys that publishing clients write, and scripts that pnpm takes out when it packs. Whatever an installer
//! acts on is compared byte for byte.

use super::members::{Cut, Item, object, plain};
use crate::package_json::PackageJson;

/// The scripts that pnpm takes out of what it packs (pnpm 5 to 11, `exportable-manifest`: `PREPUBLISH_SCRIPTS`). None of them
/// is run when a package is installed from a registry.
const PNPM_TAKES_OUT: [&str; 6] =
    ["prepublishOnly", "prepack", "prepare", "postpack", "publish", "postpublish"];
/// The longest text that a free key may hold.
const VALUE_BYTES_MAX: usize = 512;

/// The tokens in which two package.json differ; none where they differ in anything else.
pub(super) fn tokens(
    path: &str,
    staged: &str,
    rebuilt: &str,
    packer: Option<&str>,
) -> Option<Vec<String>> {
    if path != "package.json" || !is_whole(staged) || !is_whole(rebuilt) {
        return None;
    }
    let (staged, rebuilt) = (object(staged)?, object(rebuilt)?);
    if (staged.open, staged.close) != (rebuilt.open, rebuilt.close) {
        return None;
    }
    let mut tokens = Vec::new();
    for (one, other) in [(&staged, &rebuilt), (&rebuilt, &staged)] {
        for item in one.items.iter().filter(|item| is_free(item)) {
            let same = other.items.iter().any(|member| member == item);
            let key = item.key().unwrap_or_default().to_owned();
            if !same && !tokens.contains(&key) {
                tokens.push(key);
            }
        }
    }
    let mut ours = staged.items.iter().filter(|item| !is_free(item));
    let mut theirs = rebuilt.items.iter().filter(|item| !is_free(item));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Some(tokens),
            (Some(one), Some(other)) if one == other => {}
            (Some(one), Some(other)) => {
                let scripts = one.is_framed_as(other) && one.key() == Some("scripts");
                tokens.extend(scripts.then(|| taken_out(one.value, other.value, packer))??);
            }
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Whether it is a package.json at all: one object with each key once.
fn is_whole(text: &str) -> bool {
    PackageJson::parse(text.as_bytes()).is_ok()
}

/// Whether a member may differ: it is a record of how the package was made, and no installer acts on it.
fn is_free(item: &Item<'_>) -> bool {
    match item.key() {
        Some("gitHead") => plain(item.value).is_some_and(is_commit),
        Some("packageManager") => plain(item.value).is_some_and(is_package_manager),
        Some(key) if key.starts_with('_') && key != "__proto__" => is_short_scalar(item.value),
        Some(_) | None => false,
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `name@version`, with or without a digest: no address that something could be fetched from.
fn is_package_manager(text: &str) -> bool {
    let Some((name, version)) = text.split_once('@') else { return false };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".+-".contains(&b);
    matches!(name, "npm" | "pnpm" | "yarn" | "bun")
        && version.len() <= VALUE_BYTES_MAX
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(plain)
}

fn is_short_scalar(value: &str) -> bool {
    !value.starts_with(['{', '[']) && value.len() <= VALUE_BYTES_MAX
}

/// The scripts that the packer took out of the staged package.json, where that is all in which the two differ.
fn taken_out(staged: &str, rebuilt: &str, packer: Option<&str>) -> Option<Vec<String>> {
    if packer != Some("pnpm") {
        return None;
    }
    let (staged, rebuilt) = (object(staged)?, object(rebuilt)?);
    let stays = |item: &&Item<'_>| {
        let takes_out = item.key().is_some_and(|key| PNPM_TAKES_OUT.contains(&key));
        !takes_out || staged.items.iter().any(|kept| kept.key() == item.key())
    };
    let (left, gone): (Vec<&Item<'_>>, Vec<&Item<'_>>) = rebuilt.items.iter().partition(stays);
    let same = left.into_iter().eq(staged.items.iter());
    let closed = staged.close == rebuilt.close || is_emptied(&staged);
    let names = gone.iter().filter_map(|item| Some(format!("scripts.{}", item.key()?)));
    (same && closed && !gone.is_empty()).then(|| names.collect())
}

/// Whether nothing is left between the braces: then their white space went with what was taken out.
fn is_emptied(object: &Cut<'_>) -> bool {
    object.items.is_empty() && object.close == "}"
}
