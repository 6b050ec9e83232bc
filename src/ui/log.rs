//! The log of a rebuild as a page: control sequences of terminals taken out, lines numbered, phases set off. It reads
//! text and knows nothing of where it is kept.

use askama::Template;

use super::{
    address,
    shell::{Shell, Viewer},
};

/// Lines that one page shows; the download has all.
const LINES_MAX: usize = 20_000;

/// One line.
pub(crate) struct LogLine {
    /// Counts from 1.
    pub(crate) number: usize,
    /// What it says.
    pub(crate) text: String,
}

/// The page.
#[derive(Template)]
#[template(path = "log.html", config = "src/ui/askama.toml")]
pub(crate) struct LogPage {
    shell: Shell,
    spec: String,
    back: String,
    download: String,
    lines: Vec<LogLine>,
    left_out: usize,
}

impl LogPage {
    /// The page of this log.
    pub(crate) fn new(viewer: Viewer, id: &str, spec: &str, log: &[u8]) -> Self {
        let mut lines = lines(log);
        let left_out = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        Self {
            shell: Shell::new(format!("Log of {spec}"), Some(viewer)),
            spec: spec.to_owned(),
            back: address::stage(id),
            download: format!("{}?download", address::of_stage(id, "log")),
            lines,
            left_out,
        }
    }
}

/// The lines of a log as a reader would see them on a terminal.
pub(crate) fn lines(log: &[u8]) -> Vec<LogLine> {
    let text = String::from_utf8_lossy(log);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split('\n')
        .enumerate()
        .map(|(index, line)| LogLine { number: index + 1, text: settled(line) })
        .collect()
}

/// What stands on the line in the end: without control sequences, and after every carriage return only what was printed
/// last, as progress bars mean it.
fn settled(line: &str) -> String {
    let plain = without_sequences(line);
    let plain = plain.trim_end_matches('\r');
    plain.rsplit('\r').next().unwrap_or(plain).to_owned()
}

/// The text without the escape sequences of ECMA-48: `ESC [ … final`, `ESC ] … BEL or ST`, and the short ones. What is
/// cut off in the middle is dropped with the rest of the line; other controls stay, to be made visible by the escaper.
fn without_sequences(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_until_final(&mut rest),
            _ => plain.push(c),
        }
    }
    plain
}

fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_until_final(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(rest),
        // One more byte belongs to it: a choice of character set and the like.
        Some(' '..='/') => {
            rest.next();
        }
        Some(_) | None => {}
    }
}

fn skip_until_final(rest: &mut std::str::Chars<'_>) {
    rest.find(|c| matches!(c, '@'..='~'));
}

fn skip_string(rest: &mut std::str::Chars<'_>) {
    while let Some(c) = rest.next() {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next();
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &[u8]) -> Vec<String> {
        lines(log).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn what_only_a_terminal_reads_is_taken_out() {
        assert_eq!(texts(b"\x1b[31mred\x1b[0m and \x1b[1;4mbold"), ["red and bold"]);
        assert_eq!(
            texts(b"\x1b]8;;https://evil.example\x07link\x1b]8;;\x1b\\ text"),
            ["link text"]
        );
        assert_eq!(texts(b"\x1b(Bplain\x1b7"), ["plain"]);
        assert_eq!(texts(b"cut \x1b[38;5"), ["cut "]);
    }

    #[test]
    fn a_progress_bar_leaves_what_it_printed_last() {
        assert_eq!(texts(b"10 %\r50 %\r100 %\r\ndone\r\n"), ["100 %", "done"]);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_lose_the_rest() {
        assert_eq!(texts(b"a\xffb\nc"), ["a\u{fffd}b", "c"]);
        assert!(texts(b"").is_empty());
        assert_eq!(texts(b"\n\nx\n"), ["", "", "x"]);
    }
}
