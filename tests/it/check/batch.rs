//! A batch: what each line says, that nothing passes which was changed, and that a later run goes on where one stopped.

use std::path::Path;

use super::countersign;
use crate::hostile::rig::{Release, TAG, git, passable_folder};

#[path = "../../corpus/mutations.rs"]
mod mutations;

/// A release with more in it than one built file, so that there is something to swap and to take away.
fn release() -> Release {
    let mut release = Release::honest();
    for (path, text) in [("a.js", "exports.a = 1;\nexports.b = 2;\n"), ("b.js", "exports.b = 1;\n")]
    {
        release.committed.push((path.to_owned(), text.to_owned()));
        release.packed.push((path.to_owned(), text.to_owned()));
    }
    let package = r#"{
  "name": "hostile",
  "version": "1.0.0",
  "files": ["a.js", "b.js", "out.txt"],
  "dependencies": { "ms": "2.1.3" },
  "scripts": { "prepack": "node prepack.js" }
}
"#;
    release.with_package(package)
}

/// The lines of a table of results, each by the names of its columns.
fn results(path: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let named = |line: &str| {
        let fields = line.split('\t').map(str::to_owned);
        columns.iter().map(|column| (*column).to_owned()).zip(fields).collect()
    };
    lines.map(named).collect()
}

#[test]
fn ten_mutants_of_a_tarball_fail_and_the_tarball_passes() {
    let folder = passable_folder();
    let release = release();
    std::fs::create_dir(folder.path().join("o")).unwrap();
    release.commit_to(&folder.path().join("o/hostile"));
    let honest = release.tgz();
    std::fs::write(folder.path().join("honest.tgz"), &honest).unwrap();
    let mut table = "name\tversion\trepository\ttag\ttarball\n".to_owned();
    let row = |file: &str| format!("hostile\t1.0.0\to/hostile\t{TAG}\t{file}\n");
    table += &row("honest.tgz");
    for (name, bytes) in mutations::mutants(&honest, None) {
        std::fs::write(folder.path().join(format!("{name}.tgz")), bytes).unwrap();
        table += &row(&format!("{name}.tgz"));
    }
    std::fs::write(folder.path().join("table.tsv"), table).unwrap();
    let arguments = ["check", "--batch", "table.tsv", "--repos", ".", "--jobs", "2"];
    let (code, said, complained) = countersign(folder.path(), &arguments);
    assert_eq!(code, Some(1), "{said}{complained}");
    let lines = results(&folder.path().join("table.results.tsv"));
    let verdicts: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|line| (line["tarball"].as_str(), line["verdict"].as_str(), line["class"].as_str()))
        .collect();
    let mut expected = vec![("honest.tgz", "pass", "")];
    let mutants = [
        "one-byte.tgz",
        "added-file.tgz",
        "removed-file.tgz",
        "executable-bit.tgz",
        "swapped-file.tgz",
        "changed-dependency.tgz",
        "added-install-script.tgz",
        "code-for-source-map.tgz",
        "older-file.tgz",
        "whitespace-in-json.tgz",
    ];
    // Class differs: each is a whole archive that the strict reader accepts, and was held against a live rebuild.
    expected.extend(mutants.map(|name| (name, "fail", "differs")));
    assert_eq!(verdicts, expected, "{said}{complained}");
    assert!(said.contains("11 packages: 10 fail, 1 pass"), "{said}");
    assert!(
        lines[1]["reason"].starts_with("file-changed") && lines[1]["path"] == "a.js",
        "{:?}",
        lines[1]
    );

    // What is known is not asked again: the tarballs may even be gone.
    std::fs::remove_file(folder.path().join("honest.tgz")).unwrap();
    let (code, said, complained) = countersign(folder.path(), &arguments);
    assert_eq!(code, Some(1), "{said}{complained}");
    assert!(
        complained.contains("11 of 11 packages stand in table.results.tsv already"),
        "{complained}"
    );
    assert_eq!(results(&folder.path().join("table.results.tsv")), lines);
}

