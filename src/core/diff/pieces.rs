//! One line in pieces, some of them stressed: the words in which it differs from the line opposite to it. Long pieces are
//! cut, and say so. It knows one line and its opposite.

use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffOp};

use super::visible::escaped;

/// Lines up to this length are compared word by word; of longer ones, such as minified code, only the beginning and the
/// end that are equal are told from the middle. Word by word the work grows with the square of the length.
const WORDS_BYTES_MAX: usize = 600;
/// Where less of two lines is equal, stressing words says nothing, and neither is stressed.
const ALIKE_RATIO_MIN: f32 = 0.4;
/// Unstressed text is cut to so many characters: enough to find the place.
const PLAIN_CHARS_MAX: usize = 400;
/// Stressed text is what the reader has come for.
const STRESSED_CHARS_MAX: usize = 4_000;

/// A part of a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Piece {
    /// Its text, with everything that does not draw itself written out.
    pub text: String,
    /// Whether the line differs here from the one opposite to it.
    pub stressed: bool,
    /// Characters after `text` that are not shown.
    pub left_out: usize,
}

/// The whole line, nothing stressed.
pub(super) fn plain(text: &str) -> Vec<Piece> {
    cut([(false, text)])
}

/// The line with those parts stressed in which it differs from the other.
pub(super) fn stressed(text: &str, other: &str) -> Vec<Piece> {
    if text.len().max(other.len()) > WORDS_BYTES_MAX {
        return cut(by_ends(text, other));
    }
    let (words, others) = (words(text), words(other));
    let ops = similar::capture_diff_slices(Algorithm::Myers, &words, &others);
    if similar::diff_ratio(&ops, words.len(), others.len()) < ALIKE_RATIO_MIN {
        return plain(text);
    }
    let mut at = 0;
    let parts = ops.iter().filter_map(|op| {
        let length: usize = words[op.old_range()].iter().map(|word| word.len()).sum();
        let part = &text[at..at + length];
        at += length;
        (length > 0).then_some((!matches!(op, DiffOp::Equal { .. }), part))
    });
    cut(parts)
}

/// Runs of letters, digits and underscores, and every other character by itself: the words of code.
fn words(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

/// The equal beginning, the differing middle, the equal end.
fn by_ends<'a>(text: &'a str, other: &str) -> [(bool, &'a str); 3] {
    let equal = |(a, b): &(char, char)| a == b;
    let head: usize =
        text.chars().zip(other.chars()).take_while(equal).map(|(c, _)| c.len_utf8()).sum();
    let (begin, rest) = text.split_at(head);
    let backwards = rest.chars().rev().zip(other[head..].chars().rev());
    let tail: usize = backwards.take_while(equal).map(|(c, _)| c.len_utf8()).sum();
    let (middle, end) = rest.split_at(rest.len() - tail);
    [(false, begin), (true, middle), (false, end)]
}

/// Cuts what is long. Of plain text before a stressed part the end is kept, of all else the beginning.
fn cut<'a>(parts: impl IntoIterator<Item = (bool, &'a str)>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let parts: Vec<(bool, &str)> = parts.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    for (index, &(stressed, text)) in parts.iter().enumerate() {
        let most = if stressed { STRESSED_CHARS_MAX } else { PLAIN_CHARS_MAX };
        let left_out = text.chars().count().saturating_sub(most);
        let leads = !stressed && index == 0 && parts.len() > 1;
        if left_out == 0 {
            pieces.push(piece(text, stressed, 0));
        } else if leads {
            pieces.push(piece("", false, left_out));
            pieces.push(piece(&text[chars_end(text, left_out)..], false, 0));
        } else {
            pieces.push(piece(&text[..chars_end(text, most)], stressed, left_out));
        }
    }
    pieces
}

/// The byte after so many characters.
fn chars_end(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

fn piece(text: &str, stressed: bool, left_out: usize) -> Piece {
    Piece { text: escaped(text).into_owned(), stressed, left_out }
}
