//! Who one is here: `npm ping | whoami | login | logout | profile get`. Whether a password and a code are right is known to
//! `second_factor`.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countersign_worker::upstream::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use crate::{
    app::App,
    asker::{self, Asker},
    error::Error,
    http::Known,
    second_factor::{self, SignIn, SignInRefused},
    store::sessions::SessionKind,
    tokens,
};

/// Before the name in the path and the id of a login (CouchDB's users, which npm's first registry was).
const USER_PREFIX: &str = "org.couchdb.user:";

/// What `npm login --auth-type=legacy` sends, as far as it counts here.
#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

/// `npm ping`.
pub(super) async fn ping() -> Json<Value> {
    Json(json!({}))
}

/// `npm whoami`.
pub(super) async fn whoami(Known(asker): Known) -> Json<Value> {
    Json(json!({ "username": asker.actor() }))
}

/// `npm profile get`.
pub(super) async fn profile(Known(asker): Known) -> Json<Value> {
    let tfa = match &asker {
        Asker::Maintainer(_) => json!({ "mode": "auth-and-writes", "pending": false }),
        Asker::Token(_) => Value::Null,
    };
    Json(json!({ "name": asker.actor(), "tfa": tfa }))
}

/// The login of the browser is not offered: at any 4xx npm asks for name and password in the terminal.
pub(super) async fn web_login() -> Error {
    Error::not_found(
        "signing in with the browser is not offered here: npm login --auth-type=legacy",
    )
}

/// Name, password and one-time code give a maintainer's session. Without a code nothing is looked at, so that nobody finds
/// out by it whether a password is right; npm asks for the code and comes again.
pub(super) async fn login(
    State(app): State<App>,
    Path(user): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let code = request.headers().get("npm-otp").and_then(|value| value.to_str().ok());
    let code = code.map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned);
    let sent = body::small(request.into_body(), "a login").await?;
    let login: Login = serde_json::from_slice(&sent)
        .map_err(|_| Error::bad_request("the body of a login holds `name` and `password`"))?;
    if user.strip_prefix(USER_PREFIX) != Some(&login.name) {
        let text = format!("the path does not name `{USER_PREFIX}` and the name in the body");
        return Err(Error::bad_request(text));
    }
    let Some(code) = code else { return Err(SignInRefused::CodeMissing.into()) };
    let password = Secret::new(&login.password);
    let (kind, name) = (SessionKind::Npm, login.name.as_str());
    let shown = SignIn { kind, name, password: &password, code: Some(&code) };
    let begun = second_factor::sign_in(&app, shown).await?;
    let answer = json!({
        "ok": true, "id": format!("{USER_PREFIX}{name}"), "token": begun.secret.expose(),
        "expires": begun.session.expires_at,
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `npm logout`: ends the session or token that is shown, and no other.
pub(super) async fn logout(
    State(app): State<App>,
    Known(asker): Known,
    Path(secret): Path<String>,
) -> Result<Json<Value>, Error> {
    if asker::identify(&app, &secret).await? != Some(asker.clone()) {
        return Err(Error::not_found("only the token that is shown can be ended"));
    }
    match &asker {
        Asker::Maintainer(session) => second_factor::sign_out(&app, session).await?,
        Asker::Token(token) => {
            tokens::revoke(&app, token.id, &asker.actor()).await?;
        }
    }
    Ok(Json(json!({ "ok": true })))
}
