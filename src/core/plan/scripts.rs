//! Which scripts of a package.json make what is packed. A script's text is held against a closed list of words; what is
//! not in the list is run whole. Nothing is evaluated, and no text of a script becomes part of a command.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Why;
use crate::{facts::SourceFacts, package_json::PackageJson};

/// The lifecycle scripts that npm from version 7 on runs when it publishes, in its order (libnpmpack, pacote).
const PUBLISHING: [&str; 3] = ["prepublishOnly", "prepack", "prepare"];
/// Those of npm up to 6, in its order (npm 6, lib/publish.js and lib/pack.js).
const PUBLISHING_BEFORE_7: [&str; 4] = ["prepublish", "prepare", "prepublishOnly", "prepack"];
/// Names of scripts that look and change nothing that is packed.
const CHECKS: [&str; 24] = [
    "attw",
    "audit",
    "bench",
    "benchmark",
    "check",
    "check-types",
    "cov",
    "cover",
    "coverage",
    "deploy",
    "e2e",
    "format",
    "knip",
    "lint",
    "prettier",
    "publint",
    "size",
    "test",
    "tests",
    "type-check",
    "typecheck",
    "unit",
    "validate",
    "verify",
];
/// Programs that look, push, or install git hooks, and change nothing that is packed.
const IDLE_PROGRAMS: [&str; 23] = [
    "attw",
    "ava",
    "c8",
    "exit",
    "husky",
    "in-publish",
    "is-ci",
    "jest",
    "lefthook",
    "lint-staged",
    "mocha",
    "not-in-publish",
    "np",
    "nyc",
    "publint",
    "safe-publish-latest",
    "simple-git-hooks",
    "standard",
    "tap",
    "tape",
    "true",
    "tsd",
    "xo",
];
/// Characters with a meaning to a shell beyond parting words; a text that holds one is not looked into.
const SHELL: [char; 19] = [
    ';', '|', '&', '<', '>', '$', '`', '"', '\'', '(', ')', '{', '}', '*', '?', '~', '#', '\\',
    '\n',
];

/// The lifecycle scripts that publishing runs, as the scripts to run in order.
pub(super) fn lifecycle(facts: &SourceFacts, npm_major: u64) -> Lifecycle {
    let scripts = facts.package.scripts();
    let lacks_outputs = !missing_outputs(facts).is_empty();
    Reading { scripts: &scripts, lacks_outputs }.lifecycle(npm_major)
}

/// The scripts that one which a release runs stands for: those of its parts that may make something where it is put
/// together from others, else itself.
pub(super) fn expanded(
    scripts: &BTreeMap<String, String>,
    lacks_outputs: bool,
    name: &str,
) -> Vec<String> {
    let reading = Reading { scripts, lacks_outputs };
    if reading.counts(name) { reading.expanded(name, 0) } else { Vec::new() }
}

/// How deep scripts that are put together from others are followed.
const DEPTH_MAX: usize = 3;

impl Reading<'_> {
    fn expanded(&self, name: &str, depth: usize) -> Vec<String> {
        let scripts = self.scripts;
        let hooked =
            ["pre", "post"].iter().any(|hook| scripts.contains_key(&format!("{hook}{name}")));
        let text = scripts.get(name).filter(|_| !hooked && depth < DEPTH_MAX);
        let Some(parts) = text.and_then(|text| self.parts(text)) else {
            return vec![name.to_owned()];
        };
        let all = parts.len();
        if all == 0 {
            return Vec::new();
        }
        let kept: Vec<&str> = parts.into_iter().filter(|part| self.counts(part)).collect();
        let inner: Vec<String> =
            kept.iter().flat_map(|part| self.expanded(part, depth + 1)).collect();
        // Only where something is left out; a script that is needed whole is run as it stands.
        if inner.len() == all && kept.iter().zip(&inner).all(|(part, inner)| part == inner) {
            return vec![name.to_owned()];
        }
        inner
    }
}

/// Whether a script of that name may make what is packed: a lifecycle script that is run whole may always.
pub(super) fn may_build(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["build", "bundle", "compile", "dist", "prepare", "prepack", "prepublish", "rollup"];
    WORDS.iter().any(|word| name.contains(word)) || name == "tsc"
}

struct Reading<'a> {
    scripts: &'a BTreeMap<String, String>,
    /// Whether the tree lacks what is packed, so that there is nothing to be cleaned away.
    lacks_outputs: bool,
}

/// What the lifecycle scripts of a package come to.
#[derive(Default)]
pub(super) struct Lifecycle {
    pub run: Vec<String>,
    /// Lifecycle scripts of which nothing is run.
    pub passed_over: Vec<String>,
    pub why: Vec<Why>,
}

