//! The parts of a generated archive as honest packers write them: paths, modes, numbers in their four forms, extended headers in
//! the manner of each packer. Every part says by a label what it is, so that a run can show what it has covered.

use std::collections::BTreeSet;

use super::{
    random::Random,
    writer::{MODE, Member, PREFIX, SIZE, file, long_path, pax, typed},
};

/// What stands in an archive, in words.
pub(super) type Labels = BTreeSet<String>;

/// Who might have packed it: that shows in what stands around a long or foreign path, and in the form of numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packer {
    /// npm and node-tar: a prefix, else an extended header with times before a header of the path's beginning.
    NodeTar,
    /// pnpm and yarn: an extended header, and `PaxHeader` for a name.
    TarStream,
    /// pnpm 12: GNU's long path.
    TarCrate,
    /// bun.
    LibArchive,
}

pub(super) const PACKERS: [Packer; 4] =
    [Packer::NodeTar, Packer::TarStream, Packer::TarCrate, Packer::LibArchive];

const FOLDERS: &[&str] =
    &["lib", "dist", "src/deep", "node_modules/dep", "a", "Über", "日本", "..a", "%2e%2e", "x y"];
const FILES: &[&str] = &[
    "index.js",
    "a.js",
    "B.MJS",
    "x.d.ts",
    "grüße.md",
    "e\u{301}.js",
    "日本.js",
    "😀",
    "-rf",
    "a b.js",
    "~",
    "LICENSE",
    ".npmrc",
    "x.gitignore",
    "%00.js",
    "#!",
    "'\"$(x).js",
    "*?<>|.js",
    "\u{fffd}.js",
];
/// Names that mean something to npm or to JavaScript; each stands in an archive as it is.
const WORDS: &[&str] = &[
    ".gitignore",
    ".npmignore",
    "__proto__",
    "constructor",
    "lib/.gitignore",
    "lib/package.json",
    "node_modules/.gitignore",
    "node_modules/dep/package.json",
    "toString",
    "lib/__proto__/x.js",
];
const TEXT_MODES: &[u64] =
    &[0o644, 0o755, 0o664, 0o775, 0o600, 0o666, 0o777, 0o444, 0o400, 0, 0o111];
const LENGTHS: &[usize] = &[0, 1, 2, 100, 511, 512, 513, 1023, 1024, 1536, 3000];
/// Around the pieces in which node unpacks, and far beyond.
const LARGE_LENGTHS: &[usize] =
    &[15_872, 16_384, 16_385, 65_536, 70_000, 131_072, 300_000, 524_288, 600_000];

/// A path below the root that an honest package could have; the number keeps it apart from all others.
pub(super) fn path(random: &mut Random, number: usize) -> String {
    if random.permille(120) {
        return (*random.pick(WORDS)).to_owned();
    }
    let name = format!("{number}-{}", random.pick(FILES));
    let name = if random.permille(80) {
        format!("{number}{}{name}", "n".repeat(70 + random.below(150)))
    } else {
        name
    };
    let mut folders = String::new();
    for _ in 0..random.below(3) {
        folders += &format!("{}/", random.pick(FOLDERS));
    }
    if random.permille(60) {
        let folder = "d".repeat(20 + random.below(60));
        let folder = if random.permille(200) { folder.replace("dd", "ü") } else { folder };
        for _ in 0..1 + random.below(7) {
            folders += &format!("{folder}/");
        }
    }
    folders + &name
}

/// What a file holds: mostly little, now and then much, now and then what looks like further members.
pub(super) fn content(random: &mut Random, labels: &mut Labels) -> Vec<u8> {
    if random.permille(60) {
        labels.insert("content that looks like members".to_owned());
        return super::writer::nested();
    }
    let large = random.permille(25);
    let length = *random.pick(if large { LARGE_LENGTHS } else { LENGTHS });
    labels.insert(
        match length {
            0 => "empty file",
            512 | 1024 | 1536 | 15_872 | 16_384 | 65_536 | 131_072 | 524_288 => {
                "file of whole blocks"
            }
            _ if large => "file over 15 KiB",
            _ => "file that ends in a block",
        }
        .to_owned(),
    );
    if large {
        let piece = random.bytes(1009);
        return piece.into_iter().cycle().take(length).collect();
    }
    random.bytes(length)
}

/// A number that fills its field, ended in one of the four ways.
pub(super) fn number(
    random: &mut Random,
    value: u64,
    width: usize,
    labels: &mut Labels,
) -> Vec<u8> {
    let (digits, end, label) = match random.below(4) {
        0 => (width - 1, "\0", "number ended by NUL"),
        1 => (width - 1, " ", "number ended by a space"),
        2 => (width - 2, " \0", "number ended by space and NUL"),
        _ => (width - 2, "\0 ", "number ended by NUL and space"),
    };
    labels.insert(label.to_owned());
    format!("{value:0digits$o}{end}").into_bytes()
}

