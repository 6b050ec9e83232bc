//! What the strict reader accepts and refuses. `packed` reads what real packers wrote; `refusals` walks the tables of
//! hand-made archives (`smuggled`, `disputed`, `platforms`, `framing`), built by `writer`, which unlike the tar crate
//! writes any header; `mutations` changes every byte.

mod accepted;
mod disputed;
mod framing;
mod mutations;
mod packed;
mod platforms;
mod refusals;
mod smuggled;
mod writer;
