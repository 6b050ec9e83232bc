//! Each wall taken away in turn, in a process of its own: the attack that it holds gets through then, so that the test of the
//! attack shows the wall and not a broken script.

use std::process::Command;

use libtest_mimic::Trial;

use crate::trial;

/// A wall as the sandbox's `Missing` names it, and the test that has to fail without it.
const REMOVED: [(&str, &str); 18] = [
    ("Network", "a listener on the host's loopback is not reached"),
    ("Network", "a listener on the host's abstract socket is not reached"),
    ("Network", "the host's other loopbacks are not reached"),
    ("Ipc", "shared memory of the host is not reached"),
    ("Processes", "no process of the machine is seen"),
    ("Files", "a file of the host outside of what is mounted is not there"),
    ("ReadOnly", "a mounted folder is read-only"),
    ("Uid", "a file of root that is mounted stays closed to the build"),
    ("Environment", "a secret in the worker's environment is seen nowhere inside"),
    ("Descriptors", "a descriptor that the worker inherited does not reach the build"),
    ("Covers", "no program of the host takes the chosen toolchain's place"),
    ("Door", "the process at the door cannot be looked into or stopped"),
    ("Calls", "no system call that leads out is answered"),
    ("Memory", "a hog of memory is ended at its bound"),
    ("Forks", "a fork bomb is refused further processes"),
    ("Disk", "a writer fills the work area and nothing else"),
    ("Disk", "a maker of empty files meets a bound"),
    ("Links", "a link that the build left is never followed out"),
];

/// The same for what the worker itself watches.
const UNWATCHED: [(&str, &str); 3] = [
    ("Output", "a flood of output is ended"),
    ("Clock", "a build that prints for ever slowly is ended by the clock"),
    ("Silence", "a build that prints nothing is ended as silent"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = REMOVED
        .iter()
        .chain(&UNWATCHED)
        .map(|(wall, attack)| {
            let name = format!("without the wall {wall} this fails: {attack}");
            Trial::test(name.replace(' ', "_"), || {
                gets_through(wall, attack);
                Ok(())
            })
        })
        .collect();
    trials.push(trial("doctor and a starting worker name the wall that is missing", named));
    trials
}

/// Runs one test of this program without a wall.
fn run(wall: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().expect("it runs"))
        .args(arguments)
        .env("COUNTERSIGN_WITHOUT_WALL", wall)
        .output()
        .expect("it can be started");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn gets_through(wall: &str, attack: &str) {
    let (passed, text) = run(wall, &[&attack.replace(' ', "_"), "--exact"]);
    assert!(text.contains("running 1 test"), "there is no test of that name: {text}");
    assert!(!passed, "it passes without the wall: {text}");
    // A sandbox that does not stand at all shows nothing.
    let stood =
        !text.contains("the sandbox stands") && !text.contains("this machine has every wall");
    assert!(stood, "{text}");
}

fn named() {
    for (wall, line) in [
        ("Network", "open network: Open from inside: "),
        ("Calls", "open system calls: Open from inside: call unshare"),
        ("Files", "open files: Open from inside: read /"),
        ("Processes", "open processes: Open from inside: "),
        ("Environment", "open environment: Open from inside: environment ("),
    ] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let folder = folder.path().display().to_string();
        let (_, text) = run(wall, &["ask-for-a-slot", &folder]);
        assert!(text.contains(line), "{wall}: {text}");
        assert!(text.contains("open all together: The sandbox is not available"), "{wall}: {text}");
        assert!(
            text.contains("the self-test refuses: The sandbox is not available"),
            "{wall}: {text}"
        );
    }
}
