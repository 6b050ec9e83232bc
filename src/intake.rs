//! Intake: from an artifact that somebody wants to publish to a verification that is stored and queued. What came in
//! malformed gets its verdict here, without a worker; how the bytes came (npm's document, a URL) is not known here.

use bytes::Bytes;
use countersign_core::{
    Access, PackageName, Sha1, Sha512, Subject, Timestamp, Version, archive,
    enrolment::Enrolment,
    finding::{Code, Finding},
    limits::TARBALL_BYTES_MAX,
    npm_manifest,
    protocol::VerificationId,
    report::{Enforcement, State},
    source::Claim,
    verdict::Observations,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    app::App,
    asker::Asker,
    blobs::BlobError,
    queue::{self, Conclusion},
    store::{
        self, Writer, enrolments,
        events::{self, Event, EventKind},
        published,
        tokens::Scope,
        verifications::{self, Origin, Verification},
    },
};

/// The lockfile that a package may carry inside, and what a registry writes in its manifest about it.
const SHRINKWRAP: &str = "npm-shrinkwrap.json";
const HAS_SHRINKWRAP: &str = "_hasShrinkwrap";

/// A release that a client stages with us.
#[derive(Clone, Debug)]
pub struct Staging {
    /// The package.
    pub name: PackageName,
    /// The version.
    pub version: Version,
    /// The tarball.
    pub tarball: Bytes,
    /// The version's manifest, without `dist`.
    pub manifest: Map<String, Value>,
    /// The dist-tag that the release would set.
    pub dist_tag: String,
    /// Who may install it; none where the client leaves it to us: public.
    pub access: Option<Access>,
    /// What the document says of its commit.
    pub claims: Vec<Claim>,
}

/// An artifact that another registry asks about.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What is to be verified, as the registry tells it; the manifest's digest is made here.
    pub registry: String,
    /// The package.
    pub name: PackageName,
    /// The version.
    pub version: Version,
    /// The digest of the tarball.
    pub sha512: Sha512,
    /// The tarball; not needed for a package that nobody enrolled.
    pub tarball: Option<Bytes>,
    /// The version's manifest; none where the registry does not show it.
    pub manifest: Option<Map<String, Value>>,
    /// The dist-tag that the release would set.
    pub dist_tag: Option<String>,
    /// Who may install it.
    pub access: Option<Access>,
    /// When it was staged there.
    pub staged_at: Option<Timestamp>,
    /// Who staged it there; the asker where it is not told.
    pub actor: Option<String>,
    /// The registry's own name for the stage, for the log.
    pub stage_id: Option<String>,
    /// What the registry says of its commit.
    pub claims: Vec<Claim>,
}

