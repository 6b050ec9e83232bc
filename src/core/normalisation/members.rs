//! JSON as its bytes: the members of an object and the elements of an array, each with the very text around it, so that
//! some can be left out and all the rest be held against another text byte for byte. The text has been read as JSON before;
//! what does not fit here all the same is none.

/// An object or an array, cut up. `open`, every item and `close` put together are the text.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// From the beginning through the bracket that opens.
    pub(super) open: &'a str,
    /// The items in order.
    pub(super) items: Vec<Item<'a>>,
    /// From after the last item to the end.
    pub(super) close: &'a str,
}

/// A member of an object, or an element of an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Item<'a> {
    /// The white space before it.
    lead: &'a str,
    /// The key as it is written, with its quotes; empty in an array.
    key: &'a str,
    /// The colon with the white space around it; empty in an array.
    colon: &'a str,
    /// The value as it is written.
    pub(super) value: &'a str,
    /// The white space before the comma; none after the last.
    tail: &'a str,
}

impl<'a> Item<'a> {
    /// The key's text; none where it is written with escapes, so that no two spellings are one key.
    pub(super) fn key(&self) -> Option<&'a str> {
        plain(self.key)
    }

    /// Whether everything but the value is equal.
    pub(super) fn is_framed_as(&self, other: &Self) -> bool {
        (self.lead, self.key, self.colon, self.tail)
            == (other.lead, other.key, other.colon, other.tail)
    }
}

/// The inside of a JSON text without escapes.
pub(super) fn plain(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains(['"', '\\'])).then_some(inside)
}

/// The members of the one object that a text is.
pub(super) fn object(text: &str) -> Option<Cut<'_>> {
    cut(text, '{', '}')
}

/// The elements of the one array that a text is.
pub(super) fn array(text: &str) -> Option<Cut<'_>> {
    cut(text, '[', ']')
}

fn cut(text: &str, opening: char, closing: char) -> Option<Cut<'_>> {
    let inside = text.find(opening)? + 1;
    let before = text[..inside - 1].trim_start_matches('\u{feff}');
    if !before.chars().all(is_space) {
        return None;
    }
    let (open, mut at) = (&text[..inside], inside);
    let mut items = Vec::new();
    if spaces(text, at).1.starts_with(closing) {
        return Some(Cut { open, items, close: &text[at..] });
    }
    loop {
        let (lead, rest) = spaces(text, at);
        at = text.len() - rest.len();
        let (mut key, mut colon) = ("", "");
        if opening == '{' {
            key = value(rest).filter(|key| key.starts_with('"'))?;
            at += key.len();
            let (before, rest) = spaces(text, at);
            let (after, _) = spaces(text, at + before.len() + 1);
            if !rest.starts_with(':') {
                return None;
            }
            colon = &text[at..at + before.len() + 1 + after.len()];
            at += colon.len();
        }
        let value = value(&text[at..])?;
        at += value.len();
        let (tail, rest) = spaces(text, at);
        if rest.starts_with(',') {
            items.push(Item { lead, key, colon, value, tail });
            at += tail.len() + 1;
        } else if rest.starts_with(closing) && rest[1..].chars().all(is_space) {
            items.push(Item { lead, key, colon, value, tail: "" });
            return Some(Cut { open, items, close: &text[at..] });
        } else {
            return None;
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The white space at a place, and what follows it.
fn spaces(text: &str, at: usize) -> (&str, &str) {
    let rest = text.get(at..).unwrap_or_default();
    let after = rest.trim_start_matches(is_space);
    (&rest[..rest.len() - after.len()], after)
}

/// The JSON value at the beginning of a text.
fn value(text: &str) -> Option<&str> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => continue,
            }
            if !in_text && depth == 0 {
                return Some(&text[..=index]);
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return some(&text[..index]),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[..=index]);
                }
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return some(&text[..index]),
            _ => {}
        }
    }
    None
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
