//! Exactly one gzip member (RFC 1952): header, deflate data, CRC-32 and length, and nothing after it. It hands on the
//! unpacked bytes and knows nothing of what they are.
//!
//! The member is taken apart here and not by a ready reader, because those differ just where it matters: whether a
//! second member is read, whether bytes after the first are an error, and whether the trailer is looked at.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{
    rule::{Refusal, Rule},
    tolerance::Tolerance,
};
use crate::limits::{TARBALL_BYTES_MAX, UNPACK_RATIO_MAX, UNPACKED_BYTES_MAX};

const FIXED_HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;
const METHOD_DEFLATE: u8 = 8;
const FLAG_NAME: u8 = 0b0000_1000;
/// A file's name in the header: longer than any file system has.
const NAME_BYTES_MAX: usize = 1024;
/// The first room for the output.
const STEP_BYTES: usize = 256 * 1024;

/// What one member held.
pub(super) struct Member {
    pub(super) data: Vec<u8>,
    pub(super) tolerance: Option<Tolerance>,
}

/// Unpacks the one member that `tgz` is.
pub(super) fn unpack(tgz: &[u8]) -> Result<Member, Refusal> {
    if tgz.len() as u64 > TARBALL_BYTES_MAX {
        let what = format!("the tarball has {} bytes; the most is {TARBALL_BYTES_MAX}", tgz.len());
        return Err(Refusal::in_tgz(Rule::TooLarge, 0, what));
    }
    let (data_at, tolerance) = header(tgz)?;
    let (data, trailer_at) = inflate(tgz, data_at)?;
    trailer(tgz, trailer_at, &data)?;
    Ok(Member { data, tolerance })
}

/// Where the deflate data begins.
fn header(tgz: &[u8]) -> Result<(usize, Option<Tolerance>), Refusal> {
    if !tgz.starts_with(&[0x1f, 0x8b]) {
        let what = "a gzip file begins with the bytes 1f 8b";
        return Err(Refusal::in_tgz(Rule::NotGzip, 0, what));
    }
    if tgz.len() < FIXED_HEADER_BYTES {
        return Err(ends_early(tgz, "in the gzip header"));
    }
    if tgz[2] != METHOD_DEFLATE {
        let what = format!("compression method {} is not deflate", tgz[2]);
        return Err(Refusal::in_tgz(Rule::GzipHeader, 2, what));
    }
    match tgz[3] {
        0 => Ok((FIXED_HEADER_BYTES, None)),
        FLAG_NAME => {
            let rest = &tgz[FIXED_HEADER_BYTES..];
            match rest.iter().take(NAME_BYTES_MAX).position(|&byte| byte == 0) {
                Some(end) => Ok((FIXED_HEADER_BYTES + end + 1, Some(Tolerance::GzipFileName))),
                None if rest.len() < NAME_BYTES_MAX => Err(ends_early(tgz, "in the gzip header")),
                None => {
                    let what = "the file name in the gzip header has no end";
                    Err(Refusal::in_tgz(Rule::GzipHeader, FIXED_HEADER_BYTES, what))
                }
            }
        }
        flags => {
            let what = format!("flags {flags:#04x} of the gzip header are set by no packer");
            Err(Refusal::in_tgz(Rule::GzipHeader, 3, what))
        }
    }
}

/// The unpacked bytes, and where the trailer begins.
fn inflate(tgz: &[u8], data_at: usize) -> Result<(Vec<u8>, usize), Refusal> {
    let mut stream = Decompress::new(false);
    let mut data = Vec::with_capacity(expected(tgz));
    loop {
        let read_at = data_at + consumed(&stream);
        grow(&mut data);
        let before = data.len();
        let status = stream
            .decompress_vec(&tgz[read_at..], &mut data, FlushDecompress::None)
            .map_err(|error| {
                let at = data_at + consumed(&stream);
                Refusal::in_tgz(Rule::GzipData, at, format!("the deflate data is corrupt: {error}"))
            })?;
        let next_at = data_at + consumed(&stream);
        bounds(tgz, data.len(), next_at)?;
        match status {
            Status::StreamEnd => return Ok((data, next_at)),
            Status::Ok | Status::BufError => {
                if next_at == read_at && data.len() == before {
                    return Err(ends_early(tgz, "in the deflate data"));
                }
            }
        }
    }
}

/// How much room to take at once: what the trailer claims, as far as deflate could hold it at all. It is only a hint.
fn expected(tgz: &[u8]) -> usize {
    let claimed = tgz.last_chunk().map_or(0, |&bytes| u64::from(u32::from_le_bytes(bytes)));
    let most = (tgz.len() as u64 * UNPACK_RATIO_MAX).min(UNPACKED_BYTES_MAX);
    usize::try_from(claimed.min(most)).unwrap_or(0)
}

/// Makes room to go on: twice as much as before, and never more than one byte over the bound, which is enough to see it
/// passed.
fn grow(data: &mut Vec<u8>) {
    if data.len() < data.capacity() {
        return;
    }
    let most = usize::try_from(UNPACKED_BYTES_MAX + 1).unwrap_or(usize::MAX);
    let next = (2 * data.len()).max(STEP_BYTES).min(most);
    data.reserve_exact(next.saturating_sub(data.len()).max(1));
}

fn consumed(stream: &Decompress) -> usize {
    usize::try_from(stream.total_in()).expect("no more is read than the slice holds")
}

fn bounds(tgz: &[u8], unpacked: usize, at: usize) -> Result<(), Refusal> {
    let (packed, unpacked) = (tgz.len() as u64, unpacked as u64);
    if unpacked > UNPACKED_BYTES_MAX {
        let what = format!("it unpacks to more than {UNPACKED_BYTES_MAX} bytes");
        return Err(Refusal::in_tgz(Rule::TooLarge, at, what));
    }
    if unpacked > packed * UNPACK_RATIO_MAX {
        let what = format!("it unpacks to more than {UNPACK_RATIO_MAX} times its {packed} bytes");
        return Err(Refusal::in_tgz(Rule::Ratio, at, what));
    }
    Ok(())
}

fn trailer(tgz: &[u8], at: usize, data: &[u8]) -> Result<(), Refusal> {
    let Some(trailer) = tgz[at..].first_chunk::<TRAILER_BYTES>() else {
        return Err(ends_early(tgz, "in the gzip trailer"));
    };
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
    let mut crc = Crc::new();
    crc.update(data);
    if crc.sum() != u32::from_le_bytes([c0, c1, c2, c3]) {
        let what = "the CRC-32 in the gzip trailer is not that of the data";
        return Err(Refusal::in_tgz(Rule::GzipChecksum, at, what));
    }
    // RFC 1952 counts the length modulo 2^32; the bound above is below that.
    if data.len() as u64 != u64::from(u32::from_le_bytes([l0, l1, l2, l3])) {
        let what = "the length in the gzip trailer is not that of the data";
        return Err(Refusal::in_tgz(Rule::GzipLength, at + 4, what));
    }
    let end = at + TRAILER_BYTES;
    if end < tgz.len() {
        let what = format!("{} bytes follow the one gzip member", tgz.len() - end);
        return Err(Refusal::in_tgz(Rule::TrailingBytes, end, what));
    }
    Ok(())
}

fn ends_early(tgz: &[u8], place: &str) -> Refusal {
    Refusal::in_tgz(Rule::Truncated, tgz.len(), format!("the file ends {place}"))
}
