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
pub mod door;
pub mod enrolment;
pub mod error;
mod http;
pub mod intake;
mod npm;
pub mod queue;
pub mod reports;
#[cfg(feature = "sabotage")]
mod sabotage;
pub mod second_factor;
pub mod signer;
pub mod store;
pub mod tokens;
mod ui;

use axum::{
    Router,
    routing::{any, get},
};

pub use background::start_background;
pub use cli::main as command_line;

use crate::app::App;

/// Every route of the service. Where it is reached below a path (`public_url`), that path is taken with and without a proxy
/// in front that strips it.
pub fn app(app: App) -> Router {
    let base = app.config.base_url();
    let below = url::Url::parse(&base).map(|url| url.path().trim_end_matches('/').to_owned());
    let router = http::for_every_request(routes(), app);
    match below {
        Ok(path) if !path.is_empty() => {
            Router::new().nest(&path, router.clone()).fallback_service(router)
        }
        Ok(_) | Err(_) => router,
    }
}

fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(api::health::healthz))
        .route("/readyz", get(api::health::readyz))
        .merge(api::worker::routes())
        .merge(api::routes())
        .merge(ui::routes())
        .merge(npm::routes())
        .route("/v1/{*rest}", any(npm::below_v1))
        .fallback(http::no_such_route)
        .method_not_allowed_fallback(http::no_such_method)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_fronts_claim_one_route() {
        // axum panics where they do.
        let routes = super::routes();
        assert!(routes.has_routes());
    }
}
