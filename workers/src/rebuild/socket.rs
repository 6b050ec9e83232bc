//! The folder of a mirror's socket, inside the folder of the work areas. Its holder keeps it locked, and the kernel lets go
//! of the lock however the holder dies, so that a folder without a holder can be told and cleared away.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// How the name of such a folder begins.
const PREFIX: &str = "mirror-";

/// A held folder; it is removed when dropped.
pub(super) struct SocketFolder {
    folder: TempDir,
    /// Held for its lock.
    _lock: File,
}

impl SocketFolder {
    /// Makes one that the sandbox's launcher, still with the worker's rights, can reach.
    pub(super) fn make(work: &Path) -> io::Result<Self> {
        fs::create_dir_all(work)?;
        loop {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(work)?;
            // Between the two a worker that starts may find it without a holder and clear it away.
            let Ok(lock) = File::open(folder.path()) else { continue };
            flock(&lock, FlockOperation::LockExclusive)?;
            if folder.path().exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    /// Where the mirror listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("mirror.sock")
    }

    /// Where the preloaded clock is written, if there is one: it goes with the folder.
    pub(super) fn clock(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

/// Removes the folders whose holders are dead.
///
/// # Errors
/// One that nobody holds cannot be removed.
pub(super) fn sweep(work: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(work) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_one || !entry.file_type()?.is_dir() {
            continue;
        }
        // Its holder may end in this moment, and remove it itself.
        let Ok(folder) = File::open(entry.path()) else { continue };
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_holder_is_cleared_away_and_a_held_one_is_not() {
        let work = tempfile::tempdir().unwrap();
        let held = SocketFolder::make(work.path()).unwrap();
        let orphan = work.path().join("mirror-orphan");
        fs::create_dir(&orphan).unwrap();
        fs::write(orphan.join("mirror.sock"), "").unwrap();
        fs::create_dir(work.path().join("slots")).unwrap();
        sweep(work.path()).unwrap();
        assert!(!orphan.exists());
        assert!(held.socket().parent().unwrap().is_dir());
        assert!(work.path().join("slots").is_dir());
        sweep(&work.path().join("never-made")).unwrap();
    }
}
