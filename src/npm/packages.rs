//! What `npm install` reads: packuments, manifests and tarballs. A name is either ours alone, and then comes from our own
//! store and nowhere else, or it is read through from the one registry that serves it.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{PackageName, Version};
use countersign_worker::upstream::Registry;
use serde_json::Value;

use super::{
    body, closed,
    package_path::{Below, PackagePath},
    packument::{Packument, etag, wants_abbreviated},
    read_through::{Credential, ReadThroughError, read_through},
    stage_read::tarball_answer,
    versions::Released,
};
use crate::{
    app::App,
    asker::Asker,
    error::Error,
    http::{Known, no_such_route},
    store::enrolments,
};

impl From<ReadThroughError> for Error {
    fn from(error: ReadThroughError) -> Self {
        let text = error.to_string();
        match error {
            ReadThroughError::Address(_) => Self::not_found(text),
            ReadThroughError::Silent { source, .. } => {
                tracing::warn!(error = format!("{:#}", anyhow::Error::from(source)), "{text}");
                Self::bad_gateway(text)
            }
            ReadThroughError::Refused { .. } | ReadThroughError::Loop(_) => {
                tracing::warn!("{text}");
                Self::bad_gateway(text)
            }
        }
    }
}

/// Everything below a package's name.
pub(super) async fn answer(
    State(app): State<App>,
    asker: Result<Known, Error>,
    request: Request,
) -> Result<Response, Error> {
    let Some(path) = PackagePath::parse(request.uri().path()) else {
        return Err(no_such_route(request.uri().clone()).await);
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) || path.below == Below::Revision {
        return Err(closed::write(&path.name, request).await);
    }
    // A token that lives no more reads what everybody may read.
    let asker = asker.ok().map(|Known(asker)| asker);
    if is_ours_alone(&app, &path.name).await? {
        own(&app, asker.as_ref(), &path, request.headers()).await
    } else {
        upstream(&app, asker.as_ref(), &path, request.headers()).await
    }
}

/// What lies below `/v1/` and is no address of the API: a misspelt one, which no registry is asked about, or a release of
/// the package that is called `v1`.
pub(crate) async fn below_v1(
    app: State<App>,
    asker: Result<Known, Error>,
    request: Request,
) -> Result<Response, Error> {
    let of_a_release =
        PackagePath::parse(request.uri().path()).is_some_and(|path| match path.below {
            Below::Manifest(wanted) => wanted.parse::<Version>().is_ok(),
            Below::Tarball(_) | Below::Revision => true,
            Below::Package => false,
        });
    if of_a_release {
        return answer(app, asker, request).await;
    }
    let asked = request.uri().clone();
    body::discard(request.into_body()).await;
    Err(no_such_route(asked).await)
}

/// The keys of the registry that everything else is read from: `npm audit signatures` checks its packages with them.
pub(super) async fn keys(State(app): State<App>, headers: HeaderMap) -> Result<Response, Error> {
    let registry = &app.upstream.registries().default;
    let path = "-/npm/v1/keys";
    from_registry(&app, registry, path, &headers, Credential::Withheld).await
}

/// Whether that name is never asked for elsewhere: somebody confirmed here where its source is, or its scope is claimed.
/// Otherwise whoever takes the name on a public registry would be installed in its place.
pub(super) async fn is_ours_alone(app: &App, name: &PackageName) -> Result<bool, Error> {
    if name.scope().is_some_and(|scope| app.config.claims_scope(scope)) {
        return Ok(true);
    }
    let mut reader = app.store.read().await?;
    Ok(enrolments::current(&mut reader, name).await?.is_some())
}

async fn own(
    app: &App,
    asker: Option<&Asker>,
    path: &PackagePath,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let name = &path.name;
    let released = Released::visible(app, asker, name).await?;
    let registry = app.registry();
    let packument = Packument {
        name,
        versions: &released.versions,
        dist_tags: &released.dist_tags,
        registry: &registry,
    };
    match &path.below {
        Below::Package if wants_abbreviated(accept(headers)) => {
            let kind = super::packument::ABBREVIATED_TYPE;
            Ok(document(&packument.abbreviated(), kind, headers))
        }
        Below::Package => Ok(document(&packument.full(), "application/json", headers)),
        Below::Manifest(wanted) => {
            let manifest = packument.manifest(wanted).ok_or_else(|| not_released(name, wanted))?;
            Ok(document(&manifest, "application/json", headers))
        }
        Below::Tarball(file) => {
            let version = version_of_file(name, file);
            let found = released.versions.iter().find(|one| Some(&one.version) == version.as_ref());
            let found = found.ok_or_else(|| not_released(name, file))?;
            tarball_answer(app, found.sha512).await
        }
        // Answered before: nothing of a released document is changed.
        Below::Revision => Err(not_released(name, "-rev")),
    }
}

