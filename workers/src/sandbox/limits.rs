//! The bounds of one rebuild as values, so that tests can set small ones. The defaults and their reasons stand in
//! `countersign_core::limits`; nothing here enforces them.

use std::time::Duration;

use countersign_core::limits as bounds;

/// The bounds of one step. The disk bounds belong to the work area and hold for all its steps together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Anonymous memory of all processes together, in bytes. Files in the work area and in `/tmp` lie in memory too
    /// but have bounds of their own; the kernel holds the sum of the three.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Wall time of one step.
    pub wall: Duration,
    /// A step that prints nothing for so long is ended.
    pub silence: Duration,
    /// The work area, in bytes.
    pub disk_bytes: u64,
    /// Files and folders of the work area.
    pub files: u64,
    /// `/tmp` and `/dev/shm` together, in bytes.
    pub tmp_bytes: u64,
    /// One file, in bytes.
    pub file_bytes: u64,
    /// What a step may print, in bytes.
    pub output_bytes: u64,
    /// What is kept of it: the first and the last half, in bytes.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: bounds::REBUILD_MEMORY_BYTES_MAX,
            processes: bounds::REBUILD_PROCESSES_MAX,
            wall: Duration::from_secs(bounds::REBUILD_SECONDS_MAX),
            silence: Duration::from_secs(bounds::SILENCE_SECONDS_MAX),
            disk_bytes: bounds::REBUILD_DISK_BYTES_MAX,
            files: bounds::REBUILD_DISK_BYTES_MAX / FILE_SHARE_BYTES,
            tmp_bytes: bounds::REBUILD_TMP_BYTES_MAX,
            file_bytes: bounds::FILE_BYTES_MAX,
            output_bytes: bounds::OUTPUT_BYTES_MAX,
            log_bytes: bounds::LOG_BYTES_MAX,
        }
    }
}

/// One file for each page of the disk bound: a tree of nothing but empty files costs the kernel about as much memory
/// as its pages would.
const FILE_SHARE_BYTES: u64 = 4096;

impl Limits {
    /// What the kernel's memory bound of a step is set to. Files in memory cannot reach it without meeting their own
    /// bound first, so that memory and disk are never taken for one another.
    pub(super) fn cgroup_bytes(&self) -> u64 {
        self.memory_bytes.saturating_add(self.disk_bytes).saturating_add(self.tmp_bytes)
    }
}
