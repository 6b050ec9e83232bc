//! How the mirror answers one request: the rules are looked at before and after a registry is asked, and nothing is
//! handed out whose bytes were not hashed first. It knows nothing of sockets.

use std::{
    collections::HashMap,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::{
    PackageName, Sha1, Sha256, Version,
    limits::{DEPENDENCY_BYTES_MAX, MIRROR_DOCUMENTS_MAX, PACKUMENT_FRESH_SECONDS},
    rebuild::{Dependency, Sha512Integrity},
};
use hyper::header::HeaderValue;
use serde_json::Value;
use sha2::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    document,
    policy::{LockedVersion, MirrorPolicy, Offer, Reason, Shelf},
    record::Recorder,
    route::Route,
};
use crate::upstream::{Packument, Tarball, Upstream, UpstreamError};

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer {
    /// A JSON text. The permit is given back when the last byte has gone out.
    Json(Json, Option<OwnedSemaphorePermit>),
    /// A tarball.
    Tarball(Tarball),
    /// A rule refused it.
    Refused(Reason),
    /// The registry has no such thing.
    NotFound(String),
    /// The registry did not answer.
    Unavailable(String),
}

/// A JSON text with what is said about it.
#[derive(Debug)]
pub(super) struct Json {
    pub(super) text: Vec<u8>,
    pub(super) kind: &'static str,
    sha256: Sha256,
}

impl Json {
    fn new(text: Vec<u8>, abbreviated: bool) -> Self {
        let kind = if abbreviated { document::ABBREVIATED_TYPE } else { "application/json" };
        Self { sha256: Sha256::of(&text), text, kind }
    }
}

impl Answer {
    /// The entity tag of what is handed out: the digest of its bytes, which no other bytes have.
    pub(super) fn etag(&self) -> Option<HeaderValue> {
        let digest = match self {
            Self::Json(json, _) => json.sha256.to_hex(),
            Self::Tarball(tarball) => tarball.sha512.to_hex(),
            Self::Refused(_) | Self::NotFound(_) | Self::Unavailable(_) => return None,
        };
        Some(HeaderValue::from_str(&format!("\"{digest}\"")).expect("digits are visible ASCII"))
    }
}

/// What is needed to answer.
#[derive(Debug)]
pub(super) struct Desk {
    policy: MirrorPolicy,
    upstream: Upstream,
    pub(super) recorder: Recorder,
    shelves: Mutex<HashMap<PackageName, Arc<Shelf>>>,
    documents: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(policy: MirrorPolicy, upstream: Upstream) -> Self {
        Self {
            policy,
            upstream,
            recorder: Recorder::new(),
            shelves: Mutex::default(),
            documents: Arc::new(Semaphore::new(MIRROR_DOCUMENTS_MAX)),
        }
    }

    /// Answers while the network is open.
    pub(super) async fn answer(&self, route: &Route, abbreviated: bool) -> Answer {
        let answered = match route {
            Route::Refused(reason) => Ok(Answer::Refused(*reason)),
            Route::Dns(_) => Ok(Answer::Refused(Reason::Dns)),
            Route::Ping => Ok(Answer::Json(Json::new(b"{}".to_vec(), false), None)),
            Route::Packument(name) => self.packument(name, abbreviated).await,
            Route::Manifest(name, wanted) => self.manifest(name, wanted).await,
            Route::Tarball(name, file) => self.tarball(name, file).await,
        };
        answered.unwrap_or_else(|error| self.failed(&error))
    }

    fn failed(&self, error: &UpstreamError) -> Answer {
        let what = error.to_string();
        match error {
            UpstreamError::NotFound { .. } => Answer::NotFound(what),
            UpstreamError::Mismatch { .. } => Answer::Refused(Reason::Integrity),
            UpstreamError::TooLarge { .. } => Answer::Refused(Reason::TooManyBytes),
            UpstreamError::Unavailable { .. } | UpstreamError::Cache(_) => {
                self.recorder.unavailable(what.clone());
                Answer::Unavailable(what)
            }
        }
    }

    async fn packument(
        &self,
        name: &PackageName,
        abbreviated: bool,
    ) -> Result<Answer, UpstreamError> {
        let (packument, shelf, permit) = self.open(name, PACKUMENT_FRESH_SECONDS).await?;
        if let Some(reason) = shelf.closed() {
            return Ok(Answer::Refused(reason));
        }
        let rendered = tokio::task::spawn_blocking(move || {
            let document = document::packument(&packument, &shelf, abbreviated);
            serde_json::to_vec(&document).map(|text| Json::new(text, abbreviated))
        });
        let rendered = rendered.await.map_err(std::io::Error::other)?;
        Ok(Answer::Json(rendered.map_err(std::io::Error::other)?, Some(permit)))
    }

    async fn manifest(&self, name: &PackageName, wanted: &str) -> Result<Answer, UpstreamError> {
        let (packument, shelf, permit) = self.open(name, PACKUMENT_FRESH_SECONDS).await?;
        let missing = || UpstreamError::NotFound { what: format!("`{name}@{wanted}`") };
        let (version, offer) = shelf.find(wanted).ok_or_else(missing)?;
        if let Some(reason) = offer.hidden {
            return Ok(Answer::Refused(reason));
        }
        let version: Version = version.parse().map_err(|_| missing())?;
        let Some(Value::Object(written)) = packument.manifest(&version) else {
            return Err(missing());
        };
        let shown = document::manifest(name, version.as_str(), written, false);
        Ok(Answer::Json(Json::new(shown.to_string().into_bytes(), false), Some(permit)))
    }

