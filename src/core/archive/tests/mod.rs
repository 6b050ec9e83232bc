//! What the strict reader accepts and refuses. `packed` reads what real packers wrote; `refusals` holds one hand-made
//! archive per rule, built by `writer`, which unlike the tar crate writes any header.

mod packed;
