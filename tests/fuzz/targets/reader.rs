//! The strict reader on any bytes: as a .tgz, or as a tar whose checksums are made right and which is packed here, so that the
//! fuzzer reaches what lies behind CRC and checksum.
#![no_main]

use std::{collections::BTreeSet, io::Write};

use countersign_core::{archive, manifest::Manifest};
use flate2::{Compression, GzBuilder};
use libfuzzer_sys::fuzz_target;

/// Every header that can be reached by its sizes gets its right checksum.
fn mend(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + 512) {
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        if sum != 8 * 32 {
            block[148..156].copy_from_slice(format!("{sum:06o} \0").as_bytes());
        } else {
            block[148..156].fill(0);
        }
        let digits = block[124..135].iter().take_while(|byte| (b'0'..=b'7').contains(byte));
        let size = digits.fold(0_usize, |size, digit| size * 8 + usize::from(digit - b'0'));
        at = at.saturating_add(512).saturating_add(size.next_multiple_of(512));
    }
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::none());
    encoder.write_all(tar).expect("memory");
    encoder.finish().expect("memory")
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let tgz = if first & 1 == 0 {
        rest.to_vec()
    } else {
        let mut tar = rest.to_vec();
        tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
        if first & 2 == 0 {
            mend(&mut tar);
        }
        packed(&tar)
    };
    if let Ok(archive) = archive::read(&tgz) {
        let manifest = Manifest::of(&archive);
        let paths: BTreeSet<String> =
            archive.files().map(|file| file.path.to_lowercase()).collect();
        assert_eq!(paths.len(), manifest.len());
        assert!(archive.get("package.json").is_some());
        for file in archive.files() {
            assert_eq!(archive.get(file.path), Some(file.content));
        }
    }
});
