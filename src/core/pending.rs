//! Shapes that the strict reader brings; gone as soon as it has landed.
use serde::{Deserialize, Serialize};
/// A rule of the strict reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    NotGzip,
}
impl Rule {
    pub fn code(self) -> &'static str {
        "archive-not-gzip"
    }
    pub fn meaning(self) -> &'static str {
        "The file is not one gzip member."
    }
    pub fn fix(self) -> &'static str {
        "Pack with npm pack."
    }
    pub fn from_code(text: &str) -> Option<Self> {
        (text == "archive-not-gzip").then_some(Self::NotGzip)
    }
}
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    IdenticalTarball,
    IdenticalArchive,
    IdenticalFiles,
    Normalised,
    Different,
}
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Same,
    Added,
    Missing,
    Changed,
    ModeChanged,
}
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileRecord {
    pub executable: bool,
    pub bytes: u64,
    pub sha256: crate::artifact::Sha256,
}
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileComparison {
    pub path: String,
    pub status: Status,
    pub staged: Option<FileRecord>,
    pub rebuilt: Option<FileRecord>,
}
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub same: usize,
    pub added: usize,
    pub missing: usize,
    pub changed: usize,
    pub mode_changed: usize,
}
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    pub level: Level,
    pub counts: Counts,
    pub files: Vec<FileComparison>,
}
