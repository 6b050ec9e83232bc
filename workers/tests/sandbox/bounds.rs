//! Attacks on what a build may use up: each ends in bounded time with the ending that names it, and the slot goes on.

use std::time::Duration;

use countersign_worker::sandbox::{Limits, StepEnding};
use libtest_mimic::Trial;

use crate::rig::{Rig, small_limits};
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a command's own code is its ending", own_code),
        trial("a signal is told as one", signal),
        trial("a program that is not there is told as a shell would", not_found),
        trial("a fork bomb is refused further processes", fork_bomb),
        trial("a fork bomb that hangs is told by its bomb at the wall clock", hanging_bomb),
        trial("the dead that nobody buries are counted and refused", unburied),
        trial("the dead that nobody waits for are buried", buried),
        trial("a hog of memory is ended at its bound", memory),
        trial("a hog of shared memory is ended at its bound", shared_memory),
        trial("a writer fills the work area and nothing else", disk),
        trial("a writer fills tmp and nothing else", tmp),
        trial("a writer fills the shared memory folder and nothing else", shm),
        trial("a build that clears up after a full disk is still told", cleared_disk),
        trial("a maker of empty files meets a bound", inodes),
        trial("one file meets its bound", one_file),
        trial("a flood of output is ended", flood),
        trial("a build that prints nothing is ended as silent", silent),
        trial("a build that prints for ever slowly is ended by the clock", slow_printer),
        trial("a build that does all right keeps its success beside refused processes", noted),
        trial("the peak of memory is told", peak),
        trial("after each of these the slot runs the next step", goes_on),
    ]
}

fn own_code() {
    let mut rig = Rig::new();
    let outcome = rig.sh("echo out; echo err >&2; exit 7");
    assert_eq!(outcome.ending, StepEnding::Exited(7));
    assert_eq!(outcome.log, "out\nerr\n");
    assert_eq!(outcome.output_bytes, 8);
}

fn signal() {
    assert_eq!(Rig::new().sh("kill -SEGV $$").ending, StepEnding::Signalled(11));
}

fn not_found() {
    let mut rig = Rig::new();
    let outcome = rig.run(&["/no/such/program"]);
    assert_eq!(outcome.ending, StepEnding::Exited(127));
    assert!(outcome.log.contains("/no/such/program could not be started"), "{}", outcome.log);
}

const BOMB: &str = "for my $n (1..500) { my $pid = fork; if (!defined $pid) { $refused++ } elsif ($pid == 0) { sleep 100; exit } }";

fn fork_bomb() {
    let outcome = Rig::new().perl(&format!("{BOMB} exit($refused ? 1 : 0)"));
    assert_eq!(outcome.ending, StepEnding::TooManyProcesses);
    assert!(outcome.refused_processes > 0);
}

fn hanging_bomb() {
    let mut rig = Rig::with(Limits { wall: Duration::from_secs(2), ..small_limits() });
    let outcome = rig.perl(&format!("{BOMB} while (1) {{ sleep 1; print \"still here\\n\" }}"));
    assert_eq!(outcome.ending, StepEnding::TooManyProcesses);
}

/// Children that ended and that their parent never looks for hold their numbers.
fn unburied() {
    let outcome = Rig::new().perl(
        "for (1..500) { my $pid = fork; if (!defined $pid) { $refused++ } elsif (!$pid) { exit } } exit($refused ? 1 : 0)",
    );
    assert_eq!(outcome.ending, StepEnding::TooManyProcesses);
}

/// Grandchildren whose parent is gone become the door's, which buries them: three times as many as may live at a time.
fn buried() {
    let outcome = Rig::new().perl(
        "for (1..200) { my $pid = fork // die; if (!$pid) { fork // die; exit } waitpid($pid, 0); select(undef, undef, undef, 0.005) }",
    );
    assert_eq!(outcome.ending, StepEnding::Exited(0), "{}", outcome.log);
}

fn memory() {
    let outcome = Rig::new().perl("my @all; for (1..400) { push @all, 'x' x (1024 * 1024) }");
    assert_eq!(outcome.ending, StepEnding::OutOfMemory);
}

