//! Mutants of real tarballs against the whole judgement. What is another package for npm's own extractor may not pass, and no level
//! may claim more sameness than there is. What npm makes the same tree of (another order, a mode whose difference an installation
//! does not keep) is no other package: it may pass as `identical-files`, never as the same archive.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use countersign_core::{archive, compare::Level, verdict::Outcome};

use super::{
    differential::{asked, say},
    extractor::Extractor,
    judged::judged,
    mutations::{Kind, Parts, mutant},
    random::Random,
    tree::Tree,
};

/// Mutants of every run of the tests; a run by hand asks for more.
const MUTANTS: u64 = 700;

/// What became of the mutants of one kind.
#[derive(Default, Debug)]
struct Fate {
    made: u64,
    refused: u64,
    /// Another package, and a fail.
    fail: u64,
    /// The same tree, and a pass as `identical-files`.
    same: u64,
    /// The same tree for npm, and all the same a fail: we hold the header's execute bit against what npm sets for programs.
    stricter: u64,
}

/// A tarball to change, with what npm makes of it.
struct Original {
    name: String,
    tgz: Bytes,
    parts: Parts,
    tree: Tree,
}

/// The tarballs of `COUNTERSIGN_TARBALLS`, a folder, or those that real packers wrote for the tests.
fn tarballs() -> Vec<PathBuf> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/packed");
    let folder = std::env::var_os("COUNTERSIGN_TARBALLS").map_or_else(|| own.into(), PathBuf::from);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "tgz")).collect();
    paths.sort();
    assert!(paths.len() >= 20, "{} tarballs are too few", paths.len());
    paths
}

fn originals(extractor: &mut Extractor) -> Vec<Original> {
    let original = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        let parts = Parts::of(&bytes);
        let tgz = Bytes::from(parts.unchanged());
        let tree = extractor.extract(&tgz).tree().unwrap();
        Original { name: path.display().to_string(), tgz, parts, tree }
    };
    tarballs().into_iter().map(original).collect()
}

#[tokio::test]
async fn no_mutant_of_a_real_tarball_passes_for_the_original() {
    let count = asked("COUNTERSIGN_MUTANTS").unwrap_or(MUTANTS);
    let seed = asked("COUNTERSIGN_SEED").unwrap_or(1);
    let mut extractor = Extractor::start().await;
    let run = move || {
        let originals = originals(&mut extractor);
        let mut fates: BTreeMap<Kind, Fate> = BTreeMap::new();
        for number in 0..count {
            let index = usize::try_from(number).unwrap();
            let kind = Kind::ALL[index % Kind::ALL.len()];
            let original = &originals[index / Kind::ALL.len() % originals.len()];
            let mut random = Random::new(seed.wrapping_add(number));
            let tgz = Bytes::from(mutant(&original.parts, kind, &mut random));
            let fate = fates.entry(kind).or_default();
            fate.made += 1;
            let what = format!("{kind:?} number {number} (seed {seed}) of {}", original.name);
            weigh(fate, original, &tgz, &mut extractor, &what);
        }
        (fates, originals.len())
    };
    let (fates, tarballs) = tokio::task::spawn_blocking(run)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    say(&table(&fates, count, tarballs));
    let accepted: u64 = fates.values().map(|fate| fate.made - fate.refused).sum();
    assert!(accepted * 2 >= count, "only {accepted} of {count} were compared");
    assert!(fates.values().all(|fate| fate.made * 14 >= count), "{fates:?}");
}

/// Reads, compares and judges one mutant, and holds that against what npm makes of it.
fn weigh(fate: &mut Fate, original: &Original, tgz: &Bytes, extractor: &mut Extractor, what: &str) {
    let Ok(read) = archive::read(tgz) else {
        fate.refused += 1;
        return;
    };
    let npm = extractor.extract(tgz).tree().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(Tree::read(&read).unlike(&npm, ["we say", "npm"]), None, "{what}");
    let (level, outcome) = judged(tgz, &original.tgz);
    let level = level.unwrap_or_else(|| panic!("{what} was not compared"));
    let is_same_tree = npm == original.tree;
    let is_same_archive = *tgz == original.tgz;
    match (level, outcome) {
        (Level::IdenticalTarball | Level::IdenticalArchive, Outcome::Pass) => {
            assert!(is_same_archive, "{what} passes as {}", level.as_str());
            fate.same += 1;
        }
        (Level::IdenticalFiles, Outcome::Pass) => {
            let difference = npm.unlike(&original.tree, ["the mutant", "the original"]);
            assert_eq!(difference, None, "{what} passes");
            fate.same += 1;
        }
        (Level::Different, Outcome::Fail) if is_same_tree => fate.stricter += 1,
        (Level::Different, Outcome::Fail) => fate.fail += 1,
        (level, outcome) => panic!("{what}: {} and {}", level.as_str(), outcome.as_str()),
    }
}

fn table(fates: &BTreeMap<Kind, Fate>, count: u64, tarballs: usize) -> String {
    let mut out = format!(
        "{count} mutants of {tarballs} tarballs, none a false pass\n{:<10} {:>6} {:>8} {:>6} {:>10} {:>9}\n",
        "kind", "made", "refused", "fail", "same files", "stricter"
    );
    for (kind, fate) in fates {
        let Fate { made, refused, fail, same, stricter } = fate;
        let kind = format!("{kind:?}").to_lowercase();
        let _ =
            writeln!(out, "{kind:<10} {made:>6} {refused:>8} {fail:>6} {same:>10} {stricter:>9}");
    }
    out
}
