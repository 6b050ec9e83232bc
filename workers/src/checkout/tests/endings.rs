//! What is not found, or may not be believed: each with its own code and a sentence that names the thing.

use super::{served::Silent, *};

#[test]
fn a_tag_that_is_not_there_yet_is_no_verdict() {
    let made = Made::tagged();
    let mut search = Search::enrolled(&made.address());
    search.request.reference = Reference::Named("v1.3.2".to_owned());
    let (tag, finding) = search.missing();
    assert_eq!((tag.as_str(), finding.code), ("v1.3.2", Code::TagNotFound));
    assert_eq!(finding.fix.as_deref(), Some("git tag v1.3.2 && git push origin v1.3.2"));
    made.git(&["tag", "v1.3.2", "v1.3.1"]);
    assert_eq!(search.ready().source.tag, "v1.3.2", "it is seen as soon as it is pushed");
    made.git(&["tag", "-d", "v1.3.2"]);
    assert_eq!(search.missing().0, "v1.3.2", "and a tag that was taken away is gone");
}

#[test]
fn an_empty_repository_says_so() {
    let made = Made::empty();
    let (_, finding) = Search::enrolled(&made.address()).missing();
    assert!(finding.message.contains("is empty"), "{}", finding.message);
}

#[test]
fn a_commit_cannot_be_named_by_its_hash_nor_by_a_pull_request() {
    let made = Made::tagged();
    let commit = made.git(&["rev-parse", "HEAD"]);
    made.git(&["update-ref", "refs/pull/1/head", &commit]);
    for reference in [commit.as_str(), "refs/pull/1/head", &commit[..12], "HEAD", "main"] {
        let mut search = Search::given(&made.address());
        search.request.reference = Reference::Named(reference.to_owned());
        assert_eq!(search.missing().1.code, Code::TagNotFound, "{reference}");
    }
    for reference in ["refs/heads/main", "refs/tags/v1.3.1"] {
        let mut search = Search::given(&made.address());
        search.request.reference = Reference::Named(reference.to_owned());
        assert_eq!(search.ready().source.commit, commit, "{reference}");
        search.request.trust = Trust::Enrolled;
        assert_eq!(search.missing().1.code, Code::TagNotFound, "an enrolled tag is only a tag");
    }
}