    async fn tarball(&self, name: &PackageName, file: &str) -> Result<Answer, UpstreamError> {
        let asked = file
            .strip_suffix(".tgz")
            .and_then(|stem| stem.strip_prefix(name.unscoped())?.strip_prefix('-'))
            .and_then(|version| version.parse::<Version>().ok());
        if asked.as_ref().is_some_and(|version| self.policy.is_subject(name, version)) {
            return Ok(Answer::Refused(Reason::Subject));
        }
        let Some((version, offer)) = self.offer(name, asked, file).await? else {
            return Err(UpstreamError::NotFound {
                what: format!("the tarball `{file}` of `{name}`"),
            });
        };
        if let Some(reason) = offer.hidden {
            return Ok(Answer::Refused(reason));
        }
        let registry = self.policy.registry(self.upstream.registries(), name);
        let (which, bytes) = ((name, &version), DEPENDENCY_BYTES_MAX);
        let tarball =
            self.upstream.tarball_from(registry, which, &offer.dist, bytes, &mut |_, _| {}).await?;
        self.hand_out(name, version, offer, tarball).await
    }

    /// The last looks, at the bytes themselves.
    async fn hand_out(
        &self,
        name: &PackageName,
        version: Version,
        offer: Offer,
        tarball: Tarball,
    ) -> Result<Answer, UpstreamError> {
        if tarball.sha512 == self.policy.staged_sha512 {
            return Ok(Answer::Refused(Reason::StagedBytes));
        }
        if self.policy.is_another(name, &version, &tarball.sha512) {
            return Ok(Answer::Refused(Reason::NotRecorded));
        }
        let locks: Vec<&LockedVersion> = self.policy.locks(name, &version).collect();
        let (tarball, sha1) = if locks.iter().any(|lock| !lock.is_strong()) {
            sha1_of(tarball).await?
        } else {
            (tarball, None)
        };
        if !locks.is_empty() && !locks.iter().any(|lock| lock.is(&tarball.sha512, || sha1)) {
            return Ok(Answer::Refused(Reason::LockedIntegrity));
        }
        if !self.recorder.may_hand_out(tarball.bytes) {
            return Ok(Answer::Refused(Reason::TooManyBytes));
        }
        let locked = locks.iter().any(|lock| lock.is_strong());
        // A commit cannot name what is not there yet.
        let impossible = locked && offer.published.is_some_and(|at| at > self.policy.cutoff);
        let dependency = Dependency {
            name: name.clone(),
            version,
            integrity: Sha512Integrity(tarball.sha512),
            published: offer.published,
            locked,
        };
        self.recorder.handed_out(dependency, offer.doubtful, impossible);
        Ok(Answer::Tarball(tarball))
    }

    /// The offer behind a tarball's address: by the version in it, or by the file name that the registry itself uses.
    /// A version that is not known is looked for once more, past the cache.
    async fn offer(
        &self,
        name: &PackageName,
        asked: Option<Version>,
        file: &str,
    ) -> Result<Option<(Version, Offer)>, UpstreamError> {
        let known = self.shelves.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        for seconds in [None, Some(PACKUMENT_FRESH_SECONDS), Some(0)] {
            let shelf = match (seconds, &known) {
                (None, None) => continue,
                (None, Some(shelf)) => shelf.clone(),
                (Some(seconds), _) => self.open(name, seconds).await?.1,
            };
            if let Some(found) = find(&shelf, asked.as_ref(), file) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A packument with what may be shown of it. The permit bounds how many lie in memory.
    async fn open(
        &self,
        name: &PackageName,
        not_older_than_seconds: u64,
    ) -> Result<(Packument, Arc<Shelf>, OwnedSemaphorePermit), UpstreamError> {
        let permit = self.documents.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let registry = self.policy.registry(self.upstream.registries(), name);
        let packument =
            self.upstream.packument_from(registry, name, not_older_than_seconds).await?;
        let shelf = Arc::new(self.policy.judge(&packument));
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.insert(name.clone(), shelf.clone());
        drop(shelves);
        Ok((packument, shelf, permit))
    }
}

fn find(shelf: &Shelf, asked: Option<&Version>, file: &str) -> Option<(Version, Offer)> {
    let by_version = asked.and_then(|version| shelf.offers.get_key_value(version.as_str()));
    let by_file = || {
        shelf.offers.iter().find(|(_, offer)| offer.dist.tarball.rsplit('/').next() == Some(file))
    };
    let (version, offer) = by_version.or_else(by_file)?;
    Some((version.parse().ok()?, offer.clone()))
}

async fn sha1_of(mut tarball: Tarball) -> std::io::Result<(Tarball, Option<Sha1>)> {
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hash = sha1::Sha1::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match tarball.file.read(&mut buffer)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        std::io::Seek::rewind(&mut tarball.file)?;
        Ok((tarball, Some(Sha1::from_bytes(hash.finalize().into()))))
    });
    hashed.await.map_err(std::io::Error::other)?
}
