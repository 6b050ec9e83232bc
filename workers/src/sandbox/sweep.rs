//! Clearing away what a worker left that was killed in the middle: the processes of its slot's uid, its cgroups, its
//! mounts and its folders. Only ever done by who holds the slot's lock.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

use super::cgroup::{self, Parents};
use super::slot::{self, Identity};
use super::{Doing, SandboxError};

/// The mount points of a work area below its slot's folder.
pub(super) const MOUNT_POINTS: [&str; 2] = ["build", "tmp"];

/// Clears away what dead workers left in every slot that nobody holds. Called when a worker starts.
///
/// # Errors
/// `Unavailable` where no cgroup can be made here, or an operation of the machine that failed.
pub fn sweep(base: &Path) -> Result<(), SandboxError> {
    let parents = Parents::detect(geteuid().is_root())?;
    slot::prepare_base(base)?;
    let locks = slot::locks(base);
    let entries = fs::read_dir(&locks).doing(|| format!("Listing {}", locks.display()))?;
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".lock")?.parse::<u32>().ok());
    for number in numbers.filter(|number| *number < slot::SLOTS) {
        if let Some(mut lock) = slot::try_lock(base, number)? {
            clear(base, number, &mut lock, slot::identity(number), &parents)?;
        }
    }
    Ok(())
}

/// Clears one slot whose lock the caller holds.
pub(super) fn clear(
    base: &Path,
    number: u32,
    lock: &mut File,
    identity: Identity,
    parents: &Parents,
) -> Result<(), SandboxError> {
    // The cgroup first: with no more forks allowed in it, the rest cannot run away.
    let mut bases = vec![base.to_owned()];
    bases.extend(slot::recorded_base(lock).filter(|recorded| recorded != base));
    for base in &bases {
        cgroup::sweep(parents, &slot::group_prefix(identity, number, base))?;
    }
    match identity {
        Identity::OwnUid(uid) => kill_uid(uid)?,
        // An ordinary user's own processes carry the same uid; the cgroup held all of the sandbox's.
        Identity::Caller { .. } => {}
    }
    for base in &bases {
        remove_area(&slot::folder(base, number))?;
    }
    Ok(())
}

/// Unmounts and removes a slot's folder, where there is one.
pub(super) fn remove_area(folder: &Path) -> Result<(), SandboxError> {
    for point in MOUNT_POINTS {
        unmount_all(&folder.join(point))?;
    }
    match remove_tree(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.doing(|| format!("Removing {}", folder.display())),
    }
}

fn unmount_all(point: &Path) -> Result<(), SandboxError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    loop {
        match unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Nothing is mounted there, or there is no such folder.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error).doing(|| format!("Unmounting {}", point.display())),
        }
    }
}

/// Removes a tree that a hostile build may have left: links are never followed (the standard library sees to that),
/// and folders that it locked against their owner are opened again.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            unlock_folders(folder)?;
            fs::remove_dir_all(folder)
        }
        other => other,
    }
}

/// Nothing of the build lives any more, so that what was looked at cannot be exchanged.
fn unlock_folders(folder: &Path) -> std::io::Result<()> {
    let mut waiting: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

/// The longest that killed processes may take to vanish.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Kills every process of a slot's uid and returns when there is none. The uid is the slot's alone.
fn kill_uid(uid: u32) -> Result<(), SandboxError> {
    let deadline = Instant::now() + GONE_WITHIN;
    while kill_uid_once(uid).doing(|| "Listing /proc".to_owned())? > 0 {
        if Instant::now() > deadline {
            let error = std::io::Error::from(ErrorKind::TimedOut);
            return Err(error).doing(|| format!("Killing the processes of uid {uid}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn kill_uid_once(uid: u32) -> std::io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(pid) = Pid::from_raw(pid) else { continue };
        if real_uid(pid) != Some(uid) {
            continue;
        }
        // The descriptor is opened before the uid is looked at once more: from then on the signal cannot reach a
        // process that was given the number later.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if real_uid(pid) == Some(uid) {
            found += 1;
            // It may have ended meanwhile, which is what is wanted.
            let _ended_before = pidfd_send_signal(&process, Signal::KILL);
        }
    }
    Ok(found)
}

/// The real uid of a process that is no zombie.
fn real_uid(pid: Pid) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    if field("State:")?.starts_with('Z') {
        return None;
    }
    field("Uid:")?.split_whitespace().next()?.parse().ok()
}
