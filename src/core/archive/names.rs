//! What a path in an archive becomes on the disk, and which paths mean different files on different disks. It knows the
//! rules of file systems and of `npm install`, and nothing of tar.

use unicode_normalization::UnicodeNormalization;

use super::rule::{Rule, is_plain, quoted};
use crate::limits::{PATH_BYTES_MAX, PATH_PART_BYTES_MAX};

/// A path taken apart at its root folder.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) root: &'a str,
    /// The rest below the root, as npm installs it; empty for the root folder itself.
    pub(super) below: String,
}

/// Checks a path and takes off its root folder.
pub(super) fn place(path: &[u8]) -> Result<Place<'_>, (Rule, String)> {
    let shown = quoted(path);
    let refuse = |rule, what: &str| Err((rule, format!("path {shown} {what}")));
    if path.len() > PATH_BYTES_MAX {
        return refuse(Rule::PathLength, &format!("has more than {PATH_BYTES_MAX} bytes"));
    }
    let Ok(text) = std::str::from_utf8(path) else {
        return refuse(Rule::Path, "is not UTF-8");
    };
    if !text.chars().all(is_plain) {
        return refuse(Rule::Path, "has control characters");
    }
    if text.contains(['\\', ':']) {
        return refuse(Rule::Path, "has a backslash or a colon, which Windows reads as its own");
    }
    for part in text.split('/') {
        match part {
            "" => return refuse(Rule::Path, "has an empty part"),
            "." | ".." => return refuse(Rule::Path, "has a part that is only dots"),
            _ if part.ends_with(['.', ' ']) => {
                return refuse(Rule::Path, "has a part that ends in a dot or a space");
            }
            _ if part.len() > PATH_PART_BYTES_MAX => {
                let what = format!("has a part of more than {PATH_PART_BYTES_MAX} bytes");
                return refuse(Rule::PathLength, &what);
            }
            _ => {}
        }
    }
    let (root, below) = text.split_once('/').unwrap_or((text, ""));
    Ok(Place { root, below: below.to_owned() })
}

/// The path under which npm installs a file: a `.gitignore` becomes an `.npmignore` (pacote, `fetcher.js`). Where both
/// stand in one folder they are one path here, and the reader refuses them: npm's answer depends on their order.
pub(super) fn installed(below: String) -> String {
    match below.strip_suffix(".gitignore") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => format!("{folder}.npmignore"),
        Some(_) | None => below,
    }
}

/// Equal for two paths that are one file on some disk: without case and accents' form, as APFS and NTFS compare, and
/// without the invisible characters that HFS+ skips, and as node-tar writes on Windows what Windows does not allow. Folders are divided by NUL, which sorts before all else, so that a
/// folder sorts directly before what lies in it.
pub(super) fn collision_key(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase().replace('/', "\0");
    }
    let folded = |text: &str| -> String {
        // Upper and then lower case also brings together what folds to several letters, such as ß and SS.
        text.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfd().collect()
    };
    // Folding may bring forth what folds again; the second round finds nothing new for any character of Unicode 16.
    let twice = folded(&folded(path));
    let kept = twice.chars().filter(|&c| !is_skipped(c)).map(unencoded);
    kept.map(|c| if c == '/' { '\0' } else { c }).collect()
}

/// node-tar puts these characters into a private range on Windows (`winchars.js`), where a name may have them already.
fn unencoded(character: char) -> char {
    match character {
        '\u{f07c}' => '|',
        '\u{f03c}' => '<',
        '\u{f03e}' => '>',
        '\u{f03f}' => '?',
        other => other,
    }
}

/// The characters that HFS+ leaves out when it compares names.
fn is_skipped(character: char) -> bool {
    matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_called_gitignore_is_renamed() {
        for (before, after) in [
            (".gitignore", ".npmignore"),
            ("a/.gitignore", "a/.npmignore"),
            ("a.gitignore", "a.gitignore"),
            (".gitignore/a", ".gitignore/a"),
        ] {
            assert_eq!(installed(before.to_owned()), after);
        }
    }

    #[test]
    fn names_that_one_disk_takes_for_the_same_have_one_key() {
        for (one, other) in [
            ("README.md", "readme.MD"),
            ("\u{e9}.js", "e\u{301}.js"),
            ("\u{c9}.js", "e\u{301}.JS"),
            ("straße", "STRASSE"),
            ("\u{3c3}", "\u{3c2}"),
            ("a\u{200d}b", "ab"),
            ("\u{212a}", "k"),
            ("a\u{f03f}.js", "a?.js"),
        ] {
            assert_eq!(collision_key(one), collision_key(other), "{one} {other}");
        }
        assert_ne!(collision_key("a.js"), collision_key("b.js"));
        assert_ne!(collision_key("é"), collision_key("e"));
    }

    #[test]
    fn folding_a_key_again_changes_nothing_for_any_character() {
        for character in ('\0'..=char::MAX).filter(|&c| c != '/') {
            let key = collision_key(&character.to_string());
            assert_eq!(collision_key(&key), key, "U+{:04X}", u32::from(character));
        }
    }
}
