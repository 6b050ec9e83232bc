//! The queue: which verification is worked on by whom, and what becomes of it. Leases are given here, reports taken or
//! refused, and time brings its consequences. Every step is one transaction with its event; what a verdict is, the core
//! decides. It knows nothing of HTTP.

mod accept;
mod conclude;
mod lease;
mod round;
mod sweep;

pub use accept::report;
pub(crate) use conclude::{Conclusion, conclude};
pub use lease::{heartbeat, lease, staged_tarball, upload_log, upload_rebuilt};
pub(crate) use round::withdraw;
pub use round::{RoundRefused, cancel, rerun};
pub use sweep::sweep;

use countersign_core::{
    Timestamp,
    enrolment::Enrolment,
    protocol::VerificationId,
    source::{Reachable, Reference, SourceRequest, Trust},
};
use serde_json::Value;

use crate::{
    blobs::BlobError,
    store::{
        self, Connection,
        events::{Event, EventKind},
        tag_sights,
        verifications::Verification,
    },
};

/// Why a worker's request is not done.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There is no such lease, it is another token's, or its time is over: the job may be in other hands.
    #[error("this lease is dead; ask for another job")]
    LeaseDead,
    /// The service does not come to the same result from the same bytes.
    #[error("the report is refused: {0}")]
    Disagrees(String),
    /// The store failed.
    #[error("the queue could not be read or written")]
    Store(#[from] store::Error),
    /// The blobs failed.
    #[error("the job's files could not be read or written")]
    Blob(#[from] BlobError),
}

/// What the worker is told about the source: the enrolment's word, and nothing of what the stage claims but as a claim.
async fn source_request(
    at: &mut Connection,
    verification: &Verification,
    enrolment: &Enrolment,
) -> store::Result<SourceRequest> {
    let subject = &verification.subject;
    let tag = enrolment.tag_pattern.tag_for(&subject.name, &subject.version);
    let first_sight = tag_sights::find(at, &subject.name, &enrolment.repository, &tag).await?;
    let reachable = if enrolment.policy.require_branch {
        Reachable::FromBranches(enrolment.branches.clone())
    } else {
        Reachable::FromAnyRef
    };
    Ok(SourceRequest {
        trust: Trust::Enrolled,
        repository: Some(enrolment.repository.clone()),
        directory: Some(enrolment.directory.clone()),
        reference: Reference::Named(tag),
        reachable,
        enrolment_revision: Some(enrolment.revision),
        first_sight,
        claims: verification.claims.clone(),
    })
}

/// The tag that a verification waits for.
pub(crate) fn expected_tag(verification: &Verification, enrolment: &Enrolment) -> String {
    let subject = &verification.subject;
    enrolment.tag_pattern.tag_for(&subject.name, &subject.version)
}

fn about(
    verification: &Verification,
    kind: EventKind,
    actor: &str,
    at: Timestamp,
    data: Value,
) -> Event {
    let id: VerificationId = verification.id;
    Event {
        kind,
        verification: Some(id),
        package: Some(verification.subject.name.clone()),
        actor: actor.to_owned(),
        at,
        data,
    }
}

/// `first`, doubled `times` times, at most `limit`.
fn doubled(first: u64, times: u32, limit: u64) -> i64 {
    let seconds = first.saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX)).min(limit);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::doubled;

    #[test]
    fn pauses_double_up_to_their_limit() {
        let pauses: Vec<i64> = (0..6).map(|times| doubled(5, times, 60)).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(doubled(5, 200, 60), 60);
    }
}
