//! Changes of a real tarball, made in the inflated archive with checksums, lengths and CRC right again, so that each is a whole
//! archive. It knows nothing of what becomes of them.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{
    random::Random,
    writer::{self, Checksum, MODE, Member, PREFIX, SIZE, TYPE, file},
};

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Content,
    Path,
    Mode,
    Order,
    Added,
    Removed,
    Duplicate,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Content,
        Self::Path,
        Self::Mode,
        Self::Order,
        Self::Added,
        Self::Removed,
        Self::Duplicate,
    ];
}

/// A tarball taken apart: each file with the header that stands before it, where there is one.
#[derive(Clone)]
pub(super) struct Parts(Vec<Vec<Member>>);

impl Parts {
    /// Of a whole, accepted tarball.
    pub(super) fn of(tgz: &[u8]) -> Self {
        let mut tar = Vec::new();
        GzDecoder::new(tgz).read_to_end(&mut tar).unwrap();
        let (mut units, mut before, mut at) = (Vec::new(), Vec::new(), 0);
        while tar[at..at + 512].iter().any(|&byte| byte != 0) {
            let header: [u8; 512] = tar[at..at + 512].try_into().unwrap();
            let size = octal(&header[SIZE..SIZE + 12]);
            let body = tar[at + 512..at + 512 + size].to_vec();
            at += 512 + size.next_multiple_of(512);
            before.push(Member { header, body, padding: 0, checksum: Checksum::AsSet });
            if matches!(header[TYPE], b'0' | b'5') {
                units.push(std::mem::take(&mut before));
            }
        }
        Self(units)
    }

    fn tgz(&self) -> Vec<u8> {
        let list: Vec<Member> = self.0.iter().flatten().cloned().collect();
        writer::gzip(&writer::tar(&list))
    }

    /// The inflated archive as it would be written again without any change.
    pub(super) fn unchanged(&self) -> Vec<u8> {
        self.tgz()
    }
}

fn octal(field: &[u8]) -> usize {
    let digits = field.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 8 + usize::from(digit - b'0'))
}

/// One mutant of that kind.
pub(super) fn mutant(parts: &Parts, kind: Kind, random: &mut Random) -> Vec<u8> {
    let mut parts = parts.clone();
    match kind {
        Kind::Content => content(&mut parts, random),
        Kind::Path => path(&mut parts, random),
        Kind::Mode => mode(&mut parts, random),
        Kind::Order => order(&mut parts, random),
        Kind::Added => added(&mut parts, random),
        Kind::Removed => drop(parts.0.remove(random.below(parts.0.len()))),
        Kind::Duplicate => duplicate(&mut parts, random),
    }
    parts.tgz()
}

/// One of the files, mostly one before which no extended header stands that would have to be changed with it.
fn some<'a>(parts: &'a mut Parts, random: &mut Random) -> &'a mut Member {
    let plain: Vec<usize> = (0..parts.0.len())
        .filter(|&at| parts.0[at].len() == 1 && parts.0[at][0].header[TYPE] == b'0')
        .collect();
    let any = random.permille(50) || plain.is_empty();
    let at = if any { random.below(parts.0.len()) } else { *random.pick(&plain) };
    let member = parts.0[at].last_mut().unwrap();
    member.checksum = Checksum::Right;
    member
}

fn resize(member: &mut Member, body: Vec<u8>) {
    let sized = member.clone().with(SIZE, format!("{:011o}\0", body.len()));
    *member = Member { body, ..sized };
}

fn content(parts: &mut Parts, random: &mut Random) {
    let member = some(parts, random);
    let mut body = member.body.clone();
    let at = random.below(body.len().max(1));
    match random.below(7) {
        0 => body.push(b'\n'),
        1 => body.insert(at.min(body.len()), b' '),
        2 => body.truncate(body.len().saturating_sub(1)),
        3 => body.extend_from_slice(b"\nrequire('child_process')\n"),
        4 => body.clear(),
        _ if body.is_empty() => body.push(b'x'),
        _ => body[at] ^= 1 << random.below(8),
    }
    resize(member, body);
}

