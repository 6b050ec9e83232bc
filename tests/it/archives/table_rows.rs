//! The archives of the table, in its order: what npm installs and the tar crate does not show; where that crate ends in an error;
//! where other readers disagree; and the same bytes that are other files on other disks. Each begins with a package.json and an
//! index.js that says `good`.

use super::{
    table::{Case, Npm},
    writer::{
        self, Checksum, LINK_NAME, MAGIC, MODE, Member, PREFIX, REST, SIZE, THIRD, TYPE, UNAME,
        base, file, gzip, gzip_of, long_path, members, nested, pax, record, tar, typed, with_base,
    },
};

const EVIL: Npm = Npm::Puts("evil.js", Some("evil"));
const INDEX: Npm = Npm::Puts("index.js", Some("evil"));
const GOOD: Npm = Npm::Puts("index.js", Some("good"));

pub(super) fn cases() -> Vec<Case> {
    [
        hidden(),
        fatal_elsewhere(),
        records(),
        other_readers(),
        framing(),
        pairs(),
        names(),
        kinds(),
        others(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn case(what: &'static str, npm: Npm, tgz: Vec<u8>) -> Case {
    Case { what, tgz, npm }
}

fn with(what: &'static str, npm: Npm, members: impl IntoIterator<Item = Member>) -> Case {
    case(what, npm, with_base(members))
}

/// A file whose content is a whole member.
fn blob() -> Member {
    file("package/blob.bin", nested())
}

fn evil(name: impl AsRef<[u8]>) -> Member {
    file(name, "evil")
}

/// An extended header with this path, or with these raw bytes.
fn path(path: &str) -> Member {
    pax(&[("path", path)])
}

fn raw(body: impl AsRef<[u8]>) -> Member {
    typed(b'x', "PaxHeader/x", body)
}

/// A: what npm installs and the tar crate does not show.
fn hidden() -> Vec<Case> {
    let two = [record("path", "package/docs.txt"), record("path", "package/index.js")].concat();
    let comment = "c".repeat(1_100_000);
    let second = [members(&base()), nested(), vec![0; 1024]].concat();
    let (first, second) = second.split_at(1024);
    let named = |what, name: &[u8]| with(what, INDEX, [evil(name)]);
    vec![
        with("a link name on a file", EVIL, [blob().with(LINK_NAME, "foo")]),
        with("a file name with a slash at its end", EVIL, [file("package/dir/", nested())]),
        with("a folder with a size", EVIL, [typed(b'5', "package/dir/", nested())]),
        with("a symbolic link without a target", EVIL, [typed(b'2', "package/l", nested())]),
        with(
            "a size with a wrong first byte of base 256",
            EVIL,
            [blob().with(SIZE, b"\xc0\0\0\0\0\0\0\0\0\0\x04\0")],
        ),
        case("a second gzip member", EVIL, [gzip(first), gzip(second)].concat()),
        with("two paths in one extended header", INDEX, [raw(two), evil("package/n.txt")]),
        with(
            "a long path, then an extended header",
            INDEX,
            [long_path("package/docs.txt"), path("package/index.js"), evil("package/n.txt")],
        ),
        with(
            "an old GNU long path",
            INDEX,
            [typed(b'N', "long", "package/index.js\0"), evil("package/n.txt")],
        ),
        with(
            "an old extended header",
            INDEX,
            [path("package/index.js").with(TYPE, "X"), evil("package/n.txt")],
        ),
        with(
            "an extended header over a mebibyte",
            INDEX,
            [pax(&[("comment", &comment), ("path", "package/docs.txt")]), evil("package/index.js")],
        ),
        named("another root folder", b"other/index.js"),
        named("a doubled slash", b"package//index.js"),
        named("a dot as a part", b"package/./index.js"),
        named("a drive letter", b"package/c:/index.js"),
        named("a path relative to a drive", b"package/c:index.js"),
        named("a UNC path", br"package/\\?\c:\index.js"),
        with(
            "names that are not UTF-8",
            Npm::Puts("a\u{fffd}.js", Some("2")),
            [file(b"package/a\xff.js", "1"), file(b"package/a\xfe.js", "2")],
        ),
        with(
            "a NUL in an extended header's path",
            INDEX,
            [path("package/index.js\0.txt"), evil("package/n.txt")],
        ),
        torn_letter(),
    ]
}

/// Found by the generator and not in the first measurement: node-tar makes text of an extended header piece by piece.
fn torn_letter() -> Case {
    let before = usize::try_from(THIRD).unwrap();
    let folders = format!("package/{}/{}/", "d".repeat(200), "e".repeat(200));
    let long = format!("{folders}{}ü.js", "f".repeat(502 - folders.len()));
    let filler = file("package/filler", vec![b'z'; 16_384 - before - 1536]);
    with(
        "a letter torn by the unpacker's pieces",
        INDEX,
        [filler, path(&long), evil("package/index.js")],
    )
}

/// B: where the tar crate ends in an error and npm installs.
fn fatal_elsewhere() -> Vec<Case> {
    let sized = |what, field: &[u8; 12]| with(what, EVIL, [blob().with(SIZE, field)]);
    let two = [path("package/docs.txt"), path("package/index.js"), evil("package/n.txt")];
    vec![
        with("a checksum that is wrong by one", EVIL, [blob().summed(Checksum::OffByOne)]),
        sized("a size without digits", b"xxxxxxxxxxx\0"),
        sized("an empty size", &[0; 12]),
        sized("a size that begins with an 8", b"08000000000\0"),
        sized("a negative size", &[0xff; 12]),
        with("two extended headers", INDEX, two),
        with(
            "a size with text after its digits",
            Npm::Puts("five", Some("12345")),
            [file("package/five", "12345").with(SIZE, b"0000005 9x\0\0")],
        ),
        case("a plain tar", GOOD, tar(&base())),
    ]
}

/// C: extended headers that readers understand differently.
fn records() -> Vec<Case> {
    let before = |what, npm, header| with(what, npm, [header, evil("package/index.js")]);
    let global = |records: &[(&str, &str)]| pax(records).with(TYPE, "g");
    let b = |header| [header, file("package/b.js", "12345678")];
    let sparse = [("GNU.sparse.name", "package/docs.txt"), ("GNU.sparse.major", "1")];
    vec![
        before("a path for all that follow", INDEX, global(&[("path", "package/docs.txt")])),
        with(
            "a size for all that follow",
            Npm::Puts("b.js", Some("1234")),
            b(global(&[("size", "4")])),
        ),
        with("a hexadecimal size", Npm::Puts("b.js", Some("1234")), b(pax(&[("size", "0x4")]))),
        with(
            "a size with an exponent",
            Npm::Puts("c.js", None),
            [
                pax(&[("size", "1e3")]),
                file("package/b.js", "1"),
                file("package/c.js", ""),
                file("package/d.js", ""),
            ],
        ),
        with(
            "a negative size in a record",
            Npm::Puts("b.js", Some("12345678")),
            b(pax(&[("size", "-1")])),
        ),
        with("a size of 0 over content", EVIL, [pax(&[("size", "0")]), blob()]),
        before("a record with a wrong length", INDEX, raw("99 path=package/docs.txt\n")),
        before("a newline in a path", INDEX, path("package/docs\n.txt")),
        with(
            "an extended header, then a long path",
            Npm::Puts("docs.txt", Some("evil")),
            [path("package/index.js"), long_path("package/docs.txt"), evil("package/n.txt")],
        ),
        with(
            "a size, then a long path",
            Npm::Puts("docs.txt", Some("1234")),
            [pax(&[("size", "4")]), long_path("package/docs.txt"), file("package/n.txt", "1234")],
        ),
        before("the name of a sparse file", INDEX, pax(&sparse)),
        with(
            "a mode in a record",
            Npm::Puts("x", Some("1")),
            [pax(&[("mode", "0777")]), file("package/x", "1")],
        ),
        with(
            "a type in a record",
            Npm::Puts("x", Some("1")),
            [pax(&[("type", "5")]), file("package/x", "1")],
        ),
        with(
            "a link path in a record",
            Npm::Puts("x", Some("1")),
            [pax(&[("linkpath", "index.js")]), file("package/x", "1")],
        ),
        with(
            "a long link name on a file",
            Npm::Puts("x", Some("1")),
            [typed(b'K', "././@LongLink", "index.js\0"), file("package/x", "1")],
        ),
    ]
}

/// C: headers that readers understand differently.
fn other_readers() -> Vec<Case> {
    let prefixed = |what, magic: &[u8; 8]| {
        with(what, INDEX, [evil("package/index.js").with(PREFIX, "docs").with(MAGIC, magic)])
    };
    let skipped = |what, kind| {
        with(
            what,
            Npm::Puts("evil.js", None),
            [typed(kind, "package/x", nested()).with(LINK_NAME, "index.js")],
        )
    };
    vec![
        prefixed("a prefix under a wrong version", b"ustar\x0001"),
        prefixed("a prefix under no magic", &[0; 8]),
        prefixed("a prefix under GNU's magic", b"ustar  \0"),
        skipped("a symbolic link with content", b'2'),
        skipped("a hard link with content", b'1'),
        with(
            "a FIFO with content",
            Npm::Puts("evil.js", None),
            [typed(b'6', "package/x", nested())],
        ),
        with(
            "a checksum of signed bytes",
            Npm::Puts("é.js", None),
            [file("package/é.js", "x").summed(Checksum::Signed)],
        ),
        with(
            "padding that is not zero",
            Npm::Puts("a.js", Some("a")),
            [file("package/a.js", "a").padded_with(1)],
        ),
        with(
            "bytes after the prefix",
            Npm::Puts("a.js", Some("a")),
            [file("package/a.js", "a").with(REST, b"x")],
        ),
        with(
            "an owner that goes on after its end",
            Npm::Puts("a.js", Some("a")),
            [file("package/a.js", "a").with(UNAME, b"root\0x")],
        ),
    ]
}

/// C: where an archive ends, and the gzip around it.
fn framing() -> Vec<Case> {
    let good = members(&base());
    let after =
        |zeros: usize| gzip(&[good.as_slice(), &vec![0; zeros], &nested(), &[0; 1024]].concat());
    let whole = gzip(&tar(&base()));
    let changed = |from_end: usize| {
        let mut bytes = whole.clone();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    let no_evil = Npm::Puts("evil.js", None);
    let tight = tar(&[base(), vec![file("package/zeros", vec![0; 8 << 20])]].concat());
    let second = gzip(&tar(&[file("package/evil.js", "evil")]));
    vec![
        case("a member after one zero block", EVIL, after(512)),
        case("a member after two zero blocks", no_evil, after(1024)),
        case(
            "a second gzip member after the end",
            no_evil,
            [whole.clone(), second.clone()].concat(),
        ),
        case(
            "zeros and a second gzip member",
            no_evil,
            [whole.clone(), vec![0; 512], second].concat(),
        ),
        case("junk after the gzip member", Npm::Fails, [whole.clone(), b"junk".to_vec()].concat()),
        case("a wrong CRC", Npm::Fails, changed(8)),
        case("a wrong length of the gzip member", Npm::Fails, changed(4)),
        case("a body that is cut", Npm::Fails, gzip(&[good.as_slice(), &nested()[..514]].concat())),
        case("more than a thousand to one", Npm::Fails, {
            let mut crc = flate2::Crc::new();
            crc.update(&tight);
            let deflated = writer::deflate_with(flate2::Compression::best(), &tight);
            gzip_of(0, &[], &deflated, crc.sum(), u32::try_from(tight.len()).unwrap())
        }),
        case("one zero block at the end", GOOD, gzip(&[good.as_slice(), &[0; 512]].concat())),
        case("no end mark", GOOD, gzip(&good)),
    ]
}

/// D: two names for one file, somewhere.
fn pairs() -> Vec<Case> {
    let two = |what, (there, content), first: &str, second: &str| {
        let npm = Npm::Puts(there, Some(content));
        with(what, npm, [file(first, "first"), file(second, "second")])
    };
    vec![
        two("the same path twice", ("a.js", "second"), "package/a.js", "package/a.js"),
        with(
            "a second package.json",
            Npm::Puts("package.json", Some(SECOND)),
            [file("package/package.json", SECOND)],
        ),
        two("names that differ in case", ("A.js", "second"), "package/a.js", "package/A.js"),
        two("accents of two forms", ("e\u{301}", "second"), "package/\u{e9}", "package/e\u{301}"),
        two(
            "a .gitignore after an .npmignore",
            (".npmignore", "first"),
            "package/.npmignore",
            "package/.gitignore",
        ),
        two(
            "an .npmignore after a .gitignore",
            (".npmignore", "second"),
            "package/.gitignore",
            "package/.npmignore",
        ),
        two("a file, then what lies in it", ("a", "first"), "package/a", "package/a/b"),
        two("what lies in a file, then it", ("a/b", "first"), "package/a/b", "package/a"),
    ]
}

/// D: names.
fn names() -> Vec<Case> {
    let one = |what, npm, name: &str| with(what, npm, [evil(name)]);
    let long =
        |what, name: &str| with(what, Npm::Puts("x", None), [path(name), file("PaxHeader", "x")]);
    let part = format!("package/{}", "p".repeat(256));
    let deep = format!("package/{}x", "d/".repeat(1030));
    vec![
        one("a file without a folder", GOOD, "evil.js"),
        one(
            "a path that begins with a dot",
            Npm::Puts("package/index.js", Some("evil")),
            "./package/index.js",
        ),
        one("an absolute path", Npm::Puts("package/index.js", Some("evil")), "/package/index.js"),
        one("two dots", GOOD, "package/../index.js"),
        one("two dots and backslashes", GOOD, r"package\..\..\index.js"),
        one("a backslash", Npm::Puts(r"lib\b.js", Some("evil")), r"package/lib\b.js"),
        with(
            "a .gitignore",
            Npm::AsRead,
            [file("package/.gitignore", "1"), file("package/t/.gitignore", "2")],
        ),
        long("a part of more than 255 bytes", &part),
        long("more than a thousand folders", &deep),
        one("a space at the end", Npm::Puts("index.js ", Some("evil")), "package/index.js "),
        one("a dot at the end", Npm::Puts("index.js.", Some("evil")), "package/index.js."),
        // node refuses the name by an exception that nobody catches: npm ends without a word.
        with("a NUL and a newline in a name", Npm::Fails, [evil(b"package/index.js\0\nz")]),
        with(
            "undeclared node_modules",
            Npm::AsRead,
            [file("package/node_modules/dep/index.js", "dep")],
        ),
    ]
}

const SECOND: &str = r#"{"name":"case","version":"1.0.0","main":"evil.js"}"#;

/// D: members that are no files, and modes.
fn kinds() -> Vec<Case> {
    let nothing = |what, kind| with(what, Npm::Puts("x", None), [typed(kind, "package/x", "x")]);
    let written =
        |what, kind| with(what, Npm::Puts("x", Some("x")), [typed(kind, "package/x", "x")]);
    let in_place = |what, kind| {
        let link = typed(kind, "package/index.js", "").with(LINK_NAME, "package/package.json");
        case(what, Npm::Puts("index.js", None), gzip(&tar(&[base().remove(0), link])))
    };
    let mode =
        |what, npm, mode: &[u8; 8]| with(what, npm, [file("package/x", "x").with(MODE, mode)]);
    vec![
        in_place("a symbolic link in a file's place", b'2'),
        in_place("a hard link in a file's place", b'1'),
        with(
            "an empty folder",
            Npm::AsRead,
            [typed(b'5', "package/empty/", "").with(MODE, b"000755 \0")],
        ),
        nothing("a character device", b'3'),
        nothing("a sparse file", b'S'),
        nothing("a GNU folder", b'D'),
        nothing("a volume label", b'V'),
        nothing("an unknown type", b'Z'),
        written("a contiguous file", b'7'),
        written("a file of the oldest format", 0),
        mode("a mode of 0600", Npm::AsRead, b"000600 \0"),
        mode("a mode of 0755", Npm::AsRead, b"000755 \0"),
        mode("set-user-id", Npm::Puts("x", Some("x")), b"006777 \0"),
    ]
}

/// What is harmless and stays so.
fn others() -> Vec<Case> {
    let program = r#"{"name":"case","version":"1.0.0","bin":{"case-program":"./index.js"}}"#;
    let program = [file("package/package.json", program), file("package/index.js", "good")];
    let owned = file("package/x", "x")
        .with(108, b"000765 \0")
        .with(136, b"00000000001\0")
        .with(UNAME, "root");
    vec![
        case("a program without an execute bit", Npm::AsRead, gzip(&tar(&program))),
        with("times and owners", Npm::AsRead, [owned]),
    ]
}
