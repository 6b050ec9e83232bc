//! The worker's side of the process that reads objects: what it may see, what is asked of it, and that nothing it says is
//! believed. Each object is held against its own name, so that all it can do is to keep something back, to say that something
//! is larger than it is, or to be slow; each of the three ends in no verdict or in a refusal, and never in other bytes.

use std::{
    collections::HashMap,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use countersign_core::limits::{
    FILE_BYTES_MAX, GIT_OBJECT_SECONDS_MAX, GIT_READER_MEMORY_BYTES_MAX, GIT_READER_SECONDS_MAX,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags, recv, send},
};

use super::{
    CheckoutError,
    oid::{Hasher, ObjectKind, Oid},
    serve::{INSIDE_OBJECTS, READ_OBJECTS, inside_borrowed},
    wire::{Head, MESSAGE_BYTES, WANTS_MAX, Want},
};
use crate::sandbox::{Cell, CellOrder, ReadOnlyBind};

/// Commits and folders up to this size are kept for the next question.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// All that is kept, in bytes; beyond it everything is let go.
const KEPT_ALL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Folders that a repository of this machine may borrow from: git follows five one after another.
const BORROWED_MAX: usize = 5;

/// Where cells are made, and by which program.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// As for [`crate::sandbox::Slot::acquire`].
    pub base: PathBuf,
    /// As for [`crate::sandbox::Slot::acquire_with_init`].
    pub init: PathBuf,
    /// The word by which that program knows what it is for.
    pub service: &'static str,
    /// The memory of one cell, in bytes.
    pub memory_bytes: u64,
    /// How long one object may take.
    pub object_time: Duration,
}

impl Door {
    /// With the bounds of `countersign_core::limits`.
    pub(super) fn new(base: &Path, init: &Path) -> Self {
        Self {
            base: base.to_owned(),
            init: init.to_owned(),
            service: READ_OBJECTS,
            memory_bytes: GIT_READER_MEMORY_BYTES_MAX,
            object_time: Duration::from_secs(GIT_OBJECT_SECONDS_MAX),
        }
    }
}

/// What was said of one object, as far as it can be believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Got {
    /// It, whole, and held against its name.
    Object(ObjectKind, Arc<[u8]>),
    /// It is there and larger than was asked for, of so many bytes. Up to [`FILE_BYTES_MAX`] this is certain; beyond it is
    /// only said, and whoever hears it is told so of this object ever after.
    TooLarge(u64),
    /// It is said not to be there.
    Missing,
}

/// A process that reads one repository's objects. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Reader {
    talk: Mutex<Talk>,
}

#[derive(Debug)]
struct Talk {
    cell: Cell,
    object_time: Duration,
    /// What ended the talk.
    over: Option<String>,
    waited: Duration,
    said_too_large: HashMap<Oid, u64>,
    kept: HashMap<Oid, (ObjectKind, Arc<[u8]>)>,
    kept_bytes: usize,
}

impl Reader {
    /// Starts it. It sees this folder of objects and, where the repository is read in place, those that it borrows from.
    pub(super) fn open(
        door: &Door,
        objects: &Path,
        in_place: bool,
    ) -> Result<Arc<Self>, CheckoutError> {
        let mut folders = vec![(objects.to_owned(), INSIDE_OBJECTS.to_owned())];
        if in_place {
            let borrowed = borrowed(objects);
            folders.extend(borrowed.into_iter().zip((0..).map(inside_borrowed)));
        }
        let shown: Vec<ReadOnlyBind> =
            folders.into_iter().map(|(host, inside)| ReadOnlyBind { host, inside }).collect();
        // What somebody else's folder holds may be closed to all but its owner.
        let owner = std::fs::metadata(objects).ok().map(|found| found.uid());
        let cell = Cell::open(&CellOrder {
            base: &door.base,
            init: &door.init,
            service: door.service,
            shown: &shown,
            uid: owner.filter(|uid| in_place && *uid != 0),
            memory_bytes: door.memory_bytes,
        })?;
        let talk = Talk {
            cell,
            object_time: door.object_time,
            over: None,
            waited: Duration::ZERO,
            said_too_large: HashMap::new(),
            kept: HashMap::new(),
            kept_bytes: 0,
        };
        Ok(Arc::new(Self { talk: Mutex::new(talk) }))
    }

