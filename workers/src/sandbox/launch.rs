//! `sandbox-init launch`: a fresh process of our own program, with the worker's rights and one thread, that joins the
//! step's cgroup, stages what the sandbox may see, gives up every right, and becomes bubblewrap. It is a process of
//! its own so that none of this runs between fork and exec of a program with many threads.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::fs::{CWD, FileType, Mode, fstat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    move_mount, open_tree,
};
use rustix::process::{
    Resource, Rlimit, Signal, getegid, geteuid, getppid, set_parent_process_death_signal,
    setrlimit, umask,
};
use rustix::thread::{
    Gid, Uid, UnshareFlags, capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid, unshare_unsafe,
};

use super::missing::{self, Missing};
use super::orders::{Launch, Reply, STAGING, Staged};
use super::{control, fixed, seccomp};

/// Open files of one process. npm and bundlers keep some thousands open at once.
const OPEN_FILES: u64 = 16 * 1024;

/// What failed, with what it was for.
type Failure = (&'static str, io::Error);

/// Becomes bubblewrap; returns only where that failed.
pub(super) fn main() -> ExitCode {
    let socket = io::stdin();
    let why = match launch() {
        Ok(never) => match never {},
        Err((doing, error)) => format!("{doing}: {error}"),
    };
    // Where the worker is gone, nobody is left to be told.
    let _nobody_left = control::send(&socket, &Reply::LaunchFailed { why }, None);
    ExitCode::FAILURE
}

fn launch() -> Result<std::convert::Infallible, Failure> {
    if !Missing::Descriptors.is_away() {
        close_inherited().map_err(|error| ("closing inherited descriptors", error))?;
    }
    let (orders, _) = control::receive::<Launch>(io::stdin())
        .and_then(|message| message.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof)))
        .map_err(|error| ("reading the worker's orders", error))?;
    for file in &orders.join {
        fs::write(file, "0").map_err(|error| ("joining the step's cgroup", error))?;
    }
    // Should the machine run out of memory, the build goes before any service.
    fs::write("/proc/self/oom_score_adj", "1000")
        .map_err(|error| ("writing oom_score_adj", error))?;
    if orders.become_uid.is_some() {
        stage(&orders.staged).map_err(|error| ("staging what the sandbox may see", error))?;
    }
    bound(&orders).map_err(|error| ("setting resource limits", error))?;
    if let Some(uid) = orders.become_uid.filter(|_| !Missing::Uid.is_away()) {
        become_uid(uid).map_err(|error| ("becoming the build's uid", error))?;
    }
    umask(Mode::from_raw_mode(0o022));
    set_no_new_privs(true).map_err(|error| ("setting no_new_privs", error.into()))?;
    die_with(orders.parent).map_err(|error| ("binding its life to the worker's", error))?;
    let mut filters = seccomp::files().map_err(|error| ("making the seccomp filters", error))?;
    if Missing::Calls.is_away() {
        filters.clear();
    }
    Err(("starting bubblewrap", become_bwrap(&orders, &filters)))
}

/// Nothing but the socket and the output pipe passes: a foreign descriptor would be a door (trap).
#[expect(unsafe_code, reason = "close_range has no safe form")]
fn close_inherited() -> io::Result<()> {
    // SAFETY: this is the first thing that the process does; nothing in it owns a descriptor above 2 yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds each host path below the staging folder, in a mount namespace that ends with this process.
#[expect(unsafe_code, reason = "unshare is unsafe for the sake of one flag that is not used here")]
fn stage(staged: &[Staged]) -> io::Result<()> {
    // Picked up before the namespace changes: `/proc/self/exe` belongs to the old one.
    let picked = staged.iter().map(pick_up).collect::<io::Result<Vec<_>>>()?;
    // SAFETY: only the mount namespace is unshared, never the table of descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    // Not private: an unmount on the host still arrives here, so that nothing is held longer than there.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("staging", STAGING, "tmpfs", flags, Some(c"size=256k,mode=0755"))?;
    fixed::lay(&Path::new(STAGING).join("fixed"))?;
    for (Staged { host, name }, tree) in staged.iter().zip(picked) {
        put_down(&tree, &Path::new(STAGING).join(name)).map_err(|error| named(host, &error))?;
    }
    Ok(())
}

fn named(host: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", host.display()))
}

fn pick_up(staged: &Staged) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, &staged.host, flags).map_err(|error| named(&staged.host, &error.into()))
}

fn put_down(tree: &OwnedFd, point: &Path) -> io::Result<()> {
    match FileType::from_raw_mode(fstat(tree)?.st_mode) {
        FileType::Directory => rustix::fs::mkdir(point, Mode::from_raw_mode(0o755))?,
        FileType::RegularFile | FileType::Socket => drop(File::create(point)?),
        _ => {
            let what = "it is no file, folder or socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    }
    Ok(move_mount(tree, "", CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn bound(orders: &Launch) -> io::Result<()> {
    let set = |resource, value| {
        let value = Some(value);
        setrlimit(resource, Rlimit { current: value, maximum: value })
    };
    set(Resource::Core, 0)?;
    set(Resource::Fsize, orders.file_bytes)?;
    let open_files = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(OPEN_FILES);
    set(Resource::Nofile, open_files.min(OPEN_FILES))?;
    if let Some(processes) = orders.processes {
        set(Resource::Nproc, processes)?;
    }
    Ok(())
}

/// bubblewrap that is started as root acts as root on files, whatever `--uid` says (trap).
fn become_uid(uid: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    let rights = capabilities(None)?;
    let none_left = rights.effective.is_empty() && rights.permitted.is_empty();
    if geteuid() == user && getegid() == group && none_left {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "some right of root survived"))
    }
}

/// The kernel kills this process, and with `--die-with-parent` all of the sandbox, when the worker's thread that
/// started it ends.
fn die_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The worker may have died before that was said.
    match getppid() {
        Some(now) if now.as_raw_nonzero().get() == parent => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::NotConnected, "the worker is gone")),
    }
}

/// The environment of bubblewrap is seen inside as that of process 1, whatever `--clearenv` says (trap), so that it is
/// empty.
fn become_bwrap(orders: &Launch, filters: &[OwnedFd]) -> io::Error {
    let mut command = Command::new(&orders.bwrap);
    if !Missing::Environment.is_away() {
        command.env_clear();
    }
    command.args(&orders.arguments);
    for filter in filters {
        command.arg("--add-seccomp-fd").arg(filter.as_raw_fd().to_string());
    }
    missing::hand_in(&mut command);
    command.arg("--").args(&orders.command).exec()
}