#[test]
fn a_tag_of_another_package_or_version_is_named_with_what_it_holds() {
    for (package, expected) in [
        (r#"{"name":"other","version":"1.3.1"}"#, "the name `other` and the version `1.3.1`"),
        (r#"{"name":"pad","version":"1.3.0"}"#, "the name `pad` and the version `1.3.0`"),
        (r#"{"name":"pad","name":"pad","version":"1.3.1"}"#, "that can be read"),
        ("{", "that can be read"),
    ] {
        let made = Made::tagged();
        made.write("package.json", package);
        made.commit("Another");
        made.git(&["tag", "-f", "v1.3.1"]);
        let findings = Search::enrolled(&made.address()).refused();
        assert_eq!(codes(&findings), [Code::TagNamesAnotherPackage]);
        assert!(findings[0].message.contains(expected), "{}", findings[0].message);
    }
    let made = Made::tagged();
    let tree = made.git(&["rev-parse", "HEAD^{tree}"]);
    made.git(&["tag", "-f", "v1.3.1", &tree]);
    let findings = Search::enrolled(&made.address()).refused();
    assert!(findings[0].message.contains("does not name a commit"), "{}", findings[0].message);
}

#[test]
fn a_package_json_that_is_a_link_is_none() {
    let made = Made::tagged();
    made.write("real.json", r#"{"name":"pad","version":"1.3.1"}"#);
    std::fs::remove_file(made.path().join("package.json")).unwrap();
    std::os::unix::fs::symlink("real.json", made.path().join("package.json")).unwrap();
    made.commit("Link");
    made.git(&["tag", "-f", "v1.3.1"]);
    let findings = Search::enrolled(&made.address()).refused();
    assert_eq!(codes(&findings), [Code::TagNamesAnotherPackage]);
}

#[test]
fn a_repository_that_cannot_be_reached_is_nobodys_verdict_and_git_is_quoted() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    for (address, word) in [
        (format!("http://{closed}/x.git"), "git said: fatal: unable to access"),
        (nowhere.path().join("gone").display().to_string(), "git said: "),
        (nowhere.path().display().to_string(), "git said: "),
        ("https://countersign.invalid/o/r".to_owned(), "git said: fatal: unable to access"),
    ] {
        let finding = Search::given(&address).undetermined();
        assert_eq!(finding.code, Code::RepositoryUnavailable);
        assert!(finding.message.contains(word), "{}", finding.message);
        assert!(finding.message.contains(&address), "{}", finding.message);
    }
}

#[test]
fn a_server_that_never_answers_is_left_at_the_time_limit() {
    let silent = Silent::start();
    let search = Search::given(&silent.address());
    let hasty = cache(search.cache.path()).with_time_limit(Duration::from_secs(1));
    let Outcome::Undetermined { reason, .. } = hasty.check_out(&search.wanted(), watch()).unwrap()
    else {
        panic!("a silent server was believed");
    };
    assert!(reason.message.contains("was not done after 1 s"), "{}", reason.message);
    assert!(silent.is_left_within(Duration::from_secs(2)), "no process holds the connection");
}

#[test]
fn a_tag_that_moved_since_it_was_first_seen_is_refused() {
    let made = Made::tagged();
    let first = made.git(&["rev-parse", "HEAD"]);
    let mut search = Search::enrolled(&made.address());
    let at = "2026-03-02T00:00:00Z".parse().unwrap();
    search.request.first_sight = Some(FirstSight { commit: first.clone(), at });
    search.ready();
    made.write("index.js", "other");
    let second = made.commit("Moved");
    made.git(&["tag", "-f", "v1.3.1"]);
    let findings = search.refused();
    assert_eq!(codes(&findings), [Code::TagMoved]);
    assert!(findings[0].message.contains(&first) && findings[0].message.contains(&second));
}

#[test]
fn a_commit_that_no_enrolled_branch_reaches_is_refused() {
    let made = Made::tagged();
    made.git(&["checkout", "-q", "-b", "attack"]);
    made.write("index.js", "evil");
    made.commit("Evil");
    made.git(&["tag", "-f", "v1.3.1"]);
    let mut search = Search::enrolled(&made.address());
    let findings = search.refused();
    assert_eq!(codes(&findings), [Code::CommitNotOnBranch]);
    assert!(findings[0].message.contains("`main`"), "{}", findings[0].message);
    search.request.reachable = Reachable::FromBranches(vec!["attack".to_owned()]);
    search.ready();
    search.request.reachable = Reachable::FromBranches(Vec::new());
    assert_eq!(codes(&search.refused()), [Code::CommitNotOnBranch]);
    search.request.reachable = Reachable::FromAnyRef;
    search.ready();
}

#[test]
fn two_proposed_tags_on_different_commits_are_ambiguous_and_a_siblings_is_passed_over() {
    let made = Made::tagged();
    let mut search = Search::given(&made.address());
    search.request.reference = Reference::Proposed;
    made.git(&["tag", "pad@1.3.1"]);
    assert_eq!(search.ready().source.tag, "v1.3.1", "two tags on one commit agree");
    made.write("package.json", r#"{"name":"sibling","version":"1.3.1"}"#);
    made.commit("A sibling");
    made.git(&["tag", "-f", "v1.3.1"]);
    let passed_over = search.ready();
    assert_eq!(passed_over.source.tag, "pad@1.3.1");
    assert_eq!(codes(&passed_over.findings), [Code::TagNamesAnotherPackage]);
    assert_eq!(passed_over.findings[0].severity, Severity::Note);
    made.write("package.json", r#"{"name":"pad","version":"1.3.1","x":1}"#);
    made.commit("The same version again");
    made.git(&["tag", "1.3.1"]);
    let findings = search.refused();
    assert_eq!(codes(&findings), [Code::TagAmbiguous]);
    assert!(findings[0].message.contains("`1.3.1` and `pad@1.3.1`"), "{}", findings[0].message);
}

#[test]
fn a_version_without_any_proposed_tag_is_waited_for_under_the_likeliest() {
    let made = Made::tagged();
    made.git(&["tag", "-d", "v1.3.1"]);
    let mut search = Search::given(&made.address());
    search.request.reference = Reference::Proposed;
    let (tag, finding) = search.missing();
    assert_eq!(tag, "v1.3.1");
    assert!(finding.message.contains("pad@1.3.1"), "{}", finding.message);
}

#[test]
fn the_same_package_in_two_folders_is_an_ambiguous_plan() {
    let made = Made::empty();
    for folder in ["a", "b"] {
        made.write(&format!("{folder}/package.json"), r#"{"name":"pad","version":"1.3.1"}"#);
    }
    made.commit("Twice");
    made.git(&["tag", "v1.3.1"]);
    let mut search = Search::given(&made.address());
    let Outcome::Unplannable { source, ending, .. } = search.run() else { panic!("one was taken") };
    assert_eq!(source.tag, "v1.3.1");
    let Ending::AmbiguousPlan { detail } = ending else { panic!("{ending:?}") };
    assert!(detail.contains("`a` and `b`"), "{detail}");
    // Either tarball names its own folder.
    search.staged = PackageJson::parse(br#"{"repository":{"url":"o/r","directory":"b"}}"#).unwrap();
    let Outcome::Unplannable { ending, .. } = search.run() else { panic!("it was believed") };
    assert!(matches!(ending, Ending::AmbiguousPlan { .. }), "{ending:?}");
    made.write("a/package.json", r#"{"name":"pad","version":"1.3.1","private":true}"#);
    made.commit("Never published");
    made.git(&["tag", "-f", "v1.3.1"]);
    assert_eq!(search.ready().source.directory.as_str(), "b");
}
