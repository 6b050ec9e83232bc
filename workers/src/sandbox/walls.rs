//! What this machine has of what the sandbox needs, wall by wall with the line that mends it, for `doctor`; and the
//! real run that has to hold before a worker takes its first job.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::geteuid;

use super::attack::Attempt;
use super::cgroup::Parents;
use super::{Doing, INSIDE_WORK, Limits, Network, SandboxError, Slot, Step, bwrap, slot};

/// One wall of this machine.
#[derive(Debug, Clone)]
pub struct Wall {
    /// Its name.
    pub name: &'static str,
    /// Whether it stands.
    pub stands: bool,
    /// What was found, as a sentence.
    pub detail: String,
    /// The line that mends it, where it does not stand.
    pub mend: Option<String>,
}

impl Wall {
    fn of(name: &'static str, found: Result<String, (String, String)>) -> Self {
        match found {
            Ok(detail) => Self { name, stands: true, detail, mend: None },
            Err((detail, mend)) => Self { name, stands: false, detail, mend: Some(mend) },
        }
    }
}

/// Every wall of this machine, each tried by itself and all together at the end. `base` is where work areas are made.
#[must_use]
pub fn walls(base: &Path) -> Vec<Wall> {
    walls_with_init(base, Path::new("/proc/self/exe"))
}

/// As [`walls`], with a program other than the running one at the sandbox's door, as [`Slot::acquire_with_init`].
#[must_use]
pub fn walls_with_init(base: &Path, init: &Path) -> Vec<Wall> {
    let mut walls = vec![
        Wall::of("bubblewrap", bubblewrap()),
        Wall::of("user namespaces", user_namespaces()),
        Wall::of("cgroup", cgroup()),
        Wall::of("seccomp", seccomp()),
        Wall::of("uid", Ok(uid())),
        Wall::of("room", room(base)),
    ];
    let attempts = attempts(base, init);
    if let Ok(attempts) = &attempts {
        walls.extend(GROUPS.iter().map(|group| Wall::of(group.0, held(group, attempts))));
    }
    walls.push(Wall::of("all together", all_together(attempts)));
    walls
}

/// The walls that only a raised sandbox shows, and how the names of the attempts on each begin.
const GROUPS: [(&str, &[&str]); 6] = [
    ("network", &["connect ", "send ", "interfaces"]),
    ("files", &["write ", "read "]),
    ("processes", &["processes", "process 1"]),
    ("system calls", &["call ", "socket "]),
    ("rights", &["rights", "uid"]),
    ("environment", &["environment", "descriptors"]),
];

/// Whether every attempt on one wall was held.
fn held(
    (_, beginnings): &(&str, &[&str]),
    attempts: &[Attempt],
) -> Result<String, (String, String)> {
    let is_on = |attempt: &&Attempt| beginnings.iter().any(|word| attempt.name.starts_with(word));
    let on: Vec<&Attempt> = attempts.iter().filter(is_on).collect();
    match open(on.iter().copied()) {
        None if !on.is_empty() => Ok(format!("Held {} attacks from inside.", on.len())),
        None => Err(("Nothing was tried on it.".to_owned(), super::START_MEND.to_owned())),
        Some(open) => Err((format!("Open from inside: {open}."), super::START_MEND.to_owned())),
    }
}

/// The attempts that got through, with what they found.
fn open<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Option<String> {
    let told = |attempt: &Attempt| Some(format!("{} ({})", attempt.name, attempt.open.as_ref()?));
    let open: Vec<String> = attempts.into_iter().filter_map(told).collect();
    (!open.is_empty()).then(|| open.join("; "))
}

/// Runs the real sandbox and attacks every wall from inside. To be called when a worker starts; it takes no job where
/// this fails.
///
/// # Errors
/// `Unavailable` naming the walls that did not hold, or why the sandbox could not be raised.
pub fn self_test(base: &Path, init: &Path) -> Result<(), SandboxError> {
    all_held(&attempts(base, init)?)
}

fn all_held(attempts: &[Attempt]) -> Result<(), SandboxError> {
    match open(attempts) {
        None => Ok(()),
        Some(open) => Err(not_held(&format!("from inside it could be seen open: {open}"))),
    }
}

/// What came of every attempt from inside; there is at least one.
fn attempts(base: &Path, init: &Path) -> Result<Vec<Attempt>, SandboxError> {
    let limits = Limits {
        memory_bytes: 256 << 20,
        processes: 32,
        wall: Duration::from_secs(60),
        silence: Duration::from_secs(60),
        disk_bytes: 16 << 20,
        tmp_bytes: 8 << 20,
        ..Limits::default()
    };
    let mut area = Slot::acquire_with_init(base, init)?.work_area(&limits)?;
    let socket = area.slot().folder().join("self-test.sock");
    let _listener = silent_listener(&socket)?;
    let step = Step {
        argv: [super::INSIDE_PROGRAM, "sandbox-init", "attack"].map(str::to_owned).to_vec(),
        cwd: INSIDE_WORK.to_owned(),
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        mounts: Vec::new(),
        network: Network::Refused(socket),
    };
    let outcome = area.run(&step, &limits, &AtomicBool::new(false), &mut |_| {})?;
    let attempts: Vec<Attempt> = outcome.log.lines().filter_map(Attempt::parse).collect();
    if !outcome.ending.is_success() || attempts.is_empty() {
        return Err(not_held(&format!("its self-test ended with {:?}", outcome.ending)));
    }
    Ok(attempts)
}

