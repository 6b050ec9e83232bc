//! A worker's report made by hand: what an honest worker would find, and the means to change it into what a dishonest or
//! confused one would say. Comparing and judging are the core's own.

use bytes::Bytes;
use countersign_core::{
    Sha512, archive,
    plan::{Clock, Install, Plan, Step},
    protocol::{Attempt, Job, Judged, WorkerReport},
    rebuild::{Ending, Rebuild},
    source::{Reference, Source, Trust},
    toolchain::{Tool, ToolName},
    verdict::{Observations, examine, judge},
};

/// The commit that every tag of the tests names.
pub(crate) const COMMIT: &str = "4f2c9e1aa0b1c2d3e4f5061728394a5b6c7d8e9f";

/// What an honest worker reports for a job whose rebuild gave these bytes.
pub(crate) fn honest(job: &Job, staged: &Bytes, rebuilt: &Bytes) -> WorkerReport {
    judged_with(job, observations(job), Some((staged, rebuilt)))
}

/// The report on these observations and archives.
pub(crate) fn judged_with(
    job: &Job,
    observations: Observations,
    archives: Option<(&Bytes, &Bytes)>,
) -> WorkerReport {
    let comparison = archives.map(|(staged, rebuilt)| {
        let (staged, rebuilt) = (archive::read(staged).unwrap(), archive::read(rebuilt).unwrap());
        examine(&staged, &rebuilt, &observations, &job.policy)
    });
    let verdict = judge(&observations, comparison.as_ref(), &job.policy);
    WorkerReport {
        worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        attempt: Attempt::Judged(Box::new(Judged { observations, comparison, verdict })),
        rebuilt_sha512: archives.map(|(_, rebuilt)| Sha512::of(rebuilt)),
    }
}

/// What is seen where all goes well.
pub(crate) fn observations(job: &Job) -> Observations {
    Observations {
        source: Some(source(job)),
        plan: Some(plan(job)),
        rebuild: Some(Rebuild {
            peak_memory_bytes: Some(1),
            root_image: "test".to_owned(),
            ..Rebuild::ended(Ending::Packed)
        }),
        ..Observations::default()
    }
}

fn source(job: &Job) -> Source {
    let Reference::Named(tag) = &job.source.reference else { panic!("a service names the tag") };
    Source {
        trust: Trust::Enrolled,
        repository: job.source.repository.clone().unwrap(),
        directory: job.source.directory.clone().unwrap(),
        tag: tag.clone(),
        commit: COMMIT.to_owned(),
        commit_time: job.staged_at,
        enrolment_revision: job.source.enrolment_revision,
        evidence: Vec::new(),
    }
}

fn plan(job: &Job) -> Plan {
    let tool = |name, version: &str| Tool { name, version: version.parse().unwrap() };
    Plan {
        node: tool(ToolName::Node, "22.23.3"),
        npm: tool(ToolName::Npm, "11.19.1"),
        package_manager: tool(ToolName::Npm, "11.19.1"),
        packer: tool(ToolName::Npm, "11.19.1"),
        directory: job.source.directory.clone().unwrap(),
        install: Install::None,
        build: Vec::new(),
        pack: Step {
            argv: vec!["npm".to_owned(), "pack".to_owned()],
            cwd: job.source.directory.clone().unwrap(),
            env: Vec::new(),
        },
        cutoff: job.staged_at,
        clock: Clock::Real,
        put_back: false,
        why: Vec::new(),
    }
}
