//! Verdicts looked up by what they are about: by the digest of the bytes, or by name and version. Only what an enrolled
//! source vouches for is a verdict here.

use axum::{
    Json,
    extract::{Path, State},
};
use countersign_core::{PackageName, Sha512, Version, protocol::VerificationId, source::Trust};
use serde_json::{Value, json};

use super::caller::Caller;
use crate::{
    app::App,
    error::Error,
    reports,
    store::{
        attempts::{self, AttemptRow},
        listing::{self, Filter, Listed},
    },
};

/// Verifications of one digest or version that an answer holds at most.
const LISTED_MAX: u32 = 100;

/// `GET /v1/verdicts/{sha512}`: `{current, history, status}`.
pub(super) async fn by_digest(
    State(app): State<App>,
    caller: Caller,
    Path(sha512): Path<String>,
) -> Result<Json<Value>, Error> {
    let sha512: Sha512 = sha512.parse().map_err(|error| Error::bad_request(format!("{error}")))?;
    let unknown = || Error::not_found(format!("there is no verdict about {sha512}"));
    let filter = Filter { sha512: Some(sha512), ..caller.0.visible().ok_or_else(unknown)? };
    let mut reader = app.store.read().await?;
    let mut rows = Vec::new();
    for listed in listing::list(&mut reader, &filter, 0, LISTED_MAX).await? {
        rows.extend(attempts::of(&mut reader, listed.verification.id).await?);
    }
    rows.retain(of_an_enrolled_source);
    rows.sort_by_key(|row| std::cmp::Reverse(row.judged_at));
    let current = rows.first().ok_or_else(unknown)?;
    let status = if current.revoked_at.is_some() { "revoked" } else { "valid" };
    let history: Vec<Value> = rows.iter().map(row_json).collect();
    Ok(Json(
        json!({ "sha512": sha512, "status": status, "current": history[0], "history": history }),
    ))
}

fn of_an_enrolled_source(row: &AttemptRow) -> bool {
    let source = row.judged.observations.source.as_ref();
    row.enrolment_revision.is_some() && source.is_none_or(|source| source.trust == Trust::Enrolled)
}

fn row_json(row: &AttemptRow) -> Value {
    let verdict = &row.judged.verdict;
    json!({
        "id": row.id,
        "verification": row.verification,
        "attempt": row.attempt,
        "verdict": verdict.outcome,
        "class": verdict.class,
        "level": verdict.level,
        "summary": row.summary,
        "subject": row.subject,
        "enrolment_revision": row.enrolment_revision,
        "judged_at": row.judged_at,
        "revoked_at": row.revoked_at,
    })
}

/// `GET /v1/packages/{name}/versions/{version}`: the verifications of that version, newest first.
pub(super) async fn by_version(
    State(app): State<App>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let name: PackageName = name.parse().map_err(|error| Error::bad_request(format!("{error}")))?;
    let version: Version =
        version.parse().map_err(|error| Error::bad_request(format!("{error}")))?;
    let unknown = || Error::not_found(format!("there is no verification of `{name}@{version}`"));
    let visible = caller.0.visible().ok_or_else(unknown)?;
    let filter = Filter { package: Some(name.clone()), version: Some(version.clone()), ..visible };
    let mut reader = app.store.read().await?;
    let listed = listing::list(&mut reader, &filter, 0, LISTED_MAX).await?;
    if listed.is_empty() {
        return Err(unknown());
    }
    let ids: Vec<VerificationId> = live_first(&listed);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(reports::report_of(&app, &mut reader, id).await?);
    }
    Ok(Json(json!({ "name": name, "version": version, "verifications": found })))
}

/// The live ones where there are any: what was rejected is over, and whoever waits means what is staged now.
fn live_first(listed: &[Listed]) -> Vec<VerificationId> {
    let live: Vec<_> =
        listed.iter().filter(|one| one.decision.is_none()).map(|one| one.verification.id).collect();
    if live.is_empty() { listed.iter().map(|one| one.verification.id).collect() } else { live }
}
