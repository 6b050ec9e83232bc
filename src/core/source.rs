//! Where a package comes from: repositories, tag patterns, and the evidence for a commit. Values only: which
//! commit a tag names is found out by the worker, and this file says what to make of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    artifact::{Invalid, PackageName, Version, text_newtype},
    timestamp::Timestamp,
};

/// A git repository as somebody wrote it, brought into a form that git can fetch from: npm's shorthands are spelled
/// out, `git+` and credentials are gone. A folder of this machine is an absolute path.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository(String);
text_newtype!(Repository);

impl Repository {
    /// The address to fetch from.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a folder of this machine.
    pub fn is_local(&self) -> bool {
        self.0.starts_with('/') || self.0.starts_with("file://")
    }

    /// Whether both name one repository: equal after scheme, user, port, `.git`, trailing slash and the case of the
    /// host are taken away. On the large forges the path is not case sensitive either, and neither is it here for them.
    /// A redirect or a fork is not equal.
    pub fn same_as(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    fn key(&self) -> String {
        let Ok(url) = Url::parse(&self.0) else {
            return trimmed_path(&self.0).to_owned();
        };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let path = trimmed_path(url.path());
        let folded = matches!(host.as_str(), "github.com" | "gitlab.com" | "bitbucket.org");
        let path = if folded { path.to_ascii_lowercase() } else { path.to_owned() };
        // A port distinguishes two servers on one host; the scheme's own port is no port (`url` drops it).
        let port = url.port().filter(|_| !folded).map(|p| format!(":{p}")).unwrap_or_default();
        format!("{host}{port}{path}")
    }
}

fn trimmed_path(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/')
}

impl FromStr for Repository {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let refuse = |rule| Err(Invalid::new("a repository", text, rule));
        if text.is_empty() || text.len() > 2048 || text.chars().any(char::is_control) {
            return refuse(
                "it is a URL such as https://github.com/owner/name, or an absolute path",
            );
        }
        if text.starts_with('/') {
            return Ok(Self(text.to_owned()));
        }
        if let Some(expanded) = expand_shorthand(text) {
            return Ok(Self(expanded));
        }
        let without_git = text.strip_prefix("git+").unwrap_or(text);
        let spelled = match scp_form(without_git) {
            Some(url) => url,
            None => without_git.to_owned(),
        };
        let Ok(mut url) = Url::parse(&spelled) else {
            return refuse(
                "it is a URL such as https://github.com/owner/name, or an absolute path",
            );
        };
        if !matches!(url.scheme(), "https" | "http" | "file" | "git" | "ssh") {
            return refuse("its scheme is https, http, ssh, git or file");
        }
        // Fetching goes over https: ssh and git:// name the same repository on a forge, and a user name in the
        // address is a credential that belongs in the operator's configuration.
        url.set_fragment(None);
        url.set_query(None);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let text = match url.scheme() {
            "ssh" | "git" => url.as_str().replacen(&format!("{}://", url.scheme()), "https://", 1),
            _ => url.as_str().to_owned(),
        };
        Ok(Self(text))
    }
}

/// `owner/name`, `github:owner/name`, `gitlab:…`, `bitbucket:…` as npm spells them (hosted-git-info 8).
fn expand_shorthand(text: &str) -> Option<String> {
    let (host, path) = match text.split_once(':') {
        Some(("github", path)) => ("github.com", path),
        Some(("gitlab", path)) => ("gitlab.com", path),
        Some(("bitbucket", path)) => ("bitbucket.org", path),
        Some(_) => return None,
        None => ("github.com", text),
    };
    let path = path.split('#').next().unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    (parts.len() == 2 && parts.iter().all(plain)).then(|| format!("https://{host}/{path}"))
}

/// `git@host:owner/name.git` as a URL.
fn scp_form(text: &str) -> Option<String> {
    if text.contains("://") {
        return None;
    }
    let (user_host, path) = text.split_once(':')?;
    let host = user_host.rsplit('@').next()?;
    (host.contains('.') && !path.starts_with('/')).then(|| format!("https://{host}/{path}"))
}

/// A folder inside a repository, without leading `./` or trailing slash; the root is the empty text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Directory(String);
text_newtype!(Directory);

