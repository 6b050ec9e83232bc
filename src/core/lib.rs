//! The pure middle of Countersign. Everything here is a value or a function of values: no IO, clock, randomness, async
//! or environment. The modules stand in the order in which data passes through them, and each imports only from above.

pub mod timestamp;

pub mod artifact;

pub mod canonical;
pub mod limits;

pub mod package_json;

pub mod yaml;

pub mod archive;

pub mod manifest;

pub mod finding;
pub mod normalisation;
pub mod policy;

pub mod source;

pub mod npm_manifest;

pub mod toolchain;

pub mod lockfile;

pub mod facts;

pub mod plan;

pub mod enrolment;

pub mod cause;
pub mod rebuild;

pub mod compare;

pub mod history;
pub mod search;

pub mod explain;
pub mod mend;

pub mod diff;

pub mod verdict;

pub mod protocol;

pub mod report;

pub mod attestation;

pub mod gate;

pub use artifact::{Access, Invalid, PackageName, Sha1, Sha256, Sha512, Subject, Version};
pub use timestamp::Timestamp;
