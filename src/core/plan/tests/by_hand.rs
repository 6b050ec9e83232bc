//! What a person sets by hand, held against what the tree says of itself.

use super::*;

/// A tree of pnpm with a build, a lockfile of npm, and an old node: all of it is to give way.
fn telling() -> Tree {
    let package = r#"{"main":"dist/a.js","packageManager":"pnpm@9.15.9","engines":{"node":"^18"},
        "devDependencies":{"a":"1"},"scripts":{"prepack":"tsc"}}"#;
    tree(package, &["src/a.ts"]).locked(LOCK)
}

fn given(text: &str) -> Given {
    serde_json::from_str(text).unwrap()
}

fn plans(text: &str) -> Vec<Plan> {
    let mut tree = telling();
    tree.given = given(text);
    tree.plans().unwrap()
}

#[test]
fn what_is_set_holds_in_every_candidate() {
    for plan in plans(r#"{"node":"22.23.3","package_manager":"npm@11.19.1"}"#) {
        assert_eq!(tools(&plan), ("22.23.3".to_owned(), "11.19.1".to_owned()));
        assert_eq!(plan.install.in_words(), "installed by package-lock.json");
        assert_eq!(plan.packer.to_string(), "npm 11.19.1");
    }
    let clocks = |text: &str| -> BTreeSet<bool> {
        plans(text).iter().map(|plan| plan.clock == Clock::Preload).collect()
    };
    assert_eq!(clocks("{}"), BTreeSet::from([false, true]));
    assert_eq!(clocks(r#"{"clock":"preload"}"#), BTreeSet::from([true]));
    assert!(plans(r#"{"put_back":false}"#).iter().all(|plan| !plan.put_back));
}

#[test]
fn what_is_not_set_is_found_out_as_ever() {
    let (plain, set) = (&plans("{}")[0], &plans(r#"{"node":"22.23.3"}"#)[0]);
    assert_eq!((&plain.build, &plain.install), (&set.build, &set.install));
    assert_ne!(plain.node, set.node);
}

#[test]
fn steps_install_and_folder_are_those_that_are_set() {
    let text = r#"{"steps":[{"argv":["node","make.js"],"cwd":"tools"}],"install":"none","pack_from":"out"}"#;
    let all = plans(text);
    for plan in &all {
        assert_eq!(commands(plan), ["node make.js"]);
        assert_eq!((plan.build[0].cwd.as_str(), plan.pack.cwd.as_str()), ("tools", "out"));
        assert_eq!(plan.install, Install::None);
    }
    let unlocked = plans(r#"{"package_manager":"npm@11.19.1","install":"as-of-cutoff"}"#);
    assert!(unlocked.iter().all(|plan| matches!(plan.install, Install::AsOfCutoff { .. })));
}

#[test]
fn an_install_by_a_lockfile_that_is_not_there_is_no_plan() {
    let mut tree = telling();
    tree.given = given(r#"{"package_manager":"yarn@1.22.22","install":"lockfile"}"#);
    let Err(PlanProblem::LockfileUnusable(why)) = tree.plans() else { panic!("there is a plan") };
    assert!(why.contains("holds none of yarn"), "{why}");
}

#[test]
fn what_is_set_is_written_as_it_is_read_and_told_in_words() {
    let text = r#"{"node":"22.23.3","package_manager":"pnpm@10.34.9","packer":"npm@11.19.1","install":"lockfile","steps":[],"pack_from":"dist","clock":"real","put_back":true}"#;
    let set = given(text);
    assert_eq!(serde_json::to_string(&set).unwrap(), text);
    assert_eq!(
        set.in_words().join("; "),
        "node 22.23.3; pnpm 10.34.9; packed with npm 11.19.1; installed by the lockfile; no steps; packed from dist; \
         the machine's clock; rewritten tracked files are put back"
    );
    assert!(given("{}").is_empty() && given("{}").in_words().is_empty());
}
