//! What a tree says about registries, taken out of an install's way: addresses in lockfiles that a package manager would
//! follow to the letter lead to the mirror, and settings that would send it elsewhere are left out. The files are changed
//! for the install alone, and are as the commit has them before anything else runs. npm needs none of this.

use countersign_core::{limits::LOCKFILE_BYTES_MAX, source::Directory};

use crate::sandbox::{Entry, INSIDE_REGISTRY, SandboxError, WorkArea};

/// Lockfiles whose addresses are followed to the letter.
const LOCKFILES: [&str; 2] = ["yarn.lock", "pnpm-lock.yaml"];

/// The files of a tree that stand changed, with their bytes as they were.
#[derive(Default, Debug)]
pub(super) struct Changed(Vec<(String, Vec<u8>)>);

/// Changes the files of the folder that is installed and of those above it. `below` is the folder of the work area in
/// which the tree lies.
///
/// # Errors
/// The work area refused.
pub(super) fn lead_to_mirror(
    area: &WorkArea,
    below: &str,
    directory: &Directory,
) -> Result<Changed, SandboxError> {
    let mut changed = Changed::default();
    for folder in upwards(below, directory) {
        for name in LOCKFILES {
            changed.rewrite(area, format!("{folder}/{name}"), redirected)?;
        }
        let bun = |text: &str| redirected(&addressed(text));
        changed.rewrite(area, format!("{folder}/bun.lock"), bun)?;
        changed.rewrite(area, format!("{folder}/.npmrc"), npmrc)?;
        changed.rewrite(area, format!("{folder}/.yarnrc"), yarnrc)?;
        changed.rewrite(area, format!("{folder}/.yarnrc.yml"), yarnrc_yml)?;
        changed.rewrite(area, format!("{folder}/bunfig.toml"), bunfig)?;
    }
    Ok(changed)
}

impl Changed {
    /// Writes the bytes of before.
    ///
    /// # Errors
    /// The work area refused.
    pub(super) fn put_back(self, area: &WorkArea) -> Result<(), SandboxError> {
        for (path, bytes) in self.0 {
            area.put(&path, &Entry::File { bytes: &bytes, executable: false })?;
        }
        Ok(())
    }

    /// What is no file or no text stays as it is: no package manager reads it.
    fn rewrite(
        &mut self,
        area: &WorkArea,
        path: String,
        change: impl Fn(&str) -> String,
    ) -> Result<(), SandboxError> {
        let Ok(bytes) = area.take_file(&path, LOCKFILE_BYTES_MAX) else { return Ok(()) };
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let other = change(text);
        if other != text {
            area.put(&path, &Entry::File { bytes: other.as_bytes(), executable: false })?;
            self.0.push((path, bytes));
        }
        Ok(())
    }
}

fn upwards(below: &str, directory: &Directory) -> Vec<String> {
    let mut folders = vec![below.to_owned()];
    let mut path = below.to_owned();
    for part in directory.as_str().split('/').filter(|part| !part.is_empty()) {
        path = format!("{path}/{part}");
        folders.push(path.clone());
    }
    folders
}

/// A lockfile with every address of a registry's tarball (`…/name/-/name-1.0.0.tgz`) led to the mirror. Which hosts may
/// stand there was looked at when the plan was made.
fn redirected(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("http") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let end =
            found.find(|c: char| c.is_whitespace() || "\"',})#".contains(c)).unwrap_or(found.len());
        let (address, after) = found.split_at(end);
        out.push_str(&mirrored(address).unwrap_or_else(|| address.to_owned()));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A bun.lock with an address at the mirror where it has an empty one: for that bun 1.2 takes npm's own registry, whatever
/// registry it is told of.
fn addressed(text: &str) -> String {
    let line = |line: &str| {
        let (key, entry) = line.split_once(": [\"")?;
        let (resolution, rest) = entry.split_once("\", \"\", ")?;
        let (name, version) = resolution.rsplit_once('@').filter(|(name, _)| !name.is_empty())?;
        let plain = version.starts_with(|c: char| c.is_ascii_digit()) && !resolution.contains('"');
        let file = name.rsplit('/').next().filter(|_| plain)?;
        let address = format!("{INSIDE_REGISTRY}{name}/-/{file}-{version}.tgz");
        Some(format!("{key}: [\"{resolution}\", \"{address}\", {rest}"))
    };
    text.split_inclusive('\n').map(|text| line(text).unwrap_or_else(|| text.to_owned())).collect()
}

/// The mirror's address of a registry's tarball.
fn mirrored(address: &str) -> Option<String> {
    let path = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    let (package, file) = path.rsplit_once("/-/")?;
    // Some registries repeat the scope before the file.
    let file = file.rsplit('/').next().filter(|file| file.ends_with(".tgz"))?;
    let mut parts = package.rsplit('/');
    let name = parts.next()?;
    let scope = parts.next().filter(|part| part.starts_with('@'));
    let scope = scope.map(|scope| format!("{scope}/")).unwrap_or_default();
    Some(format!("{INSIDE_REGISTRY}{scope}{name}/-/{file}"))
}

fn without_lines(text: &str, is_out: impl FnMut(&str) -> bool) -> String {
    let mut is_out = is_out;
    text.split_inclusive('\n').filter(|line| !is_out(line)).collect()
}

/// Registries, scopes, credentials and roads to them (`ini`, as npm reads it).
fn npmrc(text: &str) -> String {
    without_lines(text, |line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        key.starts_with("//")
            || key.ends_with(":registry")
            || [
                "registry",
                "proxy",
                "https-proxy",
                "noproxy",
                "cafile",
                "ca",
                "strict-ssl",
                "_auth",
                "_authToken",
            ]
            .contains(&key)
    })
}

