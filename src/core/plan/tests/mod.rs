//! Plans for trees as they are found in the wild.

use std::collections::BTreeSet;

use super::*;

mod by_hand;
mod published;
use crate::{
    facts::{FolderFacts, Member, Npmrc, OtherLockfile, SourceFacts, Workflow},
    lockfile::Lockfile,
    package_json::PackageJson,
    source::{Source, Trust},
    toolchain::{Pins, ToolName},
};

const COMMITTED: &str = "2026-06-01T12:00:00Z";

/// A tree with one folder or more, the package's first.
struct Tree {
    folders: Vec<FolderFacts>,
    paths: BTreeSet<String>,
    time: Timestamp,
    declared: Declared,
    members: Vec<Member>,
    workflows: Vec<Workflow>,
    written_version: Option<String>,
    given: Given,
}

fn folder(directory: &str, package: &str) -> FolderFacts {
    FolderFacts {
        directory: directory.parse().unwrap(),
        package: Some(PackageJson::parse(package.as_bytes()).unwrap()),
        lockfile: None,
        other_lockfiles: Vec::new(),
        node_versions: Vec::new(),
        pinned: Vec::new(),
        pnpm_workspace: None,
        lerna: None,
        release_settings: Vec::new(),
        npmrc: Npmrc::default(),
    }
}

fn lock(name: &str, manager: ToolName, form: &str) -> OtherLockfile {
    OtherLockfile { name: name.to_owned(), manager, form: form.to_owned(), read: None }
}

