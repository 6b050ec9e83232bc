//! The body of `npm stage publish` of any bytes. The module belongs to the service and is taken by its file, so that the service
//! itself need not be built.
#![no_main]
#![expect(dead_code, reason = "the service uses more of these two modules than reading a document")]

#[path = "../../../src/npm/publish_document.rs"]
mod publish_document;
#[path = "../../../src/npm/strict_json.rs"]
mod strict_json;

use countersign_core::PackageName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let name: PackageName = "sample".parse().expect("a name");
    if let Ok(document) = publish_document::PublishDocument::parse(&name, data) {
        assert_eq!(document.name, name);
        assert_eq!(document.manifest["name"], "sample");
        assert_eq!(document.manifest["version"], document.version.as_str());
    }
});
