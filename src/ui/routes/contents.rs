//! Differences of single files, from the two stored tarballs. Both are read by the core's strict reader, off the threads
//! that answer requests, and only so many at once.

use countersign_core::{
    archive,
    diff::{self, FileDiff},
};
use tokio::sync::Semaphore;

use super::found::Found;
use crate::{app::App, ui::answer::PageError};

/// Pairs of archives that are unpacked at once by one process. Each may take a gigabyte, if hostile, and a core.
const READ_AT_ONCE: usize = 2;

static READING: Semaphore = Semaphore::const_new(READ_AT_ONCE);

/// How these files differ, in their order. A side that has no tarball has no files.
pub(super) async fn differences(
    app: &App,
    found: &Found,
    paths: Vec<String>,
) -> Result<Vec<(String, FileDiff)>, PageError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let _turn = READING.acquire().await.map_err(|error| PageError::Ours(error.into()))?;
    let staged = app.blobs.tarball(found.verification.subject.sha512).await?;
    let rebuilt = match found.attempt.as_ref().and_then(|attempt| attempt.rebuilt_sha512) {
        Some(digest) => Some(app.blobs.tarball(digest).await?),
        None => None,
    };
    let reading = move || -> Result<Vec<(String, FileDiff)>, archive::Refusal> {
        let staged = archive::read(&staged)?;
        let rebuilt = rebuilt.map(|bytes| archive::read(&bytes)).transpose()?;
        Ok(paths
            .into_iter()
            .map(|path| {
                let theirs = rebuilt.as_ref().and_then(|archive| archive.get(&path));
                let diff = diff::unified(staged.get(&path), theirs);
                (path, diff)
            })
            .collect())
    };
    let read = tokio::task::spawn_blocking(reading).await;
    // Both were read and compared before there was a verdict: now they can only be read again.
    read.map_err(|error| PageError::Ours(error.into()))?
        .map_err(|refusal| PageError::Ours(refusal.into()))
}
