//! The pages of maintainers, rendered here and sent whole. They show what the service and the core say: no SQL and no
//! policy stands in this folder. Every text that a template prints goes through `escape.rs`.

mod address;
mod answer;
mod assets;
mod badge;
mod decide;
mod diff;
mod escape;
mod file;
mod files;
mod guard;
mod inbox;
mod log;
mod package;
mod progress;
mod refusal;
mod report;
mod routes;
mod shell;
mod sign_in;
mod stage;
mod step;
mod symbol;
mod visitor;
mod way;
mod words;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use routes::{assets as files_of_pages, decisions, events, lists, sessions, stages};

use crate::app::App;

/// Every page.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(lists::inbox))
        .route("/sign-in", get(sessions::sign_in_page).post(sessions::sign_in))
        .route("/sign-out", post(sessions::sign_out))
        .route("/stages/{id}", get(stages::report))
        .route("/stages/{id}/approve", get(decisions::approve_page).post(decisions::approve))
        .route("/stages/{id}/reject", get(decisions::reject_page).post(decisions::reject))
        .route("/stages/{id}/files/{*path}", get(stages::file))
        .route("/stages/{id}/log", get(stages::log))
        .route("/stages/{id}/events", get(events::stream))
        .route("/packages/{*name}", get(lists::package))
        .route("/assets/{file}", get(files_of_pages::asset))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(secured))
}

/// The largest form is a reason of a thousand characters, each of which may take nine bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;

async fn secured(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    guard::secure(response.headers_mut());
    response
}

#[cfg(test)]
mod gallery;
#[cfg(test)]
mod samples;
