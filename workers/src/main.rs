//! `countersign-worker`: the thin binary. It reads its settings, then leases and runs until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use countersign_worker::{door_main, service, settings::WorkerArgs};

/// A worker for a Countersign service elsewhere
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    worker: WorkerArgs,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "sandbox-init") {
        return door_main(arguments);
    }
    let cli = Cli::parse();
    service::start_logging();
    match service::block_on(&cli.worker, None) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
