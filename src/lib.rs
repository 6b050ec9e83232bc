//! Countersign: the second signature on a package release.

pub mod app;
pub mod asker;
pub mod blobs;
pub mod config;
pub mod signer;
pub mod store;
