//! What is done again: an install that an earlier commit had, and the whole rebuild of a report. Real npm registry, real sandbox.

use std::path::Path;

use serde_json::Value;

use super::countersign;
use crate::hostile::rig::{Release, TAG, git, passable_folder};

/// The digests of two versions of one small package that never changes again.
const MS_2_1_3: &str = "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==";
const MS_2_0_0: &str = "sha512-Tpp60P6IUJDTuOq/5Z8cdskzJujfwqfOTkrwIwj7IRISpnkJnT6SyJ4PCPnGMoFjC9ddhal5KVIYtAt97ix05A==";

/// Builds a file out of what was installed, and of what npm noted about it.
const BUILDING: &str = "const noted = require('./node_modules/.package-lock.json').version;\n\
    require('fs').writeFileSync('out.txt', `${require('ms')('1s')} ${noted}\\n`);\n";

fn locked(version: &str, more: &str) -> Release {
    let package = format!(
        r#"{{"name":"hostile","version":"{version}","files":["out.txt"],{more}"scripts":{{"prepack":"node prepack.js"}},"devDependencies":{{"ms":"2.1.3"}}}}"#
    );
    let lockfile = format!(
        r#"{{"name":"hostile","version":"{version}","lockfileVersion":3,"requires":true,"packages":{{
        "":{{"name":"hostile","version":"{version}","devDependencies":{{"ms":"2.1.3"}}}},
        "node_modules/ms":{{"version":"2.1.3","resolved":"https://registry.npmjs.org/ms/-/ms-2.1.3.tgz","integrity":"{MS_2_1_3}","dev":true}}}}}}"#
    );
    let mut release =
        Release::building(BUILDING, &format!("1000 {version}\n")).with_package(&package);
    release.committed.push(("package-lock.json".to_owned(), lockfile));
    release
}

/// Commits a release over what is there, tags it and writes its tarball beside the repository.
fn release_into(folder: &Path, release: &Release, version: &str) {
    let repository = folder.join("repository");
    for (path, text) in &release.committed {
        std::fs::write(repository.join(path), text).unwrap();
    }
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--message=Release"]);
    git(&repository, &["tag", &format!("v{version}")]);
    std::fs::write(folder.join(format!("{version}.tgz")), release.tgz()).unwrap();
}

fn report(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let (_, said, complained) = countersign(folder, arguments);
    let report = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{complained}"));
    (report, complained)
}

