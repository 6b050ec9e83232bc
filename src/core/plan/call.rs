//! One call of a package manager, read from its plain words: which verb, for which packages, in which folder.

use crate::{facts::fits, source::Directory, toolchain::ToolName};

/// Flags that take the word after them.
const WITH_VALUE: [&str; 12] = [
    "--access",
    "--cwd",
    "--dir",
    "--filter",
    "--otp",
    "--prefix",
    "--publish-branch",
    "--registry",
    "--tag",
    "--workspace",
    "-C",
    "-F",
];
/// Flags that change nothing of what a script makes; a command with others is not repeated.
const HARMLESS: [&str; 14] = [
    "--aggregate-output",
    "--if-present",
    "--parallel",
    "--silent",
    "--stream",
    "--topological",
    "--topological-dev",
    "-A",
    "-R",
    "-p",
    "-s",
    "-t",
    "-tA",
    "-Apt",
];

/// Which packages a call is for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Scope<'w> {
    /// That of the folder.
    #[default]
    Own,
    /// Every member.
    All,
    /// The members that these words name: names, patterns of names, or folders.
    Named(Vec<&'w str>),
}

impl Scope<'_> {
    pub(super) fn is_own(&self) -> bool {
        *self == Scope::Own
    }

    /// Whether it covers the package of that name and folder.
    pub(super) fn names(&self, name: &str, directory: &Directory) -> bool {
        match self {
            Scope::Own => false,
            Scope::All => true,
            Scope::Named(words) => words.iter().any(|word| {
                let word = word.trim_start_matches("...").trim_end_matches("...");
                let word = word.trim_start_matches('{').trim_end_matches('}');
                let folder = word.trim_start_matches("./").trim_end_matches('/');
                fits(word, name) || fits(folder, directory.as_str())
            }),
        }
    }
}

/// A call of npm, pnpm, yarn or bun.
#[derive(Clone, Debug)]
pub(super) struct Call<'w> {
    pub tool: ToolName,
    /// The words that are neither flags nor their values.
    pub verbs: Vec<&'w str>,
    pub scope: Scope<'w>,
    /// The folder that a flag names.
    pub folder: Option<&'w str>,
    pub global: bool,
    pub dry_run: bool,
    pub without_scripts: bool,
    pub tag: Option<&'w str>,
    /// Whether it is written with `run`.
    pub is_run: bool,
    /// Whether the last word is a flag that takes a value, which is missing.
    pub cut_in_a_flag: bool,
    /// Whether every flag is one that changes nothing.
    pub known_flags: bool,
    /// Whether it hands words on to the script.
    pub has_arguments: bool,
}

impl<'w> Call<'w> {
    /// Reads the words of a command; none where they call no package manager.
    pub(super) fn of(words: &[&'w str]) -> Option<Self> {
        let (program, rest) = words.split_first()?;
        let tool = ToolName::of(program).filter(|tool| *tool != ToolName::Node)?;
        let mut call = Self {
            tool,
            verbs: Vec::new(),
            scope: Scope::Own,
            folder: None,
            global: false,
            dry_run: false,
            without_scripts: false,
            tag: None,
            is_run: false,
            cut_in_a_flag: false,
            known_flags: true,
            has_arguments: false,
        };
        let mut words = rest.iter().copied();
        while let Some(word) = words.next() {
            if word == "--" {
                call.has_arguments = words.next().is_some();
                break;
            }
            if !word.starts_with('-') {
                call.verbs.push(word);
                continue;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None if takes_value(tool, word) => {
                    let value = words.next();
                    call.cut_in_a_flag = value.is_none();
                    (word, value)
                }
                None => (word, None),
            };
            call.flag(flag, value);
        }
        call.settle();
        Some(call)
    }

    fn flag(&mut self, flag: &'w str, value: Option<&'w str>) {
        match flag {
            "-w" | "--workspace" | "--filter" | "-F" if value.is_some() => {
                let value = value.unwrap_or_default();
                match &mut self.scope {
                    Scope::Named(words) => words.push(value),
                    Scope::Own | Scope::All => self.scope = Scope::Named(vec![value]),
                }
            }
            "-r" | "--recursive" | "--workspaces" | "-ws" => {
                if self.scope == Scope::Own {
                    self.scope = Scope::All;
                }
            }
            "-C" | "--prefix" | "--cwd" | "--dir" => self.folder = value,
            "-g" | "--global" | "--location" => self.global = true,
            "--dry-run" => self.dry_run = value != Some("false"),
            "--ignore-scripts" => self.without_scripts = value != Some("false"),
            "--tag" => self.tag = value,
            flag => self.known_flags &= HARMLESS.contains(&flag),
        }
    }

    /// Takes the forms of yarn's workspaces and the word `run` off the verbs.
    fn settle(&mut self) {
        match self.verbs.as_slice() {
            ["workspace", name, ..] => {
                self.scope = Scope::Named(vec![name]);
                self.verbs.drain(..2);
            }
            ["workspaces", "foreach", ..] => {
                self.scope = Scope::All;
                self.verbs.drain(..2);
            }
            ["workspaces", "run", ..] => {
                self.scope = Scope::All;
                self.verbs.drain(..1);
            }
            ["global", ..] => {
                self.global = true;
                self.verbs.drain(..1);
            }
            _ => {}
        }
        if let ["run" | "run-script" | "rum" | "urn", _, ..] = self.verbs.as_slice() {
            self.is_run = true;
            self.verbs.drain(..1);
        }
        if self.tool == ToolName::Npm && matches!(self.verbs.as_slice(), ["test" | "t" | "tst", ..])
        {
            self.is_run = true;
            self.verbs = vec!["test"];
        }
        self.has_arguments |= self.is_run && self.verbs.len() > 1;
    }

    /// The script that it runs, if it does: npm and bun ask for `run`, pnpm and yarn take any name.
    pub(super) fn script(&self) -> Option<&'w str> {
        let first = self.verbs.first().copied()?;
        let bare = matches!(self.tool, ToolName::Pnpm | ToolName::Yarn);
        (self.is_run || bare).then_some(first)
    }
}

