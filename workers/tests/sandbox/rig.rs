//! What each test starts from: a slot in a folder of its own, a listener on the step's socket that refuses and
//! records, small limits, and a shell script as the build.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_worker::sandbox::{
    INSIDE_WORK, Limits, Network, ReadOnlyBind, Slot, Step, StepOutcome, WorkArea,
};

/// Listens on the step's socket, answers 403 to everything, and remembers what was asked.
pub(crate) struct Refuser {
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Refuser {
    pub(crate) fn listen(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("the socket can be made");
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(socket, open).expect("its mode can be set");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                answer(&connection, &heard);
            }
        });
        Self { asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics while it holds this").clone()
    }
}

fn answer(mut connection: &UnixStream, heard: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    heard.lock().expect("no test panics while it holds this").push(request);
    for line in lines {
        if line.is_empty() {
            break;
        }
    }
    let answer =
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 8\r\nconnection: close\r\n\r\nrefused\n";
    // A build that does not wait for it is none of the test's business.
    let _gone = connection.write_all(answer);
}

/// One slot with its work area and its recording socket.
pub(crate) struct Rig {
    pub(crate) area: WorkArea,
    pub(crate) refuser: Refuser,
    pub(crate) limits: Limits,
    pub(crate) mounts: Vec<ReadOnlyBind>,
    pub(crate) folder: tempfile::TempDir,
}

/// Bounds that a shell script reaches within a second.
pub(crate) fn small_limits() -> Limits {
    Limits {
        memory_bytes: 96 << 20,
        processes: 64,
        wall: Duration::from_secs(30),
        silence: Duration::from_secs(20),
        disk_bytes: 16 << 20,
        files: 4096,
        tmp_bytes: 8 << 20,
        file_bytes: 64 << 20,
        output_bytes: 1 << 20,
        log_bytes: 64 << 10,
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(small_limits())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let refuser = Refuser::listen(&folder.path().join("mirror.sock"));
        let slot = Slot::acquire(&folder.path().join("base")).expect("this machine has every wall");
        let area = slot.work_area(&limits).expect("a work area can be made");
        Self { area, refuser, limits, mounts: Vec::new(), folder }
    }

    /// Runs a shell script in the sandbox.
    pub(crate) fn sh(&mut self, script: &str) -> StepOutcome {
        self.run(&["/bin/sh", "-c", script])
    }

    /// Runs a Perl script: `perl-base` is essential on Debian and Ubuntu.
    pub(crate) fn perl(&mut self, script: &str) -> StepOutcome {
        self.run(&["/usr/bin/perl", "-e", script])
    }

    pub(crate) fn run(&mut self, argv: &[&str]) -> StepOutcome {
        let step = self.step(argv);
        self.area
            .run(&step, &self.limits, &AtomicBool::new(false), &mut |line| println!("| {line}"))
            .expect("the sandbox stands")
    }

    pub(crate) fn step(&self, argv: &[&str]) -> Step {
        let socket = self.folder.path().join("mirror.sock");
        Step { mounts: self.mounts.clone(), ..step(argv, &socket) }
    }
}

/// A step of the build phase.
pub(crate) fn step(argv: &[&str], socket: &Path) -> Step {
    Step {
        argv: argv.iter().map(|part| (*part).to_owned()).collect(),
        cwd: INSIDE_WORK.to_owned(),
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        mounts: Vec::new(),
        network: Network::Refused(socket.to_owned()),
    }
}

/// Waits for a condition; false when it did not come true in time.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
