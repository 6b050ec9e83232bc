//! `countersign check`: one verification on this machine without a service. The subject is fetched, the worker's own job
//! is run, and its report is printed. This file decides nothing about the verdict.

mod batch;
mod patch;
mod recorded;
mod table;
mod worktree;

use std::{path::PathBuf, sync::atomic::AtomicBool};

use anyhow::Context;
use countersign_core::{
    Timestamp, archive,
    compare::Comparison,
    finding::{Class, Code, Finding},
    normalisation::Normalisation,
    policy::Policy,
    protocol::{Attempt, Job, Judged, VerificationId},
    report::{ArtifactPart, Enforcement, Frame, Next, Report, State},
    source::{
        Claim, Directory, EvidenceKind, Reachable, Reference, Repository, SourceRequest, Trust,
    },
    verdict::{Observations, Outcome, Verdict, judge},
};

use countersign_worker::{
    job::{self, Output},
    progress::Watch,
};

use super::{
    allow, by_hand, exit, render,
    subject::{self, Fetched},
    terminal::{self, Colour},
};
use crate::config::Flags;

/// Arguments of `countersign check`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    /// `name@version` from the registry, a .tgz, or a stage id that your npm token may read
    /// [default: the package of this git work tree, packed as it would be staged and held against HEAD]
    subject: Option<String>,
    /// The source repository: any git URL, or the path of a clone [default: the package's own `repository`]
    #[arg(long, value_name = "URL-or-path")]
    repo: Option<String>,
    /// The tag, or a full refs/… name; never a hash [default: the tag that the version's name proposes]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// The package's folder inside the repository
    #[arg(long, value_name = "DIR")]
    directory: Option<Directory>,
    /// Install nothing that was published later
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
    /// Let the named tokens differ; may be given more than once
    #[arg(long, value_name = "NORMALISATION", value_parser = allow::parser())]
    allow: Vec<Normalisation>,
    /// Set parts of the plan by hand: a JSON object with any of `node`, `npm`, `package_manager`, `packer`, `install`, `steps`,
    /// `pack_from`, `clock`, `put_back`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Do the rebuild of this report again: by its plan alone, with what it installed and nothing else
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["reuse", "plan", "before", "batch", "reference", "directory"])]
    replay: Option<PathBuf>,
    /// Write the change that would mend what differs, as `git apply` takes it, where something mechanical mends it
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    patch: Option<PathBuf>,
    /// Print the report as JSON and nothing else
    #[arg(long)]
    json: bool,
    /// Keep the staged and the rebuilt tarball, the log and the report in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Use a rebuild or an install of this machine again where everything that it depends on is the same; the report says so
    #[arg(long)]
    reuse: bool,
    #[command(flatten)]
    batch: batch::BatchArgs,
    /// What stands before the command: an operator's file may name the registries
    #[arg(skip)]
    flags: Flags,
}

impl CheckArgs {
    /// The same with the flags that stand before the command.
    pub(crate) fn with(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }

    /// The same for what was packed of a work tree.
    fn of_work_tree(&self, tree: &worktree::WorkTree) -> anyhow::Result<Self> {
        let asked = [self.repo.is_some(), self.reference.is_some(), self.directory.is_some()];
        if asked.contains(&true) {
            anyhow::bail!(
                "--repo, --ref and --directory belong to a named subject; without one the present work tree is checked"
            );
        }
        let repo = tree.repository.to_str().context("the repository's path is not UTF-8")?;
        Ok(Self {
            repo: Some(repo.to_owned()),
            reference: Some(tree.reference.clone()),
            directory: Some(tree.directory.clone()),
            ..self.clone()
        })
    }
}

/// Runs the check. Exit code 0: pass; 1: fail; 2: usage; 3: we could not tell.
pub(crate) async fn run(args: &CheckArgs) -> anyhow::Result<u8> {
    if let Some(table) = args.batch.table() {
        return batch::run(args, table).await;
    }
    if let Some(file) = &args.replay {
        let recording = recorded::read(file)?;
        let named = args.subject.clone().unwrap_or_else(|| recording.subject());
        return verify(args, &named, About::Recorded(&recording)).await;
    }
    let Some(named) = args.subject.as_deref() else {
        let tree = worktree::pack()?;
        let named = tree.tarball.to_string_lossy().into_owned();
        return verify(&args.of_work_tree(&tree)?, &named, About::Planned).await;
    };
    verify(args, named, About::Released).await
}

/// What a verification is about.
#[derive(Clone, Copy)]
enum About<'a> {
    /// What somebody staged or published.
    Released,
    /// What is still to be released: what is said at the end is about that.
    Planned,
    /// What a report is about, done again.
    Recorded(&'a recorded::Recording),
}

