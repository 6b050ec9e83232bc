//! The indented form in which pnpm and yarn write their lockfiles: what their writers put there of YAML, and no more. A
//! line is a key with a value or with deeper lines below it. Anchors, tags and tabs, which no writer uses, are refused,
//! so that nothing is read otherwise than the package manager reads it.

use super::InvalidLockfile;

/// The most levels that a lockfile has; the deepest that is written has 6.
const LEVELS_MAX: usize = 16;

/// One line with what lies below it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Entry<'a> {
    /// What stands before the colon, as it is written.
    pub(super) key: &'a str,
    /// What stands behind it; empty where deeper lines take its place.
    pub(super) value: &'a str,
    /// The deeper lines.
    pub(super) below: Vec<Self>,
}

impl<'a> Entry<'a> {
    /// The key without its quotes.
    pub(super) fn name(&self) -> &'a str {
        unquoted(self.key)
    }

    /// The entry of that key below this one.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.below.iter().find(|entry| entry.name() == key)
    }

    /// The text of a key below this one, without its quotes.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).map(|entry| unquoted(entry.value)).filter(|text| !text.is_empty())
    }

    /// The same, also where the entries below stand in braces on the line: `{integrity: …, tarball: …}`.
    pub(super) fn text_in(&self, key: &str) -> Option<&'a str> {
        if let Some(text) = self.text(key) {
            return Some(text);
        }
        let inside = self.value.strip_prefix('{')?.strip_suffix('}')?;
        let pairs = inside.split(", ").filter_map(|pair| pair.split_once(": "));
        pairs.into_iter().find(|(name, _)| unquoted(name.trim()) == key).map(|(_, v)| unquoted(v))
    }
}

/// A scalar without the quotes around it. Lockfiles quote names and addresses, which hold nothing that is escaped.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inside;
        }
    }
    text
}

/// How a key is parted from its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// `key: value`, as pnpm and berry write it.
    Colons,
    /// `key value`, and `key:` before deeper lines, as yarn 1 writes it.
    Spaces,
}

/// Reads a text. More documents than one (parted by `---`) are read as one.
///
/// # Errors
/// Names the line that no package manager writes.
pub(super) fn read(text: &str, form: Form) -> Result<Entry<'_>, InvalidLockfile> {
    let mut open = vec![(None, Entry::default())];
    let mut skipped_below: Option<usize> = None;
    for (number, line) in text.lines().enumerate() {
        let refuse = |why: &str| InvalidLockfile(format!("its line {} {why}", number + 1));
        let mut content = line.trim_start_matches(' ');
        let mut indent = line.len() - content.len();
        if content.is_empty() || content.starts_with('#') || line == "---" {
            continue;
        }
        // The lines of a long text, which nothing here is read from.
        match skipped_below {
            Some(above) if indent > above => continue,
            Some(_) | None => skipped_below = None,
        }
        if content.starts_with(['\t', '&', '*', '!', '<', '=', '>', '|']) {
            return Err(refuse("is not what a package manager writes"));
        }
        // The value of a key that stands on a line of its own.
        if let Some(rest) = content.strip_prefix(": ").filter(|_| form == Form::Colons) {
            (content, indent) = (rest, indent + 2);
        }
        while open.last().is_some_and(|(at, _)| at.is_some_and(|at| at >= indent)) {
            close(&mut open);
        }
        if open.len() > LEVELS_MAX {
            return Err(refuse("lies too deep"));
        }
        let (key, value) = parted(content, form).ok_or_else(|| refuse("has no key"))?;
        if value.starts_with(['|', '>']) {
            skipped_below = Some(indent);
        }
        open.push((Some(indent), Entry { key, value, below: Vec::new() }));
    }
    while open.len() > 1 {
        close(&mut open);
    }
    Ok(open.pop().map(|(_, root)| root).unwrap_or_default())
}

/// The innermost open entry is whole.
fn close<'a>(open: &mut Vec<(Option<usize>, Entry<'a>)>) {
    let (_, whole) = open.pop().expect("only an open entry is closed");
    let (_, above) = open.last_mut().expect("the root stays open to the end");
    above.below.push(whole);
}

/// Key and value of a line. An item of a list is an entry whose key is `-`; YAML's explicit key (`? key`) is how pnpm writes
/// the longest ones.
fn parted(content: &str, form: Form) -> Option<(&str, &str)> {
    if content == "-" || content.starts_with("- ") {
        return Some(("-", content[1..].trim()));
    }
    if let Some(key) = content.strip_prefix("? ").filter(|_| form == Form::Colons) {
        return Some((key, ""));
    }
    let after_key = key_end(content, form)?;
    let (key, rest) = content.split_at(after_key);
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    Some((key, rest.trim()))
}

/// Where the key of a line ends.
fn key_end(content: &str, form: Form) -> Option<usize> {
    if form == Form::Spaces {
        // A key that lists several ranges stands before deeper lines.
        if let Some(key) = content.strip_suffix(':') {
            return Some(key.len());
        }
    }
    if let Some(quote) = content.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        return content[1..].find(quote).map(|at| at + 2);
    }
    match form {
        Form::Spaces => content.find(' '),
        Form::Colons => content.find(": ").or_else(|| content.strip_suffix(':').map(str::len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_by_their_indentation() {
        let text =
            "a: 1\n\n# remark\nb:\n  'c@1':\n    d: {e: x, f: 'y'}\n    g:\n      - one\n  h: z\n";
        let root = read(text, Form::Colons).unwrap();
        assert_eq!(root.text("a"), Some("1"));
        let b = root.get("b").unwrap();
        assert_eq!(b.below.len(), 2);
        let c = b.get("c@1").unwrap();
        assert_eq!(c.get("d").unwrap().text_in("e"), Some("x"));
        assert_eq!(c.get("d").unwrap().text_in("f"), Some("y"));
        assert_eq!(c.get("g").unwrap().below[0].value, "one");
        assert_eq!(b.text("h"), Some("z"));
    }

    #[test]
    fn a_long_text_is_passed_over_and_a_long_key_is_read() {
        let text = "a:\n  deprecated: |-\n    integrity: no\n\n    b: no\n  ? long\n  : resolution: {integrity: x}\n    dev: true\nc: 1\n";
        let root = read(text, Form::Colons).unwrap();
        let a = root.get("a").unwrap();
        assert!(a.get("b").is_none() && a.get("integrity").is_none());
        let long = a.get("long").unwrap();
        assert_eq!(long.get("resolution").unwrap().text_in("integrity"), Some("x"));
        assert_eq!(long.text("dev"), Some("true"));
        assert_eq!(root.text("c"), Some("1"));
    }

    #[test]
    fn what_no_package_manager_writes_is_refused_with_its_line() {
        for (text, line) in [
            ("a: 1\n\tb: 2\n", 2),
            ("<<<<<<< HEAD\na: 1\n", 1),
            ("a: 1\n=======\n", 2),
            ("&anchor a: 1\n", 1),
            ("nothing\n", 1),
        ] {
            let error = read(text, Form::Colons).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line} ")), "{text}: {error}");
        }
        let deep: String = (0..40).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert!(read(&deep, Form::Colons).is_err());
    }
}
