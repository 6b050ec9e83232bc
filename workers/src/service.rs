//! A worker's life: it asks a service for work, does it, hands in the report, and asks again. While a job runs its lease
//! is renewed, and a lease that died or a job that was withdrawn stops the work. How a job is done stands in `job`.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use countersign_core::{
    limits::HEARTBEAT_SECONDS,
    protocol::{Heartbeat, HeartbeatAnswer, Lease, LeaseRequest, WorkerReport, paths},
    rebuild::Phase,
};
use reqwest::{Client, RequestBuilder, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::{
    job::{self, Output, Tools},
    progress::{Progress, Watch},
    settings::Settings,
    upstream::UpstreamConfig,
};

/// How long the service holds a request for work when there is none.
const HOLD_SECONDS: u64 = 20;
/// The pause after the service did not answer.
const RETRY: Duration = Duration::from_secs(2);
/// How long one small request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a tarball may take on its way to or from the service.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(300);

/// Works until it is told to stop; a job that is running then is left to another worker.
///
/// # Errors
/// When this machine lacks what every job needs: a wall of the sandbox, a folder, the registries' configuration.
pub async fn run(settings: &Settings, stop: &CancellationToken) -> anyhow::Result<()> {
    let tools = Arc::new(Tools::open(settings)?);
    let service = Service::new(settings)?;
    // A job that then meets a missing wall says so by itself, and to the right people.
    if let Err(error) = tokio::task::block_in_place(|| tools.sweep()) {
        tracing::warn!(error = %format!("{error:#}"), "what dead workers left cannot be cleared away");
    }
    tracing::info!(worker = %settings.name, service = %settings.service, "worker is ready");
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            leased = service.lease() => match leased {
                Ok(Some(lease)) => service.work(lease, &tools, stop).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "the service does not give work");
                    tokio::select! { () = stop.cancelled() => break, () = tokio::time::sleep(RETRY) => {} }
                }
            }
        }
    }
    Ok(())
}

/// The service as a worker sees it.
#[derive(Clone)]
struct Service {
    client: Client,
    address: String,
    token: String,
    name: String,
}

impl Service {
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            client: settings.upstream.client.client()?,
            address: settings.service.trim_end_matches('/').to_owned(),
            token: settings.token.expose().to_owned(),
            name: settings.name.clone(),
        })
    }

    fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        lease: Option<&Lease>,
    ) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.address));
        let request = request.bearer_auth(&self.token).timeout(REQUEST_TIMEOUT);
        match lease {
            Some(lease) => request.header(paths::LEASE_HEADER, &lease.id.0),
            None => request,
        }
    }

    async fn lease(&self) -> anyhow::Result<Option<Lease>> {
        let asking = LeaseRequest {
            worker: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let path = format!("{}?wait={HOLD_SECONDS}", paths::LEASES);
        let request = self.request(reqwest::Method::POST, &path, None).json(&asking);
        let answer =
            request.timeout(REQUEST_TIMEOUT + Duration::from_secs(HOLD_SECONDS)).send().await?;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(None),
            StatusCode::OK => Ok(Some(answer.json().await.context("the lease cannot be read")?)),
            status => bail!(
                "asking for work was answered with {status}: {}",
                answer.text().await.unwrap_or_default()
            ),
        }
    }

    /// Does one job. What goes wrong on our side is logged, and the lease is left to die.
    async fn work(&self, lease: Lease, tools: &Arc<Tools>, stop: &CancellationToken) {
        let spec = lease.job.subject.spec();
        tracing::info!(verification = %lease.job.verification, artifact = %spec, "job begins");
        let state = Arc::new(JobState::default());
        let given_up = CancellationToken::new();
        let keeper = tokio::spawn(self.clone().keep(
            lease.clone(),
            Arc::clone(&state),
            stop.clone(),
            given_up.clone(),
        ));
        let came_out = tokio::select! {
            came_out = self.do_and_report(&lease, tools, &state) => came_out,
            () = given_up.cancelled() => Err(anyhow::anyhow!("the lease died, the job was withdrawn, or the worker was told to stop")),
        };
        keeper.abort();
        state.cancel.store(true, Ordering::Relaxed);
        match came_out {
            Ok(()) => {
                tracing::info!(verification = %lease.job.verification, artifact = %spec, "job is reported")
            }
            Err(error) => {
                tracing::warn!(verification = %lease.job.verification, error = %format!("{error:#}"), "job is given up");
            }
        }
    }

    /// Keeps a job's lease alive, and gives the job up when that ends or the worker is told to stop. It is a task of its
    /// own: a job blocks the one that it runs in, and then looks at the state's flag alone.
    async fn keep(
        self,
        lease: Lease,
        state: Arc<JobState>,
        stop: CancellationToken,
        given_up: CancellationToken,
    ) {
        tokio::select! { () = self.keep_alive(&lease, &state) => {} () = stop.cancelled() => {} }
        state.cancel.store(true, Ordering::Relaxed);
        given_up.cancel();
    }

    async fn do_and_report(
        &self,
        lease: &Lease,
        tools: &Arc<Tools>,
        state: &Arc<JobState>,
    ) -> anyhow::Result<()> {
        state.doing(Phase::Fetch, "the staged tarball");
        let watch = Watch { progress: &**state, cancel: &state.cancel };
        let request = self
            .request(reqwest::Method::GET, paths::TARBALL, Some(lease))
            .timeout(TRANSFER_TIMEOUT);
        let staged = crate::fetch::download(request, &lease.job.subject.sha512, watch).await?;
        let output = job::run(&lease.job, &Bytes::from(staged), tools, watch).await?;
        state.doing(Phase::Report, "");
        self.report(lease, output).await
    }

    async fn report(&self, lease: &Lease, output: Output) -> anyhow::Result<()> {
        let put = |path, bytes: Bytes| {
            self.request(reqwest::Method::PUT, path, Some(lease))
                .timeout(TRANSFER_TIMEOUT)
                .body(bytes)
                .send()
        };
        if let Some(log) = output.log {
            expect(put(paths::LOG, Bytes::from(log)).await?, "the log").await?;
        }
        let rebuilt_sha512 = output.rebuilt.as_deref().map(countersign_core::Sha512::of);
        if let Some(rebuilt) = output.rebuilt {
            expect(put(paths::REBUILT, rebuilt).await?, "the rebuilt tarball").await?;
        }
        let report = WorkerReport {
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            attempt: output.attempt,
            rebuilt_sha512,
        };
        let request = self.request(reqwest::Method::POST, paths::REPORT, Some(lease)).json(&report);
        expect(request.timeout(TRANSFER_TIMEOUT).send().await?, "the report").await?;
        Ok(())
    }

    /// Renews the lease until it dies or the job is withdrawn. A service that does not answer for a while is no reason to
    /// stop: the lease may still live.
    async fn keep_alive(&self, lease: &Lease, state: &JobState) {
        let mut beat = tokio::time::interval(Duration::from_secs(HEARTBEAT_SECONDS));
        loop {
            tokio::select! { _ = beat.tick() => {} () = state.news.notified() => {} }
            let request = self
                .request(reqwest::Method::POST, paths::HEARTBEAT, Some(lease))
                .json(&state.heartbeat());
            let Ok(answer) = request.send().await else { continue };
            match answer.status() {
                StatusCode::OK => match answer.json().await {
                    Ok(HeartbeatAnswer::Stop) => return,
                    Ok(HeartbeatAnswer::Continue) | Err(_) => {}
                },
                StatusCode::CONFLICT | StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => return,
                _ => {}
            }
        }
    }
}

