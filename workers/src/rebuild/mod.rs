//! A plan run in the sandbox: the tree of a commit goes in, a tarball, a log and what was asked of the network come out.
//! The steps are the plan's; the walls are the sandbox's; the registry is the mirror's. The staged tarball is not known
//! here, but for its name and digest, which the mirror refuses.

mod clock;
mod ending;
mod installs;
mod kept;
mod kit;
mod put_back;
mod registries;
mod socket;
mod steps;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use countersign_core::{
    Subject,
    finding::{Code, Finding},
    limits::REPORTED_REQUESTS_MAX,
    plan::Plan,
    rebuild::{Dependency, Ending, NetworkRequest, Rebuild, RequestOutcome},
    source::Source,
    toolchain::Tool,
};

use crate::{
    checkout::{CheckoutError, ExportTree},
    mirror::{LockedVersion, Mirror, MirrorPolicy, Record},
    progress::Watch,
    sandbox::{self, Limits, SandboxError},
    toolchain::{Cache, ToolchainError},
    upstream::Upstream,
};

pub(crate) use installs::Installs;
pub(crate) use kept::Kept;
use kit::Toolchain;
use socket::SocketFolder;
pub(crate) use steps::Durations;

/// What the sandbox's root file system is: the host's own `/usr`, read-only.
const ROOT_IMAGE: &str = "host:/usr";

/// What a rebuild needs of this machine.
pub(crate) struct Means<'a> {
    /// The registries.
    pub(crate) upstream: &'a Upstream,
    /// The toolchains.
    pub(crate) cache: &'a Cache,
    /// Where work areas are made.
    pub(crate) work: PathBuf,
    /// The bounds of a step.
    pub(crate) limits: Limits,
    /// The program at the sandbox's door.
    pub(crate) init: &'a Path,
    /// Rebuilds that were done before, where they may be used.
    pub(crate) kept: Option<&'a Kept>,
    /// Installs that were done before, where they may be used.
    pub(crate) installs: Option<&'a Installs>,
}

/// What is rebuilt.
pub(crate) struct Order<'a> {
    /// How.
    pub(crate) plan: &'a Plan,
    /// From where.
    pub(crate) source: &'a Source,
    /// Out of what.
    pub(crate) tree: &'a ExportTree,
    /// What the mirror refuses.
    pub(crate) subject: &'a Subject,
    /// What the tagged lockfile names.
    pub(crate) locked: Vec<LockedVersion>,
    /// What another rebuild installed, where that one is done again.
    pub(crate) only: Option<&'a [Dependency]>,
    /// Scopes that the tree's own `.npmrc` sends elsewhere, with their `@`.
    pub(crate) scopes: BTreeSet<&'a str>,
    /// Whether it is the second of two by the same plan.
    pub(crate) again: bool,
}

/// What came out of a rebuild.
pub(crate) struct Rebuilt {
    /// What is known of it.
    pub(crate) rebuild: Rebuild,
    /// The tarball, where one was packed.
    pub(crate) tarball: Option<Vec<u8>>,
    /// What the steps printed.
    pub(crate) log: String,
    /// How long each phase took.
    pub(crate) durations: Durations,
}

/// Why a rebuild says nothing about the package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something outside kept us from it; the log so far is handed on.
    #[error("{}", .0.message)]
    Undetermined(Box<Finding>, String),
    /// The job was withdrawn.
    #[error("the job was withdrawn")]
    Cancelled,
    /// Our own failure.
    #[error(transparent)]
    Own(#[from] anyhow::Error),
}

impl Failure {
    fn undetermined(code: Code, message: impl Into<String>) -> Self {
        Self::Undetermined(Box::new(Finding::new(code, message)), String::new())
    }
}

impl From<CheckoutError> for Failure {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Cancelled => Self::Cancelled,
            other => Self::Own(other.into()),
        }
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        match &error {
            SandboxError::Unavailable { mend, .. } => {
                let finding = Finding::new(Code::SandboxUnavailable, error.to_string());
                Self::Undetermined(Box::new(finding.with_fix(mend.clone())), String::new())
            }
            SandboxError::NoFreeSlot(_)
            | SandboxError::AreaFull { .. }
            | SandboxError::BadStep(_)
            | SandboxError::Io { .. } => Self::Own(error.into()),
        }
    }
}

impl From<ToolchainError> for Failure {
    fn from(error: ToolchainError) -> Self {
        Self::undetermined(
            Code::ToolchainNotAvailable,
            format!("{:#}.", anyhow::Error::from(error)),
        )
    }
}

/// Runs a plan, or takes what was kept of running it before, where that is allowed.
pub(crate) async fn run(
    order: &Order<'_>,
    means: &Means<'_>,
    watch: Watch<'_>,
) -> Result<Rebuilt, Failure> {
    let keyed = means.kept.and_then(|kept| {
        let key = kept::key(order, means.upstream.registries())?;
        Some((kept, key))
    });
    if let Some(rebuilt) = keyed.and_then(|(kept, key)| kept.find(key, order)) {
        return Ok(rebuilt);
    }
    let rebuilt = run_anew(order, means, watch).await?;
    if let Some((kept, key)) = keyed {
        kept.keep(key, &rebuilt);
    }
    Ok(rebuilt)
}

