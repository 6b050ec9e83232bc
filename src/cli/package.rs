//! `countersign package enrol`: a maintainer confirms with a code where a package's source is. The operator runs it on the
//! service's host; without the maintainer's code nothing takes force.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
};

use countersign_core::{
    PackageName,
    enrolment::{Enrolment, Mode},
    finding::Code,
    limits,
    normalisation::Normalisation,
    policy::Policy,
    source::{Directory, Repository, TagPattern},
};

use super::{allow, by_hand, exit, maintainer::first_line_of_stdin};
use crate::{
    app::{App, SystemClock},
    config::{Config, Flags},
    enrolment::{self, Proposal},
};

/// Arguments of `countersign package`.
#[derive(clap::Args, Debug)]
pub(crate) struct PackageArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Confirm where a package's source is, or change it; each change is a new revision
    Enrol(EnrolArgs),
}

#[derive(clap::Args, Debug)]
struct EnrolArgs {
    /// The package
    name: PackageName,
    /// The maintainer who confirms it, with a one-time code
    #[arg(long, value_name = "MAINTAINER")]
    by: String,
    /// The repository: a URL, owner/name, or an absolute path
    #[arg(long, value_name = "URL")]
    repo: Repository,
    /// The package's folder in the repository
    #[arg(long, default_value = "", value_name = "DIR")]
    directory: Directory,
    /// How its tags are named, with {version} and perhaps {name} or {unscoped}
    #[arg(long, default_value = "v{version}", value_name = "PATTERN")]
    tag_pattern: TagPattern,
    /// A branch that releases come from; may be repeated
    #[arg(long = "branch", default_value = "main", value_name = "BRANCH")]
    branches: Vec<String>,
    /// Let any commit count that a tag names, whether a branch leads to it or not
    #[arg(long)]
    any_commit: bool,
    /// Release with a code and without a pass, recorded as released unverified
    #[arg(long)]
    observe: bool,
    /// A warning or note that is to be a fail, such as dependencies-unpinned; may be repeated
    #[arg(long = "fail-on", value_name = "CODE", value_parser = code)]
    fail_on: Vec<Code>,
    /// Let the named tokens of a staged file differ; may be repeated
    #[arg(long, value_name = "NORMALISATION", value_parser = allow::parser())]
    allow: Vec<Normalisation>,
    /// Set parts of the plan by hand: a JSON object with any of `node`, `npm`, `package_manager`, `packer`, `install`, `steps`,
    /// `pack_from`, `clock`, `put_back`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// How many minutes a stage waits for its tag
    #[arg(long, default_value_t = limits::TAG_WAIT_MINUTES, value_name = "MINUTES",
          value_parser = clap::value_parser!(u64).range(0..=limits::TAG_WAIT_MINUTES_MAX))]
    tag_wait_minutes: u64,
    /// Read the maintainer's one-time code from standard input, its first line
    #[arg(long)]
    code_stdin: bool,
}

fn code(text: &str) -> Result<Code, String> {
    Code::from_text(text).ok_or_else(|| format!("`{text}` is not a reason code"))
}

/// Runs it.
pub(crate) async fn run(args: &PackageArgs, flags: &Flags) -> anyhow::Result<u8> {
    let Command::Enrol(args) = &args.command;
    let proposal = proposal(args)?;
    let app = App::open(Config::load(flags)?, Arc::new(SystemClock)).await?;
    show(&proposal)?;
    let one_time_code = ask_for_code(args)?;
    let confirmed = enrolment::enrol(&app, &args.by, &one_time_code, proposal).await?;
    app.store.close().await;
    say_confirmed(&confirmed)?;
    Ok(exit::PASS)
}

fn proposal(args: &EnrolArgs) -> anyhow::Result<Proposal> {
    Ok(Proposal {
        package: args.name.clone(),
        repository: args.repo.clone(),
        directory: args.directory.clone(),
        tag_pattern: args.tag_pattern.clone(),
        branches: args.branches.clone(),
        mode: if args.observe { Mode::Observe } else { Mode::Enforce },
        policy: Policy {
            fail_on: args.fail_on.clone(),
            allow: args.allow.clone(),
            tag_wait_minutes: args.tag_wait_minutes,
            require_branch: !args.any_commit,
        },
        plan: by_hand::read(args.plan.as_deref())?,
    })
}

/// What the code confirms, shown before it is asked for.
fn show(proposal: &Proposal) -> anyhow::Result<()> {
    let folder =
        if proposal.directory.is_root() { "the root" } else { proposal.directory.as_str() };
    let mut out = std::io::stdout().lock();
    writeln!(out, "package      {}", proposal.package)?;
    writeln!(out, "repository   {}", proposal.repository)?;
    writeln!(out, "folder       {folder}")?;
    writeln!(out, "tags         {}", proposal.tag_pattern)?;
    if proposal.policy.require_branch {
        writeln!(out, "branches     {}", proposal.branches.join(", "))?;
    } else {
        writeln!(out, "branches     any commit that a tag names")?;
    }
    for name in &proposal.policy.allow {
        writeln!(out, "may differ   {name}: {}", name.meaning())?;
    }
    for part in proposal.plan.in_words() {
        writeln!(out, "by hand      {part}")?;
    }
    let mode = match proposal.mode {
        Mode::Enforce => "enforce: nothing but a pass is released",
        Mode::Observe => "observe: a code releases without a pass, recorded as released unverified",
    };
    Ok(writeln!(out, "mode         {mode}")?)
}

fn ask_for_code(args: &EnrolArgs) -> anyhow::Result<String> {
    let stdin_is_terminal = std::io::stdin().is_terminal();
    anyhow::ensure!(
        args.code_stdin || stdin_is_terminal,
        "the one-time code of {} is needed: pass it on standard input with --code-stdin",
        args.by
    );
    if stdin_is_terminal {
        let mut out = std::io::stdout().lock();
        write!(out, "One-time code of {}: ", args.by)?;
        out.flush()?;
    }
    first_line_of_stdin("the one-time code")
}

fn say_confirmed(confirmed: &Enrolment) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    Ok(writeln!(
        out,
        "{} is enrolled, revision {}, confirmed by {}.",
        confirmed.package, confirmed.revision, confirmed.confirmed_by
    )?)
}
