//! What a step finds beside the tree: the tools of its plan, and the environment that keeps each of them to the version
//! that was brought, to the registry mirror and to caches inside the work area. It knows nothing of steps.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use countersign_core::{
    Version,
    plan::Plan,
    toolchain::{Tool, ToolName},
};

use crate::{
    mirror::LockedVersion,
    sandbox::{INSIDE_REGISTRY, ReadOnlyBind},
    toolchain::{Cache, Purpose},
};

/// The tools of one kind of step.
#[derive(Clone, Debug)]
pub(super) struct Kit {
    /// The tools and the folder of their launchers.
    pub(super) mounts: Vec<ReadOnlyBind>,
    /// What the tools have to be told.
    pub(super) environment: BTreeMap<String, String>,
}

/// The tools of a plan, brought. Of two versions of one tool the step's own goes first: what installs and builds is the
/// package manager, and what packs is the packer.
#[derive(Clone, Debug)]
pub(super) struct Toolchain {
    pub(super) building: Kit,
    pub(super) packing: Kit,
}

impl Toolchain {
    /// Lays out what was brought.
    ///
    /// # Errors
    /// The cache folder refused the launchers.
    pub(super) fn of(plan: &Plan, brought: &[(&Tool, PathBuf)], cache: &Cache) -> io::Result<Self> {
        let (manager, packer) = (&plan.package_manager, &plan.packer);
        let building = |tools: &[&Tool]| cache.launchers(tools, Purpose::Building);
        // Every other packer keeps to what it is told.
        let quiet = packer.name == ToolName::Npm;
        let purpose = if quiet { Purpose::Packing } else { Purpose::Building };
        let packing = |tools: &[&Tool]| cache.launchers(tools, purpose);
        Ok(Self {
            building: Kit::of([&plan.node, manager, &plan.npm, packer], brought, building)?,
            packing: Kit::of([&plan.node, packer, manager, &plan.npm], brought, packing)?,
        })
    }
}

impl Kit {
    fn of(
        by_rank: [&Tool; 4],
        brought: &[(&Tool, PathBuf)],
        launchers: impl Fn(&[&Tool]) -> io::Result<PathBuf>,
    ) -> io::Result<Self> {
        let mut tools: Vec<&Tool> = Vec::new();
        for tool in by_rank {
            if !tools.iter().any(|taken| taken.name == tool.name) {
                tools.push(tool);
            }
        }
        let bind = |host: &Path, name: &str| ReadOnlyBind {
            host: host.to_owned(),
            inside: format!("/opt/{name}"),
        };
        let mut mounts: Vec<ReadOnlyBind> = brought
            .iter()
            .filter(|(tool, _)| tools.contains(tool))
            .map(|(tool, home)| bind(home, tool.name.as_str()))
            .collect();
        mounts.push(bind(&launchers(&tools)?, "bin"));
        Ok(Self { mounts, environment: environment(&tools) })
    }
}

fn environment(tools: &[&Tool]) -> BTreeMap<String, String> {
    let mut all = Settings::default();
    for tool in tools {
        match tool.name {
            ToolName::Node => {}
            ToolName::Npm => npm(&mut all, tool),
            ToolName::Pnpm => pnpm(&mut all, tool.major()),
            ToolName::Yarn if tool.major() < 2 => classic(&mut all),
            ToolName::Yarn => berry(&mut all, tool),
            ToolName::Bun => bun(&mut all),
        }
    }
    all.0
}

#[derive(Default)]
struct Settings(BTreeMap<String, String>);

impl Settings {
    fn set(&mut self, name: impl Into<String>, value: &str) {
        self.0.insert(name.into(), value.to_owned());
    }
}

fn npm(all: &mut Settings, tool: &Tool) {
    all.set("npm_config_registry", INSIDE_REGISTRY);
    // By default npm turns only the public registry's addresses of a lockfile into ours, and asks every other one
    // itself (npm 8.5 and later, arborist's `replaceRegistryHost`). Hosts that are no registry never come so far.
    all.set("npm_config_replace_registry_host", "always");
    all.set("npm_config_cache", "/build/.npm-cache");
    all.set("npm_config_userconfig", "/tmp/home/.npmrc");
    all.set("npm_config_update_notifier", "false");
    all.set("npm_config_audit", "false");
    all.set("npm_config_fund", "false");
    // The headers for node-gyp. The node-gyp of npm 11.7 and later reads them from this name, by which npm hands on a
    // package's own settings; npm 11.2 and later warn in every log of one that they do not know themselves.
    all.set("npm_package_config_node_gyp_nodedir", NODE_FOLDER);
    let version = tool.version.semver();
    if (version.major(), version.minor()) < (11, 7) {
        all.set(NODE_HEADERS_OF_OLD, NODE_FOLDER);
    }
}

/// Where the node of a plan lies inside.
const NODE_FOLDER: &str = "/opt/node";
/// The only name by which a node-gyp before 11.5 can be told of node's headers.
const NODE_HEADERS_OF_OLD: &str = "npm_config_nodedir";

/// What a tree's own tools have to be told besides, by the versions that its lockfile names.
pub(super) fn for_locked(locked: &[LockedVersion]) -> Option<(String, String)> {
    let of_old = |version: &Version| {
        let version = version.semver();
        (version.major(), version.minor()) < (11, 5)
    };
    let is_old = |tool: &LockedVersion| tool.name.as_str() == "node-gyp" && of_old(&tool.version);
    let found = locked.iter().any(is_old);
    found.then(|| (NODE_HEADERS_OF_OLD.to_owned(), NODE_FOLDER.to_owned()))
}

