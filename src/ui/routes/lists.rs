//! The routes of the inbox and of a package: what is asked of the store, and the pages' rows made of it.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use countersign_core::{PackageName, gate::Decision};

use crate::{
    app::App,
    reports,
    store::{
        decisions::Kind,
        enrolments,
        listing::{self, Filter, Listed, ListedDecision},
        maintainers,
        verifications::Origin,
    },
    ui::{
        answer::{Answer, PageError, html},
        badge::Badge,
        inbox::{InboxPage, Waiting},
        package::{PackagePage, Release},
        visitor::Visitor,
        words,
    },
};

/// Live stages that the inbox shows. Whoever has more has another problem than finding the next one.
const LIVE_ROWS_MAX: u32 = 200;
/// Decided stages below them, newest first.
const DECIDED_ROWS_MAX: usize = 10;
/// Stages among which those are looked for.
const LOOKED_AT_MAX: u32 = 100;
/// Releases that the page of a package shows.
const RELEASE_ROWS_MAX: u32 = 100;

/// `GET /`
pub(crate) async fn inbox(State(app): State<App>, visitor: Visitor) -> Answer {
    let mut reader = app.store.read().await?;
    let mut stages = Vec::new();
    if let Some(visible) = visitor.asker.visible() {
        let every = Filter { origin: Some(Origin::Stage), ..visible };
        let live = Filter { live_only: true, ..every.clone() };
        stages.extend(listing::list(&mut reader, &live, 0, LIVE_ROWS_MAX).await?);
        let recent = listing::list(&mut reader, &every, 0, LOOKED_AT_MAX).await?;
        let closed = recent.into_iter().filter(|one| one.verification.closed_at.is_some());
        stages.extend(closed.take(DECIDED_ROWS_MAX));
    }
    let mut rows = Vec::with_capacity(stages.len());
    for listed in stages {
        let mut row = waiting(&listed);
        if row.outcome.is_none() && !row.decided {
            let report = reports::report_of(&app, &mut reader, listed.verification.id).await?;
            row.summary = report.map_or_else(String::new, |report| report.summary);
        }
        rows.push(row);
    }
    Ok(html(StatusCode::OK, &InboxPage::new(visitor.viewer(), rows, app.now())))
}

fn waiting(listed: &Listed) -> Waiting {
    let verdict = listed.verdict.as_ref();
    let decided = listed.decision.as_ref().map(decision_badge);
    let verification = &listed.verification;
    Waiting {
        id: verification.id.to_string(),
        name: verification.subject.name.to_string(),
        version: verification.subject.version.to_string(),
        badge: decided.unwrap_or_else(|| {
            let outcome = verdict.map(|verdict| verdict.outcome);
            Badge::new(verification.state, outcome, verdict.and_then(|v| v.class), None)
        }),
        summary: verdict.map_or_else(String::new, |verdict| verdict.summary.clone()),
        outcome: verdict.map(|verdict| verdict.outcome),
        decided: verification.closed_at.is_some(),
        staged_at: verification.staged_at,
        staged_by: words::actor(&verification.actor),
    }
}

fn decision_badge(decision: &ListedDecision) -> Badge {
    let kind = match (decision.kind, decision.released_at) {
        (Kind::Approved, Some(_)) => Decision::Released,
        (Kind::Approved, None) => Decision::Approved,
        (Kind::Rejected, _) => Decision::Rejected,
    };
    Badge::of_decision(kind, !decision.unverified)
}

/// `GET /packages/{*name}`
pub(crate) async fn package(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Answer {
    let unknown = || PageError::NotFound(format!("package `{name}`"));
    let package: PackageName = name.parse().map_err(|_| unknown())?;
    let mut reader = app.store.read().await?;
    if !visitor.asker.may_see(&mut reader, &package).await? {
        return Err(unknown());
    }
    let filter = Filter { package: Some(package.clone()), ..Filter::default() };
    let listed = listing::list(&mut reader, &filter, 0, RELEASE_ROWS_MAX).await?;
    let enrolment = enrolments::current(&mut reader, &package).await?;
    let maintainers = maintainers::of_package(&mut reader, &package).await?;
    let page = PackagePage::new(
        visitor.viewer(),
        package.as_str(),
        listed.into_iter().map(release).collect(),
        enrolment.as_ref(),
        &maintainers,
        app.now(),
    );
    Ok(html(StatusCode::OK, &page))
}

fn release(listed: Listed) -> Release {
    let verdict = listed.verdict.as_ref();
    let verification = listed.verification;
    let outcome = verdict.map(|verdict| verdict.outcome);
    Release {
        id: verification.id.to_string(),
        version: verification.subject.version.to_string(),
        verdict: Badge::new(verification.state, outcome, verdict.and_then(|v| v.class), None),
        decision: listed.decision.as_ref().map(decision_badge),
        staged_at: verification.staged_at,
        staged_by: words::actor(&verification.actor),
    }
}
