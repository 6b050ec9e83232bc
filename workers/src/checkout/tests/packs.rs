//! Packs that no git writes, laid before the process that reads objects: each ends in an error, at a bound, or in the right
//! bytes, and never in a hang or in the end of the worker.

use std::{io::Write, path::Path, time::Instant};

use flate2::{Compression, Crc, write::ZlibEncoder};
use sha1_checked::{Digest, Sha1};

use super::{
    super::{
        CheckoutError,
        oid::{ObjectKind, Oid},
        reader::{Door, Got, Reader},
    },
    *,
};

const BLOB: u8 = 3;
const DELTA_AT: u8 = 6;
const DELTA_OF: u8 = 7;

/// A pack with its index, entry by entry.
struct Pack {
    bytes: Vec<u8>,
    entries: Vec<(Oid, u32, u32)>,
}

impl Pack {
    fn new() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), entries: Vec::new() }
    }

    /// Adds an entry under any name, with what stands before its content; where it begins.
    fn add(&mut self, name: Oid, kind: u8, size: usize, before: &[u8], content: &[u8]) -> usize {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(content).unwrap();
        self.add_raw(name, kind, size, before, &packed.finish().unwrap())
    }

    fn add_raw(&mut self, name: Oid, kind: u8, size: usize, before: &[u8], raw: &[u8]) -> usize {
        let at = self.bytes.len();
        let mut head = vec![(kind << 4) | u8::try_from(size & 15).unwrap()];
        let mut left = size >> 4;
        while left > 0 {
            *head.last_mut().unwrap() |= 0x80;
            head.push(u8::try_from(left & 0x7f).unwrap());
            left >>= 7;
        }
        let entry = [head.as_slice(), before, raw].concat();
        let mut crc = Crc::new();
        crc.update(&entry);
        self.bytes.extend(entry);
        self.entries.push((name, crc.sum(), u32::try_from(at).unwrap()));
        at
    }

    /// Writes both files below a folder of objects.
    fn write(mut self, objects: &Path) {
        let count = u32::try_from(self.entries.len()).unwrap();
        self.bytes[8..12].copy_from_slice(&count.to_be_bytes());
        let sum = Sha1::digest(&self.bytes);
        self.bytes.extend_from_slice(&sum);
        self.entries.sort();
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        for first in 0..=u8::MAX {
            let before = self.entries.iter().filter(|(name, ..)| name.as_bytes()[0] <= first);
            index.extend(u32::try_from(before.count()).unwrap().to_be_bytes());
        }
        self.entries.iter().for_each(|(name, ..)| index.extend(name.as_bytes()));
        self.entries.iter().for_each(|(_, crc, _)| index.extend(crc.to_be_bytes()));
        self.entries.iter().for_each(|(.., at)| index.extend(at.to_be_bytes()));
        index.extend_from_slice(&sum);
        let own = Sha1::digest(&index);
        index.extend_from_slice(&own);
        let folder = objects.join("pack");
        std::fs::create_dir_all(&folder).unwrap();
        let name = format!("pack-{}", hex::encode(sum));
        std::fs::write(folder.join(format!("{name}.pack")), self.bytes).unwrap();
        std::fs::write(folder.join(format!("{name}.idx")), index).unwrap();
    }
}

/// A number in a delta's head.
fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// How far back a base lies, as an entry says it.
fn back(mut distance: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(distance & 0x7f).unwrap()];
    while distance >= 0x80 {
        distance = (distance >> 7) - 1;
        bytes.insert(0, 0x80 | u8::try_from(distance & 0x7f).unwrap());
    }
    bytes
}

/// The most that one instruction of a delta copies.
const COPIED: usize = 0xff_ffff;

/// A delta whose result is its base so many times.
fn repeated(base: usize, times: usize) -> Vec<u8> {
    let mut delta = [number(base as u64), number((COPIED * times) as u64)].concat();
    for _ in 0..times {
        delta.extend([0xf0, 0xff, 0xff, 0xff]);
    }
    delta
}

fn named(digit: u8) -> Oid {
    Oid::from_bytes([digit; 20])
}

