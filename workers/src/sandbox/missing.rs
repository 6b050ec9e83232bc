//! Whether a wall is taken away, so that a test can show that its attack gets through then. Only builds with the feature
//! `sabotage` can do it, which no build that is shipped has: there every wall stands, whatever anybody says.

/// A wall that a test build can do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Missing {
    /// The network namespace.
    Network,
    /// The namespace of process numbers.
    Processes,
    /// That nothing of the host but `/usr` is seen.
    Files,
    /// That what is seen of the host cannot be written.
    ReadOnly,
    /// The slot's own uid.
    Uid,
    /// The empty environment.
    Environment,
    /// That descriptors are closed.
    Descriptors,
    /// The bound of memory.
    Memory,
    /// The bound of processes.
    Forks,
    /// The quota of the work area.
    Disk,
    /// The filters of system calls.
    Calls,
    /// The bound of output.
    Output,
    /// The bound of time.
    Clock,
    /// The bound of silence.
    Silence,
    /// That links a build left are not followed.
    Links,
    /// That the process at the door cannot be looked into.
    Door,
    /// The covers over the host's own tools.
    Covers,
    /// The namespace of shared memory and message queues.
    Ipc,
}

impl Missing {
    /// Whether it is taken away in this process.
    #[cfg(feature = "sabotage")]
    pub(super) fn is_away(self) -> bool {
        told().is_some_and(|told| told == format!("{self:?}"))
    }

    /// It never is.
    #[cfg(not(feature = "sabotage"))]
    pub(super) const fn is_away(self) -> bool {
        false
    }
}

/// The variable in which a test names the wall.
#[cfg(feature = "sabotage")]
const VARIABLE: &str = "COUNTERSIGN_WITHOUT_WALL";

/// What the test named.
#[cfg(feature = "sabotage")]
fn told() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// Tells a process of ours that is started without our environment. The step does not see it, but where the environment
/// itself is what is taken away.
pub(super) fn hand_on(command: &mut std::process::Command) {
    #[cfg(feature = "sabotage")]
    if let Some(wall) = told() {
        command.env(VARIABLE, wall);
    }
    #[cfg(not(feature = "sabotage"))]
    let _nothing_to_tell = command;
}

/// The same for the process behind bubblewrap.
pub(super) fn hand_in(bwrap: &mut std::process::Command) {
    #[cfg(feature = "sabotage")]
    if let Some(wall) = told() {
        bwrap.args(["--setenv", VARIABLE, &wall]);
    }
    #[cfg(not(feature = "sabotage"))]
    let _nothing_to_tell = bwrap;
}
