//! The bubblewrap command line of one step or cell, as values. The six traps that its flags cure are told where they stand.

use std::path::{Path, PathBuf};

use super::mask::{self, Mask};
use super::missing::Missing;
use super::orders::{STAGING, Staged};
use super::slot::Identity;
use super::{ReadOnlyBind, SandboxError, Slot, Step, WorkArea};

/// Where the step's socket lies inside.
pub(super) const INSIDE_SOCKET: &str = "/run/mirror.sock";
/// Where distributions put it.
const PROGRAMS: [&str; 3] = ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"];

/// The bubblewrap program of this machine; `PATH` is not asked.
pub(super) fn find() -> Result<PathBuf, SandboxError> {
    PROGRAMS.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        SandboxError::Unavailable {
            missing: "bubblewrap is not installed".to_owned(),
            mend: "apt-get install -y bubblewrap".to_owned(),
        }
    })
}

/// The arguments of one step or cell and what has to be staged for them.
pub(super) struct Plan {
    pub(super) arguments: Vec<String>,
    pub(super) staged: Vec<Staged>,
    identity: Identity,
}

impl Plan {
    /// Lays out the sandbox of one step.
    pub(super) fn new(area: &WorkArea, step: &Step) -> Result<Self, SandboxError> {
        let slot = area.slot();
        let mut plan =
            Self { arguments: Vec::new(), staged: Vec::new(), identity: slot.identity() };
        let folder = slot.folder();
        let fixed = match plan.identity {
            // The launcher lays it down there.
            Identity::OwnUid(_) => format!("{STAGING}/fixed"),
            Identity::Caller { .. } => plan.source("fixed", &folder.join("fixed"))?,
        };
        let tmp = plan.source("tmp", &folder.join("tmp"))?;
        let build = plan.source("build", &folder.join("build"))?;
        let init = plan.source("init", slot.init())?;
        let socket = plan.source("mirror", step.network.socket())?;
        plan.namespaces();
        plan.host_system(&fixed);
        plan.add(["--dev", "/dev", "--bind", &format!("{tmp}/shm"), "/dev/shm"]);
        // Trap: bubblewrap's own /dev and / are writable and half as large as the machine's memory.
        plan.add(["--remount-ro", "/dev"]);
        if Missing::Processes.is_away() {
            plan.add(["--ro-bind", "/proc", "/proc"]);
        } else {
            plan.add(["--proc", "/proc"]);
        }
        plan.add(["--bind", &format!("{tmp}/tmp"), "/tmp"]);
        plan.add(["--bind", &format!("{build}/work"), super::INSIDE_WORK]);
        plan.add(["--bind", &format!("{build}/home"), super::INSIDE_HOME]);
        for (number, bind) in step.mounts.iter().enumerate() {
            let source = plan.source(&format!("mount{number}"), &bind.host)?;
            let how = if Missing::ReadOnly.is_away() { "--bind" } else { "--ro-bind" };
            plan.add([how, &source, inside(&bind.inside)?]);
        }
        plan.add(["--ro-bind", &init, super::INSIDE_PROGRAM, "--ro-bind", &socket, INSIDE_SOCKET]);
        plan.add(["--chdir", "/", "--remount-ro", "/"]);
        Ok(plan)
    }

    /// Lays out a cell: what our own program takes to start, what it is shown, and nothing else.
    pub(super) fn of_cell(slot: &Slot, shown: &[ReadOnlyBind]) -> Result<Self, SandboxError> {
        let mut plan =
            Self { arguments: Vec::new(), staged: Vec::new(), identity: slot.identity() };
        let init = plan.source("init", slot.init())?;
        plan.namespaces();
        plan.libraries();
        for (number, bind) in shown.iter().enumerate() {
            let source = plan.source(&format!("mount{number}"), &bind.host)?;
            plan.add(["--ro-bind", &source, inside(&bind.inside)?]);
        }
        plan.add(["--ro-bind", &init, super::INSIDE_PROGRAM]);
        plan.add(["--chdir", "/", "--remount-ro", "/"]);
        Ok(plan)
    }

