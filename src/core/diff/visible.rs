//! Text from a package as it may be shown: what does not draw itself is written out. An attacker's file must neither move
//! a terminal's cursor nor turn the direction of a line nor hide a character.

use std::borrow::Cow;

use crate::archive::is_plain;

/// Writes out every character that a reader would not see as what it is, as `\u{202e}`. Tabs stay.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_visible(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    Cow::Owned(shown)
}

/// A tab, or a character that draws itself: no control character, no turn of direction, and none that is invisible.
fn is_visible(character: char) -> bool {
    character == '\t' || (is_plain(character) && !is_invisible(character))
}

/// Characters without a shape of their own (Unicode's `Default_Ignorable_Code_Point`, and the space that fills).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_draws_itself_stays_and_all_else_is_written_out() {
        for text in ["", "let a = 1;\t// ä 日本 🎉", "\\u{1b}", "  "] {
            assert!(matches!(escaped(text), Cow::Borrowed(_)), "{text}");
        }
        for (text, shown) in [
            ("\x1b[2J", "\\u{1b}[2J"),
            ("a\rb", "a\\rb"),
            ("\u{202e}x\u{2066}", "\\u{202e}x\\u{2066}"),
            ("a\u{200b}b\u{ad}", "a\\u{200b}b\\u{ad}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{2028}\u{feff}\u{e0041}\u{fe0f}", "\\u{2028}\\u{feff}\\u{e0041}\\u{fe0f}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }
}
