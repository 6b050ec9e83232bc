//! The npm registry protocol as the plain npm client sees it: staging, deciding, signing in, and what `npm install` reads.
//! The unmodified npm 11 is the client, and its habits are the specification: any status below 400 is success to it, and of
//! an error it shows the member `error` and the header `npm-notice`. There is no SQL and no policy here. All routes stand
//! in this one list.

mod account;
mod body;
mod closed;
mod named;
mod notice;
mod package_path;
mod packages;
mod packument;
mod publish_document;
mod read_through;
mod stage_decide;
mod stage_item;
mod stage_publish;
mod stage_read;
mod strict_json;
mod tokens;
mod versions;

use axum::{
    Router,
    routing::{MethodRouter, any, delete, get, post, put},
};

use crate::app::App;

pub(crate) use packages::below_v1;

/// Every route of the npm protocol.
pub(crate) fn routes() -> Router<App> {
    let plain = Router::new()
        .route("/-/ping", get(account::ping))
        .route("/-/whoami", get(account::whoami))
        .route("/-/v1/login", post(account::web_login))
        .route("/-/user/{user}", put(account::login))
        .route("/-/user/token/{token}", delete(account::logout))
        .route("/-/npm/v1/user", get(account::profile).post(closed::profile))
        .route("/-/npm/v1/tokens", get(tokens::list).post(closed::token_create))
        .route("/-/npm/v1/tokens/token/{key}", delete(tokens::revoke))
        .route("/-/stage", get(stage_read::list))
        .route("/-/stage/{id}", get(stage_read::view).delete(stage_decide::reject))
        .route("/-/stage/{id}/tarball", get(stage_read::tarball))
        .route("/-/stage/{id}/approve", post(stage_decide::approve))
        .route("/-/npm/v1/keys", get(packages::keys))
        .route("/-/org/{*rest}", any(closed::teams))
        .route("/-/team/{*rest}", any(closed::teams))
        .route("/-/{*rest}", any(closed::unknown))
        .route("/{*path}", any(packages::answer));
    let of_packages: [(&str, MethodRouter<App>); 8] = [
        ("/-/stage/package/{name}", post(stage_publish::publish)),
        ("/-/package/{name}/version/{version}/status", get(versions::status)),
        ("/-/package/{name}/dist-tags", get(versions::dist_tags).post(closed::dist_tags)),
        ("/-/package/{name}/dist-tags/{tag}", any(closed::dist_tags)),
        ("/-/package/{name}/visibility", get(versions::visibility)),
        ("/-/package/{name}/access", any(closed::access)),
        ("/-/package/{name}/collaborators", any(closed::owners)),
        ("/-/package/{name}/trust", any(closed::owners)),
    ];
    of_packages.into_iter().fold(plain, |router, (path, methods)| {
        // A raw slash in a scoped name makes two segments of it.
        let apart = path.replace("{name}", "{scope}/{name}");
        router.route(&apart, methods.clone()).route(path, methods)
    })
}