    /// The host's shared libraries, without its programs.
    fn libraries(&mut self) {
        for name in ["lib", "lib32", "lib64", "libx32"] {
            let (path, below_usr) = (format!("/{name}"), format!("/usr/{name}"));
            self.add(["--ro-bind-try", &below_usr, &below_usr]);
            match std::fs::read_link(&path) {
                Ok(target) => self.add(["--symlink", &target.to_string_lossy(), &path]),
                Err(_) if Path::new(&path).is_dir() => self.add(["--ro-bind", &path, &path]),
                Err(_) => {}
            }
        }
    }

    fn add<const N: usize>(&mut self, arguments: [&str; N]) {
        self.arguments.extend(arguments.map(str::to_owned));
    }

    /// A host path as bubblewrap is told it: as root through the staging folder.
    fn source(&mut self, name: &str, host: &Path) -> Result<String, SandboxError> {
        let text = host.to_str().ok_or_else(|| {
            SandboxError::BadStep(format!("the path {} is not UTF-8", host.display()))
        })?;
        match self.identity {
            Identity::OwnUid(_) => {
                self.staged.push(Staged { host: host.to_owned(), name: name.to_owned() });
                Ok(format!("{STAGING}/{name}"))
            }
            Identity::Caller { .. } if text == "/proc/self/exe" => {
                let own =
                    std::env::current_exe().ok().and_then(|path| path.to_str().map(str::to_owned));
                own.ok_or_else(|| {
                    SandboxError::BadStep("the running program has no path".to_owned())
                })
            }
            Identity::Caller { .. } => Ok(text.to_owned()),
        }
    }

    fn namespaces(&mut self) {
        self.add(["--unshare-user", "--unshare-uts", "--unshare-cgroup-try"]);
        if !Missing::Ipc.is_away() {
            self.add(["--unshare-ipc"]);
        }
        if !Missing::Network.is_away() {
            self.add(["--unshare-net"]);
        }
        if !Missing::Processes.is_away() {
            self.add(["--unshare-pid", "--as-pid-1"]);
        }
        self.add(["--disable-userns", "--assert-userns-disabled"]);
        self.add(["--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
        self.add(["--uid", "1000", "--gid", "1000", "--hostname", "build"]);
        if !Missing::Environment.is_away() {
            self.add(["--clearenv"]);
        }
    }

    /// The host's `/usr`, read-only, without its own node, package managers and certificates.
    fn host_system(&mut self, fixed: &str) {
        if Missing::Files.is_away() {
            for folder in ["/home", "/root", "/var", "/sys"] {
                self.add(["--ro-bind", folder, folder]);
            }
        }
        self.add(["--ro-bind", "/usr", "/usr"]);
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let path = format!("/{name}");
            match std::fs::read_link(&path) {
                Ok(target) => self.add(["--symlink", &target.to_string_lossy(), &path]),
                // A distribution that has not merged them into /usr.
                Err(_) if Path::new(&path).is_dir() => self.add(["--ro-bind", &path, &path]),
                Err(_) => {}
            }
        }
        self.add(["--ro-bind", &format!("{fixed}/etc"), "/etc"]);
        self.add(["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"]);
        let masks = if Missing::Covers.is_away() { Vec::new() } else { mask::of_this_host() };
        for mask in masks {
            match mask {
                Mask::File(path) => {
                    self.add(["--ro-bind", &format!("{fixed}/nothing"), &path]);
                }
                Mask::Folder(path) => self.add(["--ro-bind", &format!("{fixed}/empty"), &path]),
            }
        }
        self.add(["--dir", "/opt", "--dir", "/run"]);
    }
}

/// Refuses a mount that would lie over a wall.
fn inside(path: &str) -> Result<&str, SandboxError> {
    let walls = [
        "/proc",
        "/dev",
        "/tmp",
        "/etc",
        "/run",
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        super::INSIDE_WORK,
    ];
    let over_a_wall = walls.iter().any(|wall| Path::new(path).starts_with(wall));
    let plain =
        path.starts_with('/') && path.len() > 1 && !path.split('/').any(|part| part == "..");
    if plain && !over_a_wall {
        Ok(path)
    } else {
        Err(SandboxError::BadStep(format!("nothing may be bound at {path} inside the sandbox")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_bound_over_a_wall() {
        assert!(inside("/opt/node").is_ok());
        assert!(inside("/devices").is_ok());
        for wall in
            ["/", "opt", "/proc/self", "/dev", "/tmp/home", "/build/x", "/opt/../etc", "/usr/bin"]
        {
            assert!(inside(wall).is_err(), "{wall}");
        }
    }
}
