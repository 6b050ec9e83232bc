//! One time in a comment at the head of a file: what a bundler's banner says of when it was built. The two files are equal
//! but for one literal, each side of it is a time and nothing but a time, and it stands inside a comment that began before it
//! and ends after it in the very same bytes: so there is no room for anything that runs.

use time::{Date, Month};

use crate::timestamp::Timestamp;

/// How far a time may lie from the commit's: a release is built within days of its commit.
const NEAR_SECONDS: i64 = 7 * 24 * 60 * 60;
/// The longest literal.
const LITERAL_BYTES_MAX: usize = 40;
/// Files whose comments are known.
const CODE: [&str; 9] = ["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "css"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time in which two files differ; none where they differ in anything else.
pub(super) fn tokens(
    path: &str,
    staged: &str,
    rebuilt: &str,
    committed: Timestamp,
) -> Option<Vec<String>> {
    let extension = path.rsplit_once('.')?.1;
    if !CODE.contains(&extension) {
        return None;
    }
    let equal = staged.bytes().zip(rebuilt.bytes()).take_while(|(a, b)| a == b).count();
    for start in equal.saturating_sub(LITERAL_BYTES_MAX)..=equal {
        if !begins_a_word(staged, start) {
            continue;
        }
        let (Some(ours), Some(theirs)) = (literal(staged, start), literal(rebuilt, start)) else {
            continue;
        };
        let rest = (&staged[start + ours.bytes..], &rebuilt[start + theirs.bytes..]);
        let near = (ours.seconds - committed.as_seconds()).abs() <= NEAR_SECONDS;
        if start + ours.bytes > equal && rest.0 == rest.1 && near {
            let inside = in_head_comment(staged, start, start + ours.bytes, extension)
                && in_head_comment(rebuilt, start, start + theirs.bytes, extension);
            return inside.then(|| vec![staged[start..start + ours.bytes].to_owned()]);
        }
    }
    None
}

fn begins_a_word(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(at.wrapping_sub(1));
    text.is_char_boundary(at) && !before.is_some_and(|b| b.is_ascii_alphanumeric() || *b > 127)
}

/// A time in a text.
struct Literal {
    bytes: usize,
    seconds: i64,
}

/// The longest time that begins there, and that no letter or digit follows.
fn literal(text: &str, at: usize) -> Option<Literal> {
    let mut bytes = text.as_bytes().get(at..)?;
    bytes = &bytes[..bytes.len().min(LITERAL_BYTES_MAX + 1)];
    let read = numeric(bytes).or_else(|| spelled(bytes)).or_else(|| epoch(bytes))?;
    let next = bytes.get(read.bytes);
    let ends = !next.is_some_and(|b| b.is_ascii_alphanumeric() || *b > 127);
    (ends && read.bytes <= LITERAL_BYTES_MAX).then_some(read)
}

/// A cursor over the bytes of a literal.
struct Reader<'a> {
    rest: &'a [u8],
    read: usize,
}

impl Reader<'_> {
    fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if !digits.contains(&count) {
            return None;
        }
        let text = std::str::from_utf8(&self.rest[..count]).ok()?;
        self.step(count);
        text.parse().ok()
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let first = *self.rest.first().filter(|first| bytes.contains(first))?;
        self.step(1);
        Some(first)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest.starts_with(word.as_bytes()).then(|| self.step(word.len()))
    }

    fn step(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.read += bytes;
    }

    /// What `read` makes of it, or nothing and no step.
    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let (rest, at) = (self.rest, self.read);
        let made = read(self);
        if made.is_none() {
            (self.rest, self.read) = (rest, at);
        }
        made
    }

    /// `12:34`, `12:34:56` or `12:34:56.789`, in seconds.
    fn clock(&mut self) -> Option<i64> {
        let hours = self.number(1..=2).filter(|hours| *hours < 24)?;
        self.one_of(b":")?;
        let minutes = self.number(2..=2).filter(|minutes| *minutes < 60)?;
        let seconds = self.maybe(|reader| {
            reader.one_of(b":")?;
            reader.number(2..=2).filter(|seconds| *seconds <= 60)
        });
        self.maybe(|reader| {
            reader.one_of(b".")?;
            reader.number(1..=9)
        });
        Some(hours * 3600 + minutes * 60 + seconds.unwrap_or(0))
    }

    /// `Z`, `UTC`, `GMT`, `+02:00`, `GMT+0200`: the offset is passed over, since nearness is a matter of days.
    fn zone(&mut self) -> Option<()> {
        self.maybe(|reader| reader.one_of(b" "));
        if self.one_of(b"Z").is_some() {
            return Some(());
        }
        let named = self.word("GMT").or_else(|| self.word("UTC"));
        let offset = self.maybe(|reader| {
            reader.one_of(b"+-")?;
            let Some(hours) = reader.number(2..=2) else { return reader.number(4..=4) };
            reader.one_of(b":")?;
            reader.number(2..=2)?;
            Some(hours)
        });
        (named.is_some() || offset.is_some()).then_some(())
    }
}

