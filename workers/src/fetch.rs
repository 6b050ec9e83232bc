//! The staged tarball: brought whole into memory under its bound and held against its SHA-512 before anything reads it.
//! "Not there", "not these bytes" and "too large" are three errors. It knows nothing of what is inside.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use countersign_core::{
    Sha512,
    archive::Rule,
    finding::{Code, Finding},
    limits::TARBALL_BYTES_MAX,
    rebuild::Phase,
};
use reqwest::RequestBuilder;

use crate::progress::Watch;

/// How often a silent download is looked at for whether the job was withdrawn.
const LOOK: Duration = Duration::from_millis(200);

/// Why there is no tarball to be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It was not given: this says nothing about the package.
    #[error("The staged tarball could not be fetched: {0}.")]
    Unavailable(String),
    /// The bytes are others than those that the digest names.
    #[error("The bytes that came have the SHA-512 {found}, and the staged tarball has {expected}.")]
    WrongBytes {
        /// The digest that was named.
        expected: Box<Sha512>,
        /// The digest of what came.
        found: Box<Sha512>,
    },
    /// It is larger than [`TARBALL_BYTES_MAX`].
    #[error("The tarball is larger than {TARBALL_BYTES_MAX} bytes.")]
    TooLarge,
    /// The file cannot be read from our own disk.
    #[error("`{path}` cannot be read: {source}.")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The job was withdrawn.
    #[error("The job was withdrawn.")]
    Cancelled,
}

impl FetchError {
    /// The finding that this is: of class archive for the bytes' own fault, undetermined where they did not come. None
    /// for our own failures.
    pub fn finding(&self) -> Option<Finding> {
        let code = match self {
            Self::Unavailable(_) => Code::RegistryUnavailable,
            Self::WrongBytes { .. } => Code::ManifestDisagrees,
            Self::TooLarge => Code::Archive(Rule::TooLarge),
            Self::Unreadable { .. } | Self::Cancelled => return None,
        };
        Some(Finding::new(code, self.to_string()))
    }
}

/// Downloads the tarball that has this SHA-512. The caller made the request, with its credential.
///
/// # Errors
/// See [`FetchError`]; nothing that did not have the digest is handed on.
pub async fn download(
    request: RequestBuilder,
    expected: &Sha512,
    watch: Watch<'_>,
) -> Result<Vec<u8>, FetchError> {
    let unavailable = |error: reqwest::Error| FetchError::Unavailable(chain(&error.without_url()));
    let response = heeding(request.send(), watch).await?.map_err(unavailable)?;
    let mut response = response.error_for_status().map_err(unavailable)?;
    let announced = response.content_length();
    if announced.is_some_and(|bytes| bytes > TARBALL_BYTES_MAX) {
        return Err(FetchError::TooLarge);
    }
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(chunk) = heeding(response.chunk(), watch).await?.map_err(unavailable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > TARBALL_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        if let Some(all) = announced.filter(|all| *all > 0) {
            let percent = bytes.len() as u64 * 100 / all;
            watch.doing(Phase::Fetch, &format!("downloading the tarball: {percent} %"));
        }
    }
    checked(bytes, Some(expected))
}

/// Reads a tarball from a file; without a digest, whatever it has.
///
/// # Errors
/// As [`download`], and `Unreadable`.
pub fn read_file(path: &Path, expected: Option<&Sha512>) -> Result<Vec<u8>, FetchError> {
    let unreadable = |source| FetchError::Unreadable { path: path.display().to_string(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(TARBALL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > TARBALL_BYTES_MAX {
        return Err(FetchError::TooLarge);
    }
    checked(bytes, expected)
}

fn checked(bytes: Vec<u8>, expected: Option<&Sha512>) -> Result<Vec<u8>, FetchError> {
    let Some(expected) = expected else { return Ok(bytes) };
    let found = Sha512::of(&bytes);
    if found == *expected {
        Ok(bytes)
    } else {
        Err(FetchError::WrongBytes { expected: Box::new(*expected), found: Box::new(found) })
    }
}

/// Waits for an answer, unless the job is withdrawn meanwhile.
async fn heeding<T>(answer: impl Future<Output = T>, watch: Watch<'_>) -> Result<T, FetchError> {
    let mut answer = std::pin::pin!(answer);
    loop {
        match tokio::time::timeout(LOOK, answer.as_mut()).await {
            Ok(answered) => return Ok(answered),
            Err(_still_waiting) if watch.cancelled() => return Err(FetchError::Cancelled),
            Err(_still_waiting) => {}
        }
    }
}

/// An error with its causes: the outermost alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
