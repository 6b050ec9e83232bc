//! Which folders a workspace's root names as its members, in the form of each package manager.

use serde_json::Value;

use crate::package_json::PackageJson;

/// Patterns of folders, in order; one that begins with `!` takes folders out again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patterns(Vec<String>);

/// What a `lerna.json` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lerna {
    /// The members, where it names them.
    pub packages: Option<Patterns>,
    /// The package manager that it uses.
    pub npm_client: Option<String>,
    /// The folder of a package that is published in its place.
    pub contents: Option<String>,
}

impl Lerna {
    /// Reads the file. `contents` may stand beside the command that it belongs to (lerna 8, commands.md).
    pub fn read(file: &Value) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let publish = file.get("command").and_then(|command| command.get("publish"));
        Self {
            packages: file.get("packages").and_then(Patterns::of_list),
            npm_client: text(file.get("npmClient")),
            contents: text(publish.and_then(|publish| publish.get("contents")))
                .or_else(|| text(file.get("contents"))),
        }
    }
}

impl Patterns {
    /// The `workspaces` of a package.json, in its list or its object form.
    pub fn of_package(package: &PackageJson) -> Option<Self> {
        let field = package.raw().get("workspaces")?;
        Self::of_list(field).or_else(|| Self::of_list(field.get("packages")?))
    }

    /// The `packages` of a `pnpm-workspace.yaml`. Without them only its settings matter, and it names no member.
    pub fn of_pnpm(file: &Value) -> Self {
        file.get("packages").and_then(Self::of_list).unwrap_or(Self(Vec::new()))
    }

    fn of_list(list: &Value) -> Option<Self> {
        let texts = list.as_array()?.iter().filter_map(Value::as_str);
        let tidy = |text: &str| {
            let (not, pattern) = text.strip_prefix('!').map_or(("", text), |rest| ("!", rest));
            format!("{not}{}", pattern.trim_start_matches("./").trim_matches('/'))
        };
        Some(Self(texts.map(tidy).collect()))
    }

    /// Whether the patterns name this folder; a later `!pattern` takes it out again (@npmcli/map-workspaces 5).
    pub fn names(&self, folder: &str) -> bool {
        let folder: Vec<&str> = folder.split('/').collect();
        self.0.iter().fold(false, |named, pattern| match pattern.strip_prefix('!') {
            Some(out) => named && !covers(&out.split('/').collect::<Vec<_>>(), &folder),
            None => named || covers(&pattern.split('/').collect::<Vec<_>>(), &folder),
        })
    }
}

/// Whether a pattern of path parts, with `*` inside a part and `**` for any number of parts, covers these parts.
fn covers(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) if covers(rest, parts) => true,
        (Some((&"**", _)), Some((_, after))) => covers(pattern, after),
        (Some((part, rest)), Some((name, after))) => fits(part, name) && covers(rest, after),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_name_folders_as_npm_reads_them() {
        let named = |patterns: &[&str], folder: &str| {
            Patterns::of_list(&serde_json::json!(patterns)).unwrap().names(folder)
        };
        assert!(named(&["packages/*"], "packages/a"));
        assert!(named(&["./packages/*/"], "packages/a"));
        assert!(!named(&["packages/*"], "packages/a/b"));
        assert!(named(&["packages/**"], "packages/a/b"));
        assert!(named(&["a", "lib-*"], "lib-x"));
        assert!(!named(&["packages/*", "!packages/private-*"], "packages/private-x"));
        assert!(!named(&[], "packages/a"));
    }

    #[test]
    fn a_lerna_file_names_members_client_and_contents() {
        let file = serde_json::json!({"packages": ["modules/*"], "npmClient": "yarn",
            "command": {"publish": {"contents": "dist"}}});
        let lerna = Lerna::read(&file);
        assert!(lerna.packages.unwrap().names("modules/a"));
        assert_eq!(lerna.npm_client.as_deref(), Some("yarn"));
        assert_eq!(lerna.contents.as_deref(), Some("dist"));
    }
}
