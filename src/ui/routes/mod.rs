//! What each address of the pages does: parse, ask the service, lay out, answer. The list of them stands in `ui/mod.rs`.

pub(crate) mod assets;
mod contents;
pub(crate) mod decisions;
pub(crate) mod events;
mod found;
pub(crate) mod lists;
pub(crate) mod sessions;
pub(crate) mod stages;
