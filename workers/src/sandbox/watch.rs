//! What is observed of a running step and how its end is told from it. The facts come from the kernel's counters; what
//! the step prints is believed only about which kind of failure a failure was, never about success.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{StatVfs, fstatvfs};

use super::cgroup::Group;
use super::missing::Missing;
use super::orders::Reply;
use super::slot::Identity;
use super::{Limits, StepEnding, WorkArea};

/// Why the worker ended a step before it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Wall,
    Silence,
    Output,
    Memory,
    Disk,
    Cancelled,
}

/// Less free space than this, or than a 256th of the whole, counts as full: a program that is refused a large write
/// leaves a little.
const FULL_BELOW_BYTES: u64 = 64 * 1024;
/// An ordinary user's work area lies on a disk of the machine; with less than this left, the disk is full.
const MACHINE_FULL_BELOW_BYTES: u64 = 32 * 1024 * 1024;
/// The pause between two walks over an ordinary user's work area.
const WALK_PAUSE: Duration = Duration::from_secs(1);

/// Everything that was seen of one step.
#[derive(Debug, Default)]
pub(super) struct Seen {
    peak_bytes: u64,
    oom_kills: u64,
    refused_processes: u64,
    /// The work area or `/tmp` had no room left.
    full: bool,
    /// One of them was more than half used.
    half_full: bool,
    machine_full: bool,
    said_no_space: bool,
    said_file_too_large: bool,
    walked: Option<Instant>,
}

impl Seen {
    /// Looks at the counters once; says so where the step has to be ended for what they show.
    pub(super) fn look(&mut self, group: &Group, area: &WorkArea, limits: &Limits) -> Option<Cut> {
        self.peak_bytes = self.peak_bytes.max(group.current_bytes());
        self.oom_kills = group.oom_kills();
        self.refused_processes = group.refused_processes();
        let too_large = match area.slot().identity() {
            Identity::OwnUid(_) => {
                self.look_at_quota(area);
                false
            }
            Identity::Caller { .. } => self.look_at_folder(area, limits),
        };
        if self.oom_kills > 0
            || (group.anonymous_bytes() > limits.memory_bytes && !Missing::Memory.is_away())
        {
            Some(Cut::Memory)
        } else if too_large {
            Some(Cut::Disk)
        } else {
            None
        }
    }

    /// The last look, when nothing of the step lives any more. The kernel's own peak is taken where it keeps one.
    pub(super) fn look_last(&mut self, group: &Group, area: &WorkArea, limits: &Limits) {
        self.look(group, area, limits);
        self.peak_bytes = group.peak_bytes().unwrap_or(self.peak_bytes);
    }

    /// Takes note of one line that the step printed.
    pub(super) fn hear(&mut self, line: &str) {
        self.said_no_space |= line.contains("ENOSPC") || line.contains("No space left on device");
        self.said_file_too_large |= line.contains("EFBIG") || line.contains("File too large");
    }

    pub(super) fn peak_bytes(&self) -> Option<u64> {
        (self.peak_bytes > 0).then_some(self.peak_bytes)
    }

    pub(super) fn refused_processes(&self) -> u64 {
        self.refused_processes
    }

    fn look_at_quota(&mut self, area: &WorkArea) {
        for folder in [area.root(), area.tmp()] {
            let Ok(found) = fstatvfs(folder) else { continue };
            let least = FULL_BELOW_BYTES.max(bytes(&found) / 256);
            self.full |= free(&found) < least || found.f_favail == 0;
            self.half_full |= free(&found) < bytes(&found) / 2;
        }
    }

    fn look_at_folder(&mut self, area: &WorkArea, limits: &Limits) -> bool {
        if let Ok(found) = fstatvfs(area.root().as_fd()) {
            self.machine_full |= free(&found) < MACHINE_FULL_BELOW_BYTES;
        }
        let due = self.walked.is_none_or(|walked| walked.elapsed() >= WALK_PAUSE);
        if !due {
            return false;
        }
        self.walked = Some(Instant::now());
        let folder = area.slot().folder();
        let too_large = |name: &str, bytes: u64, files: u64| {
            let used = used(&folder.join(name));
            used.bytes > bytes || used.files > files
        };
        let tmp_files = limits.files;
        let too_large = too_large("build", limits.disk_bytes, limits.files)
            || too_large("tmp", limits.tmp_bytes, tmp_files);
        self.full |= too_large;
        too_large
    }

    /// How the step ended: by what the worker ended it for, by what the init told, and by what was seen.
    pub(super) fn ending(
        &self,
        cut: Option<Cut>,
        told: Option<&Reply>,
        limits: &Limits,
    ) -> Option<StepEnding> {
        if self.oom_kills > 0 && !self.reached_own_bound(limits) && cut != Some(Cut::Cancelled) {
            return Some(StepEnding::MachineOutOfMemory);
        }
        let by_itself = match (cut, told) {
            (Some(Cut::Cancelled), _) => return Some(StepEnding::Cancelled),
            (Some(Cut::Output), _) => return Some(StepEnding::OutputTooLarge),
            (Some(Cut::Memory), _) => return Some(StepEnding::OutOfMemory),
            (Some(Cut::Disk), _) => return Some(StepEnding::OutOfDisk),
            _ if self.oom_kills > 0 => return Some(StepEnding::OutOfMemory),
            (Some(Cut::Wall), _) => StepEnding::TimedOut,
            (Some(Cut::Silence), _) => StepEnding::Silent,
            (None, Some(Reply::Exited(code))) => StepEnding::Exited(*code),
            (None, Some(Reply::Signalled(signal))) => StepEnding::Signalled(*signal),
            (None, Some(Reply::LaunchFailed { .. } | Reply::Ready) | None) => return None,
        };
        Some(if by_itself.is_success() { by_itself } else { self.reason_of(by_itself, limits) })
    }

