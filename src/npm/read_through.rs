//! Reading through to the registry that serves a name: its answer comes back with its bytes untouched. Nothing that a
//! client says to us goes there but what it asks for; which names may be asked for at all is decided before.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_worker::upstream::Registry;
use reqwest::Client;

/// What of the client's request reaches the upstream registry. Never `authorization`, `npm-otp`, `npm-session`, a
/// cookie or who the client is.
const ASKED: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// What of the upstream's answer reaches the client: what belongs to the bytes. Never a cookie, and no challenge that
/// would make npm doubt the token that it has for us.
const ANSWERED: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CACHE_CONTROL,
    header::ETAG,
    header::LAST_MODIFIED,
    header::VARY,
    header::AGE,
];

/// Whether the operator's credential for a registry may be used for this request. Whoever may not see what it opens
/// gets what everybody gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Credential {
    /// For an asker with a token or session of ours.
    Shown,
    /// For everybody else.
    Withheld,
}

/// The upstream registry gave no answer that could be passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadThroughError {
    /// The path makes no address below it.
    #[error("`{0}` makes no address below the upstream registry")]
    Address(String),
    /// It did not answer.
    #[error("the upstream registry {registry} did not answer for `{path}`; try again later")]
    Silent {
        /// Which one.
        registry: String,
        /// What was asked for.
        path: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// It is this very service.
    #[error(
        "the upstream registry {0} is this service itself: set `registry` in its configuration"
    )]
    Loop(String),
    /// It wants another credential than the operator's.
    #[error(
        "the upstream registry {registry} answered {status} for `{path}`; its token in Countersign's configuration is missing or not enough"
    )]
    Refused {
        /// Which one.
        registry: String,
        /// What was asked for.
        path: String,
        /// Its status.
        status: StatusCode,
    },
}

/// Asks the registry for a path below it and passes its answer on.
///
/// # Errors
/// Where there is no answer to pass on. A 404 of the upstream is an answer.
pub(crate) async fn read_through(
    client: &Client,
    registry: &Registry,
    path: &str,
    request: &HeaderMap,
    credential: Credential,
) -> Result<Response, ReadThroughError> {
    let url = registry
        .url()
        .join(&format!("./{path}"))
        .ok()
        .filter(|url| url.as_str().starts_with(registry.url().as_str()))
        .ok_or_else(|| ReadThroughError::Address(path.to_owned()))?;
    let mut headers: HeaderMap = ASKED
        .into_iter()
        .filter_map(|name| request.get(&name).map(|value| (name, value.clone())))
        .collect();
    if let (Credential::Shown, Some(secret)) = (credential, registry.authorization())
        && let Ok(mut value) = HeaderValue::from_str(secret.expose())
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let answer = client.get(url).headers(headers).send().await.map_err(|source| {
        let (registry, path) = (registry.name().to_owned(), path.to_owned());
        ReadThroughError::Silent { registry, path, source: source.without_url() }
    })?;
    pass_on(answer, registry, path)
}

fn pass_on(
    answer: reqwest::Response,
    registry: &Registry,
    path: &str,
) -> Result<Response, ReadThroughError> {
    let status = answer.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
        let (registry, path) = (registry.name().to_owned(), path.to_owned());
        return Err(ReadThroughError::Refused { registry, path, status });
    }
    let headers: HeaderMap = ANSWERED
        .into_iter()
        .filter_map(|name| answer.headers().get(&name).map(|value| (name, value.clone())))
        .collect();
    let body = Body::from_stream(answer.bytes_stream());
    Ok((status, headers, body).into_response())
}
