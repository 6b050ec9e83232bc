//! Other repositories inside a tree. Each is brought like the first one, at exactly the commit that the tree records, and
//! only from an address that a repository from elsewhere may name: never from a folder of this machine.

use countersign_core::{
    finding::{Code, Finding, Severity},
    source::{Directory, Repository},
};
use url::Url;

use super::{
    CheckoutError, GitCache,
    oid::Oid,
    origin::Origin,
    tree::{Item, Kind, Objects, Part},
};
use crate::progress::Watch;

/// How deep submodules may hold submodules.
const DEPTH_MAX: usize = 3;
/// How many one tree may have in all.
const COUNT_MAX: usize = 50;
/// The largest `.gitmodules` that is read.
const GITMODULES_BYTES_MAX: u64 = 256 * 1024;

/// What became of a tree's submodules.
#[derive(Default)]
pub(super) struct Brought {
    /// The trees that were brought, each at its folder.
    pub parts: Vec<Part>,
    /// One note for each that was not.
    pub notes: Vec<Finding>,
    /// The folders of those whose repository did not answer.
    pub unavailable: Vec<String>,
}

/// One submodule still to be brought.
struct Ahead {
    at: Directory,
    commit: Oid,
    address: Option<String>,
    parent: Repository,
    depth: usize,
}

impl GitCache {
    /// Brings the submodules of a commit and those inside them.
    pub(super) fn submodules(
        &self,
        repository: &Repository,
        objects: &Objects,
        commit: Oid,
        items: &[Item],
        watch: Watch<'_>,
    ) -> Result<Brought, CheckoutError> {
        let mut brought = Brought::default();
        let root = Directory::default();
        let mut ahead = listed(objects, commit, items, &root, repository, 0)?;
        let mut silent_hosts: Vec<String> = Vec::new();
        let mut count = 0;
        while let Some(next) = ahead.pop() {
            count += 1;
            let repository = if count > COUNT_MAX || next.depth >= DEPTH_MAX {
                Err("there are too many of them".to_owned())
            } else {
                address(&next)
            };
            let repository = match repository {
                Ok(repository) => repository,
                Err(clause) => {
                    brought.notes.push(note(&next, &clause));
                    continue;
                }
            };
            let host = host(&repository);
            if silent_hosts.contains(&host) {
                brought.missing(&next, &format!("{host} did not answer"));
                continue;
            }
            match self.fetch_with_commit(&repository, next.commit, watch)? {
                Ok(fetched) => {
                    let objects = self.objects(&fetched)?;
                    match objects.items(next.commit, &root)? {
                        Ok(items) => {
                            ahead.extend(listed(
                                &objects,
                                next.commit,
                                &items,
                                &next.at,
                                &repository,
                                next.depth + 1,
                            )?);
                            brought.parts.push(Part { at: next.at, objects, items });
                        }
                        Err(unfit) => {
                            brought.notes.push(note(&next, unfit.to_string().trim_end_matches('.')))
                        }
                    }
                }
                Err(unavailable) => {
                    brought.missing(&next, unavailable.because.trim_end_matches('.'));
                    silent_hosts.push(host);
                }
            }
        }
        Ok(brought)
    }
}

impl Brought {
    fn missing(&mut self, which: &Ahead, clause: &str) {
        self.notes.push(note(which, clause));
        self.unavailable.push(which.at.as_str().to_owned());
    }
}

fn note(which: &Ahead, clause: &str) -> Finding {
    let message = format!("The submodule at `{}` is left empty: {clause}.", which.at);
    Finding::new(Code::PlanNotFound, message)
        .weighing(Severity::Note)
        .with_fix("Nothing, unless the build needs it: a plain git clone leaves it empty too.")
}

