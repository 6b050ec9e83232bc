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