    /// One object, whole where it has at most so many bytes.
    pub(super) fn object(&self, name: Oid, bytes_max: u64) -> Result<Got, CheckoutError> {
        let mut found = Got::Missing;
        let mut take = |_, got| {
            found = got;
            Ok::<bool, CheckoutError>(true)
        };
        self.objects(&[name], bytes_max, &mut take)?;
        Ok(found)
    }

    /// Many objects in their order, each with its place among the names; `take` says whether it goes on. It may not ask this
    /// reader again.
    pub(super) fn objects<E: From<CheckoutError>>(
        &self,
        names: &[Oid],
        bytes_max: u64,
        take: &mut dyn FnMut(usize, Got) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut talk = self.talk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (part, names) in names.chunks(WANTS_MAX).enumerate() {
            let mut asked = Vec::new();
            for name in names.iter().filter(|name| !talk.kept.contains_key(name)) {
                asked.extend(Want::Object(*name).write());
            }
            if !asked.is_empty() {
                talk.ask(&asked)?;
            }
            let kept: Vec<_> = names.iter().map(|name| talk.kept.get(name).cloned()).collect();
            let mut goes_on: Result<bool, E> = Ok(true);
            for (place, (name, kept)) in names.iter().zip(kept).enumerate() {
                let taken = matches!(goes_on, Ok(true));
                let got = match kept {
                    Some((kind, bytes)) if bytes.len() as u64 <= bytes_max => {
                        Ok(Got::Object(kind, bytes))
                    }
                    Some((_, bytes)) => Ok(Got::TooLarge(bytes.len() as u64)),
                    // What was asked for is heard to its end, so that the next answer is that of the next question.
                    None => talk.hear(*name, if taken { bytes_max } else { 0 }),
                };
                match got {
                    Ok(got) if taken => goes_on = take(part * WANTS_MAX + place, got),
                    Err(error) if taken => goes_on = Err(error.into()),
                    Ok(_) | Err(_) => {}
                }
                if talk.over.is_some() {
                    break;
                }
            }
            if !goes_on? {
                break;
            }
        }
        Ok(())
    }

    /// Whether it says that it has each of these. It may have what it denies.
    pub(super) fn presence(&self, names: &[Oid]) -> Result<Vec<bool>, CheckoutError> {
        let mut talk = self.talk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut there = Vec::new();
        for names in names.chunks(WANTS_MAX) {
            let asked: Vec<u8> =
                names.iter().flat_map(|name| Want::Presence(*name).write()).collect();
            talk.ask(&asked)?;
            for _ in names {
                let mut message = vec![0; MESSAGE_BYTES];
                let deadline = talk.deadline();
                let count = talk.receive(&mut message, deadline)?;
                match Head::read(&message[..count]) {
                    Some((Head::There(_, 0), [])) => there.push(true),
                    Some((Head::Missing, [])) => there.push(false),
                    _ => return Err(talk.ends("it answered what was not asked")),
                }
            }
        }
        Ok(there)
    }
}

