//! The symbol, the word and the tone in which a state or a verdict is shown. Colour never stands alone: each badge has a
//! shape and a word of its own. It maps values to looks and decides nothing.

use countersign_core::{
    compare::{Level, Status},
    finding::{Class, Finding, Kind, Severity},
    gate::Decision,
    report::{Report, State},
    verdict::Outcome,
};

use super::symbol::Symbol;

/// The colour family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tone {
    /// A pass. Nothing else is ever green.
    Good,
    /// A fail.
    Bad,
    /// Could not tell, warnings, released unverified.
    Unsure,
    /// Under way.
    Busy,
    /// Nothing to look at.
    Quiet,
}

/// A tone, a shape and a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Badge {
    /// The colour family.
    pub(crate) tone: Tone,
    /// The shape.
    pub(crate) symbol: Symbol,
    /// The word.
    pub(crate) word: &'static str,
    /// What kind of it, where there are several.
    pub(crate) detail: &'static str,
}

const fn badge(tone: Tone, symbol: Symbol, word: &'static str, detail: &'static str) -> Badge {
    Badge { tone, symbol, word, detail }
}

impl Badge {
    /// The badge of a report: its verdict, or where it stands until there is one.
    pub(crate) fn of(report: &Report) -> Self {
        Self::new(report.state, report.verdict, report.class, report.level)
    }

    /// The badge of a verification that stands so.
    pub(crate) fn new(
        state: State,
        outcome: Option<Outcome>,
        class: Option<Class>,
        level: Option<Level>,
    ) -> Self {
        match (state, outcome) {
            (State::Final, Some(outcome)) => Self::of_verdict(outcome, class, level),
            (State::Final, None) => badge(Tone::Unsure, Symbol::Question, "No verdict", ""),
            (State::Queued, _) => badge(Tone::Quiet, Symbol::Clock, "Queued", ""),
            (State::WaitingForTag, _) => {
                badge(Tone::Unsure, Symbol::Tag, "Waiting for its tag", "")
            }
            (State::Running, _) => badge(Tone::Busy, Symbol::Running, "Rebuilding", ""),
            (State::Retrying, _) => {
                badge(Tone::Unsure, Symbol::Question, "Could not tell yet", "trying again")
            }
            (State::Cancelled, _) => badge(Tone::Quiet, Symbol::Dash, "Withdrawn", ""),
        }
    }

    fn of_verdict(outcome: Outcome, class: Option<Class>, level: Option<Level>) -> Self {
        match outcome {
            Outcome::Pass => badge(Tone::Good, Symbol::Tick, "Pass", level_words(level)),
            Outcome::Fail => badge(Tone::Bad, Symbol::Cross, "Fail", class_words(class)),
            Outcome::Inconclusive => badge(Tone::Unsure, Symbol::Question, "Could not tell", ""),
        }
    }

    /// The badge of what a maintainer decided; `verified` says whether it rests on a pass.
    pub(crate) fn of_decision(decision: Decision, verified: bool) -> Self {
        match (decision, verified) {
            (Decision::Released, true) => badge(Tone::Good, Symbol::Tick, "Published", ""),
            (Decision::Released, false) => {
                badge(Tone::Unsure, Symbol::Warning, "Released unverified", "")
            }
            (Decision::Approved, _) => badge(Tone::Busy, Symbol::Running, "Publishing", ""),
            (Decision::Rejected, _) => badge(Tone::Quiet, Symbol::Dash, "Rejected", ""),
        }
    }

    /// The badge of a finding: its weight, or that it kept us from telling.
    pub(crate) fn of_finding(finding: &Finding) -> Self {
        match (finding.code.kind(), finding.severity) {
            (Kind::Undetermined, _) => {
                badge(Tone::Unsure, Symbol::Question, "Kept us from telling", "")
            }
            (_, Severity::Fail) => badge(Tone::Bad, Symbol::Cross, "Fail", ""),
            (_, Severity::Warning) => badge(Tone::Unsure, Symbol::Warning, "Warning", ""),
            (_, Severity::Note) => badge(Tone::Quiet, Symbol::Note, "Note", ""),
        }
    }

    /// The badge of a file's status.
    pub(crate) fn of_file(status: Status) -> Self {
        match status {
            Status::Same => badge(Tone::Quiet, Symbol::Tick, "same", ""),
            Status::Changed => badge(Tone::Bad, Symbol::Cross, "changed", ""),
            Status::Added => badge(Tone::Bad, Symbol::Cross, "added", ""),
            Status::Missing => badge(Tone::Bad, Symbol::Cross, "missing", ""),
            Status::ModeChanged => badge(Tone::Bad, Symbol::Cross, "mode changed", ""),
        }
    }

    /// The one-character mark that stands before a tab's title.
    pub(crate) fn mark(&self) -> &'static str {
        match self.symbol {
            Symbol::Tick => "✓",
            Symbol::Cross => "✗",
            Symbol::Question => "?",
            Symbol::Warning => "!",
            Symbol::Running | Symbol::Clock | Symbol::Tag => "…",
            Symbol::Dash | Symbol::Note | Symbol::Ahead | Symbol::Countersign => "–",
        }
    }
}

impl Tone {
    /// The class of the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unsure => "unsure",
            Self::Busy => "busy",
            Self::Quiet => "quiet",
        }
    }
}

/// How equal the two archives are, in words.
pub(crate) fn level_words(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::IdenticalTarball) => "the same tarball, byte for byte",
        Some(Level::IdenticalArchive) => "the same archive, compressed otherwise",
        Some(Level::IdenticalFiles) => "the same files, packed otherwise",
        Some(Level::Normalised) => "the same files but for named tokens",
        Some(Level::Different) => "different",
        None => "",
    }
}

/// Why a verdict is a fail, in words.
pub(crate) fn class_words(class: Option<Class>) -> &'static str {
    match class {
        Some(Class::Differs) => "its contents are not what its source builds",
        Some(Class::NotRebuilt) => "it could not be rebuilt",
        Some(Class::Source) => "its source is not the enrolled one",
        Some(Class::Archive) => "its tarball is malformed",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = [
        State::Queued,
        State::WaitingForTag,
        State::Running,
        State::Retrying,
        State::Final,
        State::Cancelled,
    ];

    #[test]
    fn only_a_final_pass_is_green() {
        for state in STATES {
            for outcome in
                [None, Some(Outcome::Pass), Some(Outcome::Fail), Some(Outcome::Inconclusive)]
            {
                let green = Badge::new(state, outcome, None, None).tone == Tone::Good;
                let passed = state == State::Final && outcome == Some(Outcome::Pass);
                assert_eq!(green, passed, "{state:?} {outcome:?}");
            }
        }
        assert_eq!(Badge::of_decision(Decision::Released, false).tone, Tone::Unsure);
    }

    #[test]
    fn no_two_verdicts_share_a_shape_or_a_word() {
        let all = [Outcome::Pass, Outcome::Fail, Outcome::Inconclusive]
            .map(|outcome| Badge::new(State::Final, Some(outcome), None, None));
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert!(one.symbol != other.symbol && one.word != other.word);
                assert!(one.tone != other.tone);
            }
        }
    }
}
