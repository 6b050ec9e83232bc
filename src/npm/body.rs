//! Bodies of requests, read within bounds of length and time. A large one waits on the disk and not in memory, so that many
//! slow clients cost little. A client that is refused before its body was read would see a broken connection in place of
//! the reason, so what is refused is read to its end and thrown away.

use std::{
    io::{Read, Seek},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use axum::{
    body::{Body, BodyDataStream},
    http::StatusCode,
};
use bytes::Bytes;
use countersign_core::limits::{
    JSON_BODY_BYTES_MAX, PUBLISH_DOCUMENT_BYTES_MAX, PUBLISH_DOCUMENT_SECONDS_MAX,
};
use futures_util::StreamExt;
use tokio::{fs::File, io::AsyncWriteExt, time::timeout};

use crate::error::Error;

/// A small JSON body, whole.
///
/// # Errors
/// 408 and 413 where it is longer than any small one, in time or bytes; `what` says what it should have been.
pub(super) async fn small(body: Body, what: &'static str) -> Result<Bytes, Error> {
    let mut incoming = Incoming::new(body, JSON_BODY_BYTES_MAX, what);
    in_time(what, async {
        let mut whole = Vec::new();
        while let Some(chunk) = incoming.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    })
    .await
}

/// A publish document that has come in whole and lies in a file without a name: whatever happens, nothing of it stays.
#[derive(Debug)]
pub(super) struct Waiting(std::fs::File);

impl Waiting {
    /// Takes the document in. The file lies in that folder: where temporary files go may be memory.
    ///
    /// # Errors
    /// 408 and 413 where it is longer than it may be, in time or bytes.
    pub(super) async fn receive(body: Body, folder: &Path) -> Result<Self, Error> {
        const WHAT: &str = "the document of a staged release";
        let failed = "the document could not be kept in the data folder";
        let file = tempfile::tempfile_in(folder).context(failed)?;
        let mut file = File::from_std(file);
        let mut incoming = Incoming::new(body, PUBLISH_DOCUMENT_BYTES_MAX, WHAT);
        in_time(WHAT, async {
            while let Some(chunk) = incoming.next().await? {
                file.write_all(&chunk).await.context(failed)?;
            }
            file.flush().await.context(failed)?;
            Ok(Self(file.into_std().await))
        })
        .await
    }

    /// The document, now in memory. It reads a file: keep it off the threads that serve others.
    pub(super) fn into_bytes(mut self) -> std::io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut whole)?;
        Ok(whole)
    }
}

/// A body that comes in, chunk by chunk, up to a bound.
struct Incoming {
    body: BodyDataStream,
    left: usize,
    bytes_max: usize,
    what: &'static str,
}

impl Incoming {
    fn new(body: Body, bytes_max: usize, what: &'static str) -> Self {
        Self { body: body.into_data_stream(), left: bytes_max, bytes_max, what }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(chunk) = self.body.next().await else { return Ok(None) };
        let chunk = chunk.map_err(|_| Error::bad_request("the body did not come to its end"))?;
        let Some(left) = self.left.checked_sub(chunk.len()) else {
            drain(&mut self.body).await;
            let Self { bytes_max, what, .. } = self;
            return Err(Error::too_large(format!("{what} has at most {bytes_max} bytes")));
        };
        self.left = left;
        Ok(Some(chunk))
    }
}

async fn in_time<T>(what: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(Duration::from_secs(PUBLISH_DOCUMENT_SECONDS_MAX), work).await {
        Ok(done) => done,
        Err(_) => Err(Error::refused(
            StatusCode::REQUEST_TIMEOUT,
            format!("{what} did not come within {PUBLISH_DOCUMENT_SECONDS_MAX} s"),
        )),
    }
}

/// Reads as much as the largest body that anybody may send, and keeps nothing of it.
pub(super) async fn discard(body: Body) {
    let mut body = body.into_data_stream();
    let limit = Duration::from_secs(PUBLISH_DOCUMENT_SECONDS_MAX);
    // Whoever is slower than that gets the answer or a broken connection: it is the same refusal.
    let _in_time = timeout(limit, drain(&mut body)).await;
}

async fn drain(body: &mut BodyDataStream) {
    let mut left = PUBLISH_DOCUMENT_BYTES_MAX;
    while let Some(Ok(chunk)) = body.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
