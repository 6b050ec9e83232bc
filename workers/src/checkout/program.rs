//! The `git` program in a cell of its own: a process namespace that ends as a whole with this process, no system or user
//! configuration, an environment of a few variables, and for everything that comes from elsewhere a file system that
//! shows only git itself and one folder of the cache. It knows nothing of tags or packages.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use countersign_core::limits::GIT_ALLOCATION_BYTES_MAX;

use super::{CheckoutError, Doing, origin::Origin};
use crate::progress::Watch;

/// Where programs are looked for: the host's, in the order of a shell.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What a network client reads below `/etc`: names, services and certificates.
const ETC: [&str; 10] = [
    "alternatives",
    "ca-certificates",
    "gai.conf",
    "gnutls",
    "host.conf",
    "hosts",
    "nsswitch.conf",
    "pki",
    "resolv.conf",
    "ssl",
];
/// Lines of git's that are kept for a message.
const LINES_MAX: usize = 200;
/// Bytes of git's standard output that are kept: the list of a repository's references.
const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How often a running git is looked at when it says nothing.
const LOOK: Duration = Duration::from_millis(100);
/// Objects that honest repositories hold, mostly from before git checked them, and that no reader of ours minds. What
/// may lead a checkout astray (`hasDotgit`, `hasDotdot`, the rules on `.gitmodules`) stays an error.
const TOLERATED: [&str; 17] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badFilemode",
    "badName",
    "badTagName",
    "badTimezone",
    "extraHeaderEntry",
    "largePathname",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];

/// The git program over one folder of the cache.
pub(super) struct Git<'a> {
    /// The folder that git may write.
    pub folder: &'a Path,
    /// Where it reads from; none for what needs neither network nor a foreign folder.
    pub origin: Option<&'a Origin>,
    /// What it connects to, in place of what the name of its host leads to by then: curl's `CURLOPT_RESOLVE` (git 2.37).
    pub pin: Option<&'a str>,
    /// The certificates that it believes, in one PEM file.
    pub roots: Option<&'a Path>,
    /// The proxy for what does not lie on this machine, and the hosts that are reached without it.
    pub proxy: Option<(&'a str, &'a str)>,
    /// How long it may run.
    pub time_limit: Duration,
    /// How large the folder may become.
    pub bytes_max: u64,
}

/// How a run of git came out.
#[derive(Debug)]
pub(super) struct Said {
    /// Whether it ended with code 0.
    pub success: bool,
    /// Its standard output.
    pub output: Vec<u8>,
    /// The last lines of its standard error.
    pub lines: Vec<String>,
    /// The bound that it was ended at, as a clause.
    pub ended_at: Option<String>,
}

impl Said {
    /// What bubblewrap said where it, and not git, failed: no namespace may be made here, or there is no git.
    fn cell_failure(&self) -> Option<String> {
        let last = self.lines.last().filter(|_| !self.success && self.ended_at.is_none())?;
        last.strip_prefix("bwrap: ").map(str::to_owned)
    }
}