impl Talk {
    fn ask(&mut self, question: &[u8]) -> Result<(), CheckoutError> {
        if let Some(over) = &self.over {
            return Err(CheckoutError::Reader(over.clone()));
        }
        let socket = self.cell.socket()?;
        match send(socket, question, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.gone()),
        }
    }

    /// One object, hashed as it comes in.
    fn hear(&mut self, name: Oid, bytes_max: u64) -> Result<Got, CheckoutError> {
        let deadline = self.deadline();
        let mut message = vec![0; MESSAGE_BYTES];
        let count = self.receive(&mut message, deadline)?;
        let (kind, size, first) = match Head::read(&message[..count]) {
            Some((Head::There(kind, size), first)) if size <= FILE_BYTES_MAX => (kind, size, first),
            Some((Head::TooLarge(size), [])) if size > FILE_BYTES_MAX => {
                self.said_too_large.insert(name, size);
                return Ok(Got::TooLarge(size));
            }
            Some((Head::Missing, [])) => return Ok(Got::Missing),
            Some((Head::Unreadable, [])) => {
                return Err(CheckoutError::Damaged(format!("the object {name} cannot be read")));
            }
            _ => return Err(self.ends("it answered what was not asked")),
        };
        let (mut hasher, mut kept) = (Hasher::new(kind, size), Vec::new());
        let (mut left, is_kept) = (size, size <= bytes_max);
        let mut take = |bytes: &[u8]| {
            hasher.update(bytes);
            if is_kept {
                kept.extend_from_slice(bytes);
            }
        };
        let mut came = first.len() as u64;
        take(first);
        while came <= left {
            left -= came;
            if left == 0 {
                break;
            }
            let count = self.receive(&mut message, deadline)?;
            came = count as u64;
            take(&message[..count]);
        }
        if left != 0 {
            return Err(self.ends("it said more than it had said that it would"));
        }
        if !hasher.gives(name) {
            let message = format!("the bytes of the object {name} are not its own (hash mismatch)");
            return Err(CheckoutError::Damaged(message));
        }
        // Who said that it was beyond all bounds and then gives it has lied once.
        match self.said_too_large.get(&name) {
            Some(said) => Ok(Got::TooLarge(*said)),
            None if is_kept => Ok(self.keep(name, kind, kept)),
            None => Ok(Got::TooLarge(size)),
        }
    }

    fn keep(&mut self, name: Oid, kind: ObjectKind, bytes: Vec<u8>) -> Got {
        let bytes: Arc<[u8]> = bytes.into();
        let worth = matches!(kind, ObjectKind::Commit | ObjectKind::Tree);
        if worth && bytes.len() <= KEPT_BYTES_MAX {
            self.kept_bytes += bytes.len();
            if self.kept_bytes > KEPT_ALL_BYTES_MAX {
                self.kept.clear();
                self.kept_bytes = bytes.len();
            }
            self.kept.insert(name, (kind, Arc::clone(&bytes)));
        }
        Got::Object(kind, bytes)
    }

    fn deadline(&self) -> Duration {
        let left = Duration::from_secs(GIT_READER_SECONDS_MAX).saturating_sub(self.waited);
        self.waited + left.min(self.object_time)
    }

    /// One message, before all waiting together has come to `deadline`.
    fn receive(&mut self, into: &mut [u8], deadline: Duration) -> Result<usize, CheckoutError> {
        let began = Instant::now();
        let received = {
            let socket = self.cell.socket()?;
            let within = Timespec::try_from(deadline.saturating_sub(self.waited))
                .expect("it is some minutes");
            let mut sources = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
            match poll(&mut sources, Some(&within)) {
                Ok(0) => Ok(None),
                Ok(_) => recv(socket, &mut *into, RecvFlags::TRUNC).map(|(_, count)| Some(count)),
                Err(error) => Err(error),
            }
        };
        self.waited += began.elapsed();
        match received {
            Ok(Some(count)) if (1..=into.len()).contains(&count) => Ok(count),
            Ok(None) => Err(self.ends("it took longer than it may")),
            Err(rustix::io::Errno::INTR) => self.receive(into, deadline),
            Ok(Some(_)) | Err(_) => Err(self.gone()),
        }
    }

    fn gone(&mut self) -> CheckoutError {
        let out_of_memory = self.cell.met_its_memory_bound();
        self.ends(if out_of_memory { "it needs more memory than it may have" } else { "it ended" })
    }

    /// Nothing is asked any more after this.
    fn ends(&mut self, why: &str) -> CheckoutError {
        self.over.get_or_insert_with(|| why.to_owned());
        CheckoutError::Reader(why.to_owned())
    }
}

/// The folders of objects that one borrows from (`info/alternates`), and that look like such.
fn borrowed(objects: &Path) -> Vec<PathBuf> {
    let (mut found, mut ahead) = (Vec::new(), vec![objects.to_owned()]);
    while let Some(folder) = ahead.pop() {
        let text = std::fs::read_to_string(folder.join("info/alternates")).unwrap_or_default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let other = folder.join(line);
            let known = found.contains(&other) || found.len() == BORROWED_MAX;
            if !known && other.join("pack").is_dir() && other.join("info").is_dir() {
                found.push(other.clone());
                ahead.push(other);
            }
        }
    }
    found
}