fn named_npm(package: &str) -> PackageJson {
    let text = package.replacen('{', r#"{"packageManager":"npm@11.19.1","#, 1);
    PackageJson::parse(text.as_bytes()).unwrap()
}

fn tree(package: &str, paths: &[&str]) -> Tree {
    Tree {
        folders: vec![folder("", package)],
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        time: COMMITTED.parse().unwrap(),
        declared: Declared::default(),
        members: Vec::new(),
        workflows: Vec::new(),
        written_version: None,
        given: Given::default(),
    }
}

impl Tree {
    fn locked(mut self, lockfile: &str) -> Self {
        let read = Lockfile::parse(lockfile.as_bytes());
        let last = self.folders.last_mut().unwrap();
        last.lockfile = Some(("package-lock.json".to_owned(), read));
        self
    }

    fn at(mut self, time: &str) -> Self {
        self.time = time.parse().unwrap();
        self
    }

    fn in_workspace(mut self, directory: &str, root: &str) -> Self {
        self.folders[0].directory = directory.parse().unwrap();
        self.folders.push(folder("", root));
        self
    }

    fn facts(&self) -> SourceFacts {
        SourceFacts {
            package: self.folders[0].package.clone().unwrap(),
            folders: self.folders.clone(),
            paths: self.paths.clone(),
            members: self.members.clone(),
            workflows: self.workflows.clone(),
            written_version: self.written_version.clone(),
        }
    }

    fn plans(self) -> Result<Vec<Plan>, PlanProblem> {
        let facts = self.facts();
        let source = Source {
            trust: Trust::Enrolled,
            repository: "https://example.org/o/r".parse().unwrap(),
            directory: facts.directory().clone(),
            tag: "v1.0.0".to_owned(),
            commit: "0".repeat(40),
            commit_time: self.time,
            enrolment_revision: Some(1),
            evidence: Vec::new(),
        };
        let hosts = BTreeSet::from(["npm.corp.example".to_owned()]);
        let pins = pins();
        let offer = Offer { pins: &pins, registry_hosts: &hosts };
        candidates(&facts, &source, &self.declared, &self.given, &offer)
    }

    /// The first plan; where one builds, the first of those.
    fn plan(self) -> Plan {
        let mut plans = self.plans().unwrap();
        let builds = plans.iter().position(|plan| !plan.packs_as_committed());
        plans.remove(builds.unwrap_or(0))
    }
}

fn pins() -> Pins {
    Pins::parse(include_str!("../../../../workers/src/toolchain/pins.tsv")).unwrap()
}

fn commands(plan: &Plan) -> Vec<String> {
    plan.build.iter().map(|step| step.argv.join(" ")).collect()
}

fn tools(plan: &Plan) -> (String, String) {
    (plan.node.version.to_string(), plan.package_manager.version.to_string())
}

const LOCK: &str = r#"{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0",
    "resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"sha512-AA=="}}}"#;

#[test]
fn a_package_without_lifecycle_scripts_is_packed_without_an_install() {
    let text =
        r#"{"main":"lib/index.js","scripts":{"test":"x","build":"y"},"dependencies":{"a":"1"}}"#;
    let plan = tree(text, &["lib/index.js", "package.json"]).locked(LOCK).plan();
    assert_eq!(plan.install, Install::None);
    assert!(plan.build.is_empty());
    assert_eq!(
        plan.pack.argv.join(" "),
        "npm pack --ignore-scripts --pack-destination /build/packed"
    );
    assert_eq!(tools(&plan), ("22.23.3".to_owned(), "11.19.1".to_owned()));
    assert!(plan.why.iter().any(|why| why.choice == "no install"), "{:?}", plan.why);
}

#[test]
fn scripts_that_only_look_push_or_install_hooks_do_not_cause_an_install() {
    for (event, text) in [
        ("prepare", "husky"),
        ("prepare", "husky install || true"),
        ("prepare", "npx husky install && npm run prepare:hooks"),
        ("prepublishOnly", "npm test"),
        ("prepublishOnly", "npm run lint && npm run test:unit && git push origin --follow-tags"),
        ("prepack", "echo packing"),
    ] {
        let package = format!(
            r#"{{"main":"a.js","devDependencies":{{"a":"1"}},"scripts":{{"{event}":"{text}","lint":"x","test:unit":"y","prepare:hooks":"npx husky set a \"npx b --edit $1\""}}}}"#
        );
        let plan = tree(&package, &["a.js"]).plan();
        assert_eq!((plan.install, plan.build), (Install::None, Vec::new()), "{event}: {text}");
    }
}

#[test]
fn what_is_not_in_the_list_is_run_whole_as_npm_would_run_it() {
    for text in [
        "tsc",
        "tsc && node finish.js",
        "npm test; tsc",
        "npm run nothing",
        "husky && $X",
        "husky set a $(b)",
        "npx --yes unknown",
        "npm test &",
    ] {
        let package = format!(
            r#"{{"main":"a.js","devDependencies":{{"a":"1"}},"scripts":{{"prepare":"{text}"}}}}"#
        );
        let plan = tree(&package, &["a.js"]).locked(LOCK).plan();
        assert_eq!(commands(&plan), ["npm run prepare"], "{text}");
        let Install::Lockfile { argv, lockfile, .. } = &plan.install else { panic!("{text}") };
        assert_eq!(argv.join(" "), "npm ci --ignore-scripts --no-audit --no-fund");
        assert_eq!(lockfile, "package-lock.json");
    }
}

#[test]
fn what_is_committed_is_packed_first_where_the_tree_holds_all_that_package_json_leads_to() {
    let text =
        r#"{"main":"index.js","devDependencies":{"a":"1"},"scripts":{"prepack":"ignorer --auto"}}"#;
    let plans = tree(text, &["index.js", "package.json"]).locked(LOCK).plans().unwrap();
    assert!(plans[0].packs_as_committed() && plans[0].build.is_empty(), "{:?}", plans[0]);
    assert!(!plans[1].packs_as_committed());
    assert_eq!(commands(&plans[1]), ["npm run prepack"]);
    assert_eq!(plans.iter().filter(|plan| plan.packs_as_committed()).count(), 1);
    // Of the years of npm 6 either npm may have packed it.
    let old = tree(text, &["index.js"]).at("2020-06-01T12:00:00Z").plans().unwrap();
    let majors: Vec<u64> =
        old.iter().take(2).map(|plan| plan.packer.version.semver().major()).collect();
    assert!(old[..2].iter().all(Plan::packs_as_committed), "{old:?}");
    assert!(majors.contains(&6) && majors[0] != majors[1], "{majors:?}");
    // What a build has to make first cannot be packed before it.
    let built =
        tree(&text.replace("index.js", "dist/index.js"), &["src/index.js"]).plans().unwrap();
    assert!(built.iter().all(|plan| !plan.packs_as_committed()), "{built:?}");
}

#[test]
fn where_publishing_runs_one_tool_that_tool_alone_is_installed_before_all_others() {
    let text = |script: &str| {
        format!(
            r#"{{"main":"index.js","devDependencies":{{"ignorer":"^0.3.0","tests":"1","odd":"file:../odd"}},"scripts":{{"prepack":"{script}"}}}}"#
        )
    };
    let installs = |script: &str| -> Vec<String> {
        let plans = tree(&text(script), &["index.js"]).plans().unwrap();
        let commands = plans.iter().map(|plan| match &plan.install {
            Install::AsOfCutoff { argv, .. } => argv.last().unwrap().clone(),
            Install::None => "none".to_owned(),
            Install::Lockfile { .. } => "lockfile".to_owned(),
        });
        commands.collect()
    };
    assert_eq!(installs("ignorer --auto")[..3], ["none", "ignorer@^0.3.0", "--no-fund"]);
    for other in ["node ignore.js", "ignorer $X", "odd", "ignorer && node x.js", "tests; ignorer"] {
        assert_eq!(installs(other)[..2], ["none", "--no-fund"], "{other}");
    }
    // By a lockfile the whole is installed, which pins what the tool itself needs.
    let locked = tree(&text("ignorer --auto"), &["index.js"]).locked(LOCK).plans().unwrap();
    assert!(matches!(locked[1].install, Install::Lockfile { .. }), "{:?}", locked[1]);
}

#[test]
fn a_compile_at_prepare_beside_a_push_at_prepublish_only_runs_the_compile_alone() {
    let text = r#"{"main":"./dist/index.js","files":["dist"],"devDependencies":{"a":"1"},
        "scripts":{"prepublishOnly":"git push origin --follow-tags","prepare":"compiler","test":"t"}}"#;
    let plan = tree(text, &["src/index.ts"]).locked(LOCK).plan();
    assert_eq!(commands(&plan), ["npm run prepare"]);
}

