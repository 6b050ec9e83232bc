//! Parts of the plan that are set by hand with `--plan`, and what a batch hands on to each of its checks.

use serde_json::Value;

use super::countersign;
use crate::hostile::rig::{Release, TAG, passable_folder};

/// Nothing in this tree says that `make` is to be run.
fn unguessable() -> Release {
    let package = r#"{"name":"hostile","version":"1.0.0","files":["out.txt"],"scripts":{"make":"node prepack.js"}}"#;
    let script = "require('fs').writeFileSync('out.txt', process.env.WORD + '\\n');\n";
    Release::building(script, "hand\n").with_package(package)
}

#[test]
fn a_step_that_nobody_could_guess_is_set_by_hand() {
    let folder = passable_folder();
    unguessable().commit_to(&folder.path().join("repository"));
    std::fs::write(folder.path().join("p.tgz"), unguessable().tgz()).unwrap();
    let plan = r#"{"node":"22.23.3","steps":[{"argv":["npm","run","make"],"env":{"WORD":"hand"}}],"clock":"real","put_back":false}"#;
    std::fs::write(folder.path().join("plan.json"), plan).unwrap();
    let arguments = ["check", "p.tgz", "--repo", "repository", "--ref", TAG, "--json"];
    let (code, said, complained) = countersign(folder.path(), &arguments);
    assert_eq!(code, Some(1), "{said}{complained}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["code"], &report["class"]),
        (&"plan-not-found".into(), &"not-rebuilt".into())
    );
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("leads to `out.txt`") && message.contains("--plan"), "{message}");
    let with_plan = [&arguments[..], &["--plan", "plan.json"]].concat();
    let (code, said, complained) = countersign(folder.path(), &with_plan);
    assert_eq!(code, Some(0), "{said}{complained}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let why = report["plan"]["why"].as_array().unwrap();
    let by_hand = |choice: &str| {
        why.iter().any(|one| one["choice"] == choice && one["because"] == "it was set by hand")
    };
    assert!(by_hand("run `npm run make`") && by_hand("node 22.23.3"), "{why:?}");
    assert_eq!(
        report["plan"]["other_candidates"],
        Value::Array(Vec::new()),
        "nothing is left to guess"
    );
}

#[test]
fn a_plan_that_cannot_be_followed_says_which_part() {
    let folder = passable_folder();
    for (plan, named) in [
        ("{", "`plan.json` sets no parts of a plan"),
        (r#"{"nodes":"22.23.3"}"#, "unknown field `nodes`"),
        (r#"{"node":"22"}"#, "22"),
        (
            r#"{"node":"22.0.99"}"#,
            "node 22.0.99 was set by hand, but its bytes are not known here; the nearest that is known is node 22.",
        ),
        (r#"{"package_manager":"deno@1.0.0"}"#, "node, npm, pnpm, yarn and bun are brought"),
        (r#"{"steps":[{"argv":[]}]}"#, "a step that was set by hand has no command"),
        (r#"{"pack_from":"../elsewhere"}"#, "../elsewhere"),
    ] {
        std::fs::write(folder.path().join("plan.json"), plan).unwrap();
        std::fs::write(folder.path().join("p.tgz"), Release::honest().tgz()).unwrap();
        let arguments = ["check", "p.tgz", "--repo", ".", "--plan", "plan.json"];
        let (code, said, complained) = countersign(folder.path(), &arguments);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{plan}: {complained}");
        assert!(complained.contains(named), "{plan}: {complained}");
    }
}

#[test]
fn a_batch_hands_on_what_may_differ_and_what_is_set_by_hand() {
    let folder = passable_folder();
    std::fs::create_dir(folder.path().join("o")).unwrap();
    let mut release = unguessable();
    release.committed.push(("README.md".to_owned(), "one\ntwo\n".to_owned()));
    release.packed.push(("README.md".to_owned(), "one\r\ntwo\r\n".to_owned()));
    release.commit_to(&folder.path().join("o/hostile"));
    std::fs::write(folder.path().join("p.tgz"), release.tgz()).unwrap();
    let table = format!(
        "name\tversion\trepository\ttag\ttarball\nhostile\t1.0.0\to/hostile\t{TAG}\tp.tgz\n"
    );
    std::fs::write(folder.path().join("table.tsv"), table).unwrap();
    let plan = r#"{"steps":[{"argv":["npm","run","make"],"env":{"WORD":"hand"}}]}"#;
    std::fs::write(folder.path().join("plan.json"), plan).unwrap();
    let batch = |more: &[&str]| {
        let begin = ["check", "--batch", "table.tsv", "--repos", ".", "--plan", "plan.json"];
        countersign(folder.path(), &[&begin[..], more].concat())
    };
    let (code, said, complained) = batch(&["--results", "strict.tsv"]);
    assert_eq!(code, Some(1), "{said}{complained}");
    assert!(said.contains("others: 1 file-changed"), "{said}");
    let (code, said, complained) = batch(&["--results", "lenient.tsv", "--allow", "line-endings"]);
    assert_eq!(code, Some(0), "{said}{complained}");
    assert!(said.contains("passes: 1 normalised"), "{said}");
}
