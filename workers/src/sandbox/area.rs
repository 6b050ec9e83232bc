//! The work area of one rebuild: a folder that outlives its steps and belongs to the build's uid. As root it is a file
//! system in memory of a fixed size, a hard quota; an ordinary user has no right to mount, so that there it is a plain
//! folder whose size is watched while a step runs, which a fast writer can overshoot by what it writes in a second.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use super::files::{self, Listed, TakeError, Writer};
use super::missing::Missing;
use super::slot::Identity;
use super::{Doing, Limits, SandboxError, Slot, fixed, sweep};

/// Names of one folder that [`WorkArea::list`] reads at most.
const LISTED_MAX: usize = 200_000;

/// One entry of a tree that is put into the work area.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A regular file: git's modes 100644 and 100755.
    File {
        /// Its content.
        bytes: &'a [u8],
        /// Whether it is executable.
        executable: bool,
    },
    /// A symbolic link: git's mode 120000.
    Symlink {
        /// Where it leads, as it stands in the tree.
        target: &'a [u8],
    },
    /// A folder, for trees that name empty ones.
    Directory,
}

/// A work area. Dropping it removes it.
#[derive(Debug)]
pub struct WorkArea {
    // Before the slot: what is dropped first is removed while the slot is still held.
    folders: Folders,
    slot: Slot,
    steps: u32,
}

#[derive(Debug)]
struct Folders {
    path: PathBuf,
    root: OwnedFd,
    tmp: OwnedFd,
}

impl WorkArea {
    pub(super) fn create(slot: Slot, limits: &Limits) -> Result<Self, SandboxError> {
        let folder = slot.folder();
        make(&folder, 0o700)?;
        let filled = fill(&folder, slot.identity(), limits).and_then(|()| {
            let open = |name: &str| {
                let path = folder.join(name);
                files::open_root(&path).doing(|| format!("Opening {}", path.display()))
            };
            Ok((open("build/work")?, open("tmp")?))
        });
        match filled {
            Ok((root, tmp)) => {
                Ok(Self { folders: Folders { path: folder, root, tmp }, slot, steps: 0 })
            }
            Err(error) => {
                // The first failure is the one to tell; what stays behind goes with the next sweep.
                let _stayed_behind = sweep::remove_area(&folder);
                Err(error)
            }
        }
    }

    /// Removes the area and gives its slot back for the next one.
    #[must_use]
    pub fn release(self) -> Slot {
        drop(self.folders);
        self.slot
    }

    /// Puts one entry of a tree at `path`, owned by the build. What stood there before is replaced, unless it is a
    /// folder; links on the way are refused, never followed.
    ///
    /// # Errors
    /// `AreaFull`, or an operation of the machine that failed.
    pub fn put(&self, path: &str, entry: &Entry<'_>) -> Result<(), SandboxError> {
        let writer = self.writer();
        let done = match entry {
            Entry::File { bytes, executable } => writer.file(path, bytes, *executable),
            Entry::Symlink { target } => writer.symlink(path, target),
            Entry::Directory => writer.folder(path).map(drop),
        };
        done.map_err(|source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                SandboxError::AreaFull { path: path.to_owned() }
            }
            _ => SandboxError::Io { doing: format!("Writing {path} into the work area"), source },
        })
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// An operation of the machine that failed.
    pub fn remove(&self, path: &str) -> Result<(), SandboxError> {
        self.writer().remove(path).doing(|| format!("Removing {path} from the work area"))
    }

    /// Reads a regular file of at most `max_bytes`, following no link on the way.
    ///
    /// # Errors
    /// What the build left there instead, or a failure of the machine.
    pub fn take_file(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>, TakeError> {
        files::take(self.folders.root.as_fd(), path, max_bytes)
    }

    /// Where a symbolic link leads, as it stands there; the links on the way to it are not followed.
    ///
    /// # Errors
    /// What the build left there instead, or a failure of the machine.
    pub fn link_target(&self, path: &str) -> Result<Vec<u8>, TakeError> {
        files::link_target(self.folders.root.as_fd(), path)
    }

    /// The names in a folder (`""` is the area itself), sorted, following no link on the way.
    ///
    /// # Errors
    /// What the build left there instead, or a failure of the machine.
    pub fn list(&self, path: &str) -> Result<Vec<Listed>, TakeError> {
        files::list(self.folders.root.as_fd(), path, LISTED_MAX)
    }

    /// The slot that it lies in.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(super) fn root(&self) -> &OwnedFd {
        &self.folders.root
    }

    pub(super) fn tmp(&self) -> &OwnedFd {
        &self.folders.tmp
    }

    /// The number of the next step, counted from 0.
    pub(super) fn next_step(&mut self) -> u32 {
        let step = self.steps;
        self.steps += 1;
        step
    }

    fn writer(&self) -> Writer<'_> {
        let identity = self.slot.identity();
        Writer { root: self.folders.root.as_fd(), uid: identity.uid(), gid: identity.gid() }
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Err(error) = sweep::remove_area(&self.path) {
            tracing::warn!(%error, "A work area stayed behind; the next worker sweeps it");
        }
    }
}

