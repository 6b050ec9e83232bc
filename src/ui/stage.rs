//! What the pages know of a stage beside its report: who staged it, whether approving is open, what was decided. The
//! service fills it in; nothing is decided here.

use askama::filters::Safe;
use countersign_core::{Timestamp, gate::Decision, report::Report};

use super::{badge::Badge, escape::prose, words};

/// What can be done with a stage now.
#[derive(Clone, Debug)]
pub(crate) enum Approval {
    /// The gate is open: a code is all that is missing.
    Open {
        /// Whether there is no pass, and the mode `observe` lets it through all the same.
        unverified: bool,
    },
    /// The gate is closed.
    Closed {
        /// Why, as a sentence.
        reason: String,
        /// What would open it.
        opens: Option<String>,
        /// Whether it can be rejected.
        reject: bool,
    },
    /// A maintainer decided.
    Decided(Decided),
}

/// What a maintainer decided.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// What.
    pub(crate) decision: Decision,
    /// Whether it rests on a pass.
    pub(crate) verified: bool,
    /// Who.
    pub(crate) by: String,
    /// When.
    pub(crate) at: Timestamp,
    /// Why, where a reason was asked for.
    pub(crate) reason: Option<String>,
}

/// A stage beside its report.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Its id.
    pub(crate) id: String,
    /// The account that staged it.
    pub(crate) staged_by: String,
    /// With what: a token's name, or a session.
    pub(crate) staged_with: String,
    /// When.
    pub(crate) staged_at: Timestamp,
    /// The verdict that stands now, which an approval names.
    pub(crate) verdict_id: Option<String>,
    /// What can be done with it now.
    pub(crate) approval: Approval,
}

/// Why approving is closed, in words. Where the reason is the sentence that stands above it anyway, only its word.
pub(crate) fn closed_words(report: &Report, reason: &str) -> Safe<String> {
    if reason == report.summary {
        Safe(format!("The verdict is “{}”.", Badge::of(report).word.to_lowercase()))
    } else {
        prose(&words::sentence(reason))
    }
}
