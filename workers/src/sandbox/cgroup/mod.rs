//! The control group of one step: its bounds, its counters, and the certainty that nothing in it lives on. Version 1
//! (one folder per controller) and version 2 (one folder) differ only in file names, which stand here side by side.
//! Where groups may be made is found in `detect.rs`.

mod detect;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

pub(super) use detect::Parents;

use super::missing::Missing;
use super::{Doing, Limits, SandboxError};

/// bubblewrap, the init and its helper threads are counted with the step's processes but are not the step's.
const OWN_PROCESSES: u64 = 4;

/// The folders of one group.
#[derive(Debug)]
enum Folders {
    V1 { memory: PathBuf, pids: PathBuf },
    V2(PathBuf),
}

/// One group. Dropping it removes its folders, after everything in it was killed.
#[derive(Debug)]
pub(super) struct Group {
    folders: Folders,
}

impl Group {
    /// Makes the group with the bounds of `limits`. A group of the same name that a dead worker left is emptied and
    /// taken.
    pub(super) fn create(
        parents: &Parents,
        name: &str,
        limits: &Limits,
    ) -> Result<Self, SandboxError> {
        let folders = match parents {
            Parents::V1 { memory, pids } => {
                Folders::V1 { memory: memory.join(name), pids: pids.join(name) }
            }
            Parents::V2(parent) => Folders::V2(parent.join(name)),
        };
        let group = Self { folders };
        for folder in group.folders() {
            match fs::create_dir(folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => other.doing(|| format!("Making the cgroup {}", folder.display()))?,
            }
        }
        group.bound(limits)?;
        Ok(group)
    }

    fn folders(&self) -> Vec<&Path> {
        match &self.folders {
            Folders::V1 { memory, pids } => vec![memory, pids],
            Folders::V2(folder) => vec![folder],
        }
    }

    fn memory_folder(&self) -> &Path {
        match &self.folders {
            Folders::V1 { memory, .. } => memory,
            Folders::V2(folder) => folder,
        }
    }

    fn pids_folder(&self) -> &Path {
        match &self.folders {
            Folders::V1 { pids, .. } => pids,
            Folders::V2(folder) => folder,
        }
    }

    fn bound(&self, limits: &Limits) -> Result<(), SandboxError> {
        let bytes = if Missing::Memory.is_away() { 2 << 30 } else { limits.cgroup_bytes() };
        let bytes = bytes.to_string();
        match &self.folders {
            Folders::V1 { memory, .. } => {
                set(memory, "memory.limit_in_bytes", &bytes)?;
                // Both files exist only where the kernel accounts swap; where it does not, swappiness keeps it out.
                set_where_present(memory, "memory.memsw.limit_in_bytes", &bytes)?;
                set_where_present(memory, "memory.swappiness", "0")?;
            }
            Folders::V2(folder) => {
                set(folder, "memory.max", &bytes)?;
                set_where_present(folder, "memory.swap.max", "0")?;
                set_where_present(folder, "memory.oom.group", "1")?;
            }
        }
        let processes = if Missing::Forks.is_away() { 10_000 } else { limits.processes };
        let processes = processes.saturating_add(OWN_PROCESSES).to_string();
        set(self.pids_folder(), "pids.max", &processes)
    }

