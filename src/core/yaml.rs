//! YAML as a JSON value: workflow files, workspace files and pnpm's lockfile. Every scalar stays the text that was
//! written, but for a plain `true`, `false` and null, so that a version such as `18.10` is not taken for a number. It
//! knows nothing of what the files mean.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use crate::limits::{YAML_DEPTH_MAX, YAML_VALUES_MAX};

/// A text that is no YAML, or more of it than is read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidYaml(String);

/// The first document of a text; null where there is none.
///
/// # Errors
/// What is no YAML 1.2, names a key twice, nests too deeply, or holds more values than [`YAML_VALUES_MAX`] once its
/// aliases are written out (a short text can stand for any number of them).
pub fn parse(text: &str) -> Result<Value, InvalidYaml> {
    let text = text.trim_start_matches('\u{feff}');
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| InvalidYaml(error.to_string()))?;
        if builder.take(event)? {
            break;
        }
    }
    Ok(builder.whole.unwrap_or(Value::Null))
}

/// A list or a map that is not at its end yet.
enum Open {
    List(Vec<Value>, usize),
    Map(Map<String, Value>, Option<String>, usize),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    whole: Option<Value>,
    anchored: HashMap<usize, (Value, usize)>,
    /// How many values there are, aliases written out.
    values: usize,
}

impl Builder {
    /// Takes one event; true when the first document is at its end.
    fn take(&mut self, event: Event<'_>) -> Result<bool, InvalidYaml> {
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
            Event::DocumentEnd | Event::StreamEnd => return Ok(true),
            Event::Alias(anchor) => {
                let unknown = || InvalidYaml("an alias leads nowhere".to_owned());
                let (value, size) = self.anchored.get(&anchor).cloned().ok_or_else(unknown)?;
                self.count(size)?;
                self.place(value, 0, size)?;
            }
            Event::Scalar(text, style, anchor, _) => {
                self.count(1)?;
                self.place(scalar(text, style), anchor, 1)?;
            }
            Event::SequenceStart(anchor, _) => self.enter(Open::List(Vec::new(), anchor))?,
            Event::MappingStart(anchor, _) => self.enter(Open::Map(Map::new(), None, anchor))?,
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, anchor) = match self.open.pop() {
                    Some(Open::List(items, anchor)) => (Value::Array(items), anchor),
                    Some(Open::Map(fields, _, anchor)) => (Value::Object(fields), anchor),
                    None => return Err(InvalidYaml("something ends that never began".to_owned())),
                };
                let size = if anchor == 0 { 0 } else { size(&value) };
                self.place(value, anchor, size)?;
            }
        }
        Ok(false)
    }

    fn enter(&mut self, open: Open) -> Result<(), InvalidYaml> {
        self.count(1)?;
        if self.open.len() >= YAML_DEPTH_MAX {
            return Err(InvalidYaml("it nests too deeply".to_owned()));
        }
        self.open.push(open);
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), InvalidYaml> {
        self.values = self.values.saturating_add(more);
        if self.values > YAML_VALUES_MAX {
            return Err(InvalidYaml("it holds too many values".to_owned()));
        }
        Ok(())
    }

    fn place(&mut self, value: Value, anchor: usize, size: usize) -> Result<(), InvalidYaml> {
        if anchor != 0 {
            // What is kept under its anchor is held a second time.
            self.count(size)?;
            self.anchored.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut() {
            None => self.whole = Some(value),
            Some(Open::List(items, _)) => items.push(value),
            Some(Open::Map(fields, key, _)) => match key.take() {
                None => *key = Some(text_of(value)?),
                Some(name) if fields.contains_key(&name) => {
                    return Err(InvalidYaml(format!("the key `{name}` stands there twice")));
                }
                Some(name) => drop(fields.insert(name, value)),
            },
        }
        Ok(())
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.into_owned());
    }
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => Value::String(text.into_owned()),
    }
}

fn text_of(key: Value) -> Result<String, InvalidYaml> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null => Ok(String::new()),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(InvalidYaml("a key is a list or a map".to_owned()))
        }
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(|field| 1 + size(field)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_stay_the_text_that_was_written() {
        let text = "on: push\nnode: 18.10\nquoted: 'true'\nflag: true\nnone:\nlist: [1, \"2\"]\nrun: |\n  a\n  b\n";
        let expected = json!({"on": "push", "node": "18.10", "quoted": "true", "flag": true, "none": null,
            "list": ["1", "2"], "run": "a\nb\n"});
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn the_first_document_is_read_and_an_empty_text_is_null() {
        assert_eq!(parse("a: b\n---\nc: d\n").unwrap(), json!({"a": "b"}));
        assert_eq!(parse("# nothing\n").unwrap(), Value::Null);
    }

    #[test]
    fn an_alias_stands_for_what_was_anchored() {
        let value = parse("a: &x {k: v}\nb: *x\nc: &y word\nd: *y\n").unwrap();
        assert_eq!(value, json!({"a": {"k": "v"}, "b": {"k": "v"}, "c": "word", "d": "word"}));
    }

    #[test]
    fn a_short_text_that_stands_for_too_much_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            let items = vec![alias; 10].join(", ");
            text += &format!("a{level}: &a{level} [{items}]\n");
        }
        assert_eq!(parse(&text).unwrap_err().to_string(), "it holds too many values");
        let deep = "[".repeat(YAML_DEPTH_MAX + 1);
        assert_eq!(parse(&deep).unwrap_err().to_string(), "it nests too deeply");
    }

    #[test]
    fn what_is_no_yaml_or_says_a_thing_twice_is_refused() {
        assert!(parse("a: [").is_err());
        assert!(parse("a: b: c").is_err());
        assert_eq!(
            parse("a: 1\na: 2\n").unwrap_err().to_string(),
            "the key `a` stands there twice"
        );
        assert!(parse("{[a]: b}").is_err());
    }
}
