//! Unpacks a toolchain's tarball, whose bytes are pinned, into an empty folder: regular files only, each below that
//! folder, readable by everybody and writable by nobody else. It knows nothing of downloads.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use countersign_core::{
    limits::{ENTRIES_MAX, UNPACKED_BYTES_MAX},
    toolchain::{Tool, ToolName},
};
use flate2::read::GzDecoder;

use super::folder::open_to_readers;

/// Unpacks what a rebuild needs of that tool.
///
/// # Errors
/// On the first member that is no regular file or folder, or that leads out, and where the tool itself is missing.
pub(super) fn unpack(tarball: &File, tool: &Tool, into: &Path) -> io::Result<()> {
    open_to_readers(into)?;
    let mut archive = tar::Archive::new(GzDecoder::new(tarball));
    let mut left_bytes = UNPACKED_BYTES_MAX;
    for (index, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if index >= ENTRIES_MAX {
            return Err(refuse("the archive", "it has too many members"));
        }
        let path = inside(&entry.path()?)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || !is_needed(tool.name, &path) {
            continue;
        }
        if !kind.is_file() {
            return Err(refuse(&path.display().to_string(), "it is no regular file"));
        }
        left_bytes = left_bytes
            .checked_sub(entry.size())
            .ok_or_else(|| refuse("the archive", "it is too large when unpacked"))?;
        let is_program = path.starts_with("bin") || path == Path::new(main_file(tool));
        let executable = entry.header().mode()? & 0o111 != 0 || is_program;
        write(&mut entry, &into.join(path), into, executable)?;
    }
    let main = into.join(main_file(tool));
    if main.is_file() { Ok(()) } else { Err(refuse(main_file(tool), "it is not in the archive")) }
}

/// What is run of a tool, in its folder. pnpm's has the form of the node of its time, and from 12 on it needs none.
pub(super) fn main_file(tool: &Tool) -> &'static str {
    match tool.name {
        ToolName::Node => "bin/node",
        ToolName::Npm => "bin/npm-cli.js",
        ToolName::Pnpm if tool.major() < 11 => "bin/pnpm.cjs",
        ToolName::Pnpm if tool.major() < 12 => "bin/pnpm.mjs",
        ToolName::Pnpm => "pnpm",
        ToolName::Yarn => "bin/yarn.js",
        ToolName::Bun => "bin/bun",
    }
}

/// Of node only the program, its headers for native add-ons, and its licence.
fn is_needed(tool: ToolName, path: &Path) -> bool {
    match tool {
        ToolName::Node => {
            path == Path::new("bin/node")
                || path.starts_with("include")
                || path == Path::new("LICENSE")
        }
        ToolName::Npm | ToolName::Pnpm | ToolName::Yarn | ToolName::Bun => true,
    }
}

/// A member's path without the folder that npm packs everything in.
fn inside(path: &Path) -> io::Result<PathBuf> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(refuse(&path.display().to_string(), "it leads out of the archive"));
    }
    Ok(path.components().skip(1).collect())
}

fn write(from: &mut impl Read, path: &Path, root: &Path, executable: bool) -> io::Result<()> {
    let parent = path.parent().expect("it lies below the root");
    if !parent.is_dir() {
        std::fs::create_dir_all(parent)?;
        for made in parent.ancestors().take_while(|folder| *folder != root) {
            open_to_readers(made)?;
        }
    }
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    io::copy(from, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))
}

fn refuse(what: &str, why: &str) -> io::Error {
    io::Error::other(format!("`{what}` is refused: {why}"))
}
