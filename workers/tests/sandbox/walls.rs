//! The walls as `doctor` and a starting worker see them, and that a missing one refuses all work.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use countersign_worker::sandbox::{SandboxError, Slot, StepEnding, self_test, walls};
use libtest_mimic::Trial;

use crate::rig::{Refuser, small_limits, step};
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("every wall of this machine stands and holds every attack from inside", all_stand),
        trial("a sandbox whose program at the door is another fails its self-test", wrong_door),
        trial(
            "an ordinary user without a delegated cgroup is refused with the line that mends it",
            undelegated,
        ),
        trial("an ordinary user with a delegated cgroup has every wall", delegated),
        trial("an ordinary user's build meets every bound", delegated_bounds),
        trial("a base folder that another user could change is refused", foreign_base),
        trial("a step that cannot be run is refused before anything starts", bad_steps),
    ]
}

fn all_stand() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let walls = walls(&folder.path().join("base"));
    let open: Vec<_> = walls.iter().filter(|wall| !wall.stands || wall.mend.is_some()).collect();
    assert!(open.is_empty(), "{open:?}");
    let together = walls.last().expect("there are some");
    let attacks: usize = together
        .detail
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .expect("it says how many attacks it held");
    assert!(attacks >= 50, "{}", together.detail);
}

fn wrong_door() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let error = self_test(&folder.path().join("base"), Path::new("/bin/false"));
    let error = error.expect_err("nothing stands without the door");
    assert!(
        matches!(error, SandboxError::Unavailable { .. } | SandboxError::Io { .. }),
        "{error:?}"
    );
}

/// A uid that nobody has here.
const ORDINARY: u32 = 64_321;

/// Starts this program again as an ordinary user, in cgroups of its own where `delegate` says so.
fn as_ordinary_user(delegate: bool, arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::os::unix::fs::chown(folder.path(), Some(ORDINARY), Some(ORDINARY)).expect("we are root");
    // The program has to lie where that user can reach it.
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().expect("it runs"), &program).expect("there is room");
    let groups = if delegate { delegated_groups() } else { Vec::new() };
    let join: String = groups
        .iter()
        .map(|group| format!("echo $$ > {}/cgroup.procs; ", group.display()))
        .collect();
    let id = ORDINARY.to_string();
    let output = Command::new("/bin/sh")
        .args([
            "-c",
            &format!("{join} exec setpriv --reuid {id} --regid {id} --clear-groups \"$@\""),
            "sh",
        ])
        .arg(&program)
        .arg(arguments[0])
        .arg(folder.path())
        .args(&arguments[1..])
        .current_dir("/")
        .output()
        .expect("sh is there");
    for group in groups {
        // On version 2 the worker moved itself into a leaf, which stays with the group that was delegated to it.
        let _on_version_1 = std::fs::remove_dir(group.join("countersign-self"));
        std::fs::remove_dir(group).expect("the sandbox removed its own groups below");
    }
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Groups of an ordinary user, as an administrator or systemd would make them.
fn delegated_groups() -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let parents = if top.join("cgroup.controllers").exists() {
        std::fs::write(top.join("cgroup.subtree_control"), "+memory +pids").expect("we are root");
        vec![top.to_owned()]
    } else {
        vec![top.join("memory"), top.join("pids")]
    };
    let groups: Vec<PathBuf> =
        parents.iter().map(|parent| parent.join(format!("test-{}", unique()))).collect();
    for group in &groups {
        std::fs::create_dir(group).expect("the tests run as root");
        let owned = Command::new("chown").args(["-R", &ORDINARY.to_string()]).arg(group).status();
        assert!(owned.expect("chown is there").success());
    }
    groups
}

fn unique() -> String {
    let name = tempfile::Builder::new().prefix("x").tempdir().expect("a folder can be made");
    name.path().file_name().expect("it has one").to_string_lossy().into_owned()
}

/// The main of the process that asks as an ordinary user.
pub(crate) fn ask_for_a_slot(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let folder = PathBuf::from(arguments.next().expect("it is told its folder"));
    match Slot::acquire(&folder.join("base")) {
        Ok(slot) => println!("slot {}", slot.number()),
        Err(error) => println!("{error}\n{}", error.mend().unwrap_or("no mend")),
    }
    if let Err(error) = self_test(&folder.join("base"), Path::new("/proc/self/exe")) {
        println!("the self-test refuses: {error}");
    }
    for wall in walls(&folder.join("base")) {
        println!("{} {}: {}", if wall.stands { "stands" } else { "open" }, wall.name, wall.detail);
    }
    ExitCode::SUCCESS
}

