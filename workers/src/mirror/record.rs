//! What happened at the mirror: every request with what became of it, and every tarball that was handed out. It decides
//! nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_core::{
    PackageName, Version,
    limits::{DEPENDENCIES_BYTES_MAX, MIRROR_REQUESTS_MAX},
    rebuild::{Dependency, NetworkRequest, Phase, RequestOutcome},
};

/// What one rebuild asked of the mirror.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Record {
    /// Every request in the order in which it was answered, at most [`MIRROR_REQUESTS_MAX`].
    pub requests: Vec<NetworkRequest>,
    /// How many further requests were refused unread.
    pub left_out: usize,
    /// The packages whose tarballs were handed out, by name and version.
    pub dependencies: Vec<Dependency>,
    /// The packages that no lockfile names with a SHA-512 and that were handed out by times that cannot be believed, as
    /// the verdict has to say (`cutoff-unreliable`): because the registry says that they are younger than the commit, or
    /// because it says so of something that the commit's own lockfile names.
    pub cutoff_unreliable: BTreeSet<PackageName>,
    /// What the first registry that did not answer was asked for, and what happened. A rebuild that failed then says
    /// nothing about the package (`registry-unavailable`); one that ended well had it at another attempt.
    pub unavailable: Option<String>,
}

/// The record while it is written.
#[derive(Debug)]
pub(super) struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    record: Record,
    begun: usize,
    bytes: u64,
    /// Something locked was handed out that the registry dates after the commit that locks it.
    times_are_wrong: bool,
    dependencies: BTreeMap<(PackageName, String), Dependency>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let state = State {
            phase: Phase::Install,
            record: Record::default(),
            begun: 0,
            bytes: 0,
            times_are_wrong: false,
            dependencies: BTreeMap::new(),
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// The phase in which a request begins, or none where there were too many already.
    pub(super) fn begin(&self) -> Option<Phase> {
        let mut state = self.state();
        if state.begun >= MIRROR_REQUESTS_MAX {
            state.record.left_out += 1;
            return None;
        }
        state.begun += 1;
        Some(state.phase)
    }

    pub(super) fn note(&self, request: NetworkRequest) {
        self.state().record.requests.push(request);
    }

    /// Counts bytes that are to be handed out; false where they are too many.
    pub(super) fn may_hand_out(&self, bytes: u64) -> bool {
        let mut state = self.state();
        if state.bytes.saturating_add(bytes) > DEPENDENCIES_BYTES_MAX {
            return false;
        }
        state.bytes += bytes;
        true
    }

    /// `doubtful`: the times had to be doubted for it; `impossible`: its own time cannot be right.
    pub(super) fn handed_out(&self, dependency: Dependency, doubtful: bool, impossible: bool) {
        let mut state = self.state();
        state.times_are_wrong |= impossible;
        if doubtful {
            state.record.cutoff_unreliable.insert(dependency.name.clone());
        }
        let key = (dependency.name.clone(), dependency.version.to_string());
        state.dependencies.insert(key, dependency);
    }

    pub(super) fn unavailable(&self, what: String) {
        self.state().record.unavailable.get_or_insert(what);
    }

    pub(super) fn take(&self) -> Record {
        let mut state = self.state();
        let mut record = std::mem::take(&mut state.record);
        record.dependencies = std::mem::take(&mut state.dependencies).into_values().collect();
        if state.times_are_wrong {
            let unlocked = record.dependencies.iter().filter(|one| !one.locked);
            record.cutoff_unreliable.extend(unlocked.map(|one| one.name.clone()));
        }
        record
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Whether a lockfile names everything that was handed out with a SHA-512.
    pub fn all_locked(&self) -> bool {
        self.dependencies.iter().all(|dependency| dependency.locked)
    }

    /// The first request that was refused, as `GET /name`.
    pub fn first_refused(&self) -> Option<&NetworkRequest> {
        self.requests.iter().find(|request| request.outcome == RequestOutcome::Refused)
    }

    /// Whether this version was handed out.
    pub fn handed_out(&self, name: &PackageName, version: &Version) -> bool {
        self.dependencies.iter().any(|one| one.name == *name && one.version == *version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_limit_are_counted_and_not_answered() {
        let recorder = Recorder::new();
        assert!((0..MIRROR_REQUESTS_MAX).all(|_| recorder.begin().is_some()));
        assert_eq!((recorder.begin(), recorder.begin()), (None, None));
        assert_eq!(recorder.take().left_out, 2);
    }

    #[test]
    fn bytes_beyond_the_limit_are_not_handed_out() {
        let recorder = Recorder::new();
        assert!(recorder.may_hand_out(DEPENDENCIES_BYTES_MAX - 1));
        assert!(!recorder.may_hand_out(2));
        assert!(recorder.may_hand_out(1));
        assert!(!recorder.may_hand_out(u64::MAX));
    }
}
