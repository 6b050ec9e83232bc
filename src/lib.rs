#![doc = include_str!("ARCHITECTURE.md")]

mod api;
pub mod app;
pub mod approval;
pub mod asker;
mod background;
pub mod blobs;
mod cli;
pub mod config;
mod demo;
pub mod enrolment;
pub mod error;
mod http;
pub mod intake;
pub mod queue;
pub mod reports;
pub mod second_factor;
pub mod signer;
pub mod store;
pub mod tokens;
mod ui;

use axum::{Router, routing::get};

pub use background::start_background;
pub use cli::main as command_line;

use crate::app::App;

/// Every route of the service.
pub fn app(app: App) -> Router {
    let routes = Router::new()
        .route("/healthz", get(api::health::healthz))
        .route("/readyz", get(api::health::readyz))
        .merge(api::worker::routes())
        .merge(api::routes())
        .merge(ui::routes())
        .fallback(http::no_such_route)
        .method_not_allowed_fallback(http::no_such_method);
    http::for_every_request(routes, app)
}
