//! The cache of git repositories: one folder for each address, with a bare repository that is brought up to the address's
//! branches and tags by every job, under a lock that holds across processes. What a killed job left behind is cleared
//! by the next. Beyond names and objects nothing is known here of what a repository holds.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use countersign_core::{
    Sha256,
    limits::{CLONE_BYTES_MAX, CLONE_SECONDS_MAX},
    rebuild::Phase,
    source::Repository,
};
use rustix::fs::{FlockOperation, flock};

use super::{
    CheckoutError, Doing,
    oid::Oid,
    origin::Origin,
    program::{Git, Said},
    reader::Door,
    way::Guide,
    words,
};
use crate::{http::ClientConfig, progress::Watch, reach::Reach};

/// How often a lock that another process holds is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The repositories that this machine has brought.
#[derive(Clone, Debug)]
pub struct GitCache {
    folder: PathBuf,
    client: ClientConfig,
    reach: Reach,
    door: Door,
    time_limit: Duration,
    bytes_max: u64,
}

/// Why a repository could not be had: this says nothing about the package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unavailable {
    /// What git or the address said, as a sentence without secrets.
    pub because: String,
    /// Whether it is this machine's own disk that is full.
    pub disk_full: bool,
}

/// A repository as one fetch found it.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// The folder of its objects.
    pub objects: PathBuf,
    /// Every branch and tag by its full name, and the object that it names.
    pub refs: BTreeMap<String, Oid>,
    /// The address that the server sent us on to.
    pub redirected_to: Option<String>,
    /// Whether the objects are those of the repository itself, since it has gaps and could not be copied whole.
    pub in_place: bool,
}

impl GitCache {
    /// A cache in that folder, which is made where it is missing, of repositories that may be reached. What it holds is read
    /// in cells: `base` and `init` as for [`crate::sandbox::Slot::acquire_with_init`].
    pub fn new(
        folder: &Path,
        client: &ClientConfig,
        reach: &Reach,
        (base, init): (&Path, &Path),
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            client: client.clone(),
            reach: reach.clone(),
            door: Door::new(base, init),
            time_limit: Duration::from_secs(CLONE_SECONDS_MAX),
            bytes_max: CLONE_BYTES_MAX,
        }
    }

    /// The same cache with another bound of time for each fetch.
    #[must_use]
    pub fn with_time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// The same for a repository that somebody gave by hand: its host may lie anywhere.
    pub(super) fn given(&self, repository: &Repository) -> Self {
        let url = url::Url::parse(repository.as_str()).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        Self { reach: self.reach.clone().naming(host), ..self.clone() }
    }

    /// The same, with another program at the door of its cells.
    #[must_use]
    pub(crate) fn with_init(mut self, init: &Path) -> Self {
        init.clone_into(&mut self.door.init);
        self
    }

    /// The same, with its objects read in other cells.
    #[cfg(test)]
    pub(super) fn with_door(self, door: Door) -> Self {
        Self { door, ..self }
    }

    /// Where its objects are read.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// Brings every branch and tag of a repository, and nothing else: no pull requests, no notes.
    pub(super) fn fetch(
        &self,
        repository: &Repository,
        watch: Watch<'_>,
    ) -> Result<Result<Fetched, Unavailable>, CheckoutError> {
        let origin = match Origin::of(repository) {
            Ok(origin) => origin,
            Err(clause) => return Ok(Err(Unavailable::because(format!("{clause}.")))),
        };
        let entry = Entry::lock(&self.folder, &origin, watch)?;
        let first = entry.fetch(self, &[], watch)?;
        let damaged = |because: &Unavailable| words::speaks_of_damage(&because.because);
        match first {
            Err(because) if damaged(&because) => {
                tracing::warn!(%origin, reason = because.because, "the cached repository is damaged and is brought anew");
                entry.discard()?;
                match (entry.fetch(self, &[], watch)?, &origin) {
                    (Err(because), Origin::Local(path)) if damaged(&because) => {
                        entry.look_in_place(self, path, because, watch)
                    }
                    (whole, _) => Ok(whole),
                }
            }
            whole => Ok(whole),
        }
    }

    /// The same, and this commit beside it, which a submodule names. It may be on no branch, and then only servers that
    /// give single commits have it.
    pub(super) fn fetch_with_commit(
        &self,
        repository: &Repository,
        commit: Oid,
        watch: Watch<'_>,
    ) -> Result<Result<Fetched, Unavailable>, CheckoutError> {
        let origin = match Origin::of(repository) {
            Ok(origin) => origin,
            Err(clause) => return Ok(Err(Unavailable::because(format!("{clause}.")))),
        };
        let entry = Entry::lock(&self.folder, &origin, watch)?;
        if let Some(known) = entry.holding(self, commit, watch)? {
            return Ok(Ok(known));
        }
        let fetched = entry.fetch(self, &[], watch)?;
        if fetched.is_err() || entry.holding(self, commit, watch)?.is_some() {
            return Ok(fetched);
        }
        let wanted = commit.to_string();
        let alone = entry.fetch(self, &[&wanted], watch)?;
        let missing = || Unavailable::because(format!("It does not give the commit {wanted}."));
        Ok(match (alone, entry.holding(self, commit, watch)?) {
            (Ok(fetched), Some(_)) => Ok(fetched),
            (Err(because), _) => Err(because),
            (Ok(_), None) => Err(missing()),
        })
    }

    /// Throws a repository away whose objects turned out to be damaged.
    pub(super) fn discard(
        &self,
        repository: &Repository,
        watch: Watch<'_>,
    ) -> Result<(), CheckoutError> {
        match Origin::of(repository) {
            Ok(origin) => Entry::lock(&self.folder, &origin, watch)?.discard(),
            Err(_) => Ok(()),
        }
    }

    /// The certificates that git shall believe, in one file: none where the system's own store is meant.
    fn roots(&self, entry: &Path) -> Result<Option<PathBuf>, CheckoutError> {
        let pem = self.client.roots_pem();
        let Some(pem) = pem.map_err(|error| CheckoutError::Roots(error.to_string()))? else {
            return Ok(None);
        };
        let path = entry.join("roots.pem");
        fs::write(&path, pem).doing("Writing the certificates for git")?;
        Ok(Some(path))
    }
}