#[test]
fn of_clean_test_and_build_a_fresh_tree_needs_the_build_alone() {
    let text = r#"{"main":"./dist/index.js","devDependencies":{"a":"1"},"scripts":{
        "prepublishOnly":"npm run clean && npm test && npm run build","clean":"c","test":"t","build":"b"}}"#;
    let bare = tree(text, &["src/index.ts"]).locked(LOCK).plan();
    assert_eq!(commands(&bare), ["npm run build"]);
    let with_outputs_committed = tree(text, &["dist/index.js"]).locked(LOCK).plan();
    assert_eq!(commands(&with_outputs_committed), ["npm run clean", "npm run build"]);
}

#[test]
fn scripts_that_a_script_lists_are_run_one_by_one() {
    for (text, expected) in [
        ("run-s -l clean build:a build:b test", vec!["npm run build:a", "npm run build:b"]),
        ("npm run-s -n build:a test", vec!["npm run build:a"]),
        ("npx run-s build:b && npm run build:a", vec!["npm run build:b", "npm run build:a"]),
        ("run-s build:*", vec!["npm run prepack"]),
        ("run-s -p build:a", vec!["npm run prepack"]),
        ("npm-run-all --parallel build:a", vec!["npm run prepack"]),
    ] {
        let package = format!(
            r#"{{"main":"dist/a.js","devDependencies":{{"a":"1"}},"scripts":{{"prepack":"{text}",
                "clean":"c","build:a":"x","build:b":"y","test":"t"}}}}"#
        );
        let plan = tree(&package, &["a.ts"]).plan();
        assert_eq!(commands(&plan), expected, "{text}");
    }
}

#[test]
fn a_build_that_no_lifecycle_script_calls_is_run_where_what_is_packed_is_missing() {
    let scripts =
        r#""scripts":{"build":"b","prepublishOnly":"npm test"},"devDependencies":{"a":"1"}"#;
    for missing in [
        r#""main":"dist/index.js""#,
        r#""files":["dist","src"],"main":"src/a.js""#,
        r#""main":"src/a.js","exports":{".":{"import":["./src/a.js","./dist/a.mjs"]}}"#,
        r#""main":"src/a.js","bin":{"x":"./dist/cli.js"}"#,
        r#""main":"src/a","types":"types/a.d.ts""#,
    ] {
        let plan = tree(&format!("{{{missing},{scripts}}}"), &["src/a.js"]).plan();
        assert_eq!(commands(&plan), ["npm run build"], "{missing}");
    }
    let whole =
        format!(r#"{{"main":"src/a","files":["src/","*.md"],"exports":"./src/a.js",{scripts}}}"#);
    assert!(tree(&whole, &["src/a.js"]).plan().build.is_empty());
}

#[test]
fn tests_are_run_after_all_where_nothing_else_could_make_what_is_packed() {
    let text = r#"{"main":"dist/index.js","devDependencies":{"a":"1"},
        "scripts":{"prepublishOnly":"npm test","pretest":"compile","test":"t"}}"#;
    assert_eq!(commands(&tree(text, &["a.ts"]).plan()), ["npm run prepublishOnly"]);
}