#[test]
fn the_next_commit_with_the_same_lockfile_takes_the_install_that_was_kept() {
    let folder = passable_folder();
    locked("1.0.0", "").commit_to(&folder.path().join("repository"));
    std::fs::write(folder.path().join("1.0.0.tgz"), locked("1.0.0", "").tgz()).unwrap();
    release_into(folder.path(), &locked("1.1.0", ""), "1.1.0");
    release_into(folder.path(), &locked("1.2.0", r#""description":"another","#), "1.2.0");
    // A cache of its own: what another run kept is not found.
    let check = |version: &str, more: &[&str]| {
        let (tarball, tag) = (format!("{version}.tgz"), format!("v{version}"));
        let mut arguments =
            vec!["check", &tarball, "--repo", "repository", "--ref", &tag, "--json"];
        arguments.extend(more);
        let (report, complained) = report(folder.path(), &arguments);
        assert_eq!(report["verdict"], "pass", "{version} {more:?}: {report:#} {complained}");
        report
    };
    let reused = |report: &Value| report["rebuild"]["install_reused"].is_string();
    let first = check("1.0.0", &["--reuse"]);
    let second = check("1.1.0", &["--reuse"]);
    assert!(second["rebuild"]["reused"].is_null() && reused(&second), "{:#}", second["rebuild"]);
    // What was installed stands in both reports, and so does what was asked for.
    assert_eq!(first["dependencies"], second["dependencies"]);
    assert_eq!(second["dependencies"]["resolved"][0]["name"], "ms");
    assert_eq!(second["rebuild"]["network"][0]["outcome"], "served");
    assert!(!reused(&check("1.1.0", &[])), "it was not asked for");
    assert!(!reused(&check("1.2.0", &["--reuse"])), "package.json is another one");
}

#[test]
fn a_kept_install_that_was_changed_is_not_used() {
    let folder = passable_folder();
    let marker = format!(r#""description":"{}","#, uuid::Uuid::new_v4());
    locked("1.0.0", &marker).commit_to(&folder.path().join("repository"));
    std::fs::write(folder.path().join("1.0.0.tgz"), locked("1.0.0", &marker).tgz()).unwrap();
    release_into(folder.path(), &locked("1.1.0", &marker), "1.1.0");
    release_into(folder.path(), &locked("1.2.0", &marker), "1.2.0");
    let cache = crate::hostile::rig::cache();
    let check = |version: &str| {
        let (tarball, tag) = (format!("{version}.tgz"), format!("v{version}"));
        report(
            folder.path(),
            &["check", &tarball, "--repo", "repository", "--ref", &tag, "--json", "--reuse"],
        )
        .0
    };
    assert!(check("1.0.0")["rebuild"]["install_reused"].is_null());
    let second = check("1.1.0");
    let key = second["rebuild"]["install_reused"].as_str().unwrap();
    let archive = cache.join("installs").join(key).join("node_modules.tar");
    let mut bytes = std::fs::read(&archive).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    let third = check("1.2.0");
    assert_eq!(
        (&third["verdict"], third["rebuild"]["install_reused"].is_null()),
        (&"pass".into(), true)
    );
}

/// A release without a lockfile, which writes down what was installed.
fn unlocked() -> Release {
    let package = r#"{"name":"hostile","version":"1.0.0","files":["out.txt"],"scripts":{"prepack":"node prepack.js"},"devDependencies":{"ms":"^2.0.0"}}"#;
    let script =
        "require('fs').writeFileSync('out.txt', require('ms/package.json').version + '\\n');\n";
    Release::building(script, "2.1.3\n").with_package(package)
}

#[test]
fn a_report_is_replayed_by_its_plan_with_what_it_installed_and_nothing_else() {
    let folder = passable_folder();
    let repository = folder.path().join("repository");
    unlocked().commit_to(&repository);
    std::fs::write(folder.path().join("p.tgz"), unlocked().tgz()).unwrap();
    let (recorded, _) =
        report(folder.path(), &["check", "p.tgz", "--repo", "repository", "--ref", TAG, "--json"]);
    assert_eq!(recorded["verdict"], "pass", "{recorded:#}");
    let write = |name: &str, report: &Value| {
        std::fs::write(folder.path().join(name), report.to_string()).unwrap();
    };
    let replay =
        |name: &str| countersign(folder.path(), &["check", "p.tgz", "--replay", name, "--json"]);
    write("report.json", &recorded);
    let (code, said, complained) = replay("report.json");
    assert_eq!(code, Some(0), "{said}{complained}");
    assert!(complained.contains("replay: the same as report.json, file by file"), "{complained}");
    let again: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(again["plan"]["digest"], recorded["plan"]["digest"]);
    assert_eq!(again["dependencies"], recorded["dependencies"]);

    // The recorded version is installed, though a later one is there and fits.
    let mut other = recorded.clone();
    let ms = &mut other["dependencies"]["resolved"][0];
    (ms["version"], ms["integrity"]) = ("2.0.0".into(), MS_2_0_0.into());
    write("other.json", &other);
    let (code, said, complained) = replay("other.json");
    assert_eq!(code, Some(1), "{said}{complained}");
    assert!(complained.contains("replay: not the same as other.json"), "{complained}");
    assert!(complained.contains("other files came out: out.txt"), "{complained}");

    // Other bytes under the recorded name are refused.
    let ms = &mut other["dependencies"]["resolved"][0];
    (ms["version"], ms["integrity"]) = ("2.1.3".into(), MS_2_0_0.into());
    write("other.json", &other);
    let (code, said, complained) = replay("other.json");
    assert_eq!(code, Some(1), "{said}{complained}");
    let refused: Value = serde_json::from_str(&said).unwrap();
    let requests = refused["rebuild"]["network"].as_array().unwrap();
    assert!(requests.iter().any(|one| one["reason"] == "not-recorded"), "{requests:?}");

    // A tag that was moved since names another commit.
    std::fs::write(repository.join("more.txt"), "more\n").unwrap();
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--message=More"]);
    git(&repository, &["tag", "--force", TAG]);
    let (code, said, _) = replay("report.json");
    assert_eq!(code, Some(1), "{said}");
    let moved: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(moved["findings"][0]["code"], "tag-moved", "{moved:#}");
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let folder = passable_folder();
    unlocked().commit_to(&folder.path().join("repository"));
    std::fs::write(folder.path().join("p.tgz"), unlocked().tgz()).unwrap();
    std::fs::write(folder.path().join("else.tgz"), Release::honest().tgz()).unwrap();
    let (recorded, _) =
        report(folder.path(), &["check", "p.tgz", "--repo", "repository", "--ref", TAG, "--json"]);
    let write = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut report = recorded.clone();
        change(&mut report);
        std::fs::write(folder.path().join(name), report.to_string()).unwrap();
    };
    write("good.json", &|_| {});
    write("changed.json", &|report| report["plan"]["put_back"] = false.into());
    write("planless.json", &|report| report["plan"] = Value::Null);
    write("later.json", &|report| report["schema"] = "countersign.report/9".into());
    for (tarball, file, named) in [
        ("p.tgz", "missing.json", "`missing.json` cannot be read"),
        ("p.tgz", "p.tgz", "`p.tgz` is no report"),
        ("p.tgz", "changed.json", "is not the one that its digest"),
        ("p.tgz", "planless.json", "holds no plan"),
        ("p.tgz", "later.json", "countersign.report/9"),
        ("else.tgz", "good.json", "is about other bytes"),
    ] {
        let (code, said, complained) =
            countersign(folder.path(), &["check", tarball, "--replay", file]);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{file}: {complained}");
        assert!(complained.contains(named), "{file}: {complained}");
    }
}
