//! Input that cannot be rebuilt or is not what it says: each has its own code, and nothing is left behind.

use bytes::Bytes;
use countersign_core::{archive::Rule, finding::Code, protocol::Attempt, verdict::Outcome};

use super::rig::{BUILT, Bench, Release, TAG, git, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_and_leaves_nothing_to_pack_failed() {
    // A file that it removed would be put back. Into a folder that is closed nobody comes.
    let script = "require('fs').chmodSync('.', 0); process.exit(1);";
    let bench = Bench::new();
    let told = bench.verify(&Release::building(script, "built\n")).await;
    told.expect(Outcome::Fail, Code::BuildFailed);
    bench.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_before_it_wrote_everything_is_no_pass() {
    let bench = Bench::new();
    let told = bench.verify(&Release::building("process.exit(1);", "built\n")).await;
    told.expect(Outcome::Fail, Code::FileAdded);
    assert!(told.codes().contains(&Code::BuildExitedNonzero), "{:?}", told.codes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_package_json_has_another_name_names_another_package() {
    let bench = Bench::new();
    let release = Release::honest().tagged_as(r#"{"name":"other","version":"1.0.0"}"#);
    let told = bench.verify(&release).await;
    told.expect(Outcome::Fail, Code::TagNamesAnotherPackage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_package_json_has_another_version_names_another_package() {
    let bench = Bench::new();
    let release = Release::honest().tagged_as(r#"{"name":"hostile","version":"1.0.1"}"#);
    let told = bench.verify(&release).await;
    told.expect(Outcome::Fail, Code::TagNamesAnotherPackage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_not_there_is_told_by_its_name() {
    let (bench, release) = (Bench::new(), Release::honest());
    let repository = bench.place("repository");
    release.commit_to(&repository);
    git(&repository, &["tag", "--delete", TAG]);
    let staged = release.tgz();
    let output = bench.attempt(&job(&staged, repository.to_str().unwrap()), &staged).await;
    assert_eq!(output.attempt, Attempt::TagMissing { tag: TAG.to_owned() });
    assert!(output.rebuilt.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_has_no_tag() {
    let bench = Bench::new();
    let repository = bench.place("repository");
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet"]);
    let staged = Release::honest().tgz();
    let output = bench.attempt(&job(&staged, repository.to_str().unwrap()), &staged).await;
    assert_eq!(output.attempt, Attempt::TagMissing { tag: TAG.to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_reached_says_nothing_about_the_package() {
    let bench = Bench::new();
    // A port that was free a moment ago and is never listened on: nothing answers there.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hostile.git", taken.local_addr().unwrap());
    drop(taken);
    let staged = Release::honest().tgz();
    let told = bench.run(&job(&staged, &address), &staged).await;
    told.expect(Outcome::Inconclusive, Code::RepositoryUnavailable);
    bench.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_gzip_is_refused_before_anything_else() {
    let bench = Bench::new();
    let staged = Bytes::from_static(b"not a tarball at all");
    // There is no such repository, and nobody asks for it.
    let told = bench.run(&job(&staged, "/nonexistent/repository"), &staged).await;
    told.expect(Outcome::Fail, Code::Archive(Rule::NotGzip));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tarball_without_package_json_is_refused() {
    let bench = Bench::new();
    let mut release = Release::honest();
    release.packed.retain(|(path, _)| path == BUILT);
    let told = bench.verify(&release).await;
    told.expect(Outcome::Fail, Code::Archive(Rule::PackageJsonMissing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tarball_of_another_name_than_staged_disagrees() {
    let bench = Bench::new();
    let mut release = Release::honest();
    for (path, text) in &mut release.packed {
        if path == "package.json" {
            *text = text.replace("\"hostile\"", "\"other\"");
        }
    }
    let told = bench.verify(&release).await;
    told.expect(Outcome::Fail, Code::ManifestDisagrees);
}
