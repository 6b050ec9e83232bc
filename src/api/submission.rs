//! `POST /v1/verifications`: a registry hands in what it holds back. The body is read strictly, the tarball is brought
//! from its URL and held against its integrity, and one key given twice makes one verification.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{
    Access, PackageName, Sha256, Sha512, Timestamp, Version, limits,
    protocol::VerificationId,
    source::{Claim, EvidenceKind},
};
use countersign_worker::reach::Unreachable;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::caller::Caller;
use crate::{
    app::App,
    error::Error,
    intake::{self, Submission},
    store::{enrolments, idempotency, tokens::Scope},
};

/// A registry that does not begin to answer within so long is unavailable.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    registry: String,
    ecosystem: String,
    name: PackageName,
    version: Version,
    tarball: TarballPart,
    #[serde(default)]
    manifest: Option<Map<String, Value>>,
    #[serde(default)]
    dist_tag: Option<String>,
    #[serde(default)]
    access: Option<Access>,
    #[serde(default)]
    staged_at: Option<Timestamp>,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    stage_id: Option<String>,
    #[serde(default)]
    source: Option<SourcePart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TarballPart {
    url: String,
    integrity: String,
    #[serde(default)]
    authorization: Option<String>,
}

/// A claim: it becomes evidence, and is never the source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourcePart {
    commit: String,
}

/// 202 with the verification's id; the same answer again for the same `Idempotency-Key` and body.
pub(super) async fn submit(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    if body.len() > limits::JSON_BODY_BYTES_MAX {
        return Err(Error::too_large(format!(
            "a submission has at most {} bytes",
            limits::JSON_BODY_BYTES_MAX
        )));
    }
    let parsed: Body = serde_json::from_slice(&body)
        .map_err(|error| Error::bad_request(format!("the body is no submission: {error}")))?;
    if parsed.ecosystem != "npm" {
        return Err(Error::unprocessable(format!(
            "the ecosystem `{}` is not known; it is `npm`",
            parsed.ecosystem
        )));
    }
    if !caller.0.has(Scope::Verify, Some(&parsed.name)) {
        return Err(Error::forbidden(format!(
            "this token may not submit `{}`: it needs the scope `verify` for it",
            parsed.name
        )));
    }
    let Some(key) = idempotency_key(&headers)? else {
        return submit_new(&app, &caller, parsed).await.map(|id| answer(&app, id));
    };
    once(&app, &caller, &key, Sha256::of(&body), parsed).await
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(Error::bad_request(format!(
            "`Idempotency-Key` has 1 to {KEY_BYTES_MAX} printable characters"
        ))),
    }
}

/// Runs the submission at most once for this key; a failed one frees the key.
async fn once(
    app: &App,
    caller: &Caller,
    key: &str,
    digest: Sha256,
    body: Body,
) -> Result<Response, Error> {
    let actor = caller.0.actor();
    let mut writer = app.store.write().await?;
    let begun = idempotency::begin(&mut writer, &actor, key, digest, app.now()).await?;
    writer.commit().await?;
    if !begun {
        return repeated(app, &actor, key, digest).await;
    }
    let came_out = submit_new(app, caller, body).await;
    let mut writer = app.store.write().await?;
    match &came_out {
        Ok(id) => {
            idempotency::finish(&mut writer, &actor, key, 202, &answer_text(app, *id)).await?
        }
        Err(_) => idempotency::abandon(&mut writer, &actor, key).await?,
    }
    writer.commit().await?;
    came_out.map(|id| answer(app, id))
}

async fn repeated(app: &App, actor: &str, key: &str, digest: Sha256) -> Result<Response, Error> {
    let mut reader = app.store.read().await?;
    let kept = idempotency::find(&mut reader, actor, key).await?;
    match kept {
        Some(kept) if kept.request != digest => Err(Error::unprocessable(
            "this `Idempotency-Key` was used with another body; take a new key",
        )),
        Some(idempotency::Kept { answer: Some((status, text)), .. }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
            Ok((status, [(header::CONTENT_TYPE, "application/json")], text).into_response())
        }
        Some(_) | None => {
            Err(Error::conflict("the first request with this `Idempotency-Key` is still under way"))
        }
    }
}

async fn submit_new(app: &App, caller: &Caller, body: Body) -> Result<VerificationId, Error> {
    let sha512 = Sha512::from_integrity(&body.tarball.integrity)
        .map_err(|error| Error::unprocessable(format!("{error}")))?;
    let is_enrolled =
        enrolments::current(&mut app.store.read().await?, &body.name).await?.is_some();
    // Without an enrolment the verdict rests on no byte of it.
    let tarball = if is_enrolled { Some(download(app, &body.tarball).await?) } else { None };
    let claims =
        body.source.map(|source| Claim { kind: EvidenceKind::Submission, commit: source.commit });
    let submission = Submission {
        registry: body.registry.trim_end_matches('/').to_owned(),
        name: body.name,
        version: body.version,
        sha512,
        tarball,
        manifest: body.manifest,
        dist_tag: body.dist_tag,
        access: body.access,
        staged_at: body.staged_at,
        actor: body.actor,
        stage_id: body.stage_id,
        claims: claims.into_iter().collect(),
    };
    Ok(intake::submit(app, &caller.0, submission).await?)
}

/// The tarball's bytes, at most as many as a tarball may have. Whoever submits names the address, and must not have us ask
/// what they cannot ask themselves.
async fn download(app: &App, part: &TarballPart) -> Result<Bytes, Error> {
    let url = Url::parse(&part.url)
        .map_err(|error| Error::unprocessable(format!("`{}` is no URL: {error}", part.url)))?;
    let reach = app.config.reach();
    reach
        .check(&url)
        .map_err(|why| Error::unprocessable(format!("the tarball cannot be fetched: {why}")))?;
    let client = reach
        .client(&app.config.upstream().client)
        .map_err(|error| Error::internal(error.into()))?;
    let mut request = client.get(url).timeout(DOWNLOAD_TIMEOUT);
    if let Some(authorization) = &part.authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let unavailable = |why: String| {
        Error::bad_gateway(format!("`{}` could not be fetched: {why}; send it again", part.url))
    };
    let answer = request.send().await.map_err(|error| match Unreachable::within(&error) {
        Some(why) => Error::unprocessable(format!("the tarball cannot be fetched: {why}")),
        None => unavailable(error.without_url().to_string()),
    })?;
    if answer.status().is_redirection() {
        return Err(Error::unprocessable(format!(
            "`{}` answers with a redirect, which is not followed; name the address that it leads to, or let the operator \
             name that host in `redirect_hosts`",
            part.url
        )));
    }
    if !answer.status().is_success() {
        return Err(unavailable(format!("it answered {}", answer.status())));
    }
    let mut bytes = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(
            &chunk.map_err(|error| unavailable(error.without_url().to_string()))?,
        );
        if bytes.len() as u64 > limits::TARBALL_BYTES_MAX {
            return Err(Error::too_large(format!(
                "`{}` has more than {} bytes",
                part.url,
                limits::TARBALL_BYTES_MAX
            )));
        }
    }
    Ok(Bytes::from(bytes))
}

fn answer(app: &App, id: VerificationId) -> Response {
    let text = answer_text(app, id);
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn answer_text(app: &App, id: VerificationId) -> String {
    let base = app.config.base_url();
    let links = json!({
        "self": format!("{base}/v1/verifications/{id}"),
        "report": format!("{base}/v1/verifications/{id}/report"),
        "page": format!("{base}/stages/{id}"),
    });
    json!({ "id": id, "state": "queued", "links": links }).to_string()
}
