//! Why files likely differ: each path of a comparison gets a cause, from its two contents, its name, and what is known of
//! plan and history. It is for people: nothing here makes a file the same, and what is likely is not proven.
//!
//! `text` compares contents, `names` knows file names, `package_json` goes through its keys.

mod names;
mod package_json;
mod text;

#[cfg(test)]
mod tests;

use crate::{
    archive::Archive,
    cause::Cause,
    compare::{Comparison, FileComparison, Status},
    history::{AnotherCommit, FileHistory, History, Seen},
};

/// How dependencies came onto the disk.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Installed {
    /// Not at all.
    #[default]
    Nothing,
    /// By a lockfile.
    Locked,
    /// As of the cut-off.
    Unlocked,
}

/// What is known beside the two archives.
#[derive(Clone, Copy, Default, Debug)]
pub struct Circumstances<'a> {
    /// Whether the plan builds anything.
    pub builds: bool,
    /// How dependencies came onto the disk.
    pub installed: Installed,
    /// The packer and its version, as a text for people.
    pub packer: &'a str,
    /// The tag.
    pub tag: &'a str,
    /// What the history says of the staged files.
    pub history: Option<&'a History>,
    /// The paths in which two rebuilds differ.
    pub varying: &'a [String],
}

/// One differing file with everything that a cause is recognised by.
struct Case<'a> {
    path: &'a str,
    status: Status,
    staged: &'a [u8],
    rebuilt: &'a [u8],
    version: &'a str,
    history: Option<&'a FileHistory>,
    another: Option<&'a AnotherCommit>,
    known: &'a Circumstances<'a>,
}

type Explained = (Cause, String);

/// Gives every differing path its cause.
pub fn explain(
    comparison: &mut Comparison,
    staged: &Archive,
    rebuilt: &Archive,
    known: &Circumstances<'_>,
) {
    let version = rebuilt.package_json().version().unwrap_or_default();
    let another = known.history.and_then(|history| history.another.as_ref());
    for file in comparison.files.iter_mut().filter(|file| file.status != Status::Same) {
        let path = file.path.clone();
        let case = Case {
            path: &path,
            status: file.status,
            staged: staged.get(&path).unwrap_or_default(),
            rebuilt: rebuilt.get(&path).unwrap_or_default(),
            version,
            history: known.history.and_then(|history| history.of(&path)),
            another,
            known,
        };
        set(file, case.explain());
    }
}

fn set(file: &mut FileComparison, (cause, because): Explained) {
    file.cause = Some(cause);
    file.because = Some(because);
}

