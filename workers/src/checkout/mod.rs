//! The git source of a package: which repository, which tag, which commit, which folder, whether they may be believed,
//! and the tree to build from. Bytes are brought by the `git` program into a cache; a process in a cell reads objects out of
//! them, and here each is held against its name. It knows nothing of steps or of what is inside the staged tarball, beyond
//! the claims of its package.json.
//!
//! ```text
//! claims ─▶ cache (program, origin, words) ─▶ tags ─▶ folder ─▶ trust ─▶ facts, submodules ─▶ Checkout
//!                                               ╰──────┴─ tree (object, oid) ─┴─────╯
//!                                                            │ each object held against its name
//!                                                          reader ══ wire ══ serve (in a cell, git2)
//! ```

mod cache;
mod claims;
mod facts;
mod folder;
mod history;
mod listing;
mod object;
mod oid;
mod origin;
mod program;
mod reader;
mod serve;
mod submodules;
mod tags;
mod tree;
mod trust;
mod way;
mod wire;
mod words;

#[cfg(test)]
pub(crate) mod tests;

use std::io;

use countersign_core::{
    PackageName, Version,
    facts::SourceFacts,
    finding::{Code, Finding, Severity},
    package_json::PackageJson,
    rebuild::{Ending, Phase},
    source::{Repository, Source, SourceRequest, Trust},
};

pub use cache::GitCache;
pub use history::HistoryPlace;
pub(crate) use serve::{READ_OBJECTS, read_objects};
pub use tree::{ExportTree, Kind, Put, Unfit};

use self::{
    cache::{Fetched, Unavailable},
    reader::Reader,
    tags::Search,
    tree::Objects,
};
use crate::{progress::Watch, sandbox::SandboxError};

/// Our own failure: the job is leased again.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// Bubblewrap could not be started.
    #[error("bubblewrap could not be started: {0}")]
    NoCell(#[source] io::Error),
    /// Bubblewrap could not raise the walls around git, or found no git.
    #[error("bubblewrap could not start git: {0}")]
    CellRefused(String),
    /// A file operation on our own disk failed.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The cache's objects are damaged, or not what a repository holds.
    #[error("the git cache could not be read: {0}")]
    Damaged(String),
    /// The repository is larger than anything that is read.
    #[error("the repository could not be read: {0}")]
    Bound(String),
    /// The process that reads objects for us ended, met a bound, or said what makes no sense.
    #[error("the process that reads the repository was given up: {0}")]
    Reader(String),
    /// There is no cell for that process.
    #[error(transparent)]
    NoReader(#[from] SandboxError),
    /// Git failed at what needs nobody else.
    #[error("the git cache could not be used: {0}")]
    GitFailed(String),
    /// A file of certificates that was named cannot be read.
    #[error("{0}")]
    Roots(String),
    /// The job was withdrawn.
    #[error("the job was withdrawn")]
    Cancelled,
}

impl CheckoutError {
    /// The finding where this machine lacks something that an operator can mend.
    fn finding(&self) -> Option<Finding> {
        match self {
            Self::NoCell(_) | Self::CellRefused(_) => {
                Some(Finding::new(Code::SandboxUnavailable, sentence(&self.to_string())))
            }
            Self::Io { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                Some(Finding::new(Code::MachineOutOfDisk, sentence(&self.to_string())))
            }
            Self::NoReader(SandboxError::Unavailable { mend, .. }) => {
                Some(Finding::new(Code::SandboxUnavailable, self.to_string()).with_fix(mend))
            }
            Self::Bound(_) | Self::Reader(_) => {
                Some(Finding::new(Code::RepositoryUnavailable, sentence(&self.to_string())))
            }
            Self::NoReader(_)
            | Self::Io { .. }
            | Self::Damaged(_)
            | Self::GitFailed(_)
            | Self::Roots(_)
            | Self::Cancelled => None,
        }
    }
}

fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str().trim_end_matches('.'))
}

