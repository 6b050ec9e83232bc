//! Archives from which npm installs `evil.js`, or another `index.js`, while a common reader shows only harmless files.
//! "Nested" is a body that is itself a member.

use super::{
    super::Rule,
    refusals::{Case, case},
    writer::{
        Checksum, LINK_NAME, SIZE, THIRD, TYPE, base, file, gzip, long_path, nested, pax, record,
        tar, typed, with_base,
    },
};

const EVIL: &str = "npm installs evil.js";
const INDEX: &str = "npm installs the second index.js";

/// The Rust tar crate does not show the file.
pub(super) fn hidden() -> Vec<Case> {
    let mut cases = nested_bodies();
    cases.extend(renamed());
    cases.extend(same_file_by_another_name());
    cases
}

fn nested_bodies() -> Vec<Case> {
    let blob = || file("package/blob.bin", nested());
    vec![
        case(
            "a link name on a file",
            EVIL,
            with_base([blob().with(LINK_NAME, "foo")]),
            Rule::LinkName,
            THIRD + 157,
        ),
        case(
            "a file whose name ends in a slash",
            EVIL,
            with_base([file("package/dir/", nested())]),
            Rule::Path,
            THIRD,
        ),
        case(
            "a folder with a size",
            EVIL,
            with_base([typed(b'5', "package/dir/", nested())]),
            Rule::DirectorySize,
            THIRD,
        ),
        case(
            "a symbolic link without a target",
            EVIL,
            with_base([typed(b'2', "package/link", nested())]),
            Rule::EntryType,
            THIRD + 156,
        ),
        case(
            "a size in base 256 with a wrong first byte",
            EVIL,
            with_base([blob().with(SIZE, [0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0])]),
            Rule::HeaderNumber,
            THIRD + 124,
        ),
        case(
            "a size in right base 256",
            "no packer writes it below 8 GiB",
            with_base([blob().with(SIZE, [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0])]),
            Rule::HeaderNumber,
            THIRD + 124,
        ),
        case(
            "a second gzip member before the end of the tar",
            "npm reads the second, a single-member reader does not",
            [gzip(&base()[0].bytes()), gzip(&tar(&base()))].concat(),
            Rule::TrailingBytes,
            gzip(&base()[0].bytes()).len() as u64,
        ),
    ]
}

fn renamed() -> Vec<Case> {
    let two = [record("path", "package/docs.txt"), record("path", "package/index.js")].concat();
    let comment = "c".repeat(1_100_000);
    let second_at = THIRD + 512 + record("path", "package/docs.txt").len() as u64;
    vec![
        case(
            "two paths in one extended header",
            INDEX,
            with_base([typed(b'x', "PaxHeader", two), file("package/n.txt", "evil")]),
            Rule::Pax,
            second_at,
        ),
        case(
            "a long path, then an extended header",
            INDEX,
            with_base([
                long_path("package/docs.txt"),
                pax(&[("path", "package/index.js")]),
                file("package/n.txt", "evil"),
            ]),
            Rule::Pax,
            THIRD + 1024,
        ),
        case(
            "an old GNU long path",
            INDEX,
            with_base([typed(b'N', "long", "package/index.js\0"), file("package/n.txt", "evil")]),
            Rule::EntryType,
            THIRD + 156,
        ),
        case(
            "an old extended header",
            INDEX,
            with_base([
                pax(&[("path", "package/index.js")]).with(TYPE, "X"),
                file("package/n.txt", "evil"),
            ]),
            Rule::EntryType,
            THIRD + 156,
        ),
        case(
            "an extended header over a mebibyte",
            "npm ignores it and installs the second index.js",
            with_base([
                pax(&[("comment", &comment), ("path", "package/docs.txt")]),
                file("package/index.js", "evil"),
            ]),
            Rule::Pax,
            THIRD + 512,
        ),
        case(
            "a NUL in an extended header's path",
            "npm cuts at the NUL and installs the second index.js",
            with_base([pax(&[("path", "package/index.js\0.txt")]), file("package/n.txt", "evil")]),
            Rule::Pax,
            THIRD + 512,
        ),
        case(
            "a NUL in a long path",
            "npm cuts at the NUL",
            with_base([long_path("package/index.js\0.txt"), file("package/n.txt", "evil")]),
            Rule::Pax,
            THIRD + 512,
        ),
    ]
}

fn same_file_by_another_name() -> Vec<Case> {
    let named = |what, name: &[u8], rule| {
        let tgz = with_base([file(name, "evil")]);
        case(what, "npm overwrites index.js", tgz, rule, THIRD)
    };
    vec![
        named("a second root folder", b"other/index.js", Rule::Root),
        named("a doubled slash", b"package//index.js", Rule::Path),
        named("a dot as a part", b"package/./index.js", Rule::Path),
        named("a drive letter", b"package/c:/index.js", Rule::Path),
        named("a path relative to a drive", b"package/c:index.js", Rule::Path),
        named("a UNC path", br"package/\\?\c:\index.js", Rule::Path),
        case(
            "names that are not UTF-8",
            "npm makes one file of both, the last wins",
            with_base([file(b"package/a\xff.js", "1"), file(b"package/a\xfe.js", "2")]),
            Rule::Path,
            THIRD,
        ),
    ]
}

/// The Rust tar crate ends in an error where npm installs the file.
pub(super) fn fatal_elsewhere() -> Vec<Case> {
    let blob = || file("package/blob.bin", nested());
    let sized = |what, field: &[u8; 12]| {
        let tgz = with_base([blob().with(SIZE, field)]);
        case(what, EVIL, tgz, Rule::HeaderNumber, THIRD + 124)
    };
    let x = |path| pax(&[("path", path)]);
    let two_headers = [x("package/docs.txt"), x("package/index.js"), file("package/n.txt", "evil")];
    vec![
        case(
            "a checksum that is wrong by one",
            EVIL,
            with_base([blob().summed(Checksum::OffByOne)]),
            Rule::HeaderChecksum,
            THIRD + 148,
        ),
        sized("a size without digits", b"xxxxxxxxxxx\0"),
        sized("an empty size", b"\0\0\0\0\0\0\0\0\0\0\0\0"),
        sized("a size that begins with an 8", b"08000000000\0"),
        sized("a negative size in base 256", &[0xff; 12]),
        sized("a size with text after its digits", b"0000005 9x\0\0"),
        sized("a size with spaces before its digits", b"       2000\0"),
        sized("a size that fills its field", b"000000002000"),
        sized("a size with a sign", b"+0000002000\0"),
        case("two extended headers", INDEX, with_base(two_headers), Rule::Pax, THIRD + 1024),
        case("a plain tar", "npm installs it", tar(&base()), Rule::NotGzip, 0),
        case(
            "a zstd frame",
            "a newer node unpacks it",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0],
            Rule::NotGzip,
            0,
        ),
    ]
}
