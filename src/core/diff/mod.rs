//! The lines in which two contents of one file differ, for a page and for a terminal: what the staged file has beside
//! the rebuilt one. It knows bytes and lines, nothing of archives or verdicts. Nothing that comes out of it can draw on a
//! terminal or turn the direction of a page: see [`visible`].

mod pieces;
mod text;
pub mod visible;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffOp};

pub use pieces::Piece;

use crate::limits::{DIFF_ALIGNED_LINES_MAX, DIFF_BYTES_MAX, DIFF_LINES_MAX};

/// Unchanged lines that are shown around a change.
const CONTEXT_LINES: usize = 3;

/// How a file differs. The rebuilt file stands on the old side (−), the staged one on the new side (+): what is added is
/// what somebody wants to publish beside what the source gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum FileDiff {
    /// Both are text.
    Text(TextDiff),
    /// One of them is no text, or they differ only in bytes that are none.
    Binary(Sizes),
    /// One of them is larger than [`DIFF_BYTES_MAX`].
    TooLarge(Sizes),
}

/// The lengths of the two contents; none where the file is absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sizes {
    /// Bytes of the staged file.
    pub staged: Option<u64>,
    /// Bytes of the rebuilt file.
    pub rebuilt: Option<u64>,
}

/// The changed lines of a text, with some around them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TextDiff {
    /// Which of the two files there are.
    pub sizes: Sizes,
    /// The changed places, in order.
    pub hunks: Vec<Hunk>,
    /// Lines of further hunks, beyond [`DIFF_LINES_MAX`], that are not shown.
    pub lines_left_out: usize,
}

/// One changed place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hunk {
    /// Where it stands in the rebuilt file.
    pub rebuilt: LineRange,
    /// Where it stands in the staged file.
    pub staged: LineRange,
    /// Its lines; removed ones before added ones.
    pub lines: Vec<Line>,
}

/// Some lines of a file, as a unified diff counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LineRange {
    /// The first line, from 1; of no lines, the line before them.
    pub start: usize,
    /// How many lines.
    pub count: usize,
}

/// One line of a hunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Which of the two files it stands in.
    pub side: Side,
    /// Its number in the rebuilt file, from 1.
    pub rebuilt: Option<usize>,
    /// Its number in the staged file, from 1.
    pub staged: Option<usize>,
    /// Its text without the newline, in pieces of which some are stressed.
    pub pieces: Vec<Piece>,
    /// Whether the file ends here without a newline.
    pub without_newline: bool,
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// In both files.
    Both,
    /// Only in the rebuilt file: removed (−).
    Rebuilt,
    /// Only in the staged file: added (+).
    Staged,
}

impl Side {
    /// The sign of a unified diff.
    pub const fn sign(self) -> char {
        match self {
            Self::Both => ' ',
            Self::Rebuilt => '-',
            Self::Staged => '+',
        }
    }
}

/// How the staged content differs from the rebuilt one. An absent file has no lines.
pub fn unified(staged: Option<&[u8]>, rebuilt: Option<&[u8]>) -> FileDiff {
    let length = |content: Option<&[u8]>| content.map(|bytes| bytes.len() as u64);
    let sizes = Sizes { staged: length(staged), rebuilt: length(rebuilt) };
    if sizes.staged.max(sizes.rebuilt).unwrap_or(0) > DIFF_BYTES_MAX {
        return FileDiff::TooLarge(sizes);
    }
    let (Some(staged_text), Some(rebuilt_text)) = (text_of(staged), text_of(rebuilt)) else {
        return FileDiff::Binary(sizes);
    };
    let diff = text_diff(sizes, &rebuilt_text, &staged_text);
    if diff.hunks.is_empty()
        && staged != rebuilt
        && sizes.staged.is_some()
        && sizes.rebuilt.is_some()
    {
        return FileDiff::Binary(sizes);
    }
    FileDiff::Text(diff)
}