/// Names what was being done when an operation of the machine failed.
trait Doing<T> {
    fn doing(self, what: &str) -> Result<T, CheckoutError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, CheckoutError> {
        self.map_err(|error| CheckoutError::Io { doing: what.to_owned(), source: error.into() })
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The package.
    pub name: &'a PackageName,
    /// Its version.
    pub version: &'a Version,
    /// Where to look, and who says so.
    pub request: &'a SourceRequest,
    /// The package.json of the staged tarball: what it claims about its own source.
    pub staged: &'a PackageJson,
}

/// A commit that may be built from.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Where it comes from.
    pub source: Source,
    /// What its tree says about the build.
    pub facts: SourceFacts,
    /// Warnings and notes.
    pub findings: Vec<Finding>,
    /// The tree.
    pub tree: ExportTree,
    /// What the tree holds and could not be had: folders of submodules whose repository did not answer, empty as in a
    /// plain `git clone`, and files that a partial clone lacks. A rebuild that passes without them is a pass; one that
    /// does not says nothing as long as they are missing.
    pub unavailable: Vec<String>,
    /// Where its history can be read.
    pub history: HistoryPlace,
}

/// How the search for a source came out.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Found and believed.
    Ready(Box<Checkout>),
    /// The repository has no such tag yet.
    TagMissing {
        /// The tag that was looked for, without `refs/tags/`.
        tag: String,
        /// `tag-not-found`, for when nobody waits any longer.
        finding: Box<Finding>,
    },
    /// The source may not be believed.
    Refused {
        /// The source, where a commit was found.
        source: Option<Box<Source>>,
        /// Why, and what else was noted.
        findings: Vec<Finding>,
    },
    /// The commit is believed, and its tree cannot be built from.
    Unplannable {
        /// The source.
        source: Box<Source>,
        /// How the rebuild ended before it began.
        ending: Ending,
        /// Warnings and notes.
        findings: Vec<Finding>,
    },
    /// We could not tell.
    Undetermined {
        /// What kept us from it.
        reason: Box<Finding>,
        /// Warnings and notes.
        findings: Vec<Finding>,
    },
}

