//! `countersign inspect`: what the strict reader makes of one tarball. It shows and decides nothing.

use std::{fmt::Write, path::PathBuf};

use countersign_core::{
    Sha256,
    archive::{self, Archive, Refusal, Tolerance},
    diff::visible::escaped,
    manifest::Manifest,
};
use serde::Serialize;

use super::{exit, tarball, terminal};

/// Arguments of `countersign inspect`.
#[derive(clap::Args, Debug)]
pub(crate) struct InspectArgs {
    /// The tarball of a package, as `npm pack` writes it
    #[arg(value_name = "FILE.tgz")]
    file: PathBuf,
    /// Print the files, or why the tarball is refused, as JSON and nothing else
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(untagged)]
enum Inspection<'a> {
    Accepted { files: Vec<InspectedFile<'a>>, tolerances: &'a [Tolerance] },
    Refused { refused: &'a Refusal },
}

/// One file, its path as installed.
#[derive(Serialize)]
struct InspectedFile<'a> {
    path: &'a str,
    bytes: u64,
    sha256: Sha256,
    executable: bool,
}

/// Inspects a tarball. Exit code 0: accepted; 1: refused; 2: usage; 3: unreadable.
pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<u8> {
    let tgz = match tarball::bytes(&args.file) {
        Ok(tgz) => tgz,
        Err(error) => {
            terminal::complain(&tarball::unreadable(&args.file, &error));
            return Ok(exit::COULD_NOT_TELL);
        }
    };
    let (text, code) = match archive::read(&tgz) {
        Ok(archive) => (accepted(args, &archive)?, exit::PASS),
        Err(refusal) if args.json => {
            (json(&Inspection::Refused { refused: &refusal })?, exit::FAIL)
        }
        Err(refusal) => (tarball::refused(&args.file, &refusal), exit::FAIL),
    };
    terminal::print(&text)?;
    Ok(code)
}

fn json(inspection: &Inspection<'_>) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(inspection)? + "\n")
}

fn accepted(args: &InspectArgs, archive: &Archive) -> anyhow::Result<String> {
    let manifest = Manifest::of(archive);
    if args.json {
        let file = |(path, record): (_, &countersign_core::manifest::FileRecord)| {
            let &countersign_core::manifest::FileRecord { executable, bytes, sha256 } = record;
            InspectedFile { path, bytes, sha256, executable }
        };
        let files = manifest.iter().map(file).collect();
        return Ok(json(&Inspection::Accepted { files, tolerances: archive.tolerances() })?);
    }
    let package = archive.package_json();
    let named = |text: Option<&str>, what: &str| match text {
        Some(text) => escaped(text).into_owned(),
        None => format!("(no {what})"),
    };
    let (name, version) = (named(package.name(), "name"), named(package.version(), "version"));
    let bytes: u64 = manifest.iter().map(|(_, record)| record.bytes).sum();
    let files = match manifest.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let mut out = String::new();
    let file = tarball::shown(&args.file);
    writeln!(out, "{file} is accepted: {name}@{version}, {files}, {bytes} bytes unpacked.")?;
    for tolerance in archive.tolerances() {
        writeln!(out, "tolerated ({}): {}", tolerance.code(), tolerance.sentence())?;
    }
    writeln!(out, "integrity {}", archive.sha512().to_integrity())?;
    writeln!(out, "shasum    {}\n", archive.shasum())?;
    for (path, record) in manifest.iter() {
        let mark = if record.executable { 'x' } else { '-' };
        writeln!(out, "{mark} {:>10}  {}", record.bytes, escaped(path))?;
    }
    Ok(out)
}
