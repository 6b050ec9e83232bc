//! A browser's requests without a browser: what one sends of itself (`Host`, `Cookie`, `Origin`, `Sec-Fetch-Site`) is said
//! in each test, so that what must not come through can be sent as well.

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use countersign::{
    second_factor::{self, SignIn},
    store::sessions::SessionKind,
};
use countersign_worker::upstream::Secret;
use tower::ServiceExt;

use crate::support::{Authenticator, Fixture, PASSWORD};

/// Where the service of a test says that it listens.
pub(super) const ORIGIN: &str = "http://127.0.0.1:4873";

/// An answer with its body.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) text: String,
}

impl Page {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { status: parts.status, headers: parts.headers, text }
    }

    /// Where it leads to.
    pub(super) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of the hidden field of that name.
    pub(super) fn hidden(&self, name: &str) -> String {
        let start = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let at = self.text.find(&start).unwrap_or_else(|| panic!("no {name}")) + start.len();
        self.text[at..].split('"').next().unwrap().to_owned()
    }
}

/// Somebody with a browser.
pub(super) struct Visit<'f> {
    fixture: &'f Fixture,
    cookie: Option<String>,
}

impl<'f> Visit<'f> {
    /// Without a session.
    pub(super) fn stranger(fixture: &'f Fixture) -> Self {
        Self { fixture, cookie: None }
    }

    /// With one, opened with both factors.
    pub(super) async fn of(
        fixture: &'f Fixture,
        name: &str,
        authenticator: &Authenticator,
    ) -> Self {
        let password = Secret::new(PASSWORD);
        let code = authenticator.fresh_code();
        let code = Some(code.as_str());
        let shown = SignIn { kind: SessionKind::Page, name, password: &password, code };
        let begun = second_factor::sign_in(&fixture.app, shown).await.unwrap();
        let cookie = format!("countersign-4873={}", begun.secret.expose());
        Self { fixture, cookie: Some(cookie) }
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:4873");
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request
    }

    /// The answer to any request.
    pub(super) async fn send(&self, request: Request<Body>) -> Response<Body> {
        countersign::app(self.fixture.app.clone()).oneshot(request).await.unwrap()
    }

    /// A page.
    pub(super) async fn get(&self, path: &str) -> Page {
        self.get_with(path, &[]).await
    }

    /// A page, asked for with these headers too.
    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Page {
        Page::of(self.stream(path, headers).await).await
    }

    /// An answer whose body may never end.
    pub(super) async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = self.request("GET", path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A form as our own page sends it.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let own = [("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
        self.post_with(path, fields, &own).await
    }

    /// A form with these headers.
    pub(super) async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Page {
        let mut request = self.request("POST", path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = "application/x-www-form-urlencoded";
        let request = request.header(header::CONTENT_TYPE, form).body(Body::from(body)).unwrap();
        Page::of(self.send(request).await).await
    }
}
