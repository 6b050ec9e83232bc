//! What is the same in each sandbox: a small `/etc`, and the empty folder and empty file that mask what must not be
//! seen. Everybody may read it and nobody inside may change it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const FOLDERS: [&str; 4] = ["", "etc", "etc/alternatives", "empty"];
const FILES: [(&str, &str); 6] = [
    ("nothing", ""),
    ("etc/passwd", "build:x:1000:1000::/tmp/home:/bin/sh\n"),
    ("etc/group", "build:x:1000:\n"),
    ("etc/hosts", "127.0.0.1 localhost build\n::1 localhost\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    // Each name is asked once, of the resolver in the sandbox, which knows none.
    ("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"),
];

/// Writes it all into `folder`, which is made.
pub(super) fn lay(folder: &Path) -> io::Result<()> {
    for name in FOLDERS {
        let path = folder.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444))?;
    }
    Ok(())
}
