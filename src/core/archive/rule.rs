//! Why the strict reader refuses an archive: one rule per way in which two readers could come to different files, each
//! with a stable code, its meaning and its mend. It knows the rules' names and words, not how they are checked.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A rule of the strict reader. Its code never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// The bytes do not begin as a gzip member.
    NotGzip,
    /// A gzip header with flags that no packer sets.
    GzipHeader,
    /// The deflate stream is corrupt.
    GzipData,
    /// The CRC-32 of the gzip trailer does not hold.
    GzipChecksum,
    /// The length of the gzip trailer does not hold.
    GzipLength,
    /// The bytes end before the archive does.
    Truncated,
    /// Bytes after the one gzip member.
    TrailingBytes,
    /// More bytes than the bounds allow, packed or unpacked.
    TooLarge,
    /// More members than the bounds allow.
    TooManyEntries,
    /// Unpacks to more than a thousand times its size.
    Ratio,
    /// A tar header whose checksum does not hold.
    HeaderChecksum,
    /// A tar header of another format than POSIX ustar.
    HeaderMagic,
    /// A number of a tar header that is not plain octal.
    HeaderNumber,
    /// A text of a tar header that goes on after its end.
    HeaderText,
    /// A member that is neither a file nor what describes one.
    EntryType,
    /// A file that names a link's target.
    LinkName,
    /// A directory that claims to have content.
    DirectorySize,
    /// A mode with bits that no package needs.
    Mode,
    /// An extended header that readers understand differently.
    Pax,
    /// A path that does not mean the same file everywhere.
    Path,
    /// A path, or a part of one, that is too long for a file system.
    PathLength,
    /// A file outside the one root folder.
    Root,
    /// Two members that are one file somewhere.
    DuplicatePath,
    /// A file that is also a folder.
    PathConflict,
    /// Bytes other than zero where only padding belongs.
    Padding,
    /// The archive's end is not the end.
    End,
    /// No package.json.
    PackageJsonMissing,
    /// A package.json that is not one JSON object with each key once.
    PackageJsonInvalid,
}

impl Rule {
    /// Every rule, in the order in which the reader comes to it.
    pub const ALL: [Self; 28] = [
        Self::NotGzip,
        Self::GzipHeader,
        Self::GzipData,
        Self::GzipChecksum,
        Self::GzipLength,
        Self::Truncated,
        Self::TrailingBytes,
        Self::TooLarge,
        Self::TooManyEntries,
        Self::Ratio,
        Self::HeaderChecksum,
        Self::HeaderMagic,
        Self::HeaderNumber,
        Self::HeaderText,
        Self::EntryType,
        Self::LinkName,
        Self::DirectorySize,
        Self::Mode,
        Self::Pax,
        Self::Path,
        Self::PathLength,
        Self::Root,
        Self::DuplicatePath,
        Self::PathConflict,
        Self::Padding,
        Self::End,
        Self::PackageJsonMissing,
        Self::PackageJsonInvalid,
    ];

