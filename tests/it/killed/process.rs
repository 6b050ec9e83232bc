//! A worker in a process of its own, and what the machine shows of its job: processes, mounts, folders and cgroups. Other
//! workers of the same machine go on beside it, so only what was seen of this one's before its death is looked for.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use countersign_worker::settings::Settings;

/// Looks again and again for a condition of which nothing tells; false when it did not come true in time.
pub(super) async fn within(limit: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition().await {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// A running worker; it is killed when dropped.
pub(super) struct Worker {
    child: Child,
}

impl Worker {
    /// Starts one as the service does: an empty environment, and the settings through a pipe that stays open.
    pub(super) fn start(settings: &Settings, log: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["worker", "--settings-from-stdin"])
            .env_clear()
            .stdin(Stdio::piped())
            .stderr(fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let line = format!("{}\n", serde_json::to_string(settings).unwrap());
        child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        Self { child }
    }

    /// What the machine shows of it now.
    pub(super) fn job(&self) -> Job {
        let processes = descendants(self.child.id());
        let groups = groups_of(&processes);
        Job { processes, groups }
    }

    /// Kills it with SIGKILL.
    pub(super) fn kill(self) {
        drop(self);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // `Child::kill` is SIGKILL.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A process: its number and when it began, which together are its alone.
type Process = (u32, String);
/// A cgroup: its folder and that folder's inode, which together are its alone.
type Group = (PathBuf, u64);

/// The arguments of the process that opens the FIFO of a build, as /proc shows them.
const READING: &str = "cat\0fifo\0";

/// What belongs to a worker and its job.
pub(super) struct Job {
    processes: BTreeSet<Process>,
    groups: BTreeSet<Group>,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<String> =
            self.processes.iter().map(|(pid, _)| arguments(*pid).replace('\0', " ")).collect();
        let groups: Vec<_> = self.groups.iter().map(|(path, _)| path.display()).collect();
        write!(f, "{} processes {commands:#?} in cgroups {groups:?}", self.processes.len())
    }
}

impl Job {
    /// Its processes that live, those that came since into its cgroups among them.
    pub(super) fn living(&self) -> Vec<String> {
        let known = self.processes.iter().filter(|process| lives(process)).map(|(pid, _)| *pid);
        let joined =
            self.groups.iter().filter(|group| exists(group)).flat_map(|(path, _)| members(path));
        let pids: BTreeSet<u32> = known.chain(joined).collect();
        pids.into_iter().map(|pid| format!("{pid} {}", arguments(pid))).collect()
    }

    /// The process of it that was started with these arguments, each ended by a zero.
    fn running(&self, wanted: &str) -> Option<u32> {
        self.processes.iter().map(|(pid, _)| *pid).find(|pid| arguments(*pid) == wanted)
    }

    /// Whether its build waits for somebody to write into its FIFO.
    pub(super) fn reads_a_fifo(&self) -> bool {
        self.running(READING).is_some()
    }

    /// Lets a build go on that waits so: the FIFO is opened for writing, and closed again.
    pub(super) fn end_the_fifo(&self) {
        let Some(reader) = self.running(READING) else { return };
        // Before the reader has come so far it cannot be opened so, and is tried again.
        let _nobody_reads = fs::OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(format!("/proc/{reader}/cwd/fifo"));
    }

    /// What is left of it: its cgroups, mounts below the work folder, and what lies in that folder.
    pub(super) fn left(&self, work: &Path) -> Vec<String> {
        let groups = self.groups.iter().filter(|group| exists(group));
        let groups = groups.map(|(path, _)| path.display().to_string());
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let below = work.display().to_string();
        let mounts = mounts.lines().filter(|line| line.contains(&below)).map(str::to_owned);
        groups.chain(mounts).chain(folders(work)).collect()
    }
}

/// Work areas and sockets' folders; what else lies there belongs to all jobs.
fn folders(work: &Path) -> Vec<String> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let slots = work.join("slots");
    let beside = listed(work).into_iter().filter(|path| *path != slots);
    let areas = listed(&slots).into_iter();
    beside.chain(areas).map(|path| path.display().to_string()).collect()
}

/// A process's status line after its name: state, parent, and when it began (proc_pid_stat(5)).
fn stat(pid: u32) -> Option<(char, u32, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some((
        fields.first()?.chars().next()?,
        fields.get(1)?.parse().ok()?,
        (*fields.get(19)?).to_owned(),
    ))
}

fn lives((pid, began): &Process) -> bool {
    stat(*pid).is_some_and(|(state, _, since)| since == *began && !matches!(state, 'Z' | 'X'))
}

fn arguments(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn descendants(root: u32) -> BTreeSet<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<(u32, u32, String)> =
        pids.filter_map(|pid| stat(pid).map(|(_, parent, began)| (pid, parent, began))).collect();
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        family.extend(
            all.iter()
                .filter(|(_, parent, _)| family.contains(parent))
                .map(|(pid, ..)| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    let members = all.into_iter().filter(|(pid, ..)| family.contains(pid));
    members.map(|(pid, _, began)| (pid, began)).collect()
}

/// The cgroups of ours that these processes are in.
fn groups_of(processes: &BTreeSet<Process>) -> BTreeSet<Group> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = waiting.pop() {
        let ours = folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("countersign-"));
        if ours
            && members(&folder).iter().any(|pid| processes.iter().any(|(known, _)| known == pid))
        {
            let inode = fs::metadata(&folder).map(|data| data.ino());
            found.extend(inode.map(|inode| (folder.clone(), inode)));
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(inner.map(|entry| entry.path()));
    }
    found
}

fn members(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn exists((path, inode): &Group) -> bool {
    fs::metadata(path).is_ok_and(|data| data.ino() == *inode)
}
