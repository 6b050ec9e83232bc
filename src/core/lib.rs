//! The pure middle of Countersign. Everything here is a value or a function of values: no IO, clock, randomness, async
//! or environment. The modules stand in the order in which data passes through them, and each imports only from above.

pub mod timestamp;

pub mod artifact;

pub mod limits;

pub mod toolchain;

pub use artifact::{Access, Invalid, PackageName, Sha1, Sha256, Sha512, Subject, Version};
pub use timestamp::Timestamp;
