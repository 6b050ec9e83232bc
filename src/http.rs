//! What holds for every request, whichever front it is for: its id, one line in the log without secrets, headers that
//! browsers obey, which names of hosts are ours, and how large a body may be. It knows nothing of what a route does.

use std::{net::IpAddr, str::FromStr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Request, State,
        rejection::JsonRejection,
    },
    http::{
        HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY,
            STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
        request::Parts,
        uri::Authority,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use countersign_core::limits::JSON_BODY_BYTES_MAX;
use serde::de::DeserializeOwned;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use tracing::Span;

use crate::{
    app::App,
    asker::{self, Asker},
    door,
    error::Error,
};

/// For two years, and of what lies below our name as well: what preload lists ask for.
const ONLY_HTTPS: &str = "max-age=63072000; includeSubDomains";
/// Nothing of ours needs a device, and nobody who gets a script into a page gets one by it.
const NO_DEVICES: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
/// Named in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The routes with everything that holds for all of them.
pub(crate) fn for_every_request(routes: Router<App>, app: App) -> Router {
    routes
        .layer(DefaultBodyLimit::max(JSON_BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), only_our_hosts))
        .layer(middleware::from_fn_with_state(app.clone(), door::requests))
        .layer(middleware::map_response_with_state(app.clone(), secure))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_response(answered))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .with_state(app)
}

/// Method, route and id: never the address itself, since tokens and ids of leases have stood in addresses elsewhere, and
/// never a header or a body.
fn span(request: &Request<Body>) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let id = request
        .extensions()
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or_default();
    tracing::info_span!("request", method = %request.method(), route, id)
}

fn answered(response: &Response, took: Duration, _span: &Span) {
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(status, duration_ms, "answered");
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Error::internal(anyhow::anyhow!("a handler panicked")).into_response()
}

/// What every answer says to browsers; pages set a policy of their own.
async fn secure(State(app): State<App>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    if app.config.base_url().starts_with("https://") {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(HeaderValue::from_static(ONLY_HTTPS));
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), NO_DEVICES),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A page of another site that lets its own name point at us (DNS rebinding) speaks with the right of whoever can reach us.
/// What takes a token each time gives such a page nothing, and machines reach that by names that we cannot know.
async fn only_our_hosts(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_machines = path.starts_with("/v1/") || matches!(path, "/healthz" | "/readyz");
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().host())
        .unwrap_or_default();
    if is_for_machines || is_ours(host, &app.config.base_url(), app.config.listen.ip()) {
        return next.run(request).await;
    }
    let text = format!(
        "`{}` is not a name of this service; it is reached at {}",
        shown(host),
        app.config.base_url()
    );
    Error::refused(StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

fn shown(host: &str) -> String {
    host.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

/// Whether that `Host` names us: the public address, or on this machine itself every name of the loopback interface.
fn is_ours(host: &str, base_url: &str, listens_at: IpAddr) -> bool {
    let Ok(asked) = Authority::from_str(host) else { return false };
    let base = url::Url::parse(base_url).ok();
    let public = base.as_ref().and_then(url::Url::host_str).unwrap_or_default();
    let name = asked.host();
    if name.eq_ignore_ascii_case(public) {
        return true;
    }
    let is_loopback_name = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    (listens_at.is_loopback() || listens_at.is_unspecified()) && is_loopback_name
}

/// What is asked for at an address where nothing is.
pub(crate) async fn no_such_route(uri: Uri) -> Error {
    Error::not_found(format!("there is nothing at `{}`", shown(uri.path())))
}

/// What is asked for with a method that its address does not take.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Error {
    let text = format!("`{}` does not take {method}", shown(uri.path()));
    Error::refused(StatusCode::METHOD_NOT_ALLOWED, text)
}

/// A JSON body whose refusals are problems too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        match axum::Json::<T>::from_request(request, app).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::BytesRejection(rejection)) => {
                Err(too_large_or_broken(rejection.status()))
            }
            Err(rejection) => Err(Error::bad_request(format!(
                "the body is not the JSON that is asked for: {}",
                rejection.body_text()
            ))),
        }
    }
}

fn too_large_or_broken(status: StatusCode) -> Error {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Error::too_large("the body is larger than is taken here")
    } else {
        Error::bad_request("the body did not come to its end")
    }
}

/// The asker whose secret the request shows as `authorization: Bearer`; refused where there is none that lives.
#[derive(Clone, Debug)]
pub(crate) struct Known(pub(crate) Asker);

impl FromRequestParts<App> for Known {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let shown = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = shown
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, secret)| secret.trim())
            .ok_or_else(|| {
                Error::unauthorized("this needs a token: send it as `authorization: Bearer TOKEN`")
            })?;
        asker::identify(app, bearer).await?.map(Self).ok_or_else(|| {
            Error::unauthorized("this token is not known, has expired or was revoked")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str, base: &str, listens_at: &str) -> bool {
        is_ours(host, base, listens_at.parse().unwrap())
    }

    #[test]
    fn on_loopback_every_name_of_loopback_is_ours_and_no_other() {
        for host in ["localhost:4873", "127.0.0.1:4873", "[::1]:4873", "localhost"] {
            assert!(ours(host, "http://127.0.0.1:4873", "127.0.0.1"), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:4873", "", "a b"] {
            assert!(!ours(host, "http://127.0.0.1:4873", "127.0.0.1"), "{host}");
        }
    }

    #[test]
    fn elsewhere_only_the_public_name_is_ours() {
        assert!(ours("npm.example", "https://npm.example/x", "10.0.0.1"));
        assert!(ours("NPM.example:443", "https://npm.example", "10.0.0.1"));
        assert!(!ours("localhost:4873", "https://npm.example", "10.0.0.1"));
        assert!(!ours("other.example", "https://npm.example", "0.0.0.0"));
    }
}
