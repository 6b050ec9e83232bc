//! The ways round an approval that other registries have: publishing directly, moving a tag, unpublishing, changing owners
//! or access. Each is refused with the sentence that says what to run instead. Nothing here looks at the store, so a
//! refusal tells nobody which packages there are.

use axum::extract::Request;
use countersign_core::PackageName;

use super::{body, named::Named};
use crate::error::Error;

/// `npm dist-tag add | rm`.
pub(super) async fn dist_tags(Named(name): Named, request: Request) -> Error {
    refuse(request, &dist_tag_sentence(&name)).await
}

/// `npm access set`.
pub(super) async fn access(Named(name): Named, request: Request) -> Error {
    refuse(request, &access_sentence(&name)).await
}

/// `npm access grant`, `npm owner`, trusted publishers.
pub(super) async fn owners(Named(name): Named, request: Request) -> Error {
    refuse(request, &owner_sentence(&name)).await
}

/// `npm team`, `npm org`.
pub(super) async fn teams(request: Request) -> Error {
    let text =
        "there are no teams here; an operator adds people with: countersign maintainer add NAME";
    refuse(request, text).await
}

/// `npm token create`.
pub(super) async fn token_create(request: Request) -> Error {
    let text = "tokens are made on the service's host: let an operator run `countersign token create --scope stage --package NAME`";
    refuse(request, text).await
}

/// `npm profile set`.
pub(super) async fn profile(request: Request) -> Error {
    refuse(request, "accounts are changed on the service's host, by an operator").await
}

/// `PUT` and `DELETE` of a package: npm says in `npm-command` what for.
pub(super) async fn write(name: &PackageName, request: Request) -> Error {
    let command = request.headers().get("npm-command").and_then(|value| value.to_str().ok());
    let text = match command.unwrap_or_default() {
        "dist-tag" => dist_tag_sentence(name),
        "access" => access_sentence(name),
        "owner" => owner_sentence(name),
        "unpublish" => format!(
            "a release of `{name}` is not taken back here; release a mended version: run `npm stage publish`, then `npm stage approve ID`"
        ),
        "deprecate" | "undeprecate" => format!(
            "`{name}` cannot be deprecated here; release a mended version: run `npm stage publish`, then `npm stage approve ID`"
        ),
        "star" | "unstar" => "stars are not kept here".to_owned(),
        _ => format!(
            "`{name}` is published here only through a stage: run `npm stage publish`, and when its verdict is a pass a maintainer runs `npm stage approve ID`"
        ),
    };
    refuse(request, &text).await
}

/// What npm may ask of other registries and not of this one.
pub(super) async fn unknown(request: Request) -> Error {
    let shown: String = request.uri().path().chars().take(80).collect();
    body::discard(request.into_body()).await;
    Error::not_found(format!("this registry does not answer `{shown}`"))
}

async fn refuse(request: Request, text: &str) -> Error {
    body::discard(request.into_body()).await;
    Error::forbidden(text)
}

fn dist_tag_sentence(name: &PackageName) -> String {
    format!(
        "a dist-tag of `{name}` is set only by a release: run `npm stage publish --tag TAG`, then `npm stage approve ID`"
    )
}

fn access_sentence(name: &PackageName) -> String {
    format!(
        "the access of `{name}` is set only by a release: run `npm stage publish --access public` (or restricted), then `npm stage approve ID`"
    )
}

fn owner_sentence(name: &PackageName) -> String {
    format!(
        "who maintains `{name}` is set on the service's host: let an operator run `countersign package enrol {name} --by MAINTAINER --repo URL`"
    )
}
