//! What a reader of a diff sees, and what an attacker's file cannot do to him.

use std::fmt::Write;

use super::*;

fn shown(staged: &str, rebuilt: &str) -> String {
    unified(Some(staged.as_bytes()), Some(rebuilt.as_bytes())).to_unified_text("a.js")
}

fn text(diff: FileDiff) -> TextDiff {
    match diff {
        FileDiff::Text(diff) => diff,
        FileDiff::Binary(_) | FileDiff::TooLarge(_) => panic!("no text: {diff:?}"),
    }
}

fn numbered(range: std::ops::RangeInclusive<usize>) -> String {
    range.fold(String::new(), |mut all, n| {
        writeln!(all, "line {n}").unwrap();
        all
    })
}

#[test]
fn a_staged_line_is_added_and_a_rebuilt_one_removed() {
    let rebuilt = numbered(1..=9);
    let staged = rebuilt.replace("line 5\n", "line five\nsteal(process.env)\n");
    let expected = "--- rebuilt/a.js\n+++ staged/a.js\n@@ -2,7 +2,8 @@\n line 2\n line 3\n line 4\n\
                    -line 5\n+line five\n+steal(process.env)\n line 6\n line 7\n line 8\n";
    assert_eq!(shown(&staged, &rebuilt), expected);
}

#[test]
fn equal_files_have_no_hunks() {
    assert!(text(unified(Some(b"a\n"), Some(b"a\n"))).hunks.is_empty());
}

#[test]
fn a_file_on_one_side_is_shown_whole() {
    let added = unified(Some(b"one\ntwo"), None);
    assert_eq!(
        added.to_unified_text("b.js"),
        "--- /dev/null\n+++ staged/b.js\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"
    );
    let missing = unified(None, Some(b"one\n"));
    assert_eq!(
        missing.to_unified_text("b.js"),
        "--- rebuilt/b.js\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n"
    );
    let empty = unified(Some(b""), None).to_unified_text("b.js");
    assert_eq!(empty, "--- /dev/null\n+++ staged/b.js\n");
}

#[test]
fn a_changed_word_is_stressed_and_nothing_else() {
    let diff = text(unified(Some(b"let a = foo(1);\n"), Some(b"let a = bar(1);\n")));
    let stressed: Vec<(Side, &str)> = diff.hunks[0]
        .lines
        .iter()
        .flat_map(|line| line.pieces.iter().map(move |piece| (line.side, piece)))
        .filter(|(_, piece)| piece.stressed)
        .map(|(side, piece)| (side, piece.text.as_str()))
        .collect();
    assert_eq!(stressed, [(Side::Rebuilt, "bar"), (Side::Staged, "foo")]);
}

#[test]
fn lines_that_have_little_in_common_are_not_stressed() {
    let diff = text(unified(Some(b"completely other words here\n"), Some(b"x = 1;\n")));
    let pieces = diff.hunks[0].lines.iter().flat_map(|line| &line.pieces);
    assert!(pieces.clone().count() > 0 && pieces.clone().all(|piece| !piece.stressed));
}

#[test]
fn a_change_in_a_long_line_is_found_and_the_rest_of_it_cut() {
    let minified =
        |middle: &str| format!("{}{middle}{}", "a=1;".repeat(2_000), "b=2;".repeat(2_000));
    let diff =
        text(unified(Some(minified("evil()").as_bytes()), Some(minified("good").as_bytes())));
    let added = &diff.hunks[0].lines[1];
    let pieces: Vec<(usize, bool, usize)> = added
        .pieces
        .iter()
        .map(|piece| (piece.text.chars().count(), piece.stressed, piece.left_out))
        .collect();
    assert_eq!(pieces, [(0, false, 7_600), (400, false, 0), (6, true, 0), (400, false, 7_600)]);
    assert_eq!(added.pieces[2].text, "evil()");
}

#[test]
fn a_line_s_pieces_are_the_line_whatever_its_opposite() {
    let lines =
        ["", "a", "aa", "let x = 1;", "let xy = 1;", "ä ö ü", "  a  b", "a.b(c)", "日本語 text"];
    for one in lines {
        for other in lines {
            let whole: String =
                pieces::stressed(one, other).iter().map(|piece| piece.text.as_str()).collect();
            assert_eq!(whole, one, "against {other}");
            let by_ends = pieces::stressed(&one.repeat(700), &other.repeat(700));
            let length: usize =
                by_ends.iter().map(|piece| piece.text.chars().count() + piece.left_out).sum();
            assert_eq!(length, one.chars().count() * 700, "{one} against {other}");
        }
    }
}

