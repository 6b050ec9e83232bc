//! The way from the repository to the comparison, as six steps with their facts and evidence, and the commands that walk
//! it by hand. It reads a report and adds nothing to it.

use countersign_core::{
    compare::Counts,
    finding::{Class, Code, Kind, Severity},
    plan::{self, Install},
    rebuild::{Ending, NetworkRequest, RequestOutcome},
    report::{CandidatePart, PlanPart, Report, SourcePart},
    search::Again,
    source::Trust,
    verdict::Outcome,
};

use super::{
    badge::level_words,
    step::{Place, Step},
    words,
};

/// A heading with facts under it, shown on demand.
pub(crate) struct Evidence {
    /// The step that it belongs to.
    pub(crate) heading: &'static str,
    /// Each fact: what it is and what it says.
    pub(crate) facts: Vec<(String, String)>,
}

/// The way of one report.
pub(crate) struct Way {
    /// The six steps.
    pub(crate) steps: Vec<Step>,
    /// What each rests on.
    pub(crate) evidence: Vec<Evidence>,
    /// The commands that do the same, where there is a plan.
    pub(crate) by_hand: Option<String>,
}

impl Way {
    /// The way of this report; none where nothing is known of it yet, or it was not set out on.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        report.verdict?;
        if report.class == Some(Class::Archive) && report.source.is_none() {
            return None;
        }
        let steps = vec![
            repository(report),
            tag(report),
            commit(report),
            plan(report),
            rebuild(report),
            comparison(report),
        ];
        Some(Self { steps, evidence: evidence(report), by_hand: by_hand(report) })
    }
}

/// The step at which the first decisive finding stopped the road.
fn stop(report: &Report) -> Option<(usize, Place)> {
    let decisive = report.findings.iter().find(|finding| {
        finding.severity == Severity::Fail || matches!(finding.code.kind(), Kind::Undetermined)
    })?;
    let place = match report.verdict {
        Some(Outcome::Inconclusive) => Place::Unsure,
        Some(Outcome::Pass | Outcome::Fail) | None => Place::Stopped,
    };
    step_of(decisive.code).map(|step| (step, place))
}

fn step_of(code: Code) -> Option<usize> {
    match code {
        Code::PackageNotEnrolled
        | Code::SourceNotEnrolled
        | Code::RepositoryChanged
        | Code::RepositoryUnavailable => Some(0),
        Code::TagNotFound | Code::TagAmbiguous | Code::TagMoved | Code::TagNamesAnotherPackage => {
            Some(1)
        }
        Code::CommitNotOnBranch | Code::SignatureMissing | Code::EvidenceDisagrees => Some(2),
        Code::PlanNotFound | Code::PlanAmbiguous => Some(3),
        other => match other.kind() {
            Kind::Fail(Class::Differs) => Some(5),
            // A malformed tarball stops the road before its first step.
            Kind::Fail(Class::Archive) => None,
            Kind::Fail(Class::NotRebuilt | Class::Source)
            | Kind::Warning
            | Kind::Note
            | Kind::Undetermined => Some(4),
        },
    }
}

fn place(report: &Report, index: usize, known: bool) -> Place {
    match stop(report) {
        Some((at, place)) if at == index => place,
        Some((at, _)) if at < index => Place::Ahead,
        Some(_) | None if known => Place::Done,
        Some(_) | None => Place::Ahead,
    }
}

const NOT_REACHED: &str = "not reached";

fn with_source(
    report: &Report,
    index: usize,
    name: &'static str,
    facts: impl FnOnce(&SourcePart) -> (String, String),
) -> Step {
    let place = place(report, index, report.source.is_some());
    match &report.source {
        Some(source) => {
            let (fact, more) = facts(source);
            Step::new(name, place, fact, more)
        }
        None if matches!(place, Place::Stopped | Place::Unsure) => {
            Step::new(name, place, place.word(), "")
        }
        None => Step::new(name, place, NOT_REACHED, ""),
    }
}

