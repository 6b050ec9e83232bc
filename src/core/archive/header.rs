//! One 512-byte header of a tar (POSIX ustar), every field of it checked. It knows the fields and their forms; what a
//! member means, and which may follow which, is the reader's.

use super::{
    rule::{Refusal, Rule, quoted},
    tolerance::Tolerance,
};

/// Headers, bodies and padding all come in blocks of this size.
pub(super) const BLOCK_BYTES: usize = 512;
pub(super) type Block = [u8; BLOCK_BYTES];

/// What a member is, of those that a package may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `0`: a file.
    File,
    /// `5`: a folder; only old packers write them.
    Directory,
    /// `x`: an extended header for the one member that follows.
    Pax,
    /// `g`: an extended header for all that follow; only `git archive` writes one.
    PaxGlobal,
    /// `L`: the long path of the one member that follows, as pnpm 12 (the tar crate) writes it.
    GnuLongPath,
}

/// One header whose every field has the form that packers write.
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The path as this header alone names it; an extended header may name another.
    pub(super) path: Vec<u8>,
    pub(super) executable: bool,
    pub(super) size: u64,
    pub(super) tolerances: Vec<Tolerance>,
}

/// A field of the header by its place.
struct Field {
    name: &'static str,
    at: usize,
    bytes: usize,
}

const fn field(name: &'static str, at: usize, bytes: usize) -> Field {
    Field { name, at, bytes }
}

const NAME: Field = field("name", 0, 100);
const MODE: Field = field("mode", 100, 8);
const UID: Field = field("uid", 108, 8);
const GID: Field = field("gid", 116, 8);
const SIZE: Field = field("size", 124, 12);
const MTIME: Field = field("mtime", 136, 12);
const CHECKSUM: Field = field("checksum", 148, 8);
const TYPE_AT: usize = 156;
const LINK_NAME: Field = field("linkname", 157, 100);
const MAGIC: Field = field("magic", 257, 8);
const UNAME: Field = field("uname", 265, 32);
const GNAME: Field = field("gname", 297, 32);
const DEVMAJOR: Field = field("devmajor", 329, 8);
const DEVMINOR: Field = field("devminor", 337, 8);
const PREFIX: Field = field("prefix", 345, 155);
const SHORT_PREFIX: Field = field("prefix", 345, 130);
const ATIME: Field = field("atime", 476, 12);
const CTIME: Field = field("ctime", 488, 12);
const REST: Field = field("padding", 500, 12);

const MODE_PERMISSIONS: u64 = 0o777;
const MODE_REGULAR: u64 = 0o100_000;
const MODE_DIRECTORY: u64 = 0o040_000;

/// Reads the header that stands at `at` in the tar.
pub(super) fn read(block: &Block, at: usize) -> Result<Header, Refusal> {
    let magic = magic(block, at)?;
    checksum(block, at)?;
    let size = number(block, at, &SIZE)?;
    number(block, at, &MTIME)?;
    let mut tolerances = Vec::new();
    for owner in [&UID, &GID] {
        tolerances.extend(owner_number(block, at, owner)?);
    }
    for device in [&DEVMAJOR, &DEVMINOR] {
        number_or_empty(block, at, device)?;
    }
    let kind = kind(block, at)?;
    tolerances.extend(magic_fits(magic, kind, block, at)?);
    if slice(block, &LINK_NAME).iter().any(|&byte| byte != 0) {
        let what = format!("a member names {} as a link's target", quoted_text(block, &LINK_NAME));
        return Err(Refusal::in_tar(Rule::LinkName, at + LINK_NAME.at, what));
    }
    let (executable, type_bits) = mode(number(block, at, &MODE)?, kind, at)?;
    tolerances.extend(type_bits);
    for owner in [&UNAME, &GNAME] {
        if text(block, at, owner)?.len() == owner.bytes {
            let what = format!("the {} has no end", owner.name);
            return Err(Refusal::in_tar(Rule::HeaderText, at + owner.at, what));
        }
    }
    if let Some(offset) = slice(block, &REST).iter().position(|&byte| byte != 0) {
        let what = "the last bytes of a header are not zero";
        return Err(Refusal::in_tar(Rule::Padding, at + REST.at + offset, what));
    }
    let (path, times) = path(block, at)?;
    tolerances.extend(times);
    Ok(Header { kind, path, executable, size, tolerances })
}

