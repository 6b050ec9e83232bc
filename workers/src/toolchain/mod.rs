//! The exact node and package managers of a plan, brought from the registry by pinned SHA-512 into a folder that all workers of a
//! machine share and no build can write. Which one is nearest to what a repository asks is decided in
//! `countersign_core::toolchain`; this file knows nothing of plans.

mod folder;
mod launchers;
mod unpack;

use std::{
    io,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use countersign_core::limits::TOOLCHAIN_BYTES_MAX;
pub use countersign_core::toolchain::{
    Choice, DEFAULT_NODE, DEFAULT_NPM, Pin, Pins, Tool, ToolName,
};
pub use folder::{FolderError, default_folder};
pub use launchers::Purpose;

use crate::upstream::{Upstream, UpstreamError};

/// The committed table, made by `script/pin-toolchains`.
static PINS: LazyLock<Pins> = LazyLock::new(|| {
    Pins::parse(include_str!("pins.tsv")).expect("a test reads the committed table")
});

/// The committed table of pins.
pub fn pins() -> &'static Pins {
    &PINS
}

/// Why a toolchain could not be brought: always our failure (`toolchain-not-available`), never the package's.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// Nobody asks for a tool that is not in the table: the nearest is chosen beforehand.
    #[error("{0} is not in the table of pinned toolchains")]
    NotPinned(Tool),
    /// The registry did not give it, or gave other bytes than those pinned.
    #[error("{tool} could not be brought")]
    Download {
        /// The tool.
        tool: Tool,
        /// Why.
        #[source]
        source: UpstreamError,
    },
    /// The tarball has the pinned bytes and does not hold what it should.
    #[error("the tarball of {tool} cannot be unpacked")]
    Unpack {
        /// The tool.
        tool: Tool,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cache folder refused.
    #[error("the toolchain cache cannot be used")]
    Cache(#[from] io::Error),
}

/// The folder of unpacked toolchains, shared by every worker of a machine. Each tool lies in a folder of its own under
/// its version and digest, is put there whole by one rename, and is never changed again.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the cache at that folder and makes what is missing. With `for_other_users` every parent has to be
    /// searchable by everybody, because the build runs under a uid of its own: so it is where the worker is root.
    ///
    /// # Errors
    /// Names the parent that is closed, and where the cache could lie instead.
    pub fn open(folder: &Path, for_other_users: bool) -> Result<Self, FolderError> {
        let folder = folder::prepare(folder, for_other_users)?;
        for part in ["toolchains", "launchers"] {
            folder::make(&folder.join(part))?;
        }
        Ok(Self { folder })
    }

    /// The folder of what registries answered, for [`Upstream::new`]; closed to the build.
    pub fn registry_folder(&self) -> PathBuf {
        self.folder.join("registry")
    }

    /// A folder of the commands of these tools, each of another name, to be bound at `/opt/bin` beside the tools
    /// themselves at `/opt/NAME`: its links are relative, so that they lead to those.
    ///
    /// # Errors
    /// The disk refused.
    pub fn launchers(&self, tools: &[&Tool], purpose: Purpose) -> io::Result<PathBuf> {
        launchers::lay(&self.folder.join("launchers"), tools, purpose)
    }

    /// The unpacked folder of a tool, brought first where it is missing: `bin/node` and `include/` of node, all of npm.
    /// `progress` is told of bytes that came and of how many there are, where that is known. Of many callers, in this
    /// process and others, one downloads and the others wait for it.
    ///
    /// # Errors
    /// When the registry does not give the pinned bytes or the disk refuses; nothing half-done is left to be found.
    pub async fn ensure(
        &self,
        upstream: &Upstream,
        tool: &Tool,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<PathBuf, ToolchainError> {
        let pin = pins().exact(tool).ok_or_else(|| ToolchainError::NotPinned(tool.clone()))?;
        self.ensure_pin(upstream, pin, progress).await
    }

    async fn ensure_pin(
        &self,
        upstream: &Upstream,
        pin: &Pin,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<PathBuf, ToolchainError> {
        let home = self.home(pin);
        if home.is_dir() {
            return Ok(home);
        }
        let _lock = self.lock(&pin.tool).await?;
        if home.is_dir() {
            return Ok(home);
        }
        self.sweep(&pin.tool)?;
        let tool = pin.tool.clone();
        let tarball = upstream
            .pinned_tarball(
                tool.package(),
                &tool.version,
                &pin.sha512,
                TOOLCHAIN_BYTES_MAX,
                progress,
            )
            .await
            .map_err(|source| ToolchainError::Download { tool: tool.clone(), source })?;
        let (toolchains, target) = (self.folder.join("toolchains"), home.clone());
        let unpacked = tool.clone();
        let prefix = format!("{}{tool}-", PARTIAL).replace(' ', "-");
        tokio::task::spawn_blocking(move || {
            let partial = tempfile::Builder::new().prefix(&prefix).tempdir_in(toolchains)?;
            unpack::unpack(tarball.as_file(), &unpacked, partial.path())?;
            put_in_place(partial, &target)
        })
        .await
        .map_err(io::Error::other)?
        .map_err(|source| ToolchainError::Unpack { tool, source })?;
        Ok(home)
    }

    fn home(&self, pin: &Pin) -> PathBuf {
        let digest = pin.sha512.to_hex();
        let name = format!("{}-{}-{}", pin.tool.name, pin.tool.version, &digest[..32]);
        self.folder.join("toolchains").join(name)
    }

    /// A lock that other processes see and that the kernel gives back when this one dies.
    async fn lock(&self, tool: &Tool) -> io::Result<std::fs::File> {
        let name = format!(".lock-{}-{}", tool.name, tool.version);
        let file = std::fs::File::create(self.folder.join("toolchains").join(name))?;
        tokio::task::spawn_blocking(move || file.lock().map(|()| file))
            .await
            .map_err(io::Error::other)?
    }

    /// Removes what a worker that was killed has left of this tool. Its lock is held, so nobody is at it.
    fn sweep(&self, tool: &Tool) -> io::Result<()> {
        let prefix = format!("{PARTIAL}{}-{}-", tool.name, tool.version);
        for entry in std::fs::read_dir(self.folder.join("toolchains"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

const PARTIAL: &str = ".partial-";

/// Puts a folder that is whole under its final name. All of it is on the disk before it gets the name, so that a power
/// cut leaves nothing half-written that is taken for whole.
fn put_in_place(partial: tempfile::TempDir, home: &Path) -> io::Result<()> {
    rustix::fs::syncfs(std::fs::File::open(partial.path())?)?;
    std::fs::rename(partial.path(), home)?;
    // The folder has left the place that it would be removed from.
    let _gone = partial.keep();
    Ok(())
}

#[cfg(test)]
mod tests;
