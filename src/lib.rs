//! Countersign: the second signature on a package release.

pub mod store;