fn not_released(name: &PackageName, what: &str) -> Error {
    let shown: String = what.chars().take(80).collect();
    Error::not_found(format!("no `{shown}` of `{name}` is released here"))
}

fn accept(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// `widget-1.2.3.tgz` of `@acme/widget`, with or without the scope before it.
fn version_of_file(name: &PackageName, file: &str) -> Option<Version> {
    let scope = name.scope().map(|scope| format!("@{scope}/")).unwrap_or_default();
    let file = file.strip_prefix(&scope).unwrap_or(file);
    let version = file.strip_prefix(name.unscoped())?.strip_prefix('-')?.strip_suffix(".tgz")?;
    version.parse().ok()
}

/// A document of ours, or 304 for whoever has it already. It differs by `accept` and by who asks.
fn document(value: &Value, kind: &'static str, headers: &HeaderMap) -> Response {
    let body = value.to_string();
    let tag = etag(body.as_bytes());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let has_it = known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    });
    let mut answer =
        if has_it { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits are printable");
    for (name, value) in [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::VARY, HeaderValue::from_static("accept, authorization")),
    ] {
        answer.headers_mut().insert(name, value);
    }
    answer
}

async fn upstream(
    app: &App,
    asker: Option<&Asker>,
    path: &PackagePath,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let name = &path.name;
    let below = match &path.below {
        Below::Package => name.escaped(),
        Below::Manifest(version) => format!("{}/{}", name.escaped(), plain(version)?),
        Below::Tarball(file) => format!("{name}/-/{}", plain(file)?),
        Below::Revision => return Err(not_released(name, "-rev")),
    };
    // What only the operator's credential opens is for people and machines that are known here.
    let credential = if asker.is_some() { Credential::Shown } else { Credential::Withheld };
    let registry = app.upstream.registries().of(name);
    from_registry(app, registry, &below, headers, credential).await
}

/// The text as one that needs no escape in a path: versions, tags and files of packages have no other form.
fn plain(text: &str) -> Result<&str, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~!'()*@+/".contains(c);
    if text.chars().all(is_plain) && !text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Ok(text);
    }
    let shown: String = text.chars().take(80).collect();
    Err(Error::not_found(format!("`{shown}` is neither a version nor a file of a package")))
}

async fn from_registry(
    app: &App,
    registry: &Registry,
    path: &str,
    headers: &HeaderMap,
    credential: Credential,
) -> Result<Response, Error> {
    if registry.name() == app.registry() {
        return Err(ReadThroughError::Loop(registry.name().to_owned()).into());
    }
    Ok(read_through(app.upstream.client(), registry, path, headers, credential).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_version_is_known_with_and_without_its_scope() {
        let version = |name: &str, file: &str| {
            version_of_file(&name.parse().unwrap(), file).map(|version| version.to_string())
        };
        for file in ["widget-1.2.3-rc.1.tgz", "@acme/widget-1.2.3-rc.1.tgz"] {
            assert_eq!(version("@acme/widget", file).as_deref(), Some("1.2.3-rc.1"), "{file}");
        }
        for file in ["widget-1.2.tgz", "other-1.2.3.tgz", "widget-1.2.3.zip", "widget1.2.3.tgz"] {
            assert_eq!(version("@acme/widget", file), None, "{file}");
        }
    }

    #[test]
    fn what_goes_into_an_upstream_address_needs_no_escape_and_climbs_nowhere() {
        for text in ["1.2.3-rc.1", "latest", "x-1.2.3.tgz", "@a/x-1.2.3.tgz"] {
            assert_eq!(plain(text).unwrap(), text);
        }
        for text in ["..", "a/../b", "a?b", "a#b", "a b", "%2e%2e", "", "a//b", "."] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}
