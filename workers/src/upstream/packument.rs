//! A packument: all that a registry tells of one package. Versions stay raw text until one is asked for, so that a
//! document of a hundred megabytes is held once. It knows nothing of where the document came from.

use std::collections::BTreeMap;

use countersign_core::{PackageName, Sha1, Sha512, Timestamp, Version};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The document of one package.
#[derive(Debug, Deserialize)]
pub struct Packument {
    /// The package.
    pub name: PackageName,
    /// The named versions, such as `latest`.
    #[serde(default, rename = "dist-tags")]
    pub dist_tags: BTreeMap<String, String>,
    #[serde(default)]
    versions: BTreeMap<String, Box<RawValue>>,
    /// `created`, `modified` and one moment for each version; registries write other things here too.
    #[serde(default)]
    time: BTreeMap<String, Value>,
}

/// How the tarball of a version is had and checked: `dist` of its manifest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Dist {
    /// The tarball's address.
    #[serde(default)]
    pub tarball: String,
    integrity: Option<String>,
    shasum: Option<String>,
}

/// The part of a version's manifest that the choice among versions needs.
#[derive(Debug, Default, Deserialize)]
struct Head {
    #[serde(default)]
    dist: Dist,
    #[serde(default)]
    deprecated: Value,
}

impl Dist {
    /// The tarball's SHA-512, where the registry knows it.
    pub fn sha512(&self) -> Option<Sha512> {
        self.integrity.as_deref().and_then(|text| Sha512::from_integrity(text).ok())
    }

    /// The tarball's SHA-1: all that is known of what was published before 2017.
    pub fn sha1(&self) -> Option<Sha1> {
        self.shasum.as_deref().and_then(|text| text.parse().ok())
    }
}

impl Packument {
    /// Reads a document that a registry answered for that name.
    ///
    /// # Errors
    /// When it is not JSON of this form, or tells of another package.
    pub fn parse(name: &PackageName, bytes: &[u8]) -> Result<Self, String> {
        let packument: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if packument.name != *name {
            return Err(format!("it tells of `{}`", packument.name));
        }
        Ok(packument)
    }

    /// Every version with its manifest as the registry wrote it. Versions whose number is none are left out.
    pub fn versions(&self) -> impl Iterator<Item = (Version, &RawValue)> {
        self.versions.iter().filter_map(|(version, raw)| Some((version.parse().ok()?, &**raw)))
    }

    /// One version's manifest.
    pub fn manifest(&self, version: &Version) -> Option<Value> {
        serde_json::from_str(self.versions.get(version.as_str())?.get()).ok()
    }

    /// How one version's tarball is had; none for a version that is not there.
    pub fn dist(&self, version: &Version) -> Option<Dist> {
        self.head(version).map(|head| head.dist)
    }

    /// Whether its maintainers warn of this version.
    pub fn is_deprecated(&self, version: &Version) -> bool {
        self.head(version).is_some_and(|head| match head.deprecated {
            Value::String(text) => !text.is_empty(),
            Value::Bool(yes) => yes,
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        })
    }

    /// When the registry says that a version came, or `created` and `modified`.
    pub fn time(&self, key: &str) -> Option<Timestamp> {
        self.time.get(key)?.as_str()?.parse().ok()
    }

    fn head(&self, version: &Version) -> Option<Head> {
        let raw = self.versions.get(version.as_str())?;
        Some(serde_json::from_str(raw.get()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packument_tells_of_its_versions_and_nothing_breaks_it() {
        let digest = Sha512::of(b"x");
        let text = format!(
            r#"{{"name":"a","dist-tags":{{"latest":"1.0.0"}},"readme":"r","time":{{"1.0.0":"2024-02-23T22:24:09.498000+00:00","unpublished":{{"x":1}}}},
            "versions":{{"1.0.0":{{"dist":{{"tarball":"http://x/a.tgz","integrity":"{}"}},"deprecated":"no"}},
            "not-one":{{}},"2.0.0":{{"dist":7}}}}}}"#,
            digest.to_integrity()
        );
        let name: PackageName = "a".parse().unwrap();
        let packument = Packument::parse(&name, text.as_bytes()).unwrap();
        let one: Version = "1.0.0".parse().unwrap();
        let two: Version = "2.0.0".parse().unwrap();
        assert_eq!(packument.dist(&one).unwrap().sha512(), Some(digest));
        assert!(packument.is_deprecated(&one) && !packument.is_deprecated(&two));
        assert_eq!(packument.dist(&two), Some(Dist::default()));
        assert_eq!(
            packument.versions().map(|(v, _)| v.to_string()).collect::<Vec<_>>(),
            ["1.0.0", "2.0.0"]
        );
        assert_eq!(packument.time("1.0.0").unwrap().to_string(), "2024-02-23T22:24:09.498Z");
        assert_eq!(packument.time("unpublished"), None);
        assert!(Packument::parse(&"b".parse().unwrap(), text.as_bytes()).is_err());
    }
}
