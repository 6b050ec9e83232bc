//! What the strict reader accepts although no packer of today writes it: each harmless by itself, named, and reported.
//! It knows the tolerances' names and words, not how they are found.

use serde::{Deserialize, Serialize};

/// Something old or unusual in an archive that means the same files to every reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    /// The gzip header carries the name of a file, as the `gzip` program writes it.
    GzipFileName,
    /// Entries for folders, of size 0, as yarn 1 and packers before npm 5 write them. npm makes no empty folder of them.
    DirectoryEntries,
    /// A first global header with nothing but a commit in `comment`, as `git archive` writes it.
    GitArchiveComment,
    /// The root folder is not called `package`. npm strips the first folder whatever its name.
    RootName,
    /// File type bits in the mode, as packers before npm 3 write them.
    FileTypeBits,
    /// Files and folders under GNU's magic, as `tar` writes them on Linux; their prefix is empty.
    GnuHeaders,
    /// Access and change times behind the prefix, as node-tar writes them where it is not told to leave them out. Tools that
    /// pack by themselves do so, among them the one for declaration files of types.
    NodeTarTimes,
    /// An owner's number beyond 2^21 in base 256, as packers before npm 5 wrote it.
    LargeOwner,
}

impl Tolerance {
    /// Every tolerance.
    pub const ALL: [Self; 8] = [
        Self::GzipFileName,
        Self::DirectoryEntries,
        Self::GitArchiveComment,
        Self::RootName,
        Self::FileTypeBits,
        Self::GnuHeaders,
        Self::NodeTarTimes,
        Self::LargeOwner,
    ];

    /// The stable code that outsiders see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::GzipFileName => "gzip-file-name",
            Self::DirectoryEntries => "directory-entries",
            Self::GitArchiveComment => "git-archive-comment",
            Self::RootName => "root-name",
            Self::FileTypeBits => "file-type-bits",
            Self::GnuHeaders => "gnu-headers",
            Self::NodeTarTimes => "node-tar-times",
            Self::LargeOwner => "large-owner",
        }
    }

    /// One sentence for a reader of the report.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::GzipFileName => "The gzip header names a file, as the gzip program writes it.",
            Self::DirectoryEntries => {
                "The archive has entries for folders, as yarn 1 and old versions of npm write them."
            }
            Self::GitArchiveComment => {
                "The archive begins with the comment that `git archive` writes."
            }
            Self::RootName => {
                "The root folder is not called package; npm strips it whatever its name."
            }
            Self::GnuHeaders => "The headers are of GNU's format, as the tar program writes them.",
            Self::NodeTarTimes => {
                "The headers carry access and change times, as node-tar writes them by default."
            }
            Self::LargeOwner => {
                "An owner's number is too large for octal digits; nobody looks at it."
            }
            Self::FileTypeBits => {
                "The modes carry file type bits, as old versions of npm write them."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_written_as_its_code() {
        for tolerance in Tolerance::ALL {
            let text = serde_json::to_string(&tolerance).unwrap();
            assert_eq!(text, format!("\"{}\"", tolerance.code()));
            assert!(tolerance.sentence().ends_with('.'));
        }
    }
}