impl Directory {
    /// The folder's path relative to the root; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the repository's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of a file in this folder, relative to the root.
    pub fn join(&self, file: &str) -> String {
        if self.0.is_empty() { file.to_owned() } else { format!("{}/{file}", self.0) }
    }
}

impl FromStr for Directory {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts: Vec<&str> =
            text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let refused = |part: &&str| *part == ".." || part.contains(['\\', '\0']) || *part == ".git";
        if text.starts_with('/') || parts.iter().any(refused) {
            return Err(Invalid::new(
                "a folder of a repository",
                text,
                "write it as packages/name",
            ));
        }
        Ok(Self(parts.join("/")))
    }
}

/// How a package's tags are named: a text with `{version}` in it, and `{name}` or `{unscoped}` where a repository
/// holds several packages.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagPattern(String);
text_newtype!(TagPattern);

impl TagPattern {
    /// The tag's name, without `refs/tags/`.
    pub fn tag_for(&self, name: &PackageName, version: &Version) -> String {
        self.0
            .replace("{version}", version.as_str())
            .replace("{name}", name.as_str())
            .replace("{unscoped}", name.unscoped())
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TagPattern {
    fn default() -> Self {
        Self("v{version}".to_owned())
    }
}

impl FromStr for TagPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let rest = text.replace("{version}", "").replace("{name}", "").replace("{unscoped}", "");
        let refused = |c: char| c.is_control() || c.is_whitespace() || "{}~^:?*[\\".contains(c);
        if text.matches("{version}").count() != 1 || rest.contains(refused) || rest.contains("..") {
            let rule = "it has {version} once, and may have {name} or {unscoped}: v{version}, {name}@{version}";
            return Err(Invalid::new("a tag pattern", text, rule));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Who says where the source is. Only `Enrolled` is signed or opens a gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// A maintainer's enrolment.
    Enrolled,
    /// The person who runs `check`, with `--repo`.
    Given,
    /// The package's own `repository` field.
    SelfDeclared,
}

/// Which tag to look for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// This one: a tag's name or a full `refs/…`.
    Named(String),
    /// The first that the grammar of tag names proposes; two on different commits are ambiguous.
    Proposed,
}

/// The reachability that a commit needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reachable {
    /// From one of these branches.
    FromBranches(Vec<String>),
    /// From any branch or tag: all that `check` can ask without an enrolment.
    FromAnyRef,
}

/// The commit that a tag named when it was first seen, kept so that a moved tag is noticed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstSight {
    /// The commit.
    pub commit: String,
    /// When we saw it.
    pub at: Timestamp,
}

/// What the worker is told about the source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceRequest {
    /// Who says so.
    pub trust: Trust,
    /// The repository; none where the package's own field is to be taken (`Trust::SelfDeclared`).
    pub repository: Option<Repository>,
    /// The folder; none where it has to be found.
    pub directory: Option<Directory>,
    /// The tag.
    pub reference: Reference,
    /// The reachability that is asked.
    pub reachable: Reachable,
    /// The enrolment's revision, where there is one.
    pub enrolment_revision: Option<u32>,
    /// The tag's commit when it was first seen.
    pub first_sight: Option<FirstSight>,
    /// Independent claims about the commit, such as `gitHead` of the publish document.
    pub claims: Vec<Claim>,
}

/// What somebody claimed about the commit; it becomes evidence and never the source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Where it comes from.
    pub kind: EvidenceKind,
    /// The commit that it names.
    pub commit: String,
}

/// An independent reason to believe in a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// The tag itself.
    Tag,
    /// `gitHead`, which npm writes when it stages from a work tree: self-declared.
    GitHead,
    /// The `source` of a submission to the verify API: a claim.
    Submission,
    /// The commit that first set the version in the package's package.json: inferred.
    VersionHistory,
    /// The commit near the tag that holds the most of the staged files: inferred.
    BlobOverlap,
}

/// Evidence held against the tag's commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it comes from.
    pub kind: EvidenceKind,
    /// The commit that it names.
    pub commit: String,
    /// Whether it speaks for the tag's commit: a claim that names it, or an inference that leads to it.
    pub agrees: bool,
    /// A sentence for people.
    pub detail: String,
}

