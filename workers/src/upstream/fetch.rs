//! Fetching from registries: packuments and tarballs, length-capped, retried a little, checked against the digest that
//! is known of them, and remembered on disk. "There is no such thing" and "nobody could tell" are two errors.

use std::{
    io::{Seek, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use countersign_core::{
    PackageName, Sha1, Sha512, Timestamp, Version,
    limits::{
        PACKUMENT_BYTES_MAX, PACKUMENT_FRESH_SECONDS, REGISTRY_ATTEMPTS_MAX,
        REGISTRY_CACHE_BYTES_MAX, REGISTRY_PAUSE_MILLIS,
    },
};
use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;
use sha2::Digest;
use tempfile::NamedTempFile;
use url::Url;

use super::{
    Dist, Packument, Registries, Registry, UpstreamConfig,
    store::{Remembered, Store},
};
use crate::http::ClientError;

/// Why something was not had from a registry.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The registry answered, and there is no such thing.
    #[error("{what} is not in the registry")]
    NotFound {
        /// A package, or a version of it.
        what: String,
    },
    /// The registry did not answer, or with something that is no answer: this says nothing about the package.
    #[error("{what} could not be fetched: {because}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// What happened instead.
        because: String,
    },
    /// The bytes that came are not those that the digest names.
    #[error("{what} came with bytes of another digest than {expected}")]
    Mismatch {
        /// What was asked for.
        what: String,
        /// The digest it should have.
        expected: String,
    },
    /// What came is larger than a bound of ours.
    #[error("{what} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The bound.
        limit_bytes: u64,
    },
    /// The cache folder refused.
    #[error("the cache of fetched packages cannot be used")]
    Cache(#[from] std::io::Error),
}

impl UpstreamError {
    pub(super) fn unavailable(what: &str, because: impl ToString) -> Self {
        Self::Unavailable { what: what.to_owned(), because: because.to_string() }
    }
}

/// A tarball, opened at its first byte.
#[derive(Debug)]
pub struct Tarball {
    /// The open file.
    pub file: std::fs::File,
    /// Its length in bytes.
    pub bytes: u64,
    /// The digest that its bytes were found to have.
    pub sha512: Sha512,
}

/// The registries with a client and the shared disk cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream {
    registries: Arc<Registries>,
    client: Client,
    store: Store,
    asked: Arc<AtomicU64>,
}

