//! All that service and worker say to each other, as values. How it travels (HTTP, a pipe) is not known here.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    artifact::{Sha512, Subject},
    compare::Comparison,
    plan::Given,
    policy::Policy,
    rebuild::Phase,
    source::SourceRequest,
    timestamp::Timestamp,
    verdict::{Observations, Verdict},
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

id!(
    /// One verification; where Countersign stages, it is the stage id too.
    VerificationId
);
id!(
    /// One attempt's verdict.
    VerdictId
);

/// The unguessable name of a lease: whoever knows it may report, and only while it lives.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub String);

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseId(***)")
    }
}

/// One job: everything that a worker is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The verification that it belongs to.
    pub verification: VerificationId,
    /// Counts from 1.
    pub attempt: u32,
    /// What is to be verified.
    pub subject: Subject,
    /// Where the source is to be found.
    pub source: SourceRequest,
    /// What the enrolment asks for.
    pub policy: Policy,
    /// Parts of the plan that are set by hand.
    #[serde(default, skip_serializing_if = "Given::is_empty")]
    pub plan: Given,
    /// When the artifact was staged.
    pub staged_at: Timestamp,
    /// What made it, as far as that was recorded.
    pub recorded: Recorded,
}

/// What a publishing client wrote about itself: claims that choose among tools and prove nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// `_nodeVersion`.
    pub node: Option<String>,
    /// `_npmVersion`.
    pub npm: Option<String>,
}

impl Recorded {
    /// From a version's manifest.
    pub fn of_manifest(manifest: &serde_json::Map<String, serde_json::Value>) -> Self {
        let text =
            |key: &str| manifest.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        Self { node: text("_nodeVersion"), npm: text("_npmVersion") }
    }
}

/// A job given to one worker for a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Needed for heartbeats, the staged tarball and the report.
    pub id: LeaseId,
    /// The lease dies after so many seconds without a heartbeat.
    pub seconds: u64,
    /// The job.
    pub job: Job,
}

/// A sign of life with what is being done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The phase.
    pub phase: Phase,
    /// What is being done, as a short text for people.
    pub detail: String,
}

/// The service's answer to a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatAnswer {
    /// The lease lives on.
    Continue,
    /// The job was withdrawn: stop and report nothing.
    Stop,
}

/// One attempt with its verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Judged {
    /// What was found out.
    pub observations: Observations,
    /// The two archives, where both were read.
    pub comparison: Option<Comparison>,
    /// What follows from it.
    pub verdict: Verdict,
}

/// How one attempt came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Attempt {
    /// With a verdict.
    Judged(Box<Judged>),
    /// The tag does not exist yet: nothing was judged.
    TagMissing {
        /// The tag that was looked for.
        tag: String,
    },
}

/// What a worker hands in. The rebuilt tarball and the log were uploaded before, under the lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The version of the worker, part of every attestation.
    pub worker_version: String,
    /// How the attempt came out.
    pub attempt: Attempt,
    /// The digest of the uploaded tarball, where one was packed.
    pub rebuilt_sha512: Option<Sha512>,
}

/// Where the service listens for workers, and how a request names its lease. Every request carries the worker's token
/// as a bearer; all but the first also carry the lease in [`paths::LEASE_HEADER`], so that no secret stands in a URL.
pub mod paths {
    /// The header that holds a [`super::LeaseId`].
    pub const LEASE_HEADER: &str = "countersign-lease";
    /// POST with [`super::LeaseRequest`]: 200 with a [`super::Lease`], or 204 where there is nothing to do after the
    /// `?wait=SECONDS` of the query.
    pub const LEASES: &str = "/v1/worker/leases";
    /// POST with a [`super::Heartbeat`]: 200 with a [`super::HeartbeatAnswer`]; 409 where the lease is dead.
    pub const HEARTBEAT: &str = "/v1/worker/lease/heartbeat";
    /// GET: the staged tarball's bytes.
    pub const TARBALL: &str = "/v1/worker/lease/tarball";
    /// PUT: the rebuilt tarball's bytes.
    pub const REBUILT: &str = "/v1/worker/lease/rebuilt";
    /// PUT: the log as text.
    pub const LOG: &str = "/v1/worker/lease/log";
    /// POST with a [`super::WorkerReport`]: 204; 409 where the lease is dead, 422 where the service judges otherwise.
    pub const REPORT: &str = "/v1/worker/lease/report";
}

/// A worker that asks for work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The worker's own name, for people: host and process.
    pub worker: String,
    /// Its version.
    pub version: String,
}
