//! yarn.lock, of yarn 1 and of berry. Both group the ranges that one version answers; berry's names no digest of a
//! tarball but one of the archive that it makes of it, against which it holds what it downloads.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Format, InvalidLockfile, Lockfile, Named,
    indented::{self, Entry, Form},
};

/// Reads the text of either.
///
/// # Errors
/// What yarn could not read.
pub(super) fn parse(text: &str) -> Result<Lockfile, InvalidLockfile> {
    if text.lines().any(|line| line == "__metadata:") {
        return berry(&indented::read(text, Form::Colons)?);
    }
    let root = indented::read(text, Form::Spaces)?;
    let mut lockfile = Lockfile::empty(Format::Yarn, 1, 0);
    for entry in &root.below {
        add_classic(&mut lockfile, entry)?;
    }
    Ok(lockfile)
}

fn add_classic(lockfile: &mut Lockfile, entry: &Entry<'_>) -> Result<(), InvalidLockfile> {
    let first = first_descriptor(entry.key);
    let version = entry
        .text("version")
        .ok_or_else(|| InvalidLockfile(format!("its entry `{}` has no version", entry.key)))?;
    let (alias, range) = parted(first);
    let real = range.strip_prefix("npm:").map(|target| parted(target).0);
    let resolved = entry.text("resolved");
    // Before 1.10 the only digest was the SHA-1 behind the address.
    let fragment = resolved.and_then(|text| text.split_once('#')).map(|(_, hash)| hash);
    let sha1 = fragment
        .and_then(|hash| hex::decode(hash).ok())
        .filter(|bytes| bytes.len() == 20)
        .map(|bytes| format!("sha1-{}", STANDARD.encode(bytes)));
    let from_a_forge =
        resolved.is_some_and(|text| text.starts_with("https://codeload.github.com/"));
    let resolved = if from_a_forge { Some("git+https://elsewhere") } else { resolved };
    lockfile.add(Named {
        name: real.unwrap_or(alias),
        version,
        resolved,
        integrity: entry.text("integrity").or(sha1.as_deref()),
        checksum: false,
        has_install_script: false,
        optional: false,
    });
    Ok(())
}

fn berry(root: &Entry<'_>) -> Result<Lockfile, InvalidLockfile> {
    let metadata = root.get("__metadata").and_then(|entry| entry.text("version"));
    let version = metadata
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| InvalidLockfile("its `__metadata` has no version".to_owned()))?;
    let mut lockfile = Lockfile::empty(Format::Berry, version, 0);
    for entry in root.below.iter().filter(|entry| entry.key != "__metadata") {
        let resolution = entry.text("resolution").ok_or_else(|| {
            InvalidLockfile(format!("its entry `{}` has no resolution", entry.name()))
        })?;
        add_berry(&mut lockfile, entry, resolution);
    }
    Ok(lockfile)
}

fn add_berry(lockfile: &mut Lockfile, entry: &Entry<'_>, resolution: &str) {
    let (name, reference) = parted(resolution);
    let (protocol, rest) = reference.split_once(':').unwrap_or(("", reference));
    let (version, resolved) = match protocol {
        "npm" => {
            let (version, parameters) = rest.split_once("::").unwrap_or((rest, ""));
            (version, archive_address(parameters))
        }
        // A folder of the repository, or a change to a package that has an entry of its own.
        "workspace" | "patch" | "portal" | "link" | "file" | "virtual" => return,
        _ => (entry.text("version").unwrap_or_default(), Some(berry_address(reference))),
    };
    lockfile.add(Named {
        name,
        version,
        resolved: resolved.as_deref(),
        integrity: None,
        checksum: entry.text("checksum").is_some(),
        has_install_script: false,
        // What fits another machine has no checksum, since it is not downloaded.
        optional: entry.get("conditions").is_some(),
    });
}

/// What stands behind an `npm:` reference where the registry keeps its tarball elsewhere.
fn archive_address(parameters: &str) -> Option<String> {
    let encoded = parameters.split('&').find_map(|one| one.strip_prefix("__archiveUrl="))?;
    let query = format!("a={encoded}");
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned())
}

/// The address of a reference that is no registry's: berry marks a git repository by the commit behind it.
fn berry_address(reference: &str) -> String {
    let is_git = reference.contains("#commit=") || reference.starts_with("git");
    if is_git {
        format!("git+{}", reference.trim_start_matches("git+"))
    } else {
        reference.to_owned()
    }
}

/// The first of the ranges that a key lists.
fn first_descriptor(key: &str) -> &str {
    let first = key.split(", ").next().unwrap_or(key);
    indented::unquoted(first)
}

