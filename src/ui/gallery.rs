//! Every page in every state, rendered from samples: what must hold of each is checked here, and with
//! `COUNTERSIGN_GALLERY=FOLDER` each is written there to be looked at.

use askama::{DynTemplate, Template};
use countersign_core::{
    Timestamp,
    gate::Decision,
    rebuild::Phase,
    report::{Report, State},
};

use super::{
    assets,
    decide::{ApprovePage, RejectPage},
    file::FilePage,
    files::Filter,
    inbox::InboxPage,
    log::{LogLine, LogPage},
    progress::Progress,
    refusal::RefusalPage,
    report::{Extracts, LogTail, ReportPage},
    samples::{self, NOW},
    shell::Viewer,
    sign_in::SignInPage,
    stage::{Approval, Decided, Stage},
};

pub(crate) fn viewer() -> Viewer {
    Viewer { name: "ada".to_owned(), form_token: "form-token-of-the-session".to_owned() }
}

fn rendered(report: &Report, stage: &Stage, extracts: Extracts) -> String {
    ReportPage::new(viewer(), report, stage, extracts, Filter::All, NOW).render().unwrap()
}

fn decided(decision: Decision, verified: bool, reason: Option<&str>) -> Stage {
    samples::stage(Approval::Decided(Decided {
        decision,
        verified,
        by: "ada".to_owned(),
        at: NOW.plus_seconds(-90),
        reason: reason.map(str::to_owned),
    }))
}

fn finals() -> Vec<(&'static str, String)> {
    let open = || samples::stage(Approval::Open { unverified: false });
    let closed = |report: &Report| samples::closed(report, Some("A stage that passes opens it."));
    let plain = |report: &Report| rendered(report, &closed(report), Extracts::default());
    let tampered = samples::tampered();
    let diffs = vec![samples::diff("dist/index.js")];
    let not_rebuilt = samples::not_rebuilt();
    let tail = ["> left-pad@1.3.1 build", "> node fetch-model.mjs", "", "TypeError: fetch failed"];
    let lines = tail.iter().zip(118..);
    let lines = lines.map(|(&text, number)| LogLine { number, text: text.to_owned() }).collect();
    let log_tail = Some(LogTail { lines });
    vec![
        ("pass", rendered(&samples::passed(), &open(), Extracts::default())),
        (
            "pass-with-warnings",
            rendered(&samples::passed_with_warnings(), &open(), Extracts::default()),
        ),
        (
            "differs",
            rendered(&tampered, &closed(&tampered), Extracts { diffs, ..Extracts::default() }),
        ),
        (
            "not-rebuilt",
            rendered(
                &not_rebuilt,
                &closed(&not_rebuilt),
                Extracts { log_tail, ..Extracts::default() },
            ),
        ),
        ("source", plain(&samples::foreign_source())),
        ("tag-moved", plain(&samples::moved_tag())),
        ("archive", plain(&samples::malformed())),
        ("inconclusive", plain(&samples::inconclusive())),
    ]
}

fn pending() -> Vec<(&'static str, String)> {
    let waiting = |state| {
        let report = samples::pending(state);
        let stage = samples::stage(Approval::Closed {
            reason: "There is no verdict yet.".to_owned(),
            opens: None,
            reject: true,
        });
        let progress = Progress {
            phase: Some(Phase::Build),
            detail: "npm run build".to_owned(),
            since: Some(Timestamp::from_seconds(NOW.as_seconds() - 31)),
        };
        rendered(&report, &stage, Extracts { progress, ..Extracts::default() })
    };
    vec![
        ("queued", waiting(State::Queued)),
        ("waiting-for-tag", waiting(State::WaitingForTag)),
        ("running", waiting(State::Running)),
        ("retrying", waiting(State::Retrying)),
        ("cancelled", waiting(State::Cancelled)),
    ]
}

fn decisions() -> Vec<(&'static str, String)> {
    let (passed, tampered) = (samples::passed(), samples::tampered());
    let unverified = samples::stage(Approval::Open { unverified: true });
    let rejected = decided(Decision::Rejected, false, Some("Not ours: ask Grace."));
    let released = decided(Decision::Released, false, None);
    let one = |report: &Report, stage: &Stage| rendered(report, stage, Extracts::default());
    vec![
        ("published", one(&passed, &decided(Decision::Released, true, None))),
        ("publishing", one(&passed, &decided(Decision::Approved, true, None))),
        ("rejected", one(&tampered, &rejected)),
        ("observe-open", one(&tampered, &unverified)),
        ("released-unverified", one(&tampered, &released)),
    ]
}

