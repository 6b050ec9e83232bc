//! Attacks on the end of a build: nothing that it started outlives its step, and nothing outlives its worker.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_worker::sandbox::{Limits, Network, Slot, StepEnding, sweep};
use libtest_mimic::Trial;

use crate::rig::{Refuser, Rig, small_limits, within};
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("children that hide from their parent end with the step", daemons),
        trial("a cancelled step ends at once", cancelled),
        trial("a slot that is held is not given twice", two_slots),
        trial("nothing is left of a work area that was dropped", dropped),
        trial("a work area that was released leaves its slot for the next", released),
        trial(
            "no process outlives a killed worker and the next one takes its slot clean",
            killed_then_acquired,
        ),
        trial("what a killed worker left is swept when a worker starts", killed_then_swept),
    ]
}

fn daemons() {
    let mut rig = Rig::with(Limits { wall: Duration::from_secs(2), ..small_limits() });
    let hide =
        "(setsid sh -c 'trap \"\" TERM HUP INT; echo hidden; while :; do sleep 1; done' & ) &";
    let until_hidden = format!("mkfifo p; ({hide}) > p & read line < p; echo $line");
    let outcome = rig.sh(&until_hidden);
    assert_eq!((outcome.ending, outcome.log.as_str()), (StepEnding::Exited(0), "hidden\n"));
    let uid = 700_000 + rig.area.slot().number();
    assert_eq!(processes_of(uid), [""; 0]);
    let outcome = rig.sh(&format!("rm p; {until_hidden}; while :; do echo x; sleep 0.1; done"));
    assert_eq!(outcome.ending, StepEnding::TimedOut);
    assert!(outcome.log.starts_with("hidden\n"));
    assert_eq!(processes_of(uid), [""; 0]);
}

fn cancelled() {
    let mut rig = Rig::new();
    let step = rig.step(&["/bin/sh", "-c", "echo begun; mkfifo p; cat p"]);
    let cancel = AtomicBool::new(false);
    let outcome = rig.area.run(&step, &rig.limits, &cancel, &mut |line| {
        cancel.store(line == "begun", Ordering::Relaxed);
    });
    let outcome = outcome.expect("the sandbox stands");
    assert_eq!(outcome.ending, StepEnding::Cancelled);
    assert!(outcome.wall < Duration::from_secs(10), "{:?}", outcome.wall);
}

fn two_slots() {
    let (one, two) = (Rig::new(), Rig::new());
    assert_ne!(one.area.slot().number(), two.area.slot().number());
}

fn dropped() {
    let mut rig = Rig::new();
    let left = Left::of(&rig.folder.path().join("base"), rig.area.slot().number());
    rig.sh("mkdir -p a/b && : > a/b/c && chmod 0 a/b a");
    assert!(left.mounts() == 2 && left.folder.exists());
    drop(rig.area);
    assert_eq!((left.mounts(), left.folder.exists(), left.cgroups()), (0, false, 0));
}

fn released() {
    let mut rig = Rig::new();
    rig.sh(": > left");
    let number = rig.area.slot().number();
    let area = rig.area.release().work_area(&rig.limits).expect("a work area can be made");
    assert_eq!(area.slot().number(), number);
    assert_eq!(area.list("").expect("it can be listed"), []);
}

fn killed_then_acquired() {
    let (folder, left) = killed_worker();
    let slot = Slot::acquire(&folder.path().join("base")).expect("this machine has every wall");
    left.assert_swept();
    drop(slot);
}

fn killed_then_swept() {
    let (folder, left) = killed_worker();
    sweep(&folder.path().join("base")).expect("this machine has every wall");
    left.assert_swept();
}

/// A worker of its own process, killed in the middle of a step that would never end. Its processes are gone when this
/// returns.
fn killed_worker() -> (tempfile::TempDir, Left) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut worker = start_worker(folder.path());
    let output = worker.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let number = lines.next().and_then(|line| line.parse().ok()).expect("it says its slot");
    assert_eq!(lines.next().as_deref(), Some("in the middle"));
    let left = Left::of(&folder.path().join("base"), number);
    assert_eq!(left.mounts(), 2);
    assert!(left.cgroups() >= 1, "one on cgroup version 2, two on version 1");
    let uid = 700_000 + number;
    assert!(processes_of(uid).len() >= 4, "bubblewrap, the init, the shell and what it hid");
    worker.kill().expect("it is alive");
    worker.wait().expect("it was started here");
    let gone = within(Duration::from_secs(2), || processes_of(uid).is_empty());
    assert!(gone, "{:?}", processes_of(uid));
    (folder, left)
}

fn start_worker(folder: &Path) -> Child {
    let own = std::env::current_exe().expect("it runs");
    Command::new(own)
        .arg("worker-to-be-killed")
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started")
}

/// The main of that process.
pub(crate) fn worker_to_be_killed(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let folder = PathBuf::from(arguments.next().expect("it is told its folder"));
    let socket = folder.join("mirror.sock");
    let _refuser = Refuser::listen(&socket);
    let slot = Slot::acquire(&folder.join("base")).expect("this machine has every wall");
    println!("{}", slot.number());
    let limits = small_limits();
    let mut area = slot.work_area(&limits).expect("a work area can be made");
    let script = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' &) & mkfifo p; sleep 100 & \
                  echo in the middle; cat p";
    let mut step = crate::rig::step(&["/bin/sh", "-c", script], &socket);
    step.network = Network::Mirror(socket);
    let ended = area.run(&step, &limits, &AtomicBool::new(false), &mut |line| println!("{line}"));
    println!("it was not killed: {ended:?}");
    ExitCode::FAILURE
}

/// What a slot has on the machine.
struct Left {
    folder: PathBuf,
    group_prefix: String,
}

impl Left {
    fn of(base: &Path, number: u32) -> Self {
        Self {
            folder: base.join("slots").join(number.to_string()),
            group_prefix: format!("countersign-{number}-"),
        }
    }

    fn mounts(&self) -> usize {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("it is mounted");
        let folder = self.folder.to_string_lossy();
        mounts.lines().filter(|line| line.contains(&*folder)).count()
    }

    fn cgroups(&self) -> usize {
        ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
            .into_iter()
            .filter_map(|parent| std::fs::read_dir(parent).ok())
            .flat_map(|entries| entries.flatten())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&self.group_prefix))
            .count()
    }

    fn assert_swept(&self) {
        assert_eq!((self.mounts(), self.folder.exists()), (0, false));
        // The slot may have been taken by another test meanwhile, which has cgroups of its own only during a step.
        assert!(within(Duration::from_secs(5), || self.cgroups() == 0));
    }
}

/// The processes of this uid that live on the machine, as their `stat` lines. What is dead and only waits for the
/// machine's process 1 to look for it is not alive.
fn processes_of(uid: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("it is mounted").flatten();
    processes
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == uid))
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
        .collect()
}
