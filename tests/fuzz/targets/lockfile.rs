//! A lockfile of any bytes, in each form that is read.
#![no_main]

use countersign_core::lockfile::Lockfile;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"];

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let name = NAMES[usize::from(first) % NAMES.len()];
    if let Some(Ok(lockfile)) = Lockfile::of(name, rest) {
        let _ = (lockfile.is_complete(), lockfile.hosts(), lockfile.with_install_scripts());
    }
});
