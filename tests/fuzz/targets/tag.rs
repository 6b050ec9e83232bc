//! What names a source: tag patterns, package names, versions, folders and addresses of repositories, each of any text.
#![no_main]

use countersign_core::{
    PackageName, Version,
    source::{Directory, Repository, TagPattern, proposed_tags},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (pattern, name, version) =
        (line().parse::<TagPattern>(), line().parse::<PackageName>(), line().parse::<Version>());
    let (directory, repository) = (line().parse::<Directory>(), line().parse::<Repository>());
    if let Ok(repository) = &repository {
        assert!(repository.same_as(repository));
        let again: Repository = repository.as_str().parse().expect("what was read is one");
        assert!(again.same_as(repository), "{repository:?}");
    }
    let (Ok(name), Ok(version)) = (name, version) else { return };
    let tags = proposed_tags(&name, &version, directory.as_ref().ok());
    assert!(tags.iter().all(|tag| tag.ends_with(version.as_str())));
    if let Ok(pattern) = pattern {
        assert!(pattern.tag_for(&name, &version).contains(version.as_str()));
    }
});
