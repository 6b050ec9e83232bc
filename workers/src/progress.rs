//! How a job says what it does, and how it is told to stop. Who listens (a heartbeat, a progress bar, nobody) is not
//! known here.

use std::sync::atomic::{AtomicBool, Ordering};

use countersign_core::rebuild::Phase;

/// Somebody who is told what is being done. It is called from several threads, and returns at once.
pub trait Progress: Send + Sync {
    /// A phase goes on with this, a short text for people.
    fn doing(&self, phase: Phase, detail: &str);
}

/// Nobody listens.
pub struct Unheard;

impl Progress for Unheard {
    fn doing(&self, _phase: Phase, _detail: &str) {}
}

/// A listener and the way to stop, handed down through every phase.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Who is told.
    pub progress: &'a dyn Progress,
    /// Set when the job was withdrawn: a running program is then ended and nothing is reported.
    pub cancel: &'a AtomicBool,
}

impl Watch<'_> {
    /// Tells the listener.
    pub fn doing(&self, phase: Phase, detail: &str) {
        self.progress.doing(phase, detail);
    }

    /// Whether the job was withdrawn.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
