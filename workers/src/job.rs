//! One job from the staged bytes to the attempt: read ▸ checkout ▸ plan ▸ rebuild ▸ compare ▸ judge. What is found out about
//! the package is data; an error is our own failure, and then the job is leased again. The staged tarball never comes
//! near the sandbox: it is read before, and compared after.

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use bytes::Bytes;
use countersign_core::{
    archive::{self, Archive},
    compare::{Comparison, Level, Status, compare},
    finding::{Code, Finding},
    plan::{Declared, Offer, Plan, PlanProblem, candidates, warnings},
    protocol::{Attempt, Job, Judged},
    rebuild::{Ending, Phase, Rebuild},
    verdict::{Observations, judge},
};

use crate::{
    checkout::{Checkout, GitCache, Outcome, Wanted},
    mirror::LockedVersion,
    progress::Watch,
    rebuild::{self, Failure, Kept, Means, Order, Rebuilt},
    sandbox::Limits,
    settings::Settings,
    toolchain::{self, Cache},
    upstream::Upstream,
};

/// What stands at the sandbox's door: this very program, which hands `sandbox-init` on.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What every job needs of this machine, opened once.
pub struct Tools {
    /// The registries.
    pub upstream: Upstream,
    cache: Cache,
    git: GitCache,
    work: PathBuf,
    registry_hosts: BTreeSet<String>,
    limits: Limits,
    init: PathBuf,
    kept: Option<Kept>,
}

impl Tools {
    /// Opens caches and folders; nothing is started or downloaded.
    ///
    /// # Errors
    /// Names the folder or the setting that cannot be used.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let cache = Cache::open(&settings.cache, is_root)?;
        let upstream = Upstream::new(&settings.upstream, &cache.registry_folder())?;
        let git = GitCache::new(&settings.cache.join("git"), &settings.upstream.client);
        let registries = &settings.upstream.registries;
        let registry_hosts = std::iter::once(&registries.default)
            .chain(registries.scopes.values())
            .filter_map(|registry| registry.url().host_str().map(str::to_owned))
            .collect();
        let limits = settings.limits.clone().into_sandbox();
        let (work, init) = (settings.work.clone(), PathBuf::from(OWN_PROGRAM));
        Ok(Self { upstream, cache, git, work, registry_hosts, limits, init, kept: None })
    }

    /// The same, with a program other than the running one at the sandbox's door, as
    /// [`crate::sandbox::Slot::acquire_with_init`]: for whoever runs jobs in a program that is no worker.
    #[must_use]
    pub fn with_init(self, init: PathBuf) -> Self {
        Self { init, ..self }
    }

    /// The same, with rebuilds of this machine used again where everything that they depend on is the same: for many
    /// tarballs of one commit. A report says where it was so. The service's own workers never do it.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn reusing_rebuilds(self, settings: &Settings) -> std::io::Result<Self> {
        let kept = Kept::open(settings.cache.join("rebuilds"))?;
        Ok(Self { kept: Some(kept), ..self })
    }

    /// Clears away what workers that died left on this machine. A worker does it when it starts; jobs of living workers
    /// are not touched.
    ///
    /// # Errors
    /// A wall of the sandbox is missing, or something cannot be removed.
    pub fn sweep(&self) -> anyhow::Result<()> {
        rebuild::sweep(&self.work)
    }

    fn means(&self) -> Means<'_> {
        Means {
            upstream: &self.upstream,
            cache: &self.cache,
            work: self.work.clone(),
            limits: self.limits.clone(),
            init: &self.init,
            kept: self.kept.as_ref(),
        }
    }
}

/// What a job hands over.
pub struct Output {
    /// How it came out.
    pub attempt: Attempt,
    /// The rebuilt tarball that was compared.
    pub rebuilt: Option<Bytes>,
    /// What the build printed.
    pub log: Option<String>,
}

/// Does a job. Needs tokio's runtime of many threads.
///
/// # Errors
/// Our own failure, or the job was withdrawn.
pub async fn run(
    job: &Job,
    staged: &Bytes,
    tools: &Tools,
    watch: Watch<'_>,
) -> anyhow::Result<Output> {
    let started = Instant::now();
    let mut story = Story {
        job,
        watch,
        seen: Observations::default(),
        comparison: None,
        rebuilt: None,
        log: String::new(),
    };
    let ended = story.tell(staged, tools).await?;
    story.seen.timings.total = Some(millis(started));
    Ok(match ended {
        Ended::TagMissing(tag) => {
            Output { attempt: Attempt::TagMissing { tag }, rebuilt: None, log: None }
        }
        Ended::Observed => story.judged(),
    })
}

