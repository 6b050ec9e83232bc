//! What `npm install` would put on the disk from a tarball: each path with its length, digest and executable bit. It
//! knows archives that were read, and nothing of what they are compared with.

use std::collections::BTreeMap;

use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::{Deserialize, Serialize};

use crate::{archive::Archive, artifact::Sha256};

/// What is compared of one file. Times, owners and other mode bits are left out: npm does not keep them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FileRecord {
    /// Whether any of the bits 0111 stands in its header.
    pub executable: bool,
    /// Its length.
    pub bytes: u64,
    /// The digest of its content.
    pub sha256: Sha256,
}

/// Path as installed → file, ordered by path.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(BTreeMap<String, FileRecord>);

impl Manifest {
    /// The manifest of an archive; its files are hashed in parallel.
    pub fn of(archive: &Archive) -> Self {
        let record = |file: crate::archive::File<'_>| {
            let sha256 = Sha256::of(file.content);
            let bytes = file.content.len() as u64;
            (file.path.to_owned(), FileRecord { executable: file.executable, bytes, sha256 })
        };
        Self(archive.files().par_bridge().map(record).collect())
    }

    /// The file at that path.
    pub fn get(&self, path: &str) -> Option<&FileRecord> {
        self.0.get(path)
    }

    /// Every file, ordered by path.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &FileRecord)> {
        self.0.iter().map(|(path, record)| (path.as_str(), record))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
