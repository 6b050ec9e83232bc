//! Archives about which readers disagree with npm or with one another, each in its own way.

use super::{
    super::Rule,
    refusals::{Case, case},
    writer::{
        Checksum, MAGIC, PREFIX, REST, THIRD, UNAME, base, file, gzip, long_path, members, nested,
        pax, record, tar, typed, with_base,
    },
};

/// Where the archive ends.
pub(super) fn ends() -> Vec<Case> {
    let good = members(&base());
    let ended = |zeros: usize, more: &[u8]| {
        gzip(&[good.as_slice(), vec![0; zeros].as_slice(), more].concat())
    };
    let end = good.len() as u64;
    let evil = nested();
    vec![
        case(
            "a member after one zero block",
            "npm installs evil.js, others stop",
            ended(512, &[evil.as_slice(), &[0; 1024]].concat()),
            Rule::End,
            end + 512,
        ),
        case(
            "a member after two zero blocks",
            "nobody compares those bytes",
            ended(1024, &[evil.as_slice(), &[0; 1024]].concat()),
            Rule::End,
            end + 1024,
        ),
        case("one last byte", "nobody compares it", ended(1535, b"x"), Rule::End, end + 1535),
        case("no end mark", "readers differ in whether it is whole", ended(0, b""), Rule::End, end),
        case("one zero block", "the end may be missing", ended(512, b""), Rule::End, end),
        case("half a zero block", "the end may be missing", ended(1300, b""), Rule::End, end),
        case("half a header", "the tar is cut", ended(0, &evil[..300]), Rule::Truncated, end + 300),
        case(
            "a body beyond the end",
            "npm's install fails",
            ended(0, &evil[..514]),
            Rule::Truncated,
            end + 512,
        ),
        case("an empty tar", "npm installs nothing", gzip(&[]), Rule::End, 0),
        case(
            "an extended header without a member",
            "nobody says what it is for",
            with_base([pax(&[("path", "package/x.js")])]),
            Rule::Pax,
            THIRD + 1024,
        ),
    ]
}

/// Extended headers that some obey.
pub(super) fn extended_headers() -> Vec<Case> {
    let before = |what, otherwise, header| {
        let tgz = with_base([header, file("package/n.txt", "evil")]);
        case(what, otherwise, tgz, Rule::Pax, THIRD + 512)
    };
    let sized = |what, size| {
        let header = pax(&[("path", "package/x"), ("size", size)]);
        let at = THIRD + 512 + "18 path=package/x\n".len() as u64;
        let tgz = with_base([header, file("package/n.txt", "evil")]);
        case(what, "readers take it for different numbers", tgz, Rule::Pax, at)
    };
    let raw = |body: &str| typed(b'x', "PaxHeader", body);
    let unlike = |size| {
        let tgz = with_base([pax(&[("size", size)]), file("package/n.txt", nested())]);
        case("a second size", "npm takes it and reads the rest", tgz, Rule::Pax, THIRD + 1024)
    };
    let ignored = "npm ignores the record, others obey it";
    let mut cases = vec![
        sized("a hexadecimal size", "0x4"),
        sized("a size with an exponent", "1e3"),
        sized("a negative size", "-1"),
        sized("an empty size", ""),
        unlike("0"),
        unlike("512"),
        before("a record with a wrong length", ignored, raw("99 path=package/docs.txt\n")),
        before("a record one byte short", ignored, raw("23 path=package/docs.txt\n")),
        before("a length with a zero before it", ignored, raw("025 path=package/docs.txt\n")),
        before("a length with a sign", ignored, raw("+25 path=package/docs.txt\n")),
        before("a record without a key", ignored, raw("6 =xy\n")),
        before("a record without a value", ignored, raw("7 path\n")),
        before("an empty extended header", ignored, raw("")),
        before("a newline in a value", ignored, pax(&[("path", "package/a\nb")])),
        before("a sparse file", "GNU tar takes its name", pax(&[("GNU.sparse.name", "x")])),
        before("an unknown key", "who knows", pax(&[("SCHILY.xattr.user.x", "1")])),
        before("a link path", "a link for some", pax(&[("linkpath", "x")])),
        before("a mode", "no effect in npm", pax(&[("mode", "0755")])),
        before("a type", "no effect in npm", pax(&[("type", "5")])),
        before("a character set", "decodes the path", pax(&[("hdrcharset", "ISO-8859-1")])),
        before("a time that is none", "NaN", pax(&[("mtime", "soon")])),
        before("an owner that is no number", "NaN", pax(&[("uid", "root")])),
    ];
    cases.extend(header_pairs());
    cases.extend(overlooked());
    cases
}