/// pnpm reads npm's names up to 10, and from 11 on its own alone. It must neither put the version of `packageManager` in
/// its place (called so up to 10, `pmOnFail` later) nor refuse to run because that is another; nor install once more
/// before a script, nor pass over what is young by the dates of a mirror.
fn pnpm(all: &mut Settings, major: u64) {
    let prefix = if major < 11 { "npm_config_" } else { "pnpm_config_" };
    for (name, value) in [
        ("registry", INSIDE_REGISTRY),
        ("store_dir", "/build/.pnpm-store"),
        ("cache_dir", "/build/.pnpm-cache"),
        ("state_dir", "/build/.pnpm-state"),
        ("manage_package_manager_versions", "false"),
        ("pm_on_fail", "ignore"),
        ("package_manager_strict", "false"),
        ("verify_deps_before_run", "false"),
        ("minimum_release_age", "0"),
        ("confirm_modules_purge", "false"),
        ("update_notifier", "false"),
    ] {
        all.set(format!("{prefix}{name}"), value);
    }
    all.set("PNPM_HOME", "/build/.pnpm-home");
}

/// The version that was brought runs, whatever `.yarnrc` or `packageManager` name.
fn classic(all: &mut Settings) {
    all.set("YARN_REGISTRY", INSIDE_REGISTRY);
    all.set("YARN_CACHE_FOLDER", "/build/.yarn-cache");
    all.set("YARN_IGNORE_PATH", "1");
    all.set("SKIP_YARN_COREPACK_CHECK", "1");
    all.set("YARN_DISABLE_SELF_UPDATE_CHECK", "true");
}

/// A setting that this very version does not know is an error to it.
fn berry(all: &mut Settings, tool: &Tool) {
    all.set("YARN_NPM_REGISTRY_SERVER", INSIDE_REGISTRY.trim_end_matches('/'));
    all.set("YARN_UNSAFE_HTTP_WHITELIST", "127.0.0.1");
    all.set("YARN_IGNORE_PATH", "1");
    all.set("YARN_ENABLE_TELEMETRY", "0");
    // Its archives lie beside the tree and not in it, as they do by default from 4 on.
    all.set("YARN_ENABLE_GLOBAL_CACHE", "1");
    all.set("YARN_GLOBAL_FOLDER", "/build/.yarn");
    let version = tool.version.semver();
    if (version.major(), version.minor()) >= (4, 10) {
        all.set("YARN_NPM_MINIMAL_AGE_GATE", "0");
    }
}

fn bun(all: &mut Settings) {
    all.set("npm_config_registry", INSIDE_REGISTRY);
    all.set("BUN_CONFIG_REGISTRY", INSIDE_REGISTRY);
    all.set("BUN_INSTALL", "/build/.bun");
    all.set("BUN_INSTALL_CACHE_DIR", "/build/.bun-cache");
    all.set("BUN_ENABLE_CRASH_REPORTING", "0");
    all.set("DO_NOT_TRACK", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tools: &[(&str, &str)]) -> BTreeMap<String, String> {
        let tools: Vec<Tool> =
            tools.iter().map(|(name, version)| Tool::named(name, version).unwrap()).collect();
        environment(&tools.iter().collect::<Vec<_>>())
    }

    #[test]
    fn each_tool_is_sent_to_the_mirror_in_the_words_of_its_version() {
        for (tool, version, name) in [
            ("npm", "11.19.1", "npm_config_registry"),
            ("pnpm", "10.34.9", "npm_config_registry"),
            ("pnpm", "11.3.0", "pnpm_config_registry"),
            ("yarn", "1.22.22", "YARN_REGISTRY"),
            ("yarn", "3.8.7", "YARN_NPM_REGISTRY_SERVER"),
            ("bun", "1.4.5", "BUN_CONFIG_REGISTRY"),
        ] {
            let told = told(&[("node", "22.23.3"), (tool, version)]);
            assert!(told[name].starts_with("http://127.0.0.1:"), "{tool} {version}");
        }
    }

    #[test]
    fn berry_is_told_nothing_that_its_version_does_not_know() {
        assert!(!told(&[("yarn", "4.9.4")]).contains_key("YARN_NPM_MINIMAL_AGE_GATE"));
        assert!(told(&[("yarn", "4.10.3")]).contains_key("YARN_NPM_MINIMAL_AGE_GATE"));
        assert!(!told(&[("yarn", "4.10.3")]).contains_key("YARN_REGISTRY"));
        let without = told(&[("npm", "11.19.1")]);
        assert!(without.keys().all(|name| name.starts_with("npm_")));
    }

    #[test]
    fn npm_is_told_of_nodes_headers_without_a_warning_and_an_old_node_gyp_all_the_same() {
        for (npm, old_name) in
            [("8.19.4", true), ("11.6.4", true), ("11.7.0", false), ("12.2.0", false)]
        {
            let told = told(&[("node", "22.23.3"), ("npm", npm)]);
            assert_eq!(told.contains_key("npm_config_nodedir"), old_name, "{npm}");
            assert_eq!(told["npm_package_config_node_gyp_nodedir"], "/opt/node");
        }
        let locked = |name: &str, version: &str| {
            let integrity = format!("sha1-{}=", "A".repeat(27));
            let (name, version) = (name.parse().unwrap(), version.parse().unwrap());
            for_locked(&[LockedVersion::new(name, version, &integrity).unwrap()])
        };
        let told = Some(("npm_config_nodedir".to_owned(), "/opt/node".to_owned()));
        assert_eq!(locked("node-gyp", "9.4.1"), told);
        assert_eq!(locked("node-gyp", "12.4.0"), None);
        assert_eq!(locked("node-gyp-build", "4.8.0"), None);
    }
}