fn others() -> Vec<(&'static str, String)> {
    let (passed, tampered) = (samples::passed(), samples::tampered());
    let open = samples::stage(Approval::Open { unverified: false });
    let closed = samples::closed(&tampered, Some("A stage that passes opens it."));
    let refused = Some("This code was used; wait for the next, 17 s.".to_owned());
    let log = b"== install: npm ci\nadded 3 packages\n== build: npm run build\n> left-pad@1.3.1 build\n> tsc\n\n\x1b[31merror\x1b[0m TS2304: \xe2\x80\xaeevil\n10 %\r100 %\n";
    let path = "dist/index.js";
    let comparison = tampered.comparison.as_ref().unwrap();
    let file = comparison.files.iter().find(|file| file.path == path).unwrap();
    let page = |template: Box<dyn DynTemplate>| template.dyn_render().unwrap();
    let inbox = |stages| page(Box::new(InboxPage::new(viewer(), stages, NOW)));
    let approve = |report, stage, why| {
        let shown = ["verdict", "1795000000000", "seal"].map(str::to_owned);
        page(Box::new(ApprovePage::new(viewer(), report, stage, shown, why)))
    };
    let sign_in = |why| page(Box::new(SignInPage::new("ada".to_owned(), "/".to_owned(), why)));
    let refusal = RefusalPage::new(
        Some(viewer()),
        "Not found",
        "There is no stage `019a` that you may see.",
        "Perhaps it belongs to a package of somebody else.",
    );
    vec![
        ("inbox", inbox(samples::waiting())),
        ("inbox-empty", inbox(Vec::new())),
        ("approve", approve(&passed, &open, None)),
        ("approve-refused", approve(&passed, &open, refused.clone())),
        ("approve-closed", approve(&tampered, &closed, None)),
        (
            "reject",
            page(Box::new(RejectPage::new(viewer(), &tampered, &closed, String::new(), None))),
        ),
        ("sign-in", sign_in(None)),
        ("sign-in-refused", sign_in(Some("Name, password and code do not fit together.".into()))),
        ("package", page(Box::new(samples::package_page()))),
        ("log", page(Box::new(LogPage::new(viewer(), samples::ID, "left-pad 1.3.1", log)))),
        (
            "file",
            page(Box::new(FilePage::new(
                viewer(),
                samples::ID,
                "left-pad 1.3.1",
                file,
                None,
                samples::diff(path),
            ))),
        ),
        ("refusal", page(Box::new(refusal))),
    ]
}

fn every_page() -> Vec<(&'static str, String)> {
    [finals(), pending(), decisions(), others()].concat()
}

/// What the content security policy would stop, and what a browser would have to fetch from elsewhere.
fn assert_sound(name: &str, html: &str) {
    for forbidden in
        [" style=", " onclick=", " onload=", "javascript:", "<style", "http://", "src=\"//"]
    {
        assert!(!html.contains(forbidden), "{name} holds {forbidden}");
    }
    for (at, _) in html.match_indices("<script") {
        assert!(html[at..].starts_with("<script type=\"module\" src=\"/assets/"), "{name}");
    }
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{name}");
    assert_eq!(html.matches("<h1").count(), 1, "{name} has one sentence");
    assert!(!html.contains('\u{202e}'), "{name} holds a bidirectional control");
}

#[test]
fn every_page_is_whole_and_asks_for_nothing_that_the_policy_forbids() {
    let pages = every_page();
    let folder = std::env::var_os("COUNTERSIGN_GALLERY").map(std::path::PathBuf::from);
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder.join("assets")).unwrap();
        for asset in [&assets::STYLE, &assets::SCRIPT, &assets::ICON] {
            std::fs::write(folder.join(&asset.href()[1..]), asset.bytes()).unwrap();
        }
    }
    for (name, html) in &pages {
        assert_sound(name, html);
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
        }
    }
}