/// One verification.
async fn verify(args: &CheckArgs, named: &str, about: About<'_>) -> anyhow::Result<u8> {
    let tools = super::tools::open(&args.flags, args.reuse)?;
    let fetched = match subject::fetch(named, &tools.upstream).await? {
        Ok(fetched) => fetched,
        Err(finding) => return could_not_fetch(args, &finding),
    };
    let job = match about {
        About::Released | About::Planned => job_for(args, &fetched)?,
        About::Recorded(recording) => job_again(args, recording, &fetched)?,
    };
    let progress = super::progress::Progress::for_terminal(args.json);
    let cancel = AtomicBool::new(false);
    let watch = Watch { progress: &progress, cancel: &cancel };
    let output = match (about, fetched.disagreements.as_slice()) {
        (About::Released | About::Planned, []) => {
            job::run(&job, &fetched.tarball, &tools, watch).await?
        }
        (About::Recorded(recording), []) => {
            job::replay(&job, &fetched.tarball, &tools, &recording.replay, watch).await?
        }
        (_, disagreements) => refused(&job, disagreements),
    };
    progress.finish();
    let judged = judged_of(output.attempt);
    let mut report = report_of(&job, &fetched, &judged);
    if matches!(about, About::Planned) && report.verdict == Some(Outcome::Pass) {
        report.next.what = "A release of this commit would pass: tag it and stage it.".to_owned();
    }
    if let Some(folder) = &args.keep {
        keep(folder, &fetched, &report, output.rebuilt.as_deref(), output.log.as_deref())?;
    }
    print(args, &report, &fetched, judged.comparison.as_ref(), output.rebuilt.as_deref())?;
    if let Some(file) = &args.patch {
        terminal::complain(&patch::write(file, &report)?);
    }
    if let About::Recorded(recording) = about {
        terminal::complain(&recording.compared_with(&report));
    }
    Ok(exit::of_verdict(report.verdict))
}

/// What ends a job before anything is rebuilt, as where a service takes a release in.
fn refused(job: &Job, findings: &[Finding]) -> Output {
    let judged = judged_by(findings.to_vec(), &job.policy);
    Output { attempt: Attempt::Judged(Box::new(judged)), rebuilt: None, log: None }
}

/// What is judged where nothing but these findings is known.
fn judged_by(findings: Vec<Finding>, policy: &Policy) -> Judged {
    let observations = Observations { findings, ..Observations::default() };
    let verdict = judge(&observations, None, policy);
    Judged { observations, comparison: None, verdict }
}

fn job_for(args: &CheckArgs, fetched: &Fetched) -> anyhow::Result<Job> {
    let given = args.repo.as_deref().map(repository).transpose()?;
    let claims = fetched
        .git_head
        .iter()
        .map(|commit| Claim { kind: EvidenceKind::GitHead, commit: commit.clone() });
    Ok(Job {
        verification: VerificationId(uuid::Uuid::new_v4()),
        attempt: 1,
        subject: fetched.subject.clone(),
        source: SourceRequest {
            trust: if given.is_some() { Trust::Given } else { Trust::SelfDeclared },
            repository: given,
            directory: args.directory.clone(),
            reference: args.reference.clone().map_or(Reference::Proposed, Reference::Named),
            reachable: Reachable::FromAnyRef,
            enrolment_revision: None,
            first_sight: None,
            claims: claims.collect(),
        },
        policy: Policy { allow: args.allow.clone(), ..Policy::default() },
        plan: by_hand::read(args.plan.as_deref())?,
        staged_at: fetched.staged_at,
        recorded: fetched.recorded.clone(),
    })
}

/// The job of a report that is done again: its source, held to its commit.
fn job_again(
    args: &CheckArgs,
    recording: &recorded::Recording,
    fetched: &Fetched,
) -> anyhow::Result<Job> {
    recording.is_about(fetched)?;
    let source = recording.source()?;
    let given = args.repo.as_deref().map(repository).transpose()?;
    let mut job = job_for(args, fetched)?;
    job.source = SourceRequest {
        trust: Trust::Given,
        repository: Some(given.unwrap_or_else(|| source.repository.clone())),
        directory: Some(source.directory.clone()),
        reference: Reference::Named(source.tag.clone()),
        first_sight: Some(recording.first_sight()?),
        ..job.source
    };
    if job.policy.allow.is_empty() {
        job.policy.allow = recording.allowed();
    }
    Ok(job)
}