async fn expect(answer: reqwest::Response, what: &str) -> anyhow::Result<reqwest::Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    bail!("{what}: the service answered {status}: {}", answer.text().await.unwrap_or_default())
}

/// What a running job says of itself, and how it is told to stop.
struct JobState {
    now: Mutex<(Phase, String)>,
    news: tokio::sync::Notify,
    cancel: AtomicBool,
}

impl Default for JobState {
    fn default() -> Self {
        Self {
            now: Mutex::new((Phase::Fetch, String::new())),
            news: tokio::sync::Notify::new(),
            cancel: AtomicBool::new(false),
        }
    }
}

impl JobState {
    fn heartbeat(&self) -> Heartbeat {
        let now = self.now.lock().expect("no holder of this lock panics");
        Heartbeat { phase: now.0, detail: now.1.clone() }
    }
}

impl Progress for JobState {
    fn doing(&self, phase: Phase, detail: &str) {
        let mut now = self.now.lock().expect("no holder of this lock panics");
        let next_phase = now.0 != phase;
        *now = (phase, detail.to_owned());
        if next_phase {
            self.news.notify_one();
        }
    }
}

/// Logs to standard error, as `RUST_LOG` says; `info` without it.
pub fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second call, in a test, keeps the first.
    let _already_set =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// A worker process from its settings to its end: SIGTERM and SIGINT stop it. Registries that are handed in stand in the
/// place of those of the settings.
///
/// # Errors
/// As [`run`], and where the settings cannot be read.
pub fn block_on(
    args: &crate::settings::WorkerArgs,
    registries: Option<UpstreamConfig>,
) -> anyhow::Result<()> {
    let mut settings = args.settings()?;
    settings.upstream = registries.unwrap_or(settings.upstream);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        if args.settings_from_stdin {
            stop_with_the_service(stop.clone());
        }
        run(&settings, &stop).await
    })
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

/// A worker that a service started ends with it, however it ended: then the pipe on standard input is closed.
fn stop_with_the_service(stop: CancellationToken) {
    std::thread::spawn(move || {
        // Nothing is ever sent after the settings.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.cancel();
    });
}
