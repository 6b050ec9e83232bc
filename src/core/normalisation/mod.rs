//! Normalisations: the few exact tokens in which a staged file may differ from the rebuilt one and still be taken for the
//! same, where a policy allows it. Each proves that all other bytes are equal, names what it touched, and is off by itself. It
//! knows two contents of one file and nothing of archives, plans or verdicts.

mod line_ends;
mod members;
mod package_json;
mod source_map;
mod time_literal;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{artifact::Invalid, timestamp::Timestamp};

/// What a policy may allow to differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Normalisation {
    /// In package.json: `gitHead`, `packageManager`, keys that begin with `_`, and scripts that the packer takes out.
    PackageJson,
    /// In source maps: the folders of `sources`, and `sourceRoot`.
    SourceMapPaths,
    /// One time near the commit's, in a comment at the head of a file.
    TimeInComment,
    /// Line endings of documents.
    LineEndings,
}

impl Normalisation {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::PackageJson, Self::SourceMapPaths, Self::TimeInComment, Self::LineEndings];

    /// Its name in policies, on the command line and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PackageJson => "package-json",
            Self::SourceMapPaths => "source-map-paths",
            Self::TimeInComment => "time-in-comment",
            Self::LineEndings => "line-endings",
        }
    }

    /// What it lets differ, as a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::PackageJson => {
                "In package.json `gitHead`, `packageManager`, keys that begin with `_`, and scripts that pnpm takes out."
            }
            Self::SourceMapPaths => "In source maps the folders of `sources`, and `sourceRoot`.",
            Self::TimeInComment => "One time near the commit's in a comment at the head of a file.",
            Self::LineEndings => "CRLF for LF in documents that are no code.",
        }
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Normalisation {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Invalid::new("a normalisation", text, &format!("there are: {names}"))
        })
    }
}

impl TryFrom<String> for Normalisation {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Normalisation> for String {
    fn from(value: Normalisation) -> String {
        value.as_str().to_owned()
    }
}

/// What is allowed, and what is known of the release.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    /// The normalisations of the policy.
    pub allowed: &'a [Normalisation],
    /// The commit's time; without one no time is near.
    pub committed: Option<Timestamp>,
    /// The name of the packer; without one no script is one that it takes out.
    pub packer: Option<&'a str>,
}

/// A normalisation that made one file the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub name: Normalisation,
    /// The file's path as installed.
    pub path: String,
    /// The tokens that differ.
    pub tokens: Vec<String>,
}

/// The one allowed normalisation under which both contents of the file at `path` are the same; none where they differ in
/// anything else. Two are never taken together.
pub fn apply(
    path: &str,
    staged: &[u8],
    rebuilt: &[u8],
    permission: &Permission<'_>,
) -> Option<Applied> {
    let (staged, rebuilt) = (std::str::from_utf8(staged).ok()?, std::str::from_utf8(rebuilt).ok()?);
    let tokens = |name: Normalisation| match name {
        Normalisation::PackageJson => {
            package_json::tokens(path, staged, rebuilt, permission.packer)
        }
        Normalisation::SourceMapPaths => source_map::tokens(path, staged, rebuilt),
        Normalisation::TimeInComment => {
            time_literal::tokens(path, staged, rebuilt, permission.committed?)
        }
        Normalisation::LineEndings => line_ends::tokens(path, staged, rebuilt),
    };
    let allowed = Normalisation::ALL.into_iter().filter(|name| permission.allowed.contains(name));
    allowed.filter_map(|name| Some((name, tokens(name)?))).find_map(|(name, tokens)| {
        (!tokens.is_empty()).then(|| Applied { name, path: path.to_owned(), tokens })
    })
}
