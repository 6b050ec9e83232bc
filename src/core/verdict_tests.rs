//! What is a pass and what is not, and the sentences that people read.

use super::*;
use crate::{
    artifact::Sha256,
    compare::Counts,
    manifest::FileRecord,
    plan::{Clock, Install, Step},
    rebuild::{Ending, Phase},
    source::Trust,
    timestamp::Timestamp,
};

fn source() -> Source {
    Source {
        trust: Trust::Enrolled,
        repository: "https://git.example/left-pad".parse().unwrap(),
        directory: "".parse().unwrap(),
        tag: "v1.3.1".to_owned(),
        commit: "4f2c9e1000000000000000000000000000000000".to_owned(),
        commit_time: Timestamp::from_seconds(1_800_000_000),
        enrolment_revision: Some(1),
        evidence: Vec::new(),
    }
}

fn plan() -> Plan {
    let tool = |name: &str| {
        serde_json::from_value(serde_json::json!({ "name": name, "version": "11.19.1" })).unwrap()
    };
    Plan {
        node: tool("node"),
        npm: tool("npm"),
        package_manager: tool("npm"),
        packer: tool("npm"),
        directory: "".parse().unwrap(),
        install: Install::None,
        build: Vec::new(),
        pack: Step {
            argv: vec!["npm".into(), "pack".into()],
            cwd: "".parse().unwrap(),
            env: Vec::new(),
        },
        cutoff: Timestamp::from_seconds(1_800_000_000),
        clock: Clock::Real,
        put_back: false,
        why: Vec::new(),
    }
}

fn rebuild(ending: Ending) -> Rebuild {
    Rebuild {
        ending,
        peak_memory_bytes: None,
        root_image: "host".to_owned(),
        network: Vec::new(),
        dependencies_pinned: true,
        cutoff_unreliable: false,
        reused: None,
        dependencies: Vec::new(),
    }
}

fn seen(ending: Ending) -> Observations {
    Observations {
        source: Some(source()),
        plan: Some(plan()),
        rebuild: Some(rebuild(ending)),
        ..Observations::default()
    }
}

fn comparison(level: Level, statuses: &[(&str, Status)]) -> Comparison {
    let count = |wanted| statuses.iter().filter(|(_, status)| *status == wanted).count();
    let record = FileRecord { executable: false, bytes: 1, sha256: Sha256::of(b"x") };
    Comparison {
        level,
        counts: Counts {
            same: count(Status::Same),
            added: count(Status::Added),
            missing: count(Status::Missing),
            changed: count(Status::Changed),
            mode_changed: count(Status::ModeChanged),
        },
        files: statuses
            .iter()
            .map(|(path, status)| FileComparison {
                path: (*path).to_owned(),
                status: *status,
                staged: Some(record),
                rebuilt: Some(record),
            })
            .collect(),
    }
}

fn equal() -> Comparison {
    comparison(Level::IdenticalFiles, &[("index.js", Status::Same)])
}

fn judged(seen: &Observations, comparison: &Comparison) -> Verdict {
    judge(seen, Some(comparison), &Policy::default())
}

#[test]
fn equal_files_from_a_believed_source_pass() {
    let verdict = judged(&seen(Ending::Packed), &equal());
    assert_eq!(
        (verdict.outcome, verdict.class, verdict.level),
        (Outcome::Pass, None, Some(Level::IdenticalFiles))
    );
}

#[test]
fn whatever_is_missing_from_the_chain_is_never_a_pass() {
    let whole = seen(Ending::Packed);
    let gaps = [
        Observations { source: None, ..whole.clone() },
        Observations { plan: None, ..whole.clone() },
        Observations { rebuild: None, ..whole.clone() },
        Observations::default(),
    ];
    for gap in gaps {
        assert_eq!(judged(&gap, &equal()).outcome, Outcome::Inconclusive, "{gap:?}");
    }
    assert_eq!(judge(&whole, None, &Policy::default()).outcome, Outcome::Inconclusive);
}

#[test]
fn no_fail_finding_is_outweighed_by_equal_files() {
    for &code in Code::ALL {
        let Kind::Fail(class) = code.kind() else { continue };
        let mut observations = seen(Ending::Packed);
        observations.findings.push(Finding::new(code, "because."));
        let verdict = judged(&observations, &equal());
        assert_eq!((verdict.outcome, verdict.class), (Outcome::Fail, Some(class)), "{code}");
    }
}

#[test]
fn an_archive_or_source_finding_ends_it_without_a_level() {
    for code in [Code::ManifestDisagrees, Code::TagMoved] {
        let mut observations = seen(Ending::Packed);
        observations.findings.push(Finding::new(code, "because."));
        assert_eq!(judged(&observations, &equal()).level, None);
    }
}

