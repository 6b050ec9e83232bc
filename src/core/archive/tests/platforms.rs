//! Archives whose files differ with the platform, or with the order of their members.

use super::{
    super::Rule,
    refusals::{Case, case},
    writer::{LINK_NAME, MODE, THIRD, base, file, gzip, pax, tar, typed, with_base},
};

/// Paths that are not the same file everywhere.
pub(super) fn names() -> Vec<Case> {
    let named = |what, otherwise, name: &str, rule| {
        let long = name.len() > 100;
        let header = long.then(|| pax(&[("path", name)]));
        let member = file(if long { "PaxHeader" } else { name }, "x");
        let at = if long { THIRD + 512 + 512 * (name.len() as u64 / 512 + 1) } else { THIRD };
        case(what, otherwise, with_base(header.into_iter().chain([member])), rule, at)
    };
    let dropped = "npm drops it with a warning";
    let below = "it lands in package/ below the package";
    let windows = "it is another file on Windows";
    let draws = "it draws on a terminal or in a report";
    let part = format!("package/{}", "p".repeat(256));
    let deep = format!("package/{}x", "d/".repeat(512));
    vec![
        named("a file without a folder", dropped, "evil.js", Rule::Root),
        named("a path that begins with a dot", below, "./package/index.js", Rule::Path),
        named("an absolute path", below, "/package/index.js", Rule::Path),
        named("two dots", dropped, "package/../evil.js", Rule::Path),
        named("two dots as a root", dropped, "../evil.js", Rule::Path),
        named("two dots and backslashes", dropped, r"package\..\..\evil.js", Rule::Path),
        named("a backslash", windows, r"package/lib\b.js", Rule::Path),
        named("a colon", windows, "package/a.js:stream", Rule::Path),
        named("a dot at the end", windows, "package/index.js.", Rule::Path),
        named("a space at the end", windows, "package/index.js ", Rule::Path),
        named("a dot at the end of a folder", windows, "package/lib./a.js", Rule::Path),
        named("an escape character", draws, "package/\u{1b}[2J.js", Rule::Path),
        named("a newline", draws, "package/a\nb.js", Rule::Path),
        named("a C1 control character", draws, "package/a\u{9b}b.js", Rule::Path),
        named("an override of direction", draws, "package/a\u{202e}sj.b", Rule::Path),
        named("an empty name", dropped, "", Rule::Path),
        named("a part of 256 bytes", dropped, &part, Rule::PathLength),
        named("a path of over 1024 bytes", dropped, &deep, Rule::PathLength),
        case(
            "a header name with a slash at its end beside an extended header",
            "older npm takes the member for a folder",
            with_base([pax(&[("path", "package/a.js")]), file("package/dir/", "x")]),
            Rule::Path,
            THIRD + 1024,
        ),
    ]
}

/// Two members that are one file.
pub(super) fn collisions() -> Vec<Case> {
    let pair = |what, otherwise, one: &str, other: &str, rule| {
        let tgz = with_base([file(one, "1"), file(other, "2")]);
        case(what, otherwise, tgz, rule, THIRD + 1024)
    };
    let last = "the last wins";
    let folded = "one file on macOS and Windows, two on Linux";
    let order = "npm's answer depends on the order";
    let twice = Rule::DuplicatePath;
    let both = Rule::PathConflict;
    vec![
        pair("the same path twice", last, "package/a.js", "package/a.js", twice),
        case(
            "a second package.json",
            "the scripts of the last one run",
            with_base([file("package/package.json", "{}")]),
            twice,
            THIRD,
        ),
        pair("names that differ in case", folded, "package/a.js", "package/A.js", twice),
        pair("folders that differ in case", folded, "package/l/a.js", "package/L/A.js", twice),
        pair("accents of two forms", folded, "package/\u{e9}", "package/e\u{301}", twice),
        pair("a long s", folded, "package/stra\u{df}e", "package/STRASSE", twice),
        pair("an invisible character", folded, "package/ab", "package/a\u{200c}b", twice),
        pair(
            "a .gitignore after an .npmignore",
            order,
            "package/.npmignore",
            "package/.gitignore",
            twice,
        ),
        pair(
            "an .npmignore after a .gitignore",
            order,
            "package/t/.gitignore",
            "package/t/.npmignore",
            twice,
        ),
        pair("a file and what lies in it", "the first wins", "package/a", "package/a/b", both),
        pair("what lies in a file, and it", "the first wins", "package/a/b", "package/a", both),
        pair("the same in another case", "the first wins", "package/a", "package/A/b", both),
        case(
            "a file and a folder",
            "the first wins",
            with_base([file("package/a", ""), typed(b'5', "package/a/", "")]),
            both,
            THIRD + 512,
        ),
        case(
            "a folder and a file",
            "the first wins",
            with_base([typed(b'5', "package/a", ""), file("package/a", "")]),
            both,
            THIRD + 512,
        ),
        case(
            "a folder in another root",
            "npm merges all roots",
            with_base([typed(b'5', "other/a", "")]),
            Rule::Root,
            THIRD,
        ),
        case(
            "a folder twice",
            "no packer writes it",
            with_base([typed(b'5', "package/a", ""), typed(b'5', "package/A/", "")]),
            twice,
            THIRD + 512,
        ),
    ]
}

/// Members that are no files, and modes that are no file's.
pub(super) fn kinds() -> Vec<Case> {
    let never = "npm makes nothing of it, others do";
    let of_type = |kind: u8, what| {
        let tgz = with_base([typed(kind, "package/x", "")]);
        case(what, never, tgz, Rule::EntryType, THIRD + 156)
    };
    let mode = |what, mode: &[u8; 8]| {
        let tgz = with_base([file("package/x", "").with(MODE, mode)]);
        case(what, "npm keeps the bits", tgz, Rule::Mode, THIRD + 100)
    };
    let link = typed(b'2', "package/index.js", "").with(LINK_NAME, "/etc/passwd");
    let list = vec![base().remove(0), link];
    let mut cases = vec![
        case(
            "a link in a file's place",
            "index.js is simply missing",
            gzip(&tar(&list)),
            Rule::EntryType,
            1024 + 156,
        ),
        mode("set-user-id", b"006777 \0"),
        mode("set-group-id", b"002755 \0"),
        mode("sticky", b"001755 \0"),
        mode("a folder's mode on a file", b"0040755\0"),
        mode("a link's mode on a file", b"0120777\0"),
        case(
            "a file's mode on a folder",
            "readers differ in what it is",
            with_base([typed(b'5', "package/x", "").with(MODE, b"0100644\0")]),
            Rule::Mode,
            THIRD + 100,
        ),
    ];
    cases.extend([
        of_type(b'1', "a hard link"),
        of_type(b'3', "a character device"),
        of_type(b'4', "a block device"),
        of_type(b'6', "a FIFO"),
        of_type(b'7', "a contiguous file"),
        of_type(0, "a file of the oldest format"),
        of_type(b'K', "a long link name"),
        of_type(b'S', "a sparse file"),
        of_type(b'D', "a GNU folder"),
        of_type(b'V', "a volume label"),
        of_type(b'M', "a continued file"),
        of_type(b'Z', "an unknown type"),
        of_type(0xff, "a type that is no letter"),
    ]);
    cases
}
