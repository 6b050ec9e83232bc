//! Fetches that end in the middle, damaged caches, and several jobs at once.

use std::{process::Command, sync::atomic::Ordering};

use super::{served::Silent, *};

/// The folder of the only repository in a cache.
fn entry(search: &Search) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(search.cache.path()).unwrap();
    entries.next().unwrap().unwrap().path().join("repository.git")
}

#[test]
fn what_a_killed_git_left_behind_does_not_stop_the_next_one() {
    let made = Made::tagged();
    let search = Search::given(&made.address());
    search.ready();
    let repository = entry(&search);
    for left in [
        "packed-refs.lock",
        "config.lock",
        "HEAD.lock",
        "shallow.lock",
        "refs/heads/main.lock",
        "refs/tags/v1.3.1.lock",
        "objects/pack/tmp_pack_AbCdEf",
        "objects/incoming-fetch/pack/x.pack",
        "objects/maintenance.lock",
    ] {
        let path = repository.join(left);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "half").unwrap();
    }
    std::fs::create_dir(repository.parent().unwrap().join("making.git")).unwrap();
    made.write("index.js", "new");
    let commit = made.commit("New");
    made.git(&["tag", "-f", "v1.3.1"]);
    assert_eq!(search.ready().source.commit, commit);
    assert!(!repository.join("objects/incoming-fetch").exists());
}

#[test]
fn a_repository_that_was_never_finished_is_not_taken_for_a_whole_one() {
    let made = Made::tagged();
    let search = Search::given(&made.address());
    search.ready();
    let repository = entry(&search);
    std::fs::remove_dir_all(&repository).unwrap();
    std::fs::create_dir(&repository).unwrap();
    assert_eq!(search.ready().source.tag, "v1.3.1");
    std::fs::remove_dir_all(repository.join("refs")).unwrap();
    assert_eq!(search.ready().source.tag, "v1.3.1");
}

#[test]
fn damaged_objects_are_brought_anew() {
    let made = Made::tagged();
    let search = Search::given(&made.address());
    search.ready();
    let packs = entry(&search).join("objects/pack");
    let mut damaged = 0;
    for file in std::fs::read_dir(packs).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "pack") {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let length = std::fs::metadata(&path).unwrap().len();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = usize::try_from(length / 2).unwrap();
            bytes[12..middle].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    assert_eq!(exported(&search.ready())["index.js"].1, "module.exports = 1\n");
}

#[test]
fn a_branch_that_became_a_folder_of_branches_is_followed() {
    let made = Made::tagged();
    made.git(&["branch", "next"]);
    let search = Search::given(&made.address());
    search.ready();
    made.git(&["branch", "-D", "next"]);
    made.git(&["branch", "next/one"]);
    let mut search = search;
    search.request.reachable = Reachable::FromBranches(vec!["next/one".to_owned()]);
    search.ready();
}

#[test]
fn several_jobs_share_one_repository() {
    let made = Made::tagged();
    let search = Search::given(&made.address());
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..4).map(|_| scope.spawn(|| search.ready().source.commit)).collect();
        let commits: Vec<String> = jobs.into_iter().map(|job| job.join().unwrap()).collect();
        assert!(commits.iter().all(|commit| *commit == commits[0]));
    });
}

#[test]
fn a_job_that_is_withdrawn_ends_git_and_leaves_the_repository_usable() {
    let silent = Silent::start();
    let search = Search::given(&silent.address());
    let cancel = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            let watch = Watch { progress: &Unheard, cancel: &cancel };
            cache(search.cache.path()).check_out(&search.wanted(), watch)
        });
        silent.wait_until_asked();
        cancel.store(true, Ordering::Relaxed);
        assert!(matches!(job.join().unwrap(), Err(super::super::CheckoutError::Cancelled)));
    });
    assert!(silent.is_left_within(Duration::from_secs(2)), "no process holds the connection");
}

/// The worker is this test's own program, started again: it fetches from the address that it is given, and is killed
/// while its git waits for an answer.
#[test]
fn a_worker_killed_in_a_fetch_takes_every_process_of_it_along() {
    const ADDRESS: &str = "COUNTERSIGN_TEST_FETCH_FROM";
    if let Ok(address) = std::env::var(ADDRESS) {
        let search = Search::given(&address);
        search.run();
        return;
    }
    let silent = Silent::start();
    let own_name =
        "checkout::tests::torn::a_worker_killed_in_a_fetch_takes_every_process_of_it_along";
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args([own_name, "--exact", "--nocapture"])
        .env(ADDRESS, silent.address())
        .spawn()
        .unwrap();
    silent.wait_until_asked();
    worker.kill().unwrap();
    assert!(silent.is_left_within(Duration::from_secs(2)), "a process of the job lives on");
    worker.wait().unwrap();
}

/// A clone without some of its files, as a partial clone or a trimmed archive of a repository is.
#[test]
fn a_clone_with_gaps_serves_with_what_it_has() {
    let made = Made::empty();
    made.write("old.bin", "only in history");
    made.commit("Before");
    std::fs::remove_file(made.path().join("old.bin")).unwrap();
    made.write("package.json", r#"{"name":"pad","version":"1.3.1"}"#);
    made.write("fixture.bin", "in the tagged tree");
    made.commit("Release 1.3.1");
    made.git(&["tag", "v1.3.1"]);
    let remove = |path: &str| {
        let blob = made.git(&["rev-parse", path]);
        let object = format!(".git/objects/{}/{}", &blob[..2], &blob[2..]);
        std::fs::remove_file(made.path().join(object)).unwrap();
    };
    remove("HEAD~1:old.bin");
    let search = Search::enrolled(&made.address());
    let checkout = search.ready();
    assert!(checkout.unavailable.is_empty(), "the tagged tree is whole: {:?}", checkout.findings);
    assert_eq!(exported(&checkout)["fixture.bin"].1, "in the tagged tree");
    remove("HEAD:fixture.bin");
    let checkout = search.ready();
    assert_eq!(checkout.unavailable, ["fixture.bin"]);
    assert!(checkout.findings[0].message.contains("`fixture.bin`"), "{:?}", checkout.findings);
    assert!(!exported(&checkout).contains_key("fixture.bin"));
}

/// What is read in place was not held against its name by git: an object under a foreign name would lend a commit's
/// hash to other files.
#[test]
fn an_object_under_a_foreign_name_is_not_believed_in_a_clone_with_gaps() {
    use std::os::unix::fs::PermissionsExt;
    let made = Made::tagged();
    made.write("gap.bin", "missing");
    made.commit("Release");
    made.git(&["tag", "-f", "v1.3.1"]);
    let object = |path: &str| {
        let blob = made.git(&["rev-parse", path]);
        made.path().join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))
    };
    let evil = made.git_fed(&["hash-object", "-w", "--stdin"], b"module.exports = evil\n");
    std::fs::remove_file(object("HEAD:gap.bin")).unwrap();
    let target = object("HEAD:index.js");
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::copy(object(&evil), &target).unwrap();
    let search = Search::given(&made.address());
    let checkout = match search.run() {
        Outcome::Undetermined { reason, .. } => {
            assert_eq!(reason.code, Code::RepositoryUnavailable);
            return;
        }
        Outcome::Ready(checkout) => checkout,
        other => panic!("{other:?}"),
    };
    let mut put = |_: &str, _: Kind, _: &[u8]| Ok::<(), super::super::CheckoutError>(());
    let error = checkout.tree.export(&mut put).unwrap_err();
    assert!(error.to_string().contains("hash mismatch"), "{error}");
}