impl Unavailable {
    fn because(sentence: String) -> Self {
        Self { because: sentence, disk_full: false }
    }
}

/// One repository's folder, locked as long as this value lives.
struct Entry<'a> {
    folder: PathBuf,
    origin: &'a Origin,
    _lock: File,
}

impl<'a> Entry<'a> {
    fn lock(cache: &Path, origin: &'a Origin, watch: Watch<'_>) -> Result<Self, CheckoutError> {
        let digest = Sha256::of(origin.argument().as_bytes()).to_hex();
        let folder = cache.join(&digest[..32]);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder.join("home")).doing("Making a folder of the git cache")?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(folder.join("lock")).doing("Opening a lock of the git cache")?;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if watch.cancelled() => {
                    return Err(CheckoutError::Cancelled);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    watch.doing(Phase::Checkout, "waiting for another job with this repository");
                    thread::sleep(LOCK_PAUSE);
                }
                Err(error) => return Err(error).doing("Locking a repository of the git cache"),
            }
        }
        Ok(Self { folder, origin, _lock: lock })
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("repository.git")
    }

    fn fetch(
        &self,
        cache: &GitCache,
        commits: &[&str],
        watch: Watch<'_>,
    ) -> Result<Result<Fetched, Unavailable>, CheckoutError> {
        clear(&self.repository())?;
        let guide =
            Guide { reach: &cache.reach, client: &cache.client, time_limit: cache.time_limit };
        let way = match guide.lead(self.origin, watch)? {
            Ok(way) => way,
            Err(because) => return Ok(Err(Unavailable::because(because))),
        };
        let roots = cache.roots(&self.folder)?;
        let proxy = cache.client.proxy.as_deref();
        let git = Git {
            folder: &self.folder,
            origin: Some(&way.origin),
            pin: way.pin.as_deref(),
            roots: roots.as_deref(),
            proxy: proxy.map(|url| (url, cache.client.no_proxy.as_deref().unwrap_or_default())),
            time_limit: cache.time_limit,
            bytes_max: cache.bytes_max,
        };
        if !self.repository().join("HEAD").exists() {
            self.make(&git, watch)?;
        }
        let address = way.origin.argument();
        let mut arguments = vec!["--git-dir=repository.git", "fetch", "--force", "--progress"];
        arguments.extend(["--no-tags", "--no-write-fetch-head", "--update-shallow"]);
        if commits.is_empty() {
            arguments.extend(["--prune", "--", &address]);
            arguments.extend(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
            if matches!(self.origin, Origin::Local(_)) {
                arguments.push("+refs/remotes/*:refs/remotes/*");
            }
        } else {
            arguments.extend(["--", &address]);
            arguments.extend(commits);
        }
        let said = git.run(&arguments, watch, &mut |line| {
            if let Some(progress) = words::progress(line) {
                watch.doing(Phase::Checkout, &progress);
            }
        })?;
        if !said.success {
            return Ok(Err(self.unavailable(&said)));
        }
        let refs = self.refs(&git, watch)?;
        let objects = self.repository().join("objects");
        let redirected_to = way.redirected_to;
        Ok(Ok(Fetched { objects, refs, redirected_to, in_place: false }))
    }

    /// A folder of this machine that lacks objects, such as a partial clone, cannot be copied by git. It is read where
    /// it lies, and what is missing is left out.
    fn look_in_place(
        &self,
        cache: &GitCache,
        path: &Path,
        because: Unavailable,
        watch: Watch<'_>,
    ) -> Result<Result<Fetched, Unavailable>, CheckoutError> {
        let git = Git {
            folder: &self.folder,
            origin: Some(self.origin),
            pin: None,
            roots: None,
            proxy: None,
            time_limit: cache.time_limit,
            bytes_max: cache.bytes_max,
        };
        let address = path.display().to_string();
        let place =
            ["-C", &address, "rev-parse", "--path-format=absolute", "--git-path", "objects"];
        let objects = git.run(&place, watch, &mut |_| {})?;
        let listed = git.run(&["ls-remote", "--", &address], watch, &mut |_| {})?;
        if !objects.success || !listed.success {
            return Ok(Err(because));
        }
        let objects = PathBuf::from(String::from_utf8_lossy(&objects.output).trim_end());
        let mut refs = named(&listed.output, '\t');
        let kept = ["refs/heads/", "refs/tags/", "refs/remotes/"];
        refs.retain(|name, _| {
            kept.iter().any(|kind| name.starts_with(kind)) && !name.ends_with("^{}")
        });
        Ok(Ok(Fetched { objects, refs, redirected_to: None, in_place: true }))
    }

    /// A repository appears under its name only when it is whole. Its objects may be read by everybody who comes to them,
    /// whatever this process's umask is: the uid that reads them is another.
    fn make(&self, git: &Git<'_>, watch: Watch<'_>) -> Result<(), CheckoutError> {
        let making = self.folder.join("making.git");
        remove(&making)?;
        let quiet = Git { origin: None, ..*git };
        let arguments = [
            "-c",
            "init.defaultBranch=main",
            "init",
            "--bare",
            "--shared=0644",
            "--template=",
            "making.git",
        ];
        let said = quiet.run(&arguments, watch, &mut |_| {})?;
        if !said.success {
            return Err(CheckoutError::GitFailed(words::reason(&said, &self.folder)));
        }
        fs::rename(&making, self.repository()).doing("Making a repository of the git cache")
    }

    fn refs(
        &self,
        git: &Git<'_>,
        watch: Watch<'_>,
    ) -> Result<BTreeMap<String, Oid>, CheckoutError> {
        let quiet = Git { origin: None, ..*git };
        let arguments =
            ["--git-dir=repository.git", "for-each-ref", "--format=%(objectname) %(refname)"];
        let said = quiet.run(&arguments, watch, &mut |_| {})?;
        if !said.success {
            return Err(CheckoutError::GitFailed(words::reason(&said, &self.folder)));
        }
        Ok(named(&said.output, ' '))
    }

    /// The repository without a fetch, where it already holds that commit.
    fn holding(
        &self,
        cache: &GitCache,
        commit: Oid,
        watch: Watch<'_>,
    ) -> Result<Option<Fetched>, CheckoutError> {
        let objects = self.repository().join("objects");
        if !objects.exists() {
            return Ok(None);
        }
        let git = Git {
            folder: &self.folder,
            origin: None,
            roots: None,
            proxy: None,
            pin: None,
            time_limit: cache.time_limit,
            bytes_max: cache.bytes_max,
        };
        let name = commit.to_string();
        let said =
            git.run(&["--git-dir=repository.git", "cat-file", "-e", &name], watch, &mut |_| {})?;
        let refs = BTreeMap::new();
        Ok(said.success.then_some(Fetched { objects, refs, redirected_to: None, in_place: false }))
    }

    fn unavailable(&self, said: &Said) -> Unavailable {
        let disk_full = said.lines.iter().any(|line| line.contains("No space left on device"));
        Unavailable { because: words::reason(said, &self.folder), disk_full }
    }

    fn discard(&self) -> Result<(), CheckoutError> {
        remove(&self.repository())
    }
}

/// Lines of an object and the name of a reference.
fn named(output: &[u8], between: char) -> BTreeMap<String, Oid> {
    let text = String::from_utf8_lossy(output);
    let named = |line: &str| {
        let (object, name) = line.split_once(between)?;
        Some((name.to_owned(), object.parse().ok()?))
    };
    text.lines().filter_map(named).collect()
}

/// Clears what a killed git leaves behind: locks that nobody holds, and packs and objects that were never finished.
/// Nobody else writes here, since the entry is locked.
fn clear(repository: &Path) -> Result<(), CheckoutError> {
    let Ok(entries) = fs::read_dir(repository) else { return Ok(()) };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let unfinished = name.starts_with("tmp_") || name.starts_with("incoming-");
        if unfinished || (!folder && name.ends_with(".lock")) {
            remove(&path)?;
        } else if folder {
            clear(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), CheckoutError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.doing("Clearing the git cache"),
    }
}
