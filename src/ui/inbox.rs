//! The inbox: one row for each stage, what needs the maintainer first. It lays rows out; which stages there are and who
//! may see them is said by the service.

use askama::{Template, filters::Safe};
use countersign_core::{Timestamp, verdict::Outcome};

use super::{
    address,
    badge::Badge,
    escape::prose,
    shell::{Shell, Viewer},
    words::Moment,
};

/// A page without scripts looks again after so many seconds while something is under way.
const REFRESH_SECONDS: u32 = 15;

/// A stage as the inbox needs it.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Its id.
    pub(crate) id: String,
    /// The package.
    pub(crate) name: String,
    /// The version.
    pub(crate) version: String,
    /// The badge of its verdict, state or decision.
    pub(crate) badge: Badge,
    /// The verdict's sentence, where there is one.
    pub(crate) summary: String,
    /// The verdict, once it stands.
    pub(crate) outcome: Option<Outcome>,
    /// Whether a maintainer decided.
    pub(crate) decided: bool,
    /// When it was staged.
    pub(crate) staged_at: Timestamp,
    /// Who staged it.
    pub(crate) staged_by: String,
}

/// One row.
pub(crate) struct InboxRow {
    href: String,
    name: String,
    version: String,
    badge: Badge,
    said: Safe<String>,
    since: Moment,
    staged_by: String,
}

/// Rows under one heading.
pub(crate) struct Shelf {
    heading: &'static str,
    remark: &'static str,
    since_label: &'static str,
    rows: Vec<InboxRow>,
}

/// The page.
#[derive(Template)]
#[template(path = "inbox.html", config = "src/ui/askama.toml")]
pub(crate) struct InboxPage {
    shell: Shell,
    nothing_waits: bool,
    shelves: Vec<Shelf>,
}

impl InboxPage {
    /// The page with these stages, which come in the order in which they were staged, newest first.
    pub(crate) fn new(viewer: Viewer, stages: Vec<Waiting>, now: Timestamp) -> Self {
        let (decided, live): (Vec<_>, Vec<_>) = stages.into_iter().partition(|one| one.decided);
        let (mut mine, others): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|one| one.outcome.is_some());
        // A pass is one code away from being useful; then what has to be rejected; what waits longest stands first.
        mine.sort_by_key(|one| (urgency(one.outcome), one.staged_at));
        let count = mine.len();
        let title = if count == 0 { "Inbox".to_owned() } else { format!("({count}) Inbox") };
        let mut shell = Shell::new(title, Some(viewer));
        shell.at_inbox = true;
        shell.refresh_seconds = (!others.is_empty()).then_some(REFRESH_SECONDS);
        let shelf = |heading, since_label, remark, rows: Vec<Waiting>| Shelf {
            heading,
            remark,
            since_label,
            rows: rows.into_iter().map(|one| InboxRow::of(one, now)).collect(),
        };
        let shelves = vec![
            shelf("Needs you", "Waiting since", "", mine),
            shelf("On its way", "Waiting since", "The verdict comes by itself.", others),
            shelf("Decided", "Staged", "", decided),
        ];
        let shelves: Vec<Shelf> =
            shelves.into_iter().filter(|shelf| !shelf.rows.is_empty()).collect();
        Self { shell, nothing_waits: count == 0, shelves }
    }
}

fn urgency(outcome: Option<Outcome>) -> u8 {
    match outcome {
        Some(Outcome::Pass) => 0,
        Some(Outcome::Fail) => 1,
        Some(Outcome::Inconclusive) => 2,
        None => 3,
    }
}

impl InboxRow {
    fn of(one: Waiting, now: Timestamp) -> Self {
        Self {
            href: address::stage(&one.id),
            name: one.name,
            version: one.version,
            badge: one.badge,
            said: prose(&one.summary),
            since: Moment::new(one.staged_at, now),
            staged_by: one.staged_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{gallery, samples};

    #[test]
    fn what_needs_the_maintainer_stands_first_and_a_pass_before_a_fail() {
        let html =
            InboxPage::new(gallery::viewer(), samples::waiting(), samples::NOW).render().unwrap();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(at("Needs you") < at(">left-pad<") && at(">left-pad<") < at(">right-pad<"));
        assert!(at(">right-pad<") < at("On its way") && at("On its way") < at(">@pad/core<"));
        assert!(at(">@pad/core<") < at("Decided"));
    }

    #[test]
    fn an_empty_inbox_says_so() {
        let html = InboxPage::new(gallery::viewer(), Vec::new(), samples::NOW).render().unwrap();
        assert!(html.contains("Nothing waits for you."));
    }
}