/// A file with everything that has to stand before it.
pub(super) fn placed(
    random: &mut Random,
    packer: Packer,
    path: &str,
    body: Vec<u8>,
    labels: &mut Labels,
) -> Vec<Member> {
    let length = match path.len() {
        0..100 => "path below 100 bytes",
        100..256 => "path of 100 to 255 bytes",
        _ => "path of 256 bytes and more",
    };
    labels.insert(length.to_owned());
    let split = split(path);
    let fits = split.is_some() && (path.is_ascii() || random.permille(300));
    let has_header = !fits || random.permille(60);
    if let (false, Some((prefix, name))) = (has_header, split) {
        let label = if prefix.is_empty() { "path in the name" } else { "path in the prefix" };
        labels.insert(label.to_owned());
        return vec![clothed(random, file(name, body).with(PREFIX, prefix), labels)];
    }
    let own = own_name(packer, path, split);
    let member = clothed(random, file(own.1, body.as_slice()).with(PREFIX, own.0), labels);
    if packer == Packer::TarCrate {
        labels.insert("path in GNU's long path".to_owned());
        return vec![long_path(path), member];
    }
    labels.insert("path in an extended header".to_owned());
    let records = records(random, packer, path, body.len(), labels);
    let borrowed: Vec<(&str, &str)> =
        records.iter().map(|(key, value)| (*key, value.as_str())).collect();
    vec![pax(&borrowed), member]
}

/// Prefix and name of a path that needs nothing more.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let slashes = path.match_indices('/').map(|(at, _)| at);
    slashes
        .filter(|&at| at <= 130 && path.len() - at - 1 <= 100)
        .map(|at| (&path[..at], &path[at + 1..]))
        .next()
}

/// Prefix and name of the header itself beside an extended one, as each packer writes them.
fn own_name<'a>(
    packer: Packer,
    path: &'a str,
    split: Option<(&'a str, &'a str)>,
) -> (&'a str, &'a [u8]) {
    let beginning = &path.as_bytes()[..path.len().min(99)];
    match (packer, split) {
        (Packer::TarStream, _) => ("", b"PaxHeader"),
        (Packer::NodeTar | Packer::LibArchive, Some((prefix, name))) => (prefix, name.as_bytes()),
        (Packer::NodeTar | Packer::LibArchive | Packer::TarCrate, _) => {
            ("", beginning.strip_suffix(b"/").unwrap_or(beginning))
        }
    }
}

/// The records of one extended header.
fn records(
    random: &mut Random,
    packer: Packer,
    path: &str,
    size: usize,
    labels: &mut Labels,
) -> Vec<(&'static str, String)> {
    let mut records = vec![("path", path.to_owned())];
    match packer {
        Packer::NodeTar => {
            records.push(("mtime", "499162500".to_owned()));
            records.push(("size", size.to_string()));
        }
        Packer::LibArchive if !path.is_ascii() => {
            records.insert(0, ("hdrcharset", "BINARY".to_owned()));
        }
        Packer::LibArchive | Packer::TarStream | Packer::TarCrate => {}
    }
    let more: &[(&str, &str)] = &[
        ("atime", "1764000000.123456789"),
        ("ctime", "-1.5"),
        ("LIBARCHIVE.creationtime", "1"),
        ("uid", "501"),
        ("gid", "20"),
        ("uname", "jörg=x"),
        ("gname", "staff"),
        ("SCHILY.dev", "16777220"),
        ("SCHILY.ino", "8613"),
        ("SCHILY.nlink", "1"),
        ("size", ""),
        ("mtime", "1764000000.5"),
    ];
    for (key, value) in more {
        let absent = records.iter().all(|(there, _)| there != key);
        if absent && random.permille(80) {
            let value = if *key == "size" { size.to_string() } else { (*value).to_owned() };
            records.insert(random.below(records.len() + 1), (key, value));
        }
    }
    labels.extend(records.iter().map(|(key, _)| format!("record {key}")));
    records
}

/// The same member with mode, owner, numbers and texts as some packer writes them.
pub(super) fn clothed(random: &mut Random, member: Member, labels: &mut Labels) -> Member {
    let mode = if random.permille(150) {
        u64::try_from(random.below(0o1000)).unwrap()
    } else {
        *random.pick(TEXT_MODES)
    };
    labels.insert(format!("mode {mode:03o}"));
    let bits = if random.permille(60) { 0o100_000 } else { 0 };
    let size = member.body.len() as u64;
    let mut member = member.with(MODE, number(random, mode | bits, 8, labels));
    member = member.with(SIZE, number(random, size, 12, labels));
    let seconds = random.number() % 0o17_777_777_777;
    member = member.with(136, number(random, seconds, 12, labels));
    for (at, width) in [(108, 8), (116, 8), (329, 8), (337, 8)] {
        let value = random.number() % 0o777_777;
        match random.below(3) {
            0 => {}
            1 if at < 120 && random.permille(100) => {
                labels.insert("owner in base 256".to_owned());
                member = member.with(at, [0x80, 0, 0, 0, 0x80, 0x24, 0x9a, 1]);
            }
            _ => member = member.with(at, number(random, value, width, labels)),
        }
    }
    if random.permille(300) {
        member = member.with(265, "root").with(297, "staff\u{fc}");
    }
    if random.permille(30) && member.header[345 + 130..500].iter().all(|&byte| byte == 0) {
        labels.insert("times behind the prefix".to_owned());
        member = member.with(476, "14420600000\0").with(488, "14420600000 ");
    }
    member
}

/// A folder of size 0, as old packers write them.
pub(super) fn folder(random: &mut Random, path: &str) -> Member {
    let end = if random.permille(500) { "/" } else { "" };
    typed(b'5', format!("{path}{end}"), "").with(MODE, b"000755 \0")
}
