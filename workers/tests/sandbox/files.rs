//! Attacks on files: what a build can see and write, and what it leaves for the trusted parent to trip over.

use std::time::Duration;

use countersign_worker::sandbox::{Entry, EntryKind, ReadOnlyBind, StepEnding, TakeError};
use libtest_mimic::Trial;

use crate::rig::Rig;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a tree that was put in has git's modes and belongs to the build", tree),
        trial("a file of root that is mounted stays closed to the build", roots_file),
        trial("a mounted folder is read-only", read_only_mount),
        trial("a file of the host outside of what is mounted is not there", outside),
        trial("a link that the build left is never followed out", links_out),
        trial("a link that the build left is never written through", links_in),
        trial("a link is not exchanged for a file after the step", exchanged),
        trial("a pipe in a file's place does not make the worker wait", pipe),
        trial("a file larger than asked is not read", too_large),
        trial("no file can be made that another user could run with rights", set_uid),
        trial("what a step leaves is there for the next one", persistent),
    ]
}

fn put(rig: &Rig, path: &str, bytes: &[u8], executable: bool) {
    rig.area.put(path, &Entry::File { bytes, executable }).expect("there is room");
}

fn tree() {
    let mut rig = Rig::new();
    put(&rig, "package.json", b"{}", false);
    put(&rig, "bin/deep/run", b"#!/bin/sh\n", true);
    rig.area.put("link", &Entry::Symlink { target: b"bin/deep/run" }).expect("there is room");
    rig.area.put("empty/folder", &Entry::Directory).expect("there is room");
    let outcome = rig.sh(
        "stat -c '%a %U %F %n' package.json bin bin/deep/run link empty/folder; readlink link; umask; ./link && echo ran",
    );
    assert_eq!(
        outcome.log,
        "644 build regular file package.json\n755 build directory bin\n755 build regular file bin/deep/run\n\
         777 build symbolic link link\n755 build directory empty/folder\nbin/deep/run\n0022\nran\n"
    );
}

fn roots_file() {
    let mut rig = Rig::new();
    let folder = rig.folder.path().join("tools");
    std::fs::create_dir(&folder).expect("it can be made");
    std::fs::write(folder.join("secret"), "planted").expect("it can be written");
    std::fs::write(folder.join("open"), "visible").expect("it can be written");
    set_mode(&folder.join("secret"), 0o600);
    rig.mounts.push(ReadOnlyBind { host: folder, inside: "/opt/tools".to_owned() });
    let outcome = rig.sh("cat /opt/tools/open; echo; cat /opt/tools/secret");
    assert!(outcome.log.starts_with("visible\n"), "{}", outcome.log);
    assert!(outcome.log.contains("Permission denied"), "{}", outcome.log);
    assert!(!outcome.log.contains("planted"), "{}", outcome.log);
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("it can be set");
}

fn read_only_mount() {
    let mut rig = Rig::new();
    let folder = rig.folder.path().join("tools");
    std::fs::create_dir(&folder).expect("it can be made");
    set_mode(&folder, 0o777);
    rig.mounts.push(ReadOnlyBind { host: folder.clone(), inside: "/opt/tools".to_owned() });
    let outcome =
        rig.sh("echo x > /opt/tools/x; chmod 700 /opt/tools; mv /opt/tools /opt/other; ls /opt");
    assert_eq!(outcome.log.matches("Read-only file system").count(), 3, "{}", outcome.log);
    assert!(outcome.log.ends_with("tools\n"), "{}", outcome.log);
    assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 0);
}

fn outside() {
    let mut rig = Rig::new();
    let secret = rig.folder.path().join("secret");
    std::fs::write(&secret, "planted").expect("it can be written");
    set_mode(rig.folder.path(), 0o755);
    set_mode(&secret, 0o644);
    let outcome = rig.sh(&format!("cat {}; ls -a /; ls /run /opt", secret.display()));
    assert!(!outcome.log.contains("planted"), "{}", outcome.log);
    for hidden in ["root", "home", "var", "sys", "boot", "srv", "mnt"] {
        assert!(outcome.log.lines().all(|line| line != hidden), "{hidden} in {}", outcome.log);
    }
}

