//! The one test binary: real parts together, and the repository's own rules.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there, and says where")]

mod archives;
mod browser;
mod candidates;
mod check;
mod demo;
mod door;
mod hostile;
mod killed;
mod npm;
mod pages;
mod registries;
mod road;
mod service;
mod store;
mod support;
mod tarballs;
mod tidy;
