//! Causes: why a file of an honest release does not come out the same, as a closed list with what each means and how it is
//! mended. How a cause is recognised is not known here. A cause is a likelihood for people and never changes a verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($variant:ident = $word:literal, $meaning:literal, $fix:literal;)*) => {
        /// Why a file likely differs.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause {
            $(#[doc = $meaning] $variant,)*
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Cause] = &[$(Cause::$variant,)*];

            /// The word in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Cause::$variant => $word,)* }
            }

            /// What it means, as a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Cause::$variant => $meaning,)* }
            }

            /// The mending line.
            pub fn fix(self) -> &'static str {
                match self { $(Cause::$variant => $fix,)* }
            }
        }
    };
}

causes! {
    LineEndings = "line-endings",
        "Only the line endings differ: it was packed where git writes CRLF, or an editor did.",
        "Put `* text=auto eol=lf` into .gitattributes, and pack from a clean checkout.";
    TimeInOutput = "time-in-output",
        "The build writes the time into its output.",
        "Take the time from SOURCE_DATE_EPOCH or the commit, or leave it out.";
    PathInOutput = "path-in-output",
        "The build writes the folder that it ran in into its output.",
        "Let the bundler or compiler write paths relative to the package.";
    SourceMapPaths = "source-map-paths",
        "Only the paths of the sources in a source map differ.",
        "Build where the repository lies as in a clean clone, or set `sourceRoot` to a relative path.";
    OtherCompiler = "other-compiler",
        "Another version of the compiler or bundler wrote it: its helpers or its layout differ.",
        "Lock the compiler's version in a lockfile, and build from a clean install.";
    StaleBuild = "stale-build",
        "It comes from an earlier build than that of this commit.",
        "Clear the output folder and build right before packing, in a `prepack` script.";
    UnlockedDependencies = "unlocked-dependencies",
        "Without a lockfile, what built it here may be another version than what built it for the release.",
        "Commit a lockfile and install by it.";
    InNoCommit = "in-no-commit",
        "The file is no output of the build, and its bytes are in no commit of the repository.",
        "Commit the file, or leave it out of the package, and pack from a clean checkout of the tag.";
    PublishedFromAnotherCommit = "published-from-another-commit",
        "Its bytes are those of another commit than the tag's.",
        "Tag the commit that is released, and pack from a clean checkout of the tag.";
    LeftOver = "left-over",
        "It lay in the publisher's folder from something else, and was packed along with the rest.",
        "Pack from a clean checkout, or name what is packed in `files`.";
    EditorFile = "editor-file",
        "An editor or the system left it in the publisher's folder.",
        "Pack from a clean checkout, or name what is packed in `files`.";
    PackageJsonRewritten = "package-json-rewritten",
        "package.json was rewritten when it was published.",
        "Commit what is published, or let a script of the repository write it.";
    RewrittenAtPublish = "rewritten-at-publish",
        "A document was cut or rewritten when it was published.",
        "Publish it as it is committed, or let a script of the repository rewrite it.";
    ExecutableBit = "executable-bit",
        "Only the permission to execute it differs.",
        "Set the mode in git (git update-index --chmod), and pack where the file system keeps modes.";
    OtherPacker = "other-packer",
        "Another package manager, or another version of it, chose which files are packed.",
        "Publish with the package manager that `packageManager` names, or name the file in `files`.";
    NotDeterministic = "not-deterministic",
        "The build gives something else each time.",
        "Keep times, random names and unordered lists out of its output.";
    Unexplained = "unexplained",
        "Nothing that we know of explains it: somebody may have changed it after the build.",
        "Find out who changed the file after the build, then stage again from a clean checkout of the tag.";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_one_word_with_its_meaning_and_its_fix() {
        for &cause in Cause::ALL {
            let word = serde_json::to_value(cause).unwrap();
            assert_eq!(word.as_str(), Some(cause.as_str()));
            assert!(cause.meaning().ends_with('.') && !cause.fix().is_empty(), "{cause}");
        }
    }
}