/// Name and range of `name@range`, with or without a scope.
fn parted(descriptor: &str) -> (&str, &str) {
    let after_scope = usize::from(descriptor.starts_with('@'));
    match descriptor[after_scope..].find('@') {
        Some(at) => (&descriptor[..at + after_scope], &descriptor[at + after_scope + 1..]),
        None => (descriptor, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lockfile: &Lockfile) -> Vec<String> {
        lockfile.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect()
    }

    #[test]
    fn a_lockfile_of_yarn_1_is_read() {
        let text = "# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\n\
             \"@s/b@^2.0.0\", \"@s/b@^2.1.0\":\n  version \"2.1.0\"\n\
             \x20 resolved \"https://registry.yarnpkg.com/@s/b/-/b-2.1.0.tgz#0123456789012345678901234567890123456789\"\n\
             \x20 integrity sha512-BB==\n  dependencies:\n    a \"^1.0.0\"\n    \"@s/c\" \"1 || 2\"\n\n\
             a@^1.0.0, a@~1.0.0:\n  version \"1.0.0\"\n\
             \x20 resolved \"https://registry.npmjs.org/a/-/a-1.0.0.tgz#0123456789012345678901234567890123456789\"\n\n\
             \"alias@npm:real@^3.0.0\":\n  version \"3.0.0\"\n  resolved \"https://registry.yarnpkg.com/real/-/real-3.0.0.tgz\"\n\
             \x20 integrity sha512-CC==\n\n\
             \"g@github:o/g\":\n  version \"1.0.0\"\n  resolved \"https://codeload.github.com/o/g/tar.gz/abc\"\n\n\
             \"h@git+ssh://git@github.com/o/h.git\":\n  version \"1.0.0\"\n  resolved \"git+ssh://git@github.com/o/h.git#abc\"\n";
        let lockfile = parse(text).unwrap();
        assert_eq!(lockfile.format, Format::Yarn);
        assert_eq!(names(&lockfile), ["@s/b@2.1.0", "a@1.0.0", "real@3.0.0"]);
        assert_eq!(lockfile.packages[0].integrity.as_deref(), Some("sha512-BB=="));
        let sha1 = lockfile.packages[1].integrity.as_deref();
        assert_eq!(sha1, Some("sha1-ASNFZ4kBI0VniQEjRWeJASNFZ4k="));
        assert_eq!(lockfile.hosts().into_iter().collect::<Vec<_>>(), ["registry.npmjs.org"]);
        assert_eq!(lockfile.from_git, ["g", "h"]);
        assert!(lockfile.is_complete());
    }

    #[test]
    fn a_lockfile_of_berry_is_read_and_is_complete_by_checksums() {
        let text = "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\
             \"@s/b@npm:^2.0.0, @s/b@npm:^2.1.0\":\n  version: 2.1.0\n  resolution: \"@s/b@npm:2.1.0\"\n  dependencies:\n    a: \"npm:^1.0.0\"\n\
             \x20 checksum: 10c0/abc\n  languageName: node\n  linkType: hard\n\n\
             \"alias@npm:real@^3.0.0\":\n  version: 3.0.0\n  resolution: \"real@npm:3.0.0::__archiveUrl=https%3A%2F%2Fpackages.example.org%2Freal%2F-%2Freal-3.0.0.tgz\"\n\
             \x20 checksum: 10c0/abc\n  languageName: node\n  linkType: hard\n\n\
             \"mac@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"mac@npm:1.0.0\"\n  conditions: os=darwin & cpu=arm64\n  languageName: node\n  linkType: hard\n\n\
             \"real@patch:real@npm%3A^3.0.0#optional!builtin<compat/real>\":\n  version: 3.0.0\n  resolution: \"real@patch:real@npm%3A3.0.0#optional!builtin<compat/real>::version=3.0.0&hash=1\"\n\
             \x20 checksum: 10c0/abc\n  languageName: node\n  linkType: hard\n\n\
             \"root@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"root@workspace:.\"\n  languageName: unknown\n  linkType: soft\n\n\
             \"g@https://github.com/o/g.git#commit=abc\":\n  version: 1.0.0\n  resolution: \"g@https://github.com/o/g.git#commit=abc\"\n\
             \x20 checksum: 10c0/abc\n  languageName: node\n  linkType: hard\n";
        let lockfile = parse(text).unwrap();
        assert_eq!((lockfile.format, lockfile.version), (Format::Berry, 8));
        assert_eq!(names(&lockfile), ["@s/b@2.1.0", "real@3.0.0", "mac@1.0.0"]);
        assert!(lockfile.packages.iter().all(|package| package.integrity.is_none()));
        assert_eq!(lockfile.hosts().into_iter().collect::<Vec<_>>(), ["packages.example.org"]);
        assert_eq!(lockfile.from_git, ["g"]);
        assert!(lockfile.is_complete());
        let bare = text.replace("  checksum: 10c0/abc\n", "");
        assert!(!parse(&bare).unwrap().is_complete());
    }

    #[test]
    fn what_yarn_could_not_read_is_refused() {
        for text in [
            "<<<<<<< HEAD\n",
            "a@1:\n  resolved \"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz\"\n",
            "__metadata:\n  cacheKey: 8\n",
            "__metadata:\n  version: 6\n\n\"a@npm:1\":\n  version: 1.0.0\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("").unwrap().packages, []);
    }
}