#[test]
fn a_diff_is_cut_at_its_bound_and_says_what_is_left_out() {
    let diff = text(unified(Some(numbered(1..=5_000).as_bytes()), None));
    let lines: usize = diff.hunks.iter().map(|hunk| hunk.lines.len()).sum();
    assert_eq!((lines, diff.lines_left_out), (DIFF_LINES_MAX, 5_000 - DIFF_LINES_MAX));
    assert_eq!(diff.hunks[0].staged, LineRange { start: 1, count: DIFF_LINES_MAX });
    let text = FileDiff::Text(diff).to_unified_text("a.js");
    assert!(text.ends_with("… 3000 more lines are left out\n"));
}

#[test]
fn what_is_no_text_is_shown_by_its_size() {
    let diff = unified(Some(b"\0\x01"), Some(b"text\n"));
    assert_eq!(diff, FileDiff::Binary(Sizes { staged: Some(2), rebuilt: Some(5) }));
    assert_eq!(
        diff.to_unified_text("a.wasm"),
        "a.wasm is no text: staged 2 bytes, rebuilt 5 bytes.\n"
    );
    let large = vec![b'a'; usize::try_from(DIFF_BYTES_MAX).unwrap() + 1];
    let diff = unified(Some(&large), None);
    assert!(matches!(diff, FileDiff::TooLarge(_)));
    assert_eq!(
        diff.to_unified_text("a.js"),
        "a.js has more than 524288 bytes: staged 524289 bytes, rebuilt absent.\n"
    );
}

#[test]
fn bytes_that_are_no_text_are_written_out_and_never_pass_for_equal() {
    let latin = unified(Some(b"caf\xe9\n"), Some(b"cafe\n"));
    assert!(latin.to_unified_text("a.txt").contains("+caf\\xe9\n"));
    let pretended = unified(Some(b"caf\xe9\n"), Some(b"caf\\xe9\n"));
    assert!(matches!(pretended, FileDiff::Binary(_)));
}

#[test]
fn a_file_cannot_draw_on_a_terminal_or_turn_a_line() {
    let text = shown("ok\x1b[1A\x1b[2K // \u{202e}live\r\n\u{200b}\n", "ok\n");
    for character in text.chars() {
        assert!(character == '\n' || !character.is_control(), "{character:?}");
    }
    assert!(text.contains("+ok\\u{1b}[1A\\u{1b}[2K // \\u{202e}live\\r\n"), "{text}");
    assert!(text.contains("+\\u{200b}\n"), "{text}");
    let name = unified(Some(b"\0"), None).to_unified_text("a\x1b]0;x\x07.js");
    assert!(name.starts_with("a\\u{1b}]0;x\\u{7}.js is no text"), "{name}");
}

#[test]
fn other_line_ends_are_seen() {
    assert!(shown("a\r\n", "a\n").contains("-a\n+a\\r\n"));
    assert!(shown("a", "a\n").contains("-a\n+a\n\\ No newline at end of file\n"));
}

#[test]
fn a_change_among_very_many_lines_is_found_between_its_equal_neighbours() {
    let rebuilt = numbered(1..=DIFF_ALIGNED_LINES_MAX / 2 + 1);
    let staged = rebuilt.replace("line 20000\n", "line 20000\nevil\n");
    let diff = text(unified(Some(staged.as_bytes()), Some(rebuilt.as_bytes())));
    let lines: Vec<(Side, &str)> = diff.hunks[0]
        .lines
        .iter()
        .map(|line| (line.side, line.pieces.first().map_or("", |piece| piece.text.as_str())))
        .collect();
    let context = |n| (Side::Both, n);
    let expected = [
        context("line 19998"),
        context("line 19999"),
        context("line 20000"),
        (Side::Staged, "evil"),
        context("line 20001"),
        context("line 20002"),
        context("line 20003"),
    ];
    assert_eq!((diff.hunks.len(), lines.as_slice()), (1, expected.as_slice()));
    assert!(text(unified(Some(rebuilt.as_bytes()), Some(rebuilt.as_bytes()))).hunks.is_empty());
}

#[test]
fn the_hardest_contents_of_the_largest_size_are_compared_in_bounds() {
    let size = usize::try_from(DIFF_BYTES_MAX).unwrap();
    let of = |alphabet: &[u8], seed: u64| {
        let mut state = seed;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]
        };
        (0..size).map(next).collect::<Vec<u8>>()
    };
    for alphabet in [b"a\n".as_slice(), b"\n", b"ab\n", b"abcdefgh \n", b"ab "] {
        let diff = text(unified(Some(&of(alphabet, 1)), Some(&of(alphabet, 2))));
        let lines: usize = diff.hunks.iter().map(|hunk| hunk.lines.len()).sum();
        assert!(lines <= DIFF_LINES_MAX);
    }
}

#[test]
fn a_diff_survives_its_json() {
    for diff in [unified(Some(b"let a = 1;\nb"), Some(b"let a = 2;\n")), unified(Some(b"\0"), None)]
    {
        let json = serde_json::to_string(&diff).unwrap();
        assert_eq!(serde_json::from_str::<FileDiff>(&json).unwrap(), diff, "{json}");
    }
}
