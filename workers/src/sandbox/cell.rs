//! A cell: our own program behind every wall that a step has, and with fewer doors than a step: no work area, no `/proc`,
//! no `/dev`, no port, and nobody who answers. It sees the folders that it is shown, answers over one socket, and gives up
//! every system call that reading does not take. It is for parsing what nobody trusts; what is parsed is not known here.

use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cgroup::Group;
use super::orders::{Launch, Reply};
use super::run::{START_WITHIN, end_child, is_readable, pid_of};
use super::slot::Identity;
use super::{Doing, INSIDE_PROGRAM, Limits, ReadOnlyBind, SandboxError, Slot, bwrap, control};

/// Processes and threads of a cell's own.
const PROCESSES: u64 = 4;
/// One file that it may write: there is none, but the launcher lays the filters down in files in memory.
const FILTER_BYTES_MAX: u64 = 64 * 1024;
/// How long a cell may take to end by itself once nobody asks any more.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What a cell is made of.
#[derive(Clone, Debug)]
pub(crate) struct CellOrder<'a> {
    /// Where slots are made, as for [`Slot::acquire`].
    pub(crate) base: &'a Path,
    /// The program at the door, as for [`Slot::acquire_with_init`].
    pub(crate) init: &'a Path,
    /// The word after `sandbox-init` by which that program knows what it is for.
    pub(crate) service: &'a str,
    /// What it sees.
    pub(crate) shown: &'a [ReadOnlyBind],
    /// The uid that it becomes where this process is root; none for the slot's own, which may read only what everybody may.
    pub(crate) uid: Option<u32>,
    /// Its memory, in bytes.
    pub(crate) memory_bytes: u64,
}

/// A running cell. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Cell {
    socket: Option<OwnedFd>,
    stands: bool,
    said: PipeReader,
    group: Arc<Group>,
    // Dropped to have the keeper end the process.
    over: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    // Last: its uid is nobody else's until all of the above is gone.
    _slot: Slot,
}

impl Cell {
    /// Starts one and does not wait until it stands.
    ///
    /// # Errors
    /// As [`Slot::acquire`], or an operation of the machine that failed.
    pub(crate) fn open(order: &CellOrder<'_>) -> Result<Self, SandboxError> {
        let slot = Slot::acquire_with_init(order.base, order.init)?;
        let limits = Limits {
            memory_bytes: order.memory_bytes,
            processes: PROCESSES,
            disk_bytes: 0,
            tmp_bytes: 0,
            ..Limits::default()
        };
        let group = Arc::new(Group::create(slot.parents(), &slot.group_name(0), &limits)?);
        let launch = Launch { join: group.join_files(), ..orders(&slot, order)? };
        let (near, far) = control::pair().doing(|| "Making a socket pair".to_owned())?;
        let (said, errors) = std::io::pipe().doing(|| "Making a pipe".to_owned())?;
        rustix::io::ioctl_fionbio(&said, true).doing(|| "Setting up a pipe".to_owned())?;
        let mut command = Command::new(order.init);
        command.args(["sandbox-init", "launch"]).env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::from(far)).stdout(Stdio::null()).stderr(errors);
        let (over, until) = channel();
        let keeper = keep(command, until, Arc::clone(&group));
        let keeper = Some(keeper.doing(|| "Starting a cell".to_owned())?);
        if let Err(error) = control::send(&near, &launch, None) {
            // It ended before it could be told anything: that it does not stand is seen at the first question.
            tracing::warn!(%error, "a cell did not take its orders");
        }
        let (socket, over) = (Some(near), Some(over));
        Ok(Self { socket, stands: false, said, group, over, keeper, _slot: slot })
    }

    /// The socket that leads to it, once it stands.
    ///
    /// # Errors
    /// `Unavailable` where it could not be raised: nothing of what it is shown was read then.
    pub(crate) fn socket(&mut self) -> Result<BorrowedFd<'_>, SandboxError> {
        if !self.stands {
            match self.first_word() {
                Some(Reply::Ready) => self.stands = true,
                Some(Reply::LaunchFailed { why }) => return Err(not_raised(&why)),
                Some(Reply::Exited(_) | Reply::Signalled(_)) | None => {
                    return Err(not_raised(&self.last_words()));
                }
            }
        }
        Ok(self.socket.as_ref().expect("only dropping takes it away").as_fd())
    }

    fn first_word(&self) -> Option<Reply> {
        let socket = self.socket.as_ref().filter(|socket| is_readable(socket, START_WITHIN))?;
        // One that ended before it read its orders breaks the connection; that it does not stand is all that counts.
        let (reply, _) = control::receive::<Reply>(socket).ok().flatten()?;
        Some(reply)
    }

    /// Whether the kernel ended it, or a part of it, at its bound of memory.
    pub(crate) fn met_its_memory_bound(&self) -> bool {
        self.group.oom_kills() > 0
    }

    fn last_words(&mut self) -> String {
        let mut bytes = [0; 4096];
        // Bubblewrap has said all before it closed the socket; nothing in the pipe is an answer too.
        let count = self.said.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Without its socket it ends by itself; the keeper sees to it that it does.
        self.socket = None;
        self.over = None;
        if let Some(keeper) = self.keeper.take() {
            // A keeper that panicked has ended its process in doing so.
            let _panicked = keeper.join();
        }
    }
}

fn not_raised(said: &str) -> SandboxError {
    SandboxError::Unavailable {
        missing: format!("a cell could not be raised ({said})"),
        mend: super::START_MEND.to_owned(),
    }
}