impl Reading<'_> {
    fn lifecycle(&self, npm_major: u64) -> Lifecycle {
        let order: &[&str] = if npm_major < 7 { &PUBLISHING_BEFORE_7 } else { &PUBLISHING };
        let mut read = Lifecycle::default();
        for &event in order {
            let Some(text) = self.scripts.get(event) else { continue };
            let hooked = ["pre", "post"].iter().any(|hook| {
                let hook = format!("{hook}{event}");
                self.scripts.contains_key(&hook) && !order.contains(&hook.as_str())
            });
            let parts = if hooked { None } else { self.parts(text) };
            let Some(parts) = parts else {
                push(&mut read.run, event);
                let because = format!("npm runs `{event}` when it publishes");
                read.why.push(Why { choice: format!("run `{event}`"), because });
                continue;
            };
            let makes = |name: &&str| self.counts(name) && !self.expanded(name, 0).is_empty();
            let kept: Vec<&str> = parts.iter().copied().filter(makes).collect();
            for name in &kept {
                push(&mut read.run, name);
                let because = format!("`{event}`, which npm runs when it publishes, runs it");
                read.why.push(Why { choice: format!("run `{name}`"), because });
            }
            if kept.is_empty() {
                read.passed_over.push(event.to_owned());
                let because = format!("`{text}` changes nothing that is packed");
                read.why.push(Why { choice: format!("do not run `{event}`"), because });
            }
        }
        read
    }

    /// The scripts that a text runs one after the other, where it does nothing else that could matter.
    fn parts<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let mut names = Vec::new();
        for command in text.split("&&") {
            if let Some((first, otherwise)) = command.split_once("||") {
                // Of two ways neither may matter: which one is gone is not known here.
                if self.command(first)?.is_empty() && self.command(otherwise)?.is_empty() {
                    continue;
                }
                return None;
            }
            names.extend(self.command(command)?);
        }
        Some(names)
    }

    /// The scripts that one command runs: none where it is idle, no answer where it is not in the list.
    fn command<'t>(&self, command: &'t str) -> Option<Vec<&'t str>> {
        let Some(words) = plain_words(command) else {
            return is_idle_with_quotes(command).then(Vec::new);
        };
        let known = |name: &&str| self.scripts.contains_key(*name);
        match words.as_slice() {
            ["npm" | "pnpm" | "yarn", "run" | "run-script", name] if known(name) => {
                Some(vec![name])
            }
            ["npm" | "pnpm", "test" | "t" | "tst"] => Some(vec!["test"]),
            ["pnpm" | "yarn", name] if known(name) => Some(vec![name]),
            ["npx" | "npm", "run-s", rest @ ..] | ["run-s" | "npm-run-all", rest @ ..] => {
                one_after_the_other(rest, known)
            }
            ["git", "push" | "tag" | "status" | "diff", ..] => Some(Vec::new()),
            ["prettier", rest @ ..] if rest.contains(&"--check") => Some(Vec::new()),
            ["tsc", "--noEmit"] | ["vitest", "run"] | ["echo", ..] => Some(Vec::new()),
            words if is_idle(words) => Some(Vec::new()),
            _ => None,
        }
    }

    /// Whether a script is run: not what only looks, and not what clears away a former build where there is none.
    fn counts(&self, name: &str) -> bool {
        let is = |word: &str| name == word || name.starts_with(&format!("{word}:"));
        let looks = CHECKS.iter().any(|word| is(word));
        let clears_nothing = self.lacks_outputs && is("clean");
        !looks && !clears_nothing
    }
}

/// The scripts of npm-run-all's `run-s`, whose few idle flags print names. With another flag, or a pattern of names, it
/// is not looked into. (`npm run-s` is npm's own abbreviation of `run-script`, which hands the further names to the
/// first script; who writes it runs that first script, and means the others.)
fn one_after_the_other<'t>(
    words: &[&'t str],
    known: impl Fn(&&str) -> bool,
) -> Option<Vec<&'t str>> {
    const IDLE_FLAGS: [&str; 6] = ["-l", "-n", "-s", "--print-label", "--print-name", "--silent"];
    let names: Vec<&str> =
        words.iter().copied().filter(|word| !IDLE_FLAGS.contains(word)).collect();
    (!names.is_empty() && names.iter().all(known)).then_some(names)
}

fn push(run: &mut Vec<String>, name: &str) {
    if !run.iter().any(|known| known == name) {
        run.push(name.to_owned());
    }
}

/// Whether the words call an idle program, by itself or by way of npx.
fn is_idle(words: &[&str]) -> bool {
    let program = match words {
        ["npx", rest @ ..] => rest.iter().find(|word| !word.starts_with('-')),
        words => words.first(),
    };
    program.is_some_and(|program| IDLE_PROGRAMS.contains(program))
}

/// Whether an idle program is all that a command calls, though it hands on words that are quoted: nothing in it could begin
/// another command.
fn is_idle_with_quotes(command: &str) -> bool {
    const JOINTS: [char; 12] = [';', '|', '&', '<', '>', '`', '(', ')', '{', '}', '\\', '\n'];
    let words: Vec<&str> = command.split_whitespace().collect();
    !command.contains(JOINTS) && is_idle(&words)
}

/// The words of a command that no shell has to read; none where it would change them.
pub(super) fn plain_words(command: &str) -> Option<Vec<&str>> {
    (!command.contains(SHELL)).then(|| command.split_whitespace().collect())
}

/// The files and folders that package.json points to and the tree does not hold, entry points first. Patterns are passed
/// over: that nothing matches one says nothing.
pub(super) fn missing_outputs(facts: &SourceFacts) -> Vec<String> {
    let targets = targets(&facts.package);
    let plain = |target: &String| !target.contains(['*', '!', '{', '[']) && !target.contains("..");
    targets.into_iter().filter(plain).filter(|target| !facts.holds(target)).collect()
}

fn targets(package: &PackageJson) -> Vec<String> {
    let raw = package.raw();
    let mut found = Vec::new();
    for key in ["main", "module", "browser", "types", "typings", "exports"] {
        if let Some(value) = raw.get(key) {
            let whole = key == "main" || key == "module" || key == "types" || key == "typings";
            leaves(value, whole, &mut found);
        }
    }
    found.extend(package.bin().into_values());
    if let Some(files) = raw.get("files").and_then(Value::as_array) {
        let texts = files.iter().filter_map(Value::as_str);
        found.extend(texts.map(|text| text.trim_start_matches('/').to_owned()));
    }
    found
}

/// The texts of a value at any depth. Those that do not begin with `./` may be names of packages, and count only where
/// the field holds nothing but paths.
fn leaves(value: &Value, bare: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if bare || text.starts_with("./") => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, bare, found)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, bare, found)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
