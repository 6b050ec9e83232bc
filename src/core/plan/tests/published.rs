//! What the tree says of its own release: workflow files, scripts that publish, workspaces and release tools.

use super::*;
use crate::{
    facts::{Lerna, Patterns},
    yaml,
};

const NEEDY: &str = r#""devDependencies":{"a":"1"}"#;

fn package(fields: &str) -> String {
    format!(r#"{{"name":"x","version":"1.0.0",{NEEDY},{fields}}}"#)
}

fn workflow(steps: &str) -> Workflow {
    named_workflow("publish.yml", steps)
}

/// A workflow file of one job; each line of `steps` is a step.
fn named_workflow(name: &str, steps: &str) -> Workflow {
    let steps: String = steps.lines().map(|line| format!("      - {}\n", line.trim())).collect();
    let text = format!("on: push\njobs:\n  publish:\n    steps:\n{steps}");
    let path = format!(".github/workflows/{name}");
    Workflow::github(&path, &yaml::parse(&text).unwrap()).unwrap()
}

fn member(directory: &str, package: &str) -> Member {
    Member {
        directory: directory.parse().unwrap(),
        package: PackageJson::parse(package.as_bytes()).unwrap(),
    }
}

fn steps(plan: &Plan) -> Vec<String> {
    let shown = |step: &Step| {
        let argv = step.argv.join(" ");
        if step.cwd.is_root() { argv } else { format!("{}: {argv}", step.cwd) }
    };
    plan.build.iter().map(shown).collect()
}

fn released(package: &str, steps: &str) -> Tree {
    let mut tree = tree(package, &["src/a.ts"]);
    tree.workflows.push(workflow(steps));
    tree
}

#[test]
fn what_a_workflow_runs_before_it_publishes_is_how_it_is_built() {
    let text =
        package(r#""main":"dist/a.js","scripts":{"build":"b","test":"t","lint":"l","docs":"d"}"#);
    for (job, build, pack) in [
        (
            "run: npm ci\nrun: npm run lint && npm test\nrun: npm run build\nrun: npm publish",
            "npm run build",
            "",
        ),
        (
            "run: npm ci\nrun: npm run build\nrun: npm publish ./dist --tag ${{ x }}",
            "npm run build",
            "dist",
        ),
        ("run: npm run build\nrun: cd dist && npm publish", "npm run build", "dist"),
        (
            "run: npm run build\nuses: JS-DevTools/npm-publish@v3\n  with: {package: ./dist/package.json}",
            "npm run build",
            "dist",
        ),
        ("run: npm ci\nrun: npm publish", "npm run build", ""),
    ] {
        let job = job.replace("\n  with", "\n        with");
        let mut tree = tree(&text, &["src/a.ts"]);
        let lines: String = job
            .lines()
            .map(|line| {
                if line.starts_with(' ') {
                    format!("{line}\n")
                } else {
                    format!("      - {line}\n")
                }
            })
            .collect();
        let whole = format!("on: push\njobs:\n  publish:\n    steps:\n{lines}");
        let read = Workflow::github("w.yml", &yaml::parse(&whole).unwrap()).unwrap();
        tree.workflows.push(read);
        let plan = tree.plan();
        assert_eq!(steps(&plan), [build], "{job}");
        assert_eq!(plan.pack.cwd.as_str(), pack, "{job}");
    }
}

#[test]
fn a_workflow_names_node_and_package_manager() {
    let text = package(r#""main":"dist/a.js","scripts":{"build":"b"}"#);
    let job = "uses: actions/setup-node@v4\nuses: pnpm/action-setup@v4\nrun: npm i -g npm@10.8.0\n\
               run: pnpm install\nrun: pnpm build\nrun: pnpm publish --no-git-checks";
    let mut tree = released(&text, job);
    let with = "with: {node-version: 20}";
    let text = format!(
        "on: push\njobs:\n  p:\n    steps:\n      - uses: actions/setup-node@v4\n        {with}\n      - run: npm i -g npm@10.8.0\n      - run: pnpm install\n      - run: pnpm build\n      - run: pnpm publish\n"
    );
    tree.workflows = vec![Workflow::github("w.yml", &yaml::parse(&text).unwrap()).unwrap()];
    let plan = tree.plan();
    assert!(plan.node.version.as_str().starts_with("20."), "{}", plan.node);
    assert_eq!(plan.npm.version.as_str(), "10.8.0");
    assert_eq!(plan.package_manager.name, ToolName::Pnpm);
    assert_eq!(plan.packer, plan.package_manager);
    assert_eq!(steps(&plan), ["pnpm run build"]);
}

#[test]
fn what_publishes_is_what_packs() {
    let text = package(r#""main":"a.js","packageManager":"pnpm@10.3.0","scripts":{"s":"x"}"#);
    for (job, packer, candidates) in [
        ("run: npm publish", "npm", 1),
        ("run: pnpm publish", "pnpm", 1),
        ("run: npx changeset publish", "pnpm", 2),
        ("run: npx semantic-release", "npm", 1),
    ] {
        let mut tree = released(&text, job);
        tree.paths.insert("a.js".to_owned());
        let plans = tree.plans().unwrap();
        assert_eq!(plans[0].packer.name.as_str(), packer, "{job}");
        assert_eq!(plans.len(), candidates, "{job}");
    }
    let unknown = tree(&text, &["a.js"]).plans().unwrap();
    let packers: Vec<&str> = unknown.iter().map(|plan| plan.packer.name.as_str()).collect();
    assert_eq!(packers, ["pnpm", "npm"], "whoever installs with pnpm mostly publishes with it");
}

#[test]
fn a_script_that_publishes_is_a_release_too() {
    let text = package(
        r#""main":"dist/a.js","scripts":{"build":"b","test":"t",
        "release":"npm run -s build -s && npm t && git commit -am $npm_package_version && npm publish dist"}"#,
    );
    let plan = tree(&text, &["a.ts"]).plan();
    assert_eq!(steps(&plan), ["npm run build"]);
    assert_eq!(plan.pack.cwd.as_str(), "dist");
    let followed = package(
        r#""main":"dist/a.js","scripts":{"build":"b","ship":"npm run build && np --contents dist","release":"npm run ship"}"#,
    );
    assert_eq!(tree(&followed, &["a.ts"]).plan().pack.cwd.as_str(), "dist");
    let unpublished =
        package(r#""main":"a.js","scripts":{"release":"np --no-publish --contents dist"}"#);
    assert!(tree(&unpublished, &["a.js"]).plan().pack.cwd.is_root());
}

#[test]
fn two_folders_of_equal_standing_are_ambiguous() {
    let text = package(r#""main":"dist/a.js","scripts":{"build":"b"}"#);
    let mut two = released(&text, "run: npm publish dist");
    two.workflows.push(named_workflow("release.yml", "run: npm publish"));
    assert!(
        matches!(two.plans(), Err(PlanProblem::Ambiguous(detail)) if detail.contains("`dist`"))
    );
    let mut aside = released(&text, "run: npm publish dist");
    aside.workflows.push(named_workflow("a-canary.yml", "run: npm publish --tag canary"));
    assert_eq!(aside.plan().pack.cwd.as_str(), "dist", "a canary is no usual release");
}

#[test]
fn the_publish_of_another_package_says_nothing() {
    let text = package(r#""main":"a.js""#);
    let mut other = released(&text, "run: cd packages/b && npm publish");
    other.paths.extend(["a.js".to_owned(), "packages/b/package.json".to_owned()]);
    assert!(other.plan().pack.cwd.is_root());
}

#[test]
fn the_folder_of_publish_config_and_of_lerna_is_packed() {
    let text = package(r#""main":"a.js","publishConfig":{"directory":"build/npm"}"#);
    assert_eq!(tree(&text, &["a.js"]).plan().pack.cwd.as_str(), "build/npm");
    let root = r#"{"private":true,"workspaces":["packages/*"],"scripts":{"release":"lerna publish from-package"}}"#;
    let member = package(r#""main":"a.js""#);
    let mut lerna = tree(&member, &["a.js"]).in_workspace("packages/a", root);
    let file = serde_json::json!({"command": {"publish": {"contents": "dist"}}});
    lerna.folders[1].lerna = Some(Lerna::read(&file));
    assert_eq!(lerna.plan().pack.cwd.as_str(), "packages/a/dist");
}

#[test]
fn the_version_is_written_where_the_release_writes_it() {
    let text = package(
        r#""main":"dist/a.js","scripts":{"build":"b","release":"semantic-release","prepack":"p"}"#,
    );
    let mut written = released(&text, "run: yarn\nrun: yarn build\nrun: npm run release");
    written.written_version = Some("2.0.0".to_owned());
    written.folders[0].other_lockfiles.push(lock("yarn.lock", ToolName::Yarn, "1"));
    assert!(version_writer(&written.facts()).unwrap().contains("semantic-release"));
    let plan = written.plan();
    let version = "npm version 2.0.0 --no-git-tag-version --allow-same-version --ignore-scripts";
    assert_eq!(steps(&plan), ["yarn run build", version, "yarn run prepack"]);
    assert_eq!(plan.package_manager.to_string(), "yarn 1.22.22");
    assert_eq!(plan.packer.name, ToolName::Npm);
    let plain = tree(&package(r#""scripts":{"build":"b"}"#), &[]);
    assert_eq!(version_writer(&plain.facts()), None);
    let settings = package(r#""release":{"branches":["main"]}"#)
        .replace("\"a\":\"1\"", "\"semantic-release\":\"24\"");
    assert!(version_writer(&tree(&settings, &[]).facts()).is_some());
    let unset = settings.replace("\"release\"", "\"other\"");
    assert_eq!(version_writer(&tree(&unset, &[]).facts()), None, "a dependency alone says nothing");
}

#[test]
fn a_version_alone_needs_no_install() {
    let mut written = released(&package(r#""main":"a.js""#), "run: npx semantic-release");
    written.paths.insert("a.js".to_owned());
    written.written_version = Some("2.0.0".to_owned());
    let plan = written.plan();
    assert_eq!(plan.install, Install::None);
    assert!(!plan.put_back);
    assert_eq!(plan.build.len(), 1);
}

#[test]
fn a_cleaner_that_the_tree_declares_makes_what_is_packed() {
    let text = |range: &str| {
        format!(
            r#"{{"main":"a.js","clean-publish":{{"cleanDocs":true}},"devDependencies":{{"clean-publish":"{range}"}}}}"#
        )
    };
    let plan = tree(&text("^3.0.3"), &["a.js"]).plan();
    assert_eq!(
        steps(&plan),
        ["npm exec --no -- clean-publish --without-publish --temp-dir countersign-cleaned"]
    );
    assert_eq!(plan.pack.cwd.as_str(), "countersign-cleaned");
    let old = tree(&text("^2.0.0"), &["a.js"]).plan();
    assert!(
        old.build.is_empty() && old.pack.cwd.is_root(),
        "it cannot be told which folder to make"
    );
}

const ROOT: &str = r#"{"private":true,"workspaces":["packages/*"],"scripts":{"docs":"d"},"devDependencies":{"t":"1"}}"#;

fn of_three(script: &str, root: &str) -> Tree {
    let own = format!(
        r#"{{"name":"c","main":"dist/c.js","dependencies":{{"b":"1"}},"scripts":{{"{script}":"x"}}}}"#
    );
    let mut tree = tree(&own, &["c.ts"]).in_workspace("packages/c", root);
    tree.members = vec![
        member("packages/a", r#"{"name":"a","scripts":{"build":"x"}}"#),
        member(
            "packages/b",
            r#"{"name":"b","dependencies":{"a":"1","c":"1"},"scripts":{"build":"x"}}"#,
        ),
        member("packages/c", &own),
        member("packages/d", r#"{"name":"d","scripts":{"build":"x"}}"#),
    ];
    tree
}

#[test]
fn siblings_are_built_first_in_the_order_of_their_need() {
    let plan = of_three("build", ROOT).plan();
    let each =
        ["packages/a: npm run build", "packages/b: npm run build", "packages/c: npm run build"];
    assert_eq!(steps(&plan), each);
    assert!(matches!(&plan.install, Install::AsOfCutoff { directory, .. } if directory.is_root()));
    let building = ROOT.replace("\"docs\":\"d\"", "\"build\":\"turbo run build\"");
    assert_eq!(steps(&of_three("build", &building).plan()), ["npm run build"]);
    let plan = of_three("prepack", &building).plan();
    let lifecycle =
        ["packages/a: npm run build", "packages/b: npm run build", "packages/c: npm run prepack"];
    assert_eq!(steps(&plan), lifecycle, "its own script builds it");
}

#[test]
fn a_workflow_that_builds_from_the_root_builds_the_siblings() {
    let root = ROOT.replace("\"docs\":\"d\"", "\"build\":\"npm run build --workspaces\"");
    let mut tree = of_three("build", &root);
    tree.workflows
        .push(workflow("run: npm install\nrun: npm run build\nrun: npm publish -w packages/c"));
    let plan = tree.plan();
    assert_eq!(steps(&plan), ["npm run build"]);
    assert_eq!(plan.pack.cwd.as_str(), "packages/c");
    let mut filtered = of_three("build", &root);
    filtered.folders[1].pnpm_workspace =
        Some(Patterns::of_pnpm(&serde_json::json!({"packages": ["packages/*"]})));
    filtered
        .workflows
        .push(workflow("run: pnpm install\nrun: pnpm -r build\nrun: pnpm -r publish"));
    let plan = filtered.plan();
    assert_eq!(steps(&plan), ["pnpm -r build"]);
    assert_eq!(plan.packer.name, ToolName::Pnpm);
    assert_eq!(plan.pack.cwd.as_str(), "packages/c");
}

#[test]
fn ignored_scripts_are_hidden_and_the_build_is_run_on_purpose() {
    let text = package(
        r#""types":"index.d.ts","scripts":{"prepack":"npm run build && npm run format","build":"b"}"#,
    );
    let mut hidden = tree(&text, &["index.js"]);
    hidden.folders[0].npmrc = Npmrc::parse("ignore-scripts=true");
    let plan = hidden.plan();
    assert_eq!(steps(&plan), ["npm run build"]);
    assert!(plan.why.iter().any(|why| why.because.contains("`ignore-scripts` of `.npmrc`")));
}

#[test]
fn the_package_manager_is_that_of_the_tree() {
    let with =
        |fields: &str| package(&format!(r#""main":"d/a.js","scripts":{{"build":"b"}}{fields}"#));
    let plain = with("");
    let of = |tree: Tree| {
        let plan = tree.plan();
        let version = plan.package_manager.version.to_string();
        format!("{}@{}", plan.package_manager.name, version.split('.').next().unwrap())
    };
    for (name, manager, form, expected) in [
        ("pnpm-lock.yaml", ToolName::Pnpm, "5.4", "pnpm@7"),
        ("pnpm-lock.yaml", ToolName::Pnpm, "6.0", "pnpm@8"),
        ("yarn.lock", ToolName::Yarn, "1", "yarn@1"),
        ("yarn.lock", ToolName::Yarn, "6", "yarn@3"),
        ("yarn.lock", ToolName::Yarn, "8", "yarn@4"),
        ("bun.lock", ToolName::Bun, "1", "bun@1"),
    ] {
        let mut tree = tree(&plain, &["a.ts"]);
        tree.folders[0].other_lockfiles.push(lock(name, manager, form));
        assert_eq!(of(tree), expected, "{name} {form}");
    }
    let mut both =
        tree(&with(r#","packageManager":"pnpm@9.1.0+sha512.aa""#), &["a.ts"]).locked(LOCK);
    both.folders[0].other_lockfiles.push(lock("pnpm-lock.yaml", ToolName::Pnpm, "9.0"));
    assert_eq!(of(both), "pnpm@9");
    let mut undecided = tree(&plain, &["a.ts"]).locked(LOCK);
    undecided.folders[0].other_lockfiles.push(lock("pnpm-lock.yaml", ToolName::Pnpm, "5.4"));
    let plans = undecided.plans().unwrap();
    let managers: Vec<&str> =
        plans[..2].iter().map(|plan| plan.package_manager.name.as_str()).collect();
    assert_eq!(managers, ["npm", "pnpm"], "the other lockfile is a candidate");
    let mut broken = tree(&plain, &["a.ts"]).locked("<<<<");
    broken.folders[0].other_lockfiles.push(lock("pnpm-lock.yaml", ToolName::Pnpm, "5.4"));
    assert_eq!(of(broken), "pnpm@7", "one that cannot be read does not stand in the way");
}

#[test]
fn no_tree_has_more_than_six_candidates_and_none_twice() {
    let text = package(r#""main":"d/a.js","scripts":{"build":"b"}"#);
    let locked = LOCK.replace("\"version\"", "\"hasInstallScript\":true,\"version\"");
    let mut many = tree(&text, &["a.ts"]).locked(&locked).at("2023-01-01T00:00:00Z");
    many.folders[0].other_lockfiles.push(lock("pnpm-lock.yaml", ToolName::Pnpm, "5.4"));
    let plans = many.plans().unwrap();
    let digests: BTreeSet<String> = plans.iter().map(|plan| plan.digest().to_string()).collect();
    assert_eq!((plans.len(), digests.len()), (6, 6));
    let folders: BTreeSet<&str> = plans.iter().map(|plan| plan.pack.cwd.as_str()).collect();
    assert_eq!(folders.len(), 1);
}

#[test]
fn of_a_build_that_also_cleans_and_checks_what_makes_something_is_run() {
    let text = package(
        r#""main":"out/a.js","scripts":{"clean":"rimraf out","compile":"tsc","lint":"l","test":"t",
        "build":"npm run clean && npm run compile && npm run lint && npm test"}"#,
    );
    assert_eq!(steps(&tree(&text, &["a.ts"]).plan()), ["npm run compile"]);
    let whole = text.replace(" && npm run lint && npm test", "").replace("npm run clean && ", "");
    assert_eq!(steps(&tree(&whole, &["a.ts"]).plan()), ["npm run build"]);
}
