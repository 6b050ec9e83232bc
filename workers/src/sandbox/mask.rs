//! What of the host's `/usr` must not be seen inside: its own node and package managers, so that only the chosen
//! toolchain is found, and its certificates, which nothing inside has a use for.

use std::path::{Path, PathBuf};

/// One thing that is covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mask {
    /// By an empty file that is not executable.
    File(String),
    /// By an empty folder.
    Folder(String),
}

/// Programs that could take the chosen toolchain's place.
const PROGRAMS: [&str; 14] = [
    "node", "nodejs", "npm", "npx", "corepack", "yarn", "yarnpkg", "pnpm", "pnpx", "bun", "bunx",
    "deno", "node-gyp", "nodeenv",
];
/// Where a host keeps programs, besides `/usr/local`, which is covered whole.
const PROGRAM_FOLDERS: [&str; 5] = ["/usr/bin", "/usr/sbin", "/usr/games", "/bin", "/sbin"];
/// Folders that are covered whole.
const FOLDERS: [&str; 9] = [
    "/usr/local",
    "/usr/lib/node_modules",
    "/usr/lib/nodejs",
    "/usr/share/node_modules",
    "/usr/share/nodejs",
    "/usr/share/npm",
    "/usr/share/ca-certificates",
    "/usr/share/pki",
    "/usr/lib/ssl",
];

/// What has to be covered on this machine.
pub(super) fn of_this_host() -> Vec<Mask> {
    of_host(Path::new("/"))
}

fn of_host(root: &Path) -> Vec<Mask> {
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    let mut masks: Vec<Mask> = FOLDERS
        .iter()
        .filter(|folder| at(folder).symlink_metadata().is_ok_and(|found| found.is_dir()))
        .map(|folder| Mask::Folder((*folder).to_owned()))
        .collect();
    for folder in PROGRAM_FOLDERS {
        if at(folder).is_symlink() {
            // /bin is /usr/bin on a merged system, and was looked at there.
            continue;
        }
        for program in PROGRAMS {
            let Some(path) = landing(root, &at(folder).join(program)) else { continue };
            let mask = Mask::File(path);
            if !masks.contains(&mask) && !is_below_a_folder(&masks, &mask) {
                masks.push(mask);
            }
        }
    }
    masks
}

/// Where a program really lies, as a path inside; `None` where it is not seen inside, or is no file.
///
/// A bind mount onto a link lands on what the link names, so that the file at the end is what has to be covered.
/// A link that leads out of what is seen inside is dangling there and needs nothing.
fn landing(root: &Path, program: &Path) -> Option<String> {
    let file: PathBuf = program.canonicalize().ok().filter(|path| path.is_file())?;
    let below = file.strip_prefix(root).ok()?;
    let seen = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
    let is_seen = seen.iter().any(|name| below.starts_with(name));
    is_seen.then(|| Path::new("/").join(below).to_str().map(str::to_owned)).flatten()
}

fn is_below_a_folder(masks: &[Mask], mask: &Mask) -> bool {
    let Mask::File(file) = mask else { return false };
    masks.iter().any(|other| match other {
        Mask::Folder(folder) => Path::new(file).starts_with(folder),
        Mask::File(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn host() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["usr/bin", "usr/local/bin", "usr/share/nodejs/npm/bin", "opt/node/bin"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        root
    }

    fn masks(root: &tempfile::TempDir) -> Vec<Mask> {
        of_host(&root.path().canonicalize().unwrap())
    }

    #[test]
    fn a_program_and_its_folders_are_covered() {
        let root = host();
        fs::write(root.path().join("usr/bin/node"), "x").unwrap();
        symlink("../share/nodejs/npm/bin/npm-cli.js", root.path().join("usr/bin/npm")).unwrap();
        fs::write(root.path().join("usr/share/nodejs/npm/bin/npm-cli.js"), "x").unwrap();
        assert_eq!(
            masks(&root),
            [
                Mask::Folder("/usr/local".to_owned()),
                Mask::Folder("/usr/share/nodejs".to_owned()),
                Mask::File("/usr/bin/node".to_owned()),
            ]
        );
    }

    #[test]
    fn a_link_is_covered_where_it_lands() {
        let root = host();
        fs::write(root.path().join("usr/bin/node-20"), "x").unwrap();
        symlink("node-20", root.path().join("usr/bin/node")).unwrap();
        symlink("node", root.path().join("usr/bin/nodejs")).unwrap();
        let found = masks(&root);
        let files: Vec<_> = found.iter().filter(|mask| matches!(mask, Mask::File(_))).collect();
        assert_eq!(files, [&Mask::File("/usr/bin/node-20".to_owned())]);
    }

    #[test]
    fn a_link_out_of_what_is_seen_needs_no_cover() {
        let root = host();
        fs::write(root.path().join("opt/node/bin/node"), "x").unwrap();
        symlink("../../opt/node/bin/node", root.path().join("usr/bin/node")).unwrap();
        symlink("nowhere", root.path().join("usr/bin/npm")).unwrap();
        assert!(masks(&root).iter().all(|mask| matches!(mask, Mask::Folder(_))));
    }
}
