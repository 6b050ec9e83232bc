//! Files beneath one folder that a hostile build owns, read and written by the trusted parent: no link is ever
//! followed, nothing but a regular file is ever opened, and every read has a bound. It knows nothing of mounts or
//! slots.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, fstat, mkdirat,
    openat2, readlinkat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::missing::Missing;

/// Why a file could not be taken out. All but `Io` are facts about what the build left.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// There is no such file, or a link stands where a folder should.
    #[error("{0} is not there.")]
    Missing(String),
    /// It is a link, a folder, a device, a socket or a pipe.
    #[error("{0} is not a regular file.")]
    NotAFile(String),
    /// It is larger than asked.
    #[error("{path} has {bytes} bytes, more than {max}.")]
    TooLarge {
        /// The path inside the work area.
        path: String,
        /// Its size.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// Its owner locked it.
    #[error("{0} may not be read.")]
    Unreadable(String),
    /// The machine failed.
    #[error("Reading {path} failed: {source}.")]
    Io {
        /// The path inside the work area.
        path: String,
        /// The machine's answer.
        source: io::Error,
    },
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name, without its folder. Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether any of the bits 0111 is set.
    pub executable: bool,
}

/// Beneath, and through no link of any kind.
fn beneath() -> ResolveFlags {
    if Missing::Links.is_away() {
        return ResolveFlags::empty();
    }
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS)
}

/// Opens the folder that all else is beneath.
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Reads one regular file of at most `max` bytes.
pub(super) fn take(root: BorrowedFd<'_>, path: &str, max: u64) -> Result<Vec<u8>, TakeError> {
    let named = || path.to_owned();
    let failed = |source: io::Error| TakeError::Io { path: named(), source };
    // O_NONBLOCK: opening a pipe that nobody writes to must not wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        openat2(root, path, flags, Mode::empty(), beneath()).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::XDEV => TakeError::Missing(named()),
            Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ISDIR => TakeError::NotAFile(named()),
            Errno::ACCESS | Errno::PERM => TakeError::Unreadable(named()),
            other => failed(other.into()),
        })?;
    let found = fstat(&file).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(TakeError::NotAFile(named()));
    }
    let bytes = u64::try_from(found.st_size).unwrap_or(0);
    if bytes > max {
        return Err(TakeError::TooLarge { path: named(), bytes, max });
    }
    let mut content = Vec::new();
    File::from(file).take(max.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    let bytes = content.len() as u64;
    if bytes > max {
        return Err(TakeError::TooLarge { path: named(), bytes, max });
    }
    Ok(content)
}

/// Where one symbolic link leads.
pub(super) fn link_target(root: BorrowedFd<'_>, path: &str) -> Result<Vec<u8>, TakeError> {
    let failed = |error: Errno| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => {
            TakeError::Missing(path.to_owned())
        }
        Errno::INVAL => TakeError::NotAFile(path.to_owned()),
        other => TakeError::Io { path: path.to_owned(), source: other.into() },
    };
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat2(root, folder, flags, Mode::empty(), beneath()).map_err(failed)?;
    Ok(readlinkat(folder, name, Vec::new()).map_err(failed)?.into_bytes())
}

/// The names in one folder, sorted; at most `max` of them are read.
pub(super) fn list(root: BorrowedFd<'_>, path: &str, max: usize) -> Result<Vec<Listed>, TakeError> {
    let failed = |error: Errno| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => {
            TakeError::Missing(path.to_owned())
        }
        Errno::ACCESS | Errno::PERM => TakeError::Unreadable(path.to_owned()),
        other => TakeError::Io { path: path.to_owned(), source: other.into() },
    };
    let path = if path.is_empty() { "." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat2(root, path, flags, Mode::empty(), beneath()).map_err(failed)?;
    let mut listed = Vec::new();
    for entry in Dir::read_from(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if listed.len() >= max {
            let source = io::Error::from(io::ErrorKind::FileTooLarge);
            return Err(TakeError::Io { path: path.to_owned(), source });
        }
        let found = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let kind = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Symlink,
            _ => EntryKind::Other,
        };
        listed.push(Listed {
            name: name.to_string_lossy().into_owned(),
            kind,
            bytes: u64::try_from(found.st_size).unwrap_or(0),
            executable: found.st_mode & 0o111 != 0,
        });
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

/// Puts files of one owner beneath a folder.
pub(super) struct Writer<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Writer<'_> {
    /// Writes a regular file with mode 755 or 644. What stood there before, a link or a file, is removed first; a
    /// folder is not.
    pub(super) fn file(&self, path: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        remove_name(&folder, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = if executable { 0o755 } else { 0o644 };
        let file = openat2(&folder, name, flags, Mode::from_raw_mode(mode), beneath())?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        fchmod(&file, Mode::from_raw_mode(mode))?;
        self.own(&file)
    }

    /// Makes a symbolic link, which is kept as it is and never followed here.
    pub(super) fn symlink(&self, path: &str, target: &[u8]) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        remove_name(&folder, name)?;
        symlinkat(target, &folder, name)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&folder, name, Some(self.user()), Some(self.group()), flags)?;
        Ok(())
    }

    /// Makes a folder and those above it with mode 755; one that stands there is kept.
    pub(super) fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = rustix::io::fcntl_dupfd_cloexec(self.root, 0)?;
        for name in parts(path)? {
            match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    let opened = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    let made = openat2(&at, name, opened, Mode::empty(), beneath())?;
                    fchmod(&made, Mode::from_raw_mode(0o755))?;
                    self.own(&made)?;
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = openat2(&at, name, flags, Mode::empty(), beneath())?;
        }
        Ok(at)
    }

    /// Removes a file or link; whether it was there does not matter.
    pub(super) fn remove(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        remove_name(&folder, name)
    }

    fn parent<'p>(&self, path: &'p str) -> io::Result<(OwnedFd, &'p str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if path.starts_with('/') || name.is_empty() || name == "." || name == ".." {
            return Err(bad_path(path));
        }
        Ok((self.folder(folder)?, name))
    }

    fn own(&self, file: impl AsFd) -> io::Result<()> {
        Ok(fchown(file, Some(self.user()), Some(self.group()))?)
    }

    fn user(&self) -> Uid {
        Uid::from_raw(self.uid)
    }

    fn group(&self) -> Gid {
        Gid::from_raw(self.gid)
    }
}

fn remove_name(folder: impl AsFd, name: &str) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The parts of a relative path without `..`.
fn parts(path: &str) -> io::Result<Vec<&str>> {
    Path::new(path)
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str().ok_or_else(|| bad_path(path)),
            Component::CurDir
            | Component::ParentDir
            | Component::RootDir
            | Component::Prefix(_) => Err(bad_path(path)),
        })
        .collect()
}

fn bad_path(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{path} is not a path beneath a folder"))
}
