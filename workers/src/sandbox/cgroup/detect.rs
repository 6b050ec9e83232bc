//! Where on this machine control groups with a memory and a process bound can be made: as root at the top of the
//! hierarchy, as an ordinary user in a delegated group. Version 2 is taken where it has both controllers; on machines
//! where version 1 has them and version 2 is only mounted beside it, version 1.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::sandbox::{Doing, SandboxError};

/// The name of the group into which a worker moves itself on version 2, because a group with members of its own
/// cannot hand controllers to groups below it.
const LEAF: &str = "countersign-self";

/// The folders under which groups are made.
#[derive(Debug, Clone)]
pub(in crate::sandbox) enum Parents {
    /// One folder per controller.
    V1 { memory: PathBuf, pids: PathBuf },
    /// One folder.
    V2(PathBuf),
}

impl Parents {
    /// Finds them for this process and makes them ready. `Unavailable` where there are none.
    pub(in crate::sandbox) fn detect(is_root: bool) -> Result<Self, SandboxError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .doing(|| "Reading /proc/self/mountinfo".to_owned())?;
        let own = fs::read_to_string("/proc/self/cgroup")
            .doing(|| "Reading /proc/self/cgroup".to_owned())?;
        let mounts = CgroupMounts::parse(&mounts);
        if let Some(mount) = mounts.v2_with_both_controllers() {
            return v2(&mount, &own, is_root);
        }
        match (mounts.v1("memory"), mounts.v1("pids")) {
            (Some(memory), Some(pids)) => v1(&memory, &pids, &own, is_root),
            (None, _) => Err(unavailable("no cgroup with a memory controller is mounted", is_root)),
            (_, None) => Err(unavailable("no cgroup with a pids controller is mounted", is_root)),
        }
    }

    /// The folders, for a sweep.
    pub(in crate::sandbox) fn folders(&self) -> Vec<&Path> {
        match self {
            Self::V1 { memory, pids } => vec![memory, pids],
            Self::V2(folder) => vec![folder],
        }
    }
}

fn v1(
    memory: &CgroupMount,
    pids: &CgroupMount,
    own: &str,
    is_root: bool,
) -> Result<Parents, SandboxError> {
    let at_top = Parents::V1 { memory: memory.point.clone(), pids: pids.point.clone() };
    if is_root && all_writable(&at_top) {
        return Ok(at_top);
    }
    let below = |mount: &CgroupMount, controller: &str| {
        own_path(own, |controllers| controllers.split(',').any(|name| name == controller))
            .and_then(|path| mount.folder_of(&path))
    };
    if let (Some(memory), Some(pids)) = (below(memory, "memory"), below(pids, "pids")) {
        let delegated = Parents::V1 { memory, pids };
        if all_writable(&delegated) {
            return Ok(delegated);
        }
    }
    Err(unavailable("this process may make no cgroup with memory and pids bounds", is_root))
}

fn v2(mount: &CgroupMount, own: &str, is_root: bool) -> Result<Parents, SandboxError> {
    let own = own_path(own, str::is_empty).and_then(|path| mount.folder_of(&path));
    let own = own.map(|folder| {
        let in_leaf = folder.file_name().is_some_and(|name| name == LEAF);
        if in_leaf { folder.parent().unwrap_or(&folder).to_owned() } else { folder }
    });
    let top = (is_root && writable(&mount.point)).then(|| mount.point.clone());
    let own = own.filter(|folder| {
        writable(folder)
            && has_both(folder, "cgroup.controllers")
            && (!is_root || delegated(folder))
    });
    let candidates = [own, top];
    let mut refused = None;
    for folder in candidates.into_iter().flatten() {
        match hand_down(&folder) {
            Ok(()) => return Ok(Parents::V2(folder)),
            Err(error) => refused = Some(format!("{}: {error}", folder.display())),
        }
    }
    let missing = match refused {
        Some(why) => format!("the cgroup could not hand down its controllers ({why})"),
        None => {
            "this process is in no cgroup that was delegated to it with memory and pids".to_owned()
        }
    };
    Err(unavailable(&missing, is_root))
}

/// Whether systemd (or a container's runtime) says that this group is ours to divide.
fn delegated(folder: &Path) -> bool {
    let mut value = [0_u8; 8];
    ["trusted.delegate", "user.delegate"].into_iter().any(|name| {
        rustix::fs::getxattr(folder, name, &mut value[..]).is_ok_and(|n| value[..n] == *b"1")
    })
}

/// Makes memory and pids available to groups below `folder`. A group with members cannot do so, except the real root:
/// then the members, which are in a group delegated to us, are moved into a leaf first.
fn hand_down(folder: &Path) -> std::io::Result<()> {
    let control = folder.join("cgroup.subtree_control");
    if has_both(folder, "cgroup.subtree_control") {
        return Ok(());
    }
    let is_real_root = !folder.join("cgroup.type").exists();
    if !is_real_root {
        let leaf = folder.join(LEAF);
        match fs::create_dir(&leaf) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for pid in fs::read_to_string(folder.join("cgroup.procs"))?.lines() {
            match fs::write(leaf.join("cgroup.procs"), pid) {
                // It ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                other => other?,
            }
        }
    }
    fs::write(control, "+memory +pids")
}