/// Why nothing was taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeRefused {
    /// The asker may not do this with this package.
    #[error("{0}")]
    NotAllowed(String),
    /// Nobody confirmed where the source is. Nothing is stored.
    #[error(
        "`{0}` is not enrolled: nobody has confirmed where its source is. Let a maintainer run: countersign package enrol {0} --by MAINTAINER --repo URL"
    )]
    NotEnrolled(PackageName),
    /// This version is staged and not decided.
    #[error("{spec} is staged already{}; approve or reject that stage first: npm stage list shows it", as_stage(*.stage))]
    StagedTwice {
        /// `name@version`.
        spec: String,
        /// The stage; whoever may stage a package may see its stages. npm masks every id in what it prints, so the
        /// sentence says where it can be read.
        stage: Option<VerificationId>,
    },
    /// This version is live.
    #[error("{0} is published already; a version is released once, so stage another")]
    VersionTaken(String),
    /// The tarball is larger than we take.
    #[error("the tarball has {bytes} bytes, and at most {TARBALL_BYTES_MAX} are taken")]
    TooLarge {
        /// How large it is.
        bytes: u64,
    },
    /// What was sent contradicts itself.
    #[error("{0}")]
    Contradictory(String),
    /// The store failed.
    #[error("the artifact could not be stored")]
    Store(#[from] store::Error),
    /// The blobs failed.
    #[error("the tarball could not be stored")]
    Blob(#[from] BlobError),
}

fn as_stage(stage: Option<VerificationId>) -> String {
    stage.map(|id| format!(" as {id}")).unwrap_or_default()
}

/// Takes a staged release in: stored and queued, or judged at once where it is malformed. Nothing is stored where it is
/// refused.
pub async fn stage(
    app: &App,
    asker: &Asker,
    staging: Staging,
) -> Result<VerificationId, IntakeRefused> {
    let spec = format!("{}@{}", staging.name, staging.version);
    within_bounds(&staging.tarball)?;
    consistent(&staging.name, &staging.version, &staging.manifest)?;
    let enrolment = admitted(app, asker, &staging.name, Scope::Stage).await?;
    let mut reader = app.store.read().await?;
    if published::find(&mut reader, &staging.name, &staging.version).await?.is_some() {
        return Err(IntakeRefused::VersionTaken(spec));
    }
    drop(reader);
    let enrolment = enrolment.ok_or_else(|| IntakeRefused::NotEnrolled(staging.name.clone()))?;

    let examined = examine(staging.tarball.clone(), Some(staging.manifest.clone())).await;
    app.blobs.put_tarball(staging.tarball.clone()).await?;
    let now = app.now();
    let subject = Subject {
        registry: app.registry(),
        name: staging.name,
        version: staging.version,
        sha512: examined.sha512,
        manifest_sha256: Some(npm_manifest::digest(&staging.manifest)),
        dist_tag: Some(staging.dist_tag),
        access: Some(staging.access.unwrap_or(Access::Public)),
    };
    let new = Verification {
        origin: Origin::Stage,
        bytes: Some(staging.tarball.len() as u64),
        shasum: Some(examined.shasum),
        claims: staging.claims,
        enforcement: Enforcement::Enforced,
        ..fresh(subject, asker, now)
    };
    let (name, version) = (new.subject.name.clone(), new.subject.version.clone());
    let mut manifest = staging.manifest;
    // npm installs by an inner lockfile only where the manifest says that there is one, so it is said from the bytes. It is
    // one of the keys that registries write: the manifest's digest is the same with and without it.
    manifest.insert(HAS_SHRINKWRAP.to_owned(), json!(examined.has_shrinkwrap));
    let (manifest, findings) = (Some(manifest), examined.findings);
    let taken = Taken { new, manifest, findings, stage_id: None };
    match keep(app, taken, Some(enrolment)).await {
        Err(error) if error.is_refused_by("verifications_one_live_stage") => {
            let mut reader = app.store.read().await?;
            let live = verifications::live_stage(&mut reader, &name, &version).await?;
            Err(IntakeRefused::StagedTwice { spec, stage: live.map(|live| live.id) })
        }
        Err(error) => Err(error.into()),
        Ok(id) => Ok(id),
    }
}

/// Takes in what another registry asks about. A package that nobody enrolled gets its verdict at once.
pub async fn submit(
    app: &App,
    asker: &Asker,
    submission: Submission,
) -> Result<VerificationId, IntakeRefused> {
    let enrolment = admitted(app, asker, &submission.name, Scope::Verify).await?;
    if let Some(manifest) = &submission.manifest {
        consistent(&submission.name, &submission.version, manifest)?;
    }
    let now = app.now();
    let subject = Subject {
        registry: submission.registry.trim_end_matches('/').to_owned(),
        name: submission.name,
        version: submission.version,
        sha512: submission.sha512,
        manifest_sha256: submission.manifest.as_ref().map(npm_manifest::digest),
        dist_tag: submission.dist_tag,
        access: submission.access,
    };
    let mut new = Verification {
        origin: Origin::Api,
        claims: submission.claims,
        staged_at: submission.staged_at.unwrap_or(now),
        ..fresh(subject, asker, now)
    };
    if let Some(actor) = submission.actor {
        new.actor = actor;
    }
    let mut findings = Vec::new();
    match (&enrolment, submission.tarball) {
        (None, _) => findings.push(not_enrolled(&new.subject.name)),
        (Some(_), None) => {
            return Err(IntakeRefused::Contradictory("the tarball was not sent".to_owned()));
        }
        (Some(_), Some(tarball)) => {
            within_bounds(&tarball)?;
            let examined = examine(tarball.clone(), submission.manifest.clone()).await;
            if examined.sha512 != new.subject.sha512 {
                return Err(IntakeRefused::Contradictory(format!(
                    "the tarball has the digest {}, not the stated one",
                    examined.sha512.to_integrity()
                )));
            }
            new.bytes = Some(tarball.len() as u64);
            new.shasum = Some(examined.shasum);
            app.blobs.put_tarball(tarball).await?;
            findings = examined.findings;
        }
    }
    let (manifest, stage_id) = (submission.manifest, submission.stage_id);
    let taken = Taken { new, manifest, findings, stage_id };
    Ok(keep(app, taken, enrolment).await?)
}

/// The parts that are the same for everything that comes in now.
fn fresh(subject: Subject, asker: &Asker, now: Timestamp) -> Verification {
    Verification {
        // Ordered by time, so that lists and indexes are too.
        id: VerificationId(Uuid::now_v7()),
        origin: Origin::Api,
        subject,
        bytes: None,
        shasum: None,
        claims: Vec::new(),
        enforcement: Enforcement::Advisory,
        actor: asker.actor(),
        actor_type: asker.actor_type(),
        staged_at: now,
        created_at: now,
        state: State::Queued,
        round_started_at: now,
        attempts: 0,
        next_attempt_at: Some(now),
        tag_wait_until: None,
        tag_looks: 0,
        verdict: None,
        closed_at: None,
    }
}

/// Whether the asker may bring this package, and its enrolment.
async fn admitted(
    app: &App,
    asker: &Asker,
    name: &PackageName,
    scope: Scope,
) -> Result<Option<Enrolment>, IntakeRefused> {
    if !asker.has(scope, Some(name)) {
        return Err(IntakeRefused::NotAllowed(format!(
            "this token may not do that with `{name}`: it needs the scope `{}` for that package. Let an operator run: \
             countersign token create --scope {} --package {name}",
            scope.as_str(),
            scope.as_str()
        )));
    }
    let mut reader = app.store.read().await?;
    let enrolment = enrolments::current(&mut reader, name).await?;
    if enrolment.is_some() && !asker.may_see(&mut reader, name).await? {
        return Err(IntakeRefused::NotAllowed(format!("you are not a maintainer of `{name}`")));
    }
    Ok(enrolment)
}

fn within_bounds(tarball: &Bytes) -> Result<(), IntakeRefused> {
    let bytes = tarball.len() as u64;
    if bytes > TARBALL_BYTES_MAX { Err(IntakeRefused::TooLarge { bytes }) } else { Ok(()) }
}

/// The manifest is that of the package and version under which it was sent.
fn consistent(
    name: &PackageName,
    version: &Version,
    manifest: &Map<String, Value>,
) -> Result<(), IntakeRefused> {
    for (field, expected) in [("name", name.as_str()), ("version", version.as_str())] {
        if manifest.get(field).and_then(Value::as_str) != Some(expected) {
            let said = manifest.get(field).unwrap_or(&Value::Null);
            return Err(IntakeRefused::Contradictory(format!(
                "the manifest's `{field}` is {said}, and it was sent as {name}@{version}"
            )));
        }
    }
    Ok(())
}

struct Examined {
    sha512: Sha512,
    shasum: Sha1,
    has_shrinkwrap: bool,
    findings: Vec<Finding>,
}

/// Reads the tarball strictly and holds the manifest against it. Either finding ends the job before any rebuild.
async fn examine(tarball: Bytes, manifest: Option<Map<String, Value>>) -> Examined {
    let look = move || {
        let (has_shrinkwrap, findings) = match archive::read(&tarball) {
            Err(refusal) => {
                (false, vec![Finding::new(Code::Archive(refusal.rule), refusal.message)])
            }
            Ok(archive) => {
                let disagreements =
                    manifest.map(|manifest| npm_manifest::disagreements(&manifest, &archive));
                let has_shrinkwrap = archive.files().any(|file| file.path == SHRINKWRAP);
                (has_shrinkwrap, disagreements.unwrap_or_default())
            }
        };
        let (sha512, shasum) = (Sha512::of(&tarball), Sha1::of(&tarball));
        Examined { sha512, shasum, has_shrinkwrap, findings }
    };
    tokio::task::spawn_blocking(look).await.expect("the strict reader does not panic")
}

fn not_enrolled(name: &PackageName) -> Finding {
    let message = format!("Nobody has confirmed where the source of `{name}` is.");
    let fix = format!("countersign package enrol {name} --by MAINTAINER --repo URL");
    Finding::new(Code::PackageNotEnrolled, message).with_fix(fix)
}

struct Taken {
    new: Verification,
    manifest: Option<Map<String, Value>>,
    findings: Vec<Finding>,
    stage_id: Option<String>,
}

/// Writes it down, with its verdict where there is one already, in one transaction.
async fn keep(
    app: &App,
    taken: Taken,
    enrolment: Option<Enrolment>,
) -> store::Result<VerificationId> {
    let Taken { mut new, manifest, findings, stage_id } = taken;
    let now = new.created_at;
    let mut writer = app.store.write().await?;
    let manifest = manifest.map(Value::Object);
    verifications::insert(&mut writer, &new, manifest.as_ref()).await?;
    append_staged(&mut writer, &new, stage_id, now).await?;
    if !findings.is_empty() {
        let seen = Observations { findings, ..Observations::default() };
        let conclusion = Conclusion::without_worker(seen, enrolment.as_ref());
        queue::conclude(app, &mut writer, &mut new, conclusion, now).await?;
    }
    writer.commit().await?;
    Ok(new.id)
}

async fn append_staged(
    writer: &mut Writer,
    new: &Verification,
    stage_id: Option<String>,
    now: Timestamp,
) -> store::Result<i64> {
    let event = Event {
        kind: EventKind::Staged,
        verification: Some(new.id),
        package: Some(new.subject.name.clone()),
        actor: new.actor.clone(),
        at: now,
        data: json!({ "subject": new.subject, "origin": new.origin, "stage_id": stage_id }),
    };
    events::append(writer, &event).await
}
