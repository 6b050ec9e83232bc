//! A package.json of any bytes, and all that is read from it.
#![no_main]

use countersign_core::{
    npm_manifest,
    package_json::{DependencyKind, PackageJson},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(package) = PackageJson::parse(data) else { return };
    let _ = (package.name(), package.version(), package.is_private(), package.repository());
    let _ = (package.scripts(), package.bin(), package.engines(), package.package_manager());
    let _ = (package.publish_config(), package.dependencies(DependencyKind::Production));
    let _ = npm_manifest::digest(package.raw());
    let text = serde_json::to_vec(package.raw()).expect("what was read is JSON");
    assert_eq!(PackageJson::parse(&text).as_ref(), Ok(&package));
});
