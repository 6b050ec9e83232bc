//! What time brings: leases without a sign of life, and tags that never came. Asked for at every lease and now and then by
//! `serve`, in whichever process is first.

use countersign_core::{
    Timestamp,
    finding::{Code, Finding},
    limits::LEASE_SECONDS,
};
use serde_json::json;

use super::{
    Conclusion, QueueError, about, accept::tag_not_found, conclude, conclude::not_enrolled,
};
use crate::{
    app::App,
    store::{
        self, Writer, enrolments,
        events::{self, EventKind},
        leases::{self, LeaseEnding, LeaseRow},
        verifications,
    },
};

/// Ends what is overdue.
pub async fn sweep(app: &App) -> Result<(), QueueError> {
    let now = app.now();
    let mut reader = app.store.read().await?;
    let nothing = leases::overdue(&mut reader, now).await?.is_empty()
        && verifications::tired_of_waiting(&mut reader, now).await?.is_empty();
    drop(reader);
    if nothing {
        return Ok(());
    }
    let mut writer = app.store.write().await?;
    sweep_in(app, &mut writer, now).await?;
    Ok(writer.commit().await?)
}

pub(super) async fn sweep_in(app: &App, writer: &mut Writer, now: Timestamp) -> store::Result<()> {
    for lost in leases::overdue(writer, now).await? {
        expire(app, writer, lost, now).await?;
    }
    for mut tired in verifications::tired_of_waiting(writer, now).await? {
        match enrolments::current(writer, &tired.subject.name).await? {
            Some(enrolment) => tag_not_found(app, writer, &mut tired, &enrolment).await?,
            None => not_enrolled(app, writer, &mut tired, now).await?,
        }
    }
    Ok(())
}

async fn expire(
    app: &App,
    writer: &mut Writer,
    mut lost: LeaseRow,
    now: Timestamp,
) -> store::Result<()> {
    lost.ended = Some((now, LeaseEnding::Expired));
    leases::update(writer, &lost).await?;
    let Some(mut verification) = verifications::find(writer, lost.verification).await? else {
        return Ok(());
    };
    let data = json!({ "attempt": lost.attempt, "worker": lost.worker, "phase": lost.phase });
    let event = about(&verification, EventKind::LeaseExpired, "countersign", now, data);
    events::append(writer, &event).await?;
    let phase = lost.phase.map_or("", |phase| phase.as_str());
    let message = format!(
        "The worker `{}` gave no sign of life for {LEASE_SECONDS} s{}{phase}.",
        lost.worker,
        if phase.is_empty() { "" } else { ", in the phase " }
    );
    let name = &verification.subject.name;
    let enrolment = enrolments::revision(writer, name, lost.enrolment_revision).await?;
    let reason = Finding::new(Code::WorkerLost, message);
    let conclusion = Conclusion::undetermined(reason, enrolment.as_ref());
    conclude(app, writer, &mut verification, conclusion, now).await
}
