//! What is accepted beside the plainest archive: each tolerance by its name, and what npm makes of paths and modes.

use super::{
    super::{Archive, Tolerance, read},
    writer::{
        MAGIC, MODE, Member, PREFIX, base, deflate, file, gzip, gzip_of, long_path, pax, record,
        tar, typed, with_base,
    },
};

fn accepted(tgz: &[u8]) -> Archive {
    read(tgz).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn paths(archive: &Archive) -> Vec<&str> {
    archive.files().map(|file| file.path).collect()
}

#[test]
fn a_plain_archive_has_its_files_its_digests_and_no_tolerance() {
    let tar = tar(&base());
    let tgz = gzip(&tar);
    let archive = accepted(&tgz);
    assert_eq!(paths(&archive), ["index.js", "package.json"]);
    assert_eq!(archive.get("index.js"), Some(b"good".as_slice()));
    assert_eq!(archive.sha512(), crate::Sha512::of(&tgz));
    assert_eq!(archive.shasum(), crate::Sha1::of(&tgz));
    assert_eq!(archive.tar_sha256(), crate::Sha256::of(&tar));
    assert_eq!(archive.bytes(), tgz.len() as u64);
    assert_eq!((archive.root(), archive.tolerances()), ("package", [].as_slice()));
}

#[test]
fn a_gitignore_is_installed_as_npmignore() {
    let tgz = with_base([
        file("package/.gitignore", "1"),
        file("package/t/.gitignore", "2"),
        file("package/t/x.gitignore", "3"),
    ]);
    assert_eq!(
        paths(&accepted(&tgz)),
        [".npmignore", "index.js", "package.json", "t/.npmignore", "t/x.gitignore"]
    );
}

#[test]
fn any_execute_bit_makes_a_file_executable_and_no_other_bit_does() {
    for (mode, executable) in [
        (b"000644 \0", false),
        (b"000666 \0", false),
        (b"000755 \0", true),
        (b"000744 \0", true),
        (b"000654 \0", true),
        (b"000645 \0", true),
        (b"000000 \0", false),
    ] {
        let archive = accepted(&with_base([file("package/x", "").with(MODE, mode)]));
        let file = archive.files().find(|file| file.path == "x").unwrap();
        assert_eq!(file.executable, executable, "{mode:?}");
    }
}

#[test]
fn undeclared_node_modules_are_files_like_any_other() {
    let tgz = with_base([file("package/node_modules/dep/index.js", "dep")]);
    assert_eq!(accepted(&tgz).get("node_modules/dep/index.js"), Some(b"dep".as_slice()));
}

#[test]
fn a_path_comes_from_prefix_extended_header_or_long_path() {
    let long = format!("package/{}/a.js", "l".repeat(120));
    for members in [
        vec![file("a.js", "x").with(PREFIX, &long[..long.len() - 5])],
        vec![pax(&[("path", &long)]), file("PaxHeader", "x")],
        vec![long_path(&long), file(&long[..100], "x")],
    ] {
        let archive = accepted(&with_base(members));
        assert_eq!(archive.get(&long[8..]), Some(b"x".as_slice()));
    }
}

#[test]
fn every_record_that_packers_write_is_accepted() {
    let records = [
        ("path", "package/x.js"),
        ("size", "1"),
        ("mtime", "499162500"),
        ("atime", "-1.5"),
        ("ctime", "1764000000.123456789"),
        ("LIBARCHIVE.creationtime", "1"),
        ("uid", "501"),
        ("gid", "20"),
        ("uname", "jörg"),
        ("gname", "staff"),
        ("SCHILY.dev", "16777220"),
        ("SCHILY.ino", "8613"),
        ("SCHILY.nlink", "1"),
        ("hdrcharset", "BINARY"),
    ];
    let archive = accepted(&with_base([pax(&records), file("PaxHeader", "x")]));
    assert_eq!(archive.get("x.js"), Some(b"x".as_slice()));
}

#[test]
fn a_long_extended_header_may_stand_beside_a_cut_name_and_letters_in_one_block() {
    let letters = format!("package/{}.js", "ü".repeat(120));
    let split = format!("package/{}", "l/".repeat(250));
    for path in [letters, split + "a.js"] {
        let own = &path.as_bytes()[..99];
        let own = own.strip_suffix(b"/").unwrap_or(own);
        let archive = accepted(&with_base([pax(&[("path", &path)]), file(own, "x")]));
        assert_eq!(archive.get(&path[8..]), Some(b"x".as_slice()));
    }
}

#[test]
fn folders_of_size_0_are_tolerated_and_make_no_file() {
    let long = format!("package/{}/", "ü".repeat(60));
    let tgz = gzip(&tar(&[
        vec![typed(b'5', "package", "").with(MODE, b"000755 \0")],
        base(),
        vec![typed(b'5', "package/lib/", "").with(MODE, b"0040755\0")],
        vec![pax(&[("path", &long)]), typed(b'5', "PaxHeader/", "")],
        vec![file("package/lib/a.js", "")],
    ]
    .concat()));
    let archive = accepted(&tgz);
    assert_eq!(paths(&archive), ["index.js", "lib/a.js", "package.json"]);
    assert_eq!(archive.tolerances(), [Tolerance::DirectoryEntries, Tolerance::FileTypeBits]);
}

#[test]
fn the_shape_of_git_archive_is_tolerated() {
    let comment = record("comment", "0123456789abcdef0123456789abcdef01234567");
    let rooted = |path: &str, body| file(format!("sample-1.0.0/{path}"), body);
    let tgz = gzip(&tar(&[
        typed(b'g', "pax_global_header", comment),
        typed(b'5', "sample-1.0.0/", ""),
        rooted("package.json", "{}").with(MODE, b"0000664\0"),
    ]));
    let archive = accepted(&tgz);
    assert_eq!(archive.root(), "sample-1.0.0");
    assert_eq!(
        archive.tolerances(),
        [Tolerance::DirectoryEntries, Tolerance::GitArchiveComment, Tolerance::RootName]
    );
}

#[test]
fn the_name_that_gzip_writes_is_tolerated() {
    let tar = tar(&base());
    let plain = gzip(&tar);
    let crc = u32::from_le_bytes(*plain[plain.len() - 8..].first_chunk().unwrap());
    let length = u32::try_from(tar.len()).unwrap();
    let archive = accepted(&gzip_of(8, b"package.tar\0", &deflate(&tar), crc, length));
    assert_eq!(archive.tolerances(), [Tolerance::GzipFileName]);
}

#[test]
fn file_type_bits_of_old_packers_are_tolerated() {
    let archive = accepted(&with_base([file("package/x", "").with(MODE, b"0100755\0")]));
    assert_eq!(archive.tolerances(), [Tolerance::FileTypeBits]);
    assert!(archive.files().any(|file| file.path == "x" && file.executable));
}

#[test]
fn zeros_may_fill_the_last_record_of_a_tape() {
    let mut tar = tar(&base());
    tar.resize(10_240, 0);
    assert_eq!(accepted(&gzip(&tar)).tolerances(), []);
}

#[test]
fn headers_of_gnu_s_format_are_tolerated_without_a_prefix() {
    let gnu = |member: Member| member.with(MAGIC, b"ustar  \0");
    let long = format!("package/{}.js", "l".repeat(120));
    let tgz = with_base([
        gnu(typed(b'5', "package/lib/", "")),
        gnu(file("package/lib/a.js", "a")),
        long_path(&long),
        gnu(file(&long[..100], "b")),
    ]);
    let archive = accepted(&tgz);
    assert_eq!(archive.get("lib/a.js"), Some(b"a".as_slice()));
    assert_eq!(archive.get(&long[8..]), Some(b"b".as_slice()));
    assert_eq!(archive.tolerances(), [Tolerance::DirectoryEntries, Tolerance::GnuHeaders]);
}

#[test]
fn the_times_that_node_tar_keeps_behind_the_prefix_are_tolerated() {
    let timed = file("a.js", "a")
        .with(PREFIX, "package/lib")
        .with(476, "14420600000\0")
        .with(488, "14420600000 ");
    let archive = accepted(&with_base([timed]));
    assert_eq!(archive.get("lib/a.js"), Some(b"a".as_slice()));
    assert_eq!(archive.tolerances(), [Tolerance::NodeTarTimes]);
}

#[test]
fn an_owner_s_number_in_base_256_is_tolerated() {
    let owned = file("package/a.js", "a").with(108, [0x80, 0, 0, 0, 0x80, 0x24, 0x9a, 1]);
    assert_eq!(accepted(&with_base([owned])).tolerances(), [Tolerance::LargeOwner]);
}
