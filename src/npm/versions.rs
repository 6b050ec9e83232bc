//! What is released here of one package, as far as the asker may see it, and the small questions about it: its dist-tags,
//! its visibility, and how far one version has come.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use countersign_core::{Access, PackageName, Version};
use serde_json::{Value, json};

use super::{named::Named, packages::is_ours_alone, stage_item};
use crate::{
    app::App,
    asker::Asker,
    error::Error,
    http::Known,
    store::{
        listing,
        published::{self, Published},
        verifications,
    },
};

/// The released versions of a package with its dist-tags.
#[derive(Clone, Debug)]
pub(super) struct Released {
    /// In the order of their release; at least one.
    pub(super) versions: Vec<Published>,
    /// Those that name one of these.
    pub(super) dist_tags: BTreeMap<String, Version>,
}

impl Released {
    /// What of that package the asker may install. Restricted versions are for those who may see its stages.
    ///
    /// # Errors
    /// 404 where there is nothing, in the same words whether nothing is there or nothing may be seen.
    pub(super) async fn visible(
        app: &App,
        asker: Option<&Asker>,
        name: &PackageName,
    ) -> Result<Self, Error> {
        let mut reader = app.store.read().await?;
        let sees_restricted = match asker {
            Some(asker) => asker.may_see(&mut reader, name).await?,
            None => false,
        };
        let mut versions = published::of(&mut reader, name).await?;
        versions.retain(|one| match one.access {
            Access::Public => true,
            Access::Restricted => sees_restricted,
        });
        if versions.is_empty() {
            return Err(Error::not_found(format!("`{name}` is not released here")));
        }
        let mut dist_tags = published::dist_tags(&mut reader, name).await?;
        dist_tags.retain(|_, version| versions.iter().any(|one| one.version == *version));
        Ok(Self { versions, dist_tags })
    }
}

/// `npm dist-tag ls`.
pub(super) async fn dist_tags(
    State(app): State<App>,
    asker: Result<Known, Error>,
    Named(name): Named,
) -> Result<Json<Value>, Error> {
    let asker = asker.ok().map(|Known(asker)| asker);
    only_ours(&app, &name).await?;
    let released = Released::visible(&app, asker.as_ref(), &name).await?;
    Ok(Json(json!(released.dist_tags)))
}

/// Whether everybody may install it: npm asks before it makes provenance.
pub(super) async fn visibility(
    State(app): State<App>,
    asker: Result<Known, Error>,
    Named(name): Named,
) -> Result<Json<Value>, Error> {
    let asker = asker.ok().map(|Known(asker)| asker);
    only_ours(&app, &name).await?;
    let released = Released::visible(&app, asker.as_ref(), &name).await?;
    let public = released.versions.iter().all(|one| one.access == Access::Public);
    Ok(Json(json!({ "public": public })))
}

async fn only_ours(app: &App, name: &PackageName) -> Result<(), Error> {
    if is_ours_alone(app, name).await? {
        return Ok(());
    }
    let elsewhere = app.upstream.registries().of(name).name();
    Err(Error::not_found(format!("`{name}` is not released here; ask {elsewhere}")))
}

/// How far one version has come (npm/api-documentation, `package-version-status.yaml`): what tools of CI ask for.
pub(super) async fn status(
    State(app): State<App>,
    asker: Result<Known, Error>,
    Named(name): Named,
    Path(parameters): Path<BTreeMap<String, String>>,
) -> Result<Json<Value>, Error> {
    let asker = asker.ok().map(|Known(asker)| asker);
    let unknown =
        || Error::not_found(format!("no such version of `{name}` is staged or released here"));
    let version = parameters.get("version").and_then(|text| text.parse::<Version>().ok());
    let version = version.ok_or_else(unknown)?;
    let answer =
        |status: &str| Json(json!({ "packageName": name, "version": version, "status": status }));
    let released = Released::visible(&app, asker.as_ref(), &name).await;
    if released.is_ok_and(|all| all.versions.iter().any(|one| one.version == version)) {
        return Ok(answer("published"));
    }
    let asker = asker.ok_or_else(unknown)?;
    let mut reader = app.store.read().await?;
    if !asker.may_see(&mut reader, &name).await? {
        return Err(unknown());
    }
    let live = verifications::live_stage(&mut reader, &name, &version).await?;
    let live = live.ok_or_else(unknown)?;
    let listed = listing::find(&mut reader, live.id).await?.ok_or_else(unknown)?;
    let outcome = listed.verdict.as_ref().map(|verdict| verdict.outcome);
    Ok(answer(stage_item::version_status(live.state, outcome)))
}