fn host(repository: &Repository) -> String {
    let url = Url::parse(repository.as_str()).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// The submodules that a tree records, with the addresses of its `.gitmodules`.
fn listed(
    objects: &Objects,
    commit: Oid,
    items: &[Item],
    at: &Directory,
    parent: &Repository,
    depth: usize,
) -> Result<Vec<Ahead>, CheckoutError> {
    let recorded: Vec<&Item> = items.iter().filter(|item| item.kind == Kind::Submodule).collect();
    if recorded.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = objects.file(commit, ".gitmodules", GITMODULES_BYTES_MAX)?.unwrap_or_default();
    let addresses = addresses(&String::from_utf8_lossy(&bytes));
    let ahead = recorded.into_iter().filter_map(|item| {
        let named = addresses.iter().find(|(path, _)| *path == item.path);
        Some(Ahead {
            at: at.join(&item.path).parse().ok()?,
            commit: item.object,
            address: named.map(|(_, address)| address.clone()),
            parent: parent.clone(),
            depth,
        })
    });
    Ok(ahead.collect())
}

/// Path and address of each section of a `.gitmodules`.
fn addresses(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut path, mut url) = (None, None);
    for line in text.lines().map(str::trim).chain(["[end]"]) {
        if line.starts_with('[') {
            if let (Some(path), Some(url)) = (path.take(), url.take()) {
                found.push((path, url));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim() {
            "path" => path = Some(value.trim_end_matches('/').to_owned()),
            "url" => url = Some(value),
            _ => {}
        }
    }
    found
}

/// The repository of a submodule, or a clause that says why it is not fetched.
fn address(ahead: &Ahead) -> Result<Repository, String> {
    let Some(written) = &ahead.address else {
        return Err("no address is written for it in `.gitmodules`".to_owned());
    };
    let spelled = if written.starts_with("./") || written.starts_with("../") {
        beside(&ahead.parent, written)
            .ok_or_else(|| format!("`{written}` leads to a folder of this machine"))?
    } else {
        written.clone()
    };
    let repository: Repository =
        spelled.parse().map_err(|_| format!("`{written}` is no address"))?;
    let parent = Origin::of(&ahead.parent)?;
    match (Origin::of(&repository)?, parent) {
        (Origin::Https(_), _) | (Origin::LoopbackHttp(_), Origin::LoopbackHttp(_)) => {
            Ok(repository)
        }
        (Origin::LoopbackHttp(_), Origin::Https(_) | Origin::Local(_)) => {
            Err(format!("`{written}` leads to this machine"))
        }
        (Origin::Local(_), _) => Err(format!("`{written}` leads to a folder of this machine")),
    }
}

/// A relative address, which git reads as if the repository's own address were a folder.
fn beside(parent: &Repository, written: &str) -> Option<String> {
    let base = Url::parse(&format!("{}/", parent.as_str().trim_end_matches('/'))).ok()?;
    matches!(base.scheme(), "https" | "http").then(|| base.join(written).ok().map(Into::into))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(parent: &str, written: &str) -> Result<String, String> {
        let ahead = Ahead {
            at: "sub".parse().unwrap(),
            commit: Oid::ZERO,
            address: Some(written.to_owned()),
            parent: parent.parse().unwrap(),
            depth: 0,
        };
        address(&ahead).map(|repository| repository.as_str().to_owned())
    }

    #[test]
    fn a_submodule_comes_from_where_a_repository_from_elsewhere_may_point() {
        let forge = "https://example.org/o/r.git";
        let there = |url: &str| Ok(format!("https://example.org/{url}"));
        assert_eq!(asked(forge, "https://example.org/x"), there("x"));
        assert_eq!(asked(forge, "git@example.org:o/x.git"), there("o/x.git"));
        assert_eq!(asked(forge, "../x.git"), there("o/x.git"));
        for refused in ["/etc", "file:///etc", "http://127.0.0.1:80/x", "ext::sh -c id", "-x", ""] {
            assert!(asked(forge, refused).is_err(), "{refused}");
        }
        assert!(asked("/srv/r", "../x").is_err());
        assert!(asked("http://127.0.0.1:8/r", "http://127.0.0.1:9/x").is_ok());
    }

    #[test]
    fn a_gitmodules_file_gives_path_and_address() {
        let text = "[submodule \"a\"]\n\tpath = tests/a/\n\turl = https://x/a.git\n\tbranch = m\n\
                    [submodule \"b\"]\n\turl = \"../b\"\n\tpath = b\n[submodule \"c\"]\n\tpath = c\n";
        let expected = [("tests/a", "https://x/a.git"), ("b", "../b")];
        let expected = expected.map(|(path, url)| (path.to_owned(), url.to_owned()));
        assert_eq!(addresses(text), expected);
    }
}
