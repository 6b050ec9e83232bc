//! `countersign worker`: a worker in a process of its own, started by an operator or by `serve`.

use countersign_worker::{service, settings::WorkerArgs};

use super::tools;
use crate::config::Flags;

/// Works until it is told to stop. An operator's worker takes the registries from the same file as the service where it
/// is named; one that a service starts has them from the pipe.
pub(crate) fn run(args: &WorkerArgs, flags: &Flags) -> anyhow::Result<u8> {
    service::start_logging();
    let registries = if args.settings_from_stdin { None } else { tools::registries(flags)? };
    service::block_on(args, registries)?;
    Ok(super::exit::PASS)
}