impl Case<'_> {
    fn explain(&self) -> Explained {
        self.by_proof().unwrap_or_else(|| match self.status {
            Status::Added => self.added(),
            Status::Missing => self.missing(),
            Status::Changed | Status::ModeChanged | Status::Same => self.changed(),
        })
    }

    /// What is known and not only likely.
    fn by_proof(&self) -> Option<Explained> {
        if self.known.varying.iter().any(|path| path == self.path) {
            let because = "Two rebuilds by the same plan differ in it.".to_owned();
            return Some((Cause::NotDeterministic, because));
        }
        if self.status == Status::ModeChanged {
            return Some((Cause::ExecutableBit, "The contents are equal.".to_owned()));
        }
        let another = self.another?;
        let because = match self.status {
            Status::Missing => format!("The commit {} does not have it.", short(&another.commit)),
            Status::Added | Status::Changed | Status::ModeChanged | Status::Same => format!(
                "The commit {}, {}, has these bytes at this path.",
                short(&another.commit),
                another.place(self.known.tag)
            ),
        };
        Some((Cause::PublishedFromAnotherCommit, because))
    }

    fn added(&self) -> Explained {
        if let Some(found) = names::stray(self.path) {
            return found;
        }
        let tagged = self.history.is_some_and(|history| history.tagged);
        match self.history.map(|history| &history.seen) {
            Some(Seen::At { commit, at }) if tagged || names::is_always_packed(self.path) => (
                Cause::OtherPacker,
                format!(
                    "`{at}` stands in commit {} with these bytes, and {} does not pack it.",
                    short(commit),
                    self.packer()
                ),
            ),
            Some(Seen::At { commit, at }) => (
                Cause::PublishedFromAnotherCommit,
                format!(
                    "These bytes are `{at}` of commit {}, and not of the tag's.",
                    short(commit)
                ),
            ),
            Some(Seen::Nowhere | Seen::Unknown) | None if names::is_side_output(self.path) => (
                Cause::LeftOver,
                "It is a by-product of a compiler, and this build does not make it.".to_owned(),
            ),
            Some(Seen::Nowhere) => {
                (Cause::InNoCommit, "No commit and no build makes it.".to_owned())
            }
            Some(Seen::Unknown) | None => {
                (Cause::Unexplained, "The rebuild does not make it.".to_owned())
            }
        }
    }

    fn missing(&self) -> Explained {
        if self.known.builds && names::is_output(self.path) {
            let because = "This build makes it, and the one that was packed did not.".to_owned();
            return (Cause::StaleBuild, because);
        }
        (Cause::OtherPacker, format!("{} packs it.", self.packer()))
    }

    fn packer(&self) -> &str {
        if self.known.packer.is_empty() { "the packer" } else { self.known.packer }
    }

    fn changed(&self) -> Explained {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let texts = text(self.staged).zip(text(self.rebuilt));
        let of_text = texts.and_then(|(staged, rebuilt)| {
            self.of_its_kind(staged, rebuilt).or_else(|| self.of_lines(staged, rebuilt))
        });
        of_text.unwrap_or_else(|| self.of_its_origin())
    }

    fn of_its_kind(&self, staged: &str, rebuilt: &str) -> Option<Explained> {
        if let Some(because) = text::line_endings(staged, rebuilt) {
            return Some((Cause::LineEndings, because));
        }
        if self.path == "package.json" {
            let because = package_json::rewritten(staged, rebuilt);
            return Some((Cause::PackageJsonRewritten, because));
        }
        if self.path.ends_with(".map") && text::maps_differ_in_paths(staged, rebuilt) {
            let because = "Only `sources` or `sourceRoot` differ.".to_owned();
            return Some((Cause::SourceMapPaths, because));
        }
        None
    }

    fn of_lines(&self, staged: &str, rebuilt: &str) -> Option<Explained> {
        let pairs = text::changed_lines(staged, rebuilt);
        if let Some(because) = pairs.as_ref().and_then(|pairs| text::times(pairs)) {
            return Some((Cause::TimeInOutput, because));
        }
        if let Some(because) = pairs.as_ref().and_then(|pairs| text::paths(pairs)) {
            return Some((Cause::PathInOutput, because));
        }
        let older = pairs.as_ref().and_then(|pairs| text::older_version(pairs, self.version));
        if let Some(because) = older {
            return Some((Cause::StaleBuild, because));
        }
        if names::is_document(self.path) && text::is_cut(staged, rebuilt) {
            let because = "The staged text is the committed one, cut short.".to_owned();
            return Some((Cause::RewrittenAtPublish, because));
        }
        let is_source = self.history.is_some_and(|history| history.tagged);
        if is_source || !self.known.builds {
            return None;
        }
        text::compilers(staged, rebuilt).map(|because| (Cause::OtherCompiler, because))
    }

    /// By where its bytes are, or how it was built.
    fn of_its_origin(&self) -> Explained {
        let is_source = self.history.is_some_and(|history| history.tagged);
        match self.history.map(|history| &history.seen) {
            Some(Seen::At { commit, at }) => (
                Cause::PublishedFromAnotherCommit,
                format!("These bytes are `{at}` of commit {}.", short(commit)),
            ),
            Some(Seen::Nowhere) if is_source || !self.known.builds => {
                (Cause::InNoCommit, "These bytes are in no commit.".to_owned())
            }
            Some(Seen::Nowhere | Seen::Unknown) | None
                if self.known.installed == Installed::Unlocked && !is_source =>
            {
                let because = "No lockfile says what built it.".to_owned();
                (Cause::UnlockedDependencies, because)
            }
            Some(Seen::Nowhere | Seen::Unknown) | None => {
                (Cause::Unexplained, "The rebuild gives other contents.".to_owned())
            }
        }
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
