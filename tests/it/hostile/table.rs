//! Repositories that lie and lockfiles that lead elsewhere, one row each: what is committed, what is staged, and the code
//! that it earns. A row passes nowhere by chance: the release beneath it is one that passes as it is.

use std::path::Path;

use countersign_core::{archive::Rule, finding::Code, verdict::Outcome};

use super::rig::{BUILT, Bench, NAME, Release, VERSION, git, job};

/// A release, and what is done to its repository before it is committed.
struct Row {
    what: &'static str,
    release: Release,
    before: fn(&Path),
    expected: (Outcome, Code),
    /// A part of the finding's message.
    says: &'static str,
}

fn row(what: &'static str, release: Release, expected: Code, says: &'static str) -> Row {
    Row { what, release, before: |_| {}, expected: (Outcome::Fail, expected), says }
}

fn file(path: &str, text: &str) -> (String, String) {
    (path.to_owned(), text.to_owned())
}

/// An honest release that also packs this file, which the repository does not simply hold.
fn packing(path: &str, text: &str) -> Release {
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}","more"],"scripts":{{"prepack":"node prepack.js"}}}}"#
    );
    let mut release = Release::honest().with_package(&package);
    release.packed.push(file(path, text));
    release
}

fn needing(dependency: &str, version: &str) -> Release {
    let package = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","files":["{BUILT}"],"scripts":{{"prepack":"node prepack.js"}},"devDependencies":{{"{dependency}":"{version}"}}}}"#
    );
    Release::honest().with_package(&package)
}

/// The same with a lockfile that names the dependency so.
fn locking(dependency: &str, version: &str, entry: &str) -> Release {
    let mut release = needing(dependency, version);
    let lockfile = format!(
        r#"{{"name":"{NAME}","version":"{VERSION}","lockfileVersion":3,"requires":true,"packages":{{
        "":{{"name":"{NAME}","version":"{VERSION}","devDependencies":{{"{dependency}":"{version}"}}}},
        "node_modules/{dependency}":{{"dev":true,{entry}}}}}}}"#
    );
    release.committed.push(file("package-lock.json", &lockfile));
    release
}