fn repository(report: &Report) -> Step {
    with_source(report, 0, "Repository", |source| {
        let url = source.repository.as_str();
        let fact = url.split_once("://").map_or(url, |(_, rest)| rest).to_owned();
        let by = match (source.trust, source.enrolment_revision) {
            (Trust::Enrolled, Some(revision)) => format!("enrolled, revision {revision}"),
            (Trust::Enrolled, None) => "enrolled".to_owned(),
            (Trust::Given, _) => "given by the caller".to_owned(),
            (Trust::SelfDeclared, _) => "as the package says of itself".to_owned(),
        };
        (fact, by)
    })
}

fn tag(report: &Report) -> Step {
    with_source(report, 1, "Tag", |source| (source.tag.clone(), String::new()))
}

fn commit(report: &Report) -> Step {
    with_source(report, 2, "Commit", |source| {
        let agreeing = source.evidence.iter().filter(|evidence| evidence.agrees).count();
        let all = source.evidence.len();
        let more = match (all, agreeing == all) {
            (0, _) => String::new(),
            (1, true) => "one piece of evidence agrees".to_owned(),
            (_, true) => format!("all {all} pieces of evidence agree"),
            (_, false) => format!("{agreeing} of {all} pieces of evidence agree"),
        };
        (words::short_commit(&source.commit).to_owned(), more)
    })
}

fn plan(report: &Report) -> Step {
    let place = place(report, 3, report.plan.is_some());
    match &report.plan {
        Some(plan) => {
            let (node, others) = tools(plan);
            Step::new("Plan", place, node, others)
        }
        None if place == Place::Stopped => Step::new("Plan", place, "none found", ""),
        None => Step::new("Plan", place, NOT_REACHED, ""),
    }
}

