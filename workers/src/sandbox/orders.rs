//! The messages between the worker and its own program at the sandbox's door, in the order in which they are sent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The worker's first message: to `sandbox-init launch`, which still has all of the worker's rights.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    /// The worker's process number: where the parent is another, the worker is dead already.
    pub(super) parent: i32,
    /// Files into which `0` is written to join the step's cgroup.
    pub(super) join: Vec<PathBuf>,
    /// The uid and gid to become; `None` as an ordinary user.
    pub(super) become_uid: Option<u32>,
    /// Host paths that are bound below [`STAGING`] first, in a mount namespace of the launcher's own, so that the
    /// build's uid can reach them wherever they lie and the sandbox names no path of the host. As root only.
    pub(super) staged: Vec<Staged>,
    /// `RLIMIT_FSIZE`.
    pub(super) file_bytes: u64,
    /// `RLIMIT_NPROC`, where the uid is the slot's alone.
    pub(super) processes: Option<u64>,
    /// The bubblewrap program.
    pub(super) bwrap: PathBuf,
    /// Its arguments up to `--`, without the seccomp filters, which the launcher makes.
    pub(super) arguments: Vec<String>,
    /// What bubblewrap starts.
    pub(super) command: Vec<String>,
}

/// One host path that is bound at `STAGING/name`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    pub(super) host: PathBuf,
    pub(super) name: String,
}

/// Where the launcher binds what the sandbox gets to see, as root. Its parents are searchable by everybody.
pub(super) const STAGING: &str = super::slot::ROOT_LOCKS;

/// What comes back over the same socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The launcher failed; nothing untrusted ran.
    LaunchFailed {
        /// What it was doing and what the machine said.
        why: String,
    },
    /// The init stands in the finished sandbox. Beside it comes the sandbox's network namespace.
    Ready,
    /// The command ended by itself.
    Exited(i32),
    /// A signal ended the command.
    Signalled(i32),
}

/// The worker's second message: to the init. Beside it may come a UDP socket on port 53 of the sandbox's loopback.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) argv: Vec<String>,
    pub(super) cwd: String,
    pub(super) env: BTreeMap<String, String>,
}
