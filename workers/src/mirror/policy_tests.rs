//! The rules over packuments, each with the case that shows what would be seen without it.

use serde_json::{Map, Value, json};

use super::*;

const BEFORE: &str = "2025-01-01T00:00:00.000Z";
const AFTER: &str = "2025-06-01T00:00:00.000Z";

fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn integrity(of: &str) -> String {
    Sha512::of(of.as_bytes()).to_integrity()
}

/// A rebuild of `subject@2.0.0` at a commit of March 2025.
fn policy(locked: &[(&str, &str, String)]) -> MirrorPolicy {
    let lock = |(of, at, digest): &(&str, &str, String)| {
        LockedVersion::new(name(of), version(at), digest).unwrap()
    };
    MirrorPolicy {
        subject: (name("subject"), version("2.0.0")),
        staged_sha512: Sha512::of(b"staged"),
        cutoff: "2025-03-01T00:00:00Z".parse().unwrap(),
        locked: locked.iter().map(lock).collect(),
        only: None,
    }
}

/// A packument of these versions and moments; the bytes of a version are its number.
fn packument(of: &str, times: &[(&str, &str)], more: Value) -> Packument {
    let versions: Map<String, Value> = times
        .iter()
        .map(|(at, _)| {
            ((*at).to_owned(), json!({"dist": {"integrity": integrity(at), "tarball": "x"}}))
        })
        .collect();
    let mut document = json!({"name": of, "versions": versions, "time": {}});
    for (at, time) in times {
        document["time"][at] = json!(time);
    }
    for (key, value) in more.as_object().unwrap() {
        match value {
            Value::Object(inner) => {
                inner.iter().for_each(|(inner, value)| document[key][inner] = value.clone());
            }
            other => document[key] = other.clone(),
        }
    }
    Packument::parse(&name(of), document.to_string().as_bytes()).unwrap()
}

/// A registry that tells its history.
fn created() -> Value {
    json!({"time": {"created": "2020-01-01T00:00:00Z"}})
}

fn shown(shelf: &Shelf) -> Vec<&str> {
    let all = shelf.offers.iter().filter(|(_, offer)| offer.hidden.is_none());
    all.map(|(version, _)| version.as_str()).collect()
}

#[test]
fn the_version_under_verification_is_hidden_even_where_a_lockfile_names_it() {
    let locked = [("subject", "2.0.0", integrity("2.0.0"))];
    let document = packument("subject", &[("1.0.0", BEFORE), ("2.0.0", BEFORE)], created());
    let shelf = policy(&locked).judge(&document);
    assert_eq!(shown(&shelf), ["1.0.0"]);
    assert_eq!(shelf.offers["2.0.0"].hidden, Some(Reason::Subject));
    let other = packument("other", &[("2.0.0", BEFORE)], created());
    assert_eq!(shown(&policy(&[]).judge(&other)), ["2.0.0"], "the number alone hides nothing");
}

#[test]
fn the_staged_bytes_are_hidden_under_whatever_name() {
    let staged = json!({"versions": {"1.0.0": {"dist": {"integrity": integrity("staged")}}}});
    let document = packument("other", &[("1.0.0", BEFORE), ("0.9.0", BEFORE)], staged);
    let shelf = policy(&[("other", "1.0.0", integrity("staged"))]).judge(&document);
    assert_eq!(shown(&shelf), ["0.9.0"]);
    assert_eq!(shelf.offers["1.0.0"].hidden, Some(Reason::StagedBytes));
}

#[test]
fn what_came_after_the_cut_off_is_hidden_unless_the_lockfile_names_it() {
    let times = [("1.0.0", BEFORE), ("1.1.0", AFTER), ("1.2.0", AFTER), ("1.3.0", "no time")];
    let document = packument("a", &times, created());
    let shelf = policy(&[]).judge(&document);
    assert_eq!(shown(&shelf), ["1.0.0"]);
    assert_eq!(shelf.offers["1.3.0"].hidden, Some(Reason::AfterCutoff), "no time is no early time");
    let shelf = policy(&[("a", "1.1.0", integrity("1.1.0"))]).judge(&document);
    assert_eq!(shown(&shelf), ["1.0.0", "1.1.0"]);
    assert!(!shelf.offers["1.1.0"].doubtful, "its digest speaks for it");
    let shelf = policy(&[("b", "1.1.0", integrity("1.1.0"))]).judge(&document);
    assert_eq!(shown(&shelf), ["1.0.0"], "a lock of another name is none of this");
}

#[test]
fn the_moment_of_the_cut_off_itself_is_not_after_it() {
    let document = packument("a", &[("1.0.0", "2025-03-01T00:00:00.000+00:00")], created());
    assert_eq!(shown(&policy(&[]).judge(&document)), ["1.0.0"]);
}

