//! A tarball named on the command line: its bytes, and the strict reader's refusal in words. It knows nothing of what a
//! command makes of it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use countersign_core::{archive::Refusal, diff::visible::escaped, limits::TARBALL_BYTES_MAX};

/// The file's bytes, and at most one more than the strict reader takes, so that it can say that they are too many.
///
/// # Errors
/// Where it cannot be opened or read.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(TARBALL_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A path of the command line, fit for a terminal.
pub(crate) fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

/// Why a file could not be read, as a line for standard error.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", shown(path))
}

/// A refusal in three lines: what is wrong and where, what it means, what mends it.
pub(crate) fn refused(path: &Path, refusal: &Refusal) -> String {
    let rule = refusal.rule;
    format!(
        "{} is refused ({rule}): {}.\n{}\nfix: {}\n",
        shown(path),
        refusal.message,
        rule.meaning(),
        rule.fix()
    )
}
