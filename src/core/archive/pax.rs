//! The records of an extended header (POSIX pax): well formed, each key once, and only keys that every reader either
//! obeys alike or ignores. It knows nothing of the member that follows.

use super::rule::{Refusal, Rule, quoted};

/// What an extended header says of the member after it.
#[derive(Default, Debug)]
pub(super) struct Records {
    /// `path`: the member's path in place of the header's own, and where the record stands.
    pub(super) path: Option<String>,
    /// `size`: the member's size, which the header must say as well.
    pub(super) size: Option<u64>,
}

/// Keys of times: a decimal number of seconds. npm writes `mtime`, bun's libarchive the others.
const TIMES: [&str; 4] = ["mtime", "atime", "ctime", "LIBARCHIVE.creationtime"];
/// Keys of whole numbers that no installer looks at.
const NUMBERS: [&str; 5] = ["uid", "gid", "SCHILY.dev", "SCHILY.ino", "SCHILY.nlink"];
/// Keys of texts that no installer looks at.
const TEXTS: [&str; 2] = ["uname", "gname"];

/// Reads the body of an `x` header that stands at `at` in the tar.
pub(super) fn read(body: &[u8], at: usize) -> Result<Records, Refusal> {
    let mut records = Records::default();
    let mut seen: Vec<&str> = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let record_at = at + body.len() - rest.len();
        let refuse = |what: &str| {
            let shown = quoted(rest.split(|&byte| byte == b'\n').next().unwrap_or(rest));
            Refusal::in_tar(Rule::Pax, record_at, format!("record {shown} {what}"))
        };
        let (key, value, after) =
            record(rest).ok_or_else(|| refuse("is not of the form LENGTH KEY=VALUE"))?;
        if seen.contains(&key) {
            return Err(refuse("gives its key a second time"));
        }
        seen.push(key);
        if value.chars().any(char::is_control) {
            return Err(refuse("has control characters in its value"));
        }
        keep(&mut records, key, value).map_err(refuse)?;
        rest = after;
    }
    if seen.is_empty() {
        return Err(Refusal::in_tar(Rule::Pax, at, "an extended header has no records"));
    }
    Ok(records)
}

/// The commit of a `g` header that has this one record and no other, as `git archive` writes it.
pub(super) fn is_git_comment(body: &[u8]) -> bool {
    let Some(("comment", commit, [])) = record(body) else { return false };
    matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The first record, `LENGTH KEY=VALUE` and a newline, where LENGTH counts all of it; and what follows it.
fn record(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    const LENGTH_DIGITS_MAX: usize = 6;
    let digits = bytes.iter().take(LENGTH_DIGITS_MAX + 1).position(|&byte| byte == b' ')?;
    let length = decimal(std::str::from_utf8(&bytes[..digits]).ok()?)?;
    if bytes[0] == b'0' {
        return None;
    }
    let (whole, after) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    let (key, value) =
        std::str::from_utf8(whole.get(digits + 1..)?).ok()?.strip_suffix('\n')?.split_once('=')?;
    (!key.is_empty()).then_some((key, value, after))
}

fn keep(records: &mut Records, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "path" => records.path = Some(value.to_owned()),
        "size" => {
            records.size = Some(decimal(value).ok_or("is not a whole number")?);
        }
        _ if TIMES.contains(&key) => {
            let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
            let whole = whole.strip_prefix('-').unwrap_or(whole);
            if decimal(whole).is_none() || fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
                return Err("is not a time in seconds");
            }
        }
        _ if NUMBERS.contains(&key) => {
            decimal(value).ok_or("is not a whole number")?;
        }
        _ if TEXTS.contains(&key) => {}
        // bun's libarchive says so beside every path that is not ASCII; the path has to be UTF-8 here all the same.
        "hdrcharset" if value == "BINARY" => {}
        _ => return Err("has a key that not all readers understand alike"),
    }
    Ok(())
}

/// Digits and nothing else: a JavaScript reader takes `0x4`, `1e3` and ` 5` for numbers too.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
