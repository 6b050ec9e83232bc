//! The service under test: every part real, the clock a value.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use countersign::{
    app::{App, Clock},
    asker::{self, Asker},
    config::{Config, Flags},
    enrolment::{self, Proposal},
    intake::{self, IntakeRefused, Staging},
    second_factor::{self, SignIn},
    store::{
        events,
        sessions::SessionKind,
        tokens::{Packages, Scope},
        verifications::{self, Verification},
    },
    tokens::{self, NewToken},
};
use countersign_core::{
    Timestamp, enrolment::Mode, policy::Policy, protocol::VerificationId, report::Report,
    source::TagPattern,
};
use countersign_worker::upstream::{Secret, Variables};
use tempfile::TempDir;
use totp_rs::Totp;
use uuid::Uuid;

use super::{Pack, package_json};

/// The package that is staged in tests.
pub(crate) const PACKAGE: &str = "left-pad";
/// Its repository.
const REPOSITORY: &str = "https://git.example/left-pad";
/// A password that is long enough.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Where every test's clock begins: the start of a step of the one-time codes.
const BEGINNING_SECONDS: i64 = 1_800_000_000;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    /// Moves it on.
    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A maintainer's authenticator app.
pub(crate) struct Authenticator {
    totp: Totp,
    clock: Arc<ManualClock>,
}

impl Authenticator {
    /// The code that it shows now.
    pub(crate) fn code(&self) -> String {
        self.code_in(0)
    }

    /// The code that it will show then.
    pub(crate) fn code_in(&self, seconds: i64) -> String {
        let at = self.clock.now().plus_seconds(seconds).as_seconds();
        self.totp.generate(u64::try_from(at).unwrap()).to_string()
    }

    /// The next code that was never shown, after the wait for it.
    pub(crate) fn fresh_code(&self) -> String {
        self.clock.pass_seconds(30);
        self.code()
    }
}

/// The service in a folder of its own.
pub(crate) struct Fixture {
    /// The service.
    pub(crate) app: App,
    /// Its clock.
    pub(crate) clock: Arc<ManualClock>,
    folder: Arc<TempDir>,
    settings: Variables,
    seeds: Mutex<Vec<(String, String)>>,
}

impl Fixture {
    /// A fresh one: nobody and nothing in it.
    pub(crate) async fn new() -> Self {
        Self::with_settings([]).await
    }

