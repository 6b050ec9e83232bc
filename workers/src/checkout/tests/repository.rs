//! Repositories that tests make with the git program, at fixed times.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The time of every commit: 2026-03-01T12:00:00Z.
pub(crate) const COMMITTED: i64 = 1_772_366_400;

/// A repository with a work tree.
pub(crate) struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    /// An empty one with the branch main.
    pub(crate) fn empty() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(made.path()).unwrap();
        made.git(&["init", "-q", "-b", "main"]);
        made
    }

    /// One whose tag v1.3.1 is `pad@1.3.1` on main.
    pub(crate) fn tagged() -> Self {
        let made = Self::empty();
        made.write("package.json", r#"{"name":"pad","version":"1.3.1","main":"index.js"}"#);
        made.write("index.js", "module.exports = 1\n");
        made.commit("Release 1.3.1");
        made.git(&["tag", "v1.3.1"]);
        made
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub(crate) fn address(&self) -> String {
        self.path().display().to_string()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits everything and tells the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments, b"")
    }

    pub(crate) fn git_fed(&self, arguments: &[&str], input: &[u8]) -> String {
        git(&self.path(), arguments, input)
    }

    /// A bare copy as `git clone --mirror` makes it, ready to be served by a plain file server.
    pub(crate) fn mirror_to(&self, folder: &Path) {
        let target = folder.display().to_string();
        self.git(&["clone", "-q", "--mirror", ".", &target]);
        git(folder, &["update-server-info"], b"");
    }
}

/// Runs git with nothing of this machine's configuration, and gives what it printed.
pub(crate) fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let date = format!("{COMMITTED} +0000");
    let mut child = Command::new("git")
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("HOME", "/")])
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
