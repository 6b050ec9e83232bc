//! The exit codes that outsiders see, each named once.

use countersign_core::verdict::Outcome;

/// Pass, accepted, or as it should.
pub(crate) const PASS: u8 = 0;
/// Fail, refused, or not as it should.
pub(crate) const FAIL: u8 = 1;
/// The command line was not understood.
pub(crate) const USAGE: u8 = 2;
/// We could not tell.
pub(crate) const COULD_NOT_TELL: u8 = 3;
/// The wait ran out before there was a final state.
pub(crate) const TIMED_OUT: u8 = 4;

/// The exit code for a verdict; without one nothing is known.
pub(crate) fn of_verdict(verdict: Option<Outcome>) -> u8 {
    match verdict {
        Some(Outcome::Pass) => PASS,
        Some(Outcome::Fail) => FAIL,
        Some(Outcome::Inconclusive) | None => COULD_NOT_TELL,
    }
}
