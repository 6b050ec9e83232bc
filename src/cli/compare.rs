//! `countersign compare`: two tarballs, file by file, without source or verdict. It shows what the core's comparison and
//! diff say, and decides nothing.

use std::path::PathBuf;

use countersign_core::{
    archive::{self, Archive, Refusal},
    compare::{Comparison, Level, Status, compare_under},
    diff::{self, visible::escaped},
    normalisation::{Normalisation, Permission},
};
use serde::Serialize;

use super::{
    allow, exit, tarball,
    terminal::{self, Colour},
};

/// Arguments of `countersign compare`.
#[derive(clap::Args, Debug)]
pub(crate) struct CompareArgs {
    /// The tarball that somebody wants to publish
    #[arg(value_name = "STAGED.tgz")]
    staged: PathBuf,
    /// The tarball that it is held against
    #[arg(value_name = "REBUILT.tgz")]
    rebuilt: PathBuf,
    /// Let the named tokens differ; may be given more than once
    #[arg(long, value_name = "NORMALISATION", value_parser = allow::parser())]
    allow: Vec<Normalisation>,
    /// Print the comparison, with every file, or why a tarball is refused, as JSON and nothing else
    #[arg(long)]
    json: bool,
}

/// Which of the two tarballs.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Side {
    Staged,
    Rebuilt,
}

/// What `--json` prints where a tarball is refused.
#[derive(Serialize)]
struct Refused<'a> {
    refused: RefusedSide<'a>,
}

#[derive(Serialize)]
struct RefusedSide<'a> {
    side: Side,
    #[serde(flatten)]
    refusal: &'a Refusal,
}

/// Compares two tarballs. Exit code 0: the same files; 1: different; 2: usage; 3: unreadable or refused.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<u8> {
    let Some((staged, rebuilt)) = read(args) else { return Ok(exit::COULD_NOT_TELL) };
    let (staged, rebuilt) = match (staged, rebuilt) {
        (Ok(staged), Ok(rebuilt)) => (staged, rebuilt),
        (staged, rebuilt) => {
            terminal::print(&refused(args, staged.err().as_ref(), rebuilt.err().as_ref())?)?;
            return Ok(exit::COULD_NOT_TELL);
        }
    };
    let permission = Permission { allowed: &args.allow, committed: None, packer: None };
    let comparison = compare_under(&staged, &rebuilt, &permission);
    let text = if args.json {
        serde_json::to_string_pretty(&comparison)? + "\n"
    } else {
        let colour = Colour::for_stdout();
        let sentence = colour.paint("1", &sentence(args, &comparison));
        format!("{sentence}\n{}", differences(&comparison, (&staged, &rebuilt), colour))
    };
    terminal::print(&text)?;
    Ok(match comparison.level {
        Level::IdenticalTarball
        | Level::IdenticalArchive
        | Level::IdenticalFiles
        | Level::Normalised => exit::PASS,
        Level::Different => exit::FAIL,
    })
}

type Read = Result<Archive, Refusal>;

/// Both archives; none, and a complaint, where a file cannot be read from the disk.
fn read(args: &CompareArgs) -> Option<(Read, Read)> {
    let bytes = |path: &PathBuf| {
        tarball::bytes(path)
            .map_err(|error| terminal::complain(&tarball::unreadable(path, &error)))
            .ok()
    };
    let (staged, rebuilt) = (bytes(&args.staged), bytes(&args.rebuilt));
    let (staged, rebuilt) = (staged?, rebuilt?);
    Some(rayon::join(|| archive::read(&staged), || archive::read(&rebuilt)))
}

fn refused(
    args: &CompareArgs,
    staged: Option<&Refusal>,
    rebuilt: Option<&Refusal>,
) -> serde_json::Result<String> {
    let sides = [(Side::Staged, &args.staged, staged), (Side::Rebuilt, &args.rebuilt, rebuilt)];
    let mut refusals = sides
        .into_iter()
        .filter_map(|(side, path, refusal)| refusal.map(|refusal| (side, path, refusal)));
    if !args.json {
        return Ok(refusals.map(|(_, path, refusal)| tarball::refused(path, refusal)).collect());
    }
    // One is enough to say that nothing was compared; the staged one is the one that is to be mended.
    let (side, _, refusal) = refusals.next().expect("one of the two was refused");
    let document = Refused { refused: RefusedSide { side, refusal } };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What differs, for people: each path with its status, then the lines in which the files differ.
pub(crate) fn differences(
    comparison: &Comparison,
    (staged, rebuilt): (&Archive, &Archive),
    colour: Colour,
) -> String {
    let mut out = String::new();
    for file in comparison.differing() {
        let (word, code) = status(file.status);
        let word = colour.paint(code, &format!("{word:12}"));
        out.push_str(&format!("{word}  {}\n", escaped(&file.path)));
        if let Some(applied) = comparison.normalised(&file.path) {
            let tokens: Vec<String> =
                applied.tokens.iter().map(|token| escaped(token).into_owned()).collect();
            out.push_str(&format!(
                "              let differ by {}: {}\n",
                applied.name,
                tokens.join(", ")
            ));
        }
        if let (Some(cause), Some(because)) = (file.cause, &file.because) {
            out.push_str(&format!("              {cause}: {}\n", escaped(because)));
        }
    }
    for file in comparison.differing().filter(|file| file.status != Status::ModeChanged) {
        let diff = diff::unified(staged.get(&file.path), rebuilt.get(&file.path));
        out.push('\n');
        coloured(&mut out, &diff.to_unified_text(&file.path), colour);
    }
    out
}

fn sentence(args: &CompareArgs, comparison: &Comparison) -> String {
    let (staged, rebuilt) = (tarball::shown(&args.staged), tarball::shown(&args.rebuilt));
    let counts = comparison.counts;
    let same = match counts.same {
        1 => "1 file is the same".to_owned(),
        count => format!("{count} files are the same"),
    };
    let how = match comparison.level {
        Level::IdenticalTarball => "the tarballs are the same byte for byte",
        Level::IdenticalArchive => "the archives are the same byte for byte, packed differently",
        Level::IdenticalFiles => "every path, content and executable bit is the same",
        Level::Normalised => "the files are the same after normalisations",
        Level::Different => {
            let parts = [
                (counts.changed, "changed"),
                (counts.added, "added"),
                (counts.missing, "missing"),
                (counts.mode_changed, "with another executable bit"),
            ];
            let said: Vec<String> = parts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            return format!("{staged} differs from {rebuilt}: {}; {same}.", said.join(", "));
        }
    };
    format!("{staged} installs the same files as {rebuilt}: {how}; {same}.")
}

/// The word for a status and its colour.
fn status(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Same => ("same", "0"),
        Status::Added => ("added", "32"),
        Status::Missing => ("missing", "31"),
        Status::Changed => ("changed", "33"),
        Status::ModeChanged => ("mode-changed", "33"),
    }
}

/// Each line in the colour of its sign.
fn coloured(out: &mut String, diff: &str, colour: Colour) {
    for line in diff.lines() {
        let code = match line.as_bytes().first() {
            Some(b'+') => "32",
            Some(b'-') => "31",
            Some(b'@') => "36",
            Some(_) | None => {
                out.push_str(line);
                out.push('\n');
                continue;
            }
        };
        out.push_str(&colour.paint(code, line));
        out.push('\n');
    }
}
