//! A step's output: cut into lines for the live log, and kept as its first and last half under a bound. It knows
//! nothing of where the bytes come from.

use std::collections::VecDeque;

/// A longer line is cut, so that a flood without a newline reaches the live log as well.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and hands out each line that they complete, without its newline.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' {
                self.flush(&mut line);
            } else {
                self.partial.push(byte);
                if self.partial.len() >= LINE_BYTES_MAX {
                    self.flush(&mut line);
                }
            }
        }
    }

    /// Hands out the last line, which no newline ended.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            self.flush(&mut line);
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.partial);
        line(text.strip_suffix('\r').unwrap_or(&text));
        self.partial.clear();
    }
}

/// A log of lines of which the first and the last half are kept.
pub struct KeptLog {
    half: usize,
    first: String,
    first_full: bool,
    last: VecDeque<String>,
    last_bytes: usize,
    left_out_lines: u64,
    left_out_bytes: u64,
}

impl KeptLog {
    /// A log that keeps at most about `bytes` bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            half: bytes / 2,
            first: String::new(),
            first_full: false,
            last: VecDeque::new(),
            last_bytes: 0,
            left_out_lines: 0,
            left_out_bytes: 0,
        }
    }

    /// Adds one line, given without its newline.
    pub fn push(&mut self, line: &str) {
        let bytes = line.len() + 1;
        if !self.first_full && self.first.len() + bytes <= self.half {
            self.first.push_str(line);
            self.first.push('\n');
            return;
        }
        self.first_full = true;
        self.last.push_back(line.to_owned());
        self.last_bytes += bytes;
        while self.last_bytes > self.half {
            let Some(dropped) = self.last.pop_front() else { break };
            self.last_bytes -= dropped.len() + 1;
            self.left_out_lines += 1;
            self.left_out_bytes += dropped.len() as u64 + 1;
        }
    }

    /// The log as one text, with a line in the middle where something was left out.
    #[must_use]
    pub fn into_text(self) -> String {
        let mut text = self.first;
        if self.left_out_lines > 0 {
            text.push_str(&format!(
                "[countersign: {} lines ({} bytes) left out here]\n",
                self.left_out_lines, self.left_out_bytes
            ));
        }
        for line in self.last {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| seen.push(line.to_owned()));
        }
        lines.finish(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        assert_eq!(lines_of(&[b"one\ntw", b"o\r\nthree"]), ["one", "two", "three"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let flood = vec![b'x'; LINE_BYTES_MAX * 2 + 1];
        let lines = lines_of(&[&flood]);
        assert_eq!(
            lines.iter().map(String::len).collect::<Vec<_>>(),
            [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]
        );
    }

    #[test]
    fn a_short_log_is_kept_whole() {
        let mut log = KeptLog::new(100);
        log.push("a");
        log.push("b");
        assert_eq!(log.into_text(), "a\nb\n");
    }

    #[test]
    fn a_long_log_keeps_both_ends_and_says_what_is_missing() {
        let mut log = KeptLog::new(20);
        for n in 0..100 {
            log.push(&format!("line{n:02}"));
        }
        assert_eq!(
            log.into_text(),
            "line00\n[countersign: 98 lines (686 bytes) left out here]\nline99\n"
        );
    }

    #[test]
    fn a_line_longer_than_a_half_is_left_out_and_counted() {
        let mut log = KeptLog::new(20);
        log.push("a");
        log.push(&"x".repeat(50));
        log.push("end");
        assert_eq!(log.into_text(), "a\n[countersign: 1 lines (51 bytes) left out here]\nend\n");
    }
}
