//! Whole jobs that are not settled at the first rebuild: other candidates, builds that give something else each time,
//! tarballs of another commit or folder. Real git, real pinned node and npm, real sandbox.

use std::path::Path;

use bytes::Bytes;
use countersign_core::{
    cause::Cause,
    compare::Level,
    finding::{Class, Code},
    normalisation::Normalisation,
    report::{ArtifactPart, Enforcement, Frame, Next, Report, State},
    source::EvidenceKind,
    verdict::Outcome,
};
use serde_json::Value;

use crate::hostile::rig::{self, BUILT, Bench, NAME, Release, TAG, Told, VERSION, git};

fn file(path: &str, text: &str) -> (String, String) {
    (path.to_owned(), text.to_owned())
}

fn write(folder: &Path, files: &[(String, String)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A package that nothing builds.
fn plain() -> Release {
    let package = format!(r#"{{"name":"{NAME}","version":"{VERSION}","main":"index.js"}}"#);
    let files = vec![file("package.json", &package), file("index.js", "module.exports = 1\n")];
    Release { committed: files.clone(), packed: files }
}

/// With this file staged in place of the one that was committed.
fn staging(mut release: Release, path: &str, text: &str) -> Release {
    release.packed.retain(|(other, _)| other != path);
    release.packed.push(file(path, text));
    release
}

async fn verify_in(bench: &Bench, repository: &Path, staged: &Bytes) -> Told {
    bench.run(&rig::job(staged, repository.to_str().unwrap()), staged).await
}

/// npm up to 6 packs CHANGELOG whatever `files` says. Whichever of the two a release of 2021 is packed with, one candidate
/// gives it, and the report says what the others gave.
#[tokio::test(flavor = "multi_thread")]
async fn the_candidate_that_matches_ends_the_search_and_the_others_say_what_they_gave() {
    let package = format!(r#"{{"name":"{NAME}","version":"{VERSION}","files":["index.js"]}}"#);
    let committed = vec![
        file("package.json", &package),
        file("index.js", "1\n"),
        file("CHANGELOG.md", "# 1.0.0\n"),
    ];
    let bench = Bench::new();
    let repository = bench.place("of-2021");
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    write(&repository, &committed);
    git(&repository, &["add", "--all"]);
    let date = "2021-06-01T12:00:00Z";
    rig::git_at(&repository, date, &["commit", "--quiet", "--message=Release"]);
    git(&repository, &["tag", TAG]);
    let mut tried = Vec::new();
    for with_changelog in [true, false] {
        let mut packed = committed.clone();
        packed.retain(|(path, _)| with_changelog || path != "CHANGELOG.md");
        let told =
            verify_in(&bench, &repository, &Release { committed: Vec::new(), packed }.tgz()).await;
        told.expect_pass();
        let seen = &told.judged.observations;
        let digest = seen.plan.as_ref().unwrap().digest();
        let others = &seen.other_candidates;
        assert!(!others.is_empty() && others.iter().all(|other| other.plan.digest() != digest));
        assert!(seen.again.is_none(), "nothing is rebuilt again after a match");
        tried.extend(others.iter().filter_map(|other| other.gave.clone()));
    }
    let missed: Vec<_> = tried.iter().filter(|gave| gave.level == Some(Level::Different)).collect();
    assert!(!missed.is_empty() && missed.iter().all(|gave| gave.differing == Some(1)), "{tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_gives_something_else_each_time_is_not_deterministic() {
    let script = format!(
        "require('fs').writeFileSync('{BUILT}', require('crypto').randomBytes(8).toString('hex'));"
    );
    let release = Release::building(&script, "0123456789abcdef");
    let told = Bench::new().verify(&release).await;
    told.expect(Outcome::Fail, Code::NotDeterministic);
    let verdict = &told.judged.verdict;
    assert_eq!(verdict.class, Some(Class::Differs));
    let first = &verdict.findings[0];
    assert_eq!((first.code, first.path.as_deref()), (Code::NotDeterministic, Some(BUILT)));
    assert!(!told.codes().contains(&Code::FileChanged), "the build is what is to be mended");
    let comparison = told.judged.comparison.as_ref().unwrap();
    let built = comparison.files.iter().find(|file| file.path == BUILT).unwrap();
    assert_eq!(built.cause, Some(Cause::NotDeterministic));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_of_a_steady_build_is_a_file_finding_after_a_second_rebuild() {
    let told = Bench::new().verify(&staging(Release::honest(), BUILT, "evil\n")).await;
    told.expect(Outcome::Fail, Code::FileChanged);
    told.expect(Outcome::Fail, Code::InNoCommit);
    let again = told.judged.observations.again.as_ref().unwrap();
    assert_eq!(again.varying.as_deref(), Some(&[][..]));
}

/// Asks a resolver for a host and ends with an error where it is refused.
fn asking_elsewhere(staged: &str) -> Release {
    let script = format!(
        "require('fs').writeFileSync('{BUILT}', 'built\\n');
         require('dns').lookup('attacker.example', error => process.exit(error ? 1 : 0));"
    );
    Release::building(&script, staged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_failed_for_want_of_the_network_is_judged_by_what_it_made() {
    let bench = Bench::new();
    let same = bench.verify(&asking_elsewhere("built\n")).await;
    same.expect(Outcome::Pass, Code::BuildExitedNonzero);
    assert!(!same.judged.observations.rebuild.as_ref().unwrap().network.is_empty());
    let other = bench.verify(&asking_elsewhere("other\n")).await;
    other.expect(Outcome::Fail, Code::NeedsNetwork);
    assert_eq!(other.judged.verdict.class, Some(Class::NotRebuilt));
    assert!(other.judged.observations.again.is_none(), "a second one would say nothing either");
}

/// Let through, the build would pack whatever was published.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_unpacks_its_own_published_tarball_needs_the_network() {
    let script = format!(
        "const {{ execSync }} = require('child_process');
         execSync('npm pack {NAME}@{VERSION} && tar -xzf {NAME}-{VERSION}.tgz --strip-components=1');"
    );
    let told = Bench::new().verify(&Release::building(&script, "built\n")).await;
    told.expect(Outcome::Fail, Code::NeedsNetwork);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tarball_of_the_commit_after_the_tag_names_that_commit() {
    let bench = Bench::new();
    let repository = bench.place("one-later");
    let release = plain();
    release.commit_to(&repository);
    let later = "module.exports = 2\n";
    write(&repository, &[file("index.js", later)]);
    git(&repository, &["commit", "--quiet", "--all", "--message=Later"]);
    let told = verify_in(&bench, &repository, &staging(release, "index.js", later).tgz()).await;
    told.expect(Outcome::Fail, Code::PublishedFromAnotherCommit);
    let first = &told.judged.verdict.findings[0];
    assert_eq!(first.code, Code::PublishedFromAnotherCommit);
    assert!(
        first.message.contains(&format!("1 commit after the tag `{TAG}`")),
        "{}",
        first.message
    );
    told.expect(Outcome::Fail, Code::EvidenceDisagrees);
    let source = told.judged.observations.source.as_ref().unwrap();
    let kinds: Vec<_> = source.evidence.iter().map(|e| (e.kind, e.agrees)).collect();
    let expected = [
        (EvidenceKind::Tag, true),
        (EvidenceKind::VersionHistory, true),
        (EvidenceKind::BlobOverlap, false),
    ];
    assert_eq!(kinds, expected);
}

/// Both folders are the package by name and version; the code of one must not pass for that of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_tarball_of_a_second_folder_with_the_same_name_and_version_fails() {
    let bench = Bench::new();
    let repository = bench.place("twice");
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    let package = format!(r#"{{"name":"{NAME}","version":"{VERSION}"}}"#);
    let honest = [file("package.json", &package), file("index.js", "good()\n")];
    let second = [file("package.json", &package), file("index.js", "evil()\n")];
    let below = |folder: &str, files: &[(String, String)]| -> Vec<(String, String)> {
        files.iter().map(|(path, text)| (format!("{folder}/{path}"), text.clone())).collect()
    };
    write(&repository, &below("packages/pad", &honest));
    write(&repository, &below("examples/pad", &second));
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--message=Release"]);
    git(&repository, &["tag", TAG]);
    let staged = Release { committed: Vec::new(), packed: second.to_vec() }.tgz();
    verify_in(&bench, &repository, &staged).await.expect(Outcome::Fail, Code::PlanAmbiguous);
    let naming_itself = package.replacen(
        '{',
        r#"{"repository":{"url":"https://git.example/o/r","directory":"examples/pad"},"#,
        1,
    );
    let packed = vec![file("package.json", &naming_itself), second[1].clone()];
    let claiming = Release { committed: Vec::new(), packed }.tgz();
    verify_in(&bench, &repository, &claiming).await.expect(Outcome::Fail, Code::PlanAmbiguous);
    let mut job = rig::job(&staged, repository.to_str().unwrap());
    job.source.directory = Some("packages/pad".parse().unwrap());
    bench.run(&job, &staged).await.expect(Outcome::Fail, Code::FileChanged);
    let own = Release { committed: Vec::new(), packed: honest.to_vec() }.tgz();
    let mut job = rig::job(&own, repository.to_str().unwrap());
    job.source.directory = Some("packages/pad".parse().unwrap());
    bench.run(&job, &own).await.expect_pass();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_lets_differ_passes_by_name_and_nothing_else_does() {
    let bench = Bench::new();
    let repository = bench.place("normalised");
    let mut release = plain();
    release.committed.push(file("README.md", "# pad\n"));
    release.packed.push(file("README.md", "# pad\r\n"));
    release.commit_to(&repository);
    let allowed = async |staged: Bytes, allow: &[Normalisation]| {
        let mut job = rig::job(&staged, repository.to_str().unwrap());
        job.policy.allow = allow.to_vec();
        bench.run(&job, &staged).await
    };
    let told = allowed(release.tgz(), &[Normalisation::LineEndings]).await;
    told.expect_pass();
    assert_eq!(told.judged.verdict.level, Some(Level::Normalised));
    assert!(told.judged.observations.again.is_none());
    let off = allowed(release.tgz(), &[]).await;
    off.expect(Outcome::Fail, Code::FileChanged);
    let cause = off.judged.comparison.as_ref().unwrap().files.iter().find_map(|file| file.cause);
    assert_eq!(cause, Some(Cause::LineEndings));
    let evil = staging(release, "index.js", "module.exports = evil()\n");
    let told = allowed(evil.tgz(), &Normalisation::ALL).await;
    told.expect(Outcome::Fail, Code::FileChanged);
}

/// The report of a job without what has to differ: ids, times, memory, the order of requests.
fn report(told: &Told, staged: &Bytes) -> Value {
    let job = rig::job(staged, "/nowhere");
    let frame = Frame {
        id: "the-same".to_owned(),
        state: State::Final,
        next: Next {
            who: "nobody".to_owned(),
            what: "Nothing.".to_owned(),
            command: None,
            url: None,
        },
        links: std::collections::BTreeMap::new(),
        artifact: ArtifactPart::of(&job.subject, None, None),
        enforcement: Enforcement::Advisory,
        attempts: 1,
    };
    let mut report = serde_json::to_value(Report::judged(frame, &told.judged)).unwrap();
    report["timings_ms"] = Value::Null;
    report["rebuild"]["peak_memory_bytes"] = Value::Null;
    let requests = report["rebuild"]["network"].as_array_mut().unwrap();
    requests.sort_by_key(ToString::to_string);
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_one_job_give_the_same_report() {
    let bench = Bench::new();
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}"],"scripts":{{"prepack":"node prepack.js"}},
            "devDependencies":{{"@types/estree":"1.0.5"}}}}"#
    );
    let release = staging(Release::honest().with_package(&package), BUILT, "evil\n");
    let repository = bench.place("twice-alike");
    release.commit_to(&repository);
    let staged = release.tgz();
    let job = rig::job(&staged, repository.to_str().unwrap());
    let first = bench.run(&job, &staged).await;
    let second = bench.run(&job, &staged).await;
    first.expect(Outcome::Fail, Code::FileChanged);
    assert_eq!(report(&first, &staged), report(&second, &staged));
}