/// A URL, or a path that is made absolute here since the worker runs elsewhere.
fn repository(text: &str) -> anyhow::Result<Repository> {
    let path = std::path::Path::new(text);
    if path.exists() {
        let absolute =
            std::fs::canonicalize(path).with_context(|| format!("`{text}` cannot be opened"))?;
        return Ok(absolute.to_str().context("the repository's path is not UTF-8")?.parse()?);
    }
    Ok(text.parse()?)
}

/// A missing tag is not waited for here: nobody is about to push it.
fn judged_of(attempt: Attempt) -> Judged {
    match attempt {
        Attempt::Judged(judged) => *judged,
        Attempt::TagMissing { tag } => {
            let message = format!("The repository has no tag `{tag}`.");
            let fix = "Push the tag, or name the right one with --ref.";
            let finding = Finding::new(Code::TagNotFound, message).with_fix(fix);
            judged_by(vec![finding], &Policy::default())
        }
    }
}

fn report_of(job: &Job, fetched: &Fetched, judged: &Judged) -> Report {
    let frame = Frame {
        id: job.verification.to_string(),
        state: State::Final,
        next: next(&judged.verdict),
        links: std::collections::BTreeMap::new(),
        artifact: ArtifactPart::of(&job.subject, Some(fetched.shasum), Some(fetched.bytes)),
        enforcement: Enforcement::Advisory,
        attempts: 1,
    };
    Report::judged(frame, judged)
}

fn next(verdict: &Verdict) -> Next {
    let say = |who: &str, what: &str| Next {
        who: who.to_owned(),
        what: what.to_owned(),
        command: None,
        url: None,
    };
    match (verdict.outcome, verdict.class) {
        (Outcome::Pass, _) => say("nobody", "Nothing to mend: these bytes come from this commit."),
        (Outcome::Inconclusive, _) => {
            say("operator", "Run it again when what was missing is there.")
        }
        (Outcome::Fail, Some(Class::Differs)) => {
            say("maintainer", "Do not approve it before you know who changed these files.")
        }
        (Outcome::Fail, Some(Class::NotRebuilt)) => {
            say("maintainer", "Make it build from a clean checkout of its tag, without network.")
        }
        (Outcome::Fail, Some(Class::Archive)) => {
            say("maintainer", "Pack it anew with an unmodified npm.")
        }
        (Outcome::Fail, Some(Class::Source) | None) => {
            say("maintainer", "Bring tag, repository and package.json into agreement.")
        }
    }
}

fn could_not_fetch(args: &CheckArgs, finding: &Finding) -> anyhow::Result<u8> {
    if args.json {
        let body =
            serde_json::json!({ "error": { "code": finding.code, "message": finding.message } });
        terminal::print(&format!("{body}\n"))?;
    } else {
        terminal::print(&format!("? could not tell: {}\n", render::visible(&finding.message)))?;
    }
    Ok(exit::COULD_NOT_TELL)
}

fn print(
    args: &CheckArgs,
    report: &Report,
    fetched: &Fetched,
    comparison: Option<&Comparison>,
    rebuilt: Option<&[u8]>,
) -> anyhow::Result<()> {
    if args.json {
        return Ok(terminal::print(&format!("{}\n", serde_json::to_string_pretty(report)?))?);
    }
    let mut text = render::report(report, Colour::for_stdout());
    if report.class == Some(Class::Differs) {
        text.push_str(&differences(comparison, &fetched.tarball, rebuilt));
    }
    Ok(terminal::print(&text)?)
}

/// The lines in which the changed files differ; both tarballs were read before.
fn differences(comparison: Option<&Comparison>, staged: &[u8], rebuilt: Option<&[u8]>) -> String {
    let (Some(comparison), Ok(staged), Some(Ok(rebuilt))) =
        (comparison, archive::read(staged), rebuilt.map(archive::read))
    else {
        return String::new();
    };
    format!(
        "\n{}",
        super::compare::differences(comparison, (&staged, &rebuilt), Colour::for_stdout())
    )
}

fn keep(
    folder: &std::path::Path,
    fetched: &Fetched,
    report: &Report,
    rebuilt: Option<&[u8]>,
    log: Option<&str>,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("`{}` cannot be made", folder.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes)
            .with_context(|| format!("`{}` cannot be written", path.display()))
    };
    write("staged.tgz", &fetched.tarball)?;
    write("report.json", serde_json::to_string_pretty(report)?.as_bytes())?;
    if let Some(rebuilt) = rebuilt {
        write("rebuilt.tgz", rebuilt)?;
    }
    if let Some(log) = log {
        write("build.log", log.as_bytes())?;
    }
    Ok(())
}
