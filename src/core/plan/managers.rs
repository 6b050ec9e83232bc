//! What each package manager is told: to install, to run a script, to pack. Pure words by tool and version; which manager
//! a plan takes is decided elsewhere, and the registry, caches and switches that every step gets are the sandbox's.
//!
//! Every command leaves scripts alone that nobody asked for: installs and packing run none, and the lifecycle scripts
//! that matter are steps of the plan.

use super::{PACKED, Step};
use crate::{
    source::Directory,
    toolchain::{Tool, ToolName},
};

/// Where the sandbox shows the plugin that keeps berry from running scripts while it packs: it alone has no flag for that.
pub const WITHOUT_SCRIPTS: &str = "/opt/bin/yarn-without-scripts.cjs";

/// A package manager by what it understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manager {
    Npm {
        major: u64,
    },
    Pnpm {
        major: u64,
    },
    /// yarn up to 1.
    Classic,
    /// yarn from 2 on.
    Berry {
        major: u64,
    },
    Bun,
}

impl Manager {
    /// A node brings npm with it.
    fn of(tool: &Tool) -> Self {
        let major = tool.major();
        match tool.name {
            ToolName::Node => Self::Npm { major: u64::MAX },
            ToolName::Npm => Self::Npm { major },
            ToolName::Pnpm => Self::Pnpm { major },
            ToolName::Yarn if major < 2 => Self::Classic,
            ToolName::Yarn => Self::Berry { major },
            ToolName::Bun => Self::Bun,
        }
    }
}

/// The command that installs exactly what the manager's own lockfile names, and runs no script. It fails where
/// package.json and lockfile disagree.
pub fn install_by_lockfile(tool: &Tool) -> Vec<String> {
    words(match Manager::of(tool) {
        Manager::Npm { .. } => &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        Manager::Pnpm { .. } => &["pnpm", "install", "--frozen-lockfile", "--ignore-scripts"],
        Manager::Classic => &[
            "yarn",
            "install",
            "--frozen-lockfile",
            "--ignore-scripts",
            "--ignore-engines",
            "--non-interactive",
        ],
        Manager::Berry { major: 2 } => &["yarn", "install", "--immutable", "--skip-builds"],
        Manager::Berry { .. } => &["yarn", "install", "--immutable", "--mode=skip-build"],
        Manager::Bun => &["bun", "install", "--frozen-lockfile", "--ignore-scripts"],
    })
}

/// The command that installs these packages, written as `name@range`, and nothing that package.json asks for: npm's, of any major.
/// They come into the folder above the tree, where node and `npm run` look as well, since in the package's own folder npm
/// first works out all that it develops with, and fails where that cannot be had, though it is not to be installed.
pub fn install_these(packages: &[String]) -> Vec<String> {
    let flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"];
    let all =
        ["npm", "install", "--prefix", super::ABOVE_TREE].into_iter().chain(flags).chain(["--"]);
    all.map(str::to_owned).chain(packages.iter().cloned()).collect()
}