/// Shared memory is no process's own: it meets the kernel's bound instead of the watched one.
fn shared_memory() {
    let outcome = Rig::new().perl(
        "my @fds; for (1..1000) { my $fd = syscall(319, my $name = 'x', 0); last if $fd < 0; open(my $f, '>&=', $fd) or \
         die; syswrite($f, 'x' x (4 * 1024 * 1024)) or die $!; push @fds, $f } sleep 100",
    );
    assert_eq!(outcome.ending, StepEnding::OutOfMemory);
}

fn disk() {
    let mut rig = Rig::new();
    let outcome = rig.sh("head -c 64M /dev/zero > /build/fill");
    assert_eq!(outcome.ending, StepEnding::OutOfDisk);
    let filled = rig.area.list("").expect("it can be listed");
    let bytes = filled.iter().find(|file| file.name == "fill").expect("it was made").bytes;
    assert!((15 << 20..=16 << 20).contains(&bytes), "{bytes}");
}

fn tmp() {
    assert_eq!(Rig::new().sh("head -c 64M /dev/zero > /tmp/fill").ending, StepEnding::OutOfDisk);
}

fn shm() {
    assert_eq!(Rig::new().sh("cat /dev/zero > /dev/shm/fill").ending, StepEnding::OutOfDisk);
}

fn cleared_disk() {
    let outcome = Rig::new().sh("cat /dev/zero > fill; rm fill; exit 1");
    assert_eq!(outcome.ending, StepEnding::OutOfDisk);
}

fn inodes() {
    let outcome = Rig::new().perl("for (1..100000) { open(my $f, '>', \"e$_\") or die $! }");
    assert_eq!(outcome.ending, StepEnding::OutOfDisk);
}

fn one_file() {
    let mut rig = Rig::with(Limits { file_bytes: 1 << 20, ..small_limits() });
    assert_eq!(rig.sh("cat /dev/zero > fill").ending, StepEnding::OutOfDisk);
}

fn flood() {
    let mut rig = Rig::new();
    let step = rig.step(&["/bin/sh", "-c", "yes | head -c 8M"]);
    let mut lines = 0_u64;
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let outcome = rig.area.run(&step, &rig.limits, &cancel, &mut |_| lines += 1);
    let outcome = outcome.expect("the sandbox stands");
    assert_eq!(outcome.ending, StepEnding::OutputTooLarge);
    assert_eq!(lines, (1 << 20) / 2, "the live log gets what the bound allows and no more");
    assert!(outcome.log.len() <= (64 << 10) + 100);
    assert!(outcome.log.contains("left out here"));
}

fn silent() {
    let mut rig = Rig::with(Limits { silence: Duration::from_secs(1), ..small_limits() });
    let outcome = rig.sh("echo hello; sleep 4");
    assert_eq!(outcome.ending, StepEnding::Silent);
    assert_eq!(outcome.log, "hello\n");
}

fn slow_printer() {
    let mut rig = Rig::with(Limits {
        wall: Duration::from_secs(2),
        silence: Duration::from_secs(1),
        ..small_limits()
    });
    let outcome = rig.sh("for n in $(seq 60); do echo dot; sleep 0.1; done");
    assert_eq!(outcome.ending, StepEnding::TimedOut);
    assert!(outcome.wall >= Duration::from_secs(2) && outcome.wall < Duration::from_secs(10));
}

fn noted() {
    let outcome = Rig::new().perl(&format!("{BOMB} exit 0"));
    assert_eq!(outcome.ending, StepEnding::Exited(0));
    assert!(outcome.refused_processes > 0);
}

fn peak() {
    let outcome = Rig::new().perl("my $x = 'x' x (40 * 1024 * 1024); print length $x");
    assert_eq!(outcome.ending, StepEnding::Exited(0));
    let peak = outcome.peak_memory_bytes.expect("it was measured");
    assert!((40 << 20..=96 << 20).contains(&peak), "{peak}");
}

fn goes_on() {
    let mut rig = Rig::new();
    assert_eq!(rig.perl(&format!("{BOMB} exit 1")).ending, StepEnding::TooManyProcesses);
    assert_eq!(rig.sh("cat /dev/zero > fill").ending, StepEnding::OutOfDisk);
    assert_eq!(rig.sh("rm fill && echo fine > left").ending, StepEnding::Exited(0));
    assert_eq!(rig.sh("cat left").log, "fine\n");
}
