//! The one byte form of a JSON value (RFC 8785, JSON Canonicalization Scheme), so that a digest over it is the same
//! for everybody. It knows nothing of what the value means.

use serde::Serialize;
use serde_json::Value;

use crate::artifact::Sha256;

/// SHA-256 over the canonical form of a value of ours.
pub fn digest<T: Serialize>(value: &T) -> Sha256 {
    let value =
        serde_json::to_value(value).expect("our own types have string keys and finite numbers");
    Sha256::of(to_text(&value).as_bytes())
}

/// The canonical text of a JSON value.
pub fn to_text(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Number(number) => write_number(number, out),
        Value::Array(items) => write_list(items.iter(), '[', ']', out, write),
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            // RFC 8785, 3.2.3: by UTF-16 code units, which differs from UTF-8 order beyond the basic plane.
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            write_list(members.into_iter(), '{', '}', out, |(key, item), out| {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(item, out);
            });
        }
    }
}

fn write_list<T>(
    items: impl Iterator<Item = T>,
    open: char,
    close: char,
    out: &mut String,
    each: impl Fn(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

/// Numbers as ECMAScript prints them (RFC 8785, 3.2.2.3). Integers that a double cannot hold exactly keep their digits,
/// since two different integers must not share a digest.
fn write_number(number: &serde_json::Number, out: &mut String) {
    match number.as_f64().filter(|_| number.is_f64()) {
        None => out.push_str(&number.to_string()),
        Some(0.0) => out.push('0'),
        Some(double) => write_double(double, out),
    }
}

fn write_double(double: f64, out: &mut String) {
    let scientific = format!("{:e}", double.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("the e format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let count = i32::try_from(digits.len()).expect("a double has at most 17 digits");
    let point = exponent + 1;
    if double < 0.0 {
        out.push('-');
    }
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    if count <= point && point <= 21 {
        out.push_str(&digits);
        out.push_str(&zeros(point - count));
    } else if 0 < point && point <= 21 {
        let (whole, rest) = digits.split_at(usize::try_from(point).unwrap_or(0));
        out.push_str(&format!("{whole}.{rest}"));
    } else if -6 < point && point <= 0 {
        out.push_str(&format!("0.{}{digits}", zeros(-point)));
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{first}{dot}{rest}e{sign}{}", exponent.abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out_as_printed_there() {
        let value = serde_json::json!({
            "numbers": [333_333_333.333_333_3, 1e30, 4.5, 2e-3, 0.000_000_000_000_000_000_000_000_001],
            "string": "\u{20ac}$\u{000F}\u{000a}A'\u{0042}\u{0022}\u{005c}\\\"/",
            "literals": [null, true, false]
        });
        let expected = concat!(
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],",
            "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        assert_eq!(to_text(&value), expected);
    }

    #[test]
    fn keys_are_ordered_by_utf16() {
        let value = serde_json::json!({"\u{fb33}": 1, "\u{1f600}": 2, "a": 3});
        assert_eq!(to_text(&value), "{\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }
}
