//! What the history of a repository says of staged files that differ, as values. How it is searched is not known here.
//! None of it can make a verdict milder: it explains a mismatch.

use serde::{Deserialize, Serialize};

/// What was found after a mismatch.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct History {
    /// Whether every commit that branches and tags reach was looked through.
    pub complete: bool,
    /// How many commits were.
    pub commits: usize,
    /// Each staged file that differs, ordered by path, at most [`crate::limits::HISTORY_FILES_MAX`].
    pub files: Vec<FileHistory>,
    /// The commit nearest to the tag that holds all of them, and none that the staged tarball lacks.
    pub another: Option<AnotherCommit>,
}

/// One staged file in the history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileHistory {
    /// The path as installed.
    pub path: String,
    /// Whether the tagged tree has a file at that path: then it is a source, and not made by the build.
    pub tagged: bool,
    /// Where its bytes are.
    #[serde(flatten)]
    pub seen: Seen,
}

/// Where the bytes of a staged file are in a history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "kebab-case")]
pub enum Seen {
    /// In this commit, the newest that has them.
    At {
        /// The commit.
        commit: String,
        /// The path from the repository's root.
        at: String,
    },
    /// In no commit that a branch or tag reaches.
    Nowhere,
    /// The history could not be looked through to its end.
    Unknown,
}

/// A commit that the staged files may have been published from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AnotherCommit {
    /// The commit.
    pub commit: String,
    /// How many commits it has that the tag's does not.
    pub after: usize,
    /// How many commits the tag's has that it does not.
    pub before: usize,
}

impl AnotherCommit {
    /// Where it stands, seen from the tag.
    pub fn place(&self, tag: &str) -> String {
        let commits = |count: usize| match count {
            1 => "1 commit".to_owned(),
            count => format!("{count} commits"),
        };
        match (self.after, self.before) {
            (after, 0) => format!("{} after the tag `{tag}`", commits(after)),
            (0, before) => format!("{} before the tag `{tag}`", commits(before)),
            (after, before) => format!(
                "{} beside the tag `{tag}`, which has {} of its own",
                commits(after),
                commits(before)
            ),
        }
    }
}

impl History {
    /// What is known of the staged file at that path.
    pub fn of(&self, path: &str) -> Option<&FileHistory> {
        let index = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(index)
    }
}
