//! The header `npm-notice`, which npm 11 prints as `npm notice …` on success and error alike: the best place for a
//! verdict and a link. What is said in it is decided elsewhere.

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};

/// The header's name.
const NPM_NOTICE: HeaderName = HeaderName::from_static("npm-notice");
/// A terminal shows no more on a few lines.
const NOTICE_CHARACTERS_MAX: usize = 500;

/// The answer with this notice. Node reads headers as Latin-1, so what is not plain ASCII is spelt in it.
pub(super) fn with_notice(mut answer: Response, text: &str) -> Response {
    let value = HeaderValue::from_str(&one_printable_line(text));
    if let Ok(value) = value.map_err(|_| "printable ASCII is a header's value") {
        answer.headers_mut().insert(NPM_NOTICE, value);
    }
    answer
}

fn one_printable_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().take(NOTICE_CHARACTERS_MAX) {
        match c {
            '“' | '”' => line.push('"'),
            '‘' | '’' => line.push('\''),
            '–' | '—' => line.push('-'),
            '…' => line.push_str("..."),
            c if c.is_whitespace() => line.push(' '),
            c if c.is_ascii_graphic() => line.push(c),
            _ => line.push('?'),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn notice(text: &str) -> String {
        let answer = with_notice("".into_response(), text);
        answer.headers()[NPM_NOTICE].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_notice_is_one_printable_line_whatever_is_said() {
        assert_eq!(notice("“a”\nb…\r\nc — \u{7}ü"), "\"a\" b...  c - ??");
        assert_eq!(notice(&"x".repeat(9_000)).len(), NOTICE_CHARACTERS_MAX);
    }
}
