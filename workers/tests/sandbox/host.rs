//! Attacks that look for the host: its secrets, its toolchain, its descriptors and its processes.

use std::process::Command;

use countersign_worker::sandbox::ReadOnlyBind;
use libtest_mimic::Trial;

use crate::rig::Rig;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the environment is exactly what the step says", environment),
        trial("a secret in the worker's environment is seen nowhere inside", planted_secret),
        trial("a descriptor that the worker inherited does not reach the build", inherited),
        trial("no process of the machine is seen", processes),
        trial("no system call that leads out is answered", calls),
        trial("no program of the host takes the chosen toolchain's place", host_tools),
        trial("no certificate of the host is seen inside", certificates),
        trial("no path of the work area's host folder is seen inside", host_paths),
        trial("the process at the door cannot be looked into or stopped", door),
    ]
}

fn environment() {
    let mut rig = Rig::new();
    let mut step = rig.step(&["/usr/bin/env"]);
    step.env = [("A", "1"), ("PATH", "/x"), ("B", "two words\nand a line")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let outcome = rig.area.run(&step, &rig.limits, &cancel, &mut |_| {});
    assert_eq!(outcome.expect("the sandbox stands").log, "A=1\nB=two words\nand a line\nPATH=/x\n");
}

/// Runs a script in a sandbox whose worker is a process of its own, which is started by `shell`.
fn in_another_worker(shell: &str, script: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let output = Command::new("/bin/bash")
        .args(["-c", &format!("{shell} exec \"$0\" run-script \"$1\" \"$2\"")])
        .arg(std::env::current_exe().expect("it runs"))
        .arg(folder.path())
        .arg(script)
        .env("COUNTERSIGN_PLANTED", "s3cr3t-value")
        .output()
        .expect("bash is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn planted_secret() {
    let script = "for file in /proc/*/environ /proc/*/cmdline /proc/*/task/*/environ; do cat $file | tr '\\0' '\\n'; done 2>&1; \
                  env; echo seen $(ls -d /proc/[0-9]* | wc -l)";
    let seen = in_another_worker("", script);
    assert!(seen.contains("/proc/1/environ: Permission denied"), "{seen}");
    assert!(seen.contains("PATH=/usr/bin"), "its own environment is seen: {seen}");
    assert!(!seen.contains("s3cr3t") && !seen.contains("PLANTED"), "{seen}");
}

fn inherited() {
    let script = "ls -l /proc/self/fd /proc/$$/fd; cat <&7; cat <&251";
    let seen = in_another_worker("exec 7< /etc/shadow 251< /etc/passwd;", script);
    assert!(!seen.contains("shadow") && !seen.contains("root:"), "{seen}");
    assert_eq!(seen.matches("-> /dev/null").count(), 2, "{seen}");
    assert_eq!(seen.matches("-> pipe:").count(), 4, "{seen}");
}

/// The door, a shell and what it starts.
fn processes() {
    let mut rig = Rig::new();
    let outcome = rig.sh("for folder in /proc/[0-9]*; do cat $folder/comm 2>/dev/null; done");
    let seen: Vec<_> = outcome.log.lines().collect();
    assert!(seen.len() <= 3 && seen.contains(&"sh"), "{seen:?}");
}

/// Namespaces, mounts, other processes, keys, rings, clocks, terminals and foreign kinds of sockets, each called raw.
fn calls() {
    let mut rig = Rig::new();
    let outcome = rig.run(&["/run/init", "sandbox-init", "attack"]);
    let lines = outcome.log.lines();
    let calls: Vec<_> =
        lines.filter(|line| line.contains(" call ") || line.contains(" socket ")).collect();
    assert!(calls.len() > 30, "{calls:?}");
    let open: Vec<_> = calls.iter().filter(|line| line.starts_with("open ")).collect();
    assert!(open.is_empty(), "{open:?}");
}

fn host_tools() {
    let mut rig = Rig::new();
    let names = "node nodejs npm npx corepack yarn yarnpkg pnpm pnpx bun bunx deno node-gyp";
    let outcome = rig.sh(&format!(
        "for name in {names}; do \
           for folder in /usr/bin /bin /usr/sbin /sbin /usr/games /usr/local/bin /usr/local/sbin; do \
             $folder/$name --version 2>/dev/null && echo \"ran $folder/$name\"; done; \
           command -v $name && echo \"found $name\"; done; \
         find / -name npm-cli.js -o -name corepack.js 2>/dev/null | while read f; do test -s $f && echo found $f; done; \
         ls -A /usr/local /usr/lib/node_modules /usr/share/nodejs 2>/dev/null | grep -v : | grep . ; echo done"
    ));
    assert_eq!(outcome.log, "done\n");

    let folder = rig.folder.path().join("bin");
    std::fs::create_dir(&folder).expect("it can be made");
    let node = folder.join("node");
    std::fs::write(&node, "#!/bin/sh\necho chosen\n").expect("it can be written");
    let status = Command::new("chmod").args(["-R", "755"]).arg(&folder).status();
    assert!(status.expect("chmod is there").success());
    rig.mounts.push(ReadOnlyBind { host: folder, inside: "/opt/tools/bin".to_owned() });
    let outcome = rig.sh("PATH=/usr/bin:/bin:/opt/tools/bin; command -v node; node");
    assert_eq!(
        outcome.log, "/opt/tools/bin/node\nchosen\n",
        "even where the host's folder is first"
    );
}

fn certificates() {
    let mut rig = Rig::new();
    let outcome = rig.sh(
        "grep -rls 'BEGIN CERTIFICATE' /etc /usr/share/ca-certificates /usr/lib/ssl /usr/local /usr/share/pki; \
         ls /etc/ssl /etc/pki; echo done",
    );
    let found: Vec<_> = outcome.log.lines().filter(|line| !line.contains("No such file")).collect();
    assert_eq!(found, ["done"]);
}

fn host_paths() {
    let mut rig = Rig::new();
    let folder = rig.folder.path().to_string_lossy().into_owned();
    let outcome = rig.sh("cat /proc/self/mountinfo /proc/1/mountinfo /proc/self/mounts; cat /proc/1/cmdline | tr '\\0' ' '; pwd -P");
    assert!(outcome.log.contains("/run/init sandbox-init inside"), "{}", outcome.log);
    assert!(!outcome.log.contains("/slots/"), "{}", outcome.log);
    let own = outcome
        .log
        .lines()
        .filter(|line| line.contains(&folder) && !line.contains("/run/mirror.sock"));
    assert_eq!(own.count(), 0, "{}", outcome.log);
}

fn door() {
    let mut rig = Rig::new();
    let outcome = rig.sh(
        "for file in mem environ maps fd ns/net root cwd exe; do \
           head -c 1 /proc/1/$file >/dev/null 2>&1 && echo \"read $file\"; ls /proc/1/$file/ >/dev/null 2>&1 && echo \"list $file\"; done; \
         kill -KILL 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; printf x | dd of=/proc/1/mem bs=1 seek=4096 2>/dev/null && echo wrote; \
         getent hosts still.answering; echo done",
    );
    assert_eq!(outcome.log, "done\n");
    assert!(rig.refuser.asked()[0].contains("still.answering"), "the door still stands");
}
