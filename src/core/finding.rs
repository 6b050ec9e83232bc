//! Findings: the reasons of a verdict. Every code stands here once, with its class, what it means and how to mend it;
//! a code never changes its meaning. This file knows nothing of how a finding is made.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::archive::Rule;

/// Why a verdict is a `fail`; words differ by it. In the order in which the first one is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The tarball is malformed.
    Archive,
    /// The source may not be believed.
    Source,
    /// Its build did not run to an end here: this says nothing about its bytes.
    NotRebuilt,
    /// We know that the bytes do not match.
    Differs,
}

/// How much a finding weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It closes the gate.
    Fail,
    /// It stands in the verdict's sentence; a policy may make it a fail.
    Warning,
    /// It is worth knowing; a policy may raise it.
    Note,
}

/// What a code stands for by itself, before a policy raises it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A fail of this class.
    Fail(Class),
    /// A warning.
    Warning,
    /// A note.
    Note,
    /// We could not tell: neither pass nor fail.
    Undetermined,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $kind:expr, $meaning:literal, $fix:literal;)*) => {
        /// A stable reason code, kebab-case in every text.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
            /// A rule of the strict reader.
            Archive(Rule),
        }

        impl Code {
            /// Every code but those of the strict reader, which [`Rule::ALL`] lists.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The code's text.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* Code::Archive(rule) => rule.code() }
            }

            /// What the code stands for by itself.
            pub fn kind(self) -> Kind {
                match self { $(Code::$variant => $kind,)* Code::Archive(_) => Kind::Fail(Class::Archive) }
            }

            /// One sentence that says when the code is given.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* Code::Archive(rule) => rule.meaning() }
            }

            /// The mending line.
            pub fn fix(self) -> &'static str {
                match self { $(Code::$variant => $fix,)* Code::Archive(rule) => rule.fix() }
            }

            /// The code of that text.
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($code => Some(Code::$variant),)* _ => Rule::from_code(text).map(Code::Archive) }
            }
        }
    };
}

use Class::{Archive as ArchiveClass, Differs, NotRebuilt, Source};