/// Extended headers that npm, or any reader that knows none, does not take for what they say.
fn overlooked() -> Vec<Case> {
    let folders = format!("package/{}/{}/", "d".repeat(200), "e".repeat(200));
    let long = |letter: usize| format!("{folders}{}ü.js", "f".repeat(letter - folders.len()));
    let torn = "npm loses a letter that lies in two pieces of the stream, and installs the second index.js";
    let letter = THIRD + 512 + 511;
    let evil = || file("package/index.js", "evil");
    let commit = record("comment", "0123456789012345678901234567890123456789");
    vec![
        case(
            "a letter of two bytes at the end of a block",
            torn,
            with_base([pax(&[("path", &long(502))]), evil()]),
            Rule::Pax,
            letter,
        ),
        case(
            "the same in a long path",
            torn,
            with_base([long_path(&long(511)), evil()]),
            Rule::Pax,
            letter,
        ),
        case(
            "another file's name beside an extended header",
            "who knows no extended headers installs the second index.js",
            with_base([pax(&[("path", "package/docs.txt")]), evil()]),
            Rule::Pax,
            THIRD + 1024,
        ),
        case(
            "the same in another root folder and in capitals",
            "npm strips any root, and on some disks that is index.js",
            with_base([pax(&[("path", "package/docs.txt")]), file("other/INDEX.js", "evil")]),
            Rule::Pax,
            THIRD + 1024,
        ),
        case(
            "a commit without a name",
            "npm takes the body for a header",
            gzip(&tar(&[vec![typed(b'g', "", commit)], base()].concat())),
            Rule::Path,
            0,
        ),
    ]
}

fn header_pairs() -> Vec<Case> {
    let path = pax(&[("path", "package/index.js")]);
    let x = || file("package/n.txt", "evil");
    let global = |records: &[(&str, &str)]| pax(records).with(156, "g");
    let first = |header| {
        let list: Vec<_> = [vec![header], base()].concat();
        gzip(&tar(&list))
    };
    let commit = "0123456789012345678901234567890123456789";
    vec![
        case(
            "an extended header, then a long path",
            "the long path wins for npm, the record for others",
            with_base([path.clone(), long_path("package/docs.txt"), x()]),
            Rule::Pax,
            THIRD + 1024,
        ),
        case(
            "a size, then a long path",
            "older npm lost its place in the stream",
            with_base([pax(&[("size", "4")]), long_path("package/docs.txt"), x()]),
            Rule::Pax,
            THIRD + 1024,
        ),
        case(
            "a long path of another name",
            "no packer writes it",
            with_base([long_path("package/docs.txt").with(0, "package/nnnnnn"), x()]),
            Rule::Pax,
            THIRD,
        ),
        case(
            "a path for all that follow",
            "npm ignores it, others obey it",
            first(global(&[("path", "package/docs.txt")])),
            Rule::Pax,
            0,
        ),
        case(
            "a size for all that follow",
            "npm cuts every later file",
            first(global(&[("size", "4")])),
            Rule::Pax,
            0,
        ),
        case(
            "more than a commit for all that follow",
            "npm cuts every later file",
            first(global(&[("comment", commit), ("size", "4")])),
            Rule::Pax,
            0,
        ),
        case(
            "a commit in the middle",
            "no packer writes it there",
            with_base([global(&[("comment", commit)]), x()]),
            Rule::Pax,
            THIRD,
        ),
        case(
            "a commit between an extended header and its file",
            "readers differ in whose header it is",
            with_base([path, global(&[("comment", commit)]), x()]),
            Rule::Pax,
            THIRD + 1024,
        ),
    ]
}

