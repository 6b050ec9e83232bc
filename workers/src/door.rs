//! What our own program does where it is started again behind walls, by the word after `sandbox-init`: it stands at a
//! sandbox's door, or it reads the objects of a repository in a cell. Nothing here decides what either does.

use std::{ffi::OsString, process::ExitCode};

use crate::{checkout, sandbox};

/// Serves one call of `sandbox-init`, with the arguments after that word. To be called first thing in `main`, before
/// any other thread or runtime is started. The exit code means something to the worker alone.
#[must_use]
pub fn door_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.peek().is_some_and(|mode| mode == checkout::READ_OBJECTS) {
        return checkout::read_objects();
    }
    #[cfg(test)]
    if let Some(service) = arguments.peek().and_then(|mode| mode.to_str())
        && let Some(done) = before_main::other_service(service)
    {
        return done;
    }
    sandbox::init_main(arguments)
}

/// The program of the unit tests is its own door, as every program of ours is. Its `main` is the test harness's, so that
/// this stands before it.
#[cfg(test)]
#[expect(unsafe_code, reason = "what runs before main has to be laid into a section of its own")]
mod before_main {
    use std::process::ExitCode;

    /// What only tests ask for: a reader that lies, and one that looks around.
    pub(super) fn other_service(service: &str) -> Option<ExitCode> {
        let done = match service.strip_prefix("lie:") {
            Some(how) => crate::checkout::tests::liars::lie(how),
            None if service == "look-around" => crate::sandbox::look_around(),
            None => return None,
        };
        Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    // SAFETY: the C library calls each address in this section once, on the one thread that there is, before main.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static DOOR: extern "C" fn() = door;

    #[expect(
        clippy::exit,
        reason = "the harness must not run the tests in place of what was asked"
    )]
    extern "C" fn door() {
        let mut arguments = std::env::args_os().skip(1);
        if arguments.next().is_some_and(|word| word == "sandbox-init") {
            let done = super::door_main(arguments);
            std::process::exit(i32::from(done != ExitCode::SUCCESS));
        }
    }
}
