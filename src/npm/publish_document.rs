//! The document that `npm stage publish` sends (libnpmpublish 11): one version, one tag, one tarball. It is read so
//! strictly that no other reader can see another release in it, and every digest is computed from the bytes. It knows
//! nothing of enrolments, storage or HTTP beyond the status that a refusal deserves.

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{
    Access, PackageName, Sha1, Sha512, Version,
    limits::{PACKAGE_JSON_BYTES_MAX, PUBLISH_DOCUMENT_VALUES_MAX, TARBALL_BYTES_MAX},
    source::{Claim, EvidenceKind},
};
use nodejs_semver::Range;
use serde_json::{Map, Value};

use super::strict_json::{Json, JsonError};

/// What `content_type` npm gives a tarball.
const TARBALL_TYPE: &str = "application/octet-stream";
/// What every version of a Sigstore bundle's media type begins with.
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle";
/// npm bounds no tag; longer ones fit on no page.
const DIST_TAG_CHARACTERS_MAX: usize = 128;

/// A release as a client offers it, checked within itself.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PublishDocument {
    /// The package; the path's.
    pub(crate) name: PackageName,
    /// The version.
    pub(crate) version: Version,
    /// The one dist-tag that the release would set.
    pub(crate) dist_tag: String,
    /// Who may install it; none where the client leaves it to the registry.
    pub(crate) access: Option<Access>,
    /// The manifest as it was sent, without its `dist`: that is ours to write.
    pub(crate) manifest: Map<String, Value>,
    /// The tarball's bytes.
    pub(crate) tarball: Vec<u8>,
    /// What the document claims about its commit: `gitHead`, where npm staged from a work tree.
    pub(crate) claims: Vec<Claim>,
}

/// Why a publish document is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unpublishable {
    /// It is not JSON: 400.
    #[error("{0}")]
    Malformed(String),
    /// It contradicts itself, its path or the protocol: 422.
    #[error("{0}")]
    Contradictory(String),
    /// It is larger than a bound of ours: 413.
    #[error("{0}")]
    TooLarge(String),
}

type Checked<T> = Result<T, Unpublishable>;

fn contradictory<T>(sentence: String) -> Checked<T> {
    Err(Unpublishable::Contradictory(sentence))
}

impl PublishDocument {
    /// Reads the body that was sent to the path of `name`. It hashes and decodes the whole tarball: keep it off the
    /// threads that serve others.
    ///
    /// # Errors
    /// The first thing that is wrong, as a sentence that names it.
    pub(crate) fn parse(name: &PackageName, body: &[u8]) -> Checked<Self> {
        let document =
            Json::parse(body, PUBLISH_DOCUMENT_VALUES_MAX).map_err(|error| match error {
                JsonError::Malformed(_) => Unpublishable::Malformed(format!("{error}.")),
                JsonError::DuplicateKey(_) => Unpublishable::Contradictory(format!("{error}.")),
            })?;
        if !matches!(document, Json::Object(_)) {
            return contradictory(
                "The body is not a publish document: it is no object.".to_owned(),
            );
        }
        names(&document, name)?;
        let (version, manifest) = only_version(&document, name)?;
        let dist_tag = only_dist_tag(&document, &version)?;
        let access = access(&document, name)?;
        let tarball = only_tarball(&document, name, &version)?;
        digests_agree(manifest, &tarball_name(name, &version), &tarball)?;
        Ok(Self {
            name: name.clone(),
            dist_tag,
            access,
            claims: claims(manifest),
            manifest: manifest_without_dist(manifest, name, &version)?,
            version,
            tarball,
        })
    }
}

/// `@scope/name-1.2.3.tgz`: the attachment's key keeps the scope.
fn tarball_name(name: &PackageName, version: &Version) -> String {
    format!("{name}-{version}.tgz")
}

/// What a refusal shows of a text that somebody sent.
fn shown(json: Option<&Json<'_>>) -> String {
    match json {
        None => "nothing".to_owned(),
        Some(Json::Text(text)) => format!("`{}`", text.chars().take(80).collect::<String>()),
        Some(Json::Null) => "null".to_owned(),
        Some(Json::Bool(bool)) => bool.to_string(),
        Some(Json::Number(number)) => number.to_string(),
        Some(Json::List(_)) => "a list".to_owned(),
        Some(Json::Object(_)) => "an object".to_owned(),
    }
}

