//! The verify API: JSON for registries, CI and workers. Each handler parses, calls and answers; there is no SQL and no
//! policy here. All routes stand in this one list.

mod caller;
pub(crate) mod health;
mod keys;
mod submission;
mod verdicts;
mod verifications;
pub(crate) mod worker;

use axum::{
    Router,
    routing::{get, post},
};

use crate::app::App;

/// Every route of the verify API but the workers' own.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/verifications", post(submission::submit))
        .route("/v1/verifications/{id}", get(verifications::read))
        .route("/v1/verifications/{id}/report", get(verifications::report))
        .route("/v1/verifications/{id}/log", get(verifications::log))
        .route("/v1/verifications/{id}/rebuilt.tgz", get(verifications::rebuilt))
        .route("/v1/verifications/{id}/attestation", get(verifications::attestation))
        .route("/v1/verdicts/{sha512}", get(verdicts::by_digest))
        .route("/v1/packages/{name}/versions/{version}", get(verdicts::by_version))
        .route("/v1/keys", get(keys::list))
}
