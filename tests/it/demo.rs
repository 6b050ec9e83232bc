//! The demo as a person runs it: it comes out as it should, and it notices a verifier, a second factor or a release that
//! was broken on purpose.

use std::process::{Command, Output};

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
