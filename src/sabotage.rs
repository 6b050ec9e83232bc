//! Test builds only (the feature `sabotage`, in no build that is shipped): ways to break the service, so that a test can
//! show that the demo notices. One at a time, named by the variable `SABOTAGE`.

use countersign_core::{
    protocol::Judged,
    verdict::{Outcome, Verdict},
};

/// A verifier that always says pass.
pub(crate) const ALWAYS_PASS: &str = "always-pass";
/// A second factor that takes any code.
pub(crate) const ANY_CODE: &str = "any-code";
/// The demo stages the tampered tarball where it should stage the honest one.
pub(crate) const TAMPERED_FOR_HONEST: &str = "tampered-for-honest";

/// Whether this sabotage is asked for.
pub(crate) fn is(what: &str) -> bool {
    std::env::var_os("SABOTAGE").is_some_and(|asked| asked == what)
}

/// What a verifier that always says pass makes of an attempt.
pub(crate) fn judged(judged: Judged) -> Judged {
    if !is(ALWAYS_PASS) {
        return judged;
    }
    let level = judged.verdict.level;
    let verdict = Verdict { outcome: Outcome::Pass, class: None, level, findings: Vec::new() };
    Judged { verdict, ..judged }
}