    /// The files into which a process writes `0` to join.
    pub(super) fn join_files(&self) -> Vec<PathBuf> {
        self.folders().into_iter().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// The most memory that the group had, as the kernel counted it, in bytes. `None` before Linux 5.19 on version 2.
    pub(super) fn peak_bytes(&self) -> Option<u64> {
        let file = match &self.folders {
            Folders::V1 { .. } => "memory.max_usage_in_bytes",
            Folders::V2(_) => "memory.peak",
        };
        read_number(&self.memory_folder().join(file))
    }

    /// The memory that the group has now, in bytes, files in memory included.
    pub(super) fn current_bytes(&self) -> u64 {
        let file = match &self.folders {
            Folders::V1 { .. } => "memory.usage_in_bytes",
            Folders::V2(_) => "memory.current",
        };
        read_number(&self.memory_folder().join(file)).unwrap_or(0)
    }

    /// The memory that is no file's, in bytes.
    pub(super) fn anonymous_bytes(&self) -> u64 {
        let key = match &self.folders {
            Folders::V1 { .. } => "total_rss",
            Folders::V2(_) => "anon",
        };
        read_keyed(&self.memory_folder().join("memory.stat"), key)
    }

    /// How many of the group's processes the kernel killed for want of memory.
    pub(super) fn oom_kills(&self) -> u64 {
        let file = match &self.folders {
            Folders::V1 { .. } => "memory.oom_control",
            Folders::V2(_) => "memory.events",
        };
        read_keyed(&self.memory_folder().join(file), "oom_kill")
    }

    /// How often the kernel refused the group another process.
    pub(super) fn refused_processes(&self) -> u64 {
        read_keyed(&self.pids_folder().join("pids.events"), "max")
    }

    /// Kills everything in the group but one process; what it starts meanwhile is left to [`Group::kill`].
    pub(super) fn kill_all_but(&self, spared: u32) {
        let folder = self.pids_folder();
        write_quietly(&folder.join("pids.max"), "0");
        let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for pid in list.lines().filter_map(|line| line.trim().parse::<i32>().ok()) {
            if u32::try_from(pid).is_ok_and(|pid| pid != spared) {
                kill_member(folder, pid);
            }
        }
    }

    /// Kills everything in the group and returns when nothing is left in it.
    pub(super) fn kill(&self) -> Result<(), SandboxError> {
        for folder in self.folders() {
            kill_folder(folder).doing(|| format!("Emptying the cgroup {}", folder.display()))?;
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in self.folders() {
            if let Err(error) = remove(folder) {
                tracing::warn!(folder = %folder.display(), %error, "A cgroup stayed behind");
            }
        }
    }
}

/// Kills and removes every group under `parents` whose name starts with `prefix`.
pub(super) fn sweep(parents: &Parents, prefix: &str) -> Result<(), SandboxError> {
    for parent in parents.folders() {
        let entries = fs::read_dir(parent).doing(|| format!("Listing {}", parent.display()))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let folder = entry.path();
                remove(&folder).doing(|| format!("Removing the cgroup {}", folder.display()))?;
            }
        }
    }
    Ok(())
}

/// The longest that killed processes may take to vanish. They hold no locks of ours; only the kernel's own work is
/// waited for, such as freeing memory.
const EMPTY_WITHIN: Duration = Duration::from_secs(20);

fn remove(folder: &Path) -> io::Result<()> {
    let deadline = Instant::now() + EMPTY_WITHIN;
    kill_folder(folder)?;
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // A process that was killed leaves the list before the kernel has let go of the group.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                if Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

fn kill_folder(folder: &Path) -> io::Result<()> {
    // No more forks while the list is worked through, whichever version it is.
    write_quietly(&folder.join("pids.max"), "0");
    write_quietly(&folder.join("cgroup.kill"), "1");
    let deadline = Instant::now() + EMPTY_WITHIN;
    loop {
        let pids = match fs::read_to_string(folder.join("cgroup.procs")) {
            Ok(list) => list,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // A folder that is being removed by another sweep.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            Err(error) => return Err(error),
        };
        if pids.trim().is_empty() {
            return Ok(());
        }
        for pid in pids.lines().filter_map(|line| line.trim().parse::<i32>().ok()) {
            kill_member(folder, pid);
        }
        if Instant::now() > deadline {
            return Err(io::Error::from(ErrorKind::TimedOut));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills a process only if it is still a member after its descriptor was opened: its number could have been given to
/// another process since the list was read.
fn kill_member(folder: &Path, pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let number = pid.as_raw_nonzero().to_string();
    let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    if members.lines().any(|line| line.trim() == number) {
        // It may have ended meanwhile, which is what is wanted.
        let _ended_before = pidfd_send_signal(&process, Signal::KILL);
    }
}

fn set(folder: &Path, file: &str, value: &str) -> Result<(), SandboxError> {
    let path = folder.join(file);
    fs::write(&path, value).doing(|| format!("Writing {value} to {}", path.display()))
}

fn set_where_present(folder: &Path, file: &str, value: &str) -> Result<(), SandboxError> {
    if folder.join(file).exists() { set(folder, file, value) } else { Ok(()) }
}

fn write_quietly(path: &Path, value: &str) {
    if path.exists() {
        // Best effort on the way to killing one by one, which is checked.
        let _killed_below = fs::write(path, value);
    }
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn read_keyed(path: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    keyed(&text, key)
}

/// The value of `key` in a file of `key value` lines; 0 where it is missing.
fn keyed(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyed_file_is_read_by_whole_keys() {
        let events = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(keyed(events, "oom_kill"), 2);
        assert_eq!(keyed(events, "oom"), 3);
        assert_eq!(keyed(events, "max"), 0);
    }
}
