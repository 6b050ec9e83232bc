//! The one test binary: real parts together, and the repository's own rules.

mod demo;
mod hostile;
mod npm;
mod road;
mod support;
mod tidy;
