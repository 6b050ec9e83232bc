//! `sandbox-init`: our own program at the sandbox's door. `launch` stands outside and becomes bubblewrap; `inside` is
//! process 1 of the finished sandbox: it carries requests and names out to the step's socket, starts the command,
//! reaps, and tells how the command ended; `resolver` opens the sandbox's DNS port for it. The build cannot look into
//! any of the three.

use std::ffi::OsString;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::{DumpableBehavior, WaitOptions, WaitStatus, set_dumpable_behavior};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::missing::Missing;
use super::orders::{Begin, Reply};
use super::{attack, control, dns, forward, launch};

/// The program was not found, as a shell says it.
const NOT_FOUND: i32 = 127;
/// The program could not be started, as a shell says it.
const NOT_STARTED: i32 = 126;

/// Serves one call of `sandbox-init`, with the arguments after that word. To be called first thing in `main`, before
/// any other thread or runtime is started. The exit code means something to the worker alone.
#[must_use]
pub fn init_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mode = arguments.into_iter().next();
    match mode.as_ref().and_then(|mode| mode.to_str()) {
        Some("launch") => launch::main(),
        Some("inside") => told(inside()),
        Some("resolver") => told(open_resolver()),
        Some("attack") => told(attack::main()),
        _ => ExitCode::from(2),
    }
}

/// What goes wrong at the door is written to the step's log.
fn told(done: io::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // Nothing is left to tell it to where this fails too.
            let _lost = writeln!(io::stderr(), "countersign: the sandbox's init failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn inside() -> io::Result<()> {
    // The build has the same uid: without this it could write into our memory through /proc/1/mem.
    if !Missing::Door.is_away() {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    let socket = io::stdin();
    let forwarder = std::net::TcpListener::bind(("127.0.0.1", forward::PORT))?;
    let network: OwnedFd = std::fs::File::open("/proc/self/ns/net")?.into();
    control::send(&socket, &Reply::Ready, Some(&network))?;
    drop(network);
    let Some((begin, resolver)) = control::receive::<Begin>(&socket)? else {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    };
    std::thread::Builder::new().name("forward".to_owned()).spawn(move || {
        let done = forward::serve(forwarder, resolver.map(UdpSocket::from));
        told(done)
    })?;
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(end_with_the_worker)?;
    let ended = match start(&begin) {
        Ok(child) => wait_for(&child)?,
        Err(error) => Reply::Exited(not_started(&begin, &error)),
    };
    control::send(&socket, &ended, None)
}

/// When the worker is gone, so is this process, and with it, as it is process 1, everything in the sandbox.
#[expect(clippy::exit, reason = "the end of process 1 is what ends the sandbox")]
fn end_with_the_worker() {
    while let Ok(Some(_)) = control::receive::<serde::de::IgnoredAny>(io::stdin()) {}
    std::process::exit(1);
}

fn start(begin: &Begin) -> io::Result<Child> {
    let Some((program, arguments)) = begin.argv.split_first() else {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    };
    let mut command = Command::new(program);
    if !Missing::Environment.is_away() {
        command.env_clear();
    }
    command.args(arguments).envs(&begin.env).current_dir(&begin.cwd).stdin(Stdio::null()).spawn()
}

fn not_started(begin: &Begin, error: &io::Error) -> i32 {
    use std::io::Write;
    let program = begin.argv.first().map_or("", String::as_str);
    // The log is the only place for it; the code says the rest.
    let _lost = writeln!(
        io::stderr(),
        "countersign: {program} could not be started in {}: {error}",
        begin.cwd
    );
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED }
}

/// Reaps everything that dies until the command itself does.
fn wait_for(child: &Child) -> io::Result<Reply> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if is(pid, child) => return Ok(ending(status)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn is(pid: rustix::process::Pid, child: &Child) -> bool {
    u32::try_from(pid.as_raw_nonzero().get()).is_ok_and(|pid| pid == child.id())
}

fn ending(status: WaitStatus) -> Reply {
    let status = std::process::ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => Reply::Exited(code),
        (None, signal) => Reply::Signalled(signal.unwrap_or(0)),
    }
}

/// Opens UDP port 53 on the sandbox's loopback and hands the socket to the worker.
///
/// Inside, nobody has the right to a port below 1024, and nobody shall. This process, outside, has it: whoever made a
/// user namespace has all rights over it and over the network namespace that belongs to it. Standard input is the
/// network namespace, standard output the socket that leads to the worker.
fn open_resolver() -> io::Result<()> {
    let network = io::stdin();
    let user = owning_user_namespace(&network)?;
    move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let resolver: OwnedFd = UdpSocket::bind(("127.0.0.1", dns::PORT))?.into();
    control::send(io::stdout(), &(), Some(&resolver))
}

#[expect(unsafe_code, reason = "this ioctl of ioctl_nsfs(2) has no safe form")]
fn owning_user_namespace(network: &impl AsRawFd) -> io::Result<OwnedFd> {
    /// `NS_GET_USERNS` of linux/nsfs.h: `_IO(0xb7, 0x1)`.
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the request takes no argument and answers with a descriptor of its own, which nothing else owns.
    unsafe {
        let descriptor = libc::ioctl(network.as_raw_fd(), NS_GET_USERNS);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}
