//! From a version to a commit: the tag that names it, among the branches and tags of this job's own fetch.

use std::collections::BTreeMap;

use countersign_core::{
    finding::{Code, Finding, Severity},
    package_json::PackageJson,
    rebuild::Ending,
    source::{Directory, Reference, Trust, proposed_tags},
};

use super::{
    CheckoutError, Wanted,
    folder::{self, Folder},
    oid::Oid,
    tree::Objects,
};

/// The commit of a version.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The tag, without `refs/tags/`; a branch or remote with its whole name.
    pub tag: String,
    /// Whether the tag has a message of its own.
    pub annotated: bool,
    /// The commit.
    pub commit: Oid,
    /// The package's folder.
    pub directory: Directory,
    /// The package.json there.
    pub package: Option<Box<PackageJson>>,
    /// The version that the release writes, where the package.json has another.
    pub written_version: Option<String>,
    /// What was seen on the way.
    pub notes: Vec<Finding>,
}

/// How the search came out.
pub(super) enum Search {
    /// One commit.
    Found(Found),
    /// There is no such tag.
    Missing { tag: String, finding: Finding },
    /// There is one that may not be believed.
    Refused(Vec<Finding>),
    /// There is one, and its tree cannot be built from.
    Unplannable { found: Found, ending: Ending },
}

type Refs = BTreeMap<String, Oid>;

/// Finds the commit that the request asks for.
pub(super) fn find(
    wanted: &Wanted<'_>,
    objects: &Objects,
    refs: &Refs,
) -> Result<Search, CheckoutError> {
    let names = names(wanted);
    let there: Vec<&Name> = names.iter().filter(|name| refs.contains_key(&name.full)).collect();
    if there.is_empty() {
        return Ok(missing(wanted, &names, refs));
    }
    let mut seen = Vec::new();
    for name in there {
        seen.push(look(wanted, objects, name, refs[&name.full])?);
    }
    let (fitting, others): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(Seen::fits);
    let Some((first, rest)) = fitting.split_first() else {
        return Ok(refused(&others));
    };
    let another = rest.iter().find(|other| other.commit() != first.commit());
    if let Some(other) = another {
        let message = format!(
            "The tags `{}` and `{}` both name {}@{}, on the commits {} and {}.",
            first.tag,
            other.tag,
            wanted.name,
            wanted.version,
            short(first.commit()),
            short(other.commit()),
        );
        return Ok(Search::Refused(vec![Finding::new(Code::TagAmbiguous, message)]));
    }
    let notes = others
        .iter()
        .filter_map(|other| other.finding().map(|finding| finding.weighing(Severity::Note)));
    Ok(first.search(notes.collect()))
}

/// A name to look for.
struct Name {
    /// As it is shown.
    tag: String,
    /// The whole reference.
    full: String,
}

/// The names that may stand for the version, likeliest first. An enrolled tag is looked for among the tags alone.
fn names(wanted: &Wanted<'_>) -> Vec<Name> {
    let request = wanted.request;
    let tagged = |tag: String| Name { full: format!("refs/tags/{tag}"), tag };
    match (&request.reference, request.trust) {
        (Reference::Named(name), Trust::Given | Trust::SelfDeclared)
            if name.starts_with("refs/") =>
        {
            let tag = name.strip_prefix("refs/tags/").unwrap_or(name).to_owned();
            vec![Name { tag, full: name.clone() }]
        }
        (Reference::Named(name), Trust::Enrolled | Trust::Given | Trust::SelfDeclared) => {
            vec![tagged(name.clone())]
        }
        (Reference::Proposed, _) => {
            let claimed =
                wanted.staged.repository().and_then(|claim| claim.directory?.parse().ok());
            let directory = request.directory.clone().or(claimed);
            let tags = proposed_tags(wanted.name, wanted.version, directory.as_ref());
            tags.into_iter().map(tagged).collect()
        }
    }
}

