//! The worker of Countersign: everything that touches git, registries, toolchains and the sandbox. It knows nothing of
//! the service's store and decides nothing that `countersign-core` can decide.

mod candidates;
pub mod checkout;
mod door;
pub mod fetch;
pub mod http;
pub mod job;
pub mod mirror;
mod past;
pub mod progress;
pub mod reach;
mod rebuild;
pub mod sandbox;
pub mod service;
pub mod settings;
pub mod toolchain;
mod tools;
pub mod upstream;

#[cfg(test)]
mod peer;

pub use door::door_main;
