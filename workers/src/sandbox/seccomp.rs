//! The system calls that a build has no use for, as filters for bubblewrap to load: the ways to new namespaces and
//! mounts, into other processes, into the kernel's keys, programs and rings, and the socket families that a network
//! namespace does not cover. Three filters, because one knows one answer.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Calls that are refused whatever their arguments.
const REFUSED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_kexec_file_load];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// All filters, each in a file in memory, rewound, for `--add-seccomp-fd`.
pub(super) fn files() -> io::Result<Vec<OwnedFd>> {
    programs().map_err(io::Error::other)?.iter().map(memory_file).collect()
}

fn programs() -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let arch = TargetArch::try_from(ARCH)?;
    let compile = |rules: Rules, errno: i32| -> Result<BpfProgram, seccompiler::BackendError> {
        let answer = SeccompAction::Errno(errno.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()
    };
    let mut programs = vec![
        compile(refused_rules()?, libc::EPERM)?,
        compile(BTreeMap::from([(libc::SYS_socket, socket_rules()?)]), libc::EAFNOSUPPORT)?,
        // Its flags lie in memory where a filter cannot look: libc and node fall back to clone, which is looked at.
        compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?,
    ];
    if ARCH == "x86_64" {
        programs.push(refuse_x32());
    }
    Ok(programs)
}

fn refused_rules() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules =
        REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, clone_rules()?);
    rules.insert(libc::SYS_ioctl, ioctl_rules()?);
    Ok(rules)
}

/// A clone into any new namespace.
fn clone_rules() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    namespaces
        .into_iter()
        .map(|flag| {
            let flag = u64::from(flag.unsigned_abs());
            let set = SeccompCmpOp::MaskedEq(flag);
            SeccompRule::new(vec![condition(0, SeccompCmpArgLen::Qword, set, flag)?])
        })
        .collect()
}

/// Typing into the terminal that the worker may have been started from.
fn ioctl_rules() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    [libc::TIOCSTI, libc::TIOCLINUX]
        .into_iter()
        // The kernel looks at 32 bits of the request only.
        .map(|request| SeccompRule::new(vec![argument(1, SeccompCmpOp::Eq, request)?]))
        .collect()
}

/// Every family but UNIX, INET, INET6 and NETLINK, and of NETLINK all but ROUTE, which node's `networkInterfaces`
/// needs. A network namespace does not cover VSOCK: on a virtual machine it is a road to the host.
fn socket_rules() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let others = families
        .into_iter()
        .map(|family| argument(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())))
        .collect::<Result<Vec<_>, _>>()?;
    let netlink = vec![
        argument(0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.unsigned_abs()))?,
        argument(2, SeccompCmpOp::Ne, u64::from(libc::NETLINK_ROUTE.unsigned_abs()))?,
    ];
    Ok(vec![SeccompRule::new(others)?, SeccompRule::new(netlink)?])
}

fn argument(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    condition(index, SeccompCmpArgLen::Dword, operator, value)
}

fn condition(
    index: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, length, operator, value)
}

/// On x86-64 every call has a second number, with this bit set, where the kernel was built with the x32 interface;
/// rules by number would miss it.
const X32_BIT: u32 = 0x4000_0000;

fn refuse_x32() -> BpfProgram {
    // From linux/bpf_common.h and linux/seccomp.h: load the call's number, compare, answer.
    const LOAD_WORD_AT: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let no_such_call = ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        sock_filter { code: LOAD_WORD_AT, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: X32_BIT },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: no_such_call },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ALLOW },
    ]
}

/// The instructions as the kernel reads them. The file has to survive the exec into bubblewrap, which closes it.
fn memory_file(program: &BpfProgram) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::empty())?;
    let mut file = std::fs::File::from(file);
    for instruction in program {
        let mut bytes = [0_u8; 8];
        bytes[..2].copy_from_slice(&instruction.code.to_ne_bytes());
        bytes[2] = instruction.jt;
        bytes[3] = instruction.jf;
        bytes[4..].copy_from_slice(&instruction.k.to_ne_bytes());
        file.write_all(&bytes)?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_and_fit_the_kernels_bound() {
        let programs = programs().unwrap();
        assert!(programs.len() >= 3);
        for program in programs {
            assert!((3..4096).contains(&program.len()));
        }
    }
}
