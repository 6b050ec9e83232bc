//! Repositories that are made to lead a checkout astray, or to keep it for ever: each ends in its reason code.

use super::*;

/// A tree of these entries, as `git mktree` reads them.
fn tree(made: &Made, entries: &str) -> String {
    made.git_fed(&["mktree", "--missing"], entries.as_bytes())
}

/// Tags a commit of that tree v1.3.1, on main.
fn release(made: &Made, tree: &str) -> String {
    let commit = made.git(&["commit-tree", "-p", "HEAD", "-m", "Release", tree]);
    made.git(&["update-ref", "refs/heads/main", &commit]);
    made.git(&["tag", "-f", "v1.3.1", &commit]);
    commit
}

fn no_plan(search: &Search) -> String {
    match search.run() {
        Outcome::Unplannable { ending: Ending::NoPlan { detail }, .. } => detail,
        other => panic!("{other:?}"),
    }
}

/// One folder stands in the next one twice, and so on: some thirty objects hold a thousand million folders, or files.
#[test]
fn a_tree_without_end_is_told_of_as_too_large() {
    for with_file in [false, true] {
        let made = Made::tagged();
        let package = made.git(&["rev-parse", "HEAD:package.json"]);
        let leaf = format!("100644 blob {package}\tfile\n");
        let mut below = tree(&made, if with_file { leaf.as_str() } else { "" });
        for _ in 0..30 {
            below = tree(&made, &format!("040000 tree {below}\ta\n040000 tree {below}\tb\n"));
        }
        let root = format!("040000 tree {below}\tlib\n100644 blob {package}\tpackage.json\n");
        release(&made, &tree(&made, &root));
        let detail = no_plan(&Search::given(&made.address()));
        assert!(detail.contains("more than 200000 files or folders"), "{detail}");
    }
}

/// Each of forty layers doubles the ways back to the first commit.
#[test]
fn a_graph_with_a_thousand_million_ways_is_walked_once() {
    let made = Made::tagged();
    let release = made.git(&["rev-parse", "HEAD"]);
    let root = made.git(&["rev-parse", "HEAD^{tree}"]);
    let (mut left, mut right) = (release.clone(), release.clone());
    for layer in 0..40 {
        let commit = |side: &str| {
            let message = format!("{layer} {side}");
            let both = ["commit-tree", "-p", &left, "-p", &right, "-m", &message, &root];
            made.git(&both)
        };
        (left, right) = (commit("left"), commit("right"));
    }
    let top = made.git(&["commit-tree", "-p", &left, "-p", &right, "-m", "top", &root]);
    made.git(&["update-ref", "refs/heads/main", &top]);
    let mut search = Search::enrolled(&made.address());
    assert_eq!(search.ready().source.commit, release);
    search.request.reachable = Reachable::FromBranches(vec!["other".to_owned()]);
    made.git(&["branch", "other", &made.git(&["commit-tree", "-m", "apart", &root])]);
    assert_eq!(codes(&search.refused()), [Code::CommitNotOnBranch]);
}

#[test]
fn a_commit_with_more_parents_than_any_is_no_commit() {
    let made = Made::tagged();
    let (parent, root) =
        (made.git(&["rev-parse", "HEAD"]), made.git(&["rev-parse", "HEAD^{tree}"]));
    let parents = format!("parent {parent}\n").repeat(1_001);
    let who = format!("a <a@example.org> {} +0000", repository::COMMITTED);
    let text = format!("tree {root}\n{parents}author {who}\ncommitter {who}\n\nWide\n");
    let write = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"];
    let commit = made.git_fed(&write, text.as_bytes());
    made.git(&["tag", "-f", "v1.3.1", &commit]);
    let reason = Search::given(&made.address()).undetermined();
    assert_eq!(reason.code, Code::RepositoryUnavailable);
    assert!(reason.message.contains("is no commit in git's form"), "{}", reason.message);
}