/// The folders of an area below its slot's folder:
/// `build/work` is the work area, `build/home` the home folder on the same quota, `tmp/tmp` becomes `/tmp`, and
/// `tmp/shm` becomes `/dev/shm`. As an ordinary user there is
/// `fixed` beside them; as root the launcher lays that down where no path of the host shows.
fn fill(folder: &Path, identity: Identity, limits: &Limits) -> Result<(), SandboxError> {
    let (build, tmp) = (folder.join("build"), folder.join("tmp"));
    make(&build, 0o700)?;
    make(&tmp, 0o700)?;
    if let Identity::OwnUid(_) = identity {
        mount_memory(&build, limits.disk_bytes, limits.files, identity)?;
        let files = (limits.tmp_bytes / 4096).max(64);
        mount_memory(&tmp, limits.tmp_bytes, files, identity)?;
    }
    for (path, mode) in
        [("build/work", 0o755), ("build/home", 0o700), ("tmp/tmp", 0o1777), ("tmp/shm", 0o1777)]
    {
        make(&folder.join(path), mode)?;
        own(&folder.join(path), identity)?;
    }
    match identity {
        Identity::OwnUid(_) => Ok(()),
        Identity::Caller { .. } => fixed::lay(&folder.join("fixed"))
            .doing(|| format!("Writing {}/fixed", folder.display())),
    }
}

fn mount_memory(
    point: &Path,
    bytes: u64,
    files: u64,
    identity: Identity,
) -> Result<(), SandboxError> {
    let (uid, gid) = (identity.uid(), identity.gid());
    let (bytes, files) = if Missing::Disk.is_away() { (1 << 30, 1 << 20) } else { (bytes, files) };
    let options = format!("size={bytes},nr_inodes={files},mode=0700,uid={uid},gid={gid}");
    let options = std::ffi::CString::new(options).expect("digits hold no zero byte");
    mount("countersign", point, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .map_err(|error| match error {
            rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => SandboxError::Unavailable {
                missing: "root may not mount a file system here".to_owned(),
                mend: "In a container: `docker run --privileged …`, or run as an ordinary user."
                    .to_owned(),
            },
            other => SandboxError::Io {
                doing: format!("Mounting a work area on {}", point.display()),
                source: other.into(),
            },
        })
}

fn make(folder: &Path, bits: u32) -> Result<(), SandboxError> {
    fs::DirBuilder::new()
        .mode(bits)
        .create(folder)
        .doing(|| format!("Making {}", folder.display()))?;
    mode(folder, bits)
}

fn mode(path: &Path, bits: u32) -> Result<(), SandboxError> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
        .doing(|| format!("Setting the mode of {}", path.display()))
}

fn own(path: &PathBuf, identity: Identity) -> Result<(), SandboxError> {
    lchown(path, Some(identity.uid()), Some(identity.gid()))
        .doing(|| format!("Setting the owner of {}", path.display()))
}
