//! What Countersign says of a staged tarball whose rebuild gave another one: read, compared and judged in process, with everything
//! else as it is where all goes well. It knows nothing of how the two differ.

use bytes::Bytes;
use countersign_core::{
    Sha512,
    compare::Level,
    plan::Given,
    policy::Policy,
    protocol::{Attempt, Job, Recorded, VerificationId},
    source::{Reachable, Reference, SourceRequest, Trust},
    verdict::Outcome,
};

use crate::support::{judged_with, observations};

/// The level and the verdict.
///
/// # Panics
/// Where one of the two is refused by the strict reader.
pub(super) fn judged(staged: &Bytes, rebuilt: &Bytes) -> (Option<Level>, Outcome) {
    let job = job(Sha512::of(staged));
    let report = judged_with(&job, observations(&job), Some((staged, rebuilt)));
    match report.attempt {
        Attempt::Judged(judged) => (judged.verdict.level, judged.verdict.outcome),
        Attempt::TagMissing { tag } => panic!("nothing was looked for, and `{tag}` is missing"),
    }
}

fn job(sha512: Sha512) -> Job {
    Job {
        verification: VerificationId(uuid::Uuid::nil()),
        attempt: 1,
        subject: countersign_core::Subject {
            registry: "https://registry.example".to_owned(),
            name: "sample".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            sha512,
            manifest_sha256: None,
            dist_tag: None,
            access: None,
        },
        source: SourceRequest {
            trust: Trust::Enrolled,
            repository: Some("https://git.example/sample/sample".parse().unwrap()),
            directory: Some("".parse().unwrap()),
            reference: Reference::Named("v1.0.0".to_owned()),
            reachable: Reachable::FromAnyRef,
            enrolment_revision: Some(1),
            first_sight: None,
            claims: Vec::new(),
        },
        policy: Policy::default(),
        staged_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        recorded: Recorded::default(),
        plan: Given::default(),
    }
}
