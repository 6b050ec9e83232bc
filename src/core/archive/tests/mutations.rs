//! Every byte of an archive's headers changed in turn, with the checksum made right again: what is still accepted must
//! hold the same files for an independent reader, the tar crate.

use std::{collections::BTreeMap, io::Read};

use super::{
    super::{Reader, Refusal},
    writer::{base, file, long_path, members, pax, tar, typed},
};

type Files = BTreeMap<String, (bool, Vec<u8>)>;

fn ours(tar: &[u8]) -> Result<Files, Refusal> {
    let mut reader = Reader::new(tar);
    reader.members()?;
    reader.collisions()?;
    let content = |entry: &super::super::Entry| {
        let body = tar[entry.offset..entry.offset + entry.length].to_vec();
        (entry.path.clone(), (entry.executable, body))
    };
    Ok(reader.entries.iter().map(content).collect())
}

fn of_the_tar_crate(tar: &[u8]) -> Files {
    let mut files = Files::new();
    let mut archive = ::tar::Archive::new(tar);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let executable = entry.header().mode().unwrap() & 0o111 != 0;
        let mut body = Vec::new();
        entry.read_to_end(&mut body).unwrap();
        let (_, below) = path.split_once('/').unwrap();
        let before = files.insert(below.to_owned(), (executable, body));
        assert!(before.is_none(), "{path} twice");
    }
    files
}

fn with_right_checksum(tar: &mut [u8], header: usize) {
    let block = &mut tar[header..header + 512];
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o} \0").as_bytes());
}

#[test]
fn a_changed_header_is_refused_or_read_as_another_reader_reads_it() {
    let long = format!("package/{}.js", "l".repeat(120));
    let parts = [
        base(),
        vec![pax(&[("path", "package/x.js"), ("size", "1")]), file("PaxHeader", "x")],
        vec![long_path(&long), file(&long[..100], "y")],
        vec![typed(b'5', "package/dir/", ""), file("package/dir/z.js", "z")],
    ];
    let headers: Vec<usize> = parts
        .concat()
        .iter()
        .scan(0, |at, member| {
            let here = *at;
            *at += members(std::slice::from_ref(member)).len();
            Some(here)
        })
        .collect();
    let good = tar(&parts.concat());
    assert_eq!(ours(&good).unwrap(), of_the_tar_crate(&good));
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    for &header in &headers {
        for at in header..header + 512 {
            for value in [0, b' ', b'/', b'0', b'1', b'5', b'7', b'x', b'L', 0x80, 0xff] {
                let mut changed = good.clone();
                changed[at] = value;
                with_right_checksum(&mut changed, header);
                match ours(&changed) {
                    Ok(files) => {
                        accepted += 1;
                        let what =
                            format!("byte {} of the header at {header} is {value}", at - header);
                        assert_eq!(files, of_the_tar_crate(&changed), "{what}");
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 20_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_changed_byte_with_the_old_checksum_is_never_taken_for_the_same_archive() {
    let good = tar(&base());
    let files = ours(&good).unwrap();
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_ne!(ours(&changed).ok(), Some(files.clone()), "byte {at}");
    }
}