    /// The stable code that outsiders see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotGzip => "archive-not-gzip",
            Self::GzipHeader => "archive-gzip-header",
            Self::GzipData => "archive-gzip-data",
            Self::GzipChecksum => "archive-gzip-checksum",
            Self::GzipLength => "archive-gzip-length",
            Self::Truncated => "archive-truncated",
            Self::TrailingBytes => "archive-trailing-bytes",
            Self::TooLarge => "archive-too-large",
            Self::TooManyEntries => "archive-too-many-entries",
            Self::Ratio => "archive-ratio",
            Self::HeaderChecksum => "archive-header-checksum",
            Self::HeaderMagic => "archive-header-magic",
            Self::HeaderNumber => "archive-header-number",
            Self::HeaderText => "archive-header-text",
            Self::EntryType => "archive-entry-type",
            Self::LinkName => "archive-link-name",
            Self::DirectorySize => "archive-directory-size",
            Self::Mode => "archive-mode",
            Self::Pax => "archive-pax",
            Self::Path => "archive-path",
            Self::PathLength => "archive-path-length",
            Self::Root => "archive-root",
            Self::DuplicatePath => "archive-duplicate-path",
            Self::PathConflict => "archive-path-conflict",
            Self::Padding => "archive-padding",
            Self::End => "archive-end",
            Self::PackageJsonMissing => "archive-package-json-missing",
            Self::PackageJsonInvalid => "archive-package-json-invalid",
        }
    }

    /// The rule of that code, where there is one.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }

    /// One sentence: what is wrong, and what an installer could make of it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NotGzip => {
                "The tarball is not gzip; some installers guess the format and others refuse it."
            }
            Self::GzipHeader => "The gzip header carries fields that no packer writes.",
            Self::GzipData => "The compressed data is corrupt, so npm would not install it.",
            Self::GzipChecksum => {
                "The checksum of the compressed data does not hold, so npm would not install it."
            }
            Self::GzipLength => {
                "The length of the compressed data does not hold, so npm would not install it."
            }
            Self::Truncated => "The tarball ends in the middle, so npm would not install it.",
            Self::TrailingBytes => {
                "Bytes follow the tarball's end: some installers read on there and some do not."
            }
            Self::TooLarge => "The tarball or a part of it is larger than Countersign reads.",
            Self::TooManyEntries => "The tarball holds more files than Countersign reads.",
            Self::Ratio => {
                "The tarball unpacks to more than a thousand times its size; npm refuses that."
            }
            Self::HeaderChecksum => {
                "A header's checksum does not hold: npm skips the header and takes the file's content for further files."
            }
            Self::HeaderMagic => {
                "A header is of an old or foreign tar format, in which readers find different names."
            }
            Self::HeaderNumber => {
                "A header's number is not plain octal: npm may take it for zero and read the file's content as further files."
            }
            Self::HeaderText => {
                "A header's text goes on after its end, and readers cut it differently."
            }
            Self::EntryType => {
                "The tarball holds something other than files: a link, a device or a header that only some readers obey."
            }
            Self::LinkName => {
                "A file names a link's target: npm drops the file and takes its content for further files."
            }
            Self::DirectorySize => {
                "A folder claims to have content: npm takes that content for further files."
            }
            Self::Mode => "A file carries set-user-id, set-group-id or other special mode bits.",
            Self::Pax => "An extended header is malformed, doubled or obeyed by only some readers.",
            Self::Path => "A path does not name the same file on every platform.",
            Self::PathLength => {
                "A path is longer than file systems allow, and npm drops such files."
            }
            Self::Root => {
                "The files do not lie in one root folder, and npm merges all roots into one."
            }
            Self::DuplicatePath => {
                "Two files would be one on some platform, and which one wins depends on their order."
            }
            Self::PathConflict => {
                "One path is a file and a folder at once, and npm keeps whichever comes first."
            }
            Self::Padding => "Bytes stand where only zeros belong, outside of every file.",
            Self::End => {
                "Data follows the archive's end mark, or the mark is missing: npm reads on where others stop."
            }
            Self::PackageJsonMissing => "There is no package.json in the tarball's root folder.",
            Self::PackageJsonInvalid => {
                "The package.json is not one JSON object in UTF-8 with each key once."
            }
        }
    }

    /// One sentence: what mends it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NotGzip
            | Self::GzipHeader
            | Self::GzipData
            | Self::GzipChecksum
            | Self::GzipLength
            | Self::Truncated
            | Self::TrailingBytes
            | Self::HeaderChecksum
            | Self::HeaderMagic
            | Self::HeaderNumber
            | Self::HeaderText
            | Self::LinkName
            | Self::DirectorySize
            | Self::Pax
            | Self::Padding
            | Self::End => {
                "Pack with `npm pack`, `pnpm pack`, `yarn pack` or `bun pm pack` and stage that file unchanged."
            }
            Self::TooLarge | Self::TooManyEntries | Self::Ratio => {
                "Leave out what users do not need: list what to publish under `files` in package.json."
            }
            Self::EntryType => {
                "Publish files only: replace links by the files they point to, and pack with the package manager."
            }
            Self::Mode => "Take the special mode bits off: `chmod a-st FILE`, then pack again.",
            Self::Path => {
                "Rename the file: plain names without control characters, backslashes, colons and trailing dots or spaces."
            }
            Self::PathLength => "Shorten the file's name or put it in fewer folders.",
            Self::Root => "Pack with the package manager, which puts everything under `package/`.",
            Self::DuplicatePath => {
                "Rename or leave out one of the two; names that differ only in case or accents do not count as two."
            }
            Self::PathConflict => "Rename or leave out one of the two.",
            Self::PackageJsonMissing => "Pack from the folder that holds the package.json.",
            Self::PackageJsonInvalid => {
                "Write package.json as one JSON object in UTF-8 and name each key once."
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code)
            .ok_or_else(|| serde::de::Error::custom(format!("`{code}` is no rule of the reader")))
    }
}

