//! Bodies of requests, read within a bound. A client that is refused before its body was read would see a broken
//! connection in place of the reason, so what is refused is read to its end and thrown away.

use axum::body::Body;
use bytes::Bytes;
use countersign_core::limits::PUBLISH_DOCUMENT_BYTES_MAX;
use futures_util::StreamExt;

use crate::error::Error;

/// The whole body, where it is at most so long.
///
/// # Errors
/// 413 where it is longer; `what` says what it should have been.
pub(super) async fn read(body: Body, bytes_max: usize, what: &str) -> Result<Bytes, Error> {
    let mut body = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Error::bad_request("the body did not come to its end"))?;
        if whole.len() + chunk.len() > bytes_max {
            discard(Body::from_stream(body)).await;
            return Err(Error::too_large(format!("{what} has at most {bytes_max} bytes")));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// Reads as much as the largest body that anybody may send, and keeps nothing of it.
pub(super) async fn discard(body: Body) {
    let mut body = body.into_data_stream();
    let mut left = PUBLISH_DOCUMENT_BYTES_MAX;
    while let Some(Ok(chunk)) = body.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