/// Nobody answers at it; the attacks need no answer.
fn silent_listener(socket: &Path) -> Result<UnixListener, SandboxError> {
    let listener =
        UnixListener::bind(socket).doing(|| format!("Listening on {}", socket.display()))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))
        .doing(|| format!("Setting the mode of {}", socket.display()))?;
    Ok(listener)
}

fn not_held(why: &str) -> SandboxError {
    SandboxError::Unavailable { missing: why.to_owned(), mend: super::START_MEND.to_owned() }
}

fn bubblewrap() -> Result<String, (String, String)> {
    let install = || "apt-get install -y bubblewrap".to_owned();
    let program = bwrap::find().map_err(|_| ("It is not installed.".to_owned(), install()))?;
    let said = Command::new(&program).arg("--version").env_clear().output();
    let said = said.map_err(|error| (format!("It does not start: {error}."), install()))?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    // --disable-userns came with 0.8.0.
    if version(&said) >= Some((0, 8)) {
        Ok(format!("{said} at {}.", program.display()))
    } else {
        let mend =
            "Install bubblewrap 0.8 or later; Debian 12 and Ubuntu 24.04 have it.".to_owned();
        Err((format!("{said} is too old."), mend))
    }
}

fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.rsplit(' ').next()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A bubblewrap of nothing but namespaces, as the uid that a build would have.
fn user_namespaces() -> Result<String, (String, String)> {
    let mend = || super::START_MEND.to_owned();
    let program = bwrap::find().map_err(|_| ("bubblewrap is missing.".to_owned(), mend()))?;
    let mut command = Command::new(program);
    command.args(["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"]);
    command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/sh", "-c", "exit 0"]);
    if geteuid().is_root() {
        command.uid(slot::UNUSED_UID).gid(slot::UNUSED_UID);
    }
    let run = command.env_clear().current_dir("/").output();
    let run = run.map_err(|error| (format!("bubblewrap does not start: {error}."), mend()))?;
    if run.status.success() {
        return Ok("An unprivileged uid can make them.".to_owned());
    }
    let said = String::from_utf8_lossy(&run.stderr).trim().to_owned();
    Err((format!("An unprivileged uid cannot make them: {said}."), mend()))
}

fn cgroup() -> Result<String, (String, String)> {
    match Parents::detect(geteuid().is_root()) {
        Ok(Parents::V1 { memory, pids }) => {
            Ok(format!("Version 1: {} and {}.", memory.display(), pids.display()))
        }
        Ok(Parents::V2(folder)) => Ok(format!("Version 2: {}.", folder.display())),
        Err(error) => Err((error.to_string(), error.mend().unwrap_or_default().to_owned())),
    }
}

fn seccomp() -> Result<String, (String, String)> {
    let file = "/proc/sys/kernel/seccomp/actions_avail";
    let actions = std::fs::read_to_string(file).unwrap_or_default();
    if actions.split_whitespace().any(|action| action == "errno") {
        return Ok("The kernel filters system calls.".to_owned());
    }
    let mend = "Use a kernel built with CONFIG_SECCOMP_FILTER.".to_owned();
    Err(("The kernel cannot filter system calls.".to_owned(), mend))
}

fn uid() -> String {
    if geteuid().is_root() {
        "Each slot has a numeric uid of its own.".to_owned()
    } else {
        "Builds run as this user inside a user namespace; as root each slot has a uid of its own, \
         which is the stronger wall."
            .to_owned()
    }
}

/// As root a work area lies in memory, else on the disk of its base folder.
fn room(base: &Path) -> Result<String, (String, String)> {
    let (free, what) = if geteuid().is_root() {
        (available_memory(), "memory")
    } else {
        let existing = base.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let found = rustix::fs::statvfs(existing);
        (found.map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize)), "disk")
    };
    let gibibytes = |bytes: u64| bytes / (1 << 30);
    let said = format!("{} GiB of {what} are free for work areas.", gibibytes(free));
    if free >= ROOM_BYTES_MIN {
        Ok(said)
    } else {
        let wanted = gibibytes(ROOM_BYTES_MIN);
        Err((said, format!("Free at least {wanted} GiB of {what}; a large build takes more.")))
    }
}

/// What most packages build in: the median of real packages has some 300 MB of node_modules and as much memory.
const ROOM_BYTES_MIN: u64 = 2 << 30;

fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes * 1024)
}

fn all_together(attempts: Result<Vec<Attempt>, SandboxError>) -> Result<String, (String, String)> {
    match attempts.and_then(|attempts| all_held(&attempts).map(|()| attempts.len())) {
        Ok(count) => Ok(format!("The sandbox stands and held {count} attacks from inside.")),
        Err(error) => {
            let mend = error.mend().unwrap_or("Run it again; if it stays, report it.").to_owned();
            Err((error.to_string(), mend))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bubblewraps_version_is_read() {
        assert_eq!(version("bubblewrap 0.8.0"), Some((0, 8)));
        assert_eq!(version("bubblewrap 0.11.0"), Some((0, 11)));
        assert!(version("bubblewrap 0.4.1") < Some((0, 8)));
        assert_eq!(version(""), None);
    }
}
