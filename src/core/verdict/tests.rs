//! What is a pass and what is not, and the sentences that people read.

use super::*;
use crate::{
    artifact::Sha256,
    compare::{Counts, FileComparison, Status, Tolerated},
    finding::Kind,
    history::{AnotherCommit, FileHistory, Seen},
    manifest::FileRecord,
    normalisation::{Applied, Normalisation},
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
    Rebuild { root_image: "host".to_owned(), ..Rebuild::ended(ending) }
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
                cause: None,
                because: None,
            })
            .collect(),
        normalisations: Vec::new(),
        tolerances: Tolerated::default(),
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
    let network = Ending::NeedsNetwork {
        phase: Phase::Build,
        asked: "registry.example".to_owned(),
        missing: false,
    };
    assert_eq!(
        sentence_of(&seen(network), None),
        "We could not rebuild left-pad 1.3.1: The build asked for registry.example, which was refused, and ended with \
         an error. This says nothing about its contents."
    );
    let error =
        Ending::PackedAfterError { step: "npm run build".to_owned(), exit_code: 2, refused: None };
    assert_eq!(
        sentence_of(&seen(error), Some(&equal())),
        "Every file of left-pad 1.3.1 is what commit 4f2c9e1 (tag v1.3.1) builds, though its build ended with an error."
    );
}

fn refused_and_failed() -> Ending {
    let refused = crate::rebuild::Refused { phase: Phase::Build, asked: "GET /x".to_owned() };
    let step = "npm run build".to_owned();
    Ending::PackedAfterError { step, exit_code: 1, refused: Some(refused) }
}

#[test]
fn a_step_that_failed_for_want_of_the_network_is_judged_by_what_it_packed() {
    let seen = seen(refused_and_failed());
    let same = judged(&seen, &equal());
    assert_eq!((same.outcome, same.findings[0].code), (Outcome::Pass, Code::BuildExitedNonzero));
    let differs = comparison(Level::Different, &[("a.js", Status::Changed)]);
    let other = judged(&seen, &differs);
    assert_eq!((other.outcome, other.class), (Outcome::Fail, Some(Class::NotRebuilt)));
    let codes: Vec<Code> = other.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::NeedsNetwork], "what is left of such a build says nothing");
}

fn rebuilt_again(varying: &[&str], further: usize) -> Observations {
    let varying = Some(varying.iter().map(|path| (*path).to_owned()).collect());
    let again = Again { ending: Ending::Packed, varying, further };
    Observations { again: Some(again), ..seen(Ending::Packed) }
}

#[test]
fn a_build_that_gives_something_else_each_time_fails_even_if_it_once_gives_the_staged_files() {
    let verdict = judged(&rebuilt_again(&["id.js"], 0), &equal());
    assert_eq!((verdict.outcome, verdict.class), (Outcome::Fail, Some(Class::Differs)));
    assert_eq!(verdict.findings[0].code, Code::NotDeterministic);
    assert_eq!(judged(&rebuilt_again(&[], 3), &equal()).outcome, Outcome::Fail);
    assert_eq!(judged(&rebuilt_again(&[], 0), &equal()).outcome, Outcome::Pass);
}

#[test]
fn what_varies_by_itself_hides_no_other_difference() {
    let differs = comparison(
        Level::Different,
        &[("id.js", Status::Changed), ("evil.js", Status::Added), ("same.js", Status::Same)],
    );
    let seen = rebuilt_again(&["id.js"], 0);
    let verdict = judged(&seen, &differs);
    let found: Vec<_> =
        verdict.findings.iter().map(|f| (f.code, f.path.as_deref().unwrap())).collect();
    assert_eq!(found, [(Code::NotDeterministic, "id.js"), (Code::FileAdded, "evil.js")]);
    assert_eq!(
        sentence_of(&seen, Some(&differs)),
        "left-pad 1.3.1 does not match its source: its build is not deterministic, and two rebuilds differ from one \
         another in 1 file."
    );
}

fn normalised(name: Normalisation) -> Comparison {
    let applied =
        Applied { name, path: "package.json".to_owned(), tokens: vec!["gitHead".to_owned()] };
    let files = [("index.js", Status::Same), ("package.json", Status::Changed)];
    Comparison { normalisations: vec![applied], ..comparison(Level::Normalised, &files) }
}

#[test]
fn what_is_normalised_passes_only_where_the_policy_allows_that_very_normalisation() {
    let seen = seen(Ending::Packed);
    let compared = normalised(Normalisation::PackageJson);
    let outcome = |allow: &[Normalisation], compared: &Comparison| {
        judge(&seen, Some(compared), &Policy { allow: allow.to_vec(), ..Policy::default() }).outcome
    };
    assert_eq!(outcome(&[], &compared), Outcome::Fail);
    assert_eq!(outcome(&[Normalisation::LineEndings], &compared), Outcome::Fail);
    assert_eq!(outcome(&[Normalisation::PackageJson], &compared), Outcome::Pass);
    let unnamed = Comparison { normalisations: Vec::new(), ..compared.clone() };
    assert_eq!(outcome(&Normalisation::ALL, &unnamed), Outcome::Fail, "a level without its reason");
    let files = [("evil.js", Status::Changed), ("package.json", Status::Changed)];
    let more = Comparison { files: comparison(Level::Normalised, &files).files, ..compared };
    assert_eq!(outcome(&Normalisation::ALL, &more), Outcome::Fail, "a change that is not named");
}

#[test]
fn what_was_let_differ_stands_in_the_sentence() {
    let seen = seen(Ending::Packed);
    let compared = normalised(Normalisation::PackageJson);
    let policy = Policy { allow: vec![Normalisation::PackageJson], ..Policy::default() };
    let verdict = judge(&seen, Some(&compared), &policy);
    let (name, version) = ("left-pad".parse().unwrap(), "1.3.1".parse().unwrap());
    assert_eq!(
        sentence(&name, &version, &seen, &verdict, Some(&compared)),
        "Every file of left-pad 1.3.1 is what commit 4f2c9e1 (tag v1.3.1) builds, but for what the policy lets differ \
         (package-json)."
    );
}

#[test]
fn the_history_explains_a_mismatch_and_excuses_nothing() {
    let file = |path: &str, seen| FileHistory { path: path.to_owned(), tagged: true, seen };
    let another = AnotherCommit { commit: "e".repeat(40), after: 1, before: 0 };
    let history = History {
        complete: true,
        commits: 3,
        files: vec![file("a.js", Seen::Nowhere), file("b.js", Seen::Unknown)],
        another: Some(another),
    };
    let seen = Observations { history: Some(history), ..seen(Ending::Packed) };
    let files = [("a.js", Status::Changed), ("b.js", Status::Changed)];
    let verdict = judged(&seen, &comparison(Level::Different, &files));
    let found: Vec<_> = verdict.findings.iter().map(|f| (f.code, f.path.as_deref())).collect();
    let expected = [
        (Code::PublishedFromAnotherCommit, None),
        (Code::FileChanged, Some("a.js")),
        (Code::FileChanged, Some("b.js")),
        (Code::InNoCommit, Some("a.js")),
    ];
    assert_eq!((verdict.outcome, found.as_slice()), (Outcome::Fail, expected.as_slice()));
    assert!(verdict.findings[0].message.contains("1 commit after the tag `v1.3.1`"));
}
