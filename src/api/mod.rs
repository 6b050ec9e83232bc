//! JSON for registries, CI, workers and whoever watches over the service. Each handler parses, calls and answers; there is
//! no SQL and no policy here.

pub(crate) mod health;
pub(crate) mod worker;
