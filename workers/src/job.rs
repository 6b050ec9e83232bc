//! One job from the staged bytes to the attempt: read ▸ checkout ▸ plan ▸ rebuild ▸ compare ▸ judge. What is found out about
//! the package is data; an error is our own failure, and then the job is leased again. The staged tarball never comes
//! near the sandbox: it is read before, and compared after.

use std::time::Instant;

use bytes::Bytes;
use countersign_core::{
    archive::{self, Archive},
    compare::Comparison,
    finding::{Code, Finding},
    limits::LOG_BYTES_MAX,
    plan::{self, Declared, Offer, Plan, PlanProblem, warnings},
    protocol::{Attempt, Job, Judged},
    rebuild::{Dependency, Ending, Rebuild},
    verdict::{Observations, explained, judge},
};

pub use crate::tools::Tools;
use crate::{
    candidates::{self, Bench, Found, Tried, millis},
    checkout::{Checkout, Outcome, Wanted},
    past,
    progress::Watch,
    rebuild::{self, Failure},
    sandbox::KeptLog,
    toolchain,
};

/// A rebuild of before, which is to be done again exactly: no other plan is tried, and nothing else is installed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The plan that was followed.
    pub plan: Plan,
    /// What was installed, each by its bytes.
    pub dependencies: Vec<Dependency>,
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
    told(job, staged, tools, None, watch).await
}

/// Does a job by one recorded plan, with the dependencies that were recorded.
///
/// # Errors
/// As [`run`].
pub async fn replay(
    job: &Job,
    staged: &Bytes,
    tools: &Tools,
    recorded: &Replay,
    watch: Watch<'_>,
) -> anyhow::Result<Output> {
    told(job, staged, tools, Some(recorded), watch).await
}