codes! {
    FileChanged = "file-changed", Kind::Fail(Differs),
        "The staged file has other contents than the rebuilt one.",
        "Find out who changed the file after the build, then stage again from a clean checkout of the tag.";
    FileAdded = "file-added", Kind::Fail(Differs),
        "The staged tarball holds a file that the rebuild does not make.",
        "Remove the file, or commit what makes it, and stage again from a clean checkout of the tag.";
    FileMissing = "file-missing", Kind::Fail(Differs),
        "The rebuild makes a file that the staged tarball does not hold.",
        "Stage again from a clean checkout of the tag.";
    ExecutableBitChanged = "executable-bit-changed", Kind::Fail(Differs),
        "The staged file may be executed and the rebuilt one may not, or the other way round.",
        "Set the mode in git (git update-index --chmod) and stage again from a clean checkout of the tag.";
    PublishedFromAnotherCommit = "published-from-another-commit", Kind::Fail(Differs),
        "The staged files are those of another commit than the tag's.",
        "Move the release to the commit that the tag names, or tag the commit that was released under a new version.";
    InNoCommit = "in-no-commit", Kind::Note,
        "These bytes are in no commit of the repository.",
        "Commit the file, or leave it out of the package.";
    NotDeterministic = "not-deterministic", Kind::Fail(Differs),
        "Two rebuilds of the same plan differ from one another.",
        "Make the build give the same bytes each time: no times, random names or unordered lists in its output.";
    ManifestDisagrees = "manifest-disagrees", Kind::Fail(ArchiveClass),
        "What was sent beside the tarball does not agree with the package.json inside it.",
        "Stage again with an unmodified npm: it sends the package.json that it packs.";
    PackageNotEnrolled = "package-not-enrolled", Kind::Fail(Source),
        "Nobody has confirmed where this package's source is.",
        "countersign package enrol NAME --by MAINTAINER --repo URL";
    SourceNotEnrolled = "source-not-enrolled", Kind::Fail(Source),
        "The tarball names another repository or folder than the enrolled one.",
        "Correct `repository` in package.json, or enrol the new repository with a second factor.";
    RepositoryChanged = "repository-changed", Kind::Fail(Source),
        "The enrolled address now belongs to another repository.",
        "Enrol the repository anew after making sure whose it is.";
    TagNotFound = "tag-not-found", Kind::Fail(Source),
        "The repository has no tag for this version.",
        "Push the tag, then ask for a rerun.";
    TagAmbiguous = "tag-ambiguous", Kind::Fail(Source),
        "Two tags name this version on different commits.",
        "Delete the wrong tag, or name the right one with --ref.";
    TagMoved = "tag-moved", Kind::Fail(Source),
        "The tag names another commit than when it was first seen.",
        "Find out who moved it; a maintainer may accept the new commit for this version with a second factor.";
    TagNamesAnotherPackage = "tag-names-another-package", Kind::Fail(Source),
        "The package.json at the tag has another name or version.",
        "Tag the commit whose package.json has this name and version.";
    CommitNotOnBranch = "commit-not-on-branch", Kind::Fail(Source),
        "The tag's commit is not reachable from an enrolled branch.",
        "Merge the commit into an enrolled branch, or enrol its branch.";
    SignatureMissing = "signature-missing", Kind::Fail(Source),
        "The policy asks for a signed tag and this one is not signed by an enrolled signer.",
        "Sign the tag (git tag -s) with an enrolled key.";
    EvidenceDisagrees = "evidence-disagrees", Kind::Fail(Source),
        "Something that knows the commit names another one than the tag does.",
        "Release from the commit that the tag names.";
    PlanNotFound = "plan-not-found", Kind::Fail(NotRebuilt),
        "The tagged tree does not say how the package is built in a way that we know.",
        "Enrol the plan, or build with a lifecycle script (prepack) of package.json.";
    PlanAmbiguous = "plan-ambiguous", Kind::Fail(NotRebuilt),
        "The tagged tree allows two plans of equal standing.",
        "Enrol the folder or the package manager of this package.";
    LockfileUnusable = "lockfile-unusable", Kind::Fail(NotRebuilt),
        "The lockfile cannot be used as it stands.",
        "Bring package.json and the lockfile into agreement (npm install) and commit both.";
    LockfileForeignHost = "lockfile-foreign-host", Kind::Fail(NotRebuilt),
        "The lockfile names a host that is no configured registry.",
        "Let the operator map that host, or lock the dependency from a registry.";
    DependencyFromGit = "dependency-from-git", Kind::Fail(NotRebuilt),
        "A dependency comes from a git repository, which a rebuild cannot reach.",
        "Depend on a version from a registry.";
    BuildFailed = "build-failed", Kind::Fail(NotRebuilt),
        "The build ended with an error and nothing could be packed.",
        "See the log; build from a clean checkout of the tag, without network, to see the same.";
    BuildTimedOut = "build-timed-out", Kind::Fail(NotRebuilt),
        "The build took longer than it may.",
        "Make the build shorter, or let the operator raise the limit.";
    BuildSilent = "build-silent", Kind::Fail(NotRebuilt),
        "The build printed nothing for longer than it may.",
        "Look for a step that waits for input or a lock; print progress in long steps.";
    BuildOutOfMemory = "build-out-of-memory", Kind::Fail(NotRebuilt),
        "The build needed more memory than it may have.",
        "Build with less memory, or let the operator raise the limit.";
    BuildOutOfDisk = "build-out-of-disk", Kind::Fail(NotRebuilt),
        "The build wrote more to the disk than it may.",
        "Write less, or let the operator raise the limit.";
    BuildTooManyProcesses = "build-too-many-processes", Kind::Fail(NotRebuilt),
        "The build started more processes than it may.",
        "Start fewer processes at once, or let the operator raise the limit.";
    BuildOutputTooLarge = "build-output-too-large", Kind::Fail(NotRebuilt),
        "The build printed more than it may.",
        "Print less.";
    NeedsNetwork = "needs-network", Kind::Fail(NotRebuilt),
        "The build asked for something that is not in the registry as of the release, and ended with an error.",
        "Bring what it fetches as a dependency of the lockfile, or commit it.";
    BuildExitedNonzero = "build-exited-nonzero", Kind::Warning,
        "A build step ended with an error, yet the package could be packed.",
        "Make the build end without an error.";
    DependenciesUnpinned = "dependencies-unpinned", Kind::Warning,
        "Without a complete lockfile, dependencies were resolved as of the release's time.",
        "Commit a lockfile.";
    CutoffUnreliable = "cutoff-unreliable", Kind::Warning,
        "The registry's times cannot be believed, so dependencies may be newer than the release.",
        "Commit a lockfile.";
    LockfileWithoutIntegrity = "lockfile-without-integrity", Kind::Warning,
        "The lockfile names dependencies without the digest of their bytes.",
        "Write the lockfile anew with a current npm.";
    DependencyTooYoung = "dependency-too-young", Kind::Warning,
        "A dependency was published shortly before this release.",
        "Wait, or look at that dependency.";
    PlanChanged = "plan-changed", Kind::Warning,
        "The plan is not the one of the last release.",
        "See in the plan what changed and why.";
    InstallScriptAdded = "install-script-added", Kind::Note,
        "This release runs a script at install that the last one did not.",
        "Read the script.";
    DependencyAdded = "dependency-added", Kind::Note,
        "This release has a dependency that the last one did not.",
        "Look at the dependency.";
    BinChanged = "bin-changed", Kind::Note,
        "The commands that this release installs are not those of the last one.",
        "Look at the commands.";
    NewSinceLastRelease = "new-since-last-release", Kind::Note,
        "This is new since the last release.",
        "Look at it.";
    RegistryUnavailable = "registry-unavailable", Kind::Undetermined,
        "The registry did not answer.",
        "Nothing to mend in the package; we try again.";
    RepositoryUnavailable = "repository-unavailable", Kind::Undetermined,
        "The git host did not answer.",
        "Nothing to mend in the package; we try again. If the repository is gone or private, enrol the right one.";
    ToolchainNotAvailable = "toolchain-not-available", Kind::Undetermined,
        "The toolchain could not be downloaded.",
        "Nothing to mend in the package; we try again.";
    SandboxUnavailable = "sandbox-unavailable", Kind::Undetermined,
        "This machine lacks a wall of the sandbox, and nothing untrusted runs without it.",
        "countersign doctor";
    WorkerLost = "worker-lost", Kind::Undetermined,
        "The worker that had the job is gone.",
        "Nothing to mend in the package; we try again.";
    MachineOutOfDisk = "machine-out-of-disk", Kind::Undetermined,
        "The worker's own disk is full.",
        "Free disk on the worker.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Code> for String {
    fn from(code: Code) -> String {
        code.as_str().to_owned()
    }
}