#[test]
fn a_chain_of_tags_is_followed_only_so_far() {
    let made = Made::tagged();
    let nested = |count: usize| {
        let mut object = made.git(&["rev-parse", "HEAD"]);
        for number in 0..count {
            let name = format!("link-{number}");
            made.git(&["tag", "-f", "-a", "-m", "link", &name, &object]);
            object = made.git(&["rev-parse", &name]);
        }
        made.git(&["update-ref", "refs/tags/v1.3.1", &object]);
    };
    nested(20);
    Search::given(&made.address()).ready();
    nested(40);
    let findings = Search::given(&made.address()).refused();
    assert_eq!(codes(&findings), [Code::TagNamesAnotherPackage]);
    assert!(findings[0].message.contains("does not name a commit"), "{}", findings[0].message);
}

/// A link and a folder of one name: what is written into the folder would go where the link leads.
#[test]
fn a_link_beside_a_folder_of_its_name_is_no_tree() {
    let made = Made::tagged();
    let object = |path: &str| {
        let name = made.git(&["rev-parse", &format!("HEAD:{path}")]);
        hex::decode(name).unwrap()
    };
    let folder = hex::decode(made.git(&["rev-parse", "HEAD^{tree}"])).unwrap();
    let target = made.git_fed(&["hash-object", "-w", "--stdin"], b"/etc");
    let entry = |mode: &str, name: &str, object: &[u8]| {
        [mode.as_bytes(), b" ", name.as_bytes(), b"\0", object].concat()
    };
    let bytes = [
        entry("120000", "lib", &hex::decode(target).unwrap()),
        entry("40000", "lib", &folder),
        entry("100644", "package.json", &object("package.json")),
    ];
    let write = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
    let root = made.git_fed(&write, &bytes.concat());
    release(&made, &root);
    // Over a plain file server git looks into no object; from a folder it refuses the tree itself.
    let (served_from, _) = served::bare(&made, "x.git");
    let served = served::Served::files(served_from.path());
    let detail = no_plan(&Search::given(&served.address("/x.git")));
    assert!(detail.contains("is not in git's form"), "{detail}");
    let reason = Search::given(&made.address()).undetermined();
    assert!(reason.message.contains("duplicateEntries"), "{}", reason.message);
}

/// Smudge filters, encodings, keywords and archive substitutions: the bytes are the committed ones, and nothing is run.
#[test]
fn attributes_change_no_byte_and_run_nothing() {
    let made = Made::tagged();
    let marker = made.path().join("marker");
    for (key, command) in [("clean", "cat".to_owned()), ("smudge", touch(&marker))] {
        made.git(&["config", &format!("filter.evil.{key}"), &command]);
    }
    made.git(&["config", "filter.evil.required", "true"]);
    made.write("a.js", "$Id$ $Format:%H$\n");
    made.write("b.txt", "plain\n");
    made.write(
        ".gitattributes",
        "*.js filter=evil ident export-subst\n*.txt working-tree-encoding=UTF-16 text eol=crlf\n",
    );
    let source = made.git_fed(&["hash-object", "-w", "--stdin"], b"plain\n");
    made.git(&["add", "a.js", ".gitattributes"]);
    made.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{source},b.txt")]);
    made.git(&["commit", "-q", "-m", "Attributes"]);
    made.git(&["tag", "-f", "v1.3.1"]);
    // What `git add` itself may have done is not what is looked at.
    let _not_there = std::fs::remove_file(&marker);
    let files = exported(&Search::given(&made.address()).ready());
    assert_eq!(files["a.js"].1, "$Id$ $Format:%H$\n");
    assert_eq!(files["b.txt"].1, "plain\n");
    assert!(!marker.exists());
}

fn touch(marker: &Path) -> String {
    format!("touch '{}'", marker.display())
}

