//! The real service on a loopback port, with a clock that the test moves and a gate before its routes.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use countersign::{
    app::{App, Clock},
    asker,
    config::{Config, Flags},
    enrolment::{self, Proposal},
    intake::{self, Staging},
    reports, second_factor,
    store::{
        events::{self, Event, EventKind},
        tokens::{Packages, Scope},
    },
    tokens::{self, NewToken},
};
use countersign_core::{
    Timestamp,
    enrolment::Mode,
    limits::{LEASE_SECONDS, RETRY_FIRST_SECONDS},
    policy::Policy,
    protocol::VerificationId,
    rebuild::Phase,
    report::Report,
    source::TagPattern,
};
use countersign_worker::{
    reach::Reach,
    settings::Settings,
    upstream::{Secret, UpstreamConfig},
};
use totp_rs::Totp;

use super::{
    peers::{Gate, Stalled},
    process::within,
};
use crate::hostile::rig::{NAME, Release, VERSION, cache, small_limits, text_in};

/// Where the clock begins: the start of a step of the one-time codes.
const BEGINNING_SECONDS: i64 = 1_800_000_000;

#[derive(Debug)]
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The running service with one staged release.
pub(super) struct Service {
    app: App,
    clock: Arc<ManualClock>,
    gate: Gate,
    address: SocketAddr,
    worker_token: Secret,
    staged: Mutex<Option<VerificationId>>,
    _folder: tempfile::TempDir,
}

impl Service {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        std::fs::write(folder.path().join("countersign.toml"), "workers = 0\n").unwrap();
        let flags = Flags {
            data: Some(folder.path().to_owned()),
            listen: Some(address),
            ..Flags::default()
        };
        let nothing_of_this_machine = [("HOME".to_owned(), folder.path().display().to_string())];
        let config =
            Config::from_layers(&flags, &nothing_of_this_machine.into_iter().collect()).unwrap();
        let clock = Arc::new(ManualClock(AtomicI64::new(BEGINNING_SECONDS * 1000)));
        let app = App::open(config, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let gate = Gate::new();
        let routes = gate.before(countersign::app(app.clone()));
        let served = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, served).await });
        let (worker_token, _) = tokens::create_for_own_workers(&app).await.unwrap();
        let staged = Mutex::new(None);
        Self { app, clock, gate, address, worker_token, staged, _folder: folder }
    }

    /// What a worker of this service has to know.
    pub(super) fn worker_settings(
        &self,
        name: &str,
        work: &Path,
        upstream: &UpstreamConfig,
    ) -> Settings {
        Settings {
            service: format!("http://{}", self.address),
            token: self.worker_token.clone(),
            name: name.to_owned(),
            upstream: upstream.clone(),
            cache: cache(),
            work: work.to_owned(),
            // What a test's own server has lies on this machine.
            reach: Reach::default().naming("127.0.0.1"),
            limits: small_limits(),
        }
    }

    /// Whoever asks for this path waits from now on.
    pub(super) fn stall(&self, path: &str) -> Stalled {
        self.gate.stall(path)
    }

    /// A maintainer enrols the package with this repository, and CI stages its release.
    pub(super) async fn stage(&self, release: &Release, repository: &str) {
        let password = Secret::new("correct horse battery staple");
        let ada = second_factor::add_maintainer(&self.app, "ada", &password).await.unwrap();
        let seconds = u64::try_from(self.app.now().as_seconds()).unwrap();
        let code = Totp::from_url(ada.otpauth.expose()).unwrap().generate(seconds).to_string();
        let proposal = Proposal {
            package: NAME.parse().unwrap(),
            repository: repository.parse().unwrap(),
            directory: "".parse().unwrap(),
            tag_pattern: TagPattern::default(),
            branches: vec!["main".to_owned()],
            mode: Mode::Enforce,
            policy: Policy::default(),
            plan: countersign_core::plan::Given::default(),
        };
        enrolment::enrol(&self.app, "ada", &code, proposal).await.unwrap();
        let new = NewToken {
            scopes: vec![Scope::Stage],
            packages: Packages::Every,
            expires_at: self.app.now().plus_seconds(3600),
            created_by: "operator".to_owned(),
        };
        let (token, _) = tokens::create(&self.app, new).await.unwrap();
        let ci = asker::identify(&self.app, token.expose()).await.unwrap().unwrap();
        let tarball = release.tgz();
        let staging = Staging {
            name: NAME.parse().unwrap(),
            version: VERSION.parse().unwrap(),
            manifest: serde_json::from_str(&text_in(&tarball, "package.json")).unwrap(),
            tarball,
            dist_tag: "latest".to_owned(),
            access: None,
            claims: Vec::new(),
        };
        let id = intake::stage(&self.app, &ci, staging).await.unwrap();
        *self.staged.lock().unwrap() = Some(id);
    }

    /// Moves the clock past the end of the dead worker's lease, and past the pause before the next attempt once somebody
    /// noticed.
    pub(super) async fn lose_the_lease(&self, patience: Duration) {
        self.pass_seconds(i64::try_from(LEASE_SECONDS).unwrap() + 1);
        self.expect(patience, |event| event.kind == EventKind::LeaseExpired).await;
        self.pass_seconds(i64::try_from(RETRY_FIRST_SECONDS).unwrap() + 1);
    }

    /// Waits until the worker said that it is in this phase.
    pub(super) async fn expect_phase(&self, phase: Phase, patience: Duration) {
        let phase = serde_json::json!(phase);
        self.expect(patience, |event| event.data.get("phase") == Some(&phase)).await;
    }

    /// Waits for an event.
    pub(super) async fn expect(&self, patience: Duration, wanted: impl Fn(&Event) -> bool) {
        let came = within(patience, async || self.events().await.iter().any(&wanted)).await;
        assert!(came, "it never came: {:#?}", self.events().await);
    }

    /// Everything that happened to the release so far.
    pub(super) async fn events(&self) -> Vec<Event> {
        let id = self.staged.lock().unwrap().unwrap();
        let mut reader = self.app.store.read().await.unwrap();
        let recorded = events::after(&mut reader, 0, Some(id), 1000).await.unwrap();
        recorded.into_iter().map(|recorded| recorded.event).collect()
    }

    /// Who took the job, in order.
    pub(super) async fn takers(&self) -> Vec<String> {
        let taken = |event: &Event| event.kind == EventKind::Leased;
        self.events().await.into_iter().filter(taken).map(|event| event.actor).collect()
    }

    /// The report.
    pub(super) async fn report(&self) -> Report {
        let id = self.staged.lock().unwrap().unwrap();
        let mut reader = self.app.store.read().await.unwrap();
        reports::report_of(&self.app, &mut reader, id).await.unwrap().unwrap()
    }

    fn pass_seconds(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}
