//! Releases whose build attacks the worker, and input that cannot be rebuilt: each ends in bounded time with its own
//! finding, and the worker goes on. Whole jobs are run, from the staged bytes to the verdict, with the real git, the real
//! pinned node and npm, and the real sandbox.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]
#![expect(clippy::print_stdout, reason = "what a failing test found out stands beside it")]

mod bounds;
mod input;
mod moved;
mod network;
mod packing;
pub(crate) mod rig;
mod secrets;
mod table;
