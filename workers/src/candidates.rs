//! The search among the candidate plans: one is rebuilt after the other until one gives the staged files. Where none does,
//! the nearest is rebuilt once more, to tell a build that gives something else each time from files that somebody changed.
//! What follows from it is the core's to say.

use std::{fmt::Write, time::Instant};

use bytes::Bytes;
use countersign_core::{
    Subject,
    archive::{self, Archive},
    compare::{Comparison, compare, compare_under},
    facts::FolderFacts,
    plan::Plan,
    policy::Policy,
    rebuild::{Dependency, Ending, Phase, Rebuild},
    search::{Again, Candidate, Gave},
    verdict::{is_match, permission},
};

use crate::{
    checkout::Checkout,
    mirror::LockedVersion,
    progress::Watch,
    rebuild::{self, Failure, Order, Rebuilt},
    tools::Tools,
};

/// What every candidate of one job is tried with.
pub(crate) struct Bench<'a> {
    /// What the mirror refuses.
    pub(crate) subject: &'a Subject,
    /// The staged tarball. The sandbox never sees it.
    pub(crate) archive: &'a Archive,
    /// What may differ.
    pub(crate) policy: &'a Policy,
    /// What is built from.
    pub(crate) checkout: &'a Checkout,
    /// What it is built with.
    pub(crate) tools: &'a Tools,
    /// What another rebuild installed, where that one is done again.
    pub(crate) only: Option<&'a [Dependency]>,
    /// Who is told.
    pub(crate) watch: Watch<'a>,
}

/// What the search came to.
pub(crate) struct Found {
    /// The plan that matched, or came nearest.
    pub(crate) plan: Plan,
    /// What it gave.
    pub(crate) tried: Tried,
    /// The other candidates.
    pub(crate) others: Vec<Candidate>,
    /// The same plan once more, where none matched.
    pub(crate) again: Option<Again>,
}

/// One rebuild, held against the staged files.
pub(crate) struct Tried {
    /// What is known of it.
    pub(crate) rebuild: Rebuild,
    /// How long each phase took.
    pub(crate) durations: rebuild::Durations,
    /// The tarball, where one was packed that can be read.
    pub(crate) tarball: Option<Bytes>,
    /// How it compares to the staged one.
    pub(crate) comparison: Option<Comparison>,
    /// How long that took.
    pub(crate) compare_millis: u64,
    /// The same tarball, read.
    pub(crate) archive: Option<Archive>,
    is_match: bool,
}

/// Tries the candidates in their order. All of them are written down before the first comparison is made: none is thought of
/// in the light of what the staged files are.
///
/// # Errors
/// What kept us from finding out.
pub(crate) async fn search(
    bench: &Bench<'_>,
    plans: &[Plan],
    log: &mut String,
) -> Result<Found, Failure> {
    announce(plans, bench.watch, log);
    let mut gave: Vec<Option<Gave>> = vec![None; plans.len()];
    let mut nearest: Option<(usize, Tried)> = None;
    let mut failed_installs: Vec<usize> = Vec::new();
    let mut untried: Option<Failure> = None;
    for (index, plan) in plans.iter().enumerate() {
        let settled = |(before, tried): &(usize, Tried)| tried.settles(&plans[*before], plan);
        let fails_alike = |failed: &usize| plans[*failed].installs_as(plan);
        if nearest.as_ref().is_some_and(settled) || failed_installs.iter().any(fails_alike) {
            continue;
        }
        let _ = writeln!(log, "== candidate {}: {}", index + 1, plan.digest());
        let tried = match bench.attempt(plan, log).await {
            Ok(tried) => tried,
            // A toolchain or a registry that cannot be had now need not be what another plan asks for.
            Err(failure @ Failure::Undetermined(..)) => {
                untried.get_or_insert(failure);
                continue;
            }
            Err(failure @ (Failure::Cancelled | Failure::Own(_))) => return Err(failure),
        };
        gave[index] = Some(Gave::of(&tried.rebuild.ending, tried.comparison.as_ref()));
        let (matched, bound) = (tried.is_match(), tried.met_a_bound());
        if tried.rebuild.ending.failed_to_install() {
            failed_installs.push(index);
        }
        // What packs the tree as it is says nothing beside a plan that builds, unless it matches.
        let gives_way =
            |before: usize| plans[before].packs_as_committed() && !plan.packs_as_committed();
        let is_nearer =
            |(before, other): &(usize, Tried)| gives_way(*before) || tried.rank() < other.rank();
        if nearest.as_ref().is_none_or(is_nearer) {
            nearest = Some((index, tried));
        }
        if matched || bound {
            break;
        }
    }
    let matched = nearest.as_ref().is_some_and(|(_, tried)| tried.is_match());
    if let Some(failure) = untried.filter(|_| !matched) {
        return Err(failure);
    }
    let (chosen, tried) =
        nearest.expect("there is a candidate, and each was tried or is a failure");
    let again = bench.again(&plans[chosen], &tried, log).await?;
    let numbered = (1_u32..).zip(plans).zip(gave).enumerate();
    let others = numbered.filter(|(index, _)| *index != chosen);
    let others = others
        .map(|(_, ((number, plan), gave))| Candidate { number, plan: plan.clone(), gave })
        .collect();
    Ok(Found { plan: plans[chosen].clone(), tried, others, again })
}

