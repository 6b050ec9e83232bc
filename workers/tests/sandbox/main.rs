//! The sandbox, attacked: one real run for each wall. The binary of these tests is also the program at the sandbox's
//! door and, in one test, a worker that is killed in the middle of a step, which is why it brings its own `main`.
//! Nothing is skipped: on a machine without a wall these tests fail and say which.

#![expect(clippy::print_stdout, reason = "a failed test shows what the build printed")]

mod bounds;
mod files;
mod host;
mod life;
mod network;
#[cfg(feature = "sabotage")]
mod removed;
mod rig;
mod walls;

use std::process::ExitCode;

use countersign_worker::sandbox::init_main;
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|word| word.to_str()) {
        Some("sandbox-init") => return init_main(arguments),
        Some("worker-to-be-killed") => return life::worker_to_be_killed(arguments),
        Some("run-script") => return walls::run_script(arguments),
        Some("ask-for-a-slot") => return walls::ask_for_a_slot(arguments),
        _ => {}
    }
    let mut trials = Vec::new();
    trials.extend(bounds::trials());
    trials.extend(files::trials());
    trials.extend(host::trials());
    trials.extend(life::trials());
    trials.extend(network::trials());
    trials.extend(walls::trials());
    #[cfg(feature = "sabotage")]
    trials.extend(removed::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test under the sentence that it shows.
fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name.replace(' ', "_"), move || {
        test();
        Ok(())
    })
}