#[test]
fn a_copy_that_dates_everything_after_the_commit_is_shown_and_doubted() {
    let times = [("1.0.0", AFTER), ("2.0.0", AFTER)];
    let shelf = policy(&[]).judge(&packument("a", &times, json!({})));
    assert_eq!(shown(&shelf), ["1.0.0", "2.0.0"]);
    assert!(shelf.offers.values().all(|offer| offer.doubtful));
    let shelf = policy(&[]).judge(&packument("a", &times, json!({"time": {"created": AFTER}})));
    assert_eq!(shown(&shelf), [""; 0], "a registry that says when a package came is believed");
    assert_eq!(shelf.closed(), Some(Reason::AfterCutoff));
}

#[test]
fn without_a_history_a_version_is_excused_by_a_higher_one_that_came_early() {
    let times = [("1.0.0", AFTER), ("1.1.2", BEFORE), ("1.1.3", AFTER), ("2.0.0", AFTER)];
    let shelf = policy(&[]).judge(&packument("a", &times, json!({})));
    assert_eq!(shown(&shelf), ["1.0.0", "1.1.2"]);
    assert!(shelf.offers["1.0.0"].doubtful && !shelf.offers["1.1.2"].doubtful);
    let shelf = policy(&[]).judge(&packument("a", &times, created()));
    assert_eq!(shown(&shelf), ["1.1.2"], "a registry that tells its history is believed");
}

#[test]
fn times_that_cannot_be_make_later_versions_the_last_choice_and_not_refused() {
    let times = [("1.1.1", AFTER), ("1.1.2", BEFORE), ("1.1.3", AFTER), ("2.0.0", AFTER)];
    let tags = json!({"dist-tags": {"latest": "2.0.0"}});
    let shelf = policy(&[]).judge(&packument("a", &times, tags));
    assert_eq!(shown(&shelf), ["1.1.1", "1.1.2", "1.1.3", "2.0.0"]);
    let last: Vec<bool> = shelf.offers.values().map(|offer| offer.last_choice).collect();
    assert_eq!(last, [false, false, true, true]);
    let doubtful: Vec<bool> = shelf.offers.values().map(|offer| offer.doubtful).collect();
    assert_eq!(doubtful, [true, false, true, true]);
    assert_eq!(shelf.dist_tags["latest"], "1.1.2");
    let shelf =
        policy(&[("a", "2.0.0", integrity("2.0.0"))]).judge(&packument("a", &times, json!({})));
    assert!(!shelf.offers["2.0.0"].last_choice && !shelf.offers["2.0.0"].doubtful);
    let more =
        json!({"dist-tags": {"latest": "2.0.0"}, "time": {"created": "2020-01-01T00:00:00Z"}});
    let shelf = policy(&[]).judge(&packument("a", &times, more));
    assert_eq!(shown(&shelf), ["1.1.2"], "a registry that tells its history is believed");
}

#[test]
fn one_true_old_date_among_many_late_ones_does_not_make_a_copy_believable() {
    let numbers: Vec<String> = (0..40).map(|minor| format!("1.{minor}.0")).collect();
    let dated = |early: usize| -> Vec<(&str, &str)> {
        let time = |index| if index < early { BEFORE } else { AFTER };
        numbers.iter().enumerate().map(|(index, at)| (at.as_str(), time(index))).collect()
    };
    let shown_of = |early: usize, more: Value| {
        shown(&policy(&[]).judge(&packument("a", &dated(early), more))).len()
    };
    assert_eq!(shown_of(1, json!({})), 40);
    assert_eq!(shown_of(3, json!({})), 3);
    assert_eq!(shown_of(1, created()), 1);
}

#[test]
fn doubt_about_times_never_shows_later_versions_of_the_subject_itself() {
    let times = [("1.9.0", AFTER), ("2.0.0", AFTER), ("2.0.1", AFTER)];
    let shelf = policy(&[]).judge(&packument("subject", &times, json!({})));
    assert_eq!(shown(&shelf), ["1.9.0"]);
    assert_eq!(shelf.offers["2.0.1"].hidden, Some(Reason::AfterCutoff));
}

#[test]
fn a_lock_by_sha1_alone_is_served_and_doubted() {
    let document = packument("a", &[("1.0.0", AFTER), ("0.9.0", BEFORE)], json!({}));
    let sha1 = "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=".to_owned();
    let shelf = policy(&[("a", "1.0.0", sha1)]).judge(&document);
    assert_eq!(shown(&shelf), ["0.9.0", "1.0.0"]);
    assert!(shelf.offers["1.0.0"].doubtful);
    assert_eq!(LockedVersion::new(name("a"), version("1.0.0"), "md5-x"), None);
}