fn missing(wanted: &Wanted<'_>, names: &[Name], refs: &Refs) -> Search {
    let tag = names.first().map(|name| name.tag.clone()).unwrap_or_default();
    let spec = format!("{}@{}", wanted.name, wanted.version);
    let message = if refs.is_empty() {
        "The repository is empty: it has no branch and no tag.".to_owned()
    } else if names.first().is_some_and(|name| name.full.starts_with("refs/pull/")) {
        format!("`{tag}` is not looked at: only branches and tags of the repository are.")
    } else if names.len() > 1 {
        format!("The repository has no tag for {spec}, such as `{tag}`.")
    } else {
        format!("The repository has no tag `{tag}` for {spec}.")
    };
    let fix = format!("git tag {tag} && git push origin {tag}");
    let finding = Finding::new(Code::TagNotFound, message).with_fix(fix);
    Search::Missing { tag, finding }
}

fn refused(others: &[Seen]) -> Search {
    // A tree that cannot be searched, or holds the package twice, is told of before one that holds another package.
    let unplannable =
        others.iter().find(|seen| !matches!(seen.folder, Some(Folder::Nowhere(_)) | None));
    match unplannable {
        Some(seen) => seen.search(Vec::new()),
        None => Search::Refused(others.iter().filter_map(Seen::finding).take(1).collect()),
    }
}

/// What one tag leads to.
struct Seen {
    tag: String,
    annotated: bool,
    commit: Option<Oid>,
    folder: Option<Folder>,
    wanted: String,
    version: String,
}

fn look(
    wanted: &Wanted<'_>,
    objects: &Objects,
    name: &Name,
    object: Oid,
) -> Result<Seen, CheckoutError> {
    let commit = objects.commit(object)?.map(|(name, _)| name);
    let folder = match commit {
        Some(commit) => Some(folder::find(wanted, objects, commit, &name.tag)?),
        None => None,
    };
    Ok(Seen {
        tag: name.tag.clone(),
        annotated: commit != Some(object),
        commit,
        folder,
        wanted: format!("{}@{}", wanted.name, wanted.version),
        version: wanted.version.to_string(),
    })
}

impl Seen {
    fn fits(&self) -> bool {
        matches!(self.folder, Some(Folder::At(..)))
    }

    fn commit(&self) -> Oid {
        self.commit.unwrap_or(Oid::ZERO)
    }

    /// Why it does not fit.
    fn finding(&self) -> Option<Finding> {
        let message = match (&self.folder, self.commit) {
            (Some(Folder::Nowhere(instead)), Some(commit)) => format!(
                "The tag `{}` (commit {}) is not {}: {instead}.",
                self.tag,
                short(commit),
                self.wanted
            ),
            (None, _) | (_, None) => format!("The tag `{}` does not name a commit.", self.tag),
            (Some(Folder::At(..) | Folder::Two(..) | Folder::Unfit(_)), Some(_)) => return None,
        };
        Some(Finding::new(Code::TagNamesAnotherPackage, message))
    }

    fn search(&self, notes: Vec<Finding>) -> Search {
        let found = |directory: Directory, package: Option<Box<PackageJson>>| Found {
            tag: self.tag.clone(),
            annotated: self.annotated,
            commit: self.commit(),
            directory,
            written_version: package
                .as_ref()
                .filter(|package| package.version() != Some(&self.version))
                .map(|_| self.version.clone()),
            package,
            notes,
        };
        let root = Directory::default();
        match &self.folder {
            Some(Folder::At(directory, package)) => {
                Search::Found(found(directory.clone(), Some(package.clone())))
            }
            Some(Folder::Two(one, other)) => {
                let detail = format!("{} is in two folders: `{one}` and `{other}`.", self.wanted);
                let ending = Ending::AmbiguousPlan { detail };
                Search::Unplannable { found: found(root, None), ending }
            }
            Some(Folder::Unfit(unfit)) => {
                let ending = Ending::NoPlan { detail: unfit.to_string() };
                Search::Unplannable { found: found(root, None), ending }
            }
            Some(Folder::Nowhere(_)) | None => {
                Search::Refused(self.finding().into_iter().collect())
            }
        }
    }
}

fn short(commit: Oid) -> String {
    commit.to_string().chars().take(7).collect()
}
