//! The thin binary of a worker: it hands its arguments on and decides nothing.

use std::process::ExitCode;

use countersign_worker::sandbox;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // Before anything else: at the sandbox's door this process may have no second thread and open nothing.
    if arguments.next().is_some_and(|word| word == "sandbox-init") {
        return sandbox::init_main(arguments);
    }
    ExitCode::from(2)
}
