//! `countersign serve`: the service, with worker processes of its own. A worker is this very program started again with
//! an empty environment; what it has to know goes through one pipe.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use anyhow::Context;
use countersign_worker::{
    settings::{RebuildLimits, Settings, default_work},
    upstream::Secret,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    process::{Child, ChildStdin, Command},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, SystemClock},
    config::{Config, Flags},
    door::{self, Bounds},
    tokens,
};

/// A worker that died is started again after so long; the pause doubles up to [`RESTART_LONGEST`].
const RESTART_FIRST: Duration = Duration::from_millis(500);
/// The longest pause before a worker is started again.
const RESTART_LONGEST: Duration = Duration::from_secs(30);
/// Requests under way get so long to end when the service is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Arguments of `countersign serve`.
#[derive(clap::Args, Debug)]
pub(crate) struct ServeArgs {
    /// Worker processes to start beside the service [default: 1]
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// Where to listen [default: 127.0.0.1:4873]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: &ServeArgs, flags: &Flags) -> anyhow::Result<u8> {
    let flags = Flags { listen: args.listen, workers: args.workers, ..flags.clone() };
    let mut config = Config::load(&flags)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} cannot be listened on", config.listen))?;
    config.listen = listener.local_addr()?;
    let app = App::open(config, Arc::new(SystemClock)).await?;
    announce(&app)?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let workers = start_workers(&app, &stop).await?;
    let background = crate::start_background(&app, &stop);
    serve(listener, &app, &stop).await;
    stop.cancel();
    workers.close();
    workers.wait().await;
    background.wait().await;
    app.store.close().await;
    Ok(super::exit::PASS)
}

/// The address on the first line, for people and for whoever started us.
#[expect(clippy::print_stdout, reason = "the first line of standard output says the address")]
fn announce(app: &App) -> anyhow::Result<()> {
    use std::io::Write;
    println!("countersign listens on {}", app.config.base_url());
    Ok(std::io::stdout().flush()?)
}

async fn serve(listener: TcpListener, app: &App, stop: &CancellationToken) {
    let serving = door::serve(listener, crate::app(app.clone()), Bounds::default(), stop.clone());
    tokio::select! {
        () = serving => {}
        // A client that never ends its request does not keep the service.
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {}
    }
}

async fn start_workers(app: &App, stop: &CancellationToken) -> anyhow::Result<TaskTracker> {
    let tracker = TaskTracker::new();
    let count = app.config.workers;
    if count == 0 {
        return Ok(tracker);
    }
    let (token, _) = tokens::create_for_own_workers(app).await?;
    for number in 1..=count {
        let settings = settings(app, &token, number);
        tracker.spawn(keep_running(settings, stop.clone()));
    }
    Ok(tracker)
}

fn settings(app: &App, token: &Secret, number: u32) -> Settings {
    let is_root = rustix::process::geteuid().is_root();
    Settings {
        service: format!("http://{}", reachable(app.config.listen)),
        token: token.clone(),
        name: format!("{}/worker-{number}", countersign_worker::settings::own_name()),
        upstream: app.config.upstream().clone(),
        cache: worker_cache(app, is_root),
        work: app.config.work.clone().unwrap_or_else(|| default_work(is_root)),
        reach: app.config.reach(),
        limits: RebuildLimits::default(),
    }
}

/// The cache of toolchains is the machine's, unless the configuration names another.
fn worker_cache(app: &App, is_root: bool) -> PathBuf {
    let machine =
        || countersign_worker::toolchain::default_folder(|name| std::env::var(name).ok(), is_root);
    app.config.cache.clone().or_else(|| machine().ok()).unwrap_or_else(|| app.config.cache_folder())
}

/// A wildcard address is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let loopback = if listen.is_ipv4() { "127.0.0.1" } else { "::1" };
    SocketAddr::new(loopback.parse().expect("a loopback address"), listen.port())
}

/// Starts a worker, and starts it again when it died, until the service stops.
async fn keep_running(settings: Settings, stop: CancellationToken) {
    let mut pause = RESTART_FIRST;
    while !stop.is_cancelled() {
        let started = std::time::Instant::now();
        match run_worker(&settings, &stop).await {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => tracing::warn!(worker = %settings.name, "worker ended; it is started again"),
            Err(error) => {
                tracing::warn!(worker = %settings.name, error = %format!("{error:#}"), "worker failed")
            }
        }
        pause = if started.elapsed() > RESTART_LONGEST {
            RESTART_FIRST
        } else {
            (pause * 2).min(RESTART_LONGEST)
        };
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(pause) => {} }
    }
}

async fn run_worker(settings: &Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let (mut child, pipe) = start(settings).await?;
    tokio::select! {
        status = child.wait() => {
            let status = status?;
            anyhow::ensure!(status.success(), "it ended with {status}");
        }
        () = stop.cancelled() => {
            // The end of its pipe is its sign to stop.
            drop(pipe);
            child.wait().await?;
        }
    }
    Ok(())
}

/// This program again, with nothing of our environment. Every descriptor of ours is closed on exec; the pipe is its
/// standard input, and is handed back because its end is the worker's sign to stop.
async fn start(settings: &Settings) -> anyhow::Result<(Child, ChildStdin)> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let mut command = Command::new(program);
    command.args(["worker", "--settings-from-stdin"]).env_clear().current_dir("/");
    for name in ["RUST_LOG", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("a worker process cannot be started")?;
    let mut line = serde_json::to_string(settings)?;
    line.push('\n');
    let mut pipe = child.stdin.take().context("the worker's input was piped")?;
    pipe.write_all(line.as_bytes()).await.context("the worker does not take its settings")?;
    Ok((child, pipe))
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    stop.cancel();
}