    /// A fresh one with these settings (`COUNTERSIGN_…` variables).
    pub(crate) async fn with_settings<'s>(
        settings: impl IntoIterator<Item = (&'s str, String)>,
    ) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock(AtomicI64::new(BEGINNING_SECONDS * 1000)));
        // Tests serve on loopback what a submission names.
        let own = ("COUNTERSIGN_PRIVATE_HOSTS", "[\"127.0.0.1\"]".to_owned());
        let settings = [own].into_iter().chain(settings);
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).collect();
        let app = open(&folder, &clock, &settings).await;
        Self { app, clock, folder, settings, seeds: Mutex::new(Vec::new()) }
    }

    /// One with the maintainer `ada`, who enrolled the package.
    pub(crate) async fn enrolled() -> Self {
        let fixture = Self::new().await;
        let ada = fixture.add_maintainer("ada").await;
        fixture.enrol("ada", &ada, |_| {}).await;
        fixture
    }

    /// The same data in another process: nothing is shared but folder and clock.
    pub(crate) async fn another_process(&self) -> App {
        open(&self.folder, &self.clock, &self.settings).await
    }

    /// The folder of its data.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Adds a maintainer.
    pub(crate) async fn add_maintainer(&self, name: &str) -> Authenticator {
        let password = Secret::new(PASSWORD);
        let added = second_factor::add_maintainer(&self.app, name, &password).await.unwrap();
        let url = added.otpauth.expose().to_owned();
        self.seeds.lock().unwrap().push((name.to_owned(), url));
        self.authenticator(name)
    }

    /// The authenticator of a maintainer who was added.
    pub(crate) fn authenticator(&self, name: &str) -> Authenticator {
        let seeds = self.seeds.lock().unwrap();
        let (_, url) = seeds.iter().find(|(there, _)| there == name).unwrap();
        Authenticator { totp: Totp::from_url(url).unwrap(), clock: Arc::clone(&self.clock) }
    }

    /// Lets a maintainer confirm where the package's source is.
    pub(crate) async fn enrol(
        &self,
        name: &str,
        authenticator: &Authenticator,
        change: impl FnOnce(&mut Proposal),
    ) {
        let mut proposal = Proposal {
            package: PACKAGE.parse().unwrap(),
            repository: REPOSITORY.parse().unwrap(),
            directory: "".parse().unwrap(),
            tag_pattern: TagPattern::default(),
            branches: vec!["main".to_owned()],
            mode: Mode::Enforce,
            policy: Policy::default(),
            plan: countersign_core::plan::Given::default(),
        };
        change(&mut proposal);
        let code = authenticator.fresh_code();
        enrolment::enrol(&self.app, name, &code, proposal).await.unwrap();
    }

    /// A maintainer who ran `npm login`.
    pub(crate) async fn session(&self, name: &str) -> Asker {
        let secret = self.session_secret(name).await;
        asker::identify(&self.app, secret.expose()).await.unwrap().unwrap()
    }

    /// The secret of such a session.
    pub(crate) async fn session_secret(&self, name: &str) -> Secret {
        let password = Secret::new(PASSWORD);
        let shown = SignIn { kind: SessionKind::Npm, name, password: &password, code: None };
        second_factor::sign_in(&self.app, shown).await.unwrap().secret
    }

    /// A machine with a token for these packages; for every one where none is named.
    pub(crate) async fn token(&self, scopes: &[Scope], packages: &[&str]) -> Asker {
        let (secret, _) = self.token_secret(scopes, packages).await;
        asker::identify(&self.app, secret.expose()).await.unwrap().unwrap()
    }

    /// The secret of such a token, and its id.
    pub(crate) async fn token_secret(&self, scopes: &[Scope], packages: &[&str]) -> (Secret, Uuid) {
        let packages = if packages.is_empty() {
            Packages::Every
        } else {
            Packages::Only(packages.iter().map(|name| name.parse().unwrap()).collect())
        };
        let new = NewToken {
            scopes: scopes.to_vec(),
            packages,
            expires_at: self.app.now().plus_seconds(3600),
            created_by: "operator".to_owned(),
        };
        let (secret, token) = tokens::create(&self.app, new).await.unwrap();
        (secret, token.id)
    }

    /// CI stages this tarball.
    pub(crate) async fn try_stage(
        &self,
        version: &str,
        pack: &Pack,
    ) -> Result<VerificationId, IntakeRefused> {
        let ci = self.token(&[Scope::Stage], &[]).await;
        intake::stage(&self.app, &ci, staging(version, pack)).await
    }

    /// CI stages this tarball, and it is taken.
    pub(crate) async fn stage(&self, version: &str, pack: &Pack) -> VerificationId {
        self.try_stage(version, pack).await.unwrap()
    }

    /// Where a verification stands.
    pub(crate) async fn verification(&self, id: VerificationId) -> Verification {
        let mut reader = self.app.store.read().await.unwrap();
        verifications::find(&mut reader, id).await.unwrap().unwrap()
    }

    /// Its report.
    pub(crate) async fn report(&self, id: VerificationId) -> Report {
        let mut reader = self.app.store.read().await.unwrap();
        let report = countersign::reports::report_of(&self.app, &mut reader, id).await;
        report.unwrap().unwrap()
    }

    /// The kinds of the events about it, in order.
    pub(crate) async fn events(&self, id: VerificationId) -> Vec<String> {
        let mut reader = self.app.store.read().await.unwrap();
        let recorded = events::after(&mut reader, 0, Some(id), 1000).await.unwrap();
        let word = |kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
        recorded.into_iter().map(|recorded| word(recorded.event.kind)).collect()
    }
}

/// What npm sends for that tarball.
pub(crate) fn staging(version: &str, pack: &Pack) -> Staging {
    Staging {
        name: PACKAGE.parse().unwrap(),
        version: version.parse().unwrap(),
        tarball: pack.tgz(),
        manifest: package_json(version),
        dist_tag: "latest".to_owned(),
        access: None,
        claims: Vec::new(),
    }
}

async fn open(folder: &TempDir, clock: &Arc<ManualClock>, settings: &Variables) -> App {
    let flags = Flags { data: Some(folder.path().to_owned()), ..Flags::default() };
    let mut environment = settings.clone();
    // Nothing of this machine's own configuration.
    environment.insert("HOME".to_owned(), folder.path().display().to_string());
    let config = Config::from_layers(&flags, &environment).unwrap();
    App::open(config, Arc::clone(clock) as Arc<dyn Clock>).await.unwrap()
}
