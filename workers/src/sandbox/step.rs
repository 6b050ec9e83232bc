//! What is asked of one run in the sandbox and what came of it, as values. How it is run stands in `run.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A folder or file of the host that a step sees, read-only.
#[derive(Debug, Clone)]
pub struct ReadOnlyBind {
    /// The path on the host. As root it may lie anywhere; as an ordinary user it must be readable by that user. The
    /// build can read this path in its mount table: it should say nothing about its user.
    pub host: PathBuf,
    /// The absolute path inside, for instance `/opt/node`. It may not lie in the work area, `/tmp`, `/proc` or `/dev`.
    pub inside: String,
}

/// Where requests to 127.0.0.1:4873 inside the sandbox arrive. In both kinds there is no other way out; they differ in
/// who listens on the host's unix socket.
#[derive(Debug, Clone)]
pub enum Network {
    /// The registry mirror listens: the fetch phase.
    Mirror(PathBuf),
    /// A listener that refuses everything and records it: the build phase.
    Refused(PathBuf),
}

impl Network {
    /// The socket's path on the host.
    #[must_use]
    pub fn socket(&self) -> &PathBuf {
        match self {
            Self::Mirror(path) | Self::Refused(path) => path,
        }
    }
}

/// One command in the sandbox.
#[derive(Debug, Clone)]
pub struct Step {
    /// The program and its arguments. A name without `/` is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The absolute folder inside in which it starts.
    pub cwd: String,
    /// The whole environment: nothing is inherited and nothing is added.
    pub env: BTreeMap<String, String>,
    /// What it sees besides the host's `/usr` and the work area.
    pub mounts: Vec<ReadOnlyBind>,
    /// Who answers its requests.
    pub network: Network,
}

/// How a step ended. Each is a fact about the package's command but [`StepEnding::MachineOutOfMemory`],
/// [`StepEnding::MachineOutOfDisk`] and [`StepEnding::Cancelled`], which say nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnding {
    /// It ended by itself with this code. 127: the program was not found; 126: it could not be started.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It ran longer than `wall`.
    TimedOut,
    /// It printed nothing for `silence`.
    Silent,
    /// It asked for more than `memory_bytes`.
    OutOfMemory,
    /// It failed, and the work area or `/tmp` had been full or one file had reached its bound.
    OutOfDisk,
    /// It failed, and the kernel had refused it further processes.
    TooManyProcesses,
    /// It printed more than `output_bytes`.
    OutputTooLarge,
    /// The machine, not the step's own bound, ran out of memory.
    MachineOutOfMemory,
    /// It failed, and the machine's disk was full; only where the work area is a plain folder.
    MachineOutOfDisk,
    /// The caller cancelled it.
    Cancelled,
}

impl StepEnding {
    /// Whether the command ended by itself with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }
}

/// What is known after a step. No process of it lives any more.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// How it ended.
    pub ending: StepEnding,
    /// The most memory it had at one time, files in the work area and `/tmp` that it wrote included.
    pub peak_memory_bytes: Option<u64>,
    /// Wall time.
    pub wall: Duration,
    /// How often the kernel refused it a process. More than 0 beside a success is worth a note.
    pub refused_processes: u64,
    /// What it printed in all, in bytes, stdout and stderr together.
    pub output_bytes: u64,
    /// The first and the last half of what it printed, with a line that says how much was left out.
    pub log: String,
}