enum Ended {
    Observed,
    TagMissing(String),
}

/// A job under way, with everything that was found out.
struct Story<'a> {
    job: &'a Job,
    watch: Watch<'a>,
    seen: Observations,
    comparison: Option<Comparison>,
    rebuilt: Option<Bytes>,
    log: String,
}

impl Story<'_> {
    async fn tell(&mut self, staged: &Bytes, tools: &Tools) -> anyhow::Result<Ended> {
        let Some(archive) = self.read(staged) else { return Ok(Ended::Observed) };
        let checkout = match self.check_out(&archive, tools)? {
            Ok(checkout) => checkout,
            Err(ended) => return Ok(ended),
        };
        let Some(plans) = self.plan(&checkout, tools) else { return Ok(Ended::Observed) };
        self.rebuild_until_equal(&archive, &checkout, &plans, tools).await?;
        Ok(Ended::Observed)
    }

    /// The strict reader, before anything else: what it refuses never comes further.
    fn read(&mut self, staged: &Bytes) -> Option<Archive> {
        let read = tokio::task::block_in_place(|| archive::read(staged));
        let archive = match read {
            Ok(archive) => archive,
            Err(refusal) => {
                self.seen
                    .findings
                    .push(Finding::new(Code::Archive(refusal.rule), refusal.to_string()));
                return None;
            }
        };
        let subject = &self.job.subject;
        let package = archive.package_json();
        let inside = (package.name(), package.version());
        if inside != (Some(subject.name.as_str()), Some(subject.version.as_str())) {
            let message = format!(
                "The package.json inside says `{}@{}`, and what is staged is `{}`.",
                inside.0.unwrap_or("(no name)"),
                inside.1.unwrap_or("(no version)"),
                subject.spec()
            );
            self.seen.findings.push(Finding::new(Code::ManifestDisagrees, message));
            return None;
        }
        Some(archive)
    }

    fn check_out(
        &mut self,
        archive: &Archive,
        tools: &Tools,
    ) -> anyhow::Result<Result<Box<Checkout>, Ended>> {
        let started = Instant::now();
        let subject = &self.job.subject;
        let wanted = Wanted {
            name: &subject.name,
            version: &subject.version,
            request: &self.job.source,
            staged: archive.package_json(),
        };
        let watch = self.watch;
        let outcome = rebuild::on_a_thread(|| tools.git.check_out(&wanted, watch))?;
        self.seen.timings.checkout = Some(millis(started));
        Ok(match outcome {
            Outcome::Ready(checkout) => {
                self.seen.source = Some(checkout.source.clone());
                self.seen.findings.extend(checkout.findings.iter().cloned());
                Ok(checkout)
            }
            Outcome::TagMissing { tag, .. } => Err(Ended::TagMissing(tag)),
            Outcome::Refused { source, findings } => {
                self.seen.source = source.map(|source| *source);
                self.seen.findings.extend(findings);
                Err(Ended::Observed)
            }
            Outcome::Unplannable { source, ending, findings } => {
                self.seen.source = Some(*source);
                self.seen.findings.extend(findings);
                self.seen.rebuild = Some(not_begun(ending));
                Err(Ended::Observed)
            }
            Outcome::Undetermined { reason, findings } => {
                self.seen.findings.extend(findings);
                self.seen.undetermined = Some(*reason);
                Err(Ended::Observed)
            }
        })
    }

    /// The candidates, fixed before the staged files are looked at.
    fn plan(&mut self, checkout: &Checkout, tools: &Tools) -> Option<Vec<Plan>> {
        let declared = Declared {
            node: self.job.recorded.node.clone(),
            npm: self.job.recorded.npm.clone(),
            tag_first_seen: self.job.source.first_sight.as_ref().map(|sight| sight.at),
        };
        let offer = Offer { pins: toolchain::pins(), registry_hosts: &tools.registry_hosts };
        match candidates(&checkout.facts, &checkout.source, &declared, &offer) {
            Ok(plans) => Some(plans),
            Err(problem) => {
                self.seen.rebuild = Some(not_begun(ending_of(problem)));
                None
            }
        }
    }

    /// Rebuilds by one candidate after the other until one gives the staged files. Where none does, the one that came
    /// nearest is told.
    async fn rebuild_until_equal(
        &mut self,
        archive: &Archive,
        checkout: &Checkout,
        plans: &[Plan],
        tools: &Tools,
    ) -> anyhow::Result<()> {
        let mut nearest: Option<Tried> = None;
        for (index, plan) in plans.iter().enumerate() {
            if nearest.as_ref().is_some_and(|before| before.settles(&plans[before.index], plan)) {
                continue;
            }
            let order = Order {
                plan,
                source: &checkout.source,
                tree: &checkout.tree,
                subject: &self.job.subject,
                locked: locked(checkout),
                scopes: checkout.facts.scopes(),
            };
            let tried = match rebuild::run(&order, &tools.means(), self.watch).await {
                Ok(rebuilt) => self.compared(archive, index, rebuilt),
                Err(Failure::Undetermined(finding, log)) => {
                    self.log.push_str(&log);
                    self.seen.undetermined = Some(*finding);
                    return Ok(());
                }
                Err(failure @ (Failure::Cancelled | Failure::Own(_))) => return Err(failure.into()),
            };
            let (equal, bound) = (tried.is_equal(), tried.met_a_bound());
            if nearest.as_ref().is_none_or(|before| tried.rank() < before.rank()) {
                nearest = Some(tried);
            }
            if equal || bound {
                break;
            }
        }
        if let Some(nearest) = nearest {
            self.settle(nearest, checkout, plans);
        }
        Ok(())
    }

    fn compared(&mut self, archive: &Archive, index: usize, mut rebuilt: Rebuilt) -> Tried {
        let started = Instant::now();
        self.watch.doing(Phase::Compare, "");
        self.log.push_str(&format!("== candidate {}\n{}\n", index + 1, rebuilt.log));
        let packed = rebuilt.rebuild.ending.packed();
        let mut tarball = rebuilt.tarball.take().filter(|_| packed).map(Bytes::from);
        let mut comparison = None;
        if let Some(bytes) = &tarball {
            match tokio::task::block_in_place(|| archive::read(bytes)) {
                Ok(own) => {
                    comparison = Some(tokio::task::block_in_place(|| compare(archive, &own)));
                }
                // A build can make npm pack what no reader takes: too many files, or one that unpacks without end.
                Err(refusal) => {
                    let detail =
                        format!("What the rebuild packed is no tarball that we read: {refusal}.");
                    rebuilt.rebuild.ending = Ending::NoPlan { detail };
                    tarball = None;
                }
            }
        }
        Tried {
            index,
            rebuild: rebuilt.rebuild,
            durations: rebuilt.durations,
            tarball,
            comparison,
            compare_millis: millis(started),
        }
    }

    fn settle(&mut self, tried: Tried, checkout: &Checkout, plans: &[Plan]) {
        let plan = &plans[tried.index];
        self.seen.findings.extend(warnings(&checkout.facts, plan));
        self.seen.plan = Some(plan.clone());
        let others = plans.iter().enumerate().filter(|(index, _)| *index != tried.index);
        self.seen.other_candidates = others.map(|(_, plan)| plan.clone()).collect();
        let timings = &mut self.seen.timings;
        timings.install = tried.durations.install;
        timings.build = tried.durations.build;
        timings.pack = tried.durations.pack;
        timings.compare = Some(tried.compare_millis);
        let equal = tried.is_equal();
        self.seen.rebuild = Some(tried.rebuild);
        self.comparison = tried.comparison;
        self.rebuilt = tried.tarball;
        if !equal && self.may_be_for_want_of(checkout) {
            let message = format!(
                "The tree could not be had whole, and it did not come out the same without {}.",
                checkout.unavailable.join(", ")
            );
            self.seen.undetermined = Some(Finding::new(Code::RepositoryUnavailable, message));
        }
    }

    /// Whether what could not be had of the tree may be why it did not come out the same: nothing was packed, or a file
    /// that differs lies in the gap. What packed without it did not need it.
    fn may_be_for_want_of(&self, checkout: &Checkout) -> bool {
        let gone = &checkout.unavailable;
        let stumbled = self
            .seen
            .rebuild
            .as_ref()
            .is_some_and(|rebuild| matches!(rebuild.ending, Ending::Failed { .. }));
        let lies_in_gap = |path: &str| {
            let path = checkout.source.directory.join(path);
            gone.iter().any(|gap| {
                path.strip_prefix(gap).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let files = self.comparison.iter().flat_map(|comparison| &comparison.files);
        let mut differing = files.filter(|file| file.status != Status::Same);
        !gone.is_empty() && (stumbled || differing.any(|file| lies_in_gap(&file.path)))
    }

    fn judged(self) -> Output {
        let verdict = judge(&self.seen, self.comparison.as_ref(), &self.job.policy);
        let judged = Judged { observations: self.seen, comparison: self.comparison, verdict };
        let log = (!self.log.is_empty()).then_some(self.log);
        Output { attempt: Attempt::Judged(Box::new(judged)), rebuilt: self.rebuilt, log }
    }
}

/// One candidate with what came of it.
struct Tried {
    index: usize,
    rebuild: Rebuild,
    durations: rebuild::Durations,
    tarball: Option<Bytes>,
    comparison: Option<Comparison>,
    compare_millis: u64,
}

impl Tried {
    fn is_equal(&self) -> bool {
        self.comparison.as_ref().is_some_and(|comparison| match comparison.level {
            Level::IdenticalTarball | Level::IdenticalArchive | Level::IdenticalFiles => true,
            Level::Normalised | Level::Different => false,
        })
    }

    /// Smaller is nearer: by the number of files that differ; what was not packed is farthest.
    fn rank(&self) -> usize {
        self.comparison.as_ref().map_or(usize::MAX, |comparison| comparison.counts.differing())
    }

    /// Whether this rebuild, by one plan, says what another plan would give: after a build without an error nothing is
    /// gained by running the install scripts of dependencies as well.
    fn settles(&self, own: &Plan, other: &Plan) -> bool {
        let same_packing = own.pack == other.pack && own.put_back == other.put_back;
        self.rebuild.ending == Ending::Packed
            && own.tools() == other.tools()
            && own.packer == other.packer
            && own.clock == other.clock
            && same_packing
    }

    /// A build that met a bound of ours meets it again by another plan, and each time costs all of it.
    fn met_a_bound(&self) -> bool {
        match self.rebuild.ending {
            Ending::TimedOut { .. }
            | Ending::Silent { .. }
            | Ending::OutOfMemory { .. }
            | Ending::OutOfDisk { .. }
            | Ending::TooManyProcesses { .. }
            | Ending::OutputTooLarge { .. }
            | Ending::NoPlan { .. } => true,
            Ending::Packed
            | Ending::PackedAfterError { .. }
            | Ending::Failed { .. }
            | Ending::NeedsNetwork { .. }
            | Ending::LockfileUnusable { .. }
            | Ending::DependencyFromGit { .. }
            | Ending::LockfileForeignHost { .. }
            | Ending::AmbiguousPlan { .. } => false,
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What the lockfiles of the tagged tree name with a digest.
fn locked(checkout: &Checkout) -> Vec<LockedVersion> {
    let lockfiles = checkout
        .facts
        .folders
        .iter()
        .filter_map(|folder| folder.lockfile.as_ref()?.1.as_ref().ok());
    lockfiles
        .flat_map(|lockfile| &lockfile.packages)
        .filter_map(|package| {
            LockedVersion::new(
                package.name.clone(),
                package.version.clone(),
                package.integrity.as_deref()?,
            )
        })
        .collect()
}

fn ending_of(problem: PlanProblem) -> Ending {
    match problem {
        PlanProblem::LockfileUnusable(detail) => Ending::LockfileUnusable { detail },
        PlanProblem::DependencyFromGit(dependency) => Ending::DependencyFromGit { dependency },
        PlanProblem::LockfileForeignHost(host) => Ending::LockfileForeignHost { host },
        PlanProblem::NoPlan(detail) => Ending::NoPlan { detail },
    }
}

/// A rebuild that ended before it began.
fn not_begun(ending: Ending) -> Rebuild {
    Rebuild {
        ending,
        peak_memory_bytes: None,
        root_image: String::new(),
        network: Vec::new(),
        dependencies_pinned: true,
        cutoff_unreliable: false,
        reused: None,
        dependencies: Vec::new(),
    }
}
