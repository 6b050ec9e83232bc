//! A body that has to keep coming: with a bound for each pause and one for the whole. It knows nothing of what is in it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::Bounds;

/// A body under its bounds.
pub(super) struct Paced {
    inner: Incoming,
    pause: Duration,
    /// Ends the wait for the next piece; none while nobody waits.
    waiting: Option<Pin<Box<Sleep>>>,
    whole: Instant,
}

impl Paced {
    pub(super) fn new(inner: Incoming, bounds: &Bounds) -> Self {
        let whole = Instant::now() + bounds.body;
        Self { inner, pause: bounds.body_idle, waiting: None, whole }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let (pause, whole) = (self.pause, self.whole);
        let waiting = self.waiting.get_or_insert_with(|| {
            let sooner = sleep(pause);
            Box::pin(if sooner.deadline() < whole { sooner } else { sleep_until(whole) })
        });
        match waiting.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly");
                Poll::Ready(Some(Err(late.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
