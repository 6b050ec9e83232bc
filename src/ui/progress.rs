//! What a running verification is doing, as a row of steps: the part of the report page that an event replaces. It knows
//! phases, and nothing of where events come from.

use askama::Template;
use countersign_core::{Timestamp, rebuild::Phase, report::State};

use super::{
    step::{Place, Step},
    words,
};

/// What is known of the attempt that is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The phase that the worker named last.
    pub(crate) phase: Option<Phase>,
    /// What it said of it.
    pub(crate) detail: String,
    /// When the attempt began.
    pub(crate) since: Option<Timestamp>,
}

const PHASES: [(Phase, &str, &str); 7] = [
    (Phase::Fetch, "Fetch", "the staged tarball"),
    (Phase::Checkout, "Checkout", "the tagged commit"),
    (Phase::Install, "Install", "its dependencies"),
    (Phase::Build, "Build", "without network"),
    (Phase::Pack, "Pack", "the tarball"),
    (Phase::Compare, "Compare", "every file"),
    (Phase::Report, "Judge", "and sign"),
];

/// The row of steps.
#[derive(Template)]
#[template(path = "progress.html", config = "src/ui/askama.toml")]
pub(crate) struct ProgressRow {
    steps: Vec<Step>,
    detail: String,
    running_for: String,
}

impl ProgressRow {
    /// The row for a verification in this state; none where nothing is under way.
    pub(crate) fn of(state: State, progress: &Progress, now: Timestamp) -> Option<Self> {
        match state {
            State::Running => {}
            State::Queued
            | State::WaitingForTag
            | State::Retrying
            | State::Final
            | State::Cancelled => return None,
        }
        let current = progress.phase;
        let steps = PHASES
            .iter()
            .map(|(phase, name, what)| {
                let place = match current {
                    Some(now) if *phase < now => Place::Done,
                    Some(now) if *phase == now => Place::Now,
                    Some(_) | None => Place::Ahead,
                };
                Step::new("", place, *name, *what)
            })
            .collect();
        let running_for = progress
            .since
            .map_or_else(String::new, |since| words::span(now.millis_since(since).unsigned_abs()));
        Some(Self { steps, detail: progress.detail.clone(), running_for })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_that_runs_is_named_and_those_before_it_are_done() {
        let progress = Progress {
            phase: Some(Phase::Build),
            detail: "npm run build".to_owned(),
            since: Some(Timestamp::from_seconds(100)),
        };
        let row = ProgressRow::of(State::Running, &progress, Timestamp::from_seconds(112)).unwrap();
        let places: Vec<Place> = row.steps.iter().map(|step| step.place).collect();
        assert_eq!(
            places,
            [
                Place::Done,
                Place::Done,
                Place::Done,
                Place::Now,
                Place::Ahead,
                Place::Ahead,
                Place::Ahead
            ]
        );
        let html = row.render().unwrap();
        assert!(html.contains("npm run build") && html.contains("12 s"));
    }

    #[test]
    fn nothing_that_rests_shows_steps() {
        for state in [State::Queued, State::WaitingForTag, State::Final, State::Cancelled] {
            let now = Timestamp::from_seconds(1);
            assert!(ProgressRow::of(state, &Progress::default(), now).is_none());
        }
    }
}
