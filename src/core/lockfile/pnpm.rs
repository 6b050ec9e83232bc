//! pnpm-lock.yaml of lockfile versions 5.0 to 5.4, 6.0, 6.1 and 9.0 (pnpm 3 to 12).

use std::collections::BTreeSet;

use super::{
    Format, InvalidLockfile, Lockfile, Named,
    indented::{self, Entry, Form},
};

/// The lockfile versions that there are; 7 and 8 never left pnpm's own branches.
const VERSIONS: [u64; 3] = [5, 6, 9];

/// Reads the text.
///
/// # Errors
/// What pnpm could not read, or of a version that no pnpm writes.
pub(super) fn parse(text: &str) -> Result<Lockfile, InvalidLockfile> {
    let root = indented::read(text, Form::Colons)?;
    let written = root.text("lockfileVersion").unwrap_or_default();
    let (major, minor) = written.split_once('.').unwrap_or((written, "0"));
    let (Ok(version), Ok(minor)) = (major.parse(), minor.parse()) else {
        return Err(InvalidLockfile("it has no `lockfileVersion`".to_owned()));
    };
    if !VERSIONS.contains(&version) {
        return Err(InvalidLockfile("its `lockfileVersion` is not 5, 6 or 9".to_owned()));
    }
    let mut lockfile = Lockfile::empty(Format::Pnpm, version, minor);
    let documents = |key: &'static str| root.below.iter().filter(move |e| e.name() == key);
    // From 9 on what is said of an installation stands apart from what is said of a package.
    let optional: BTreeSet<&str> = documents("snapshots")
        .flat_map(|snapshots| &snapshots.below)
        .filter(|entry| entry.text("optional") == Some("true"))
        .map(|entry| without_peers(entry.name()))
        .collect();
    for entry in documents("packages").flat_map(|packages| &packages.below) {
        add(&mut lockfile, entry, &optional);
    }
    Ok(lockfile)
}

fn add(lockfile: &mut Lockfile, entry: &Entry<'_>, optional: &BTreeSet<&str>) {
    let key = without_peers(entry.name());
    let (name, version) = parted(key, lockfile.version);
    let resolution = entry.get("resolution");
    let field = |field: &str| resolution.and_then(|at| at.text_in(field));
    if field("directory").is_some() {
        return;
    }
    let tarball = field("tarball");
    let is_git = field("repo").is_some() || tarball.is_some_and(is_archive_of_a_forge);
    lockfile.add(Named {
        // What comes from an address is named by fields of its own.
        name: entry.text("name").unwrap_or(name),
        version: entry.text("version").unwrap_or(version),
        resolved: if is_git { Some("git+ssh://git@elsewhere") } else { tarball },
        integrity: field("integrity"),
        checksum: false,
        has_install_script: entry.text("requiresBuild") == Some("true"),
        optional: entry.text("optional") == Some("true") || optional.contains(key),
    });
}