/// Starts the process from a thread that lives as long as the cell, since the kernel ends the process with the thread that
/// started it; and ends it when told.
fn keep(
    mut command: Command,
    until: Receiver<()>,
    group: Arc<Group>,
) -> std::io::Result<JoinHandle<()>> {
    let (told, started) = channel();
    let keeper = std::thread::Builder::new().name("cell".to_owned()).spawn(move || {
        let spawned = command.spawn();
        // The pipe and the far socket end with the process alone once this is gone.
        drop(command);
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let _nobody_asks = told.send(Err(error));
                return;
            }
        };
        let _nobody_asks = told.send(Ok(()));
        // Nothing is ever sent: the other end is dropped.
        let _over = until.recv();
        end(&mut child, &group);
    })?;
    match started.recv() {
        Ok(Ok(())) => Ok(keeper),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ErrorKind::BrokenPipe.into()),
    }
}

fn end(child: &mut Child, group: &Group) {
    let process = pid_of(child).and_then(|pid| {
        Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
    });
    let ended = process.is_ok_and(|process| {
        is_readable(&process, ENDS_WITHIN) || {
            group.kill_all_but(child.id());
            is_readable(&process, ENDS_WITHIN)
        }
    });
    if !ended && let Err(error) = group.kill() {
        tracing::warn!(%error, "A cell's processes could not all be ended");
    }
    end_child(child);
}

fn orders(slot: &Slot, order: &CellOrder<'_>) -> Result<Launch, SandboxError> {
    let plan = bwrap::Plan::of_cell(slot, order.shown)?;
    let own = match slot.identity() {
        Identity::OwnUid(uid) => Some(uid),
        Identity::Caller { .. } => None,
    };
    Ok(Launch {
        parent: i32::try_from(std::process::id()).expect("Linux numbers processes below 2^22"),
        join: Vec::new(),
        become_uid: own.map(|own| order.uid.unwrap_or(own)),
        staged: plan.staged,
        file_bytes: FILTER_BYTES_MAX,
        // Another's uid has processes of its own, which would count.
        processes: own.filter(|_| order.uid.is_none()).map(|_| PROCESSES * 4),
        bwrap: bwrap::find()?,
        arguments: plan.arguments,
        command: [INSIDE_PROGRAM, "sandbox-init", order.service].map(str::to_owned).to_vec(),
    })
}

/// The other side: gives up every system call that reading does not take, and tells the worker that the cell stands. The
/// socket is standard input. To be called before a byte of what is shown is read.
///
/// # Errors
/// The filter cannot be set, or nobody is there to be told.
pub(crate) fn stand() -> std::io::Result<()> {
    super::lockdown::to_reading()?;
    control::send(std::io::stdin(), &Reply::Ready, None)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// The other side in a test: tells what can be seen and done from inside, one message for each.
    pub(crate) fn look_around() -> std::io::Result<()> {
        let names = |folder: &str| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<String> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names.join(" ")
        };
        let mut seen = vec![format!("root: {}", names("/")), format!("run: {}", names("/run"))];
        seen.push(format!("shown: {}", fs::read_to_string("/shown/file").unwrap_or_default()));
        seen.push(format!("uid: {}", rustix::process::getuid().as_raw()));
        seen.push(format!("pid: {}", std::process::id()));
        // Bubblewrap says where it started it.
        seen.push(format!("environment: {}", std::env::vars_os().count()));
        let listening = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
        let outside = std::net::TcpStream::connect("169.254.169.254:80").map(drop);
        seen.push(format!("outside: {}", outside.is_ok()));
        stand()?;
        let written = ["/shown/new", "/new", "/run/new"].map(|path| fs::write(path, "x").is_ok());
        seen.push(format!("written: {written:?}"));
        let bound = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
        seen.push(format!("listening: {listening} and then {bound}"));
        seen.iter().try_for_each(|line| control::send(std::io::stdin(), line, None))
    }

    fn opened(memory_bytes: u64) -> (Cell, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::write(folder.path().join("file"), "text").expect("it can be written");
        let open = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("it can be set");
        let shown = [ReadOnlyBind { host: folder.path().to_owned(), inside: "/shown".to_owned() }];
        let base = std::env::temp_dir().join("countersign-test-cells");
        let order = CellOrder {
            base: &base,
            init: Path::new("/proc/self/exe"),
            service: "look-around",
            shown: &shown,
            uid: None,
            memory_bytes,
        };
        (Cell::open(&order).expect("this machine has every wall"), folder)
    }

    #[test]
    fn a_cell_shows_what_it_was_given_and_lets_nothing_else_be_done() {
        let (mut cell, _folder) = opened(64 << 20);
        let socket = cell.socket().expect("it stands");
        let mut seen = Vec::new();
        while let Some((line, _)) = control::receive::<String>(socket).expect("it can be heard") {
            seen.push(line);
        }
        let roots = ["lib", "lib32", "lib64", "libx32", "run", "shown", "usr"];
        let names = seen[0].strip_prefix("root: ").expect("it is the first");
        assert!(names.split(' ').all(|name| roots.contains(&name)), "{names}");
        let expected = [
            "run: init",
            "shown: text",
            "uid: 1000",
            "pid: 1",
            "environment: 1",
            "outside: false",
            "written: [false, false, false]",
            "listening: true and then false",
        ];
        assert_eq!(seen[1..], expected);
    }

    #[test]
    fn nothing_is_left_of_a_cell_that_was_dropped() {
        let (mut cell, _folder) = opened(64 << 20);
        cell.socket().expect("it stands");
        let groups = cell.group.join_files();
        drop(cell);
        assert!(groups.iter().all(|file| !file.exists()), "{groups:?}");
    }
}