fn links_out() {
    let mut rig = Rig::new();
    rig.sh(
        "ln -s /etc/shadow absolute; ln -s ../../../../../etc/shadow climbing; mkdir real; echo x > real/file; \
         ln -s real through; ln -s /proc/self/root magic; ln -s . self",
    );
    for path in ["absolute", "climbing", "through"] {
        let taken = rig.area.take_file(path, 1 << 20);
        assert!(matches!(taken, Err(TakeError::NotAFile(_))), "{path}: {taken:?}");
    }
    let through = [
        "through/file",
        "magic/etc/shadow",
        "self/real/file",
        "../fixed/etc/passwd",
        "/etc/shadow",
    ];
    for path in through {
        assert!(rig.area.take_file(path, 1 << 20).is_err(), "{path}");
        assert!(rig.area.list(path).is_err(), "{path}");
    }
    assert_eq!(rig.area.take_file("real/file", 10).expect("it is plain"), b"x\n");
    let kinds: Vec<_> =
        rig.area.list("").expect("it is plain").iter().map(|file| file.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == EntryKind::Symlink).count(), 5);
}

fn links_in() {
    let mut rig = Rig::new();
    let victim = rig.folder.path().join("victim");
    std::fs::write(&victim, "untouched").expect("it can be written");
    let victim_text = victim.display();
    rig.sh(&format!("ln -s {victim_text} file; ln -s {} folder", rig.folder.path().display()));
    put(&rig, "file", b"written", false);
    assert_eq!(rig.area.take_file("file", 100).expect("the link was replaced"), b"written");
    let through =
        rig.area.put("folder/victim", &Entry::File { bytes: b"written", executable: false });
    assert!(through.is_err());
    assert!(rig.area.remove("folder/victim").is_err());
    for path in ["../victim", "/victim", "a/../../victim", "", ".", ".."] {
        let out = rig.area.put(path, &Entry::File { bytes: b"written", executable: false });
        assert!(out.is_err(), "{path}");
    }
    assert_eq!(std::fs::read(&victim).expect("it is there"), b"untouched");
}

/// A process that hides from its parent and exchanges a file for a link without end: it is gone before anything is read.
fn exchanged() {
    let mut rig = Rig::new();
    let swap = "echo plain > plain; ln -s /etc/shadow link; cp plain result; mkfifo ready; \
                (setsid sh -c 'trap \"\" TERM HUP; echo > ready; \
                 while :; do ln -f plain result; mv -T result old; mv -T link result; mv -T result link; mv -T old result; done' &) ; \
                read line < ready; sleep 0.1";
    rig.sh(swap);
    let first = format!("{:?}", rig.area.take_file("result", 100));
    for _ in 0..200 {
        let again = rig.area.take_file("result", 100);
        assert!(again.as_ref().map_or(true, |bytes| bytes == b"plain\n"), "{again:?}");
        assert_eq!(format!("{again:?}"), first);
    }
}

fn pipe() {
    let mut rig = Rig::new();
    rig.sh("mkfifo pipe; perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"socket\"))'");
    let started = std::time::Instant::now();
    for path in ["pipe", "socket"] {
        let taken = rig.area.take_file(path, 100);
        assert!(matches!(taken, Err(TakeError::NotAFile(_))), "{path}: {taken:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn too_large() {
    let mut rig = Rig::new();
    rig.sh("head -c 101 /dev/zero > large; truncate -s 32M sparse");
    assert!(matches!(
        rig.area.take_file("large", 100),
        Err(TakeError::TooLarge { bytes: 101, .. })
    ));
    assert!(rig.area.take_file("sparse", 100).is_err());
    assert_eq!(rig.area.take_file("large", 101).expect("it fits").len(), 101);
}

fn set_uid() {
    let mut rig = Rig::new();
    let outcome = rig.sh(
        "cp /bin/sh suid && chmod 6755 suid && stat -c %a suid; mknod device c 1 3; ./suid -c id",
    );
    assert!(outcome.log.contains("Operation not permitted"), "{}", outcome.log);
    assert!(outcome.log.contains("uid=1000(build) gid=1000(build)"), "{}", outcome.log);
    assert!(!outcome.log.contains("euid"), "{}", outcome.log);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("it is mounted");
    let folder = rig.folder.path().to_string_lossy().into_owned();
    let own: Vec<_> = mounts.lines().filter(|line| line.contains(&folder)).collect();
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|line| line.contains("nosuid,nodev")), "{own:?}");
}

fn persistent() {
    let mut rig = Rig::new();
    assert_eq!(rig.sh("echo a > here; echo b > /tmp/home/there").ending, StepEnding::Exited(0));
    assert_eq!(rig.sh("cat here /tmp/home/there").log, "a\nb\n");
    // A package manager's cache may be larger than /tmp.
    assert_eq!(
        rig.sh("head -c 12000000 /dev/zero > /tmp/home/cache").ending,
        StepEnding::Exited(0)
    );
}
