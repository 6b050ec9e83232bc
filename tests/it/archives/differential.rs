//! The reader and npm side by side: the hundred cases of the table, and any number of generated archives. Where we refuse,
//! nothing more is asked; where we accept, npm's disk has to be what we say, in every path, byte and executable bit.

use std::{
    io::Write,
    panic::catch_unwind,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use countersign_core::archive;

use super::{
    extractor::{Extracted, Extractor, Input, Output},
    generate::{self, Generated},
    installed::install,
    parts::Labels,
    tree::Tree,
    variety::Variety,
};

/// How long the generator runs where nothing else is asked for.
const SECONDS: u64 = 60;
/// One in so many accepted archives is installed by `npm install` too.
const INSTALLED_ONE_IN: u64 = 1000;
/// At most so many at once in one project.
const INSTALLED_AT_ONCE: usize = 50;
/// From so many on an average says something.
const ENOUGH: u64 = 500;
/// Archives that may wait for npm's answer: enough that neither side is idle.
const WAITING_MAX: usize = 64;

/// How far a run goes: a time, or a number of archives.
enum Until {
    Time(Instant),
    Count(u64),
}

/// An accepted archive on its way to npm.
struct Accepted {
    seed: u64,
    tgz: Vec<u8>,
    tree: Tree,
    labels: Labels,
}

/// What a run has seen.
#[derive(Default)]
struct Seen {
    archives: u64,
    accepted: u64,
    variety: Variety,
    to_install: Vec<(String, Vec<u8>, Tree)>,
}

/// A number from the environment, for runs by hand.
pub(super) fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}` and no number")))
}

/// Says it even where the test passes: libtest keeps back only what its own macros print.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Keeps an archive for who looks into it, and says where.
fn keep(seed: u64, tgz: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("archive-{seed}.tgz"));
    std::fs::write(&path, tgz).expect("the folder for temporary files of tests is writable");
    path
}

#[tokio::test]
async fn a_generated_archive_is_refused_or_installed_by_npm_as_we_read_it() {
    let mut extractor = Extractor::start().await;
    let first = asked("COUNTERSIGN_SEED").unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() << 24
    });
    let until = match asked("COUNTERSIGN_ARCHIVES") {
        Some(count) => Until::Count(count),
        None => Until::Time(Instant::now() + Duration::from_secs(SECONDS)),
    };
    say(&format!("generated archives from seed {first} (COUNTERSIGN_SEED) on"));
    let seen = tokio::task::spawn_blocking(move || run(&mut extractor, first, &until));
    let seen = seen.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let installed = install_picked(&seen.to_install).await;
    let Seen { archives, accepted, variety, .. } = seen;
    say(&format!(
        "{archives} archives, {accepted} of them accepted ({} %) and unpacked by pacote, \
         {installed} of these also installed by npm: no disagreement\n{variety}",
        accepted * 100 / archives.max(1)
    ));
    assert!(
        accepted * 5 >= archives || archives < ENOUGH,
        "less than a fifth was accepted: the rest proves little"
    );
    // In a handful, as where one is made again by its seed, not everything can have come.
    if accepted >= ENOUGH {
        assert_eq!(variety.missing(), [""; 0], "never accepted in {accepted} archives");
    }
}

/// Makes and reads archives on one thread while npm unpacks on another.
fn run(extractor: &mut Extractor, first: u64, until: &Until) -> Seen {
    let (input, output) = extractor.ends();
    let (send, receive) = sync_channel(WAITING_MAX);
    std::thread::scope(|scope| {
        let making = scope.spawn(move || make(input, &send, first, until));
        let mut seen = compare(output, &receive);
        drop(receive);
        match making.join() {
            Ok(archives) => seen.archives = archives,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        seen
    })
}

/// Generates, reads, and hands on what is accepted; how many it generated.
fn make(input: &mut Input, send: &SyncSender<Accepted>, first: u64, until: &Until) -> u64 {
    let goes_on = |made: u64| match until {
        Until::Time(end) => Instant::now() < *end,
        Until::Count(count) => made < *count,
    };
    let mut made = 0;
    while goes_on(made) {
        let seed = first.wrapping_add(made);
        made += 1;
        let Generated { tgz, labels } = generate::archive(seed);
        let read = catch_unwind(|| archive::read(&tgz).map(|read| Tree::read(&read)));
        let Ok(read) = read else {
            panic!("the reader panicked on seed {seed}: {}", keep(seed, &tgz).display());
        };
        if let Ok(tree) = read {
            input.send(&tgz);
            if send.send(Accepted { seed, tgz, tree, labels }).is_err() {
                break;
            }
        }
        if made % 100_000 == 0 {
            say(&format!("{made} archives made"));
        }
    }
    made
}

/// Holds npm's answers against ours, in the order in which the archives went in.
fn compare(output: &mut Output, receive: &Receiver<Accepted>) -> Seen {
    let mut seen = Seen::default();
    for Accepted { seed, tgz, tree, labels } in receive {
        if let Some(difference) = disagreement(&tree, output.answer()) {
            let kept = keep(seed, &tgz);
            panic!("npm disagrees on seed {seed}, kept as {}:\n{difference}", kept.display());
        }
        if seen.accepted % INSTALLED_ONE_IN == 0 {
            seen.to_install.push((format!("case-{seed}"), tgz, tree));
        }
        seen.accepted += 1;
        seen.variety.count(&labels);
    }
    seen
}

/// What npm made of an archive that we accept, where it is not what we said.
pub(super) fn disagreement(ours: &Tree, npm: Extracted) -> Option<String> {
    match npm.tree() {
        Ok(npm) => ours.unlike(&npm, ["we say", "npm"]),
        Err(error) => Some(format!("npm gives up: {error}")),
    }
}

/// The picked ones by `npm install`; how many they were.
async fn install_picked(picked: &[(String, Vec<u8>, Tree)]) -> usize {
    for some in picked.chunks(INSTALLED_AT_ONCE) {
        let tarballs: Vec<(String, &[u8])> =
            some.iter().map(|(name, tgz, _)| (name.clone(), tgz.as_slice())).collect();
        let trees = install(&tarballs).await;
        let trees = trees.unwrap_or_else(|ran| panic!("npm installs what we accept: {ran:?}"));
        for (name, _, ours) in some {
            let difference = ours.unlike(&trees[name], ["we say", "npm install"]);
            assert_eq!(difference, None, "{name}");
        }
    }
    picked.len()
}
