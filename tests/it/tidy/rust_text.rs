//! Rust text with its comments and the insides of its literals blanked out, so that a rule about code does not trip
//! over prose. Line and column of everything that is left stay as they were. This is no parser: it knows only where
//! code ends and text begins, and which braces belong together.

use std::ops::Range;

/// The code of a Rust file: same bytes, same lines, but comments and the insides of literals are spaces.
pub(super) struct Code(Vec<u8>);

/// A function with a body.
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// The line on which `fn` stands, counted from 1.
    pub(super) line: usize,
    /// How many lines between its braces hold code.
    pub(super) lines: usize,
    /// Where its body stands, with its braces.
    pub(super) body: Range<usize>,
}

impl Code {
    /// The code of this text.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut code = bytes.to_vec();
        let mut at = 0;
        while at < bytes.len() {
            let hidden = hidden_from(bytes, at);
            for byte in &mut code[hidden.clone()] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = hidden.end.max(at + 1);
        }
        Self(code)
    }

    /// The code as text; what is not ASCII in it was in a name, and stays.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Every identifier with the offset at which it begins.
    pub(super) fn words(&self) -> Vec<(usize, &str)> {
        let mut words = Vec::new();
        let mut at = 0;
        while at < self.0.len() {
            let end = (at..self.0.len()).find(|&i| !is_word(self.0[i])).unwrap_or(self.0.len());
            if end > at {
                words.push((at, std::str::from_utf8(&self.0[at..end]).unwrap_or("")));
            }
            at = end + 1;
        }
        words
    }

    /// The line, counted from 1, on which this offset stands.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        1 + self.0[..offset].iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Every function that has a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let words = self.words();
        let named = words.windows(2).filter(|pair| pair[0].1 == "fn");
        named
            .filter_map(|pair| {
                let (start, name) = (pair[0].0, pair[1].1);
                let body = self.braces_after(start)?;
                // As clippy counts: what stands between the braces.
                let lines = self.0[body.start + 1..body.end - 1].split(|&byte| byte == b'\n');
                let lines = lines.filter(|line| !line.trim_ascii().is_empty()).count();
                let (name, line) = (name.to_owned(), self.line_at(start));
                Some(Function { name, line, lines, body })
            })
            .collect()
    }

    /// The parts of the file that are built only for tests.
    pub(super) fn test_parts(&self) -> Vec<Range<usize>> {
        let text = self.text();
        text.match_indices("#[cfg(test)]").filter_map(|(at, _)| self.braces_after(at)).collect()
    }

    /// From the next `{` to the `}` that belongs to it, unless a `;` outside of brackets comes first.
    fn braces_after(&self, from: usize) -> Option<Range<usize>> {
        let mut round = 0_i32;
        let open = (from..self.0.len()).find(|&i| {
            round += i32::from(matches!(self.0[i], b'(' | b'['));
            round -= i32::from(matches!(self.0[i], b')' | b']'));
            self.0[i] == b'{' || (self.0[i] == b';' && round == 0)
        })?;
        if self.0[open] == b';' {
            return None;
        }
        let mut depth = 0_i32;
        let close = (open..self.0.len()).find(|&i| {
            depth += i32::from(self.0[i] == b'{');
            depth -= i32::from(self.0[i] == b'}');
            depth == 0
        })?;
        Some(open..close + 1)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// What is to be blanked from here on: a comment, the inside of a literal, or nothing (an empty range).
fn hidden_from(bytes: &[u8], at: usize) -> Range<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at..at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at..at + block_comment(rest);
    }
    if rest[0] == b'\'' {
        return at..at + char_literal(rest);
    }
    let starts_word = at == 0 || !is_word(bytes[at - 1]);
    let prefix = rest.iter().take(2).take_while(|&&b| matches!(b, b'b' | b'c' | b'r')).count();
    let prefix = if starts_word { prefix } else { 0 };
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') || (hashes > 0 && !rest[..prefix].contains(&b'r')) {
        return at..at;
    }
    let inside = prefix + hashes + 1;
    let raw = rest[..prefix].contains(&b'r');
    let length = if raw { raw_string(&rest[inside..], hashes) } else { string(&rest[inside..]) };
    at..at + inside + length
}

/// The length of a block comment; they nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a character literal, or 0 where the quote begins a lifetime.
fn char_literal(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return 3 + rest[3..].iter().position(|&b| b == b'\'').map_or(0, |i| i + 1);
    }
    let width = match rest.get(1) {
        Some(&b) if b >= 0xf0 => 4,
        Some(&b) if b >= 0xe0 => 3,
        Some(&b) if b >= 0xc0 => 2,
        _ => 1,
    };
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// The length of a string's inside and its closing quote.
fn string(inside: &[u8]) -> usize {
    let mut at = 0;
    while at < inside.len() {
        match inside[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    inside.len()
}

/// The length of a raw string's inside and its closing quote with that many hashes.
fn raw_string(inside: &[u8], hashes: usize) -> usize {
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    inside.windows(close.len()).position(|w| w == close).map_or(inside.len(), |i| i + close.len())
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_not() {
    let check = |text: &str, code: &str| assert_eq!(Code::of(text).text().trim_end(), code);
    check("a // b", "a");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"f("x\"y") g"#, r"f(      ) g");
    check(r##"f(r#"x"y"#) g"##, r"f(        ) g");
    check("f('x', '\\'', '\\u{41}', 'ä') g", "f(   ,     ,         ,     ) g");
    check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
    check("b\"x\" br\"y\" c\"z\" r", "                r");
    check("#[derive(X)] attribute", "#[derive(X)] attribute");
}

#[test]
fn functions_are_found_with_the_lines_that_hold_code() {
    let text = "fn one() {}\n\ntrait T {\n    fn none(x: [u8; 2]);\n}\n\nfn three(\n) {\n    // no code\n\n    x();\n}\n";
    let found: Vec<_> =
        Code::of(text).functions().iter().map(|f| (f.name.clone(), f.line, f.lines)).collect();
    assert_eq!(found, [("one".to_owned(), 1, 0), ("three".to_owned(), 7, 1)]);
}

#[test]
fn the_parts_for_tests_are_found() {
    let code =
        Code::of("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod c;\n");
    let parts: Vec<String> =
        code.test_parts().into_iter().map(|part| code.text()[part].to_owned()).collect();
    assert_eq!(parts, ["{\n    fn b() {}\n}"]);
}
