//! The preloaded clock: a script of ours that node loads before everything else, so that a build believes that its first
//! step began at the commit's time. It knows nothing of plans or sandboxes.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_core::Timestamp;

/// Where the script's folder is bound inside the sandbox.
pub(super) const INSIDE: &str = "/opt/clock";
/// The script's name. node 12 and later take `.cjs` for CommonJS whatever package.json lies around it.
const FILE: &str = "preload.cjs";
/// The script, with two numbers to be written in.
const SCRIPT: &str = include_str!("clock.cjs");

/// Writes the script into a new folder at that path, for every user to read. Its clock stood at `commit` when this
/// machine's stood at `began`, and all processes of the rebuild count from there.
pub(super) fn write(folder: &Path, began: SystemTime, commit: Timestamp) -> io::Result<PathBuf> {
    let began = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let text = SCRIPT
        .replace("BEGAN_MILLIS", &began.to_string())
        .replace("COMMIT_MILLIS", &(commit.as_seconds() * 1000).to_string());
    fs::create_dir(folder)?;
    let file = folder.join(FILE);
    fs::write(&file, text)?;
    // Whatever the umask: the build runs under a uid of its own.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    Ok(folder.to_owned())
}

/// `NODE_OPTIONS` with the script before what the plan itself sets.
pub(super) fn node_options(set: Option<&str>) -> String {
    let own = format!("--require={INSIDE}/{FILE}");
    set.map_or_else(|| own.clone(), |set| format!("{own} {set}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_moments_are_written_in_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let began = UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123);
        let written = write(&folder.path().join("clock"), began, Timestamp::from_seconds(77));
        let file = written.unwrap().join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("began = 1700000000123;") && text.contains("commit = 77000;"));
        assert!(!text.contains("_MILLIS"), "every placeholder was filled");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn options_of_the_plan_stay_behind_the_clock() {
        assert_eq!(node_options(None), "--require=/opt/clock/preload.cjs");
        let both = node_options(Some("--max-old-space-size=4096"));
        assert_eq!(both, "--require=/opt/clock/preload.cjs --max-old-space-size=4096");
    }
}