fn names(document: &Json<'_>, name: &PackageName) -> Checked<()> {
    let sent = document.get("name");
    if sent.and_then(Json::text) != Some(name.as_str()) {
        let sent = shown(sent);
        return contradictory(format!("The path names {name}, and the body's `name` is {sent}."));
    }
    match document.get("_id") {
        None => Ok(()),
        Some(id) if id.text() == Some(name.as_str()) => Ok(()),
        id @ Some(_) => contradictory(format!("The body's `_id` is {}, not {name}.", shown(id))),
    }
}

/// The one member of an object that has to have exactly one.
fn only<'d, 'a>(document: &'d Json<'a>, key: &str, noun: &str) -> Checked<(&'d str, &'d Json<'a>)> {
    match document.get(key).map(Json::members) {
        Some([(key, value)]) => Ok((key.as_ref(), value)),
        Some(members) => contradictory(format!(
            "`{key}` holds {} {noun}s; a release has exactly one.",
            members.len()
        )),
        None => contradictory(format!("The body has no `{key}`; a release has one {noun}.")),
    }
}

fn only_version<'d, 'a>(
    document: &'d Json<'a>,
    name: &PackageName,
) -> Checked<(Version, &'d Json<'a>)> {
    let (text, manifest) = only(document, "versions", "version")?;
    let version: Version = text
        .parse()
        .map_err(|error| Unpublishable::Contradictory(format!("In `versions`: {error}.")))?;
    if !matches!(manifest, Json::Object(_)) {
        return contradictory(format!("The manifest of {name}@{version} is no object."));
    }
    for (key, expected) in [("name", name.as_str()), ("version", version.as_str())] {
        let sent = manifest.get(key);
        if sent.and_then(Json::text) != Some(expected) {
            return contradictory(format!(
                "The manifest of {name}@{version} has {} as its `{key}`, not {expected}.",
                shown(sent)
            ));
        }
    }
    let (spec, id) = (format!("{name}@{version}"), manifest.get("_id"));
    if id.is_some_and(|id| id.text() != Some(&spec)) {
        return contradictory(format!("The manifest of {spec} has {} as its `_id`.", shown(id)));
    }
    match manifest.get("private") {
        None | Some(Json::Bool(false) | Json::Null) => Ok((version, manifest)),
        Some(_) => contradictory(format!(
            "{spec} is marked as `private` in its package.json; remove that to release it."
        )),
    }
}

