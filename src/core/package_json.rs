//! A package.json: the facts that Countersign reads from it, and the whole of it as JSON. It is strict about JSON (one
//! object in UTF-8, each key once) and lenient about the types of fields, because the wild has odd ones and npm takes
//! them. It knows nothing of where the bytes come from.

use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The text is no package.json.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPackageJson(String);

/// A package.json. Every accessor gives what the file says, unchecked: a name need not be a valid one.
#[derive(Clone, PartialEq, Debug)]
pub struct PackageJson {
    raw: Map<String, Value>,
}

/// What `repository` says, from its object or its string form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepositoryField {
    /// The URL or shorthand as written, such as `git+https://host/owner/name.git` or `owner/name`.
    pub url: String,
    /// The package's folder in the repository.
    pub directory: Option<String>,
}

/// Which dependencies: the four maps of a package.json.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DependencyKind {
    /// `dependencies`
    Production,
    /// `devDependencies`
    Development,
    /// `peerDependencies`
    Peer,
    /// `optionalDependencies`
    Optional,
}

impl PackageJson {
    /// Reads a package.json. One byte order mark at the beginning is skipped, as npm skips it
    /// (json-parse-even-better-errors).
    ///
    /// # Errors
    /// Where the bytes are not UTF-8, not JSON, not an object, name a key twice at any depth (readers differ in which
    /// value they keep) or name `__proto__` (which JavaScript may take for the object's prototype and its fields with it).
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidPackageJson> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            InvalidPackageJson(format!("it is not UTF-8 at byte {}", error.valid_up_to()))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let invalid = |error: serde_json::Error| InvalidPackageJson(error.to_string());
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = UniqueKeys.deserialize(&mut deserializer).map_err(invalid)?;
        deserializer.end().map_err(invalid)?;
        match value {
            Value::Object(raw) => Ok(Self { raw }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(InvalidPackageJson("it is not a JSON object".to_owned())),
        }
    }

    /// The whole file.
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// `name`, where it is a text.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// `version`, where it is a text.
    pub fn version(&self) -> Option<&str> {
        self.text("version")
    }

    /// `private: true`, under which npm refuses to publish.
    pub fn is_private(&self) -> bool {
        self.raw.get("private").and_then(Value::as_bool).unwrap_or(false)
    }