/// A key without the peers that it was installed with, `name@1.0.0(peer@2.0.0)`; version 5 wrote them behind a `_`,
/// which is taken off with the version.
fn without_peers(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// Name and version of a key: `/@scope/name/1.0.0_peer@2.0.0` in version 5, `/@scope/name@1.0.0` in 6, and the same without
/// the slash from 9 on.
fn parted(key: &str, version: u64) -> (&str, &str) {
    let path = key.strip_prefix('/').unwrap_or(key);
    if version > 5 {
        let after_scope = usize::from(path.starts_with('@'));
        let at = path[after_scope..].find('@').map(|at| at + after_scope);
        return at.map_or((path, ""), |at| (&path[..at], &path[at + 1..]));
    }
    let parts = if path.starts_with('@') { 2 } else { 1 };
    let Some((end, _)) = path.match_indices('/').nth(parts - 1) else { return (path, "") };
    let version = &path[end + 1..];
    (&path[..end], version.split(['_', '/']).next().unwrap_or(version))
}

/// Where pnpm takes a commit of a public forge from: an archive that the forge makes (pnpm's `git-resolver`).
fn is_archive_of_a_forge(address: &str) -> bool {
    let bare = address.trim_start_matches("https://");
    bare.starts_with("codeload.github.com/")
        || bare.starts_with("bitbucket.org/") && bare.contains("/get/")
        || bare.starts_with("gitlab.com/") && bare.contains("/archive.tar.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lockfile: &Lockfile) -> Vec<String> {
        lockfile.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect()
    }

    #[test]
    fn a_lockfile_of_pnpm_7_is_read() {
        let text = "lockfileVersion: 5.4\n\nspecifiers:\n  a: ^1.0.0\n\ndevDependencies:\n  a: 1.0.0\n\npackages:\n\n\
             \x20 /a/1.0.0:\n    resolution: {integrity: sha512-AA==}\n    engines: {node: '>=6'}\n    requiresBuild: true\n\
             \x20   dev: true\n\n  /@s/b/2.0.0-rc.1_react@18.0.0:\n    resolution: {integrity: sha512-BB==}\n    optional: true\n\n\
             \x20 github.com/o/g/0123abc:\n    resolution: {tarball: https://codeload.github.com/o/g/tar.gz/0123abc}\n\
             \x20   name: g\n    version: 1.0.0\n    dev: true\n\n\
             \x20 file:local:\n    resolution: {directory: local, type: directory}\n    name: local\n    version: 1.0.0\n";
        let lockfile = parse(text).unwrap();
        assert_eq!((lockfile.version, lockfile.minor), (5, 4));
        assert_eq!(names(&lockfile), ["a@1.0.0", "@s/b@2.0.0-rc.1"]);
        assert!(lockfile.packages[0].has_install_script && !lockfile.packages[0].optional);
        assert!(lockfile.packages[1].optional);
        assert_eq!(lockfile.from_git, ["g"]);
        assert!(lockfile.is_complete());
    }

    #[test]
    fn a_lockfile_of_pnpm_8_is_read() {
        let text = "lockfileVersion: '6.0'\n\npackages:\n\n  /@s/b@2.0.0(@s/peer@1.0.0)(react@18.0.0):\n\
             \x20   resolution: {integrity: sha512-BB==}\n    dev: true\n\n  /a@1.0.0:\n    resolution: {integrity: sha512-AA==}\n";
        let lockfile = parse(text).unwrap();
        assert_eq!(names(&lockfile), ["@s/b@2.0.0", "a@1.0.0"]);
        assert!(lockfile.is_complete() && lockfile.hosts().is_empty());
    }

    #[test]
    fn a_lockfile_of_pnpm_9_to_12_is_read_in_all_its_documents() {
        let text = "---\nlockfileVersion: '9.0'\n\npackages:\n\n  early@1.0.0:\n    resolution: {integrity: sha512-EE==}\n---\n\
             lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    devDependencies:\n      a:\n        specifier: ^1.0.0\n        version: 1.0.0\n\n\
             packages:\n\n  '@s/b@2.0.0':\n    resolution: {integrity: sha512-BB==}\n    peerDependencies:\n      react: '*'\n    os: [darwin]\n\n\
             \x20 a@1.0.0:\n    resolution: {integrity: sha512-AA==, tarball: https://packages.example.org/a/-/a-1.0.0.tgz}\n\
             \x20   deprecated: |-\n      resolution: {integrity: none}\n\n\
             \x20 git@git+https://git.example.org/o/g.git#abc:\n    resolution: {commit: abc, repo: https://git.example.org/o/g.git, type: git}\n    version: 1.0.0\n\n\
             snapshots:\n\n  '@s/b@2.0.0(react@18.0.0)':\n    optional: true\n\n  a@1.0.0: {}\n";
        let lockfile = parse(text).unwrap();
        assert_eq!(names(&lockfile), ["early@1.0.0", "@s/b@2.0.0", "a@1.0.0"]);
        assert!(lockfile.packages[1].optional && !lockfile.packages[2].optional);
        assert_eq!(lockfile.hosts().into_iter().collect::<Vec<_>>(), ["packages.example.org"]);
        assert_eq!(lockfile.from_git, ["git"]);
        assert!(lockfile.is_complete());
    }

    #[test]
    fn what_pnpm_could_not_read_is_refused() {
        for text in
            ["", "a: 1\n", "lockfileVersion: 4.0\n", "lockfileVersion: '10.0'\n", "<<<<<<< HEAD\n"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
