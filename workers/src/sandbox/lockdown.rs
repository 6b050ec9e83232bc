//! What a process of ours keeps of the kernel once it only reads: an allow-list of system calls, set by itself and for ever.
//! No socket can be made, no process or thread started, no program run, nothing opened for writing, and no memory made
//! executable. The filters of `seccomp.rs` stand around it all the same.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io;

use libc::{c_int, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Calls that are let through whatever their arguments: they work on what is open and on the process's own memory.
const ALLOWED: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
];

#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] =
    &[libc::SYS_access, libc::SYS_lstat, libc::SYS_readlink, libc::SYS_stat];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// Leaves this thread, which is to be the only one, with nothing but what reading takes.
pub(super) fn to_reading() -> io::Result<()> {
    let program = program().map_err(io::Error::other)?;
    rustix::thread::set_no_new_privs(true)?;
    apply_filter(&program).map_err(io::Error::other)
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: Rules =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let write_bits = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT;
    rules.insert(libc::SYS_openat, vec![without(2, write_bits)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![without(1, write_bits)?]);
    rules.insert(libc::SYS_mmap, vec![without(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_fcntl, vec![is(1, libc::F_GETFL)?, is(1, libc::F_GETFD)?]);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refused, SeccompAction::Allow, TargetArch::try_from(ARCH)?)?
        .try_into()
}

/// The argument has none of these bits.
fn without(index: u8, bits: c_int) -> Result<SeccompRule, seccompiler::BackendError> {
    argument(index, SeccompCmpOp::MaskedEq(bits.unsigned_abs().into()), 0)
}

fn is(index: u8, value: c_int) -> Result<SeccompRule, seccompiler::BackendError> {
    argument(index, SeccompCmpOp::Eq, value.unsigned_abs().into())
}

fn argument(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// What a thread that gave everything up can and cannot do. The filter is the thread's own, and ends with it.
    #[test]
    fn who_only_reads_can_neither_write_nor_connect_nor_start_anything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "text").unwrap();
        let tried = std::thread::spawn(move || {
            to_reading().unwrap();
            let mut text = String::new();
            File::open(&path).unwrap().read_to_string(&mut text).unwrap();
            let refused = [
                ("write", OpenOptions::new().write(true).open(&path).map(drop)),
                ("create", File::create(path.with_extension("new")).map(drop)),
                ("remove", std::fs::remove_file(&path)),
                ("socket", UnixStream::pair().map(drop)),
                ("thread", std::thread::Builder::new().spawn(|| {}).map(drop)),
                ("program", std::process::Command::new("/bin/true").spawn().map(drop)),
            ];
            (text, refused.map(|(name, done)| (name, done.map_err(|error| error.kind()))))
        });
        let (text, refused) = tried.join().unwrap();
        assert_eq!(text, "text");
        for (name, done) in refused {
            assert_eq!(done, Err(ErrorKind::PermissionDenied), "{name}");
        }
    }
}