fn only_dist_tag(document: &Json<'_>, version: &Version) -> Checked<String> {
    let (tag, named) = only(document, "dist-tags", "dist-tag")?;
    if named.text() != Some(version.as_str()) {
        let named = shown(Some(named));
        return contradictory(format!("The dist-tag `{tag}` names {named}, not {version}."));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~!*'()@".contains(c);
    if tag.is_empty() || tag.len() > DIST_TAG_CHARACTERS_MAX || !tag.chars().all(plain) {
        let tag: String = tag.chars().take(80).collect();
        return contradictory(format!(
            "`{tag}` is not a dist-tag: it has 1 to {DIST_TAG_CHARACTERS_MAX} letters, digits and -_.~!*'()@."
        ));
    }
    // `npm install name@tag` would take it for a range (npm 11, `dist-tag add`).
    if Range::parse(tag).is_ok() {
        return contradictory(format!("`{tag}` is not a dist-tag: it reads as a version range."));
    }
    Ok(tag.to_owned())
}

fn access(document: &Json<'_>, name: &PackageName) -> Checked<Option<Access>> {
    let sent = document.get("access");
    match sent {
        None | Some(Json::Null) => Ok(None),
        Some(text) if text.text() == Some("public") => Ok(Some(Access::Public)),
        Some(text) if text.text() == Some("restricted") && name.scope().is_some() => {
            Ok(Some(Access::Restricted))
        }
        Some(text) if text.text() == Some("restricted") => {
            contradictory(format!("{name} has no scope, so its access cannot be restricted."))
        }
        Some(_) => contradictory(format!("`access` is {}, not public or restricted.", shown(sent))),
    }
}

fn only_tarball(document: &Json<'_>, name: &PackageName, version: &Version) -> Checked<Vec<u8>> {
    let expected = tarball_name(name, version);
    let bundle = format!("{name}-{version}.sigstore");
    let attachments = document.get("_attachments").map_or(&[][..], Json::members);
    for (key, value) in attachments {
        // A provenance bundle is taken and not kept: what is not verified says nothing, and the rebuild does not need
        // it. It must still be what it says, so that nobody else finds a second tarball under its name.
        let media_type = value.get("content_type").and_then(Json::text).unwrap_or_default();
        let is_bundle = *key == bundle && media_type.starts_with(BUNDLE_TYPE);
        if *key != expected && !is_bundle {
            let key: String = key.chars().take(80).collect();
            return contradictory(format!(
                "`_attachments` holds `{key}`; a release of {name}@{version} has {expected}, and at most {bundle} beside it."
            ));
        }
    }
    let Some((_, tarball)) = attachments.iter().find(|(key, _)| *key == expected) else {
        return contradictory(format!("`_attachments` does not hold {expected}."));
    };
    decode(tarball, &expected)
}

fn decode(attachment: &Json<'_>, file: &str) -> Checked<Vec<u8>> {
    let content_type = attachment.get("content_type");
    if content_type.and_then(Json::text) != Some(TARBALL_TYPE) {
        let sent = shown(content_type);
        return contradictory(format!(
            "The `content_type` of {file} is {sent}, not {TARBALL_TYPE}."
        ));
    }
    let Some(data) = attachment.get("data").and_then(Json::text) else {
        return contradictory(format!("The `data` of {file} is missing."));
    };
    if (data.len() / 4 * 3) as u64 > TARBALL_BYTES_MAX + 2 {
        return Err(Unpublishable::TooLarge(too_large(file)));
    }
    let Ok(bytes) = STANDARD.decode(data) else {
        return contradictory(format!("The `data` of {file} is not base64."));
    };
    if bytes.len() as u64 > TARBALL_BYTES_MAX {
        return Err(Unpublishable::TooLarge(too_large(file)));
    }
    match attachment.get("length") {
        Some(Json::Number(length)) if length.as_u64() == Some(bytes.len() as u64) => Ok(bytes),
        length => contradictory(format!(
            "The `length` of {file} is {}, and its `data` has {} bytes.",
            shown(length),
            bytes.len()
        )),
    }
}

fn too_large(file: &str) -> String {
    format!("{file} is larger than a staged tarball may be: {TARBALL_BYTES_MAX} bytes.")
}

/// What `dist` says of the bytes is never believed; where it says something else, somebody changed one of the two.
fn digests_agree(manifest: &Json<'_>, file: &str, tarball: &[u8]) -> Checked<()> {
    let (sha512, shasum) = (Sha512::of(tarball), Sha1::of(tarball));
    let dist = manifest.get("dist");
    let sent = |key: &str| dist.and_then(|dist| dist.get(key));
    let (integrity, sha1) = (sent("integrity"), sent("shasum"));
    if integrity.is_none() && sha1.is_none() {
        return contradictory(format!("`dist` names no digest of {file}: send its `integrity`."));
    }
    if integrity.is_some_and(|sent| sent.text() != Some(&sha512.to_integrity())) {
        return contradictory(format!(
            "`dist.integrity` is {}, and {file} has {}.",
            shown_digest(integrity),
            sha512.to_integrity()
        ));
    }
    if sha1.is_some_and(|sent| sent.text() != Some(&shasum.to_hex())) {
        let sent = shown(sha1);
        return contradictory(format!("`dist.shasum` is {sent}, and {file} has {shasum}."));
    }
    Ok(())
}

fn shown_digest(json: Option<&Json<'_>>) -> String {
    match json.and_then(Json::text) {
        Some(text) => text.chars().take(110).collect(),
        None => shown(json),
    }
}

/// Only a whole commit name can be held against the tag's commit; anything else claims nothing.
fn claims(manifest: &Json<'_>) -> Vec<Claim> {
    let commit = manifest.get("gitHead").and_then(Json::text);
    let commit = commit.filter(|text| {
        matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let claim =
        |text: &str| Claim { kind: EvidenceKind::GitHead, commit: text.to_ascii_lowercase() };
    commit.map(claim).into_iter().collect()
}

fn manifest_without_dist(
    manifest: &Json<'_>,
    name: &PackageName,
    version: &Version,
) -> Checked<Map<String, Value>> {
    let mut members: Map<_, _> = manifest.members().iter().map(Json::to_member).collect();
    members.remove("dist");
    let bytes = serde_json::to_string(&members).map_or(0, |text| text.len());
    if bytes as u64 > PACKAGE_JSON_BYTES_MAX {
        return Err(Unpublishable::TooLarge(format!(
            "The manifest of {name}@{version} is larger than {PACKAGE_JSON_BYTES_MAX} bytes."
        )));
    }
    Ok(members)
}

#[cfg(test)]
#[path = "publish_document_tests.rs"]
mod tests;