#[test]
fn what_could_not_be_told_is_told_apart_and_asked_again() {
    let folder = passable_folder();
    let release = release();
    std::fs::write(folder.path().join("p.tgz"), release.tgz()).unwrap();
    std::fs::write(
        folder.path().join("table.tsv"),
        format!(
            "name\tversion\trepository\ttag\ttarball\nhostile\t1.0.0\to/hostile\t{TAG}\tp.tgz\n"
        ),
    )
    .unwrap();
    let arguments = ["check", "--batch", "table.tsv", "--repos", ".", "--json"];
    let (code, said, complained) = countersign(folder.path(), &arguments);
    assert_eq!(code, Some(3), "{said}{complained}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["counts"]["verdict"]["error"], 1, "{answer}");
    let message = answer["packages"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("no clone of o/hostile") && message.contains("git clone --mirror"),
        "{message}"
    );
    // The clone is brought, and the same command finds out.
    std::fs::create_dir(folder.path().join("o")).unwrap();
    release.commit_to(&folder.path().join("o/hostile"));
    let (code, said, complained) = countersign(folder.path(), &arguments);
    assert_eq!(code, Some(0), "{said}{complained}");
}

#[test]
fn a_batch_that_cannot_begin_says_why() {
    let folder = passable_folder();
    std::fs::write(folder.path().join("table.tsv"), "name\tversion\na\t1.0.0\n").unwrap();
    std::fs::write(folder.path().join("other.tsv"), "something else\n").unwrap();
    for (arguments, named) in [
        (&["check", "--batch", "missing.tsv"][..], "`missing.tsv` cannot be read"),
        (
            &["check", "--batch", "table.tsv", "--only", "b"],
            "no package of `table.tsv` is meant by --only",
        ),
        (
            &["check", "--batch", "table.tsv", "--results", "other.tsv"],
            "name another with --results",
        ),
        (&["check", "a@1.0.0", "--batch", "table.tsv"], "cannot be used with"),
        (&["check", "--jobs", "2"], "--batch"),
    ] {
        let (code, said, complained) = countersign(folder.path(), arguments);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(complained.contains(named), "{complained}");
    }
    assert_eq!(
        std::fs::read_to_string(folder.path().join("other.tsv")).unwrap(),
        "something else\n"
    );
}

#[test]
fn a_rebuild_is_used_again_only_where_asked_and_the_report_says_so() {
    let folder = passable_folder();
    let release = release();
    release.commit_to(&folder.path().join("repository"));
    std::fs::write(folder.path().join("p.tgz"), release.tgz()).unwrap();
    for (name, bytes) in mutations::mutants(&release.tgz(), None) {
        std::fs::write(folder.path().join(format!("{name}.tgz")), bytes).unwrap();
    }
    let report = |file: &str, more: &[&str]| -> serde_json::Value {
        let mut arguments = vec!["check", file, "--repo", "repository", "--ref", TAG, "--json"];
        arguments.extend(more);
        let (_, said, complained) = countersign(folder.path(), &arguments);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}{complained}"))
    };
    let first = report("p.tgz", &["--reuse"]);
    assert_eq!(
        (&first["verdict"], &first["rebuild"]["reused"]),
        (&"pass".into(), &serde_json::Value::Null)
    );
    let again = report("p.tgz", &["--reuse"]);
    assert_eq!((&again["verdict"], &again["level"]), (&first["verdict"], &first["level"]));
    assert!(again["rebuild"]["reused"].is_string(), "{again}");
    assert_eq!(report("p.tgz", &[])["rebuild"]["reused"], serde_json::Value::Null);
    let mutant = report("one-byte.tgz", &["--reuse"]);
    assert_eq!(
        (&mutant["verdict"], &mutant["rebuild"]["reused"]),
        (&"fail".into(), &again["rebuild"]["reused"])
    );
    // Another commit of the same files is another rebuild: its time is another.
    let repository = folder.path().join("repository");
    std::fs::write(repository.join("unpacked.txt"), "more\n").unwrap();
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--message=More"]);
    git(&repository, &["tag", "--force", TAG]);
    let other = report("p.tgz", &["--reuse"]);
    assert_eq!(
        (&other["verdict"], &other["rebuild"]["reused"]),
        (&"pass".into(), &serde_json::Value::Null)
    );
}
