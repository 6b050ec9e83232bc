//! The one test binary: real parts together, and the repository's own rules.

mod demo;
mod hostile;
mod killed;
mod npm;
mod road;
mod support;
mod tidy;
