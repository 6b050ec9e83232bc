//! The demo as a person runs it: it comes out as it should, and it notices a verifier, a second factor or a release that
//! was broken on purpose.

use std::{
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The demo with one thing broken, or with nothing.
fn demo(sabotage: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["demo", "--unattended"]);
    if let Some(sabotage) = sabotage {
        command.env("SABOTAGE", sabotage);
    }
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_demo_goes_the_whole_road_and_every_step_is_as_it_should_be() {
    let output = demo(None);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for step in [
        "the verdict is pass",
        "it names dist/index.js",
        "source-not-enrolled",
        "npm install works",
    ] {
        assert!(told.contains(step), "{step} is missing in {told}");
    }
}

#[cfg(feature = "sabotage")]
fn notices(sabotage: &str, step: &str) {
    let output = demo(Some(sabotage));
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("({step}) did not come out as it should")), "{told}");
}

#[test]
#[cfg(feature = "sabotage")]
fn the_demo_notices_a_tampered_tarball_in_the_honest_ones_place() {
    notices("tampered-for-honest", "CI stages the honest release");
}

#[test]
#[cfg(feature = "sabotage")]
fn the_demo_notices_a_verifier_that_always_says_pass() {
    notices(
        "always-pass",
        "Somebody with CI's token stages the same tag with one line added to a built file",
    );
}

#[test]
#[cfg(feature = "sabotage")]
fn the_demo_notices_a_second_factor_that_takes_any_code() {
    notices("any-code", "Approving with the maintainer's session and a wrong code is refused");
}

/// A process of this machine: its number, and when it was started, since numbers are given again.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Process {
    number: u32,
    parent: u32,
    started: String,
    line: String,
}

/// Every process that lives and is not only waited for.
fn processes() -> Vec<Process> {
    let read = |number: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let line = std::fs::read(format!("/proc/{number}/cmdline")).ok()?;
        (!["Z", "X"].contains(&fields[0])).then(|| Process {
            number,
            parent: fields[1].parse().unwrap(),
            started: fields[19].to_owned(),
            line: String::from_utf8_lossy(&line).replace('\0', " "),
        })
    };
    let names = std::fs::read_dir("/proc").unwrap().flatten();
    names.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// What a process has started, and what those have.
fn started_by(number: u32) -> Vec<Process> {
    let all = processes();
    let mut found: Vec<Process> = Vec::new();
    let mut ahead = vec![number];
    while let Some(parent) = ahead.pop() {
        let children = all.iter().filter(|process| process.parent == parent);
        ahead.extend(children.clone().map(|process| process.number));
        found.extend(children.cloned());
    }
    found
}

fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn sigterm_ends_the_demo_with_its_service_and_its_worker() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["demo", "--unattended"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut started = Vec::new();
    let begun = within(Duration::from_secs(120), || {
        started = started_by(demo.id());
        started.iter().any(|process| process.line.contains("worker --settings-from-stdin"))
    });
    assert!(begun, "{started:?}");
    let number = rustix::process::Pid::from_raw(i32::try_from(demo.id()).unwrap()).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::TERM).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(128 + 15));
    let living = || -> Vec<Process> {
        processes()
            .into_iter()
            .filter(|process| {
                started.iter().any(|other| {
                    (other.number, &other.started) == (process.number, &process.started)
                })
            })
            .collect()
    };
    assert!(within(Duration::from_secs(10), || living().is_empty()), "{:#?}", living());
}
