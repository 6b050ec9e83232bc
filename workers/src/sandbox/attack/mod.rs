//! `sandbox-init attack`: what a hostile build would try first, tried from inside by our own program. A worker runs it
//! at its start and takes no job where one attempt got through; the tests run it too, inside, where every wall has to
//! hold, and outside, where it has to find them open. One line per attempt: `held NAME` or `open NAME: what happened`.

mod calls;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) name: String,
    /// What got through, where something did.
    pub(super) open: Option<String>,
}

impl Attempt {
    fn new(name: impl Into<String>, held: Result<(), String>) -> Self {
        Self { name: name.into(), open: held.err() }
    }

    fn line(&self) -> String {
        match &self.open {
            None => format!("held {}", self.name),
            Some(what) => format!("open {}: {what}", self.name),
        }
    }

    /// Reads one line of the output back.
    pub(super) fn parse(line: &str) -> Option<Self> {
        if let Some(name) = line.strip_prefix("held ") {
            return Some(Self { name: name.to_owned(), open: None });
        }
        let (name, what) = line.strip_prefix("open ")?.split_once(": ")?;
        Some(Self { name: name.to_owned(), open: Some(what.to_owned()) })
    }
}

/// Tries everything and writes what came of it.
pub(super) fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for attempt in all() {
        writeln!(out, "{}", attempt.line())?;
    }
    Ok(())
}

fn all() -> Vec<Attempt> {
    let mut attempts = calls::all();
    attempts.extend([rights(), descriptors(), environment(), processes(), process_one(), uid()]);
    attempts.extend(network());
    attempts.extend(writes());
    attempts.extend(secrets());
    attempts
}

/// No capability in any set, no way to gain one, and a filter.
fn rights() -> Attempt {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim).to_owned()
    };
    let mut wrong = Vec::new();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        if field(set).chars().any(|digit| digit != '0') || field(set).is_empty() {
            wrong.push(format!("{set} {}", field(set)));
        }
    }
    for (name, wanted) in [("NoNewPrivs:", "1"), ("Seccomp:", "2")] {
        if field(name) != wanted {
            wrong.push(format!("{name} {}", field(name)));
        }
    }
    Attempt::new("rights", if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) })
}

/// Nothing but the three standard descriptors, and the one that lists them.
fn descriptors() -> Attempt {
    let foreign: Vec<String> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number: i32 = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            (number > 2 && !target.contains("/fd")).then(|| format!("{number} is {target}"))
        })
        .collect();
    Attempt::new("descriptors", none_of(&foreign))
}

fn environment() -> Attempt {
    let foreign: Vec<String> = std::env::vars_os()
        .filter(|(name, _)| name != "PATH")
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    Attempt::new("environment", none_of(&foreign))
}

/// No process of the machine is seen, and the environment of none but this one can be read.
fn processes() -> Attempt {
    let own = std::process::id().to_string();
    let foreign: Vec<String> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.parse::<u32>().is_ok() && *name != own && name != "1")
        .collect();
    Attempt::new("processes", none_of(&foreign))
}

/// Process 1 carries the requests out: it must not be looked into.
fn process_one() -> Attempt {
    let open: Vec<String> = ["environ", "mem", "maps", "fd/0", "root/etc", "ns/net"]
        .into_iter()
        .filter(|name| fs::metadata(format!("/proc/1/{name}")).is_ok())
        .filter(|name| fs::File::open(format!("/proc/1/{name}")).is_ok())
        .map(str::to_owned)
        .collect();
    Attempt::new("process 1", none_of(&open))
}

fn uid() -> Attempt {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let held =
        if (uid, gid) == (1000, 1000) { Ok(()) } else { Err(format!("uid {uid}, gid {gid}")) };
    Attempt::new("uid", held)
}

/// Nothing answers: not the machine's metadata service, not a resolver outside, and there is no interface but the
/// sandbox's own loopback.
fn network() -> Vec<Attempt> {
    let wait = Duration::from_secs(2);
    let mut attempts: Vec<Attempt> = ["169.254.169.254:80", "1.1.1.1:443", "[2606:4700::1111]:443"]
        .into_iter()
        .map(|address| {
            let to: SocketAddr = address.parse().expect("it is a literal address");
            let held = match TcpStream::connect_timeout(&to, wait) {
                Ok(_) => Err("connected".to_owned()),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    Err("packets leave".to_owned())
                }
                Err(_) => Ok(()),
            };
            Attempt::new(format!("connect {address}"), held)
        })
        .collect();
    let sent = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", "8.8.8.8:53"));
    attempts.push(Attempt::new("send 8.8.8.8:53", refused(sent)));
    let interfaces = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let foreign: Vec<String> = interfaces
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| name != "lo")
        .collect();
    attempts.push(Attempt::new("interfaces", none_of(&foreign)));
    attempts
}

fn writes() -> Vec<Attempt> {
    ["/", "/usr", "/usr/bin", "/etc", "/dev", "/run", "/opt", "/proc/sys/kernel"]
        .into_iter()
        .map(|folder| {
            let path = format!("{}/countersign-attack", folder.trim_end_matches('/'));
            let held = refused(fs::write(&path, "x"));
            Attempt::new(format!("write {folder}"), held)
        })
        .collect()
}

fn secrets() -> Vec<Attempt> {
    let files = ["/etc/shadow", "/root", "/home", "/var", "/sys", "/proc/kcore", "/etc/ssl/certs"];
    files
        .into_iter()
        .map(|path| {
            let held = match fs::metadata(path) {
                Ok(found) if found.is_dir() => refused(fs::read_dir(path)),
                Ok(_) => refused(fs::File::open(path)),
                Err(_) => Ok(()),
            };
            Attempt::new(format!("read {path}"), held)
        })
        .collect()
}

fn refused<T>(done: io::Result<T>) -> Result<(), String> {
    match done {
        Ok(_) => Err("it worked".to_owned()),
        Err(_) => Ok(()),
    }
}

fn none_of(foreign: &[String]) -> Result<(), String> {
    if foreign.is_empty() { Ok(()) } else { Err(foreign.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_back_from_its_line() {
        for open in [None, Some("it worked: twice".to_owned())] {
            let attempt = Attempt { name: "write /".to_owned(), open };
            assert_eq!(Attempt::parse(&attempt.line()), Some(attempt));
        }
        assert_eq!(Attempt::parse("something else"), None);
    }

    #[test]
    fn outside_the_sandbox_the_walls_are_found_open() {
        let open = |name: &str| {
            all().into_iter().find(|attempt| attempt.name == name).unwrap().open.is_some()
        };
        for name in ["rights", "environment", "processes", "socket AF_VSOCK", "call clone3"] {
            assert!(open(name), "{name}");
        }
    }
}
