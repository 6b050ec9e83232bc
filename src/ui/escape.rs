//! The one escaper of every page: what HTML would read as markup is escaped, and what an eye would not see (controls,
//! bidirectional marks, invisible characters) is written out, as the core says for every output. Line ends stay.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html, Safe};
use countersign_core::diff::visible::escaped;

/// The escaper that `askama.toml` names for all templates.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                dest.write_char('\n')?;
            }
            Html.write_escaped_str(&mut dest, &escaped(line))?;
        }
        Ok(())
    }
}

/// The text as markup, with every pair of back-ticks as a code span: the form of messages, fixes and sentences.
pub(crate) fn prose(text: &str) -> Safe<String> {
    let parts: Vec<&str> = text.split('`').collect();
    let closed = parts.len() % 2 == 1;
    let mut markup = String::with_capacity(text.len() + 32);
    for (index, part) in parts.iter().enumerate() {
        let code = closed && index % 2 == 1;
        // A lone back-tick stays what it is.
        markup.push_str(match (code, index > 0 && !closed) {
            (true, _) => "<code>",
            (false, true) => "`",
            (false, false) => "",
        });
        write_visible(&mut markup, part);
        if code {
            markup.push_str("</code>");
        }
    }
    Safe(markup)
}

fn write_visible(markup: &mut String, text: &str) {
    Visible.write_escaped_str(markup, text).expect("writing to a String cannot fail");
}

/// The text as it stands in a page.
pub(crate) fn visible(text: &str) -> String {
    let mut markup = String::with_capacity(text.len());
    write_visible(&mut markup, text);
    markup
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_in_text_and_in_attributes() {
        assert_eq!(
            visible(r#"<script>"a" & 'b'</script>"#),
            "&#60;script&#62;&#34;a&#34; &#38; &#39;b&#39;&#60;/script&#62;"
        );
    }

    #[test]
    fn what_an_eye_does_not_see_is_written_out() {
        assert_eq!(visible("a\u{202e}b\u{200b}c"), r"a\u{202e}b\u{200b}c");
        assert_eq!(visible("\u{1b}[31m\r\0"), r"\u{1b}[31m\r\u{0}");
        assert_eq!(visible("x\u{fe01}\u{e0041}"), r"x\u{fe01}\u{e0041}");
        assert_eq!(visible("tab\tline\nÄ日本🎉"), "tab\tline\nÄ日本🎉");
    }

    #[test]
    fn back_ticks_become_code_spans_and_stay_escaped() {
        assert_eq!(prose("`a<b` is new").0, "<code>a&#60;b</code> is new");
        assert_eq!(prose("one ` alone <b>").0, "one ` alone &#60;b&#62;");
        assert_eq!(prose("``").0, "<code></code>");
        assert_eq!(prose("`a` and `b\u{202e}`").0, r"<code>a</code> and <code>b\u{202e}</code>");
    }
}