/// The content as text; none where a NUL says that it is none. Single bytes that are no UTF-8 are written out.
fn text_of(content: Option<&[u8]>) -> Option<String> {
    let bytes = content.unwrap_or_default();
    if bytes.contains(&0) {
        return None;
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Some(text)
}

fn text_diff(sizes: Sizes, rebuilt: &str, staged: &str) -> TextDiff {
    let rebuilt: Vec<&str> = rebuilt.split_inclusive('\n').collect();
    let staged: Vec<&str> = staged.split_inclusive('\n').collect();
    let ops = operations(&rebuilt, &staged);
    let mut diff = TextDiff { sizes, hunks: Vec::new(), lines_left_out: 0 };
    let mut room = DIFF_LINES_MAX;
    for group in similar::group_diff_ops(ops, CONTEXT_LINES) {
        let hunk = hunk(&group, &rebuilt, &staged, room);
        let all = group.iter().map(lines_of).sum::<usize>();
        diff.lines_left_out += all - hunk.lines.len();
        room -= hunk.lines.len();
        if !hunk.lines.is_empty() {
            diff.hunks.push(hunk);
        }
    }
    diff
}

/// What turns the rebuilt lines into the staged ones. This Myers gives up the shortest script on hard inputs, and with the
/// bound on lines its time stays small without a clock.
fn operations(rebuilt: &[&str], staged: &[&str]) -> Vec<DiffOp> {
    if rebuilt.len() + staged.len() <= DIFF_ALIGNED_LINES_MAX {
        return similar::capture_diff_slices(Algorithm::Myers, rebuilt, staged);
    }
    let equal = |(a, b): &(&&str, &&str)| a == b;
    let head = rebuilt.iter().zip(staged).take_while(equal).count();
    let backwards = rebuilt[head..].iter().rev().zip(staged[head..].iter().rev());
    let tail = backwards.take_while(equal).count();
    let (old_len, new_len) = (rebuilt.len() - head - tail, staged.len() - head - tail);
    let middle = match (old_len, new_len) {
        (0, 0) => return vec![DiffOp::Equal { old_index: 0, new_index: 0, len: head + tail }],
        (_, _) => DiffOp::Replace { old_index: head, old_len, new_index: head, new_len },
    };
    let after = DiffOp::Equal { old_index: head + old_len, new_index: head + new_len, len: tail };
    vec![DiffOp::Equal { old_index: 0, new_index: 0, len: head }, middle, after]
}

/// How many lines an operation gives.
fn lines_of(op: &DiffOp) -> usize {
    match *op {
        DiffOp::Equal { len, .. } => len,
        DiffOp::Delete { old_len, .. } => old_len,
        DiffOp::Insert { new_len, .. } => new_len,
        DiffOp::Replace { old_len, new_len, .. } => old_len + new_len,
    }
}

/// One hunk, of at most `room` lines. Its ranges count the lines that are shown, so that the text stays a right unified
/// diff.
fn hunk(group: &[DiffOp], rebuilt: &[&str], staged: &[&str], room: usize) -> Hunk {
    let mut lines: Vec<Line> = Vec::new();
    for op in group {
        let left = room - lines.len();
        lines.extend(op_lines(op, rebuilt, staged, left));
    }
    let first = group.first();
    let range = |at: usize, number: fn(&Line) -> Option<usize>| {
        let count = lines.iter().filter(|line| number(line).is_some()).count();
        LineRange { start: if count == 0 { at } else { at + 1 }, count }
    };
    let rebuilt = range(first.map_or(0, |op| op.old_range().start), |line| line.rebuilt);
    let staged = range(first.map_or(0, |op| op.new_range().start), |line| line.staged);
    Hunk { rebuilt, staged, lines }
}

fn op_lines(op: &DiffOp, rebuilt: &[&str], staged: &[&str], room: usize) -> Vec<Line> {
    let (old, new) = (op.old_range(), op.new_range());
    if let DiffOp::Equal { .. } = op {
        let both = old.zip(new).take(room);
        return both.map(|(r, s)| line(Side::Both, Some(r), Some(s), rebuilt[r], None)).collect();
    }
    // The first removed line stands opposite to the first added one, and so on: where they are alike, the words in which
    // they differ are stressed.
    let opposite = |text: &[&str], at: usize, range: &std::ops::Range<usize>| {
        range.clone().nth(at).map(|index| text[index].to_owned())
    };
    let removed = old.clone().enumerate().take(room).map(|(n, r)| {
        let other = opposite(staged, n, &new);
        line(Side::Rebuilt, Some(r), None, rebuilt[r], other.as_deref())
    });
    let mut lines: Vec<Line> = removed.collect();
    let added = new.clone().enumerate().take(room - lines.len()).map(|(n, s)| {
        let other = opposite(rebuilt, n, &old);
        line(Side::Staged, None, Some(s), staged[s], other.as_deref())
    });
    lines.extend(added);
    lines
}

fn line(
    side: Side,
    rebuilt: Option<usize>,
    staged: Option<usize>,
    text: &str,
    opposite: Option<&str>,
) -> Line {
    let bare = |text: &'_ str| text.strip_suffix('\n').unwrap_or(text).to_owned();
    let pieces = match opposite {
        Some(other) => pieces::stressed(&bare(text), &bare(other)),
        None => pieces::plain(&bare(text)),
    };
    let from_one = |index: Option<usize>| index.map(|index| index + 1);
    Line {
        side,
        rebuilt: from_one(rebuilt),
        staged: from_one(staged),
        pieces,
        without_newline: !text.ends_with('\n'),
    }
}
