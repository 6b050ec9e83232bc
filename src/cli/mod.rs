//! The command line: one list of commands, and what each answers as its exit code. A command parses, calls and prints;
//! what is done stands elsewhere.

mod allow;
mod by_hand;
mod check;
mod compare;
mod doctor;
mod exit;
mod inspect;
mod maintainer;
mod package;
mod progress;
pub(crate) mod render;
mod serve;
mod subject;
mod tarball;
mod terminal;
mod token;
mod toolchain;
mod tools;
mod wait;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign_worker::settings::WorkerArgs;

use crate::{config::Flags, demo};

/// The second signature on a package release.
///
/// Rebuilds a staged npm tarball from its tagged commit in a sandbox, compares every file, and opens the approval only on
/// a pass.
#[derive(Parser)]
#[command(name = "countersign", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the whole road on this machine, with a sample repository, the real npm and a real sandbox
    Demo(demo::DemoArgs),
    /// Run the service, with worker processes of its own
    Serve(serve::ServeArgs),
    /// Run a worker for a service elsewhere
    Worker(WorkerArgs),
    /// Verify one tarball on this machine, without a service
    Check(check::CheckArgs),
    /// Compare two tarballs file by file
    Compare(compare::CompareArgs),
    /// Read a tarball strictly and list what would be installed
    Inspect(inspect::InspectArgs),
    /// Wait in CI for a verdict
    Wait(wait::WaitArgs),
    /// Manage maintainers
    Maintainer(maintainer::MaintainerArgs),
    /// Manage packages and their enrolments
    Package(package::PackageArgs),
    /// Manage API tokens
    Token(token::TokenArgs),
    /// Say what this machine lacks, and the line that mends it
    Doctor(doctor::DoctorArgs),
    /// Bring node or npm into the cache and print its folder
    #[command(hide = true)]
    Toolchain(toolchain::ToolchainArgs),
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say_error(&error);
            ExitCode::from(exit::USAGE)
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command says on standard error what went wrong")]
fn say_error(error: &anyhow::Error) {
    eprintln!("countersign: {}", render::visible(&format!("{error:#}")));
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    let flags = cli.flags;
    match cli.command {
        Command::Compare(args) => compare::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Worker(args) => worker::run(&args, &flags),
        Command::Doctor(args) => block_on(doctor::run(&args)),
        Command::Demo(args) => block_on(demo::run(&args)),
        Command::Serve(args) => {
            countersign_worker::service::start_logging();
            block_on(serve::run(&args, &flags))
        }
        Command::Check(args) => block_on(check::run(&args.with(flags))),
        Command::Wait(args) => block_on(wait::run(&args)),
        Command::Maintainer(args) => block_on(maintainer::run(&args, &flags)),
        Command::Package(args) => block_on(package::run(&args, &flags)),
        Command::Token(args) => block_on(token::run(&args, &flags)),
        Command::Toolchain(args) => block_on(toolchain::run(&args)),
    }
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
