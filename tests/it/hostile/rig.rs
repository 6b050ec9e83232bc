//! A release of the test's own: its repository, made by the git program, and the tarball that an honest machine would have
//! staged; and a bench that runs its job with small limits. What is hostile about it is the test's affair.

use std::{
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use countersign_core::{
    Sha512, Subject, Timestamp, archive,
    finding::Code,
    policy::Policy,
    protocol::{Attempt, Job, Judged, Recorded, VerificationId},
    source::{Reachable, Reference, SourceRequest, Trust},
    verdict::Outcome,
};
use countersign_worker::{
    job::{self, Output, Tools},
    progress::{Unheard, Watch},
    reach::Reach,
    settings::{RebuildLimits, Settings},
    toolchain::default_folder,
    upstream::{Secret, UpstreamConfig},
};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

/// The package of these tests.
pub(crate) const NAME: &str = "hostile";
/// Its version.
pub(crate) const VERSION: &str = "1.0.0";
/// The tag of that version.
pub(crate) const TAG: &str = "v1.0.0";
/// The file that its `prepack` writes.
pub(crate) const BUILT: &str = "out.txt";
/// A job that is not done by then is broken, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// When every commit of these tests was made.
const COMMITTED: &str = "2026-01-15T12:00:00Z";

/// A package before it is tagged and packed.
#[derive(Clone)]
pub(crate) struct Release {
    /// The files of the commit.
    pub(crate) committed: Vec<(String, String)>,
    /// The files of the staged tarball.
    pub(crate) packed: Vec<(String, String)>,
}

impl Release {
    /// A package whose `prepack` is this node script; an honest one writes `built` into [`BUILT`].
    pub(crate) fn building(script: &str, built: &str) -> Self {
        let package = format!(
            r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}"],"scripts":{{"prepack":"node prepack.js"}}}}"#
        );
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        Self {
            committed: vec![file("package.json", &package), file("prepack.js", script)],
            packed: vec![file("package.json", &package), file(BUILT, built)],
        }
    }

    /// One that does no harm.
    pub(crate) fn honest() -> Self {
        let script = format!("require('fs').writeFileSync('{BUILT}', 'built\\n');\n");
        Self::building(&script, "built\n")
    }

    /// With a package.json of this text at the tag.
    pub(crate) fn tagged_as(mut self, package_json: &str) -> Self {
        self.committed.retain(|(path, _)| path != "package.json");
        self.committed.push(("package.json".to_owned(), package_json.to_owned()));
        self
    }

    /// With this package.json at the tag and in the tarball.
    pub(crate) fn with_package(mut self, package_json: &str) -> Self {
        self.packed.retain(|(path, _)| path != "package.json");
        self.packed.push(("package.json".to_owned(), package_json.to_owned()));
        self.tagged_as(package_json)
    }

    /// Commits and tags it in a new repository at that path.
    pub(crate) fn commit_to(&self, repository: &Path) {
        self.prepare(repository);
        Self::commit_and_tag(repository);
    }

    /// Writes its files into a new repository at that path.
    pub(crate) fn prepare(&self, repository: &Path) {
        std::fs::create_dir(repository).unwrap();
        git(repository, &["init", "--quiet", "--initial-branch=main"]);
        for (path, text) in &self.committed {
            let path = repository.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// Commits what is there, and tags it.
    pub(crate) fn commit_and_tag(repository: &Path) {
        git(repository, &["add", "--all"]);
        git(repository, &["commit", "--quiet", "--message=Release"]);
        git(repository, &["tag", TAG]);
    }

    /// The tarball as npm packs it: one root folder, plain files, one gzip member.
    pub(crate) fn tgz(&self) -> Bytes {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
        for (path, text) in &self.packed {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mtime(499_162_500);
            builder.append_data(&mut header, format!("package/{path}"), text.as_bytes()).unwrap();
        }
        Bytes::from(builder.into_inner().unwrap().finish().unwrap())
    }
}

/// Runs git with no configuration but its own, as a fixed author at a fixed time.
pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    git_at(folder, COMMITTED, arguments);
}

/// The same at another time.
pub(crate) fn git_at(folder: &Path, time: &str, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_DATE", time)
        .env("GIT_COMMITTER_DATE", time)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
}

/// The cache that `check` uses too, so that a toolchain is downloaded once.
pub(crate) fn cache() -> std::path::PathBuf {
    let is_root = rustix::process::geteuid().is_root();
    default_folder(|name| std::env::var(name).ok(), is_root).unwrap()
}

/// A folder whose name the build's own user may pass through.
pub(crate) fn passable_folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("countersign-").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

/// Limits that a script reaches soon and an honest one never.
pub(crate) fn small_limits() -> RebuildLimits {
    RebuildLimits {
        seconds: Some(90),
        silence_seconds: Some(45),
        memory_bytes: Some(256 << 20),
        disk_bytes: Some(64 << 20),
        processes: Some(96),
        output_bytes: Some(1 << 20),
    }
}

/// What a job came to.
pub(crate) struct Told {
    /// The verdict and what it rests on.
    pub(crate) judged: Judged,
    /// The rebuilt tarball.
    pub(crate) rebuilt: Option<Bytes>,
    log: String,
}

impl Told {
    /// The codes of the verdict's findings.
    pub(crate) fn codes(&self) -> Vec<Code> {
        self.judged.verdict.findings.iter().map(|finding| finding.code).collect()
    }

    /// Refuses anything but this verdict with this finding among its reasons.
    pub(crate) fn expect(&self, outcome: Outcome, code: Code) {
        let findings = &self.judged.verdict.findings;
        let found = findings.iter().any(|finding| finding.code == code);
        assert!(
            self.judged.verdict.outcome == outcome && found,
            "{outcome:?} with {code} expected, and this came: {:?} {findings:#?}\n{}",
            self.judged.verdict.outcome,
            self.log
        );
        for finding in findings {
            println!("{}: {}", finding.code, finding.message);
        }
    }

    /// Refuses anything but a pass.
    pub(crate) fn expect_pass(&self) {
        let verdict = &self.judged.verdict;
        assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}\n{}", verdict.findings, self.log);
    }

    /// What the steps printed.
    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    /// A file of the rebuilt tarball, as text.
    pub(crate) fn rebuilt_text(&self, path: &str) -> String {
        text_in(self.rebuilt.as_ref().expect("a tarball was packed"), path)
    }
}

