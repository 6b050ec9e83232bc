//! The one test binary: real parts together, and the repository's own rules.

mod hostile;
mod npm;
mod support;
mod tidy;