fn has_both(folder: &Path, file: &str) -> bool {
    let list = fs::read_to_string(folder.join(file)).unwrap_or_default();
    ["memory", "pids"].iter().all(|wanted| list.split_whitespace().any(|name| name == *wanted))
}

fn all_writable(parents: &Parents) -> bool {
    parents.folders().into_iter().all(writable)
}

fn writable(folder: &Path) -> bool {
    accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// This process's path in the hierarchy whose controller list fits, from `/proc/self/cgroup`.
fn own_path(own: &str, fits: impl Fn(&str) -> bool) -> Option<PathBuf> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let path = parts.next()?;
        fits(controllers).then(|| PathBuf::from(path))
    })
}

/// The mending line of a missing cgroup.
fn unavailable(missing: &str, is_root: bool) -> SandboxError {
    let mend = if is_root {
        "Mount the cgroup file system writable with the memory and pids controllers. In a container: `docker run \
         --privileged --cgroupns=private …`; on Linux with cgroup v1: `mount -t cgroup -o memory cgroup \
         /sys/fs/cgroup/memory`, and the same for pids."
            .to_owned()
    } else {
        "Start the command in a cgroup of its own: `systemd-run --user --scope -p Delegate=yes countersign …`. Without \
         systemd, or with cgroup v1, let root make one for this user: `mkdir /sys/fs/cgroup/{memory,pids}/USER && chown \
         -R USER /sys/fs/cgroup/{memory,pids}/USER`, and write the shell's number into both cgroup.procs; or run as \
         root."
            .to_owned()
    };
    SandboxError::Unavailable { missing: missing.to_owned(), mend }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CgroupMount {
    /// The group that is seen at the mount point; `/` outside containers.
    root: PathBuf,
    point: PathBuf,
}

impl CgroupMount {
    /// The folder of the group with this path, where the mount shows it.
    fn folder_of(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        let outside = below.components().any(|part| part == std::path::Component::ParentDir);
        (!outside).then(|| self.point.join(below))
    }
}

/// Every mounted hierarchy of this mount namespace.
struct CgroupMounts {
    v1: Vec<(Vec<String>, CgroupMount)>,
    v2: Vec<CgroupMount>,
}

impl CgroupMounts {
    fn parse(mountinfo: &str) -> Self {
        let mut mounts = Self { v1: Vec::new(), v2: Vec::new() };
        for line in mountinfo.lines() {
            // proc_pid_mountinfo(5): id parent major:minor root point options [optional…] - type source super-options
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (Some(root), Some(point)) = (left.get(3), left.get(4)) else { continue };
            let mount = CgroupMount { root: PathBuf::from(root), point: PathBuf::from(point) };
            match right.as_slice() {
                ["cgroup2", ..] => mounts.v2.push(mount),
                ["cgroup", _, options, ..] => {
                    let options = options.split(',').map(str::to_owned).collect();
                    mounts.v1.push((options, mount));
                }
                _ => {}
            }
        }
        mounts
    }

    fn v1(&self, controller: &str) -> Option<CgroupMount> {
        let fits = |options: &[String]| options.iter().any(|option| option == controller);
        self.v1.iter().find(|(options, _)| fits(options)).map(|(_, mount)| mount.clone())
    }

    fn v2_with_both_controllers(&self) -> Option<CgroupMount> {
        self.v2.iter().find(|mount| has_both(&mount.point, "cgroup.controllers")).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn hierarchies_are_told_apart_by_their_controllers() {
        let mounts = CgroupMounts::parse(HYBRID);
        let memory = mounts.v1("memory").expect("it is listed");
        assert_eq!(memory.point, Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(mounts.v1("pids"), None);
        assert_eq!(mounts.v2.len(), 1);
    }

    #[test]
    fn a_containers_own_group_is_found_below_its_mount() {
        let memory = CgroupMounts::parse(HYBRID).v1("memory").expect("it is listed");
        let own = "7:memory:/docker/abc/worker\n1:cpu,cpuacct:/docker/abc\n0::/\n";
        let path = own_path(own, |list| list == "memory").expect("it is listed");
        assert_eq!(memory.folder_of(&path), Some(PathBuf::from("/sys/fs/cgroup/memory/worker")));
        assert_eq!(memory.folder_of(Path::new("/docker/other")), None);
        assert_eq!(memory.folder_of(Path::new("/docker/abc/../other")), None);
        assert_eq!(own_path(own, str::is_empty), Some(PathBuf::from("/")));
    }

    #[test]
    fn an_ordinary_user_is_told_the_line_that_delegates_a_cgroup() {
        let error = unavailable("x", false);
        assert!(
            error
                .mend()
                .expect("it has one")
                .contains("systemd-run --user --scope -p Delegate=yes")
        );
    }
}