async fn told(
    job: &Job,
    staged: &Bytes,
    tools: &Tools,
    replay: Option<&Replay>,
    watch: Watch<'_>,
) -> anyhow::Result<Output> {
    let started = Instant::now();
    let mut story = Story {
        job,
        replay,
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
    replay: Option<&'a Replay>,
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
                self.seen.rebuild = Some(Rebuild::ended(ending));
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
        if let Some(replay) = self.replay {
            return Some(vec![replay.plan.clone()]);
        }
        let declared = Declared {
            node: self.job.recorded.node.clone(),
            npm: self.job.recorded.npm.clone(),
            tag_first_seen: self.job.source.first_sight.as_ref().map(|sight| sight.at),
        };
        let offer = Offer { pins: toolchain::pins(), registry_hosts: &tools.registry_hosts };
        let (facts, source) = (&checkout.facts, &checkout.source);
        match plan::candidates(facts, source, &declared, &self.job.plan, &offer) {
            Ok(plans) => Some(plans),
            Err(problem) => {
                self.seen.rebuild = Some(Rebuild::ended(ending_of(problem)));
                None
            }
        }
    }

    /// Rebuilds by one candidate after the other until one gives the staged files.
    async fn rebuild_until_equal(
        &mut self,
        archive: &Archive,
        checkout: &Checkout,
        plans: &[Plan],
        tools: &Tools,
    ) -> anyhow::Result<()> {
        let (subject, watch) = (&self.job.subject, self.watch);
        let (policy, only) = (&self.job.policy, self.replay.map(|replay| &*replay.dependencies));
        let bench = Bench { subject, archive, policy, checkout, tools, only, watch };
        match candidates::search(&bench, plans, &mut self.log).await {
            Ok(found) => rebuild::on_a_thread(|| self.settle(found, archive, checkout)),
            Err(Failure::Undetermined(finding, log)) => {
                self.log.push_str(&log);
                self.seen.undetermined = Some(*finding);
            }
            Err(failure @ (Failure::Cancelled | Failure::Own(_))) => return Err(failure.into()),
        }
        Ok(())
    }

    /// What the search found, with what the history says of it and a cause for each difference.
    fn settle(&mut self, found: Found, archive: &Archive, checkout: &Checkout) {
        let started = Instant::now();
        let Found { plan, tried, others, again } = found;
        self.seen.findings.extend(warnings(&checkout.facts, &plan));
        self.seen.plan = Some(plan);
        self.seen.other_candidates = others;
        self.seen.again = again;
        let timings = &mut self.seen.timings;
        timings.install = tried.durations.install;
        timings.build = tried.durations.build;
        timings.pack = tried.durations.pack;
        if let Some(ending) = self.build_not_found(&tried, archive, checkout) {
            self.seen.rebuild = Some(Rebuild { ending, ..tried.rebuild });
            return;
        }
        let (equal, differing) =
            (tried.is_match(), tried.comparison.as_ref().filter(|_| tried.differs()));
        past::look_back(&checkout.history, &self.job.subject, archive, differing, &mut self.seen);
        let compared = tried.archive.as_ref().zip(tried.comparison);
        self.comparison =
            compared.map(|(rebuilt, found)| explained(found, archive, rebuilt, &self.seen));
        if let Some(comparison) = self.comparison.as_ref().filter(|_| !equal) {
            self.seen.mends = past::mends(comparison, checkout);
        }
        self.seen.timings.compare = Some(tried.compare_millis + millis(started));
        self.seen.rebuild = Some(tried.rebuild);
        self.rebuilt = tried.tarball;
        if !equal && self.may_be_for_want_of(checkout) {
            let message = format!(
                "The tree could not be had whole, and it did not come out the same without {}.",
                checkout.unavailable.join(", ")
            );
            self.seen.undetermined = Some(Finding::new(Code::RepositoryUnavailable, message));
        }
    }

    /// A tree that leads to files that it does not hold, with nothing in it that says how they are made: where the staged
    /// tarball has them, what was packed of the tree alone says nothing about them.
    fn build_not_found(
        &self,
        tried: &Tried,
        archive: &Archive,
        checkout: &Checkout,
    ) -> Option<Ending> {
        let plan = self.seen.plan.as_ref().filter(|_| tried.differs())?;
        let staged = |path: &String| {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            archive.get(path).is_some() || archive.files().any(|file| is_below(file.path, path))
        };
        let made = plan::unmade(&checkout.facts, plan).into_iter().find(staged)?;
        let detail = format!(
            "package.json leads to `{made}`, which the tree does not hold, and nothing in the tree says how it is made. \
             Set the steps by hand: `steps` in the file of --plan, of `check` or of the enrolment."
        );
        Some(Ending::NoPlan { detail })
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
        let mut differing = self.comparison.iter().flat_map(Comparison::differing);
        !gone.is_empty() && (stumbled || differing.any(|file| lies_in_gap(&file.path)))
    }

    fn judged(self) -> Output {
        let verdict = judge(&self.seen, self.comparison.as_ref(), &self.job.policy);
        let judged = Judged { observations: self.seen, comparison: self.comparison, verdict };
        let log = (!self.log.is_empty()).then(|| shortened(self.log));
        Output { attempt: Attempt::Judged(Box::new(judged)), rebuilt: self.rebuilt, log }
    }
}

fn is_below(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The log of all rebuilds together, within the bound of one.
fn shortened(log: String) -> String {
    if log.len() <= LOG_BYTES_MAX {
        return log;
    }
    let mut kept = KeptLog::new(LOG_BYTES_MAX);
    log.lines().for_each(|line| kept.push(line));
    kept.into_text()
}

fn ending_of(problem: PlanProblem) -> Ending {
    match problem {
        PlanProblem::LockfileUnusable(detail) => Ending::LockfileUnusable { detail },
        PlanProblem::DependencyFromGit(dependency) => Ending::DependencyFromGit { dependency },
        PlanProblem::LockfileForeignHost(host) => Ending::LockfileForeignHost { host },
        PlanProblem::NoPlan(detail) => Ending::NoPlan { detail },
        PlanProblem::Ambiguous(detail) => Ending::AmbiguousPlan { detail },
    }
}
