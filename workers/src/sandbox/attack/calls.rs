//! System calls that must be refused by the filter itself: each is made with arguments that the kernel would answer
//! differently if the filter let it through.

#![expect(unsafe_code, reason = "the calls are made raw, as a hostile program would")]

use std::io;

use libc::{c_int, c_long};

use super::Attempt;

/// Every call and socket family that is tried.
pub(super) fn all() -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = CALLS
        .iter()
        .map(|(name, number, arguments, answer)| {
            // SAFETY: the arguments are numbers and null pointers; where the filter fails, the kernel checks them.
            let (got, error) = unsafe { call(*number, *arguments) };
            Attempt::new(format!("call {name}"), told(got, error, *answer))
        })
        .collect();
    attempts.push(new_user_namespace());
    attempts.extend(SOCKETS.iter().map(|(name, family, kind, protocol)| {
        // SAFETY: a socket is made from three numbers; where it is made, it stays open until this process ends.
        let got = unsafe { libc::socket(*family, *kind, *protocol) };
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        Attempt::new(format!("socket {name}"), told(got.into(), error, libc::EAFNOSUPPORT))
    }));
    attempts
}

/// Name, number, arguments, the filter's answer. Without a filter each gets another answer than that, so that a hole
/// is seen even where the kernel would refuse the call for another reason.
const CALLS: &[(&str, c_long, [c_long; 5], c_int)] = &[
    ("unshare", libc::SYS_unshare, [0; 5], libc::EPERM),
    ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0], libc::EPERM),
    ("mount", libc::SYS_mount, [0; 5], libc::EPERM),
    ("umount2", libc::SYS_umount2, [0, -1, 0, 0, 0], libc::EPERM),
    ("open_tree", libc::SYS_open_tree, [-1, 0, -1, 0, 0], libc::EPERM),
    ("fsopen", libc::SYS_fsopen, [0, -1, 0, 0, 0], libc::EPERM),
    ("ptrace", libc::SYS_ptrace, [-1, 0, 0, 0, 0], libc::EPERM),
    ("process_vm_readv", libc::SYS_process_vm_readv, [0, 0, 0, 0, 0], libc::EPERM),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, [-1, -1, -1, 0, 0], libc::EPERM),
    ("kcmp", libc::SYS_kcmp, [0; 5], libc::EPERM),
    ("keyctl", libc::SYS_keyctl, [-1, 0, 0, 0, 0], libc::EPERM),
    ("add_key", libc::SYS_add_key, [0; 5], libc::EPERM),
    ("request_key", libc::SYS_request_key, [0; 5], libc::EPERM),
    ("bpf", libc::SYS_bpf, [-1, 0, 0, 0, 0], libc::EPERM),
    ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5], libc::EPERM),
    ("io_uring_enter", libc::SYS_io_uring_enter, [-1, 0, 0, 0, 0], libc::EPERM),
    ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0, 0], libc::EPERM),
    ("perf_event_open", libc::SYS_perf_event_open, [0; 5], libc::EPERM),
    ("name_to_handle_at", libc::SYS_name_to_handle_at, [-1, 0, 0, 0, -1], libc::EPERM),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, [-1, 0, 0, 0, 0], libc::EPERM),
    ("chroot", libc::SYS_chroot, [0; 5], libc::EPERM),
    ("fanotify_init", libc::SYS_fanotify_init, [-1, 0, 0, 0, 0], libc::EPERM),
    ("syslog", libc::SYS_syslog, [-1, 0, 0, 0, 0], libc::EPERM),
    ("ioctl TIOCSTI", libc::SYS_ioctl, [-1, tiocsti(), 0, 0, 0], libc::EPERM),
    (
        "ioctl TIOCSTI with high bits",
        libc::SYS_ioctl,
        [-1, tiocsti() | 1 << 40, 0, 0, 0],
        libc::EPERM,
    ),
    ("clock_settime", libc::SYS_clock_settime, [0; 5], libc::EPERM),
    ("clock_adjtime", libc::SYS_clock_adjtime, [0; 5], libc::EPERM),
    ("clone3", libc::SYS_clone3, [0; 5], libc::ENOSYS),
];

const SOCKETS: &[(&str, c_int, c_int, c_int)] = &[
    ("AF_VSOCK", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
    ("AF_PACKET", libc::AF_PACKET, libc::SOCK_RAW, 0),
    ("AF_ALG", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ("AF_NETLINK AUDIT", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
];

#[expect(clippy::cast_possible_wrap, reason = "the request's number is far below the sign bit")]
const fn tiocsti() -> c_long {
    libc::TIOCSTI as c_long
}

unsafe fn call(number: c_long, arguments: [c_long; 5]) -> (c_long, c_int) {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the caller answers for the arguments.
    let got = unsafe { libc::syscall(number, a, b, c, d, e) };
    (got, io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// By the one call that can make one without unshare; a child that comes of it ends at once.
fn new_user_namespace() -> Attempt {
    let flags = c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without a stack of its own the child runs as a fork; all that it does is to end.
    let (got, error) = unsafe {
        let (got, error) = call(libc::SYS_clone, [flags, 0, 0, 0, 0]);
        if got == 0 {
            libc::_exit(0);
        }
        (got, error)
    };
    Attempt::new("call clone CLONE_NEWUSER", told(got, error, libc::EPERM))
}

fn told(got: c_long, error: c_int, answer: c_int) -> Result<(), String> {
    if got == -1 && error == answer {
        return Ok(());
    }
    Err(if got == -1 {
        io::Error::from_raw_os_error(error).to_string()
    } else {
        format!("got {got}")
    })
}
