//! The log of a rebuild as a page: control sequences of terminals taken out, lines numbered, folded by phase. It reads
//! text and knows nothing of where it is kept.

use askama::Template;

use super::{
    address,
    shell::{Shell, Viewer},
    words,
};

/// Lines that one page shows; the download has all.
const LINES_MAX: usize = 20_000;
/// Up to so many lines nothing is folded away; of longer logs only the part in which it ended is open.
const OPEN_LINES_MAX: usize = 500;
/// What the worker writes before each step. A build may print the same; then its log has one part more, and that is all.
const HEADING: &str = "== ";

/// One line.
pub(crate) struct LogLine {
    /// Counts from 1.
    pub(crate) number: usize,
    /// What it says.
    pub(crate) text: String,
}

/// The lines of one step.
pub(crate) struct Part {
    /// The worker's line that begins it; none before the first.
    pub(crate) heading: Option<LogLine>,
    /// What was printed.
    pub(crate) lines: Vec<LogLine>,
    /// `12 lines`.
    pub(crate) count: String,
    /// Whether it is shown open.
    pub(crate) open: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "log.html", config = "src/ui/askama.toml")]
pub(crate) struct LogPage {
    shell: Shell,
    spec: String,
    back: String,
    download: String,
    parts: Vec<Part>,
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
            parts: parts(lines),
            left_out,
        }
    }
}

fn parts(lines: Vec<LogLine>) -> Vec<Part> {
    let all_open = lines.len() <= OPEN_LINES_MAX;
    let mut parts: Vec<Part> = Vec::new();
    for line in lines {
        let heading = line.text.strip_prefix(HEADING).map(str::to_owned);
        match (heading, parts.last_mut()) {
            (Some(text), _) => parts.push(Part::begun_by(Some(LogLine { text, ..line }))),
            (None, Some(part)) => part.lines.push(line),
            (None, None) => {
                let mut part = Part::begun_by(None);
                part.lines.push(line);
                parts.push(part);
            }
        }
    }
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter_mut().enumerate() {
        part.count = words::counted(part.lines.len() as u64, "line", "lines");
        part.open = all_open || index == last;
    }
    parts
}

impl Part {
    fn begun_by(heading: Option<LogLine>) -> Self {
        Self { heading, lines: Vec::new(), count: String::new(), open: false }
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
    fn each_step_is_a_part_and_of_a_long_log_the_last_one_is_open() {
        let log = b"before\n== install: npm ci\nadded 3\n== build: npm run build\ndone\n";
        let shown: Vec<(String, usize, bool)> = parts(lines(log))
            .into_iter()
            .map(|part| {
                let heading = part.heading.map_or_else(String::new, |line| line.text);
                (heading, part.lines[0].number, part.open)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (String::new(), 1, true),
                ("install: npm ci".to_owned(), 3, true),
                ("build: npm run build".to_owned(), 5, true)
            ]
        );
        let long =
            [&b"== install: npm ci\n"[..], &b"x\n".repeat(600), b"== build: b\ny\n"].concat();
        let open: Vec<bool> = parts(lines(&long)).iter().map(|part| part.open).collect();
        assert_eq!(open, [false, true]);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_lose_the_rest() {
        assert_eq!(texts(b"a\xffb\nc"), ["a\u{fffd}b", "c"]);
        assert!(texts(b"").is_empty());
        assert_eq!(texts(b"\n\nx\n"), ["", "", "x"]);
    }
}