fn takes_value(tool: ToolName, flag: &str) -> bool {
    // To pnpm it is the workspace's root.
    WITH_VALUE.contains(&flag) || (flag == "-w" && tool == ToolName::Npm)
}

/// A folder as seen from another; none where it leaves the repository.
pub(super) fn resolve(from: &Directory, folder: &str) -> Option<Directory> {
    if folder.starts_with(['/', '~']) || folder.contains('$') {
        return None;
    }
    let mut parts: Vec<&str> = from.as_str().split('/').filter(|part| !part.is_empty()).collect();
    for part in folder.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    parts.join("/").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Call<'static> {
        let words: Vec<&str> = text.split(' ').collect();
        Call::of(&words).unwrap()
    }

    #[test]
    fn a_call_is_read_by_its_words() {
        for (text, verbs, script, scope) in [
            ("npm run build", "build", Some("build"), Scope::Own),
            ("npm build", "build", None, Scope::Own),
            ("npm t", "test", Some("test"), Scope::Own),
            ("pnpm build", "build", Some("build"), Scope::Own),
            ("pnpm -r build", "build", Some("build"), Scope::All),
            ("pnpm run --filter a build", "build", Some("build"), Scope::Named(vec!["a"])),
            (
                "npm publish -w packages/a --provenance",
                "publish",
                None,
                Scope::Named(vec!["packages/a"]),
            ),
            ("yarn workspace a build", "build", Some("build"), Scope::Named(vec!["a"])),
            ("yarn workspaces foreach -A run build", "build", Some("build"), Scope::All),
            ("npm run build --workspaces --if-present", "build", Some("build"), Scope::All),
        ] {
            let call = read(text);
            assert_eq!(call.verbs.join(" "), verbs, "{text}");
            assert_eq!(call.script(), script, "{text}");
            assert_eq!(call.scope, scope, "{text}");
        }
        assert!(read("npm publish --tag").cut_in_a_flag);
        assert!(read("npm i -g npm@latest").global);
        assert!(!read("npm run build --workspaces --script-shell=x").known_flags);
        assert!(Call::of(&["node", "x.js"]).is_none());
    }

    #[test]
    fn a_folder_is_resolved_inside_the_repository() {
        let from: Directory = "packages/a".parse().unwrap();
        let resolved = |folder| resolve(&from, folder).map(|d| d.as_str().to_owned());
        assert_eq!(resolved("dist").as_deref(), Some("packages/a/dist"));
        assert_eq!(resolved("./../b/").as_deref(), Some("packages/b"));
        assert_eq!(resolved("../..").as_deref(), Some(""));
        assert_eq!(resolved("../../.."), None);
        assert_eq!(resolved("/etc"), None);
    }
}