/// The command that installs what package.json asks for as the registry has it, runs no script, and, where the manager
/// can, writes no lockfile.
pub fn install_without_lockfile(tool: &Tool) -> Vec<String> {
    words(match Manager::of(tool) {
        Manager::Npm { .. } => {
            &["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        }
        Manager::Pnpm { .. } => &["pnpm", "install", "--no-lockfile", "--ignore-scripts"],
        Manager::Classic => &[
            "yarn",
            "install",
            "--no-lockfile",
            "--ignore-scripts",
            "--ignore-engines",
            "--non-interactive",
        ],
        // Berry installs by a lockfile alone, and writes the one that it lacks.
        Manager::Berry { major: 2 } => &["yarn", "install", "--skip-builds"],
        Manager::Berry { .. } => &["yarn", "install", "--no-immutable", "--mode=skip-build"],
        Manager::Bun => &["bun", "install", "--no-save", "--ignore-scripts"],
    })
}

/// The step that runs a script of the package.json in that folder.
pub fn run_script(tool: &Tool, script: &str, cwd: &Directory) -> Step {
    let program = match Manager::of(tool) {
        Manager::Npm { .. } => "npm",
        Manager::Pnpm { .. } => "pnpm",
        Manager::Classic | Manager::Berry { .. } => "yarn",
        Manager::Bun => "bun",
    };
    step(&[program, "run", script], cwd)
}

/// The step that runs the install scripts of what was installed. yarn 1 and bun only do that while they install; npm
/// does it for any `node_modules`.
pub fn run_install_scripts(tool: &Tool, cwd: &Directory) -> Step {
    match Manager::of(tool) {
        Manager::Npm { .. } | Manager::Classic | Manager::Bun => step(&["npm", "rebuild"], cwd),
        Manager::Pnpm { .. } => step(&["pnpm", "rebuild"], cwd),
        Manager::Berry { .. } => step(&["yarn", "rebuild"], cwd),
    }
}

/// The step that packs the package in that folder, with no script run. The tarball comes to lie in [`PACKED`], or in the
/// package's folder where the manager knows no other place.
pub fn pack(tool: &Tool, cwd: &Directory) -> Step {
    let file = format!("{PACKED}/package.tgz");
    let manager = Manager::of(tool);
    let mut packing = match manager {
        // npm up to 6 knows no `--pack-destination`, and neither does every pnpm 6.
        Manager::Npm { major } if major < 7 => step(&["npm", "pack", "--ignore-scripts"], cwd),
        Manager::Npm { .. } => {
            step(&["npm", "pack", "--ignore-scripts", "--pack-destination", PACKED], cwd)
        }
        Manager::Pnpm { major } if major < 7 => step(&["pnpm", "pack"], cwd),
        Manager::Pnpm { .. } => step(&["pnpm", "pack", "--pack-destination", PACKED], cwd),
        Manager::Classic => step(&["yarn", "pack", "--ignore-scripts", "--filename", &file], cwd),
        Manager::Berry { .. } => step(&["yarn", "pack", "--out", &file], cwd),
        Manager::Bun => {
            step(&["bun", "pm", "pack", "--ignore-scripts", "--destination", PACKED], cwd)
        }
    };
    let quiet: &[(&str, &str)] = match manager {
        Manager::Npm { .. } | Manager::Classic | Manager::Bun => &[],
        // pnpm has no flag for it; up to 10 its settings have npm's prefix in the environment, from 11 on its own.
        Manager::Pnpm { major } if major < 11 => &[("npm_config_ignore_scripts", "true")],
        Manager::Pnpm { .. } => &[("pnpm_config_ignore_scripts", "true")],
        Manager::Berry { .. } => &[("YARN_PLUGINS", WITHOUT_SCRIPTS)],
    };
    packing.env = quiet.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    packing
}

/// Whether this version can pack: bun learnt it late.
pub fn can_pack(tool: &Tool) -> bool {
    let version = tool.version.semver();
    match tool.name {
        ToolName::Node | ToolName::Npm | ToolName::Pnpm | ToolName::Yarn => true,
        ToolName::Bun => (version.major(), version.minor(), version.patch()) >= (1, 1, 27),
    }
}

fn words(argv: &[&str]) -> Vec<String> {
    argv.iter().map(|&word| word.to_owned()).collect()
}

fn step(argv: &[&str], cwd: &Directory) -> Step {
    Step { argv: words(argv), cwd: cwd.clone(), env: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 10] = [
        ("npm", "6.14.18"),
        ("npm", "11.19.1"),
        ("pnpm", "6.35.1"),
        ("pnpm", "7.33.7"),
        ("pnpm", "11.3.0"),
        ("yarn", "1.22.22"),
        ("yarn", "2.4.2"),
        ("yarn", "3.8.7"),
        ("yarn", "4.18.1"),
        ("bun", "1.4.5"),
    ];

    fn tools() -> impl Iterator<Item = Tool> {
        ALL.into_iter().map(|(name, version)| Tool::named(name, version).unwrap())
    }

    #[test]
    fn no_install_runs_a_script() {
        for tool in tools() {
            for argv in [install_by_lockfile(&tool), install_without_lockfile(&tool)] {
                let quiet = ["--ignore-scripts", "--skip-builds", "--mode=skip-build"];
                assert!(argv.iter().any(|word| quiet.contains(&word.as_str())), "{tool}: {argv:?}");
            }
        }
    }

    #[test]
    fn no_packing_runs_a_script() {
        for tool in tools() {
            let packing = pack(&tool, &Directory::default());
            let by_flag = packing.argv.iter().any(|word| word == "--ignore-scripts");
            assert!(by_flag || !packing.env.is_empty(), "{tool}: {packing:?}");
        }
    }

    #[test]
    fn every_command_begins_with_the_manager_that_gives_it() {
        for tool in tools() {
            let name = tool.name.as_str();
            let packing = pack(&tool, &Directory::default());
            let running = run_script(&tool, "build", &Directory::default());
            for argv in [
                install_by_lockfile(&tool),
                install_without_lockfile(&tool),
                packing.argv,
                running.argv,
            ] {
                assert_eq!(argv[0], name);
            }
        }
    }

    #[test]
    fn what_a_manager_does_not_know_it_is_not_told() {
        let at = |name: &str, version: &str| Tool::named(name, version).unwrap();
        let destined = |tool: &Tool| {
            pack(tool, &Directory::default()).argv.iter().any(|word| word.contains(PACKED))
        };
        assert!(!destined(&at("npm", "6.14.18")) && destined(&at("npm", "7.24.2")));
        assert!(!destined(&at("pnpm", "6.0.0")) && destined(&at("pnpm", "7.0.0")));
        assert!(!can_pack(&at("bun", "1.1.26")) && can_pack(&at("bun", "1.1.27")));
        let berry = |version: &str| install_by_lockfile(&at("yarn", version)).join(" ");
        assert_eq!(berry("2.4.2"), "yarn install --immutable --skip-builds");
        assert_eq!(berry("3.0.0"), "yarn install --immutable --mode=skip-build");
    }
}