impl GitCache {
    /// Finds the commit of a version, as `wanted` asks, and everything about it that the plan needs. Blocks the calling
    /// thread, whose end would end git too.
    ///
    /// # Errors
    /// Only for our own failure. A cache whose objects are damaged is thrown away and brought anew once.
    pub fn check_out(
        &self,
        wanted: &Wanted<'_>,
        watch: Watch<'_>,
    ) -> Result<Outcome, CheckoutError> {
        let (repository, notes) = match claims::repository(wanted) {
            Ok(agreed) => agreed,
            Err(findings) => return Ok(Outcome::Refused { source: None, findings }),
        };
        // Whoever runs a check knows what they ask for; what a package or an enrolment names is somebody else's word.
        let cache = match wanted.request.trust {
            Trust::Given => &self.given(&repository),
            Trust::Enrolled | Trust::SelfDeclared => self,
        };
        match cache.look_twice(wanted, &repository, notes.clone(), watch) {
            Err(error) => match error.finding() {
                Some(reason) => {
                    Ok(Outcome::Undetermined { reason: Box::new(reason), findings: notes })
                }
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    fn look_twice(
        &self,
        wanted: &Wanted<'_>,
        repository: &Repository,
        notes: Vec<Finding>,
        watch: Watch<'_>,
    ) -> Result<Outcome, CheckoutError> {
        match self.look(wanted, repository, notes.clone(), watch) {
            Err(CheckoutError::Damaged(error)) => {
                tracing::warn!(error, %repository, "the cached repository cannot be read and is brought anew");
                self.discard(repository, watch)?;
                match self.look(wanted, repository, notes.clone(), watch) {
                    // Our own copy is new, so it is the other side's objects that are wrong.
                    Err(CheckoutError::Damaged(error)) => {
                        let message =
                            format!("The repository {repository} cannot be read: {error}.");
                        let reason = Box::new(Finding::new(Code::RepositoryUnavailable, message));
                        Ok(Outcome::Undetermined { reason, findings: notes })
                    }
                    other => other,
                }
            }
            other => other,
        }
    }

    fn look(
        &self,
        wanted: &Wanted<'_>,
        repository: &Repository,
        mut findings: Vec<Finding>,
        watch: Watch<'_>,
    ) -> Result<Outcome, CheckoutError> {
        watch.doing(Phase::Checkout, &format!("fetching {repository}"));
        let fetched = match self.fetch(repository, watch)? {
            Ok(fetched) => fetched,
            Err(unavailable) => {
                let reason = Box::new(not_had(repository, &unavailable));
                return Ok(Outcome::Undetermined { reason, findings });
            }
        };
        if let Some(elsewhere) = redirected(wanted.request.trust, repository, &fetched) {
            let refused = elsewhere.fail_class().is_some();
            findings.push(elsewhere);
            if refused {
                return Ok(Outcome::Refused { source: None, findings });
            }
        }
        let objects = self.objects(&fetched)?;
        let found = match tags::find(wanted, &objects, &fetched.refs)? {
            Search::Found(found) => found,
            Search::Missing { tag, finding } => {
                return Ok(Outcome::TagMissing { tag, finding: Box::new(finding) });
            }
            Search::Refused(refused) => {
                findings.extend(refused);
                return Ok(Outcome::Refused { source: None, findings });
            }
            Search::Unplannable { found, ending } => {
                let source = trust::source(wanted, repository, &objects, &found)?;
                return Ok(Outcome::Unplannable { source: Box::new(source), ending, findings });
            }
        };
        findings.extend(found.notes.iter().cloned());
        let source = trust::source(wanted, repository, &objects, &found)?;
        findings.extend(trust::doubts(wanted, &objects, &fetched.refs, &found, &source)?);
        if findings.iter().any(|finding| finding.fail_class().is_some()) {
            return Ok(Outcome::Refused { source: Some(Box::new(source)), findings });
        }
        self.gather(objects, &fetched, &found, source, findings, watch)
    }

    /// The objects of what was fetched, with a process of their own that reads them.
    fn objects(&self, fetched: &Fetched) -> Result<Objects, CheckoutError> {
        let reader = Reader::open(self.door(), &fetched.objects, fetched.in_place)?;
        Ok(Objects::new(reader, fetched.in_place))
    }

    /// What the plan and the export need of a commit that is believed.
    fn gather(
        &self,
        objects: Objects,
        fetched: &Fetched,
        found: &tags::Found,
        source: Source,
        mut findings: Vec<Finding>,
        watch: Watch<'_>,
    ) -> Result<Outcome, CheckoutError> {
        let mut items = match objects.items(found.commit, &Default::default())? {
            Ok(items) => items,
            Err(unfit) => {
                let ending = Ending::NoPlan { detail: unfit.to_string() };
                let source = Box::new(source);
                return Ok(Outcome::Unplannable { source, ending, findings });
            }
        };
        let package = found.package.as_deref();
        let mut facts = facts::read(&objects, found.commit, &found.directory, package, &items)?;
        facts.written_version = found.written_version.clone();
        let brought = self.submodules(&source.repository, &objects, found.commit, &items, watch)?;
        findings.extend(brought.notes);
        let mut unavailable = brought.unavailable;
        let gaps = objects.gaps(&items)?;
        if let Some(first) = gaps.first() {
            let message = format!(
                "The clone lacks the content of {} of its files, such as `{first}`; they are left out.",
                gaps.len()
            );
            findings.push(Finding::new(Code::PlanNotFound, message).weighing(Severity::Note));
            items.retain(|item| !gaps.contains(&item.path));
            unavailable.extend(gaps);
        }
        let (branches, tags) = trust::tips(source.trust, &fetched.refs);
        let history = HistoryPlace {
            objects: objects.clone(),
            branches,
            tags,
            commit: found.commit,
            directory: source.directory.clone(),
        };
        let mut parts = vec![tree::Part { at: Default::default(), objects, items }];
        parts.extend(brought.parts);
        Ok(Outcome::Ready(Box::new(Checkout {
            source,
            facts,
            findings,
            tree: ExportTree { parts },
            unavailable,
            history,
        })))
    }
}

fn not_had(repository: &Repository, unavailable: &Unavailable) -> Finding {
    let because = &unavailable.because;
    if unavailable.disk_full {
        return Finding::new(Code::MachineOutOfDisk, format!("The git cache is full: {because}"));
    }
    let message = format!("The repository {repository} could not be fetched: {because}");
    Finding::new(Code::RepositoryUnavailable, message)
}

/// What follows from a server that sent us on to another address. The same repository under another spelling is no
/// matter; another one is not what a maintainer enrolled.
fn redirected(trust: Trust, repository: &Repository, fetched: &Fetched) -> Option<Finding> {
    let address = fetched.redirected_to.as_ref()?;
    let same = address.parse::<Repository>().is_ok_and(|other| other.same_as(repository));
    if same {
        return None;
    }
    let message = format!("{repository} leads on to {address}, which is another repository.");
    let finding = Finding::new(Code::RepositoryChanged, message);
    Some(match trust {
        Trust::Enrolled => finding,
        Trust::Given | Trust::SelfDeclared => finding.weighing(Severity::Note),
    })
}