/// The source that was found and believed: what the rebuild starts from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Who says so.
    pub trust: Trust,
    /// The repository.
    pub repository: Repository,
    /// The folder of the package inside it.
    pub directory: Directory,
    /// The tag, without `refs/tags/`.
    pub tag: String,
    /// The commit that the tag names, in full.
    pub commit: String,
    /// The commit's own (committer) time.
    pub commit_time: Timestamp,
    /// The enrolment's revision, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment_revision: Option<u32>,
    /// Everything that speaks for or against the commit.
    pub evidence: Vec<Evidence>,
}

impl Source {
    /// The commit as people write it: its first seven digits.
    pub fn short_commit(&self) -> &str {
        self.commit.get(..7).unwrap_or(&self.commit)
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enrolled => "enrolled",
            Self::Given => "given",
            Self::SelfDeclared => "self-declared",
        })
    }
}

/// The tags that may name this version, likeliest first: the grammar of tag names, which only proposes. A tag of a
/// sibling in the same repository never stands here, since each form with a name in it has this package's.
pub fn proposed_tags(
    name: &PackageName,
    version: &Version,
    directory: Option<&Directory>,
) -> Vec<String> {
    let mut tags = vec![format!("v{version}"), version.to_string(), format!("{name}@{version}")];
    tags.push(format!("{name}@v{version}"));
    for short in [name.unscoped(), name.as_str()] {
        for joint in ["@", "-v", "-", "/v", "/", "@v", "_v"] {
            tags.push(format!("{short}{joint}{version}"));
        }
    }
    if let Some(folder) = directory.filter(|d| !d.is_root()) {
        let last = folder.as_str().rsplit('/').next().unwrap_or_default();
        for place in [folder.as_str(), last] {
            tags.push(format!("{place}/v{version}"));
            tags.push(format!("{place}/{version}"));
        }
    }
    tags.extend([
        format!("release-{version}"),
        format!("release/{version}"),
        format!("V{version}"),
    ]);
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        a.parse::<Repository>().unwrap().same_as(&b.parse().unwrap())
    }

    #[test]
    fn spellings_of_one_repository_are_equal() {
        for spelling in [
            "git+https://github.com/Owner/Name.git",
            "git@github.com:owner/name.git",
            "github:owner/name",
            "owner/name",
            "git://GitHub.com/owner/name.git",
            "ssh://git@github.com/owner/name",
            "https://user@github.com/owner/name/",
        ] {
            assert!(same(spelling, "https://github.com/owner/name"), "{spelling}");
        }
    }

    #[test]
    fn another_owner_host_or_port_is_another_repository() {
        assert!(!same("owner/name", "other/name"));
        assert!(!same("https://example.org/owner/name", "https://github.com/owner/name"));
        assert!(!same("http://127.0.0.1:1/x.git", "http://127.0.0.1:2/x.git"));
        assert!(!same("https://example.org/Owner/name", "https://example.org/owner/name"));
    }

    #[test]
    fn credentials_do_not_survive() {
        let repository: Repository = "https://user:secret@example.org/o/n".parse().unwrap();
        assert_eq!(repository.as_str(), "https://example.org/o/n");
    }

    #[test]
    fn a_tag_pattern_makes_one_tag_and_nothing_else() {
        let (name, version) = ("@s/pad".parse().unwrap(), "1.3.1".parse().unwrap());
        let tag = |pattern: &str| pattern.parse::<TagPattern>().unwrap().tag_for(&name, &version);
        assert_eq!(tag("v{version}"), "v1.3.1");
        assert_eq!(tag("{unscoped}/{version}"), "pad/1.3.1");
        for bad in [
            "v1",
            "v{version}{version}",
            "v{version} x",
            "../{version}",
            "{v}{version}",
            "v{version}*",
        ] {
            assert!(bad.parse::<TagPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_stays_inside() {
        assert_eq!("./packages/x/".parse::<Directory>().unwrap().as_str(), "packages/x");
        assert!("".parse::<Directory>().unwrap().is_root());
        for bad in ["../x", "/etc", "a/../../b", "a/.git"] {
            assert!(bad.parse::<Directory>().is_err(), "{bad}");
        }
    }
}
