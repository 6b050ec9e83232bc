//! Numbers as people read them: times, durations, sizes, counts, digests. Values in, words out; the present moment is
//! always an argument.

use countersign_core::Timestamp;

/// A moment, shown relative to now with the absolute time in the title.
pub(crate) struct Moment {
    /// `12 minutes ago`.
    pub(crate) relative: String,
    /// `2026-11-24 12:04:31 UTC`.
    pub(crate) absolute: String,
    /// RFC 3339, for `datetime`.
    pub(crate) machine: String,
}

impl Moment {
    /// How `at` is written when it is `now`.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        let machine = Timestamp::from_seconds(at.as_seconds()).to_string();
        Self { relative: relative(at, now), absolute: absolute(at), machine }
    }
}

/// `2026-11-24 12:04:31 UTC`.
pub(crate) fn absolute(at: Timestamp) -> String {
    let text = Timestamp::from_seconds(at.as_seconds()).to_string();
    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
}

/// `12:04:31`, the time of the day in UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    absolute(at).get(11..19).unwrap_or_default().to_owned()
}

fn relative(at: Timestamp, now: Timestamp) -> String {
    let millis = now.millis_since(at);
    let words = span(millis.unsigned_abs());
    match (millis.unsigned_abs() < 5_000, millis < 0) {
        (true, _) => "just now".to_owned(),
        (false, true) => format!("in {words}"),
        (false, false) => format!("{words} ago"),
    }
}

/// A length of time in its largest whole unit: `40 s`, `12 minutes`, `3 days`.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => counted(seconds / 60, "minute", "minutes"),
        3_600..86_400 => counted(seconds / 3_600, "hour", "hours"),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// How long a phase took: `0.4 s`, `12 s`, `2 min 5 s`.
pub(crate) fn took(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..60_000 => format!("{} s", millis / 1000),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

/// `1 file`, `12 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// `104,992`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + 4);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Sizes as npm prints them, in powers of ten: `812 B`, `3.4 kB`, `12 MB`.
pub(crate) fn bytes(count: u64) -> String {
    let scaled = |unit: u64, name: &str| {
        let whole = count / unit;
        if whole < 10 {
            format!("{whole}.{} {name}", count % unit * 10 / unit)
        } else {
            format!("{whole} {name}")
        }
    };
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => scaled(1_000, "kB"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "MB"),
        _ => scaled(1_000_000_000, "GB"),
    }
}

/// A digest's first twelve digits; the whole one stands beside it for copying.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A commit's first seven digits.
pub(crate) fn short_commit(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Who acted, as people read it: a token's id is long and says nothing, its beginning is enough to find it.
pub(crate) fn actor(actor: &str) -> String {
    match actor.strip_prefix("token:") {
        Some(id) => format!("token {}", id.get(..8).unwrap_or(id)),
        None => actor.to_owned(),
    }
}

/// The message of an error as a sentence by itself. It stays in lower case where it begins with a package's name.
pub(crate) fn sentence(message: &str) -> String {
    let begins_with_name = message.split(' ').next().is_some_and(|word| word.contains('@'));
    let mut characters = message.trim_end_matches('.').chars();
    let first =
        characters.next().map(|c| if begins_with_name { c } else { c.to_ascii_uppercase() });
    first.into_iter().chain(characters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_says_how_long_ago_and_when() {
        let now = Timestamp::from_seconds(1_795_000_000);
        let at = |seconds: i64| Moment::new(now.plus_seconds(seconds), now).relative;
        assert_eq!(at(-2), "just now");
        assert_eq!(at(-40), "40 s ago");
        assert_eq!(at(-60), "1 minute ago");
        assert_eq!(at(-3 * 86_400), "3 days ago");
        assert_eq!(at(47 * 60), "in 47 minutes");
        assert_eq!(absolute(now), "2026-11-18 11:06:40 UTC");
        assert_eq!(clock(now), "11:06:40");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(3_450), "3.4 kB");
        assert_eq!(bytes(12_000_000), "12 MB");
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(104_992), "104,992");
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(took(950), "0.9 s");
        assert_eq!(took(125_000), "2 min 5 s");
    }

    #[test]
    fn messages_become_sentences_and_names_stay_names() {
        assert_eq!(sentence("the code was used"), "The code was used.");
        assert_eq!(sentence("left-pad@1.3.1 is released"), "left-pad@1.3.1 is released.");
        assert_eq!(sentence("It ends."), "It ends.");
        assert_eq!(actor("token:019a8f3e-6c1d-7b52"), "token 019a8f3e");
        assert_eq!(actor("ada"), "ada");
    }

    #[test]
    fn a_digest_that_is_too_short_is_shown_whole() {
        assert_eq!(short("abc"), "abc");
        assert_eq!(short_commit("4f2c9e1d00"), "4f2c9e1");
    }
}