#[test]
fn a_gitmodules_file_runs_nothing_and_leads_nowhere() {
    let made = Made::tagged();
    let marker = made.path().join("marker");
    let ones = "1".repeat(40);
    let urls = [
        format!("ext::sh -c \"{}\"", touch(&marker)),
        format!("--upload-pack={}", touch(&marker)),
        format!("ssh://-oProxyCommand={}/x", touch(&marker)),
        "file:///etc".to_owned(),
        "http://169.254.169.254/latest".to_owned(),
        "https://example.org:x/\u{0}".to_owned(),
    ];
    let mut text = String::new();
    for (number, url) in urls.iter().enumerate() {
        let path = format!("sub{number}");
        made.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{ones},{path}")]);
        text += &format!("[submodule \"../../x{number}\"]\n\tpath = {path}\n\turl = {url}\n");
        text += &format!("\tupdate = !{}\n", touch(&marker));
    }
    let blob = made.git_fed(&["hash-object", "-w", "--stdin"], text.as_bytes());
    made.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},.gitmodules")]);
    made.git(&["commit", "-q", "-m", "Modules"]);
    made.git(&["tag", "-f", "v1.3.1"]);
    // From a folder git refuses such a file itself (`gitmodulesUrl`); over a plain file server it looks into none.
    let reason = Search::given(&made.address()).undetermined();
    assert!(reason.message.contains("gitmodules"), "{}", reason.message);
    let (folder, _) = served::bare(&made, "x.git");
    let served = served::Served::files(folder.path());
    let search = Search::given(&served.address("/x.git"));
    let checkout = search.ready();
    assert_eq!(checkout.findings.len(), urls.len(), "{:?}", checkout.findings);
    assert!(checkout.findings.iter().all(|finding| finding.message.contains("is left empty")));
    assert!(exported(&checkout).keys().all(|path| !path.starts_with("sub")));
    assert!(!marker.exists());
}

/// What one server names as the place of further objects could lie on any other, or on this machine.
#[test]
fn a_server_cannot_lend_the_objects_of_another_place() {
    let made = Made::tagged();
    let (folder, bare) = served::bare(&made, "x.git");
    let objects = bare.join("objects");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&objects, &elsewhere).unwrap();
    std::fs::create_dir_all(objects.join("info")).unwrap();
    let other = served::Served::files(folder.path());
    std::fs::write(objects.join("info/alternates"), format!("{}\n", elsewhere.display())).unwrap();
    let lent = format!("{}\n", other.address("/elsewhere"));
    std::fs::write(objects.join("info/http-alternates"), lent).unwrap();
    let served = served::Served::files(folder.path());
    let reason = Search::given(&served.address("/x.git")).undetermined();
    assert_eq!(reason.code, Code::RepositoryUnavailable);
    assert_eq!(other.asked(), [""; 0]);
}

/// A clone that borrows from another is a plain thing on a developer's machine, with gaps or without.
#[test]
fn a_clone_of_this_machine_that_borrows_its_objects_is_read() {
    let made = Made::tagged();
    made.write("gap.bin", "missing");
    made.write("kept.js", "kept");
    made.commit("Release");
    made.git(&["tag", "-f", "v1.3.1"]);
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared").display().to_string();
    made.git(&["clone", "-q", "--shared", "--no-checkout", ".", &shared]);
    assert_eq!(exported(&Search::given(&shared).ready())["kept.js"].1, "kept");
    let blob = made.git(&["rev-parse", "HEAD:gap.bin"]);
    let object = format!(".git/objects/{}/{}", &blob[..2], &blob[2..]);
    std::fs::remove_file(made.path().join(object)).unwrap();
    let checkout = Search::given(&shared).ready();
    assert_eq!(checkout.unavailable, ["gap.bin"]);
    assert_eq!(exported(&checkout)["kept.js"].1, "kept");
}

#[test]
fn names_that_one_file_system_takes_for_one_both_come_out() {
    let made = Made::tagged();
    for (name, text) in [("caf\u{e9}.js", "composed"), ("cafe\u{301}.js", "decomposed")] {
        made.write(name, text);
    }
    made.commit("Both");
    made.git(&["tag", "-f", "v1.3.1"]);
    let files = exported(&Search::given(&made.address()).ready());
    assert_eq!(files["caf\u{e9}.js"].1, "composed");
    assert_eq!(files["cafe\u{301}.js"].1, "decomposed");
}