#[test]
fn a_tag_whose_version_is_hidden_falls_back_as_npm_does() {
    let times = [
        ("1.0.0", BEFORE),
        ("1.1.0", BEFORE),
        ("1.2.0-rc.1", BEFORE),
        ("1.5.0", BEFORE),
        ("1.3.0", AFTER),
        ("2.0.0-rc.2", BEFORE),
        ("2.0.0-rc.3", AFTER),
    ];
    let tags = json!({
        "time": {"created": "2020-01-01T00:00:00Z"},
        "dist-tags": {"latest": "1.3.0", "next": "2.0.0-rc.3", "old": "1.0.0", "gone": "0.0.1"},
        "versions": {"1.1.0": {"deprecated": "broken"}},
    });
    let shelf = policy(&[]).judge(&packument("a", &times, tags));
    let tags: Vec<_> =
        shelf.dist_tags.iter().map(|(tag, at)| (tag.as_str(), at.as_str())).collect();
    assert_eq!(
        tags,
        [("latest", "1.0.0"), ("next", "2.0.0-rc.2"), ("old", "1.0.0")],
        "1.5.0 is above latest, 1.1.0 is warned of, rc.1 is of another release"
    );
}

#[test]
fn latest_names_something_wherever_something_is_shown() {
    let tags = json!({"dist-tags": {"latest": "1.0.0"}, "time": {"created": BEFORE}});
    let times = [("1.0.0", AFTER), ("2.0.0", BEFORE), ("3.0.0-a", BEFORE)];
    let shelf = policy(&[]).judge(&packument("a", &times, tags));
    assert_eq!(shelf.find("latest").unwrap().0, "2.0.0");
}

/// A tool that the subject itself is built with, of a copied registry whose every date is late: by its number 1.1.0 would be taken,
/// and then nothing could be installed.
#[test]
fn a_version_that_needs_the_subject_is_younger_than_the_subject_whatever_its_date() {
    let needs = |range: &str| json!({"dependencies": {"subject": range}});
    let mut copied = packument("tool", &[("1.0.0", AFTER), ("1.1.0", AFTER)], json!({}));
    let with = |range: &str| {
        let mut versions = json!({});
        for (at, range) in [("1.0.0", "^1.0.0"), ("1.1.0", range)] {
            versions[at] = needs(range);
            versions[at]["dist"] = json!({"integrity": integrity(at), "tarball": "x"});
        }
        let time = json!({"1.0.0": AFTER, "1.1.0": AFTER});
        let document = json!({"name": "tool", "versions": versions, "time": time});
        Packument::parse(&name("tool"), document.to_string().as_bytes()).unwrap()
    };
    let hidden = |packument: &Packument| policy(&[]).judge(packument).offers["1.1.0"].hidden;
    assert_eq!(hidden(&copied), None);
    copied = with("^2.0.0");
    assert_eq!(hidden(&copied), Some(Reason::AfterCutoff));
    assert_eq!(policy(&[]).judge(&copied).offers["1.0.0"].hidden, None);
    copied = with("^1.0.0 || ^2.0.0");
    assert_eq!(hidden(&copied), None, "an older one does for it");
    // What a lockfile names is served all the same.
    let locked = policy(&[("tool", "1.1.0", integrity("1.1.0"))]);
    assert_eq!(locked.judge(&with("^2.0.0")).offers["1.1.0"].hidden, None);
}

/// As a copy dates a package of which every version is the first of its line: 3.0.0 was copied after the commit, and 1.0.0 after 2.0.0.
#[test]
fn a_major_line_that_begins_after_a_higher_one_makes_the_dates_unbelievable() {
    let earlier = "2024-12-01T00:00:00.000Z";
    let hidden = |times: &[(&str, &str)]| {
        policy(&[]).judge(&packument("tool", times, json!({}))).offers["3.0.0"].hidden
    };
    assert_eq!(hidden(&[("1.0.0", BEFORE), ("2.0.0", earlier), ("3.0.0", AFTER)]), None);
    let in_order = [("1.0.0", earlier), ("2.0.0", BEFORE), ("3.0.0", AFTER)];
    assert_eq!(hidden(&in_order), Some(Reason::AfterCutoff));
    // A fix of an old line after a new line began contradicts nothing.
    let fixed = [("1.0.0", earlier), ("1.0.1", AFTER), ("2.0.0", BEFORE), ("3.0.0", AFTER)];
    assert_eq!(hidden(&fixed), Some(Reason::AfterCutoff));
}