/// A file of a tarball, as text.
pub(crate) fn text_in(tarball: &[u8], path: &str) -> String {
    let archive = archive::read(tarball).unwrap();
    String::from_utf8(archive.get(path).unwrap().to_vec()).unwrap()
}

/// Everything that jobs need, opened once, as one worker would.
pub(crate) struct Bench {
    folder: TempDir,
    tools: Tools,
}

impl Bench {
    /// One with these limits.
    pub(crate) fn with(limits: RebuildLimits) -> Self {
        Self::reaching(limits, UpstreamConfig::from_environment().unwrap())
    }

    /// One with these limits and these registries.
    pub(crate) fn reaching(limits: RebuildLimits, upstream: UpstreamConfig) -> Self {
        let folder = passable_folder();
        let tools = open(&folder, limits, upstream);
        Self { folder, tools }
    }

    /// The same with other limits: an honest job needs its time where the machine has much to do.
    pub(crate) fn limited_to(self, limits: RebuildLimits) -> Self {
        let tools = open(&self.folder, limits, UpstreamConfig::from_environment().unwrap());
        Self { tools, ..self }
    }

    /// One with [`small_limits`].
    pub(crate) fn new() -> Self {
        Self::with(small_limits())
    }

    /// A place for a repository.
    pub(crate) fn place(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Commits, stages and verifies a release.
    pub(crate) async fn verify(&self, release: &Release) -> Told {
        let repository = self.place(&format!("repository-{}", uuid::Uuid::new_v4()));
        release.commit_to(&repository);
        let staged = release.tgz();
        let job = job(&staged, repository.to_str().unwrap());
        self.run(&job, &staged).await
    }

    /// Runs a job that comes to a verdict.
    pub(crate) async fn run(&self, job: &Job, staged: &Bytes) -> Told {
        let output = self.attempt(job, staged).await;
        let Attempt::Judged(judged) = output.attempt else { panic!("{:?}", output.attempt) };
        let log = output.log.unwrap_or_default();
        Told { judged: *judged, rebuilt: output.rebuilt, log }
    }

    /// Runs a job, and ends it where it takes for ever.
    pub(crate) async fn attempt(&self, job: &Job, staged: &Bytes) -> Output {
        let cancel = std::sync::Arc::new(AtomicBool::new(false));
        let (done, ended) = mpsc::channel::<()>();
        let watched = std::sync::Arc::clone(&cancel);
        std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                watched.store(true, Ordering::Relaxed);
            }
        });
        let watch = Watch { progress: &Unheard, cancel: &cancel };
        let output = job::run(job, staged, &self.tools, watch).await.unwrap();
        drop(done);
        output
    }

    /// Refuses a bench on which an honest release does not pass any more, or where something was left behind.
    pub(crate) async fn goes_on(&self) {
        self.verify(&Release::honest()).await.expect_pass();
        let slots = self.place("work").join("slots");
        let left: Vec<_> = std::fs::read_dir(&slots)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "work areas are left behind");
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let work = self.place("work").display().to_string();
        assert!(!mounts.contains(&work), "mounts are left behind:\n{mounts}");
    }
}

fn open(folder: &TempDir, limits: RebuildLimits, upstream: UpstreamConfig) -> Tools {
    let settings = Settings {
        service: String::new(),
        token: Secret::new(""),
        name: "test".to_owned(),
        upstream,
        cache: cache(),
        work: folder.path().join("work"),
        reach: Reach::default(),
        limits,
    };
    // The test's own program is no door to the sandbox.
    Tools::open(&settings).unwrap().with_init(env!("CARGO_BIN_EXE_countersign").into())
}

/// The job of a tarball that was staged from that repository.
pub(crate) fn job(staged: &[u8], repository: &str) -> Job {
    Job {
        verification: VerificationId(uuid::Uuid::new_v4()),
        attempt: 1,
        subject: Subject {
            registry: "https://registry.example".to_owned(),
            name: NAME.parse().unwrap(),
            version: VERSION.parse().unwrap(),
            sha512: Sha512::of(staged),
            manifest_sha256: None,
            dist_tag: Some("latest".to_owned()),
            access: None,
        },
        source: SourceRequest {
            trust: Trust::Given,
            repository: Some(repository.parse().unwrap()),
            directory: None,
            reference: Reference::Named(TAG.to_owned()),
            reachable: Reachable::FromAnyRef,
            enrolment_revision: None,
            first_sight: None,
            claims: Vec::new(),
        },
        policy: Policy::default(),
        plan: countersign_core::plan::Given::default(),
        staged_at: "2026-01-16T12:00:00Z".parse::<Timestamp>().unwrap(),
        recorded: Recorded::default(),
    }
}