/// The main of a worker of its own process that runs one script and says what came of it.
pub(crate) fn run_script(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let folder = PathBuf::from(arguments.next().expect("it is told its folder"));
    let script =
        arguments.next().and_then(|script| script.into_string().ok()).expect("and a script");
    let socket = folder.join("mirror.sock");
    let refuser = Refuser::listen(&socket);
    let limits = small_limits();
    let slot = Slot::acquire(&folder.join("base")).expect("this machine has every wall");
    let mut area = slot.work_area(&limits).expect("a work area can be made");
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let step = step(&["/bin/sh", "-c", &script], &socket);
    let outcome = area.run(&step, &limits, &cancel, &mut |line| println!("{line}"));
    let outcome = outcome.expect("the sandbox stands");
    println!("ending {:?}, peak {:?}", outcome.ending, outcome.peak_memory_bytes);
    println!("asked {:?}", refuser.asked());
    drop(area);
    println!("left {}", folder.join("base/slots/0").exists());
    ExitCode::SUCCESS
}

fn undelegated() {
    let (done, text) = as_ordinary_user(false, &["ask-for-a-slot"]);
    assert!(done, "{text}");
    assert!(text.starts_with("The sandbox is not available on this machine: "), "{text}");
    assert!(text.contains("systemd-run --user --scope -p Delegate=yes"), "{text}");
    assert!(text.contains("open cgroup: "), "{text}");
    assert!(text.contains("open all together: "), "{text}");
    assert!(
        text.contains("stands bubblewrap: ") && text.contains("stands user namespaces: "),
        "{text}"
    );
}

fn delegated() {
    let (done, text) = as_ordinary_user(true, &["ask-for-a-slot"]);
    assert!(done, "{text}");
    assert!(text.starts_with("slot 0\n"), "{text}");
    assert!(!text.contains("\nopen "), "{text}");
    assert!(text.contains("stands all together: "), "{text}");
}

fn delegated_bounds() {
    let bomb = "perl -e 'for (1..500) { my $p = fork; if (!defined $p) { exit 1 } elsif (!$p) { sleep 100; exit } }'";
    for (script, ending) in [
        (
            "mkdir -p locked/in; chmod 0 locked/in locked; getent hosts a.name; exit 3",
            StepEnding::Exited(3),
        ),
        (
            "perl -e 'my @all; while (1) { push @all, \"x\" x (1024 * 1024) }'",
            StepEnding::OutOfMemory,
        ),
        ("cat /dev/zero > fill", StepEnding::OutOfDisk),
        ("while cat /usr/bin/perl > fill$((n += 1)); do sleep 0.02; done", StepEnding::OutOfDisk),
        ("cat /dev/zero > /tmp/fill", StepEnding::OutOfDisk),
        (bomb, StepEnding::TooManyProcesses),
    ] {
        let (done, text) = as_ordinary_user(true, &["run-script", script]);
        assert!(done, "{script}: {text}");
        assert!(text.contains(&format!("ending {ending:?}")), "{script}: {text}");
        assert!(text.ends_with("left false\n"), "{script}: {text}");
        let named = text.contains("asked [\"GET /-/countersign/dns?name=a.name HTTP/1.1\"]");
        assert_eq!(named, script.contains("a.name"), "{text}");
    }
}

fn foreign_base() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, mode, owner) in [("open", 0o777, 0), ("foreign", 0o755, ORDINARY)] {
        let base = folder.path().join(name);
        std::fs::create_dir(&base).expect("it can be made");
        let made = Command::new("sh")
            .args(["-c", &format!("chown {owner} \"$0\" && chmod {mode:o} \"$0\"")])
            .arg(&base)
            .status();
        assert!(made.expect("sh is there").success());
        let error = Slot::acquire(&base).expect_err("it is not ours");
        assert!(error.to_string().contains("only this user can write to"), "{error}");
    }
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/tmp", &link).expect("it can be made");
    assert!(Slot::acquire(&link).is_err());
}

fn bad_steps() {
    let mut rig = crate::rig::Rig::new();
    let good = rig.step(&["/bin/true"]);
    let nowhere = rig.folder.path().join("nowhere.sock");
    let bad = [
        countersign_worker::sandbox::Step { argv: Vec::new(), ..good.clone() },
        countersign_worker::sandbox::Step { cwd: "build".to_owned(), ..good.clone() },
        countersign_worker::sandbox::Step { argv: vec!["a\0b".to_owned()], ..good.clone() },
        step(&["/bin/true"], &nowhere),
        step(&["/bin/true"], Path::new("/etc/passwd")),
    ];
    let cancel = std::sync::atomic::AtomicBool::new(false);
    for step in bad {
        assert!(rig.area.run(&step, &rig.limits, &cancel, &mut |_| {}).is_err(), "{step:?}");
    }
    let outcome = rig.area.run(&good, &rig.limits, &cancel, &mut |_| {});
    assert_eq!(outcome.expect("the sandbox stands").ending, StepEnding::Exited(0));
}
