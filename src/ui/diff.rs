//! A file's difference as rows of a page: what the rebuild makes against what is staged. It lays out what the core found
//! and looks at no content itself.

use countersign_core::{
    diff::{FileDiff, Hunk, Line, Piece, Side, Sizes},
    limits,
};

use super::{address, words};

/// What a row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RowKind {
    /// In both files.
    Same,
    /// Only in the staged file.
    Staged,
    /// Only in the rebuilt file.
    Rebuilt,
    /// A run of lines that is not shown.
    Fold,
}

impl RowKind {
    /// The class of the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Staged => "staged",
            Self::Rebuilt => "rebuilt",
            Self::Fold => "fold",
        }
    }

    /// The sign before the line.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Same | Self::Fold => "",
            Self::Staged => "+",
            Self::Rebuilt => "−",
        }
    }
}

/// One row.
#[derive(Clone)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) kind: RowKind,
    /// The line's number in the rebuilt file.
    pub(crate) rebuilt_line: String,
    /// The line's number in the staged file.
    pub(crate) staged_line: String,
    /// The line, or what a fold says.
    pub(crate) pieces: Vec<Piece>,
    /// What is to be known of the line beside its text.
    pub(crate) remark: &'static str,
}

/// A file's difference, ready for the page.
pub(crate) struct DiffView {
    /// The file.
    pub(crate) path: String,
    /// The page that shows all of it.
    pub(crate) href: String,
    /// The rows; none where it is not shown as text.
    pub(crate) rows: Vec<Row>,
    /// Why there are no rows, or which are left out.
    pub(crate) remark: String,
}

impl DiffView {
    /// The rows of this difference of this stage's file.
    pub(crate) fn of(id: &str, path: &str, diff: &FileDiff) -> Self {
        let (rows, remark) = match diff {
            FileDiff::Text(text) => {
                (rows(&text.hunks), text_remark(text.sizes, &text.hunks, text.lines_left_out))
            }
            FileDiff::Binary(sizes) => {
                (Vec::new(), format!("It is not shown as text: {}.", sizes_words(*sizes)))
            }
            FileDiff::TooLarge(sizes) => {
                let most = words::bytes(limits::DIFF_BYTES_MAX);
                (Vec::new(), format!("It is larger than {most}: {}.", sizes_words(*sizes)))
            }
        };
        Self { path: path.to_owned(), href: address::file(id, path), rows, remark }
    }

    /// The same with at most so many rows, for where it stands among other things.
    #[must_use]
    pub(crate) fn shortened(mut self, rows_max: usize) -> Self {
        let more = self.rows.len().saturating_sub(rows_max);
        if more > 0 {
            self.rows.truncate(rows_max);
            let rest = words::counted(more as u64, "more line", "more lines");
            self.remark = format!("{rest} on the page of the file.");
        }
        self
    }
}

fn text_remark(sizes: Sizes, hunks: &[Hunk], left_out: usize) -> String {
    let missing = if sizes.staged.is_none() { "The staged tarball does not hold it. " } else { "" };
    let added = if sizes.rebuilt.is_none() { "The rebuild does not make it. " } else { "" };
    let rest = match (left_out, hunks.is_empty()) {
        (0, true) if sizes.staged.is_some() && sizes.rebuilt.is_some() => {
            "Its content is the same on both sides.".to_owned()
        }
        (0, true) => "It is empty.".to_owned(),
        (0, false) => String::new(),
        (_, _) => {
            format!(
                "{} not shown.",
                words::counted(left_out as u64, "more line is", "more lines are")
            )
        }
    };
    format!("{missing}{added}{rest}").trim_end().to_owned()
}

fn sizes_words(sizes: Sizes) -> String {
    let side = |bytes: Option<u64>| bytes.map_or_else(|| "not there".to_owned(), words::bytes);
    format!("staged {}, rebuilt {}", side(sizes.staged), side(sizes.rebuilt))
}

fn rows(hunks: &[Hunk]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut next_line = 1;
    for hunk in hunks {
        // Of no lines, `start` is the line before them.
        let start =
            if hunk.rebuilt.count == 0 { hunk.rebuilt.start + 1 } else { hunk.rebuilt.start };
        let same = start.saturating_sub(next_line);
        if same > 0 {
            rows.push(fold(same));
        }
        rows.extend(hunk.lines.iter().map(row));
        next_line = start + hunk.rebuilt.count;
    }
    rows
}

fn fold(lines: usize) -> Row {
    let text = format!("{} the same", words::counted(lines as u64, "line", "lines"));
    Row {
        kind: RowKind::Fold,
        rebuilt_line: String::new(),
        staged_line: String::new(),
        pieces: vec![Piece { text, stressed: false, left_out: 0 }],
        remark: "",
    }
}

fn row(line: &Line) -> Row {
    let number = |line: Option<usize>| line.map_or_else(String::new, |line| line.to_string());
    Row {
        kind: match line.side {
            Side::Both => RowKind::Same,
            Side::Rebuilt => RowKind::Rebuilt,
            Side::Staged => RowKind::Staged,
        },
        rebuilt_line: number(line.rebuilt),
        staged_line: number(line.staged),
        pieces: line.pieces.clone(),
        remark: if line.without_newline { "no line end here" } else { "" },
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::diff::unified;

    use super::*;

    fn shown(staged: Option<&[u8]>, rebuilt: Option<&[u8]>) -> (Vec<String>, String) {
        let view = DiffView::of("id", "x.js", &unified(staged, rebuilt));
        let text = |row: &Row| {
            let pieces: String = row.pieces.iter().map(|piece| piece.text.as_str()).collect();
            format!("{}|{}|{}|{pieces}", row.rebuilt_line, row.staged_line, row.kind.sign())
        };
        (view.rows.iter().map(text).collect(), view.remark)
    }

    #[test]
    fn lines_that_are_the_same_are_counted_where_they_are_left_out() {
        let rebuilt: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let staged = rebuilt.replace("line 10\n", "line 10\nadded\n");
        let (rows, remark) = shown(Some(staged.as_bytes()), Some(rebuilt.as_bytes()));
        assert_eq!(rows[0], "|||7 lines the same");
        assert_eq!(rows[1], "8|8||line 8");
        assert_eq!(rows[4], "|11|+|added");
        assert_eq!(remark, "");
    }

    #[test]
    fn a_file_of_one_side_is_shown_whole_and_says_so() {
        let (rows, remark) = shown(Some(b"one\ntwo\n"), None);
        assert_eq!(rows, ["|1|+|one", "|2|+|two"]);
        assert_eq!(remark, "The rebuild does not make it.");
        let (rows, remark) = shown(None, Some(b"one\n"));
        assert_eq!(rows, ["1||−|one"]);
        assert_eq!(remark, "The staged tarball does not hold it.");
    }

    #[test]
    fn what_is_no_text_is_told_by_its_sizes() {
        let (rows, remark) = shown(Some(b"\0\x01"), Some(b"\0"));
        assert!(rows.is_empty());
        assert_eq!(remark, "It is not shown as text: staged 2 B, rebuilt 1 B.");
        let (_, remark) = shown(Some(b"same"), Some(b"same"));
        assert_eq!(remark, "Its content is the same on both sides.");
    }
}