/// The archive is not read: which rule it breaks, and where. This is the subject's failure, not ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The rule that it breaks.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// The byte where that was seen: in the .tgz for the rules of gzip, in the unpacked tar for all others. The message
    /// says which.
    pub offset: u64,
    /// A sentence that names the thing.
    pub message: String,
}

impl Refusal {
    /// A refusal at a byte of the .tgz.
    pub(super) fn in_tgz(rule: Rule, offset: usize, what: impl fmt::Display) -> Self {
        let message = format!("at byte {offset} of the .tgz: {what}");
        Self { rule, offset: offset as u64, message }
    }

    /// A refusal at a byte of the unpacked tar.
    pub(super) fn in_tar(rule: Rule, offset: usize, what: impl fmt::Display) -> Self {
        let message = format!("at byte {offset} of the unpacked tar: {what}");
        Self { rule, offset: offset as u64, message }
    }
}

/// Text from an archive as it may stand in a message: quoted, escaped, and cut where it is long.
pub(super) fn quoted(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 160;
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let mut shown = String::from("`");
    for chunk in cut.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_plain(character) {
                shown.push(character);
            } else {
                shown.extend(character.escape_default());
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown.push_str(if cut.len() < bytes.len() { "…`" } else { "`" });
    shown
}

/// Whether a character draws itself and nothing else: no control character, no line separator, and nothing that
/// turns the direction of the text after it.
pub(crate) fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_begins_with_archive_and_comes_back_to_its_rule() {
        for rule in Rule::ALL {
            let code = rule.code();
            assert!(code.starts_with("archive-"), "{code}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert_eq!(Rule::from_code(code), Some(rule));
            assert!(rule.meaning().ends_with('.') && rule.fix().ends_with('.'), "{code}");
        }
        let mut codes = Rule::ALL.map(Rule::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rule::ALL.len(), "two rules share a code");
        assert_eq!(Rule::from_code("archive-unknown"), None);
    }

    #[test]
    fn a_refusal_is_written_as_code_offset_and_message() {
        let refusal = Refusal::in_tar(Rule::LinkName, 512, "x");
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(
            text,
            r#"{"code":"archive-link-name","offset":512,"message":"at byte 512 of the unpacked tar: x"}"#
        );
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
    }

    #[test]
    fn names_from_an_archive_cannot_draw_in_a_message() {
        assert_eq!(quoted(b"a\x1b[2J\xff"), "`a\\u{1b}[2J\\xff`");
        assert_eq!(quoted("\u{202e}ä".as_bytes()), "`\\u{202e}ä`");
        assert!(quoted(&[b'a'; 500]).ends_with("a…`"));
    }
}
