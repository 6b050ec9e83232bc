//! Countersign: the second signature on a package release.

pub mod app;
pub mod approval;
pub mod asker;
pub mod blobs;
pub mod config;
pub mod enrolment;
pub mod intake;
pub mod queue;
pub mod reports;
pub mod second_factor;
pub mod signer;
pub mod store;