fn announce(plans: &[Plan], watch: Watch<'_>, log: &mut String) {
    let _ = writeln!(log, "== candidates, fixed before the staged files are compared");
    for (number, plan) in (1..).zip(plans) {
        let digest = plan.digest().to_hex();
        let line = format!("candidate {number} of {}: {}", plans.len(), plan.in_words());
        watch.doing(Phase::Checkout, &line);
        let _ = writeln!(log, "{line} (sha256 {digest})");
    }
}

impl Bench<'_> {
    async fn attempt(&self, plan: &Plan, log: &mut String) -> Result<Tried, Failure> {
        let rebuilt = self.rebuild(plan, false).await?;
        let _ = writeln!(log, "{}", rebuilt.log);
        self.watch.doing(Phase::Compare, "");
        Ok(tokio::task::block_in_place(|| Tried::of(rebuilt, plan, self)))
    }

    async fn rebuild(&self, plan: &Plan, again: bool) -> Result<Rebuilt, Failure> {
        let order = Order {
            plan,
            source: &self.checkout.source,
            tree: &self.checkout.tree,
            subject: self.subject,
            locked: locked(self.checkout),
            only: self.only,
            scopes: self.checkout.facts.scopes(),
            again,
        };
        rebuild::run(&order, &self.tools.means(), self.watch).await
    }

    /// The second rebuild of a plan whose first one is not the staged files. What keeps us from it takes nothing away from
    /// the first: its files differ whatever the second would have shown.
    async fn again(
        &self,
        plan: &Plan,
        first: &Tried,
        log: &mut String,
    ) -> Result<Option<Again>, Failure> {
        let Some(before) = first.archive.as_ref().filter(|_| first.differs()) else {
            return Ok(None);
        };
        self.watch.doing(Phase::Build, "rebuilding once more, since nothing gave the staged files");
        let _ = writeln!(log, "== once more: {}", plan.digest());
        match self.rebuild(plan, true).await {
            Ok(second) => {
                let _ = writeln!(log, "{}", second.log);
                let between = |bytes: &Vec<u8>| {
                    let second = archive::read(bytes).ok()?;
                    Some(compare(before, &second))
                };
                let packed = second.tarball.as_ref().filter(|_| second.rebuild.ending.packed());
                let between = tokio::task::block_in_place(|| packed.and_then(between));
                Ok(Some(Again::of(second.rebuild.ending, between.as_ref())))
            }
            Err(Failure::Undetermined(finding, said)) => {
                let _ = writeln!(log, "{said}\ncountersign: {}", finding.message);
                Ok(None)
            }
            Err(failure @ (Failure::Cancelled | Failure::Own(_))) => Err(failure),
        }
    }
}

impl Tried {
    fn of(mut rebuilt: Rebuilt, plan: &Plan, bench: &Bench<'_>) -> Self {
        let started = Instant::now();
        let packed = rebuilt.rebuild.ending.packed();
        let mut tarball = rebuilt.tarball.take().filter(|_| packed).map(Bytes::from);
        let mut own = None;
        if let Some(bytes) = &tarball {
            match archive::read(bytes) {
                Ok(read) => own = Some(read),
                // A build can make npm pack what no reader takes: too many files, or one that unpacks without end.
                Err(refusal) => {
                    let detail =
                        format!("What the rebuild packed is no tarball that we read: {refusal}.");
                    rebuilt.rebuild.ending = Ending::NoPlan { detail };
                    tarball = None;
                }
            }
        }
        let permitted = permission(bench.policy, Some(&bench.checkout.source), Some(plan));
        let comparison = own.as_ref().map(|own| compare_under(bench.archive, own, &permitted));
        Self {
            is_match: comparison.as_ref().is_some_and(|found| is_match(found, bench.policy)),
            comparison,
            rebuild: rebuilt.rebuild,
            durations: rebuilt.durations,
            tarball,
            compare_millis: millis(started),
            archive: own,
        }
    }

    /// Whether it gave the staged files.
    pub(crate) fn is_match(&self) -> bool {
        self.is_match
    }

    /// Whether it packed something that says that the staged files are others.
    pub(crate) fn differs(&self) -> bool {
        self.comparison.is_some() && !self.is_match && self.rebuild.ending.unless_equal().packed()
    }

    /// Smaller is nearer: by the number of files that differ; what a build left that ended for want of the network says less
    /// than one that ran to its end, and what was not packed says nothing.
    fn rank(&self) -> (u8, usize) {
        match &self.comparison {
            Some(comparison) => {
                (u8::from(!self.is_match && !self.differs()), comparison.unexcused())
            }
            None => (2, 0),
        }
    }

    /// Whether this rebuild, by one plan, says what another plan would give: after a build without an error nothing is
    /// gained by doing the same with more steps before it, such as install scripts of dependencies.
    fn settles(&self, own: &Plan, other: &Plan) -> bool {
        let alike = Plan { build: own.build.clone(), why: own.why.clone(), ..other.clone() };
        self.rebuild.ending == Ending::Packed && alike == *own && other.build.ends_with(&own.build)
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

/// Milliseconds since then.
pub(crate) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What the lockfiles of the tagged tree name with a digest.
fn locked(checkout: &Checkout) -> Vec<LockedVersion> {
    let folders = checkout.facts.folders.iter();
    folders
        .flat_map(FolderFacts::lockfiles)
        .flat_map(|lockfile| &lockfile.packages)
        .filter_map(|package| {
            let integrity = package.integrity.as_deref()?;
            let locked =
                LockedVersion::new(package.name.clone(), package.version.clone(), integrity)?;
            Some(locked.at(package.host.as_deref()))
        })
        .collect()
}