#[test]
fn scripts_run_in_the_order_of_the_npm_that_packs() {
    let text = r#"{"main":"a.js","devDependencies":{"a":"1"},
        "scripts":{"prepare":"p","prepack":"k","prepublishOnly":"o","prepublish":"u"}}"#;
    let now = tree(text, &["a.js"]).plan();
    assert_eq!(commands(&now), ["npm run prepublishOnly", "npm run prepack", "npm run prepare"]);
    let then = tree(text, &["a.js"]).at("2020-01-01T00:00:00Z").plan();
    assert_eq!(
        commands(&then),
        ["npm run prepublish", "npm run prepare", "npm run prepublishOnly", "npm run prepack"]
    );
    assert_eq!(tools(&then), ("14.21.3".to_owned(), "6.14.18".to_owned()));
    assert_eq!(then.pack.argv.join(" "), "npm pack --ignore-scripts", "npm 6 knows no destination");
}

#[test]
fn a_member_of_a_workspace_is_installed_at_its_root_and_built_in_its_folder() {
    let package = r#"{"main":"dist/a.js","scripts":{"prepublishOnly":"builder"}}"#;
    let root = r#"{"private":true,"workspaces":["packages/*"],"packageManager":"npm@10.9.0+sha512.abc","devDependencies":{"a":"1"}}"#;
    let plan = tree(package, &["a.ts"]).in_workspace("packages/a", root).locked(LOCK).plan();
    let Install::Lockfile { directory, .. } = &plan.install else { panic!("{:?}", plan.install) };
    assert!(directory.is_root());
    assert_eq!(plan.build[0].cwd.as_str(), "packages/a");
    assert_eq!(plan.pack.cwd.as_str(), "packages/a");
    assert_eq!(tools(&plan).1, "10.9.0");
    let alone = tree(package, &["a.ts"]).in_workspace("other/a", root).locked(LOCK).plan();
    assert_eq!(alone.install, Install::None, "it is no member, and names no dependencies itself");
}

#[test]
fn without_a_lockfile_of_its_own_the_install_is_as_of_the_cut_off() {
    let text = r#"{"main":"dist/a.js","scripts":{"prepack":"b"},"devDependencies":{"a":"1"}}"#;
    let mut yarn = tree(text, &["a.ts"]);
    yarn.folders[0].package = Some(named_npm(text));
    yarn.folders[0].other_lockfiles.push(lock("yarn.lock", ToolName::Yarn, "1"));
    yarn.declared.tag_first_seen = Some("2026-05-01T00:00:00Z".parse().unwrap());
    let plan = yarn.plan();
    let Install::AsOfCutoff { argv, .. } = &plan.install else { panic!("{:?}", plan.install) };
    assert_eq!(
        argv.join(" "),
        "npm install --no-package-lock --ignore-scripts --no-audit --no-fund"
    );
    assert_eq!(plan.cutoff.to_string(), "2026-05-01T00:00:00Z", "the earlier of the two");
    assert!(plan.why.iter().any(|why| why.because.contains("`yarn.lock`")), "{:?}", plan.why);
}

