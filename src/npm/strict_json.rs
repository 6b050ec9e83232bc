//! JSON as a registry has to read it: a key that stands twice is refused wherever it stands, because two readers of one
//! document would otherwise see two releases. Texts borrow from the body, so that a tarball in base64 is not copied.
//! It knows nothing of what a document means.

use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// Why a body is not read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// It is not JSON.
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    /// An object has one key twice.
    #[error("the key {0} stands in the body twice")]
    DuplicateKey(String),
}

/// A JSON value whose texts lie in the body where they can.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object, in the body's order; its keys differ.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads one body of at most so many values: a short text such as `[[],[],…]` must not become gigabytes.
    pub(crate) fn parse(body: &'a [u8], values_max: usize) -> Result<Self, JsonError> {
        let malformed = |error: serde_json::Error| JsonError::Malformed(error.to_string());
        let left = Cell::new(values_max);
        let mut reader = serde_json::Deserializer::from_slice(body);
        let json = Counted(&left).deserialize(&mut reader).map_err(malformed)?;
        reader.end().map_err(malformed)?;
        match json.duplicate() {
            Some(path) => Err(JsonError::DuplicateKey(path)),
            None => Ok(json),
        }
    }

    /// The value of that key, where this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members, where this is an object.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        match self {
            Self::Object(members) => members,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The text, where this is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The same value without ties to the body.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone().into_owned()),
            Self::List(items) => items.iter().map(Json::to_value).collect(),
            Self::Object(members) => Value::Object(members.iter().map(Json::to_member).collect()),
        }
    }

    /// One member of an object without ties to the body.
    pub(crate) fn to_member(member: &(Cow<'a, str>, Json<'a>)) -> (String, Value) {
        (member.0.clone().into_owned(), member.1.to_value())
    }

    /// The path of the first key that stands twice in one object.
    fn duplicate(&self) -> Option<String> {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
            Self::List(items) => items.iter().find_map(Json::duplicate),
            Self::Object(members) => {
                let mut seen = HashSet::new();
                members.iter().find_map(|(key, value)| {
                    let key = key.as_ref();
                    let shown: String = key.chars().take(80).collect();
                    if seen.insert(key) {
                        value.duplicate().map(|below| format!("`{shown}` / {below}"))
                    } else {
                        Some(format!("`{shown}`"))
                    }
                })
            }
        }
    }
}

/// Reads one value and counts it.
#[derive(Clone, Copy)]
struct Counted<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json<'de>, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| D::Error::custom("it holds too many values"))?);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(bool))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Json<'de>, E> {
        let number = Number::from_f64(number);
        number.map(Json::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = object.next_key_seed(Key)? {
            members.push((key, object.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

/// Reads a key.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Value, String> {
        let json = Json::parse(text.as_bytes(), 100).map_err(|error| error.to_string())?;
        Ok(json.to_value())
    }

    #[test]
    fn values_come_out_as_any_other_reader_sees_them() {
        let text = r#"{"a":[1,-2,0.5,true,null,"é\n"],"b":{"c":""}}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth_and_by_any_spelling() {
        for (text, path) in [
            (r#"{"a":1,"a":1}"#, "`a`"),
            (r#"{"x":{"a":1,"\u0061":2}}"#, "`x` / `a`"),
            (r#"{"x":[{"y":{"b":1,"b":2}}]}"#, "`x` / `y` / `b`"),
        ] {
            let expected = format!("the key {path} stands in the body twice");
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_malformed() {
        for text in ["", "{", "{} {}", "nonsense", "{\"a\":1e999}", "\"\\ud800\"", "{1:2}"] {
            assert!(parse(text).unwrap_err().starts_with("the body is not JSON: "), "{text}");
        }
        let deep = Json::parse("[".repeat(5_000).as_bytes(), 10_000).unwrap_err();
        assert!(deep.to_string().contains("recursion limit"), "{deep}");
    }

    #[test]
    fn more_values_than_allowed_are_refused_before_they_are_held() {
        let list = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(parse(&list(99)).is_ok());
        assert!(parse(&list(100)).unwrap_err().contains("too many values"));
    }

    #[test]
    fn a_long_text_is_not_copied() {
        let body = format!("{{\"data\":\"{}\"}}", "A".repeat(1000));
        let json = Json::parse(body.as_bytes(), 100).unwrap();
        assert!(matches!(json.get("data"), Some(Json::Text(Cow::Borrowed(_)))));
    }
}