async fn judge(bench: &Bench, row: &Row) {
    println!("== {}", row.what);
    let repository = bench.place(&format!("repository-{}", uuid::Uuid::new_v4()));
    row.release.prepare(&repository);
    (row.before)(&repository);
    Release::commit_and_tag(&repository);
    let staged = row.release.tgz();
    let told = bench.run(&job(&staged, repository.to_str().unwrap()), &staged).await;
    let (outcome, code) = row.expected;
    told.expect(outcome, code);
    let said = told.judged.verdict.findings.iter().filter(|finding| finding.code == code);
    let said: Vec<&str> = said.map(|finding| finding.message.as_str()).collect();
    assert!(said.iter().any(|one| one.contains(row.says)), "{}: {said:?}", row.what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_lies_earns_its_code() {
    let mut no_package = Release::honest();
    no_package.committed.retain(|(path, _)| path != "package.json");
    let link = no_package.clone();
    let mut pointer = packing("more/big.bin", "the real content\n");
    let text = "version https://git-lfs.github.com/spec/v1\noid sha256:0000000000000000000000000000000000000000000000000000000000000000\nsize 17\n";
    pointer.committed.push(file("more/big.bin", text));
    pointer.committed.push(file(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"));
    let mut cases = packing("more/readme", "one\n");
    cases.packed.push(file("more/README", "two\n"));
    cases.committed.extend([file("more/readme", "one\n"), file("more/README", "two\n")]);
    let rows = [
        row("no package.json at the tag", no_package, Code::TagNamesAnotherPackage, ""),
        Row {
            before: |root| {
                std::os::unix::fs::symlink("/etc/passwd", root.join("package.json")).unwrap()
            },
            ..row("a package.json that is a link", link, Code::TagNamesAnotherPackage, "")
        },
        Row {
            before: |root| {
                std::fs::create_dir(root.join("more")).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", root.join("more/users")).unwrap();
            },
            ..row(
                "a link out of the tree",
                packing("more/users", "root:x:0:0\n"),
                Code::FileAdded,
                "",
            )
        },
        Row {
            before: |root| std::os::unix::fs::symlink("/usr/share", root.join("more")).unwrap(),
            ..row(
                "a folder that is a link out of the tree",
                packing("more/x", "x\n"),
                Code::FileAdded,
                "",
            )
        },
        Row {
            before: local_submodule,
            ..row(
                "a submodule of this machine",
                packing("more/secret", "secret\n"),
                Code::FileAdded,
                "",
            )
        },
        Row {
            before: |root| {
                std::fs::write(root.join("huge"), vec![0; 80 << 20]).unwrap();
            },
            ..row("a file larger than the disk", Release::honest(), Code::BuildOutOfDisk, "64 MiB")
        },
        row("an LFS pointer in place of a file", pointer, Code::FileChanged, ""),
        row("names that differ by case", cases, Code::Archive(Rule::DuplicatePath), ""),
    ];
    let bench = Bench::new();
    for row in &rows {
        judge(&bench, row).await;
    }
    bench.goes_on().await;
}

/// A submodule whose address is a repository of this machine, recorded as git itself would.
fn local_submodule(root: &Path) {
    let other = root.with_extension("other");
    std::fs::create_dir(&other).unwrap();
    git(&other, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(other.join("secret"), "secret\n").unwrap();
    git(&other, &["add", "--all"]);
    git(&other, &["commit", "--quiet", "--message=Secret"]);
    let address = format!("file://{}", other.display());
    let allowed = "protocol.file.allow=always";
    git(root, &["-c", allowed, "submodule", "--quiet", "add", &address, "more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockfile_that_leads_elsewhere_earns_its_code() {
    let digest = "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==";
    let public = "https://registry.npmjs.org/is-number/-";
    let named = |version: &str, address: &str, digest: &str| {
        let entry = format!(
            r#""version":"{version}","resolved":"{address}/is-number-{version}.tgz"{digest}"#
        );
        locking("is-number", version, &entry)
    };
    let digest = format!(r#","integrity":"{digest}""#);
    let from_git = r#""version":"7.0.0","resolved":"git+ssh://git@git.example/owner/is-number.git#0123456789012345678901234567890123456789""#;
    let rows = [
        row(
            "a host that nobody mapped",
            named("7.0.0", "https://npm.attacker.example/is-number/-", &digest),
            Code::LockfileForeignHost,
            "npm.attacker.example",
        ),
        Row {
            expected: (Outcome::Pass, Code::LockfileWithoutIntegrity),
            ..row(
                "no digest",
                named("7.0.0", public, ""),
                Code::LockfileWithoutIntegrity,
                "1 packages",
            )
        },
        row(
            "a dependency from git, locked",
            locking("is-number", "7.0.0", from_git),
            Code::DependencyFromGit,
            "is-number",
        ),
        row(
            "a dependency from git, unlocked",
            needing("is-number", "owner/is-number#v7"),
            Code::DependencyFromGit,
            "is-number",
        ),
        row(
            "a locked version since unpublished",
            named("7.0.99", public, &digest),
            Code::NeedsNetwork,
            "does not have",
        ),
        row(
            "a version since unpublished",
            needing("is-number", "7.0.99"),
            Code::NeedsNetwork,
            "is-number@7.0.99",
        ),
        row(
            "a package since unpublished",
            needing("@types/never-was-here-at-all", "1.0.0"),
            Code::NeedsNetwork,
            "never-was-here",
        ),
        row(
            "other bytes than locked",
            named("6.0.0", public, &digest),
            Code::NeedsNetwork,
            "refused",
        ),
    ];
    let bench = Bench::new();
    for row in &rows {
        judge(&bench, row).await;
    }
    bench.goes_on().await;
}