/// The node, and the other tools behind it.
fn tools(plan: &PlanPart) -> (String, String) {
    let others = plan.tools().into_iter().filter(|tool| **tool != plan.node);
    (plan.node.to_string(), others.map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

fn rebuild(report: &Report) -> Step {
    let place = place(report, 4, report.rebuild.is_some());
    let Some(rebuild) = &report.rebuild else {
        let fact = if place == Place::Unsure { place.word() } else { NOT_REACHED };
        return Step::new("Rebuild", place, fact, "");
    };
    let mut more = Vec::new();
    if let Some(bytes) = rebuild.peak_memory_bytes {
        more.push(format!("{} of memory", words::bytes(bytes)));
    }
    if !rebuild.network.is_empty() {
        more.push(words::counted(rebuild.network.len() as u64, "request", "requests"));
    }
    let timings = &report.timings_ms;
    let spent: u64 = [timings.install, timings.build, timings.pack].into_iter().flatten().sum();
    let fact = match &rebuild.ending {
        Ending::Packed => format!("packed in {}", words::took(spent)),
        other => ending_words(other),
    };
    Step::new("Rebuild", place, fact, more.join(", "))
}

fn ending_words(ending: &Ending) -> String {
    match ending {
        Ending::Packed => "packed".to_owned(),
        Ending::PackedAfterError { exit_code, .. } => format!("packed after exit code {exit_code}"),
        Ending::Failed { exit_code, .. } => format!("ended with exit code {exit_code}"),
        Ending::NeedsNetwork { .. } => "needs the network".to_owned(),
        Ending::TimedOut { seconds, .. } => format!("not done after {seconds} s"),
        Ending::Silent { seconds, .. } => format!("silent for {seconds} s"),
        Ending::OutOfMemory { .. } => "out of memory".to_owned(),
        Ending::OutOfDisk { .. } => "out of disk".to_owned(),
        Ending::TooManyProcesses { .. } => "too many processes".to_owned(),
        Ending::OutputTooLarge { .. } => "printed too much".to_owned(),
        Ending::LockfileUnusable { .. } => "lockfile unusable".to_owned(),
        Ending::DependencyFromGit { .. } => "dependency from git".to_owned(),
        Ending::LockfileForeignHost { .. } => "lockfile names a foreign host".to_owned(),
        Ending::NoPlan { .. } => "no plan".to_owned(),
        Ending::AmbiguousPlan { .. } => "two plans".to_owned(),
    }
}

fn comparison(report: &Report) -> Step {
    let place = place(report, 5, report.comparison.is_some());
    let Some(comparison) = &report.comparison else {
        return Step::new("Comparison", place, NOT_REACHED, "");
    };
    let step =
        Step::new("Comparison", place, counts_words(&comparison.counts), level_words(report.level));
    match report.verdict {
        Some(Outcome::Pass) => step.in_green(),
        Some(Outcome::Fail | Outcome::Inconclusive) | None => step,
    }
}

/// `all 21 files are the same`, or `1 changed, 1 added of 23 files`.
pub(crate) fn counts_words(counts: &Counts) -> String {
    let all = counts.same + counts.added + counts.missing + counts.changed + counts.mode_changed;
    let parts: Vec<String> = [
        (counts.changed, "changed"),
        (counts.added, "added"),
        (counts.missing, "missing"),
        (counts.mode_changed, "with another mode"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{} {word}", words::grouped(count as u64)))
    .collect();
    match (parts.is_empty(), all) {
        (true, 1) => "the one file is the same".to_owned(),
        (true, _) => format!("all {} files are the same", words::grouped(all as u64)),
        (false, _) => {
            format!("{} of {}", parts.join(", "), words::counted(all as u64, "file", "files"))
        }
    }
}

fn fact(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn evidence(report: &Report) -> Vec<Evidence> {
    let mut all = Vec::new();
    if let Some(source) = &report.source {
        all.push(Evidence { heading: "Source", facts: source_facts(source) });
    }
    if let Some(plan) = &report.plan {
        all.push(Evidence { heading: "Plan", facts: plan_facts(plan) });
    }
    if let Some(rebuild) = &report.rebuild {
        let mut facts = vec![
            fact("Root file system", rebuild.root_image.clone()),
            fact("Attempts", rebuild.attempts.to_string()),
        ];
        facts.extend(rebuild.network.iter().filter_map(refused));
        all.push(Evidence { heading: "Rebuild", facts });
    }
    let timings = timing_facts(report);
    if !timings.is_empty() {
        all.push(Evidence { heading: "Time", facts: timings });
    }
    all
}

fn source_facts(source: &SourcePart) -> Vec<(String, String)> {
    let folder =
        if source.directory.is_root() { "the root" } else { source.directory.as_str() }.to_owned();
    let mut facts = vec![
        fact("Repository", source.repository.as_str()),
        fact("Folder", folder),
        fact("Commit", source.commit.clone()),
    ];
    for evidence in &source.evidence {
        let name = if evidence.agrees { "Agrees" } else { "Disagrees" };
        facts.push(fact(name, evidence.detail.clone()));
    }
    facts
}

fn plan_facts(plan: &PlanPart) -> Vec<(String, String)> {
    let mut facts = vec![
        fact("Digest", format!("sha256 {}", plan.digest)),
        fact("Nothing newer than", words::absolute(plan.cutoff)),
    ];
    facts.extend(plan.why.iter().map(|why| fact(&why.choice, why.because.clone())));
    facts.extend(plan.other_candidates.iter().map(candidate));
    facts.extend(plan.again.as_ref().map(|again| fact("Once more", twice(again))));
    facts
}

/// Another plan that was fixed beforehand, and what it gave.
fn candidate(other: &CandidatePart) -> (String, String) {
    let gave = match &other.gave {
        None => "not needed".to_owned(),
        Some(gave) => match gave.differing {
            Some(0) => "the staged files".to_owned(),
            Some(count) => words::counted(count as u64, "file differs", "files differ"),
            None => ending_words(&gave.ending),
        },
    };
    (format!("Candidate {}", other.number), format!("{}: {gave}", other.plan))
}

/// What the second rebuild by the same plan showed.
fn twice(again: &Again) -> String {
    match &again.varying {
        Some(paths) if paths.is_empty() => "the same files twice".to_owned(),
        Some(paths) => {
            let count = (paths.len() + again.further) as u64;
            format!(
                "{} between two rebuilds",
                words::counted(count, "file differs", "files differ")
            )
        }
        None => ending_words(&again.ending),
    }
}

fn refused(request: &NetworkRequest) -> Option<(String, String)> {
    match request.outcome {
        RequestOutcome::Served => None,
        RequestOutcome::Refused | RequestOutcome::NotFound | RequestOutcome::Unavailable => {
            let reason = request.reason.clone().unwrap_or_else(|| match request.outcome {
                RequestOutcome::NotFound => "the registry has no such thing".to_owned(),
                RequestOutcome::Unavailable => "the registry did not answer".to_owned(),
                RequestOutcome::Refused | RequestOutcome::Served => "refused".to_owned(),
            });
            let asked = format!("{} {}", request.method, request.target);
            Some((format!("Refused in {}", request.phase.as_str()), format!("{asked}: {reason}")))
        }
    }
}

fn timing_facts(report: &Report) -> Vec<(String, String)> {
    let timings = &report.timings_ms;
    [
        ("Fetch", timings.fetch),
        ("Checkout", timings.checkout),
        ("Install", timings.install),
        ("Build", timings.build),
        ("Pack", timings.pack),
        ("Compare", timings.compare),
        ("All of it", timings.total),
    ]
    .into_iter()
    .filter_map(|(name, millis)| Some(fact(name, words::took(millis?))))
    .collect()
}

/// The commands that do the same by hand, in a shell.
fn by_hand(report: &Report) -> Option<String> {
    let (source, plan) = (report.source.as_ref()?, report.plan.as_ref()?);
    let (node, others) = tools(plan);
    let mut lines = vec![
        format!("git clone {} rebuilt", quoted(source.repository.as_str())),
        format!("cd rebuilt && git checkout {}", quoted(&source.commit)),
        format!("# with {node}"),
        format!("# and {others}"),
    ];
    match &plan.install {
        Install::None => {}
        Install::Lockfile { directory, argv, .. } | Install::AsOfCutoff { directory, argv } => {
            lines.push(in_folder(directory.as_str(), argv));
        }
    }
    lines.extend(plan.build.iter().map(command));
    let mut pack = plan.pack.clone();
    // The sandbox's own folder for it; outside, beside the clone.
    for argument in pack.argv.iter_mut().filter(|argument| *argument == plan::PACKED) {
        "..".clone_into(argument);
    }
    lines.push(command(&pack));
    Some(lines.join("\n"))
}

fn command(step: &plan::Step) -> String {
    let settings = step.env.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    let argv: Vec<String> =
        settings.chain(step.argv.iter().map(|argument| quoted(argument))).collect();
    in_folder_spelled(step.cwd.as_str(), &argv.join(" "))
}

fn in_folder(folder: &str, argv: &[String]) -> String {
    let spelled: Vec<String> = argv.iter().map(|argument| quoted(argument)).collect();
    in_folder_spelled(folder, &spelled.join(" "))
}

fn in_folder_spelled(folder: &str, command: &str) -> String {
    if folder.is_empty() {
        command.to_owned()
    } else {
        format!("(cd {} && {command})", quoted(folder))
    }
}

/// The argument as a POSIX shell reads it back. What a plan names comes from a repository, so it is never pasted bare.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_run_is_quoted() {
        assert_eq!(quoted("npm"), "npm");
        assert_eq!(quoted("a b; rm -rf ~"), "'a b; rm -rf ~'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn counts_read_as_words() {
        let same = Counts { same: 21, ..Counts::default() };
        assert_eq!(counts_words(&same), "all 21 files are the same");
        let mixed = Counts { same: 21, changed: 1, added: 1, ..Counts::default() };
        assert_eq!(counts_words(&mixed), "1 changed, 1 added of 23 files");
    }
}
