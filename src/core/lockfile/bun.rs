//! bun.lock, the text form that bun writes from 1.2 on: JSON with comments and trailing commas. The binary `bun.lockb`
//! before it is not read.

use serde_json::{Map, Value};

use super::{Format, InvalidLockfile, Lockfile, Named};

/// Reads the text.
///
/// # Errors
/// What bun could not read, or of a version after 2.
pub(super) fn parse(text: &str) -> Result<Lockfile, InvalidLockfile> {
    let whole: Map<String, Value> =
        serde_json::from_str(&plain(text)).map_err(|error| InvalidLockfile(error.to_string()))?;
    let version = whole.get("lockfileVersion").and_then(Value::as_u64);
    let version = version
        .filter(|version| *version <= 2)
        .ok_or_else(|| InvalidLockfile("its `lockfileVersion` is not 0, 1 or 2".to_owned()))?;
    let mut lockfile = Lockfile::empty(Format::Bun, version, 0);
    let packages = whole.get("packages").and_then(Value::as_object);
    for entry in packages.into_iter().flat_map(Map::values) {
        let parts = entry
            .as_array()
            .ok_or_else(|| InvalidLockfile("one of its `packages` is not a list".to_owned()))?;
        add(&mut lockfile, parts);
    }
    Ok(lockfile)
}

/// An entry is `[name@version, registry or tarball, {…}, integrity]`; what comes from elsewhere has the address in the
/// first place and no integrity.
fn add(lockfile: &mut Lockfile, parts: &[Value]) {
    let ident = parts.first().and_then(Value::as_str).unwrap_or_default();
    let after_scope = usize::from(ident.starts_with('@'));
    let Some(at) = ident[after_scope..].find('@').map(|at| at + after_scope) else { return };
    let (name, version) = (&ident[..at], &ident[at + 1..]);
    if ["workspace:", "link:", "file:", "root:"].iter().any(|p| version.starts_with(p)) {
        return;
    }
    let is_address = version.contains(':');
    let address = parts.get(1).and_then(Value::as_str).filter(|text| !text.is_empty());
    let about = parts.iter().find_map(Value::as_object);
    lockfile.add(Named {
        name,
        version: if is_address { "0.0.0" } else { version },
        resolved: if is_address { Some(version) } else { address },
        integrity: parts.get(3).and_then(Value::as_str),
        checksum: false,
        has_install_script: false,
        optional: about.is_some_and(|about| about.contains_key("os") || about.contains_key("cpu")),
    });
}

/// The text without comments and without commas before a closing bracket.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(one) = rest.chars().next() {
        let taken = match one {
            '"' => string_bytes(rest),
            '/' if rest.starts_with("//") => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after);
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.split_once("*/").map_or("", |(_, after)| after);
                continue;
            }
            ']' | '}' => {
                let kept = out.trim_end();
                if kept.ends_with(',') {
                    out.truncate(kept.len() - 1);
                }
                1
            }
            other => other.len_utf8(),
        };
        let (now, after) = rest.split_at(taken);
        out.push_str(now);
        rest = after;
    }
    out
}

/// How many bytes the string at the beginning of the text has, quotes included.
fn string_bytes(text: &str) -> usize {
    let mut escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockfile_of_bun_is_read() {
        let text = r#"{
          // written by bun
          "lockfileVersion": 1,
          "workspaces": { "": { "name": "x", "devDependencies": { "a": "^1", }, }, },
          "packages": {
            "@s/b": ["@s/b@2.0.0", "", { "dependencies": { "a": "^1.0.0" } }, "sha512-BB=="],
            "a": ["a@1.0.0", "https://packages.example.org/", {}, "sha512-//,]=="],
            "alias": ["real@3.0.0", "", { "os": "darwin", "cpu": "arm64" }, "sha512-CC=="],
            "g": ["g@git+ssh://git@github.com/o/g.git#abc", {}, "abc"],
            "h": ["h@github:o/h#abc", {}, "o-h-abc"],
            "y": ["y@workspace:packages/y"],
          },
        }"#;
        let lockfile = parse(text).unwrap();
        let names: Vec<String> =
            lockfile.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect();
        assert_eq!(names, ["@s/b@2.0.0", "a@1.0.0", "real@3.0.0"]);
        assert_eq!(lockfile.packages[1].integrity.as_deref(), Some("sha512-//,]=="));
        assert!(lockfile.packages[2].optional);
        assert_eq!(lockfile.from_git, ["g", "h"]);
        assert_eq!(lockfile.hosts().into_iter().collect::<Vec<_>>(), ["packages.example.org"]);
    }

    #[test]
    fn what_bun_could_not_read_is_refused() {
        for text in [
            "",
            "{",
            "{}",
            "{\"lockfileVersion\": 3}",
            "{\"lockfileVersion\": 1, \"packages\": {\"a\": 1}}",
            "\"\\",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
