//! The subject of a `check`: a version in the registry, a file, or a staged artifact that the user's own npm token may
//! read. Whatever it was named by, its bytes are here afterwards with the name and version that they are checked
//! against. This file knows nothing of sources or verdicts.

use std::{io::Read, path::Path};

use anyhow::{Context, bail};
use bytes::Bytes;
use countersign_core::{
    PackageName, Sha1, Sha512, Subject, Timestamp, Version, archive,
    finding::{Code, Finding},
    limits::TARBALL_BYTES_MAX,
    npm_manifest,
    protocol::Recorded,
};
use countersign_worker::upstream::{Upstream, UpstreamError};
use serde_json::Value;

/// What was fetched.
pub(crate) struct Fetched {
    /// What the check is about.
    pub(crate) subject: Subject,
    /// Its bytes.
    pub(crate) tarball: Bytes,
    /// npm's SHA-1 of them.
    pub(crate) shasum: Sha1,
    /// Their number.
    pub(crate) bytes: u64,
    /// The commit that the manifest claims.
    pub(crate) git_head: Option<String>,
    /// What packed it, where that was recorded: `_nodeVersion` and `_npmVersion`.
    pub(crate) recorded: Recorded,
    /// When it was staged or published; now for a file.
    pub(crate) staged_at: Timestamp,
    /// Where the manifest that the registry gives for it says otherwise than the package.json inside. A file has none beside
    /// it, and of a staged artifact only its maintainers' registry sees the whole.
    pub(crate) disagreements: Vec<Finding>,
}

/// A subject, or the finding that says why we could not have it.
pub(crate) type FetchedOrFinding = Result<Fetched, Finding>;

/// Fetches what the text names.
///
/// # Errors
/// When the text names nothing that could be: that is the user's to mend.
pub(crate) async fn fetch(text: &str, upstream: &Upstream) -> anyhow::Result<FetchedOrFinding> {
    let path = Path::new(text);
    if path.is_file() || text.ends_with(".tgz") || text.ends_with(".tar.gz") {
        return from_file(path, upstream).map(Ok);
    }
    if uuid::Uuid::try_parse(text).is_ok() {
        return from_stage(text, upstream).await;
    }
    match text.rsplit_once('@').filter(|(name, _)| !name.is_empty()) {
        Some((name, version)) => from_registry(name.parse()?, version.parse()?, upstream).await,
        None => bail!(
            "`{text}` is neither name@version, nor a .tgz, nor a stage id; for example: countersign check left-pad@1.3.0"
        ),
    }
}

async fn from_registry(
    name: PackageName,
    version: Version,
    upstream: &Upstream,
) -> anyhow::Result<FetchedOrFinding> {
    let packument = match upstream.packument(&name).await {
        Ok(packument) => packument,
        Err(error) => return not_had(error),
    };
    let (Some(manifest), Some(dist)) = (packument.manifest(&version), packument.dist(&version))
    else {
        bail!(
            "the registry has no version {version} of `{name}`; see them with: npm view {name} versions"
        );
    };
    let tarball =
        match upstream.tarball(&name, &version, &dist, TARBALL_BYTES_MAX, &mut |_, _| {}).await {
            Ok(tarball) => tarball,
            Err(error) => return not_had(error),
        };
    let mut bytes = Vec::new();
    (&tarball.file)
        .take(TARBALL_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .context("the cached tarball cannot be read")?;
    let staged_at = packument.time(version.as_str()).unwrap_or_else(now);
    let registry = upstream.registries().of(&name).name().to_owned();
    let mut fetched = fetched(&registry, name, version, bytes, &manifest, staged_at);
    fetched.disagreements = disagreements(&manifest, &fetched.tarball);
    Ok(Ok(fetched))
}

/// Installers resolve by the registry's manifest and run by the package.json inside: who sends one that says otherwise hides
/// something. What the strict reader refuses says so by itself.
fn disagreements(manifest: &Value, tarball: &[u8]) -> Vec<Finding> {
    match (manifest.as_object(), archive::read(tarball)) {
        (Some(manifest), Ok(archive)) => npm_manifest::disagreements(manifest, &archive),
        (_, _) => Vec::new(),
    }
}

/// What the registry does not have is the user's to mend; a registry that does not answer is nobody's fault.
fn not_had(error: UpstreamError) -> anyhow::Result<FetchedOrFinding> {
    match error {
        UpstreamError::NotFound { .. } => Err(error.into()),
        other => Ok(Err(Finding::new(
            Code::RegistryUnavailable,
            format!("{:#}", anyhow::Error::from(other)),
        ))),
    }
}

/// A file's name and version are those of its package.json; a file that has none is still a subject, which the strict
/// reader then refuses with its own code.
fn from_file(path: &Path, upstream: &Upstream) -> anyhow::Result<Fetched> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("`{}` cannot be opened", path.display()))?;
    let mut bytes = Vec::new();
    file.take(TARBALL_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("`{}` cannot be read", path.display()))?;
    let inside = archive::read(&bytes).ok().and_then(|archive| {
        let package = archive.package_json();
        Some((package.name()?.parse().ok()?, package.version()?.parse().ok()?))
    });
    let (name, version) = inside.unwrap_or_else(unnamed);
    let registry = upstream.registries().of(&name).name().to_owned();
    Ok(fetched(&registry, name, version, bytes, &Value::Null, now()))
}

/// The name and version of a file that does not say its own: shown in the refusal, and never looked up.
fn unnamed() -> (PackageName, Version) {
    let name = "unnamed".parse().expect("a fixed name that npm takes");
    (name, "0.0.0".parse().expect("a fixed version"))
}

async fn from_stage(id: &str, upstream: &Upstream) -> anyhow::Result<FetchedOrFinding> {
    let staged = match upstream.staged(id, TARBALL_BYTES_MAX).await {
        Ok(staged) => staged,
        Err(error) => return not_had(error),
    };
    let text = |key: &str| {
        staged.item[key]
            .as_str()
            .with_context(|| format!("the registry's answer about stage {id} has no `{key}`"))
    };
    let (name, version): (PackageName, Version) =
        (text("packageName")?.parse()?, text("version")?.parse()?);
    let staged_at = text("createdAt")?.parse().unwrap_or_else(|_| now());
    let registry = upstream.registries().default.name().to_owned();
    let mut fetched = fetched(&registry, name, version, staged.tarball, &staged.item, staged_at);
    fetched.subject.dist_tag = staged.item["tag"].as_str().map(str::to_owned);
    Ok(Ok(fetched))
}

fn fetched(
    registry: &str,
    name: PackageName,
    version: Version,
    tarball: Vec<u8>,
    manifest: &Value,
    staged_at: Timestamp,
) -> Fetched {
    let text = |key: &str| manifest[key].as_str().map(str::to_owned);
    Fetched {
        subject: Subject {
            registry: registry.to_owned(),
            name,
            version,
            sha512: Sha512::of(&tarball),
            manifest_sha256: None,
            dist_tag: None,
            access: None,
        },
        shasum: Sha1::of(&tarball),
        bytes: tarball.len() as u64,
        git_head: text("gitHead"),
        recorded: Recorded { node: text("_nodeVersion"), npm: text("_npmVersion") },
        tarball: Bytes::from(tarball),
        staged_at,
        disagreements: Vec::new(),
    }
}

fn now() -> Timestamp {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
