//! The sandbox: a rebuild is a list of steps, each a bubblewrap run of its own over one work area that outlives it, and
//! the trusted parent decides everything between two steps. Walls: user, mount, pid, network, ipc and uts namespaces,
//! a cgroup (v1 or v2), seccomp filters, a numeric uid per slot, a hard disk quota, an empty environment and no
//! inherited descriptor. A missing wall is [`SandboxError::Unavailable`]; nothing is ever run with fewer. This module
//! knows nothing of npm, git, plans or verdicts.
//!
//! ```text
//! Slot::acquire ─▶ WorkArea ─▶ run(Step) ─▶ StepOutcome      the worker
//!                                 │
//!                       sandbox-init launch                  own program again: cgroup, private mounts, uid, limits
//!                                 │ exec
//!                               bwrap                        namespaces, read-only root, seccomp
//!                                 │ exec
//!                       sandbox-init inside (pid 1)          forwards 127.0.0.1:4873, answers DNS, reaps
//!                                 │ child
//!                              argv of the step              untrusted
//! ```

mod area;
mod attack;
mod bwrap;
mod cell;
mod cgroup;
mod control;
mod dns;
mod files;
mod fixed;
mod forward;
mod init;
mod launch;
mod limits;
mod lockdown;
mod mask;
mod missing;
mod orders;
mod output;
mod run;
mod seccomp;
mod slot;
mod step;
mod sweep;
mod walls;
mod watch;

pub use area::{Entry, WorkArea};
#[cfg(test)]
pub(crate) use cell::tests::look_around;
pub(crate) use cell::{Cell, CellOrder, stand};
pub use files::{EntryKind, Listed, TakeError};
pub use init::init_main;
pub use limits::Limits;
pub use output::KeptLog;
pub use slot::Slot;
pub use step::{Network, ReadOnlyBind, Step, StepEnding, StepOutcome};
pub use sweep::sweep;
pub use walls::{Wall, self_test, walls, walls_with_init};

/// Where the work area lies inside the sandbox.
pub const INSIDE_WORK: &str = "/build";
/// The home folder inside the sandbox. It is kept from step to step and counts as disk, not as `/tmp`: package
/// managers keep their caches there.
pub const INSIDE_HOME: &str = "/tmp/home";
/// The running program inside the sandbox: a step may run a command of it that needs no file but this one.
pub const INSIDE_PROGRAM: &str = "/run/init";
/// The registry address inside the sandbox: what is asked here arrives at the step's socket.
pub const INSIDE_REGISTRY: &str = "http://127.0.0.1:4873/";
/// A request with this path at a step's socket says that a name was asked of the resolver inside the sandbox.
pub const DNS_REQUEST_PATH: &str = "/-/countersign/dns";

/// What mends a sandbox that does not stand although bubblewrap is there.
const START_MEND: &str = "Run `countersign doctor`, which tries each wall by itself. Ubuntu 23.10 and later restrict user \
    namespaces: install the AppArmor profile `bwrap-userns-restrict`, or run `sysctl -w \
    kernel.apparmor_restrict_unprivileged_userns=0`. In a container: `docker run --privileged …`, or `--security-opt \
    seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`.";

/// Why the sandbox could not do its work. All of it is our own or the machine's failure, never the package's.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A wall is missing on this machine; untrusted work is refused.
    #[error("The sandbox is not available on this machine: {missing}.")]
    Unavailable {
        /// What is missing, as a clause.
        missing: String,
        /// The line that mends it.
        mend: String,
    },
    /// Every slot is held by another worker.
    #[error("All {0} worker slots of this machine are taken.")]
    NoFreeSlot(u32),
    /// The work area is full; nothing of the package's has run yet.
    #[error("The work area is full: {path} could not be written.")]
    AreaFull {
        /// The path inside the work area.
        path: String,
    },
    /// The caller asked for something that cannot be built into a step.
    #[error("This step cannot be run: {0}.")]
    BadStep(String),
    /// An operation of the machine failed.
    #[error("{doing} failed: {source}.")]
    Io {
        /// What was being done.
        doing: String,
        /// The machine's answer.
        source: std::io::Error,
    },
}

impl SandboxError {
    /// The line that mends a missing wall, where this error is one.
    #[must_use]
    pub fn mend(&self) -> Option<&str> {
        match self {
            Self::Unavailable { mend, .. } => Some(mend),
            Self::NoFreeSlot(_) | Self::AreaFull { .. } | Self::BadStep(_) | Self::Io { .. } => {
                None
            }
        }
    }
}

/// Names what was being done when an operation of the machine failed.
trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError>;
}

impl<T, E: Into<std::io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError> {
        self.map_err(|error| SandboxError::Io { doing: what(), source: error.into() })
    }
}