/// Headers of other formats.
pub(super) fn headers() -> Vec<Case> {
    let magic = |what, magic: &[u8; 8]| {
        let member = file("index.js", "evil").with(PREFIX, "package/docs").with(MAGIC, magic);
        let otherwise = "npm ignores the prefix and installs another file";
        case(what, otherwise, with_base([member]), Rule::HeaderMagic, THIRD + 257)
    };
    let mut cases = vec![
        magic("a wrong version", b"ustar\x0001"),
        magic("no version", b"ustar\0\0\0"),
        magic("no magic", b"\0\0\0\0\0\0\0\0"),
        magic("GNU's magic", b"ustar  \0"),
        case(
            "a long path under POSIX' magic",
            "no packer writes it",
            with_base([long_path("package/a").with(MAGIC, *b"ustar\x0000"), file("package/b", "")]),
            Rule::HeaderMagic,
            THIRD + 257,
        ),
        case(
            "a long path with a prefix",
            "GNU keeps times there",
            with_base([long_path("package/a").with(PREFIX, "x"), file("package/b", "")]),
            Rule::HeaderMagic,
            THIRD + 257,
        ),
        case(
            "a checksum of signed bytes",
            "npm leaves the file out",
            with_base([file("package/\u{e9}.js", "x").summed(Checksum::Signed)]),
            Rule::HeaderChecksum,
            THIRD + 148,
        ),
        case(
            "a checksum that is no number",
            "npm takes the body for members",
            with_base([file("package/a", "x").with(148, b"xxxxxx \0").summed(Checksum::AsSet)]),
            Rule::HeaderNumber,
            THIRD + 148,
        ),
        case(
            "an extended header under GNU's magic",
            "no packer writes it",
            with_base([pax(&[("path", "package/b")]).with(MAGIC, *b"ustar  \0"), file("x", "")]),
            Rule::HeaderMagic,
            THIRD + 257,
        ),
        case(
            "padding that is not zero",
            "bytes that nobody compares",
            with_base([file("package/a.js", "a").padded_with(1)]),
            Rule::Padding,
            THIRD + 513,
        ),
    ];
    cases.extend(fields());
    cases
}

/// Fields that hold something else than packers write.
fn fields() -> Vec<Case> {
    let odd = |what, at: u64, bytes: &[u8], rule, offset| {
        let member = file("package/a.js", "a").with(usize::try_from(at).unwrap(), bytes);
        case(what, "bytes that nobody compares", with_base([member]), rule, THIRD + offset)
    };
    let text = Rule::HeaderText;
    let rest = REST as u64;
    vec![
        odd("a name with a NUL and a newline", 0, b"package/index.js\0\nz", text, 17),
        odd("a prefix that goes on", PREFIX as u64, b"package\0x", text, PREFIX as u64 + 8),
        odd("an owner that goes on", UNAME as u64, b"root\0x", text, UNAME as u64 + 5),
        odd("an owner without an end", UNAME as u64, &[b'u'; 32], text, UNAME as u64),
        odd("a number behind the prefix that is none", 476, b"1442060000x\0", text, 476),
        odd("times behind a prefix that is too long", 475, b"x14420600000\0", text, 475),
        odd("an owner beyond 2^53", 108, &[0x80, 0xff, 0, 0, 0, 0, 0, 0], Rule::HeaderNumber, 108),
        odd("a negative owner", 116, &[0xff; 8], Rule::HeaderNumber, 116),
        odd(
            "an owner in wrong base 256",
            108,
            &[0xc0, 0, 0, 0, 0, 0, 0, 1],
            Rule::HeaderNumber,
            108,
        ),
        odd("an owner's number in words", 108, b"nobody\0\0", Rule::HeaderNumber, 108),
        odd("a time that is none", 136, b"yesterday\0\0\0", Rule::HeaderNumber, 136),
        odd("a device in words", 329, b"x\0\0\0\0\0\0\0", Rule::HeaderNumber, 329),
        odd("bytes after the prefix", rest + 3, b"x", Rule::Padding, rest + 3),
    ]
}
