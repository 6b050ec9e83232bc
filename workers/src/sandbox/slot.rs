//! Worker slots: one at a time holds a slot, and as root each slot has a numeric uid of its own that no other process
//! of the machine has. Who holds it is a file lock, which the kernel lets go when the holder dies, however it dies.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{getegid, geteuid};

use super::cgroup::Parents;
use super::missing::Missing;
use super::{Doing, SandboxError, WorkArea, bwrap, sweep};

/// The first uid of the slots; none of them has a passwd entry. Above the ranges that useradd, systemd's dynamic users
/// and subordinate ids take by default.
const FIRST_UID: u32 = 700_000;
/// The uid after the slots', which no build ever has.
pub(super) const UNUSED_UID: u32 = FIRST_UID + SLOTS;
/// Slots of one machine.
pub(super) const SLOTS: u32 = 256;
/// As root a slot is one for the whole machine, because its uid is: two base folders never share one.
pub(super) const ROOT_LOCKS: &str = "/run/countersign";

/// As whom the untrusted command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// As root: the slot's own uid, which is also its gid.
    OwnUid(u32),
    /// As an ordinary user: that user, inside a user namespace. Files of the user are not there, but a hole in the
    /// namespace would be a hole into the user's account: the weaker wall.
    Caller { uid: u32, gid: u32 },
}

impl Identity {
    pub(super) fn uid(self) -> u32 {
        match self {
            Self::OwnUid(uid) | Self::Caller { uid, .. } => uid,
        }
    }

    pub(super) fn gid(self) -> u32 {
        match self {
            Self::OwnUid(uid) => uid,
            Self::Caller { gid, .. } => gid,
        }
    }
}

/// A held worker slot. It is let go when dropped, or when its process dies.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    base: PathBuf,
    identity: Identity,
    parents: Parents,
    init: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl Slot {
    /// Takes the first free slot and clears away what a dead holder left: processes, mounts, folders and cgroups.
    /// `base` is where work areas are made, `/var/lib/countersign` as root.
    ///
    /// # Errors
    /// `Unavailable` where a wall is missing, `NoFreeSlot`, or an operation of the machine that failed.
    pub fn acquire(base: &Path) -> Result<Self, SandboxError> {
        Self::acquire_with_init(base, Path::new("/proc/self/exe"))
    }

    /// As [`Slot::acquire`], with a program other than the running one at the sandbox's door: it has to hand its
    /// arguments after `sandbox-init` to [`super::init_main`].
    ///
    /// # Errors
    /// As [`Slot::acquire`].
    pub fn acquire_with_init(base: &Path, init: &Path) -> Result<Self, SandboxError> {
        bwrap::find()?;
        let parents = Parents::detect(geteuid().is_root())?;
        prepare_base(base)?;
        for number in 0..SLOTS {
            let Some(mut lock) = try_lock(base, number)? else { continue };
            let identity = identity(number);
            sweep::clear(base, number, &mut lock, identity, &parents)?;
            record_base(&mut lock, base)?;
            let (base, init) = (base.to_owned(), init.to_owned());
            return Ok(Self { number, base, identity, parents, init, _lock: lock });
        }
        Err(SandboxError::NoFreeSlot(SLOTS))
    }

    /// Makes this slot's work area. One slot has one at a time.
    ///
    /// # Errors
    /// An operation of the machine that failed.
    pub fn work_area(self, limits: &super::Limits) -> Result<WorkArea, SandboxError> {
        WorkArea::create(self, limits)
    }

    /// The slot's number on this machine (as root) or in its base folder.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn identity(&self) -> Identity {
        match self.identity {
            Identity::OwnUid(_) if Missing::Uid.is_away() => Identity::OwnUid(0),
            held => held,
        }
    }

    pub(super) fn parents(&self) -> &Parents {
        &self.parents
    }

    pub(super) fn init(&self) -> &Path {
        &self.init
    }

    /// The slot's folder, which holds its work area.
    pub(super) fn folder(&self) -> PathBuf {
        folder(&self.base, self.number)
    }

    /// The name of the cgroup of this slot's step with this number.
    pub(super) fn group_name(&self, step: u32) -> String {
        format!("{}{step}", group_prefix(self.identity, self.number, &self.base))
    }
}

/// The start of the names of all cgroups of a slot. An ordinary user's slots are numbered per base folder, so that its
/// path is part of the name.
pub(super) fn group_prefix(identity: Identity, number: u32, base: &Path) -> String {
    match identity {
        Identity::OwnUid(_) => format!("countersign-{number}-"),
        Identity::Caller { .. } => {
            use sha2::{Digest, Sha256};
            let digest = Sha256::digest(base.as_os_str().as_encoded_bytes());
            format!("countersign-{number}-{}-", hex::encode(&digest[..4]))
        }
    }
}

pub(super) fn identity(number: u32) -> Identity {
    if geteuid().is_root() {
        Identity::OwnUid(FIRST_UID + number)
    } else {
        Identity::Caller { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }
}

pub(super) fn folder(base: &Path, number: u32) -> PathBuf {
    base.join("slots").join(number.to_string())
}

/// The folder of the lock files.
pub(super) fn locks(base: &Path) -> PathBuf {
    if geteuid().is_root() { PathBuf::from(ROOT_LOCKS) } else { base.join("slots") }
}

/// The slot's lock file, locked; `None` while somebody else holds it.
pub(super) fn try_lock(base: &Path, number: u32) -> Result<Option<File>, SandboxError> {
    let path = locks(base).join(format!("{number}.lock"));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&path)
        .doing(|| format!("Opening {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error).doing(|| format!("Locking {}", path.display())),
    }
}

/// The base folder that the last holder wrote into its lock file.
pub(super) fn recorded_base(lock: &mut File) -> Option<PathBuf> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0)).ok()?;
    lock.read_to_string(&mut text).ok()?;
    let path = PathBuf::from(text);
    path.is_absolute().then_some(path)
}

fn record_base(lock: &mut File, base: &Path) -> Result<(), SandboxError> {
    let write = |lock: &mut File| {
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(base.as_os_str().as_encoded_bytes())
    };
    write(lock).doing(|| "Writing a slot's lock file".to_owned())
}

/// Makes the base folder and refuses one that somebody else could change: under `/var/tmp` anybody may have made it
/// first.
pub(super) fn prepare_base(base: &Path) -> Result<(), SandboxError> {
    if !base.is_absolute() {
        return Err(SandboxError::BadStep(format!("{} is not absolute", base.display())));
    }
    make_folder(base, 0o711)?;
    make_folder(&base.join("slots"), 0o700)?;
    make_folder(&locks(base), 0o700)
}

fn make_folder(folder: &Path, mode: u32) -> Result<(), SandboxError> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).doing(|| format!("Making {}", parent.display()))?;
    }
    match fs::DirBuilder::new().mode(mode).create(folder) {
        // The umask may have taken bits away.
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(mode))
            .doing(|| format!("Setting the mode of {}", folder.display())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => trusted_folder(folder),
        Err(error) => Err(error).doing(|| format!("Making {}", folder.display())),
    }
}

fn trusted_folder(folder: &Path) -> Result<(), SandboxError> {
    let found =
        fs::symlink_metadata(folder).doing(|| format!("Looking at {}", folder.display()))?;
    let others_may_write = found.mode() & 0o022 != 0;
    if found.is_dir() && found.uid() == geteuid().as_raw() && !others_may_write {
        return Ok(());
    }
    Err(SandboxError::Unavailable {
        missing: format!("{} is not a folder that only this user can write to", folder.display()),
        mend: format!("Remove {} or name another folder.", folder.display()),
    })
}