impl Git<'_> {
    /// Runs git with these arguments to its end, which comes at the latest at a bound or when the job is withdrawn. No
    /// process of it lives afterwards.
    pub(super) fn run(
        &self,
        arguments: &[&str],
        watch: Watch<'_>,
        heard: &mut dyn FnMut(&str),
    ) -> Result<Said, CheckoutError> {
        fs::write(self.config_path(), self.config()).doing("Writing git's configuration")?;
        let mut child = self.cell().args(arguments).spawn().map_err(CheckoutError::NoCell)?;
        let (sender, events) = sync_channel(64);
        let stderr = child.stderr.take().expect("stderr was asked to be a pipe");
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        let told = Told { stderr: Some(stderr), stdout: Some(stdout) };
        told.listen(&sender);
        drop(sender);
        let mut said =
            Said { success: false, output: Vec::new(), lines: Vec::new(), ended_at: None };
        let ended = self.attend(&events, watch, &mut said, heard);
        if !matches!(ended, Ok(None)) {
            // Ending bubblewrap ends every process in its namespace, which closes the pipes.
            child.kill().doing("Ending git")?;
        }
        said.success = wait(&mut child)?;
        said.ended_at = ended?;
        said.success &= said.ended_at.is_none();
        match said.cell_failure() {
            Some(complaint) => Err(CheckoutError::CellRefused(complaint)),
            None => Ok(said),
        }
    }

    fn attend(
        &self,
        events: &Receiver<Event>,
        watch: Watch<'_>,
        said: &mut Said,
        heard: &mut dyn FnMut(&str),
    ) -> Result<Option<String>, CheckoutError> {
        let begun = Instant::now();
        let mut weighed = begun;
        loop {
            match events.recv_timeout(LOOK) {
                Ok(Event::Line(line)) => {
                    heard(&line);
                    if said.lines.len() == LINES_MAX {
                        said.lines.remove(0);
                    }
                    said.lines.push(line);
                }
                Ok(Event::Output(bytes)) => {
                    let room = OUTPUT_BYTES_MAX.saturating_sub(said.output.len());
                    said.output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    if bytes.len() > room {
                        return Ok(Some("it said more than we read".to_owned()));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
            if watch.cancelled() {
                return Err(CheckoutError::Cancelled);
            }
            if begun.elapsed() > self.time_limit {
                let seconds = self.time_limit.as_secs();
                return Ok(Some(format!("it was not done after {seconds} s")));
            }
            if weighed.elapsed() > Duration::from_secs(1) {
                weighed = Instant::now();
                if bytes_below(self.folder) > self.bytes_max {
                    let mib = self.bytes_max / (1024 * 1024);
                    return Ok(Some(format!("it brought more than {mib} MiB")));
                }
            }
        }
    }

    fn config_path(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// The whole configuration. It is a file because the server side of a local fetch sheds what stands on the command
    /// line, and `safe.directory` is meant for that side.
    fn config(&self) -> String {
        let mut text = "[core]\n\thooksPath = /dev/null\n\
                        [credential]\n\thelper =\n\
                        [gc]\n\tauto = 0\n\
                        [maintenance]\n\tauto = false\n\
                        [submodule]\n\trecurse = false\n\
                        [fetch]\n\tfsckObjects = true\n\tunpackLimit = 1\n\trecurseSubmodules = false\n\
                        [http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1\n\tlowSpeedTime = 60\n\
                        [protocol]\n\tallow = never\n"
            .to_owned();
        if let Some(pin) = self.pin {
            text.push_str(&format!("[http]\n\tcurloptResolve = {pin}\n"));
        }
        text.push_str("[fetch \"fsck\"]\n");
        for rule in TOLERATED {
            text.push_str(&format!("\t{rule} = ignore\n"));
        }
        if let Some(origin) = self.origin {
            text.push_str(&format!("[protocol \"{}\"]\n\tallow = always\n", origin.protocol()));
            for path in origin.trusted_folders() {
                text.push_str(&format!("[safe]\n\tdirectory = {}\n", quoted(&path)));
            }
        }
        text
    }

    fn cell(&self) -> Command {
        let mut cell = Command::new("bwrap");
        cell.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in self.environment() {
            cell.env(name, value);
        }
        cell.args(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
        cell.args(["--die-with-parent", "--new-session"]);
        match self.origin {
            Some(Origin::Local(_)) => self.show_everything(&mut cell),
            Some(Origin::Https(_) | Origin::LoopbackHttp(_)) => self.show_little(&mut cell),
            None => {
                cell.arg("--unshare-net");
                self.show_little(&mut cell);
            }
        }
        cell.arg("--bind").args([self.folder, self.folder]);
        cell.args(["--remount-ro", "/", "--chdir"]).arg(self.folder).args(["--", "git"]);
        cell
    }

    /// A folder of this machine is read as the caller would read it: it may lie anywhere, lead elsewhere by links,
    /// alternates or work tree files, and belong to somebody else.
    fn show_everything(&self, cell: &mut Command) {
        cell.args(["--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
        if rustix::process::geteuid().is_root() {
            cell.args(["--cap-add", "CAP_DAC_READ_SEARCH"]);
        }
    }

    /// What comes from elsewhere is handled where there is nothing to be seen but git.
    fn show_little(&self, cell: &mut Command) {
        cell.args(["--ro-bind", "/usr", "/usr"]);
        for folder in ["bin", "sbin", "lib", "lib32", "lib64"] {
            let path = Path::new("/").join(folder);
            match fs::read_link(&path) {
                Ok(target) => {
                    cell.arg("--symlink").args([target.as_path(), path.as_path()]);
                }
                Err(_) => {
                    cell.arg("--ro-bind-try").args([&path, &path]);
                }
            }
        }
        for name in ETC {
            let path = Path::new("/etc").join(name);
            cell.arg("--ro-bind-try").args([&path, &path]);
        }
        if let Some(roots) = self.roots {
            cell.arg("--ro-bind").args([roots, Path::new("/run/roots.pem")]);
        }
        cell.args(["--dev", "/dev", "--proc", "/proc", "--size", "16777216", "--tmpfs", "/tmp"]);
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let home = self.folder.join("home").display().to_string();
        let mut variables = vec![
            ("PATH", PATH.to_owned()),
            ("HOME", home),
            ("LANG", "C".to_owned()),
            ("LC_ALL", "C".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", self.config_path().display().to_string()),
            ("GIT_ATTR_NOSYSTEM", "1".to_owned()),
            ("GIT_ALLOC_LIMIT", GIT_ALLOCATION_BYTES_MAX.to_string()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_ASKPASS", "true".to_owned()),
            ("SSH_ASKPASS", "true".to_owned()),
        ];
        if matches!(self.origin, Some(Origin::Https(_))) {
            if self.roots.is_some() {
                variables.push(("GIT_SSL_CAINFO", "/run/roots.pem".to_owned()));
            }
            if let Some((proxy, exempt)) = self.proxy {
                variables.push(("https_proxy", proxy.to_owned()));
                variables.push(("no_proxy", exempt.to_owned()));
            }
        }
        variables
    }
}

enum Event {
    Line(String),
    Output(Vec<u8>),
}

struct Told {
    stderr: Option<ChildStderr>,
    stdout: Option<ChildStdout>,
}

impl Told {
    /// Two threads read until the pipes close; the channel closes with them.
    fn listen(mut self, events: &SyncSender<Event>) {
        if let Some(mut stderr) = self.stderr.take() {
            let events = events.clone();
            thread::spawn(move || read_lines(&mut stderr, &events));
        }
        if let Some(mut stdout) = self.stdout.take() {
            let events = events.clone();
            thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                    if events.send(Event::Output(buffer[..count].to_vec())).is_err() {
                        break;
                    }
                }
            });
        }
    }
}

/// Lines end with a line feed or, while a count runs, with a carriage return. Over-long ones are cut.
fn read_lines(from: &mut impl Read, events: &SyncSender<Event>) {
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        for &byte in &buffer[..count] {
            match byte {
                b'\n' | b'\r' => {
                    let text = String::from_utf8_lossy(&line).trim().to_owned();
                    line.clear();
                    if !text.is_empty() && events.send(Event::Line(text)).is_err() {
                        return;
                    }
                }
                _ if line.len() < 1024 => line.push(byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        // Nobody listens any more where this fails.
        let _unheard = events.send(Event::Line(String::from_utf8_lossy(&line).into_owned()));
    }
}

fn wait(child: &mut Child) -> Result<bool, CheckoutError> {
    Ok(child.wait().doing("Waiting for git")?.success())
}

/// The size of everything below a folder. What vanishes meanwhile counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let found = entry.metadata().ok()?;
        Some(if found.is_dir() { bytes_below(&entry.path()) } else { found.len() })
    };
    entries.filter_map(size).sum()
}

/// A value of git's configuration language.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_could_not_be_raised_is_not_taken_for_a_repository_that_is_gone() {
        let said = |success, line: &str| Said {
            success,
            output: Vec::new(),
            lines: vec!["warning: x".to_owned(), line.to_owned()],
            ended_at: None,
        };
        let refused = said(false, "bwrap: execvp git: No such file or directory");
        assert_eq!(
            refused.cell_failure().as_deref(),
            Some("execvp git: No such file or directory")
        );
        assert_eq!(said(false, "fatal: bwrap: x").cell_failure(), None);
        assert_eq!(said(true, "bwrap: x").cell_failure(), None);
    }
}
