//! Two archives, file by file: which paths are the same, how strong the sameness is, and which named tokens had to be let
//! differ for it. It knows manifests and digests, and nothing of why files differ or what a verdict makes of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    archive::{Archive, Tolerance},
    cause::Cause,
    manifest::{FileRecord, Manifest},
    normalisation::{self, Applied, Permission},
};

/// How much of two archives is the same, the strongest first: `IdenticalTarball < Different`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The bytes of the .tgz.
    IdenticalTarball,
    /// The bytes of the tar inside.
    IdenticalArchive,
    /// Every path, content and executable bit.
    IdenticalFiles,
    /// Identical after named normalisations.
    Normalised,
    /// Something that is installed differs.
    Different,
}

impl Level {
    /// Every level, the strongest first.
    pub const ALL: [Self; 5] = [
        Self::IdenticalTarball,
        Self::IdenticalArchive,
        Self::IdenticalFiles,
        Self::Normalised,
        Self::Different,
    ];

    /// The text that outsiders see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdenticalTarball => "identical-tarball",
            Self::IdenticalArchive => "identical-archive",
            Self::IdenticalFiles => "identical-files",
            Self::Normalised => "normalised",
            Self::Different => "different",
        }
    }
}

/// How one path stands in the two archives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Content and executable bit are equal.
    Same,
    /// Only in the staged archive.
    Added,
    /// Only in the rebuilt archive.
    Missing,
    /// The content differs, whatever the executable bit.
    Changed,
    /// The content is equal and the executable bit differs.
    ModeChanged,
}

/// One path of a comparison.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileComparison {
    /// The path as installed.
    pub path: String,
    /// How it stands.
    pub status: Status,
    /// The file in the staged archive.
    pub staged: Option<FileRecord>,
    /// The file in the rebuilt archive.
    pub rebuilt: Option<FileRecord>,
    /// Why it likely differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What in this very file speaks for the cause, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// How many paths have each status.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Of [`Status::Same`].
    pub same: usize,
    /// Of [`Status::Added`].
    pub added: usize,
    /// Of [`Status::Missing`].
    pub missing: usize,
    /// Of [`Status::Changed`].
    pub changed: usize,
    /// Of [`Status::ModeChanged`].
    pub mode_changed: usize,
}

impl Counts {
    fn of(files: &[FileComparison]) -> Self {
        let mut counts = Self::default();
        for file in files {
            *match file.status {
                Status::Same => &mut counts.same,
                Status::Added => &mut counts.added,
                Status::Missing => &mut counts.missing,
                Status::Changed => &mut counts.changed,
                Status::ModeChanged => &mut counts.mode_changed,
            } += 1;
        }
        counts
    }

    /// Every path but the same ones.
    pub const fn differing(&self) -> usize {
        self.added + self.missing + self.changed + self.mode_changed
    }
}

/// What the strict reader accepted in the two archives although no packer of today writes it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Tolerated {
    /// In the staged archive.
    pub staged: Vec<Tolerance>,
    /// In the rebuilt archive.
    pub rebuilt: Vec<Tolerance>,
}

/// Two archives compared: every path of either, ordered by path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// How much is the same.
    pub level: Level,
    /// How many paths have each status.
    pub counts: Counts,
    /// Every path.
    pub files: Vec<FileComparison>,
    /// What was let differ, ordered by path: these files are changed, and count as the same.
    #[serde(default)]
    pub normalisations: Vec<Applied>,
    /// What was tolerated in either archive. It changes no file and so no level.
    #[serde(default)]
    pub tolerances: Tolerated,
}

impl Comparison {
    /// The normalisation that was applied to the file at that path.
    pub fn normalised(&self, path: &str) -> Option<&Applied> {
        let found = self.normalisations.binary_search_by(|applied| applied.path.as_str().cmp(path));
        self.normalisations.get(found.ok()?)
    }

    /// How many paths differ in more than what was let differ.
    pub fn unexcused(&self) -> usize {
        self.unexplained().count()
    }

    /// The paths that are not the same, but for those that were let differ.
    pub fn unexplained(&self) -> impl Iterator<Item = &FileComparison> {
        self.differing().filter(|file| self.normalised(&file.path).is_none())
    }

    /// The paths that are not the same.
    pub fn differing(&self) -> impl Iterator<Item = &FileComparison> {
        self.files.iter().filter(|file| file.status != Status::Same)
    }
}

/// Compares what would be installed from the staged archive with what would be from the rebuilt one.
pub fn compare(staged: &Archive, rebuilt: &Archive) -> Comparison {
    let (staged_manifest, rebuilt_manifest) =
        rayon::join(|| Manifest::of(staged), || Manifest::of(rebuilt));
    let files = files(&staged_manifest, &rebuilt_manifest);
    let counts = Counts::of(&files);
    // The files alone decide whether archives differ; the digests only say how strongly they are the same.
    let level = if counts.differing() > 0 {
        Level::Different
    } else if staged.sha512() == rebuilt.sha512() {
        Level::IdenticalTarball
    } else if staged.tar_sha256() == rebuilt.tar_sha256() {
        Level::IdenticalArchive
    } else {
        Level::IdenticalFiles
    };
    let tolerances =
        Tolerated { staged: staged.tolerances().to_vec(), rebuilt: rebuilt.tolerances().to_vec() };
    Comparison { level, counts, files, normalisations: Vec::new(), tolerances }
}

/// Compares, and lets differ what is permitted: only contents, never names, modes or order. The level is
/// [`Level::Normalised`] where that explains every difference.
pub fn compare_under(
    staged: &Archive,
    rebuilt: &Archive,
    permission: &Permission<'_>,
) -> Comparison {
    let mut comparison = compare(staged, rebuilt);
    if permission.allowed.is_empty() {
        return comparison;
    }
    let changed = comparison.files.iter().filter(|file| file.status == Status::Changed);
    let applied = changed.filter_map(|file| {
        let same_mode = file.staged?.executable == file.rebuilt?.executable;
        let (ours, theirs) = (staged.get(&file.path)?, rebuilt.get(&file.path)?);
        normalisation::apply(&file.path, ours, theirs, permission).filter(|_| same_mode)
    });
    comparison.normalisations = applied.collect();
    if comparison.level == Level::Different && comparison.unexcused() == 0 {
        comparison.level = Level::Normalised;
    }
    comparison
}

fn files(staged: &Manifest, rebuilt: &Manifest) -> Vec<FileComparison> {
    let paths: BTreeSet<&str> = staged.iter().chain(rebuilt.iter()).map(|(path, _)| path).collect();
    let compared = |path: &str| {
        let (staged, rebuilt) = (staged.get(path).copied(), rebuilt.get(path).copied());
        FileComparison {
            path: path.to_owned(),
            status: status(staged, rebuilt),
            staged,
            rebuilt,
            cause: None,
            because: None,
        }
    };
    paths.into_iter().map(compared).collect()
}

/// A path that stands in neither archive is in no list of paths; it would be the same.
fn status(staged: Option<FileRecord>, rebuilt: Option<FileRecord>) -> Status {
    match (staged, rebuilt) {
        (Some(_), None) => Status::Added,
        (None, Some(_)) => Status::Missing,
        (Some(a), Some(b)) if (a.bytes, a.sha256) != (b.bytes, b.sha256) => Status::Changed,
        (Some(a), Some(b)) if a.executable != b.executable => Status::ModeChanged,
        (Some(_), Some(_)) | (None, None) => Status::Same,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
