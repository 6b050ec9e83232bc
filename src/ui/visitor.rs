//! Who looks at a page, and whether a form may be believed. It turns a request into a maintainer or into the answer that
//! asks for one; what a maintainer may see is said by the service.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use url::form_urlencoded;

use super::{
    answer::{PageError, html},
    guard::{self, Site},
    shell::{Shell, Viewer},
};
use crate::{
    app::App,
    asker::{self, Asker},
    store::sessions::Session,
};

/// What the token in every form seals.
const FORM: &str = "form";

/// A maintainer with a session of the pages.
pub(crate) struct Visitor {
    /// What the flow calls them.
    pub(crate) asker: Asker,
    /// Their session.
    pub(crate) session: Session,
    secret: String,
}

impl Visitor {
    /// What pages show of them.
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer { name: self.session.maintainer.clone(), form_token: self.seal(FORM) }
    }

    /// What only this session's pages can say of that text.
    pub(crate) fn seal(&self, text: &str) -> String {
        guard::seal(&self.secret, text)
    }

    /// Whether a page of this session sealed that text.
    pub(crate) fn has_sealed(&self, text: &str, seal: &str) -> bool {
        guard::is_seal(seal, &self.secret, text)
    }

    /// The maintainer of this request's cookie.
    async fn of(app: &App, headers: &HeaderMap) -> Result<Option<Self>, PageError> {
        let site = Site::at(&app.config.base_url());
        let jar = CookieJar::from_headers(headers);
        let Some(cookie) = jar.get(site.cookie_name()) else { return Ok(None) };
        let secret = cookie.value().to_owned();
        let found = asker::identify_page(app, &secret).await?;
        Ok(found.and_then(|asker| match &asker {
            Asker::Maintainer(session) => {
                let session = session.clone();
                Some(Self { asker, session, secret })
            }
            Asker::Token(_) => None,
        }))
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match Self::of(app, &parts.headers).await {
            Ok(Some(visitor)) => Ok(visitor),
            Ok(None) => Err(ask_for_one(&parts.headers, &parts.uri)),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// The answer for somebody who is not signed in: the sign-in page. Where another site led here, the cookie was kept back
/// whoever is signed in; a page of our own that loads itself again brings it along.
fn ask_for_one(headers: &HeaderMap, uri: &Uri) -> Response {
    let wanted = uri.path_and_query().map_or("/", |path| path.as_str());
    if guard::came_from_elsewhere(headers) {
        return html(StatusCode::OK, &HopPage::to(wanted));
    }
    let next = form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    Redirect::to(&format!("/sign-in?{next}")).into_response()
}

/// The page that loads the wanted one from our own site.
#[derive(Template)]
#[template(path = "hop.html", config = "src/ui/askama.toml")]
struct HopPage {
    shell: Shell,
    wanted: String,
}

impl HopPage {
    fn to(wanted: &str) -> Self {
        let wanted = guard::own_path(wanted).to_owned();
        Self { shell: Shell::new("Opening", None), wanted }
    }
}

/// What a form sent, by name.
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// The field of that name; empty where it was not sent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A one-time code as people type it, without blanks.
    pub(crate) fn code(&self) -> String {
        self.get("code").split_whitespace().collect()
    }
}

/// A form that one of our own pages sent, whoever is signed in: that of the sign-in page.
pub(crate) struct OwnForm(pub(crate) Fields);

impl FromRequest<App> for OwnForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        if !Site::at(&app.config.base_url()).is_own(request.headers()) {
            return Err(PageError::NotOurForm.into_response());
        }
        let Form(fields) = Form::<BTreeMap<String, String>>::from_request(request, app)
            .await
            .map_err(|_| PageError::NotOurForm.into_response())?;
        Ok(Self(Fields(fields)))
    }
}

/// A form that a page of this very session sent.
pub(crate) struct Believed {
    /// Who sent it.
    pub(crate) visitor: Visitor,
    /// What.
    pub(crate) fields: Fields,
}

impl FromRequest<App> for Believed {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let visitor =
            Visitor::of(app, request.headers()).await.map_err(PageError::into_response)?;
        let OwnForm(fields) = OwnForm::from_request(request, app).await?;
        let Some(visitor) = visitor else { return Err(Redirect::to("/sign-in").into_response()) };
        if !visitor.has_sealed(FORM, fields.get("form_token")) {
            return Err(PageError::NotOurForm.into_response());
        }
        Ok(Self { visitor, fields })
    }
}
