//! What is found, and what is claimed about it.

use super::{repository::git, served::bare, *};

#[test]
fn a_tag_leads_to_its_commit_and_the_tree_comes_out_as_it_was_committed() {
    let made = Made::tagged();
    made.write("bin/run.sh", "#!/bin/sh\n");
    made.git(&["add", "bin"]);
    made.git(&["update-index", "--chmod=+x", "bin/run.sh"]);
    std::os::unix::fs::symlink("/etc/passwd", made.path().join("link")).unwrap();
    made.write(".gitattributes", "*.txt text eol=crlf\n*.js export-ignore\n");
    made.write("a.txt", "one\ntwo\n");
    made.git(&["add", "link", ".gitattributes", "a.txt"]);
    made.git(&["commit", "-q", "-m", "More"]);
    made.git(&["tag", "-f", "-m", "a message", "v1.3.1"]);
    let commit = made.git(&["rev-parse", "HEAD"]);
    let search = Search::enrolled(&made.address());
    let checkout = search.ready();
    assert_eq!(checkout.source.commit, commit);
    assert_eq!(checkout.source.commit_time.as_seconds(), repository::COMMITTED);
    assert!(checkout.source.evidence[0].detail.contains("annotated tag `v1.3.1`"));
    assert!(checkout.findings.is_empty(), "{:?}", checkout.findings);
    let files = exported(&checkout);
    let is = |path: &str, kind: Kind, text: &str| {
        assert_eq!(files[path], (kind, text.to_owned()), "{path}");
    };
    is("index.js", Kind::File { executable: false }, "module.exports = 1\n");
    is("bin/run.sh", Kind::File { executable: true }, "#!/bin/sh\n");
    is("link", Kind::Symlink, "/etc/passwd");
    is("a.txt", Kind::File { executable: false }, "one\ntwo\n");
    assert_eq!(files.len(), 6);
}

#[test]
fn work_trees_mirrors_and_linked_work_trees_are_read_alike() {
    let made = Made::tagged();
    let commit = made.git(&["rev-parse", "HEAD"]);
    let (_folder, mirror) = bare(&made, "mirror.git");
    let beside = tempfile::tempdir().unwrap();
    let linked = beside.path().join("linked");
    made.git(&["worktree", "add", "-q", "--detach", &linked.display().to_string()]);
    for path in [made.path(), mirror, linked] {
        let path = path.display().to_string();
        assert_eq!(Search::given(&path).ready().source.commit, commit, "{path}");
        let file = format!("file://{path}");
        assert_eq!(Search::given(&file).ready().source.commit, commit, "{file}");
    }
}

#[test]
fn a_closed_folder_of_somebody_else_is_read_as_the_caller() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let made = Made::tagged();
    let close = std::fs::Permissions::from_mode(0o700);
    if rustix::process::geteuid().is_root() {
        for path in [made.path(), made.path().join(".git")] {
            chown(&path, Some(65_534), Some(65_534)).unwrap();
        }
    }
    std::fs::set_permissions(made.path(), close.clone()).unwrap();
    std::fs::set_permissions(made.path().join(".git"), close).unwrap();
    assert_eq!(Search::given(&made.address()).ready().source.tag, "v1.3.1");
}

#[test]
fn a_repository_behind_a_plain_file_server_on_this_machine_is_read() {
    let made = Made::tagged();
    let (folder, _) = bare(&made, "x.git");
    let served = served::Served::files(folder.path());
    let search = Search::enrolled(&served.address("/x.git"));
    let checkout = search.ready();
    assert_eq!(checkout.source.commit, made.git(&["rev-parse", "HEAD"]));
    assert!(served.asked().iter().any(|path| path.contains("/x.git/info/refs")));
}