impl TryFrom<String> for Code {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::from_text(&text)
            .ok_or_else(|| format!("`{text}` is not a code that this version knows"))
    }
}

/// One reason for the verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The stable code.
    pub code: Code,
    /// How much it weighs here.
    pub severity: Severity,
    /// The file inside the package, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A sentence that a maintainer could paste into an issue.
    pub message: String,
    /// The mending line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// A finding with the code's own weight and mending line. A code of [`Kind::Undetermined`] weighs as a note: it
    /// decides by its kind, never by its severity.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let severity = match code.kind() {
            Kind::Fail(_) => Severity::Fail,
            Kind::Warning => Severity::Warning,
            Kind::Note | Kind::Undetermined => Severity::Note,
        };
        Self {
            code,
            severity,
            path: None,
            message: message.into(),
            fix: Some(code.fix().to_owned()),
        }
    }

    /// The same finding about this file.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same finding with a mending line of its own.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same finding with another weight: evidence that only hints, or a policy that raises a warning.
    #[must_use]
    pub fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The class of the fail that this finding is, if it is one. A warning or note that a policy raised to a fail is
    /// of the class `source`: the policy does not accept where the bytes come from.
    pub fn fail_class(&self) -> Option<Class> {
        match (self.severity, self.code.kind()) {
            (Severity::Fail, Kind::Fail(class)) => Some(class),
            (Severity::Fail, Kind::Warning | Kind::Note) => Some(Class::Source),
            (Severity::Fail, Kind::Undetermined) | (Severity::Warning | Severity::Note, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_text_and_says_what_it_means() {
        for &code in Code::ALL {
            assert_eq!(Code::from_text(code.as_str()), Some(code));
            assert!(code.meaning().ends_with('.') && !code.fix().is_empty(), "{code}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
        assert_eq!(Code::from_text("no-such-code"), None);
    }

    #[test]
    fn only_a_fail_has_a_class() {
        let changed = Finding::new(Code::FileChanged, "x");
        assert_eq!(changed.fail_class(), Some(Class::Differs));
        assert_eq!(Finding::new(Code::DependenciesUnpinned, "x").fail_class(), None);
        assert_eq!(Finding::new(Code::RegistryUnavailable, "x").fail_class(), None);
    }
}