/// Needs a tokio runtime for the mirror; the sandbox runs on a thread of its own, since it ends when the
/// thread that started it does.
async fn run_anew(
    order: &Order<'_>,
    means: &Means<'_>,
    watch: Watch<'_>,
) -> Result<Rebuilt, Failure> {
    let mut brought = Vec::new();
    for tool in order.plan.tools() {
        brought.push((tool, ensure(tool, means, watch).await?));
    }
    let toolchain = Toolchain::of(order.plan, &brought, means.cache)
        .context("the launchers of the toolchain cannot be laid out")?;
    let sockets = SocketFolder::make(&means.work)
        .with_context(|| format!("no folder can be made in `{}`", means.work.display()))?;
    let policy = MirrorPolicy {
        subject: (order.subject.name.clone(), order.subject.version.clone()),
        staged_sha512: order.subject.sha512,
        cutoff: order.plan.cutoff,
        locked: order.locked.clone(),
        only: order.only.map(<[Dependency]>::to_vec),
    };
    let mirror =
        Mirror::start(&sockets.socket(), policy, means.upstream.clone()).map_err(|error| {
            anyhow::Error::from(error).context("the registry mirror cannot be started")
        })?;
    let mirror = Arc::new(mirror);
    let outside = steps::Outside { mirror: &mirror, clock: sockets.clock() };
    let ran = on_a_thread(|| steps::run(order, means, &toolchain, outside, watch));
    let mirror = Arc::into_inner(mirror).expect("the steps have ended and gave their handle back");
    let record = mirror.finish().await;
    let mut ran = ran?;
    if let (Some(kept), Some((alone, archive))) = (means.installs, ran.installed.take()) {
        kept.keep(&alone, &archive, &record);
    }
    assemble(order, ran, record)
}

async fn ensure(tool: &Tool, means: &Means<'_>, watch: Watch<'_>) -> Result<PathBuf, Failure> {
    let mut tell = |bytes: u64, all: Option<u64>| {
        let part = all.filter(|all| *all > 0).map(|all| format!(": {} %", bytes * 100 / all));
        watch.doing(
            countersign_core::rebuild::Phase::Install,
            &format!("bringing {tool}{}", part.unwrap_or_default()),
        );
    };
    Ok(means.cache.ensure(means.upstream, tool, &mut tell).await?)
}

/// Clears away what dead workers left where rebuilds take place: processes, cgroups, mounts, folders.
///
/// # Errors
/// A wall of the sandbox is missing, or something cannot be removed.
pub(crate) fn sweep(work: &Path) -> anyhow::Result<()> {
    sandbox::sweep(work)?;
    socket::sweep(work).with_context(|| format!("`{}` cannot be cleared", work.display()))
}

/// Runs `work` on a thread that lives as long as it does, and blocks until it is done. Other tasks of the runtime go on.
pub(crate) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// What the steps and the mirror tell together, with what the mirror told when a kept install was made.
fn assemble(order: &Order<'_>, ran: steps::Ran, mut record: Record) -> Result<Rebuilt, Failure> {
    let mut cutoff_unreliable = !record.cutoff_unreliable.is_empty();
    if let Some(install) = &ran.reused {
        record.requests.splice(0..0, install.requests.iter().cloned());
        record.dependencies.extend(install.dependencies.iter().cloned());
        cutoff_unreliable |= install.cutoff_unreliable;
    }
    let ending = ending::of(&ran, &record, &order.subject.name);
    if !ending.packed()
        && let Some(what) = &record.unavailable
    {
        let finding = Finding::new(
            Code::RegistryUnavailable,
            format!("The registry did not answer: {what}."),
        );
        return Err(Failure::Undetermined(Box::new(finding), ran.log));
    }
    let pinned = record.all_locked() && lockfile_or_nothing(order.plan);
    Ok(Rebuilt {
        rebuild: Rebuild {
            ending,
            peak_memory_bytes: ran.peak_memory_bytes,
            root_image: ROOT_IMAGE.to_owned(),
            network: reported(record.requests),
            dependencies_pinned: pinned,
            cutoff_unreliable,
            dependencies: record.dependencies,
            reused: None,
            install_reused: ran.reused.map(|install| install.key),
            put_back: ran.put_back,
        },
        tarball: ran.tarball,
        log: ran.log,
        durations: ran.durations,
    })
}

/// Without a lockfile nothing is pinned, also where this very install happened to need nothing.
fn lockfile_or_nothing(plan: &Plan) -> bool {
    match plan.install {
        countersign_core::plan::Install::None
        | countersign_core::plan::Install::Lockfile { .. } => true,
        countersign_core::plan::Install::AsOfCutoff { .. } => false,
    }
}

/// The requests that the report lists: what was refused is kept first, the order is that of the answers.
fn reported(requests: Vec<NetworkRequest>) -> Vec<NetworkRequest> {
    if requests.len() <= REPORTED_REQUESTS_MAX {
        return requests;
    }
    let (mut kept, served): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|request| request.outcome != RequestOutcome::Served);
    kept.extend(served);
    kept.truncate(REPORTED_REQUESTS_MAX);
    kept
}

/// The ending of a tree that cannot be written down.
pub(crate) fn unfit(detail: String) -> Ending {
    Ending::NoPlan { detail }
}