    /// `repository`, from `{url, directory}` or a plain text.
    pub fn repository(&self) -> Option<RepositoryField> {
        match self.raw.get("repository")? {
            Value::String(url) => Some(RepositoryField { url: url.clone(), directory: None }),
            Value::Object(fields) => {
                let text = |key| fields.get(key).and_then(Value::as_str).map(str::to_owned);
                Some(RepositoryField { url: text("url")?, directory: text("directory") })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        }
    }

    /// `scripts`; those that are no texts are left out, as npm does not run them.
    pub fn scripts(&self) -> BTreeMap<String, String> {
        self.texts("scripts")
    }

    /// One of the dependency maps; values that are no texts are left out.
    pub fn dependencies(&self, kind: DependencyKind) -> BTreeMap<String, String> {
        self.texts(match kind {
            DependencyKind::Production => "dependencies",
            DependencyKind::Development => "devDependencies",
            DependencyKind::Peer => "peerDependencies",
            DependencyKind::Optional => "optionalDependencies",
        })
    }

    /// `bin`: command → file. A single file goes under the package's name without its scope, as npm does it.
    pub fn bin(&self) -> BTreeMap<String, String> {
        match (self.raw.get("bin"), self.name()) {
            (Some(Value::String(file)), Some(name)) => {
                let command = name.rsplit('/').next().unwrap_or(name);
                BTreeMap::from([(command.to_owned(), file.clone())])
            }
            (_, _) => self.texts("bin"),
        }
    }

    /// `engines`: program → range. The list form of before npm 3 is left out.
    pub fn engines(&self) -> BTreeMap<String, String> {
        self.texts("engines")
    }

    /// `packageManager`, such as `pnpm@9.1.0+sha512.…`.
    pub fn package_manager(&self) -> Option<&str> {
        self.text("packageManager")
    }

    /// `publishConfig`; empty where there is none.
    pub fn publish_config(&self) -> Map<String, Value> {
        self.raw.get("publishConfig").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.raw.get(key).and_then(Value::as_str)
    }

    fn texts(&self, key: &str) -> BTreeMap<String, String> {
        let fields = self.raw.get(key).and_then(Value::as_object);
        fields
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }
}

/// Builds a JSON value and refuses a key that comes twice; serde_json by itself keeps the last in silence.
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(Key(key)) = fields.next_key()? {
            if key == "__proto__" {
                return Err(serde::de::Error::custom("a key is `__proto__`"));
            }
            if map.contains_key(&key) {
                let shown = key.escape_debug();
                return Err(serde::de::Error::custom(format!("key `{shown}` stands twice")));
            }
            let value = fields.next_value_seed(Self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PackageJson, String> {
        PackageJson::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_facts_are_read_as_they_are_written() {
        let package = parse(
            r#"{"name":"@s/p","version":"1.0.0","private":true,"bin":"cli.js","packageManager":"pnpm@9.1.0",
                "repository":{"type":"git","url":"git+https://x/o/r.git","directory":"packages/p"},
                "scripts":{"build":"tsc","odd":1},"dependencies":{"a":"^1"},"devDependencies":{"b":"2"},
                "engines":{"node":">=18"},"publishConfig":{"access":"public"}}"#,
        )
        .unwrap();
        assert_eq!((package.name(), package.version()), (Some("@s/p"), Some("1.0.0")));
        assert!(package.is_private());
        let repository = package.repository().unwrap();
        assert_eq!(repository.url, "git+https://x/o/r.git");
        assert_eq!(repository.directory.as_deref(), Some("packages/p"));
        assert_eq!(package.scripts(), BTreeMap::from([("build".to_owned(), "tsc".to_owned())]));
        assert_eq!(package.dependencies(DependencyKind::Production)["a"], "^1");
        assert_eq!(package.dependencies(DependencyKind::Development)["b"], "2");
        assert!(package.dependencies(DependencyKind::Peer).is_empty());
        assert_eq!(package.bin(), BTreeMap::from([("p".to_owned(), "cli.js".to_owned())]));
        assert_eq!(package.engines()["node"], ">=18");
        assert_eq!(package.package_manager(), Some("pnpm@9.1.0"));
        assert_eq!(package.publish_config()["access"], "public");
        assert_eq!(package.raw()["scripts"]["odd"], 1);
    }

    #[test]
    fn odd_types_of_fields_are_taken_as_absent() {
        let package = parse(
            r#"{"name":1,"version":null,"private":"yes","engines":["node >= 0.4"],"repository":[],"bin":false,"scripts":""}"#,
        )
        .unwrap();
        assert_eq!((package.name(), package.version()), (None, None));
        assert!(!package.is_private());
        assert!(package.engines().is_empty() && package.bin().is_empty());
        assert_eq!(package.repository(), None);
        assert!(package.scripts().is_empty());
        let short = parse(r#"{"repository":"owner/name"}"#).unwrap().repository().unwrap();
        assert_eq!(short, RepositoryField { url: "owner/name".to_owned(), directory: None });
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"name":"a","name":"b"}"#,
            r#"{"scripts":{"install":"a","install":"b"}}"#,
            r#"{"a":[{"b":{"c":1,"c":1}}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert!(parse(text).unwrap_err().contains("stands twice"), "{text}");
        }
        assert!(parse(r#"{"a":{"x":1},"b":{"x":1}}"#).is_ok());
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        for text in
            ["", "[]", "1", "{", "{} {}", "{}x", r#"{"a":1,}"#, "// c\n{}", r#"{"__proto__":{}}"#]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(PackageJson::parse(b"{\"a\":\"\xff\"}").is_err());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn one_byte_order_mark_is_skipped_as_npm_skips_it() {
        assert!(parse("\u{feff}{}").is_ok());
        assert!(parse("\u{feff}\u{feff}{}").is_err());
    }
}
