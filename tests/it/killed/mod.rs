//! A worker process killed with SIGKILL in each phase of a job: nothing of it lives on, another worker takes the job and
//! brings it to its end, and what the dead one left is cleared away. The peer that keeps the worker in a phase is the
//! test's own and simply does not answer, so that nothing here waits for a time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]
#![expect(clippy::print_stdout, reason = "what a failing test found out stands beside it")]

mod peers;
mod process;
mod service;

use std::time::Duration;

use countersign_core::{protocol::paths, rebuild::Phase, report::State, verdict::Outcome};
use countersign_worker::upstream::{Registry, UpstreamConfig};

use crate::hostile::rig::{BUILT, Bench, Release, git, passable_folder};
use peers::{Files, Stalled};
use process::{Worker, within};
use service::Service;

/// However slow the machine: what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing of a killed worker's job lives longer.
const DEAD_WITHIN: Duration = Duration::from_secs(2);
/// Nothing that it left on the machine lies there longer, from the start of another worker.
const CLEARED_WITHIN: Duration = Duration::from_secs(5);

/// Everything of one story but its peers.
struct Scene {
    folder: tempfile::TempDir,
    service: Service,
    upstream: UpstreamConfig,
}

impl Scene {
    async fn new() -> Self {
        // The toolchain is brought beforehand: in these stories nobody may have to wait for its download.
        Bench::new().verify(&Release::honest()).await.expect_pass();
        let upstream = UpstreamConfig::from_environment().unwrap();
        Self { folder: passable_folder(), service: Service::start().await, upstream }
    }

    fn place(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Commits a release at a path of its own, and gives that path.
    fn commit(&self, release: &Release) -> String {
        let repository = self.place("repository");
        release.commit_to(&repository);
        repository.to_str().unwrap().to_owned()
    }

    fn worker(&self, name: &str) -> Worker {
        let settings = self.service.worker_settings(name, &self.place("work"), &self.upstream);
        Worker::start(&settings, &self.place(&format!("{name}.log")))
    }

    /// Waits until the worker asks the peer that does not answer.
    async fn comes_to(&self, stalled: &mut Stalled) {
        let came = stalled.reached(PATIENCE).await;
        assert!(came, "nobody asked: {:#?}", self.service.report().await);
    }

    /// Kills `first` and sees to it that `second` has the last word. `open` lets the peer answer from now on; `helped`
    /// is called again and again while the second worker works.
    async fn replaces(self, first: Worker, open: impl FnOnce(), helped: impl Fn(&Worker)) {
        let job = first.job();
        println!("killed with {job}");
        first.kill();
        let dead = within(DEAD_WITHIN, async || job.living().is_empty()).await;
        assert!(dead, "of the killed worker's job lives: {:#?}", job.living());
        let work = self.place("work");
        let second = self.worker("second");
        let cleared = within(CLEARED_WITHIN, async || job.left(&work).is_empty()).await;
        assert!(cleared, "the killed worker left: {:#?}", job.left(&work));
        open();
        self.service.lose_the_lease(PATIENCE).await;
        let is_final = async || {
            helped(&second);
            self.service.report().await.state == State::Final
        };
        let ended = within(PATIENCE, is_final).await;
        let report = self.service.report().await;
        let log = std::fs::read_to_string(self.place("second.log")).unwrap();
        assert!(ended && report.verdict == Some(Outcome::Pass), "{report:#?}\n{log}");
        assert_eq!(self.service.takers().await, ["first", "second"]);
        let cleared = within(CLEARED_WITHIN, async || job.left(&work).is_empty()).await;
        assert!(cleared, "the second worker left: {:#?}", job.left(&work));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_fetches_is_replaced() {
    let scene = Scene::new().await;
    let release = Release::honest();
    let repository = scene.commit(&release);
    scene.service.stage(&release, &repository).await;
    let mut stalled = scene.service.stall(paths::TARBALL);
    let first = scene.worker("first");
    scene.comes_to(&mut stalled).await;
    scene.replaces(first, || stalled.open(), |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_checks_out_is_replaced() {
    let scene = Scene::new().await;
    let release = Release::honest();
    let repository = scene.commit(&release);
    let bare = scene.place("served/hostile.git");
    std::fs::create_dir(scene.place("served")).unwrap();
    git(&scene.place("."), &["clone", "--quiet", "--bare", &repository, bare.to_str().unwrap()]);
    git(&bare, &["update-server-info"]);
    let host = Files::serve(&scene.place("served")).await;
    // By then it is known where the address leads, and git is under way.
    let mut stalled = host.stall_at("/hostile.git/objects");
    scene.service.stage(&release, &host.url("hostile.git")).await;
    let first = scene.worker("first");
    scene.comes_to(&mut stalled).await;
    scene.replaces(first, || stalled.open(), |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_installs_is_replaced() {
    let mut scene = Scene::new().await;
    let registry = Files::serve(&scene.place("registry")).await;
    let release = peers::with_a_dependency(&scene.place("registry"), &registry);
    let repository = scene.commit(&release);
    scene.upstream.registries.default = Registry::parse(&registry.url("")).unwrap();
    scene.service.stage(&release, &repository).await;
    let mut stalled = registry.stall();
    let first = scene.worker("first");
    scene.comes_to(&mut stalled).await;
    scene.service.expect_phase(Phase::Install, PATIENCE).await;
    scene.replaces(first, || stalled.open(), |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_builds_is_replaced() {
    let scene = Scene::new().await;
    let script = format!(
        "
        const {{ execFileSync }} = require('child_process');
        execFileSync('mkfifo', ['fifo']);
        execFileSync('cat', ['fifo']);
        require('fs').writeFileSync('{BUILT}', 'built\\n');
    "
    );
    let release = Release::building(&script, "built\n");
    let repository = scene.commit(&release);
    scene.service.stage(&release, &repository).await;
    let first = scene.worker("first");
    let waits = async || first.job().reads_a_fifo();
    assert!(within(PATIENCE, waits).await, "the build never opened its FIFO");
    scene.service.expect_phase(Phase::Build, PATIENCE).await;
    scene.replaces(first, || (), |second| second.job().end_the_fifo()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_reports_is_replaced() {
    let scene = Scene::new().await;
    let release = Release::honest();
    let repository = scene.commit(&release);
    scene.service.stage(&release, &repository).await;
    let mut stalled = scene.service.stall(paths::REPORT);
    let first = scene.worker("first");
    scene.comes_to(&mut stalled).await;
    scene.replaces(first, || stalled.open(), |_| ()).await;
}