/// `2024-05-06`, `2024/05/06`, with or without a clock.
fn numeric(bytes: &[u8]) -> Option<Literal> {
    let mut reader = Reader { rest: bytes, read: 0 };
    let year = reader.number(4..=4)?;
    let between = reader.one_of(b"-/")?;
    let month = reader.number(1..=2)?;
    reader.one_of(&[between])?;
    let day = reader.number(1..=2)?;
    let midnight = seconds_of(year, month, day)?;
    let clock = reader.maybe(|reader| {
        reader.one_of(b"T ")?;
        let clock = reader.clock()?;
        reader.maybe(Reader::zone);
        Some(clock)
    });
    Some(Literal { bytes: reader.read, seconds: midnight + clock.unwrap_or(0) })
}

/// `Mon May 06 2024 07:08:09 GMT+0200`, `Mon, 06 May 2024 07:08:09 GMT`, `May 6, 2024`.
fn spelled(bytes: &[u8]) -> Option<Literal> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut reader = Reader { rest: bytes, read: 0 };
    reader.maybe(|reader| {
        DAYS.iter().find_map(|day| reader.word(day))?;
        reader.maybe(|reader| reader.one_of(b","));
        reader.one_of(b" ")
    });
    let day_first = reader.maybe(|reader| {
        let day = reader.number(1..=2)?;
        reader.one_of(b" ")?;
        Some(day)
    });
    let month = MONTHS.iter().position(|month| reader.word(month).is_some())?;
    reader.one_of(b" ")?;
    let day = match day_first {
        Some(day) => day,
        None => {
            let day = reader.number(1..=2)?;
            reader.maybe(|reader| reader.one_of(b","));
            reader.one_of(b" ")?;
            day
        }
    };
    let year = reader.number(4..=4)?;
    let midnight = seconds_of(year, i64::try_from(month).ok()? + 1, day)?;
    let clock = reader.maybe(|reader| {
        reader.one_of(b" ")?;
        let clock = reader.clock()?;
        reader.maybe(Reader::zone);
        Some(clock)
    });
    Some(Literal { bytes: reader.read, seconds: midnight + clock.unwrap_or(0) })
}

/// Seconds or milliseconds since 1970, of this century.
fn epoch(bytes: &[u8]) -> Option<Literal> {
    let mut reader = Reader { rest: bytes, read: 0 };
    let seconds = match reader.number(10..=13)? {
        millis if reader.read == 13 => millis / 1000,
        seconds if reader.read == 10 => seconds,
        _ => return None,
    };
    Some(Literal { bytes: reader.read, seconds })
}

fn seconds_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp())
}

/// Whether a place lies inside one of the comments that a file begins with. Behind the first thing that is neither white
/// space nor a comment nothing is looked at: there it would take a whole reader of the language to tell a comment from a text.
fn in_head_comment(text: &str, start: usize, end: usize, extension: &str) -> bool {
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    if text[at..].starts_with("#!") {
        at += text[at..].find('\n').unwrap_or(text.len() - at);
    }
    while at <= start {
        let rest = &text[at..];
        if let Some(comment) = rest.strip_prefix("/*") {
            let Some(length) = comment.find("*/") else { return false };
            if start >= at + 2 && end <= at + 2 + length {
                return true;
            }
            at += 2 + length + 2;
        } else if rest.starts_with("//") && extension != "css" {
            let ends = ['\n', '\r', '\u{2028}', '\u{2029}'];
            let length = rest.find(ends).unwrap_or(rest.len());
            if start >= at + 2 && end <= at + length {
                return true;
            }
            at += length;
        } else if let Some(space) = rest.chars().next().filter(|c| c.is_whitespace()) {
            at += space.len_utf8();
        } else {
            return false;
        }
    }
    false
}
