//! The program `countersign`: the sandbox's door first, then the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "sandbox-init") {
        return countersign_worker::door_main(arguments);
    }
    countersign::command_line()
}