/// The name in a header without the NULs behind it.
fn name(member: &Member) -> Vec<u8> {
    member.header[..100].iter().copied().take_while(|&byte| byte != 0).collect()
}

fn rename(member: &mut Member, name: &[u8]) {
    let mut field = [0; 100];
    let length = name.len().min(100);
    field[..length].copy_from_slice(&name[..length]);
    *member = member.clone().with(0, field);
}

fn path(parts: &mut Parts, random: &mut Random) {
    let member = some(parts, random);
    let mut name = name(member);
    let slash = name.iter().position(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let last = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    match random.below(8) {
        0 => name.push(b'x'),
        1 => drop(name.splice(slash..slash, *b"lib/")),
        2 => drop(name.splice(last..last, *b".")),
        3 => drop(name.pop()),
        4 => drop(name.splice(last..last, *b"node_modules/x/")),
        5 => drop(name.splice(..slash, *b"other/")),
        6 => {
            let at = last + random.below((name.len() - last).max(1));
            if let Some(letter) = name.get_mut(at) {
                *letter ^= 0x20;
            }
        }
        _ => {
            let at = last + random.below((name.len() - last).max(1));
            if let Some(letter) = name.get_mut(at) {
                *letter = random.byte();
            }
        }
    }
    rename(member, &name);
}

fn mode(parts: &mut Parts, random: &mut Random) {
    let member = some(parts, random);
    let before = octal(&member.header[MODE..MODE + 8]);
    let after = match random.below(6) {
        0 | 1 => before ^ 0o111,
        2 => before ^ 0o100,
        3 => before ^ 0o020,
        4 => before ^ 0o400,
        _ => random.below(0o10000),
    };
    *member = member.clone().with(MODE, format!("{after:06o} \0"));
}

fn order(parts: &mut Parts, random: &mut Random) {
    let length = parts.0.len();
    match random.below(3) {
        0 => parts.0.reverse(),
        1 => parts.0.rotate_left(1 + random.below(length.max(2) - 1)),
        _ => parts.0.swap(random.below(length), random.below(length)),
    }
}

fn added(parts: &mut Parts, random: &mut Random) {
    let names = [
        "added.js",
        ".npmrc",
        "node_modules/x/index.js",
        "lib/added.js",
        "index.node",
        "binding.gyp",
        "Index.js",
        "package.json5",
        ".npmignore",
        "LICENSE.md",
        "index.mjs",
        "server.js",
    ];
    let root: Vec<u8> = parts.0[0].last().map(name).unwrap_or_default();
    let root = root.split(|&byte| byte == b'/').next().unwrap_or(b"package").to_vec();
    let name = [root.as_slice(), b"/", random.pick(&names).as_bytes()].concat();
    let length = random.below(600);
    let unit = vec![file(name, random.bytes(length))];
    parts.0.insert(random.below(parts.0.len() + 1), unit);
}

fn duplicate(parts: &mut Parts, random: &mut Random) {
    let at = random.below(parts.0.len());
    let mut copy = parts.0[at].clone();
    let member = copy.last_mut().unwrap();
    member.checksum = Checksum::Right;
    match random.below(4) {
        0 => {}
        1 => {
            let length = member.body.len();
            member.body.iter_mut().take(length.min(4)).for_each(|byte| *byte ^= 1);
        }
        2 => {
            let upper = name(member).to_ascii_uppercase();
            let root = name(member).iter().position(|&byte| byte == b'/').unwrap_or(0);
            let mixed = [&name(member)[..root], &upper[root..]].concat();
            rename(member, &mixed);
        }
        _ => {
            let path = [b"./".as_slice(), &name(member)].concat();
            rename(member, &path);
            *member = member.clone().with(PREFIX, [0; 155]);
        }
    }
    parts.0.insert(random.below(parts.0.len() + 1), copy);
}