fn slice<'a>(block: &'a Block, field: &Field) -> &'a [u8] {
    &block[field.at..field.at + field.bytes]
}

/// How a header says what its fields are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Magic {
    Ustar,
    Gnu,
}

/// node-tar reads the prefix only under exactly the magic and version of POSIX; others read it always or never.
fn magic(block: &Block, at: usize) -> Result<Magic, Refusal> {
    match slice(block, &MAGIC) {
        b"ustar\x0000" => Ok(Magic::Ustar),
        b"ustar  \0" => Ok(Magic::Gnu),
        other => {
            let what = format!("{} is not the magic of POSIX ustar", quoted(other));
            Err(Refusal::in_tar(Rule::HeaderMagic, at + MAGIC.at, what))
        }
    }
}

/// GNU's long paths have GNU's magic. Files and folders may have it too, for all readers alike as long as the prefix is
/// empty, in which GNU keeps other things; an extended header never has it.
fn magic_fits(
    magic: Magic,
    kind: Kind,
    block: &Block,
    at: usize,
) -> Result<Option<Tolerance>, Refusal> {
    let prefix_is_empty = slice(block, &PREFIX).iter().all(|&byte| byte == 0);
    match (magic, kind) {
        (Magic::Ustar, Kind::File | Kind::Directory | Kind::Pax | Kind::PaxGlobal) => Ok(None),
        (Magic::Gnu, Kind::GnuLongPath) if prefix_is_empty => Ok(None),
        (Magic::Gnu, Kind::File | Kind::Directory) if prefix_is_empty => {
            Ok(Some(Tolerance::GnuHeaders))
        }
        (Magic::Ustar, Kind::GnuLongPath)
        | (
            Magic::Gnu,
            Kind::File | Kind::Directory | Kind::GnuLongPath | Kind::Pax | Kind::PaxGlobal,
        ) => {
            let what = "the header's magic does not go with its type or its prefix";
            Err(Refusal::in_tar(Rule::HeaderMagic, at + MAGIC.at, what))
        }
    }
}

/// The sum of all bytes, taken as unsigned, with the checksum's own bytes as spaces.
fn checksum(block: &Block, at: usize) -> Result<(), Refusal> {
    let claimed = number(block, at, &CHECKSUM)?;
    let all: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = slice(block, &CHECKSUM).iter().map(|&byte| u64::from(byte)).sum();
    let actual = all - own + 8 * u64::from(b' ');
    if claimed == actual {
        return Ok(());
    }
    let what = format!("the header's checksum is {claimed:o} where its bytes add up to {actual:o}");
    Err(Refusal::in_tar(Rule::HeaderChecksum, at + CHECKSUM.at, what))
}

/// Octal digits, ended by NUL, space, or both in either order, that fill the field. Everything else is read in as many
/// ways as there are readers: node-tar takes a text without digits for nothing at all.
fn number(block: &Block, at: usize, field: &Field) -> Result<u64, Refusal> {
    let bytes = slice(block, field);
    let digits = bytes.iter().take_while(|byte| (b'0'..=b'7').contains(*byte)).count();
    let ended = matches!(&bytes[digits..], b"\0" | b" " | b" \0" | b"\0 ");
    if digits == 0 || !ended {
        let what = format!("the {} {} is not plain octal", field.name, quoted(bytes));
        return Err(Refusal::in_tar(Rule::HeaderNumber, at + field.at, what));
    }
    Ok(bytes[..digits].iter().fold(0, |sum, &digit| sum * 8 + u64::from(digit - b'0')))
}

/// npm leaves out owner and device by leaving the field all NUL.
fn number_or_empty(block: &Block, at: usize, field: &Field) -> Result<(), Refusal> {
    if slice(block, field).iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    number(block, at, field).map(|_| ())
}