    /// What stands behind a failure: a bound that was met, or else the failure itself.
    fn reason_of(&self, failure: StepEnding, limits: &Limits) -> StepEnding {
        let over_file_bound =
            [StepEnding::Signalled(libc::SIGXFSZ), StepEnding::Exited(128 + libc::SIGXFSZ)]
                .contains(&failure);
        if self.refused_processes > 0 {
            StepEnding::TooManyProcesses
        } else if self.machine_full {
            StepEnding::MachineOutOfDisk
        } else if self.full
            || (self.said_no_space && self.could_have_been_full(limits))
            || over_file_bound
            || self.said_file_too_large
        {
            StepEnding::OutOfDisk
        } else {
            failure
        }
    }

    /// A build that clears up after a refused write may have been full between two looks. What it wrote was memory of
    /// its group, whose peak the kernel keeps.
    fn could_have_been_full(&self, limits: &Limits) -> bool {
        self.half_full || self.peak_bytes >= limits.disk_bytes.min(limits.tmp_bytes)
    }

    /// The kernel kills for want of memory at the group's bound, or when the whole machine has none: then the group
    /// may be far below.
    fn reached_own_bound(&self, limits: &Limits) -> bool {
        self.peak_bytes >= limits.cgroup_bytes() / 20 * 19 || self.peak_bytes == 0
    }
}

fn bytes(found: &StatVfs) -> u64 {
    found.f_blocks.saturating_mul(found.f_frsize)
}

fn free(found: &StatVfs) -> u64 {
    found.f_bavail.saturating_mul(found.f_frsize)
}

#[derive(Default)]
struct Used {
    bytes: u64,
    files: u64,
}

/// What a tree takes on the disk. It changes meanwhile; links are not followed by the look at each entry, and a folder
/// that is exchanged for a link during the walk makes the sum wrong, nothing else.
fn used(folder: &Path) -> Used {
    use std::os::unix::fs::MetadataExt;
    let mut used = Used::default();
    let mut waiting: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            used.files += 1;
            used.bytes = used.bytes.saturating_add(found.blocks().saturating_mul(512));
            if found.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { memory_bytes: 100, disk_bytes: 50, tmp_bytes: 50, ..Limits::default() }
    }

    fn ending(seen: &Seen, cut: Option<Cut>, told: Option<Reply>) -> Option<StepEnding> {
        seen.ending(cut, told.as_ref(), &limits())
    }

    #[test]
    fn a_success_beside_refused_processes_stays_a_success() {
        let seen = Seen { refused_processes: 3, full: true, ..Seen::default() };
        assert_eq!(ending(&seen, None, Some(Reply::Exited(0))), Some(StepEnding::Exited(0)));
    }

    #[test]
    fn a_bomb_that_hangs_to_the_wall_clock_is_told_by_what_it_did() {
        let seen = Seen { refused_processes: 3, ..Seen::default() };
        assert_eq!(ending(&seen, Some(Cut::Wall), None), Some(StepEnding::TooManyProcesses));
    }

    #[test]
    fn a_full_disk_is_told_only_of_a_failure() {
        let seen = Seen { full: true, ..Seen::default() };
        assert_eq!(ending(&seen, None, Some(Reply::Exited(1))), Some(StepEnding::OutOfDisk));
    }

    #[test]
    fn words_about_a_full_disk_are_not_believed_while_it_is_empty() {
        let mut seen = Seen::default();
        seen.hear("npm error ENOSPC: no space left on device");
        assert_eq!(ending(&seen, None, Some(Reply::Exited(1))), Some(StepEnding::Exited(1)));
        seen.half_full = true;
        assert_eq!(ending(&seen, None, Some(Reply::Exited(1))), Some(StepEnding::OutOfDisk));
    }

    #[test]
    fn the_machines_want_of_memory_is_not_the_packages() {
        let seen = Seen { oom_kills: 1, peak_bytes: 60, ..Seen::default() };
        assert_eq!(ending(&seen, Some(Cut::Memory), None), Some(StepEnding::MachineOutOfMemory));
        let seen = Seen { oom_kills: 1, peak_bytes: 199, ..Seen::default() };
        assert_eq!(ending(&seen, Some(Cut::Memory), None), Some(StepEnding::OutOfMemory));
    }

    #[test]
    fn a_kill_for_memory_is_told_even_where_the_command_lived_on() {
        let seen = Seen { oom_kills: 1, peak_bytes: 200, ..Seen::default() };
        assert_eq!(ending(&seen, None, Some(Reply::Exited(0))), Some(StepEnding::OutOfMemory));
        assert_eq!(ending(&seen, Some(Cut::Wall), None), Some(StepEnding::OutOfMemory));
    }

    #[test]
    fn an_end_that_nobody_told_is_no_ending() {
        assert_eq!(ending(&Seen::default(), None, None), None);
    }
}