#[test]
fn a_shallow_clone_serves_as_far_as_it_goes() {
    let made = Made::empty();
    made.write("old", "1");
    made.commit("Before");
    made.write("package.json", r#"{"name":"pad","version":"1.3.1"}"#);
    made.commit("Release 1.3.1");
    made.git(&["tag", "v1.3.1"]);
    made.write("new", "1");
    made.commit("After");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("shallow.git").display().to_string();
    let from = format!("file://{}", made.address());
    made.git(&["clone", "-q", "--bare", "--depth", "2", "--no-single-branch", &from, &target]);
    let mut search = Search::enrolled(&target);
    assert_eq!(search.ready().source.tag, "v1.3.1");
    search.request.reachable = Reachable::FromBranches(vec!["gone".to_owned()]);
    assert_eq!(codes(&search.refused()), [Code::CommitNotOnBranch]);
}

#[test]
fn the_folder_is_found_by_rank() {
    let made = Made::empty();
    made.write("package.json", r#"{"name":"root","version":"1.3.1","workspaces":["packages/*"]}"#);
    made.write("package-lock.json", r#"{"lockfileVersion":3,"packages":{}}"#);
    made.write("packages/pad/package.json", r#"{"name":"pad","version":"1.3.1","main":"a.js"}"#);
    made.write("packages/pad/a.js", "1");
    made.write("packages/other/package.json", r#"{"name":"pad","version":"1.3.0"}"#);
    made.write("node_modules/pad/package.json", r#"{"name":"pad","version":"1.3.1"}"#);
    made.write("packages/pad/.nvmrc", "# a comment\nv20.1.0\n");
    made.write(".npmrc", "@s:registry=https://x\n");
    made.commit("Release");
    made.git(&["tag", "v1.3.1"]);
    let search = Search::given(&made.address());
    let checkout = search.ready();
    assert_eq!(checkout.source.directory.as_str(), "packages/pad");
    let facts = &checkout.facts;
    assert!(facts.workspace_root().unwrap().lockfile.is_some());
    assert_eq!(facts.own().node_versions, [(".nvmrc".to_owned(), "v20.1.0".to_owned())]);
    assert!(facts.scopes().contains("@s"));
    assert!(facts.holds("./a") && !facts.holds("./b"));
    assert_eq!(facts.package.name(), Some("pad"));
    assert_eq!(facts.folders.len(), 3);
    assert!(
        exported(&checkout).contains_key("packages/other/package.json"),
        "the whole tree is built in"
    );
}

#[test]
fn a_folder_that_was_asked_for_is_the_only_one_looked_into() {
    let made = Made::tagged();
    made.write("docs/readme", "x");
    made.commit("More");
    made.git(&["tag", "-f", "v1.3.1"]);
    let mut search = Search::given(&made.address());
    search.request.directory = Some("docs".parse().unwrap());
    let findings = search.refused();
    assert_eq!(codes(&findings), [Code::TagNamesAnotherPackage]);
    assert!(findings[0].message.contains("`docs/package.json`"), "{}", findings[0].message);
}

#[test]
fn evidence_stands_beside_the_tag_and_never_in_its_place() {
    let made = Made::tagged();
    let other = made.commit("Another");
    let commit = made.git(&["rev-parse", "v1.3.1"]);
    let claim = |kind, commit: &str| Claim { kind, commit: commit.to_owned() };
    let mut search = Search::enrolled(&made.address());
    search.request.claims = vec![
        claim(EvidenceKind::GitHead, &commit.to_uppercase()),
        claim(EvidenceKind::Submission, &commit),
    ];
    let agreed = search.ready();
    assert!(agreed.findings.is_empty() && agreed.source.evidence.iter().all(|one| one.agrees));
    search.request.claims = vec![claim(EvidenceKind::GitHead, &other)];
    let doubted = search.ready();
    assert_eq!(doubted.source.commit, commit, "the tag stands");
    assert_eq!(codes(&doubted.findings), [Code::EvidenceDisagrees]);
    assert_eq!(doubted.findings[0].severity, Severity::Warning);
    search.request.claims = vec![claim(EvidenceKind::Submission, &other)];
    assert_eq!(codes(&search.refused()), [Code::EvidenceDisagrees]);
}

#[test]
fn a_tarball_that_names_another_repository_is_refused_before_anything_is_fetched() {
    let enrolled = "https://countersign.invalid/o/r";
    for (claimed, passes_on) in [
        (r#"{"repository":"git+ssh://git@COUNTERSIGN.invalid/o/r.git"}"#, true),
        (r#"{"repository":{"url":"https://countersign.invalid/o/r","directory":"./"}}"#, true),
        (r#"{}"#, true),
        (r#"{"repository":"https://countersign.invalid/o/fork"}"#, false),
        (
            r#"{"repository":{"url":"https://countersign.invalid/o/r","directory":"packages/x"}}"#,
            false,
        ),
        (r#"{"repository":"not an address at all"}"#, false),
    ] {
        let search = Search::enrolled(enrolled).staged(claimed);
        if passes_on {
            assert_eq!(search.undetermined().code, Code::RepositoryUnavailable, "{claimed}");
        } else {
            let findings = search.refused();
            assert_eq!(codes(&findings), [Code::SourceNotEnrolled], "{claimed}");
            let names_both = findings[0].message.contains("enrolled one is");
            assert!(names_both, "{}", findings[0].message);
        }
    }
}

#[test]
fn a_given_repository_goes_before_the_claim_and_the_difference_is_a_note() {
    let made = Made::tagged();
    let search = Search::given(&made.address()).staged(r#"{"repository":"owner/elsewhere"}"#);
    let findings = search.ready().findings;
    assert_eq!(codes(&findings), [Code::SourceNotEnrolled]);
    assert_eq!(findings[0].severity, Severity::Note);
}

#[test]
fn a_claim_alone_leads_only_to_another_machine_over_https() {
    for claimed in [
        r#"{}"#,
        r#"{"repository":"/etc"}"#,
        r#"{"repository":"file:///etc"}"#,
        r#"{"repository":"http://127.0.0.1:8080/x.git"}"#,
    ] {
        let mut search = Search::given("/nowhere").staged(claimed);
        search.request.trust = Trust::SelfDeclared;
        search.request.repository = None;
        assert_eq!(codes(&search.refused()), [Code::PackageNotEnrolled], "{claimed}");
    }
    let mut search =
        Search::given("/nowhere").staged(r#"{"repository":"git://countersign.invalid/o/r"}"#);
    search.request.trust = Trust::SelfDeclared;
    search.request.repository = None;
    assert_eq!(search.undetermined().code, Code::RepositoryUnavailable);
}

#[test]
fn a_server_that_sends_on_to_another_repository_is_not_the_enrolled_one() {
    let made = Made::tagged();
    let (folder, _) = bare(&made, "r.git");
    let served = served::Served::moved(folder.path());
    let enrolled = Search::enrolled(&served.address("/old/r.git"));
    assert_eq!(codes(&enrolled.refused()), [Code::RepositoryChanged]);
    let given = Search::given(&served.address("/old/r.git"));
    let findings = given.ready().findings;
    assert_eq!((findings[0].code, findings[0].severity), (Code::RepositoryChanged, Severity::Note));
}

#[test]
fn a_submodule_comes_at_the_recorded_commit_and_a_local_one_stays_empty() {
    let sub = Made::empty();
    sub.write("lib.js", "the recorded one");
    let recorded = sub.commit("Recorded");
    sub.write("lib.js", "a later one");
    sub.commit("Later");
    let folder = tempfile::tempdir().unwrap();
    sub.mirror_to(&folder.path().join("sub.git"));
    let made = Made::tagged();
    let entry = |path: &str| format!("160000,{recorded},{path}");
    for path in ["vendor/sub", "local", "unnamed"] {
        made.git(&["update-index", "--add", "--cacheinfo", &entry(path)]);
    }
    made.write(
        ".gitmodules",
        "[submodule \"s\"]\n\tpath = vendor/sub\n\turl = ../sub.git\n\
         [submodule \"l\"]\n\tpath = local\n\turl = /srv/secret\n",
    );
    made.git(&["add", ".gitmodules"]);
    made.git(&["commit", "-q", "-m", "Submodules"]);
    made.git(&["tag", "-f", "v1.3.1"]);
    made.mirror_to(&folder.path().join("x.git"));
    let served = served::Served::files(folder.path());
    let search = Search::enrolled(&served.address("/x.git"));
    let checkout = search.ready();
    let files = exported(&checkout);
    assert_eq!(files["vendor/sub/lib.js"].1, "the recorded one");
    assert!(!files.keys().any(|path| path.starts_with("local")));
    assert_eq!(codes(&checkout.findings), [Code::PlanNotFound; 2]);
    assert!(checkout.findings.iter().all(|finding| finding.severity == Severity::Note));
    assert!(checkout.unavailable.is_empty(), "both were refused, not missed");
}

#[test]
fn a_submodule_whose_server_does_not_answer_is_told_of_apart() {
    let made = Made::tagged();
    let zeros = "1".repeat(40);
    made.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{zeros},sub")]);
    made.write(".gitmodules", "[submodule \"s\"]\n\tpath = sub\n\turl = ./gone.git\n");
    made.git(&["add", ".gitmodules"]);
    made.git(&["commit", "-q", "-m", "Submodule"]);
    made.git(&["tag", "-f", "v1.3.1"]);
    let (folder, path) = bare(&made, "x.git");
    git(&path, &["rev-parse", "v1.3.1"], b"");
    let served = served::Served::files(folder.path());
    let search = Search::enrolled(&served.address("/x.git"));
    let checkout = search.ready();
    assert_eq!(checkout.unavailable, ["sub"]);
    assert!(
        checkout.findings[0].message.contains("`sub` is left empty"),
        "{:?}",
        checkout.findings
    );
}

/// The names and versions of two packages under one tag: `pad` at the root or below, and a sibling.
fn unversioned(folder: &str, settings: &str) -> Made {
    let made = Made::empty();
    let package = format!(r#"{{"name":"pad","version":"0.0.0-development"{settings}}}"#);
    made.write(&format!("{folder}package.json"), &package);
    if !folder.is_empty() {
        made.write("package.json", r#"{"private":true,"workspaces":["packages/*"]}"#);
    }
    made
}

const RELEASED: &str = "on: push\njobs:\n  release:\n    steps:\n      - run: npm ci\n      - run: npx semantic-release\n";

#[test]
fn another_version_in_the_tree_is_the_package_only_where_a_release_tool_writes_it() {
    let made = unversioned("", "");
    made.commit("Work");
    made.git(&["tag", "v1.3.1"]);
    assert_eq!(codes(&Search::given(&made.address()).refused()), [Code::TagNamesAnotherPackage]);
    made.write(".github/workflows/release.yml", RELEASED);
    made.commit("Release by a tool");
    made.git(&["tag", "-f", "v1.3.1"]);
    let checkout = Search::given(&made.address()).ready();
    assert_eq!(checkout.facts.written_version.as_deref(), Some("1.3.1"));
    assert_eq!(checkout.facts.workflows.len(), 1);
    made.write("package.json", r#"{"name":"other","version":"0.0.0-development"}"#);
    made.commit("Rename");
    made.git(&["tag", "-f", "v1.3.1"]);
    let refused = Search::given(&made.address()).refused();
    assert_eq!(codes(&refused), [Code::TagNamesAnotherPackage], "the name has to be right");
}

#[test]
fn a_tag_that_may_be_a_siblings_does_not_stand_for_a_version_that_is_written() {
    let made = unversioned("packages/pad/", "");
    let released = format!("{RELEASED}        working-directory: packages/pad\n");
    made.write(".github/workflows/release.yml", &released);
    made.commit("Release by a tool");
    made.git(&["tag", "v1.3.1"]);
    assert_eq!(codes(&Search::given(&made.address()).refused()), [Code::TagNamesAnotherPackage]);
    made.git(&["tag", "-d", "v1.3.1"]);
    made.git(&["tag", "pad@1.3.1"]);
    let mut search = Search::given(&made.address());
    search.request.reference = Reference::Named("pad@1.3.1".to_owned());
    let checkout = search.ready();
    assert_eq!(checkout.facts.written_version.as_deref(), Some("1.3.1"));
    assert_eq!(checkout.facts.members.len(), 1);
}