/// The same in yarn 1's own form: a key, a space and a value.
fn yarnrc(text: &str) -> String {
    without_lines(text, |line| {
        let key = line.trim().split(' ').next().unwrap_or_default().trim_matches('"');
        key == "registry" || key.ends_with(":registry")
    })
}

/// The same in berry's: keys at the margin, with what lies deeper.
fn yarnrc_yml(text: &str) -> String {
    const KEYS: [&str; 14] = [
        "npmRegistryServer",
        "npmPublishRegistry",
        "npmAuditRegistry",
        "npmRegistries",
        "npmScopes",
        "npmAuthToken",
        "npmAuthIdent",
        "npmAlwaysAuth",
        "httpProxy",
        "httpsProxy",
        "httpsCaFilePath",
        "caFilePath",
        "networkSettings",
        "unsafeHttpWhitelist",
    ];
    let mut below_out = false;
    without_lines(text, |line| {
        let is_deeper = line.starts_with([' ', '\t', '-']) || line.trim().is_empty();
        if !is_deeper {
            let key = line.split(':').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            below_out = KEYS.contains(&key);
        }
        below_out
    })
}

/// The same in bun's: `registry` of `[install]`, and `[install.scopes]` whole.
fn bunfig(text: &str) -> String {
    let mut section = String::new();
    without_lines(text, |line| {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']', ' ']).to_owned();
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        section == "install.scopes" || section == "install" && key == "registry"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_tarballs_lead_to_the_mirror_and_all_else_stays() {
        for (before, after) in [
            (
                "  resolved \"https://registry.yarnpkg.com/@s/b/-/b-2.1.0.tgz#0123\"\n",
                "  resolved \"http://127.0.0.1:4873/@s/b/-/b-2.1.0.tgz#0123\"\n",
            ),
            (
                "    resolution: {integrity: sha512-A, tarball: https://packages.example.org/api/npm/all/a/-/a-1.0.0.tgz}\n",
                "    resolution: {integrity: sha512-A, tarball: http://127.0.0.1:4873/a/-/a-1.0.0.tgz}\n",
            ),
            (
                "[\"b@1.0.0\", \"https://registry.npmjs.org/@s%2fb/-/@s/b-1.0.0.tgz\", {}]",
                "[\"b@1.0.0\", \"http://127.0.0.1:4873/@s%2fb/-/b-1.0.0.tgz\", {}]",
            ),
        ] {
            assert_eq!(redirected(before), after);
        }
        for same in [
            "resolved \"https://codeload.github.com/o/g/tar.gz/abc\"",
            "# https://example.org/-/readme\nhttp-errors@^1:\n  version \"1.0.0\"\n",
            "ends with http",
        ] {
            assert_eq!(redirected(same), same);
        }
    }

    #[test]
    fn what_bun_locks_without_an_address_gets_the_mirrors() {
        let text = "    \"a\": [\"@s/a@1.0.0\", \"\", { \"bin\": \"x\" }, \"sha512-A\"],\n    \"w\": [\"w@workspace:w\"],\n";
        let expected = text.replace("\"\", {", "\"http://127.0.0.1:4873/@s/a/-/a-1.0.0.tgz\", {");
        assert_eq!(addressed(text), expected);
        let named =
            "\"a\": [\"a@1.0.0\", \"https://r.example/a/-/a-1.0.0.tgz\", {}, \"sha512-A\"],";
        assert_eq!(addressed(named), named);
    }

    #[test]
    fn settings_of_registries_are_left_out_of_every_form() {
        let npm = "registry=https://r.example\n@corp:registry = https://c.example\n//c.example/:_authToken=${T}\nsave-exact=true\n";
        assert_eq!(npmrc(npm), "save-exact=true\n");
        let classic = "registry \"https://r.example\"\n\"@corp:registry\" \"https://c.example\"\nsave-prefix \"\"\n";
        assert_eq!(yarnrc(classic), "save-prefix \"\"\n");
        let berry = "nodeLinker: node-modules\nnpmScopes:\n  corp:\n    npmRegistryServer: \"https://c.example\"\n\nenableGlobalCache: false\nnpmAuthToken: ${T}\n";
        assert_eq!(yarnrc_yml(berry), "nodeLinker: node-modules\nenableGlobalCache: false\n");
        let toml = "[install]\nregistry = \"https://r.example\"\nexact = true\n[install.scopes]\ncorp = \"https://c.example\"\n[test]\nx = 1\n";
        assert_eq!(bunfig(toml), "[install]\nexact = true\n[test]\nx = 1\n");
    }
}
