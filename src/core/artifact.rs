//! What somebody wants to publish: package names, versions, digests and the subject of a verification. Each is parsed
//! once and is valid ever after. This file knows nothing of archives, sources or verdicts.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::Digest;

/// A text that does not have the form it should have; the message names the text and the rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub(crate) fn new(what: &str, text: &str, rule: &str) -> Self {
        let shown: String = text.chars().take(80).collect();
        Self(format!("`{shown}` is not {what}: {rule}"))
    }
}

/// Gives a string newtype its text forms; parsing goes through `FromStr`, so serde cannot make an invalid value.
macro_rules! text_newtype {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}
pub(crate) use text_newtype;

/// The name of an npm package, `left-pad` or `@scope/name`, by the rules of validate-npm-package-name 6: lower-case
/// names of at most 214 characters that are safe in a URL. Names with capitals exist from before 2014 and are accepted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);
text_newtype!(PackageName);

impl PackageName {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope without its `@`, where there is one.
    pub fn scope(&self) -> Option<&str> {
        self.0.strip_prefix('@').and_then(|rest| rest.split('/').next())
    }

    /// The name without its scope: `name` of `@scope/name`.
    pub fn unscoped(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The one path segment that npm sends for it: the slash of a scoped name is `%2f`.
    pub fn escaped(&self) -> String {
        self.0.replace('/', "%2f")
    }
}

impl FromStr for PackageName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |rule| Err(Invalid::new("a package name", text, rule));
        if text.is_empty() || text.len() > 214 {
            return refuse("it has 1 to 214 characters");
        }
        let (scope, name) = match text.strip_prefix('@') {
            Some(rest) => match rest.split_once('/') {
                Some((scope, name)) => (Some(scope), name),
                None => return refuse("a scope is followed by a slash and a name"),
            },
            None => (None, text),
        };
        let safe = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~!'()*".contains(&b))
        };
        if !scope.is_none_or(safe) || !safe(name) {
            return refuse("only letters, digits and -_.~!'()* stand in it");
        }
        if name.starts_with(['.', '_']) || scope.is_some_and(|s| s.starts_with(['.', '_'])) {
            return refuse("it does not begin with a dot or an underscore");
        }
        if matches!(name, "node_modules" | "favicon.ico") {
            return refuse("that name is reserved");
        }
        Ok(Self(text.to_owned()))
    }
}

/// An exact version by the grammar of semver 2.0.0 as npm writes it: no leading `v`, no range. Build metadata is
/// refused because registries drop it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);
text_newtype!(Version);

impl Version {
    /// The version's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version as semver orders it.
    pub fn semver(&self) -> nodejs_semver::Version {
        self.0.parse().expect("checked when it was parsed")
    }

    /// Whether it carries a pre-release part, such as `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        self.0.contains('-')
    }
}

impl FromStr for Version {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse =
            || Err(Invalid::new("an exact version", text, "write it as 1.2.3 or 1.2.3-rc.1"));
        if text.len() > 256 || text.contains('+') {
            return refuse();
        }
        match text.parse::<nodejs_semver::Version>() {
            Ok(parsed) if parsed.to_string() == text => Ok(Self(text.to_owned())),
            _ => refuse(),
        }
    }
}

/// Declares a digest newtype: fixed bytes, lower-case hex as its text.
macro_rules! digest_newtype {
    ($(#[$doc:meta])* $name:ident, $length:literal, $algorithm:ty, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $length]);

        impl $name {
            /// The digest of these bytes.
            pub fn of(bytes: &[u8]) -> Self {
                Self(<$algorithm>::digest(bytes).into())
            }

            /// From the digest's own bytes.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The digest's own bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// Lower-case hex.
            pub fn to_hex(&self) -> String {
                hex::encode(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($label, ":{}"), &self.to_hex()[..12])
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let mut bytes = [0; $length];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| {
                    Invalid::new(concat!("a ", $label, " digest"), text, "write it in hexadecimal")
                })?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_hex()
            }
        }
    };
}

digest_newtype!(
    /// SHA-512: the name of a tarball's bytes everywhere in Countersign.
    Sha512, 64, sha2::Sha512, "SHA-512"
);
digest_newtype!(
    /// SHA-256: the digest of single files, plans, policies and manifests.
    Sha256, 32, sha2::Sha256, "SHA-256"
);
digest_newtype!(
    /// SHA-1: npm's old `shasum`, shown and never believed.
    Sha1, 20, sha1::Sha1, "SHA-1"
);

impl Sha512 {
    /// The form that lockfiles and manifests write: `sha512-` and base64 (Subresource Integrity).
    pub fn to_integrity(&self) -> String {
        format!("sha512-{}", STANDARD.encode(self.0))
    }

    /// The SHA-512 of a Subresource Integrity text; of several digests the first SHA-512.
    pub fn from_integrity(text: &str) -> Result<Self, Invalid> {
        text.split_whitespace()
            .filter_map(|one| one.strip_prefix("sha512-"))
            .filter_map(|encoded| STANDARD.decode(encoded.split('?').next()?).ok())
            .find_map(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| Invalid::new("an integrity", text, "write it as sha512- and base64"))
    }
}

/// Who may install a package once it is released: npm's `access`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    Public,
    /// Those to whom the registry grants it.
    Restricted,
}

/// What a verdict is about: not a file's name but these very bytes, as they would be released. Two subjects that
/// differ in any part need two verdicts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subject {
    /// The registry's base URL, without a trailing slash.
    pub registry: String,
    /// The package.
    pub name: PackageName,
    /// The version.
    pub version: Version,
    /// The digest of the staged tarball.
    pub sha512: Sha512,
    /// The digest of the version's manifest as it would be released; none where it is not visible (see
    /// [`crate::npm_manifest`]).
    pub manifest_sha256: Option<Sha256>,
    /// The dist-tag that the release would set.
    pub dist_tag: Option<String>,
    /// Who may install it.
    pub access: Option<Access>,
}

impl Subject {
    /// `name@version`.
    pub fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_npm_takes_are_taken_and_others_refused() {
        for name in ["left-pad", "@sample/left-pad", "JSONStream", "a", "lodash.merge"] {
            assert_eq!(name.parse::<PackageName>().unwrap().as_str(), name);
        }
        for name in [
            "",
            ".x",
            "_x",
            "@scope",
            "@/x",
            "@s/",
            "a b",
            "../x",
            "a/b",
            "@a/b/c",
            "node_modules",
            "ä",
        ] {
            assert!(name.parse::<PackageName>().is_err(), "{name}");
        }
    }

    #[test]
    fn versions_are_exact() {
        for version in ["1.2.3", "0.0.0-stage", "1.0.0-rc.1"] {
            assert_eq!(version.parse::<Version>().unwrap().as_str(), version);
        }
        for version in ["v1.2.3", "1.2", "^1.2.3", "1.2.3+build", "01.2.3", "", "1.2.3 "] {
            assert!(version.parse::<Version>().is_err(), "{version}");
        }
    }

    #[test]
    fn a_digest_has_the_texts_that_npm_writes() {
        let digest = Sha512::of(b"hello");
        assert_eq!(Sha512::from_integrity(&digest.to_integrity()), Ok(digest));
        assert_eq!(digest.to_hex().parse(), Ok(digest));
        assert_eq!(Sha1::of(b"hello").to_hex(), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        assert!(Sha512::from_integrity("sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=").is_err());
    }
}
