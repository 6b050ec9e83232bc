//! Where the cache lies and who may enter it. The build runs under a uid of its own and has to read the toolchains, so
//! every folder above them must be searchable by it; this file knows nothing of what lies inside.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The cache folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A build under another uid could not reach it.
    #[error(
        "the cache folder `{folder}` cannot be used: `{closed}` is not searchable by the build's \
         user; set COUNTERSIGN_CACHE to a folder such as /var/cache/countersign, or run chmod o+x \
         on `{closed}`"
    )]
    Closed {
        /// The folder that was asked for.
        folder: PathBuf,
        /// The first of its parents that is closed.
        closed: PathBuf,
    },
    /// The disk refused.
    #[error("the cache folder `{path}` cannot be made")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is neither a home nor a setting.
    #[error(
        "there is no cache folder: neither COUNTERSIGN_CACHE nor XDG_CACHE_HOME nor HOME is set"
    )]
    Nowhere,
}

/// `COUNTERSIGN_CACHE`; else `/var/cache/countersign` for root; else `countersign` under `XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// When an ordinary user has neither of these.
pub fn default_folder(
    variable: impl Fn(&str) -> Option<String>,
    is_root: bool,
) -> Result<PathBuf, FolderError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("COUNTERSIGN_CACHE") {
        return Ok(folder);
    }
    if is_root {
        return Ok(PathBuf::from("/var/cache/countersign"));
    }
    let caches = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let caches = caches.or_else(|| Some(set("HOME")?.join(".cache")));
    caches.map(|caches| caches.join("countersign")).ok_or(FolderError::Nowhere)
}

/// Makes the folder and those above it that are missing, and finds out whether the build can reach it.
pub(super) fn prepare(folder: &Path, for_other_users: bool) -> Result<PathBuf, FolderError> {
    make(folder)?;
    let failed = |source| FolderError::Io { path: folder.to_owned(), source };
    let real = folder.canonicalize().map_err(failed)?;
    if for_other_users {
        for parent in real.ancestors() {
            let mode = parent.metadata().map_err(failed)?.permissions().mode();
            if mode & 0o001 == 0 {
                return Err(FolderError::Closed {
                    folder: real.clone(),
                    closed: parent.to_owned(),
                });
            }
        }
    }
    Ok(real)
}

/// Makes one folder with those above it, each open to be read by everybody whatever the umask. What was there before
/// stays as it was.
pub(super) fn make(folder: &Path) -> Result<(), FolderError> {
    let failed = |source| FolderError::Io { path: folder.to_owned(), source };
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(()) => open_to_readers(folder).map_err(failed),
    }
}

/// 0755.
pub(super) fn open_to_readers(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}
