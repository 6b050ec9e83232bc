//! `countersign worker`: a worker in a process of its own, started by an operator or by `serve`.

use countersign_worker::{service, settings::WorkerArgs};

/// Works until it is told to stop.
pub(crate) fn run(args: &WorkerArgs) -> anyhow::Result<u8> {
    service::start_logging();
    service::block_on(args)?;
    Ok(super::exit::PASS)
}
