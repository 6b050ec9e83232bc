//! `GET /stages/{id}/events`: what happens to a stage, as Server-Sent Events. A step of the worker sends the row of steps
//! as the page shows it; any other event says that the page has changed. A browser that lost the connection goes on where
//! it was (`Last-Event-ID`).

use std::{convert::Infallible, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use countersign_core::{limits, protocol::VerificationId, report::State as Standing};
use futures_util::stream;
use serde::Deserialize;

use super::found::Found;
use crate::{
    app::App,
    store::{
        self,
        events::{self, EventKind, Recorded},
        leases, verifications,
    },
    ui::{
        answer::Answer,
        progress::{Progress, ProgressRow},
        visitor::Visitor,
    },
};

/// A stream ends by itself after so long; the browser opens it again and shows its session anew.
const STREAM_SECONDS_MAX: u64 = 10 * 60;
/// Events that are looked at in one go.
const EVENTS_AT_ONCE: u32 = 50;

/// What the page has seen already.
#[derive(Deserialize)]
pub(crate) struct Seen {
    after: Option<i64>,
}

/// The stream.
pub(crate) async fn stream(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(seen): Query<Seen>,
    headers: HeaderMap,
) -> Answer {
    let found = Found::look_up(&app, &visitor, &id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = last.or(seen.after).unwrap_or(found.seen);
    let following = Following { app, id: found.id, after, waiting: Vec::new() };
    let ends = tokio::time::Instant::now() + Duration::from_secs(STREAM_SECONDS_MAX);
    let events = stream::unfold(following, move |mut following| async move {
        let next = tokio::time::timeout_at(ends, following.next()).await;
        match next {
            Ok(Ok(event)) => Some((Ok::<_, Infallible>(event), following)),
            Ok(Err(error)) => {
                tracing::error!(%error, "a stream of events ended");
                None
            }
            Err(_) => None,
        }
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(limits::EVENTS_COMMENT_SECONDS));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// A place in the sequence of one stage's events.
struct Following {
    app: App,
    id: VerificationId,
    after: i64,
    /// Read and not sent yet, the next one last.
    waiting: Vec<Recorded>,
}

impl Following {
    /// The next event, as soon as there is one.
    async fn next(&mut self) -> store::Result<Event> {
        loop {
            if let Some(recorded) = self.waiting.pop() {
                self.after = recorded.seq;
                match self.told(&recorded).await? {
                    Some(event) => return Ok(event),
                    None => continue,
                }
            }
            let mut reader = self.app.store.read().await?;
            let newest = events::last(&mut reader).await?;
            self.waiting =
                events::after(&mut reader, self.after, Some(self.id), EVENTS_AT_ONCE).await?;
            drop(reader);
            self.waiting.reverse();
            if self.waiting.is_empty() {
                // Others' events wake everybody; those before `newest` are not ours.
                self.after = self.after.max(newest);
                self.app.store.events().wait_after(self.after).await?;
            }
        }
    }

    /// What the page is told of it; nothing where it shows nothing of it.
    async fn told(&self, recorded: &Recorded) -> store::Result<Option<Event>> {
        let event = Event::default().id(recorded.seq.to_string());
        // Browsers do not hand on an event without data.
        let changed = event.clone().event("changed").data("page");
        if !matches!(recorded.event.kind, EventKind::Leased | EventKind::Progressed) {
            return Ok(Some(changed));
        }
        let found = verifications::find(&mut self.app.store.read().await?, self.id).await?;
        match found.map(|found| found.state) {
            // A worker looks whether the tag is there, again and again: no news until it is.
            Some(Standing::WaitingForTag) => Ok(None),
            Some(Standing::Running) if recorded.event.kind == EventKind::Progressed => {
                let steps = self.steps().await?;
                Ok(Some(steps.map_or(changed, |html| event.event("steps").data(html))))
            }
            Some(_) | None => Ok(Some(changed)),
        }
    }

    /// The row of steps as it is now, which may be further than the event.
    async fn steps(&self) -> store::Result<Option<String>> {
        let lease = leases::open_of(&mut self.app.store.read().await?, self.id).await?;
        let Some(lease) = lease else { return Ok(None) };
        let progress = Progress {
            phase: lease.phase,
            detail: lease.detail.unwrap_or_default(),
            since: Some(lease.granted_at),
        };
        let row = ProgressRow::of(Standing::Running, &progress, self.app.now());
        Ok(row.and_then(|row| row.render().ok()))
    }
}