/// What comes of asking for one object of a pack, of a reader with so much memory.
fn asked(pack: Pack, name: Oid, memory_bytes: u64) -> Result<Got, CheckoutError> {
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    pack.write(&objects);
    open_to_all(folder.path());
    let door = Door { memory_bytes, object_time: Duration::from_secs(3), ..door() };
    Reader::open(&door, &objects, false)?.object(name, 1 << 20)
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

const MEMORY: u64 = 256 << 20;

#[test]
fn a_pack_as_git_writes_it_is_read() {
    let mut pack = Pack::new();
    let name = Oid::of_blob(b"text");
    pack.add(name, BLOB, 4, b"", b"text");
    let expected = Got::Object(ObjectKind::Blob, b"text".as_slice().into());
    assert_eq!(asked(pack, name, MEMORY).unwrap(), expected);
}

#[test]
fn a_delta_that_says_that_it_gives_a_terabyte_is_not_unpacked() {
    let mut pack = Pack::new();
    let at = pack.add(named(1), BLOB, 4, b"", b"text");
    let delta = [number(4), number(1 << 40), vec![0x90, 4]].concat();
    let distance = pack.bytes.len() - at;
    pack.add(named(2), DELTA_AT, delta.len(), &back(distance), &delta);
    assert_eq!(asked(pack, named(2), MEMORY).unwrap(), Got::TooLarge(1 << 40));
}

#[test]
fn a_delta_that_explodes_ends_its_reader_at_the_bound_of_memory_and_nothing_else() {
    let mut pack = Pack::new();
    let at = pack.add(named(1), BLOB, COPIED, b"", &vec![0; COPIED]);
    let delta = repeated(COPIED, 40);
    let distance = pack.bytes.len() - at;
    pack.add(named(2), DELTA_AT, delta.len(), &back(distance), &delta);
    assert!(pack.bytes.len() < 200_000, "a small pack");
    let error = asked(pack, named(2), 64 << 20).unwrap_err();
    assert!(error.to_string().contains("needs more memory"), "{error}");
    let reason = error.finding().expect("it says nothing of the package");
    assert_eq!(reason.code, Code::RepositoryUnavailable);
}

#[test]
fn broken_deltas_and_broken_bytes_are_damage() {
    let (one, other) = (named(1), named(2));
    let same = [number(4), number(4), vec![0x90, 4]].concat();
    let mut lost = Pack::new();
    lost.add(one, DELTA_OF, same.len(), other.as_bytes(), &same);
    let mut beyond = Pack::new();
    let at = beyond.add(other, BLOB, 4, b"", b"text");
    let reaching = [number(4), number(4), vec![0x91, 200, 4]].concat();
    let distance = beyond.bytes.len() - at;
    beyond.add(one, DELTA_AT, reaching.len(), &back(distance), &reaching);
    let mut garbage = Pack::new();
    garbage.add_raw(one, BLOB, 400, b"", b"this is not what zlib writes");
    let mut short = Pack::new();
    short.add(one, BLOB, 400, b"", b"four hundred bytes were said");
    let mut other_bytes = Pack::new();
    other_bytes.add(one, BLOB, 4, b"", b"text");
    let packs = [lost, beyond, garbage, short, other_bytes];
    for (number, pack) in packs.into_iter().enumerate() {
        let found = asked(pack, one, MEMORY);
        let damage = matches!(found, Err(CheckoutError::Damaged(_)) | Ok(Got::Missing));
        assert!(damage, "{number}: {found:?}");
    }
}

/// libgit2 follows such a circle for ever: the bound of time is what ends it.
#[test]
fn deltas_of_one_another_keep_nobody_waiting_for_ever() {
    let (one, other) = (named(1), named(2));
    let same = [number(4), number(4), vec![0x90, 4]].concat();
    let mut circle = Pack::new();
    circle.add(one, DELTA_OF, same.len(), other.as_bytes(), &same);
    circle.add(other, DELTA_OF, same.len(), one.as_bytes(), &same);
    let began = Instant::now();
    let found = asked(circle, one, MEMORY);
    assert!(
        matches!(found, Err(CheckoutError::Reader(_) | CheckoutError::Damaged(_))),
        "{found:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_chain_of_thousands_of_deltas_is_followed_to_its_end() {
    let text = b"what every link of the chain gives";
    let size = u8::try_from(text.len()).unwrap();
    let same = [number(size.into()), number(size.into()), vec![0x90, size]].concat();
    let mut pack = Pack::new();
    let mut at = pack.add(named(1), BLOB, text.len(), b"", text);
    for link in 0..5_000_u32 {
        let mut name = [9; 20];
        name[16..].copy_from_slice(&link.to_be_bytes());
        let last = link == 4_999;
        let name = if last { Oid::of_blob(text) } else { Oid::from_bytes(name) };
        let distance = pack.bytes.len() - at;
        at = pack.add(name, DELTA_AT, same.len(), &back(distance), &same);
    }
    let expected = Got::Object(ObjectKind::Blob, text.as_slice().into());
    assert_eq!(asked(pack, Oid::of_blob(text), MEMORY).unwrap(), expected);
}

/// The same in a repository that is fetched: there it is git itself that unpacks it first.
#[test]
fn a_repository_whose_deltas_explode_is_left_by_git() {
    let made = Made::tagged();
    let (folder, bare) = served::bare(&made, "x.git");
    let mut pack = Pack::new();
    for object in repository::git(&bare, &["rev-list", "--objects", "--all"], b"").lines() {
        let name = object.split(' ').next().unwrap();
        let kind = repository::git(&bare, &["cat-file", "-t", name], b"");
        let content = std::process::Command::new("git")
            .args(["cat-file", &kind, name])
            .current_dir(&bare)
            .output()
            .unwrap()
            .stdout;
        let kind = ["", "commit", "tree", "blob"].iter().position(|word| *word == kind).unwrap();
        let kind = u8::try_from(kind).unwrap();
        pack.add(name.parse().unwrap(), kind, content.len(), b"", &content);
    }
    let at = pack.add(named(1), BLOB, COPIED, b"", &vec![0; COPIED]);
    let delta = repeated(COPIED, 80);
    let distance = pack.bytes.len() - at;
    pack.add(named(2), DELTA_AT, delta.len(), &back(distance), &delta);
    std::fs::remove_dir_all(bare.join("objects")).unwrap();
    pack.write(&bare.join("objects"));
    std::fs::create_dir(bare.join("objects/info")).unwrap();
    repository::git(&bare, &["update-server-info"], b"");
    let served = served::Served::files(folder.path());
    let began = Instant::now();
    let reason = Search::given(&served.address("/x.git")).undetermined();
    assert_eq!(reason.code, Code::RepositoryUnavailable);
    assert!(reason.message.contains("over limit"), "{}", reason.message);
    assert!(began.elapsed() < Duration::from_secs(30));
}