#[test]
fn what_cannot_be_installed_here_is_named_before_anything_runs() {
    let text = |dependency: &str| {
        format!(
            r#"{{"main":"d/a.js","scripts":{{"prepack":"b"}},"devDependencies":{{"a":"{dependency}"}}}}"#
        )
    };
    let problem = |dependency: &str| tree(&text(dependency), &["a.ts"]).plans().unwrap_err();
    assert_eq!(problem("owner/name#v1"), PlanProblem::DependencyFromGit("a".to_owned()));
    assert!(matches!(problem("workspace:^"), PlanProblem::NoPlan(_)));
    let locked = |entry: &str| {
        let lock = format!(r#"{{"lockfileVersion":3,"packages":{{"node_modules/a":{entry}}}}}"#);
        tree(&text("1"), &["a.ts"]).locked(&lock).plans()
    };
    let git = r#"{"version":"1.0.0","resolved":"git+ssh://git@x/a.git#0"}"#;
    assert_eq!(locked(git).unwrap_err(), PlanProblem::DependencyFromGit("a".to_owned()));
    let foreign = r#"{"version":"1.0.0","resolved":"https://elsewhere.example/a.tgz"}"#;
    let expected = PlanProblem::LockfileForeignHost("elsewhere.example".to_owned());
    assert_eq!(locked(foreign).unwrap_err(), expected);
    let mapped = r#"{"version":"1.0.0","resolved":"https://npm.corp.example/a.tgz"}"#;
    assert!(locked(mapped).is_ok());
    let broken = tree(&text("1"), &["a.ts"]).locked("<<<<<<<").plans().unwrap_err();
    assert!(
        matches!(broken, PlanProblem::LockfileUnusable(detail) if detail.contains("package-lock.json"))
    );
    let unneeded = r#"{"main":"a.js","devDependencies":{"a":"owner/name"}}"#;
    assert!(tree(unneeded, &["a.js"]).plans().is_ok(), "nothing needs it");
}

#[test]
fn tools_are_chosen_by_rank_and_each_choice_has_its_reason() {
    let package = r#"{"main":"a.js","engines":{"node":"^18"},"volta":{"node":"20.10.0"},"packageManager":"npm@9.5.0"}"#;
    let mut recorded = tree(package, &["a.js"]);
    recorded.declared = Declared {
        node: Some("24.1.0".to_owned()),
        npm: Some("11.3.0".to_owned()),
        tag_first_seen: None,
    };
    assert_eq!(tools(&recorded.plan()), ("24.1.0".to_owned(), "11.3.0".to_owned()));
    let mut filed = tree(package, &["a.js"]);
    filed.folders[0].node_versions.push((".nvmrc".to_owned(), "v16".to_owned()));
    let filed = filed.plan();
    assert_eq!(tools(&filed), ("16.20.2".to_owned(), "9.5.0".to_owned()));
    assert!(filed.why[0].because.contains("`.nvmrc`"), "{:?}", filed.why);
    assert_eq!(tools(&tree(package, &["a.js"]).plan()).0, "20.10.0");
    let engines = r#"{"main":"a.js","engines":{"node":"^18"}}"#;
    let plan = tree(engines, &["a.js"]).plan();
    assert_eq!(tools(&plan), ("18.20.8".to_owned(), "10.9.9".to_owned()), "an npm that runs on it");
    let wide = tree(r#"{"main":"a.js","engines":{"node":">=10"}}"#, &["a.js"]).plan();
    assert_eq!(tools(&wide).0, "22.23.3");
    let wish = r#"{"main":"a.js","devEngines":{"runtime":{"name":"node","version":"20.19.0"}}}"#;
    assert_eq!(tools(&tree(wish, &["a.js"]).plan()).0, "20.19.0");
}

#[test]
fn alternatives_are_few_and_ordered() {
    let text = r#"{"main":"d/a.js","scripts":{"prepack":"b"},"devDependencies":{"a":"1"}}"#;
    let lock = LOCK.replace("\"version\"", "\"hasInstallScript\":true,\"version\"");
    let plans = tree(text, &["a.ts"]).locked(&lock).plans().unwrap();
    let differ = plans.iter().map(|plan| (plan.clock, plan.put_back, plan.build.len()));
    let expected = [
        (Clock::Real, true, 1),
        (Clock::Preload, true, 1),
        (Clock::Real, false, 1),
        (Clock::Real, true, 2),
    ];
    assert_eq!(differ.collect::<Vec<_>>(), expected);
    assert_eq!(commands(&plans[3]), ["npm rebuild", "npm run prepack"]);
    assert_ne!(plans[0].digest(), plans[1].digest());
    let old = tree(r#"{"main":"a.js"}"#, &["a.js"]).at("2020-01-01T00:00:00Z").plans().unwrap();
    let npm: Vec<String> = old.iter().map(|plan| tools(plan).1).collect();
    assert_eq!(npm[0], "6.14.18");
    assert!(npm[1].starts_with("9.") || npm[1].starts_with("10."), "{npm:?}");
    let recent = tree(r#"{"main":"a.js"}"#, &["a.js"]).plans().unwrap();
    assert_eq!(recent.len(), 1);
}

#[test]
fn a_registry_of_the_tree_is_passed_over_and_told_of() {
    let mut own = tree(r#"{"main":"a.js"}"#, &["a.js"]);
    own.folders[0].npmrc = Npmrc::parse("registry=https://evil.example\n@s:registry=https://x");
    let why = own.plan().why;
    assert!(why.iter().any(|why| why.because.contains("@s:registry`, `registry")), "{why:?}");
}

#[test]
fn a_plan_without_digests_is_warned_of() {
    let bare = LOCK.replace(r#","integrity":"sha512-AA==""#, "");
    let text = r#"{"main":"d/a.js","scripts":{"prepack":"b"},"devDependencies":{"a":"1"}}"#;
    for (lock, expected) in [(bare.as_str(), 1), (LOCK, 0)] {
        let tree = tree(text, &["a.ts"]).locked(lock);
        assert_eq!(warnings(&tree.facts(), &tree.plan()).len(), expected);
    }
}