/// An owner's number, which no installer looks at. Where it is too large for octal, old packers wrote it in base 256; node-tar
/// drops the whole header where the first byte of that is another than 0x80 or the number beyond 2^53.
fn owner_number(block: &Block, at: usize, field: &Field) -> Result<Option<Tolerance>, Refusal> {
    if slice(block, field).starts_with(&[0x80, 0]) {
        return Ok(Some(Tolerance::LargeOwner));
    }
    number_or_empty(block, at, field).map(|()| None)
}

fn kind(block: &Block, at: usize) -> Result<Kind, Refusal> {
    match block[TYPE_AT] {
        b'0' => Ok(Kind::File),
        b'5' => Ok(Kind::Directory),
        b'x' => Ok(Kind::Pax),
        b'g' => Ok(Kind::PaxGlobal),
        b'L' => Ok(Kind::GnuLongPath),
        other => {
            let kind = match other {
                b'1' => "a hard link",
                b'2' => "a symbolic link",
                b'3' | b'4' => "a device",
                b'6' => "a FIFO",
                b'K' | b'N' | b'X' => "a name in an old format",
                _ => "of an unknown type",
            };
            let what =
                format!("{} is {kind} (type {})", quoted_text(block, &NAME), quoted(&[other]));
            Err(Refusal::in_tar(Rule::EntryType, at + TYPE_AT, what))
        }
    }
}

/// Whether any execute bit is set.
fn mode(mode: u64, kind: Kind, at: usize) -> Result<(bool, Option<Tolerance>), Refusal> {
    let type_bits = match kind {
        Kind::Directory => MODE_DIRECTORY,
        Kind::File | Kind::Pax | Kind::PaxGlobal | Kind::GnuLongPath => MODE_REGULAR,
    };
    let tolerance = match mode & !MODE_PERMISSIONS {
        0 => None,
        bits if bits == type_bits => Some(Tolerance::FileTypeBits),
        _ => {
            let what = format!("mode {mode:o} has other bits than read, write and execute");
            return Err(Refusal::in_tar(Rule::Mode, at + MODE.at, what));
        }
    };
    Ok((mode & 0o111 != 0, tolerance))
}

/// A text up to its first NUL, after which only NULs follow: readers cut at the NUL in different ways.
fn text<'a>(block: &'a Block, at: usize, field: &Field) -> Result<&'a [u8], Refusal> {
    let bytes = slice(block, field);
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    if let Some(offset) = bytes[end..].iter().position(|&byte| byte != 0) {
        let what = format!("the {} {} goes on after its end", field.name, quoted(bytes));
        return Err(Refusal::in_tar(Rule::HeaderText, at + field.at + end + offset, what));
    }
    Ok(&bytes[..end])
}

fn path(block: &Block, at: usize) -> Result<(Vec<u8>, Option<Tolerance>), Refusal> {
    let name = text(block, at, &NAME)?;
    let (prefix, tolerance) = if has_node_tar_times(block) {
        (text(block, at, &SHORT_PREFIX)?, Some(Tolerance::NodeTarTimes))
    } else {
        (text(block, at, &PREFIX)?, None)
    };
    let path = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
    Ok((path, tolerance))
}

/// node-tar cuts the prefix to 130 bytes and keeps two times behind it, where it is not told to leave them out as npm tells
/// it. For all others the prefix ends at its first NUL, which is the same.
fn has_node_tar_times(block: &Block) -> bool {
    let times = [&ATIME, &CTIME];
    let some = times.iter().any(|time| slice(block, time).iter().any(|&byte| byte != 0));
    some && block[SHORT_PREFIX.at + SHORT_PREFIX.bytes] == 0
        && times.iter().all(|time| number_or_empty(block, 0, time).is_ok())
}

fn quoted_text(block: &Block, field: &Field) -> String {
    let bytes = slice(block, field);
    quoted(bytes.split(|&byte| byte == 0).next().unwrap_or(bytes))
}
