//! How often each kind of thing stood in an archive that was accepted, so that a share of accepted archives cannot be one archive
//! many times.

use std::{collections::BTreeMap, fmt};

use super::parts::Labels;

/// What has to have been accepted in every run, however short.
const EXPECTED: &[&str] = &[
    "1 file",
    "2 to 4 files",
    "5 to 19 files",
    "20 files and more",
    "path below 100 bytes",
    "path of 100 to 255 bytes",
    "path of 256 bytes and more",
    "path in the name",
    "path in the prefix",
    "path in an extended header",
    "path in GNU's long path",
    "number ended by NUL",
    "number ended by a space",
    "number ended by space and NUL",
    "number ended by NUL and space",
    "record path",
    "record size",
    "record mtime",
    "record atime",
    "record ctime",
    "record uid",
    "record gid",
    "record uname",
    "record gname",
    "record SCHILY.dev",
    "record SCHILY.ino",
    "record SCHILY.nlink",
    "record LIBARCHIVE.creationtime",
    "record hdrcharset",
    "mode 644",
    "mode 755",
    "mode 000",
    "mode 111",
    "mode 400",
    "empty file",
    "file of whole blocks",
    "file that ends in a block",
    "file over 15 KiB",
    "content that looks like members",
    "folders",
    "comment of git archive",
    "GNU's headers",
    "owner in base 256",
    "times behind the prefix",
    "another root",
    "a program",
    "gzip stored",
    "gzip with a file name",
    "hostile and accepted",
];

/// Labels of accepted archives, counted.
#[derive(Default)]
pub(super) struct Variety(BTreeMap<String, u64>);

impl Variety {
    pub(super) fn count(&mut self, labels: &Labels) {
        for label in labels {
            *self.0.entry(label.clone()).or_default() += 1;
        }
    }

    /// What was never accepted and should have been.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        EXPECTED.iter().copied().filter(|label| !self.0.contains_key(*label)).collect()
    }
}

impl fmt::Display for Variety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modes = self.0.keys().filter(|label| label.starts_with("mode ")).count();
        writeln!(f, "accepted archives with …")?;
        for (label, count) in &self.0 {
            let is_named = !label.starts_with("mode ") || EXPECTED.contains(&label.as_str());
            if is_named {
                writeln!(f, "{count:>9}  {label}")?;
            }
        }
        writeln!(f, "{modes:>9}  different modes")
    }
}
