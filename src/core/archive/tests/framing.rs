//! Archives that are wrong around the tar: in the gzip member, in the bounds, in the package.json.

use flate2::{Compress, Compression, FlushCompress};

use super::{
    super::Rule,
    refusals::{Case, case},
    writer::{base, deflate, deflate_with, file, gzip, gzip_of, pax, tar, with_base},
};
use crate::{
    artifact::Sha256,
    limits::{
        ENTRIES_MAX, PACKAGE_JSON_BYTES_MAX, PAX_BYTES_MAX, TARBALL_BYTES_MAX, UNPACKED_BYTES_MAX,
    },
};

/// What is not exactly one right member.
pub(super) fn gzip_members() -> Vec<Case> {
    let good = gzip(&tar(&base()));
    let length = good.len() as u64;
    let changed = |at: usize, xor: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= xor;
        bytes
    };
    let followed = |more: &[u8]| [good.as_slice(), more].concat();
    let fails = "npm's install fails";
    let flagged = |what, flags| {
        let tgz = gzip_of(flags, b"\x02\0xy\0", &deflate(&tar(&base())), 0, 0);
        case(what, "no packer sets it", tgz, Rule::GzipHeader, 3)
    };
    let named = |name: &[u8]| gzip_of(8, name, &[], 0, 0);
    let mut cases = vec![
        case("no bytes at all", fails, vec![], Rule::NotGzip, 0),
        case("half the magic", fails, vec![0x1f], Rule::NotGzip, 0),
        case("another compression", fails, changed(2, 1), Rule::GzipHeader, 2),
        flagged("the flag of a text", 1),
        flagged("the flag of a header checksum", 2),
        flagged("the flag of an extra field", 4),
        flagged("the flag of a comment", 16),
        flagged("a name and a comment", 24),
        flagged("a flag without a meaning", 32),
        case("a name without an end", fails, named(&[b'n'; 4096]), Rule::GzipHeader, 10),
        case("a name that is cut", fails, named(b"n")[..11].to_vec(), Rule::Truncated, 11),
        case("a wrong checksum", fails, changed(good.len() - 8, 1), Rule::GzipChecksum, length - 8),
        case("a wrong length", fails, changed(good.len() - 4, 1), Rule::GzipLength, length - 4),
        case("junk after the member", fails, followed(b"junk"), Rule::TrailingBytes, length),
        case("one zero after it", "ignored", followed(&[0]), Rule::TrailingBytes, length),
        case(
            "zeros and a second member",
            "npm ignores the second, Python reads it",
            followed(&[vec![0; 512], good.clone()].concat()),
            Rule::TrailingBytes,
            length,
        ),
        case(
            "a block of a type that does not exist",
            fails,
            gzip_of(0, &[], &[0xff; 16], 0, 0),
            Rule::GzipData,
            11,
        ),
    ];
    for cut in [2, 9, 10, 40, good.len() - 9, good.len() - 8, good.len() - 1] {
        let tgz = good[..cut].to_vec();
        cases.push(case("a file that is cut", fails, tgz, Rule::Truncated, cut as u64));
    }
    cases
}

/// The package.json.
pub(super) fn package_jsons() -> Vec<Case> {
    let with = |text: &[u8]| gzip(&tar(&[file("package/package.json", text)]));
    let invalid = |what, otherwise, text: &[u8]| {
        case(what, otherwise, with(text), Rule::PackageJsonInvalid, 512)
    };
    let missing = |what, list: &[_]| {
        let tar = tar(list);
        let length = tar.len() as u64;
        case(what, "npm cannot install it", gzip(&tar), Rule::PackageJsonMissing, length)
    };
    let differs = "readers differ in which one they keep";
    let large = vec![b' '; usize::try_from(PACKAGE_JSON_BYTES_MAX).unwrap() + 1];
    vec![
        missing("no package.json", &[file("package/index.js", "")]),
        missing("one in another folder", &[file("package/lib/package.json", "{}")]),
        missing("one in capitals", &[file("package/PACKAGE.JSON", "{}")]),
        missing("no members", &[]),
        invalid("an empty package.json", "npm fails", b""),
        invalid("a list", "npm fails", b"[]"),
        invalid("a name twice", differs, br#"{"name":"a","name":"b"}"#),
        invalid("a script twice", differs, br#"{"scripts":{"install":"a","install":"b"}}"#),
        invalid("not UTF-8", "npm reads another letter", b"{\"name\":\"\xff\"}"),
        invalid("a prototype", "its fields may become the package's", br#"{"__proto__":{}}"#),
        case("a large one", "a JSON tree of any size", with(&large), Rule::TooLarge, 512),
    ]
}

/// More than the bounds allow: what, the archive, the rule. Where an inflater notices is its own affair.
pub(super) fn bounds() -> Vec<(&'static str, Vec<u8>, Rule)> {
    let too_large = usize::try_from(TARBALL_BYTES_MAX).unwrap() + 1;
    let many: Vec<_> = (0..=ENTRIES_MAX).map(|n| file(format!("package/{n}"), "")).collect();
    let tight = tar(&[file("package/zeros", vec![0; 8 << 20])]);
    let comment = "c".repeat(usize::try_from(PAX_BYTES_MAX).unwrap());
    let long = with_base([pax(&[("uname", &comment)]), file("package/a", "")]);
    vec![
        ("a large tarball", vec![0x1f; too_large], Rule::TooLarge),
        ("many members", gzip(&tar(&many)), Rule::TooManyEntries),
        (
            "a tight pack",
            gzip_of(0, &[], &deflate_with(Compression::best(), &tight), 0, 0),
            Rule::Ratio,
        ),
        ("more than a gibibyte", bomb(), Rule::TooLarge),
        ("an extended header over our bound", long, Rule::Pax),
    ]
}

/// A member that unpacks to more than the bound at less than the ratio: one piece of a mebibyte, many times.
fn bomb() -> Vec<u8> {
    const PIECE_BYTES: usize = 1 << 20;
    let noise = (0..64_u32).flat_map(|n| *Sha256::of(&n.to_le_bytes()).as_bytes());
    let mut data: Vec<u8> = noise.collect();
    data.resize(PIECE_BYTES, 0);
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    let mut stream = Compress::new(Compression::fast(), false);
    stream.compress_vec(&data, &mut piece, FlushCompress::Full).unwrap();
    assert_eq!(stream.total_in(), data.len() as u64);
    let pieces = usize::try_from(UNPACKED_BYTES_MAX).unwrap() / PIECE_BYTES + 1;
    gzip_of(0, &[], &piece.repeat(pieces), 0, 0)
}