#[test]
fn what_we_could_not_find_out_is_not_the_packages_fault() {
    let mut observations = seen(Ending::Packed);
    observations.findings.push(Finding::new(Code::TagMoved, "because."));
    observations.undetermined =
        Some(Finding::new(Code::RegistryUnavailable, "The registry did not answer."));
    let verdict = judged(&observations, &equal());
    assert_eq!((verdict.outcome, verdict.class), (Outcome::Inconclusive, None));
}

#[test]
fn each_difference_is_a_finding_with_its_path() {
    let statuses = [
        ("README.md", Status::Changed),
        ("dist/index.js", Status::Changed),
        ("evil.js", Status::Added),
        ("gone.js", Status::Missing),
        ("cli.js", Status::ModeChanged),
        ("same.js", Status::Same),
    ];
    let verdict = judged(&seen(Ending::Packed), &comparison(Level::Different, &statuses));
    assert_eq!((verdict.outcome, verdict.class), (Outcome::Fail, Some(Class::Differs)));
    let found: Vec<_> =
        verdict.findings.iter().map(|f| (f.code, f.path.as_deref().unwrap())).collect();
    let expected = [
        (Code::FileAdded, "evil.js"),
        (Code::FileChanged, "dist/index.js"),
        (Code::FileChanged, "README.md"),
        (Code::ExecutableBitChanged, "cli.js"),
        (Code::FileMissing, "gone.js"),
    ];
    assert_eq!(found, expected, "most dangerous first");
}

#[test]
fn different_archives_fail_even_if_no_file_says_why() {
    for level in [Level::Different, Level::Normalised] {
        assert_eq!(
            judged(&seen(Ending::Packed), &comparison(level, &[])).outcome,
            Outcome::Fail,
            "{level:?}"
        );
    }
}

#[test]
fn a_build_that_did_not_end_is_not_rebuilt() {
    let verdict =
        judge(&seen(Ending::Silent { phase: Phase::Build, seconds: 3 }), None, &Policy::default());
    assert_eq!((verdict.outcome, verdict.class), (Outcome::Fail, Some(Class::NotRebuilt)));
    assert_eq!(verdict.findings[0].code, Code::BuildSilent);
}

#[test]
fn a_policy_makes_a_warning_a_fail() {
    let mut observations = seen(Ending::Packed);
    observations.rebuild.as_mut().unwrap().dependencies_pinned = false;
    assert_eq!(judged(&observations, &equal()).outcome, Outcome::Pass);
    let strict = Policy { fail_on: vec![Code::DependenciesUnpinned], ..Policy::default() };
    assert_eq!(judge(&observations, Some(&equal()), &strict).outcome, Outcome::Fail);
}

fn sentence_of(observations: &Observations, comparison: Option<&Comparison>) -> String {
    let verdict = judge(observations, comparison, &Policy::default());
    sentence(
        &"left-pad".parse().unwrap(),
        &"1.3.1".parse().unwrap(),
        observations,
        &verdict,
        comparison,
    )
}

#[test]
fn the_sentences_are_those_of_the_contract() {
    let same_bytes = comparison(Level::IdenticalTarball, &[("index.js", Status::Same)]);
    assert_eq!(
        sentence_of(&seen(Ending::Packed), Some(&same_bytes)),
        "left-pad 1.3.1 is exactly what commit 4f2c9e1 (tag v1.3.1) builds."
    );
    assert_eq!(
        sentence_of(&seen(Ending::Packed), Some(&equal())),
        "Every file of left-pad 1.3.1 is what commit 4f2c9e1 (tag v1.3.1) builds."
    );
    let two = comparison(Level::Different, &[("a.js", Status::Changed), ("b.js", Status::Added)]);
    assert_eq!(
        sentence_of(&seen(Ending::Packed), Some(&two)),
        "left-pad 1.3.1 does not match its source: 1 file was changed and 1 added."
    );
    let network =
        Ending::NeedsNetwork { phase: Phase::Build, asked: "registry.example".to_owned() };
    assert_eq!(
        sentence_of(&seen(network), None),
        "We could not rebuild left-pad 1.3.1: The build asked for registry.example, which was refused, and ended with \
         an error. This says nothing about its contents."
    );
    let error = Ending::PackedAfterError { step: "npm run build".to_owned(), exit_code: 2 };
    assert_eq!(
        sentence_of(&seen(error), Some(&equal())),
        "Every file of left-pad 1.3.1 is what commit 4f2c9e1 (tag v1.3.1) builds, though its build ended with an error."
    );
}
