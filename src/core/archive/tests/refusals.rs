//! One hand-made archive for each way in which installers disagree: which rule refuses it, at which byte, and what
//! `npm install` of npm 11 made of it when it was tried. The cases stand in `smuggled`, `disputed` and `platforms`.

use std::collections::BTreeSet;

use super::{
    super::{Rule, read},
    disputed, framing, platforms, smuggled,
};

/// One archive that is refused.
pub(super) struct Case {
    pub(super) what: &'static str,
    /// What happens without the rule.
    pub(super) otherwise: &'static str,
    pub(super) tgz: Vec<u8>,
    pub(super) rule: Rule,
    pub(super) offset: u64,
}

pub(super) fn case(
    what: &'static str,
    otherwise: &'static str,
    tgz: Vec<u8>,
    rule: Rule,
    offset: u64,
) -> Case {
    Case { what, otherwise, tgz, rule, offset }
}

fn check(cases: Vec<Case>) {
    for Case { what, otherwise, tgz, rule, offset } in cases {
        match read(&tgz) {
            Ok(archive) => {
                let files: Vec<&str> = archive.files().map(|file| file.path).collect();
                panic!("{what}: accepted with {files:?}; {otherwise}");
            }
            Err(refusal) => {
                assert_eq!((refusal.rule, refusal.offset), (rule, offset), "{what}: {refusal}");
                assert!(refusal.message.contains(&format!("byte {offset} of the ")), "{refusal}");
            }
        }
    }
}

#[test]
fn what_npm_installs_and_a_common_reader_does_not_show_is_refused() {
    check(smuggled::hidden());
    check(smuggled::fatal_elsewhere());
}

#[test]
fn what_readers_dispute_is_refused() {
    check(disputed::ends());
    check(disputed::extended_headers());
    check(disputed::headers());
}

#[test]
fn what_is_another_file_on_another_disk_is_refused() {
    check(platforms::names());
    check(platforms::collisions());
    check(platforms::kinds());
}

#[test]
fn what_is_not_one_whole_gzip_member_is_refused() {
    check(framing::gzip_members());
    check(framing::package_jsons());
}

#[test]
fn what_is_more_than_the_bounds_allow_is_refused() {
    for (what, tgz, rule) in framing::bounds() {
        let refusal = read(&tgz).expect_err(what);
        assert_eq!(refusal.rule, rule, "{what}: {refusal}");
    }
}

#[test]
fn every_rule_has_an_archive_that_breaks_it() {
    let cases = [
        smuggled::hidden(),
        smuggled::fatal_elsewhere(),
        disputed::ends(),
        disputed::extended_headers(),
        disputed::headers(),
        platforms::names(),
        platforms::collisions(),
        platforms::kinds(),
        framing::gzip_members(),
        framing::package_jsons(),
    ];
    let mut broken: BTreeSet<Rule> = cases.iter().flatten().map(|case| case.rule).collect();
    // These take long to make; the test of the bounds breaks them.
    broken.extend([Rule::TooManyEntries, Rule::Ratio]);
    let untested: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| !broken.contains(rule)).collect();
    assert_eq!(untested, []);
}
