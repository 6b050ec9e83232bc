//! The only network that a rebuild has: a registry on a unix socket that shows what existed when the commit was made,
//! never the version under verification, and remembers every request. In the sandbox it is
//! `http://127.0.0.1:4873/`. It knows nothing of the sandbox, and never looks at a staging area.

mod answer;
mod document;
mod policy;
mod record;
mod route;
mod server;

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use countersign_core::rebuild::Phase;
use tokio::{net::UnixListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use policy::{LockedVersion, MirrorPolicy, Reason};
pub use record::Record;

use crate::upstream::Upstream;

/// Where the forwarder inside the sandbox listens; every address that the mirror writes begins with it.
pub const ORIGIN: &str = "http://127.0.0.1:4873";

/// Whether the network is open, and whether the mirror is still there.
#[derive(Debug)]
struct Gate {
    closed: CancellationToken,
    ended: CancellationToken,
}

/// A running mirror. Dropped, it ends and takes its socket with it.
#[derive(Debug)]
pub struct Mirror {
    socket: PathBuf,
    desk: Arc<answer::Desk>,
    gate: Arc<Gate>,
    task: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Listens on a new unix socket at that path, which everybody may connect to who can reach it: the folder decides.
    /// The install's requests are answered from `upstream` under `policy` until [`Self::close`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(socket: &Path, policy: MirrorPolicy, upstream: Upstream) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        let desk = Arc::new(answer::Desk::new(policy, upstream));
        let gate = Arc::new(Gate::new());
        let task = tokio::spawn(server::serve(listener, desk.clone(), gate.clone()));
        Ok(Self { socket: socket.to_owned(), desk, gate, task: Some(task) })
    }

    /// The socket, to be bound into the sandbox.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends the install: from now on every request is refused and written down, and what was being answered is broken
    /// off. There is no way back.
    pub fn close(&self) {
        self.enter(Phase::Build);
    }

    /// As [`Self::close`], for the phase that begins now; the requests that follow stand under it.
    pub fn enter(&self, phase: Phase) {
        self.desk.recorder.enter(phase);
        self.gate.closed.cancel();
    }

    /// Ends the mirror and tells what was asked of it.
    pub async fn finish(mut self) -> Record {
        self.gate.ended.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the mirror's task ended badly");
        }
        self.desk.recorder.take()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.gate.ended.cancel();
        if let Some(task) = self.task.take() {
            task.abort();
        }
        // Whoever removed it before has done what is wanted.
        let _gone = std::fs::remove_file(&self.socket);
    }
}

#[cfg(test)]
mod tests;
