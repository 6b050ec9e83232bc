//! A lease's life in the worker's hands: given, renewed, used to fetch the staged tarball and to upload what was made.

use bytes::Bytes;
use countersign_core::{
    Sha256, Sha512, Timestamp,
    limits::LEASE_SECONDS,
    protocol::{Heartbeat, HeartbeatAnswer, Job, Lease, LeaseId, Recorded},
    rebuild::Phase,
    report::State,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{QueueError, about, conclude::not_enrolled, source_request, sweep::sweep_in};
use crate::{
    app::App,
    asker::new_lease_secret,
    store::{
        self, Connection, Writer, attempts, enrolments,
        events::{self, EventKind},
        leases::{self, LeaseEnding, LeaseRow},
        verifications::{self, Verification},
    },
};

/// Gives the next job that is due to this worker; none where nothing is.
pub async fn lease(app: &App, token: Uuid, worker: &str) -> Result<Option<Lease>, QueueError> {
    if !anything_to_do(app).await? {
        return Ok(None);
    }
    let now = app.now();
    let mut writer = app.store.write().await?;
    sweep_in(app, &mut writer, now).await?;
    let lease = give(app, &mut writer, token, worker, now).await?;
    writer.commit().await?;
    Ok(lease)
}

/// Asked before the one lock for writing is taken, since idle workers ask all the time.
async fn anything_to_do(app: &App) -> store::Result<bool> {
    let now = app.now();
    let mut reader = app.store.read().await?;
    Ok(verifications::due(&mut reader, now).await?.is_some()
        || !leases::overdue(&mut reader, now).await?.is_empty())
}

async fn give(
    app: &App,
    writer: &mut Writer,
    token: Uuid,
    worker: &str,
    now: Timestamp,
) -> store::Result<Option<Lease>> {
    while let Some(mut due) = verifications::due(writer, now).await? {
        let Some(enrolment) = enrolments::current(writer, &due.subject.name).await? else {
            not_enrolled(app, writer, &mut due, now).await?;
            continue;
        };
        let attempt = attempts::count(writer, due.id).await? + 1;
        let (secret, digest) = new_lease_secret();
        let row = LeaseRow {
            id: Uuid::new_v4(),
            verification: due.id,
            attempt,
            worker: worker.to_owned(),
            token,
            enrolment_revision: enrolment.revision,
            granted_at: now,
            expires_at: until(now),
            phase: None,
            detail: None,
            rebuilt_sha512: None,
            log_sha256: None,
            ended: None,
        };
        leases::insert(writer, &row, digest).await?;
        if due.state != State::WaitingForTag {
            due.state = State::Running;
        }
        due.next_attempt_at = None;
        verifications::update(writer, &due).await?;
        let data = json!({ "attempt": attempt, "worker": worker, "state": due.state });
        events::append(writer, &about(&due, EventKind::Leased, worker, now, data)).await?;
        let source = source_request(writer, &due, &enrolment).await?;
        let manifest = verifications::manifest(writer, due.id).await?;
        let recorded = manifest
            .as_ref()
            .and_then(Value::as_object)
            .map(Recorded::of_manifest)
            .unwrap_or_default();
        let job = Job {
            verification: due.id,
            attempt,
            subject: due.subject,
            source,
            policy: enrolment.policy,
            plan: enrolment.plan,
            staged_at: due.staged_at,
            recorded,
        };
        let id = LeaseId(secret.expose().to_owned());
        return Ok(Some(Lease { id, seconds: LEASE_SECONDS, job }));
    }
    Ok(None)
}

fn until(now: Timestamp) -> Timestamp {
    now.plus_seconds(i64::try_from(LEASE_SECONDS).unwrap_or(i64::MAX))
}

/// Renews a lease.
pub async fn heartbeat(
    app: &App,
    token: Uuid,
    lease: &LeaseId,
    beat: Heartbeat,
) -> Result<HeartbeatAnswer, QueueError> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    let Some(mut row) = leases::find(&mut writer, secret_digest(lease)).await? else {
        return Err(QueueError::LeaseDead);
    };
    if row.token == token && matches!(row.ended, Some((_, LeaseEnding::Withdrawn))) {
        return Ok(HeartbeatAnswer::Stop);
    }
    if row.token != token || !row.is_live(now) {
        return Err(QueueError::LeaseDead);
    }
    let moved_on = row.phase != Some(beat.phase);
    row.expires_at = until(now);
    row.phase = Some(beat.phase);
    row.detail = Some(beat.detail);
    leases::update(&mut writer, &row).await?;
    if moved_on {
        progressed(&mut writer, &row, now).await?;
    }
    writer.commit().await?;
    Ok(HeartbeatAnswer::Continue)
}

/// What is past the checkout has found its tag.
async fn progressed(writer: &mut Writer, row: &LeaseRow, now: Timestamp) -> store::Result<()> {
    let Some(mut verification) = verifications::find(writer, row.verification).await? else {
        return Ok(());
    };
    if verification.state == State::WaitingForTag && row.phase > Some(Phase::Checkout) {
        verification.state = State::Running;
        verifications::update(writer, &verification).await?;
    }
    let data = json!({ "phase": row.phase, "detail": row.detail, "state": verification.state });
    let event = about(&verification, EventKind::Progressed, &row.worker, now, data);
    events::append(writer, &event).await.map(drop)
}

/// The staged tarball, for whoever has the lease.
pub async fn staged_tarball(app: &App, token: Uuid, lease: &LeaseId) -> Result<Bytes, QueueError> {
    let mut reader = app.store.read().await?;
    let (_, verification) = live(&mut reader, token, lease, app.now()).await?;
    drop(reader);
    Ok(app.blobs.tarball(verification.subject.sha512).await?)
}

/// Keeps the rebuilt tarball.
pub async fn upload_rebuilt(
    app: &App,
    token: Uuid,
    lease: &LeaseId,
    bytes: Bytes,
) -> Result<Sha512, QueueError> {
    live(&mut app.store.read().await?, token, lease, app.now()).await?;
    let digest = app.blobs.put_tarball(bytes).await?;
    let mut writer = app.store.write().await?;
    let (mut row, _) = live(&mut writer, token, lease, app.now()).await?;
    row.rebuilt_sha512 = Some(digest);
    leases::update(&mut writer, &row).await?;
    writer.commit().await?;
    Ok(digest)
}

/// Keeps the log.
pub async fn upload_log(
    app: &App,
    token: Uuid,
    lease: &LeaseId,
    bytes: Bytes,
) -> Result<Sha256, QueueError> {
    live(&mut app.store.read().await?, token, lease, app.now()).await?;
    let digest = app.blobs.put_log(bytes).await?;
    let mut writer = app.store.write().await?;
    let (mut row, _) = live(&mut writer, token, lease, app.now()).await?;
    row.log_sha256 = Some(digest);
    leases::update(&mut writer, &row).await?;
    writer.commit().await?;
    Ok(digest)
}

/// The lease and its verification, if the lease may be used now by this token.
pub(super) async fn live(
    at: &mut Connection,
    token: Uuid,
    lease: &LeaseId,
    now: Timestamp,
) -> Result<(LeaseRow, Verification), QueueError> {
    let row = leases::find(at, secret_digest(lease)).await?;
    let row =
        row.filter(|row| row.token == token && row.is_live(now)).ok_or(QueueError::LeaseDead)?;
    let verification = verifications::find(at, row.verification).await?;
    Ok((row, verification.ok_or(QueueError::LeaseDead)?))
}

fn secret_digest(lease: &LeaseId) -> Sha256 {
    Sha256::of(lease.0.as_bytes())
}