impl Upstream {
    /// Opens the cache below that folder (for this process's user alone) and makes the client.
    ///
    /// # Errors
    /// When a named file of certificates cannot be read or the folder cannot be written.
    pub fn new(config: &UpstreamConfig, folder: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            registries: Arc::new(config.registries.clone()),
            client: config.client.client()?,
            store: Store::open(folder)?,
            asked: Arc::default(),
        })
    }

    /// Who serves which name.
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// The client that reaches them, for answers that are passed on as they come.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How many requests went out to registries so far; what came from the cache is not counted.
    pub fn requests_sent(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Brings the disk cache below [`REGISTRY_CACHE_BYTES_MAX`] and removes what dead workers left in it: to be called
    /// between two jobs. Gives the number of bytes that were freed.
    ///
    /// # Errors
    /// When the cache folder cannot be read or written.
    pub async fn trim_cache(&self) -> Result<u64, UpstreamError> {
        let store = self.store.clone();
        let trimmed =
            off_thread(move || store.trim(REGISTRY_CACHE_BYTES_MAX, SystemTime::now())).await;
        Ok(trimmed?)
    }

    /// Everything that the registry of that name tells of it. A cached document serves for
    /// [`PACKUMENT_FRESH_SECONDS`] and is then asked for again, by its `etag` where it has one.
    ///
    /// # Errors
    /// `NotFound` for a name that the one registry of its scope does not have.
    pub async fn packument(&self, name: &PackageName) -> Result<Packument, UpstreamError> {
        self.packument_not_older_than(name, PACKUMENT_FRESH_SECONDS).await
    }

    /// The same, with another bound of age in seconds: zero asks the registry in any case.
    ///
    /// # Errors
    /// As [`Self::packument`].
    pub async fn packument_not_older_than(
        &self,
        name: &PackageName,
        seconds: u64,
    ) -> Result<Packument, UpstreamError> {
        self.packument_from(self.registries.of(name), name, seconds).await
    }

    /// The same from one of the registries: a lockfile may say which.
    pub(crate) async fn packument_from(
        &self,
        registry: &Registry,
        name: &PackageName,
        seconds: u64,
    ) -> Result<Packument, UpstreamError> {
        let (store, of, whose) = (self.store.clone(), registry.clone(), name.clone());
        let remembered = off_thread(move || Ok(store.packument(&of, &whose))).await?;
        let fresh = |known: &Remembered| {
            let age_millis = now().millis_since(known.fetched);
            u64::try_from(age_millis).is_ok_and(|age| age < seconds.saturating_mul(1000))
        };
        if let Some(known) = remembered.as_ref().filter(|known| fresh(known))
            && let Ok(packument) = Packument::parse(name, &known.body)
        {
            return Ok(packument);
        }
        let known = self.ask_for_packument(registry, name, remembered).await?;
        let what = format!("the packument of `{name}`");
        let packument = Packument::parse(name, &known.body)
            .map_err(|because| UpstreamError::unavailable(&what, because))?;
        self.store.keep_packument(registry, name, &known)?;
        Ok(packument)
    }

    async fn ask_for_packument(
        &self,
        registry: &Registry,
        name: &PackageName,
        remembered: Option<Remembered>,
    ) -> Result<Remembered, UpstreamError> {
        let what = format!("`{name}`");
        let url = registry
            .below(&name.escaped())
            .ok_or_else(|| UpstreamError::unavailable(&what, "its name makes no address"))?;
        let etag = remembered.as_ref().and_then(|known| known.etag.clone());
        let mut response = self.get(registry, &url, &what, etag.as_deref()).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            let known = remembered.ok_or_else(|| {
                UpstreamError::unavailable(
                    &what,
                    "the registry says that what was never asked is unchanged",
                )
            })?;
            return Ok(Remembered { fetched: now(), ..known });
        }
        let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let mut body = Vec::new();
        let limit_bytes = PACKUMENT_BYTES_MAX;
        while let Some(chunk) = response.chunk().await.map_err(|e| broken(&what, &e))? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > limit_bytes {
                return Err(UpstreamError::TooLarge { what, limit_bytes });
            }
        }
        Ok(Remembered { fetched: now(), etag, body })
    }

    /// One version's manifest, as the registry wrote it.
    ///
    /// # Errors
    /// `NotFound` for a package or version that is not there.
    pub async fn manifest(
        &self,
        name: &PackageName,
        version: &Version,
    ) -> Result<Value, UpstreamError> {
        let found = self.packument(name).await?.manifest(version);
        found.ok_or_else(|| UpstreamError::NotFound { what: format!("`{name}@{version}`") })
    }

    /// One version's tarball: the bytes have the digest that `dist` names, or there is an error. The largest is
    /// `limit_bytes` long. `progress` is told of bytes that came and, where it is known, of how many there are.
    ///
    /// # Errors
    /// `Mismatch` when other bytes came, or when `dist` names no digest at all.
    pub async fn tarball(
        &self,
        name: &PackageName,
        version: &Version,
        dist: &Dist,
        limit_bytes: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<Tarball, UpstreamError> {
        self.tarball_from(self.registries.of(name), (name, version), dist, limit_bytes, progress)
            .await
    }

    /// The same from one of the registries: a lockfile may say which.
    pub(crate) async fn tarball_from(
        &self,
        registry: &Registry,
        (name, version): (&PackageName, &Version),
        dist: &Dist,
        limit_bytes: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<Tarball, UpstreamError> {
        let known = dist.sha512();
        if let Some(sha512) = known
            && let Some(kept) = self.cached(sha512).await?
        {
            return Ok(kept);
        }
        let what = format!("the tarball of `{name}@{version}`");
        let url = tarball_url(registry, &dist.tarball).ok_or_else(|| {
            UpstreamError::unavailable(&what, format!("`{}` is no address for it", dist.tarball))
        })?;
        let (file, sha512, sha1) =
            self.download(registry, &url, &what, limit_bytes, progress).await?;
        let (right, expected) = match (known, dist.sha1()) {
            (Some(expected), _) => (sha512 == expected, expected.to_integrity()),
            (None, Some(expected)) => (sha1 == expected, expected.to_hex()),
            (None, None) => (false, "no digest in its manifest".to_owned()),
        };
        if !right {
            return Err(UpstreamError::Mismatch { what, expected });
        }
        self.store.keep_tarball(file, &sha512)?;
        self.cached(sha512).await?.ok_or_else(|| {
            UpstreamError::Cache(std::io::Error::other(
                "a tarball vanished from the cache while it was kept",
            ))
        })
    }

    async fn cached(&self, sha512: Sha512) -> Result<Option<Tarball>, UpstreamError> {
        let store = self.store.clone();
        let kept = off_thread(move || store.tarball(&sha512)).await?;
        Ok(kept.map(|(file, bytes)| Tarball { file, bytes, sha512 }))
    }

    /// A tarball of the default registry at its usual address, whose digest is known from elsewhere. It is not kept.
    pub(crate) async fn pinned_tarball(
        &self,
        package: &str,
        version: &Version,
        sha512: &Sha512,
        limit_bytes: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<NamedTempFile, UpstreamError> {
        let registry = &self.registries.default;
        let what = format!("the tarball of `{package}@{version}`");
        let file = package.rsplit('/').next().unwrap_or(package);
        let url = registry
            .below(&format!("{package}/-/{file}-{version}.tgz"))
            .ok_or_else(|| UpstreamError::unavailable(&what, "its name makes no address"))?;
        let (mut file, came, _) =
            self.download(registry, &url, &what, limit_bytes, progress).await?;
        if came != *sha512 {
            return Err(UpstreamError::Mismatch { what, expected: sha512.to_integrity() });
        }
        file.rewind()?;
        Ok(file)
    }

    /// Downloads with a few attempts, since a connection may break in the middle of a large file.
    pub(super) async fn download(
        &self,
        registry: &Registry,
        url: &Url,
        what: &str,
        limit_bytes: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<(NamedTempFile, Sha512, Sha1), UpstreamError> {
        let mut attempt = 1;
        loop {
            let response = self.get(registry, url, what, None).await?;
            match self.receive(response, what, limit_bytes, progress).await {
                Err(UpstreamError::Unavailable { .. }) if attempt < REGISTRY_ATTEMPTS_MAX => {
                    pause(attempt).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn receive(
        &self,
        mut response: Response,
        what: &str,
        limit_bytes: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<(NamedTempFile, Sha512, Sha1), UpstreamError> {
        let total = response.content_length();
        let mut file = self.store.incoming()?;
        let (mut sha512, mut sha1) = (sha2::Sha512::new(), sha1::Sha1::new());
        let mut done = 0;
        while let Some(chunk) = response.chunk().await.map_err(|e| broken(what, &e))? {
            done += chunk.len() as u64;
            if done > limit_bytes {
                return Err(UpstreamError::TooLarge { what: what.to_owned(), limit_bytes });
            }
            sha512.update(&chunk);
            sha1.update(&chunk);
            file.write_all(&chunk)?;
            progress(done, total);
        }
        let sha512 = Sha512::from_bytes(sha512.finalize().into());
        Ok((file, sha512, Sha1::from_bytes(sha1.finalize().into())))
    }

    /// One GET with a few attempts. Only 200 and 304 come back as answers.
    async fn get(
        &self,
        registry: &Registry,
        url: &Url,
        what: &str,
        etag: Option<&str>,
    ) -> Result<Response, UpstreamError> {
        let mut attempt = 1;
        loop {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mut request =
                self.client.get(url.clone()).header(header::ACCEPT, "application/json, */*");
            if let Some(secret) = registry.authorization_for(url) {
                request = request.header(header::AUTHORIZATION, secret.expose());
            }
            if let Some(etag) = etag {
                request = request.header(header::IF_NONE_MATCH, etag);
            }
            let (again, error) = match request.send().await {
                Ok(response) => match judge(what, &response) {
                    None => return Ok(response),
                    Some(error) => (worth_another_try(response.status()), error),
                },
                Err(error) => (true, broken(what, &error)),
            };
            if !again || attempt >= REGISTRY_ATTEMPTS_MAX {
                return Err(error);
            }
            pause(attempt).await;
            attempt += 1;
        }
    }
}

/// The registries cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The cache folder cannot be made or written.
    #[error("the cache of fetched packages cannot be opened")]
    Cache(#[from] std::io::Error),
}

/// What a status means, where it is not an answer.
fn judge(what: &str, response: &Response) -> Option<UpstreamError> {
    let status = response.status();
    match status.as_u16() {
        200 | 304 => None,
        404 | 410 | 451 => Some(UpstreamError::NotFound { what: what.to_owned() }),
        401 | 403 => Some(UpstreamError::unavailable(
            what,
            format!(
                "the registry answered {status}; its token in npm's or the operator's configuration is missing or \
                 not enough"
            ),
        )),
        _ => Some(UpstreamError::unavailable(what, format!("the registry answered {status}"))),
    }
}

fn worth_another_try(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// The chain of causes in one line: reqwest's own text is only its outermost one. Addresses are left out, since one
/// may carry a secret.
fn broken(what: &str, error: &reqwest::Error) -> UpstreamError {
    let mut because = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(one) = cause {
        if !because.is_empty() {
            because.push_str(": ");
        }
        because.push_str(&one.to_string());
        cause = one.source();
    }
    if because.is_empty() {
        because = "the connection broke".to_owned();
    }
    UpstreamError::unavailable(what, because)
}

/// Hashing a large file does not belong on the threads that wait for many connections.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(REGISTRY_PAUSE_MILLIS << (attempt - 1))).await;
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Where a tarball is fetched: at the address in its manifest, where a copy of the public registry that forgot to
/// rewrite it is asked itself (npm's `replace-registry-host`). Another host is asked by https only.
fn tarball_url(registry: &Registry, written: &str) -> Option<Url> {
    let mut url = registry.url().join(written).ok()?;
    if let Some(own) = registry.in_place_of_alias(&url) {
        url = own;
    }
    if url.host_str() == Some("registry.npmjs.org") && !registry.serves(&url) {
        url = registry.below(url.path().trim_start_matches('/'))?;
    }
    (registry.serves(&url) || url.scheme() == "https").then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarball_comes_from_its_registry_or_by_https() {
        let registry = Registry::parse("http://127.0.0.1:4000/npm/").unwrap();
        let url = |written: &str| tarball_url(&registry, written).map(|url| url.to_string());
        assert_eq!(
            url("https://registry.npmjs.org/a/-/a-1.0.0.tgz").unwrap(),
            "http://127.0.0.1:4000/npm/a/-/a-1.0.0.tgz"
        );
        assert_eq!(url("https://cdn.example/a.tgz").unwrap(), "https://cdn.example/a.tgz");
        assert_eq!(url("http://169.254.169.254/latest"), None);
        assert_eq!(url("file:///etc/passwd"), None);
    }
}
