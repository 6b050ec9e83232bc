//! The routes that begin and end a session of the pages.

use axum::http::header::SET_COOKIE;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{AppendHeaders, IntoResponse, Redirect},
};
use countersign_worker::upstream::Secret;
use serde::Deserialize;

use crate::{
    app::App,
    second_factor::{self, SignIn},
    store::sessions::SessionKind,
    ui::{
        answer::{Answer, explained, html},
        guard::{self, Site},
        sign_in::SignInPage,
        visitor::{Believed, OwnForm},
    },
};

/// Where to go on to.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    next: Option<String>,
}

/// `GET /sign-in`
pub(crate) async fn sign_in_page(Query(wanted): Query<Wanted>) -> Answer {
    let next = guard::own_path(wanted.next.as_deref().unwrap_or("/")).to_owned();
    Ok(html(StatusCode::OK, &SignInPage::new(String::new(), next, None)))
}

/// `POST /sign-in`
pub(crate) async fn sign_in(State(app): State<App>, OwnForm(fields): OwnForm) -> Answer {
    let next = guard::own_path(fields.get("next")).to_owned();
    let code = fields.code();
    let password = Secret::new(fields.get("password"));
    let shown = SignIn {
        kind: SessionKind::Page,
        name: fields.get("name"),
        password: &password,
        code: (!code.is_empty()).then_some(code.as_str()),
    };
    let refused = match second_factor::sign_in(&app, shown).await {
        Ok(begun) => {
            let site = Site::at(&app.config.base_url());
            let cookie = site.cookie(begun.secret.expose().to_owned()).to_string();
            let header = AppendHeaders([(SET_COOKIE, cookie)]);
            return Ok((header, Redirect::to(&next)).into_response());
        }
        Err(refused) => refused,
    };
    let (status, sentence) = explained(refused)?;
    let page = SignInPage::new(fields.get("name").to_owned(), next, Some(sentence));
    Ok(html(status, &page))
}

/// `POST /sign-out`
pub(crate) async fn sign_out(State(app): State<App>, form: Believed) -> Answer {
    second_factor::sign_out(&app, &form.visitor.session).await?;
    let cookie = Site::at(&app.config.base_url()).no_cookie().to_string();
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to("/sign-in")).into_response())
}
