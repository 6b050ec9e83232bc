//! The commands by which a build calls its tools: a folder of links for each set of them, and beside them the plugin that
//! keeps berry from running scripts while it packs. It knows where tools are bound inside the sandbox, and nothing else of it.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use countersign_core::{
    Sha256,
    plan::managers::WITHOUT_SCRIPTS,
    toolchain::{Tool, ToolName},
};

use super::{folder::open_to_readers, unpack::main_file};

const PLUGIN: &str = include_str!("without-scripts.cjs");

/// One name in the folder.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Launcher {
    /// Another file of the tool, by its path from the folder.
    Link(String),
    /// A text of ours, that can be run where it begins with `#!`.
    Text(String),
}

/// What the commands are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To install and to build.
    Building,
    /// To pack, and to run nothing else.
    Packing,
}

/// A shell that does nothing. npm 7 to 10 run `prepare` of the folder that they pack in spite of `--ignore-scripts`, by the
/// shell that they find first (pacote's `lib/dir.js`; read in npm 8.19.4, 9.9.4, 10.0.0 and 10.9.9, and no more in 11.17.0).
const NO_SHELL: &str = "#!/bin/true\n";

/// The folder of these tools' commands below `folder`, made where it is missing. It is named by what it holds and never
/// changed, so that any number of workers can share it.
pub(super) fn lay(folder: &Path, tools: &[&Tool], purpose: Purpose) -> io::Result<PathBuf> {
    let mut launchers: Vec<(String, Launcher)> = tools.iter().flat_map(|tool| of(tool)).collect();
    if purpose == Purpose::Packing {
        launchers.push(("sh".to_owned(), Launcher::Text(NO_SHELL.to_owned())));
    }
    let digest = Sha256::of(format!("{launchers:?}").as_bytes()).to_hex();
    let home = folder.join(&digest[..32]);
    if home.is_dir() {
        return Ok(home);
    }
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(folder)?;
    for (name, launcher) in &launchers {
        let path = partial.path().join(name);
        match launcher {
            Launcher::Link(target) => symlink(target, path)?,
            Launcher::Text(text) => {
                fs::write(&path, text)?;
                let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            }
        }
    }
    open_to_readers(partial.path())?;
    match fs::rename(partial.path(), &home) {
        // It has left the place that it would be removed from.
        Ok(()) => drop(partial.keep()),
        // Another worker was first, and made the same.
        Err(_) if home.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(home)
}

fn of(tool: &Tool) -> Vec<(String, Launcher)> {
    let link = |name: &str, file: &str| {
        (name.to_owned(), Launcher::Link(format!("../{}/{file}", tool.name)))
    };
    let main = main_file(tool);
    match tool.name {
        ToolName::Node => vec![link("node", main)],
        ToolName::Npm => vec![link("npm", main), link("npx", "bin/npx-cli.js")],
        ToolName::Pnpm if tool.major() < 12 => {
            vec![link("pnpm", main), link("pnpx", &main.replace("pnpm", "pnpx"))]
        }
        ToolName::Pnpm => {
            let exec = format!("#!/bin/sh\nexec /opt/{}/{main} dlx \"$@\"\n", tool.name);
            vec![link("pnpm", main), link("pn", main), ("pnpx".to_owned(), Launcher::Text(exec))]
        }
        ToolName::Yarn => {
            let plugin = Path::new(WITHOUT_SCRIPTS).file_name().and_then(|name| name.to_str());
            let plugin = plugin.expect("the plugin's path has a name").to_owned();
            let plugin = (tool.major() > 1).then(|| (plugin, Launcher::Text(PLUGIN.to_owned())));
            let mut all = vec![link("yarn", main), link("yarnpkg", main)];
            all.extend(plugin);
            all
        }
        ToolName::Bun => vec![link("bun", main), link("bunx", main)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(home: &Path) -> Vec<String> {
        let entries = fs::read_dir(home).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn laid(tools: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let tools: Vec<Tool> =
            tools.iter().map(|(name, version)| Tool::named(name, version).unwrap()).collect();
        let tools: Vec<&Tool> = tools.iter().collect();
        let lay = |purpose| lay(folder.path(), &tools, purpose).unwrap();
        let home = lay(Purpose::Building);
        assert_eq!(home, lay(Purpose::Building), "the same folder serves again");
        assert_ne!(home, lay(Purpose::Packing));
        (folder, home)
    }

    #[test]
    fn the_shell_of_packing_runs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let npm = Tool::named("npm", "10.9.9").unwrap();
        let home = lay(folder.path(), &[&npm], Purpose::Packing).unwrap();
        let output = std::process::Command::new(home.join("sh")).args(["-c", "echo ran"]).output();
        let output = output.unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    }

    #[test]
    fn only_what_was_brought_has_a_command() {
        let (_folder, home) = laid(&[("node", "22.23.3"), ("npm", "11.19.1")]);
        assert_eq!(names(&home), ["node", "npm", "npx"]);
        let (_folder, home) = laid(&[("npm", "11.19.1"), ("pnpm", "10.34.9"), ("bun", "1.4.5")]);
        assert_eq!(names(&home), ["bun", "bunx", "npm", "npx", "pnpm", "pnpx"]);
        let target = fs::read_link(home.join("pnpx")).unwrap();
        assert_eq!(target.to_str(), Some("../pnpm/bin/pnpx.cjs"));
    }

    #[test]
    fn berry_alone_comes_with_the_plugin_that_its_packing_is_told_of() {
        let (_folder, home) = laid(&[("yarn", "4.18.1")]);
        let plugin = Path::new(WITHOUT_SCRIPTS).file_name().unwrap();
        assert!(fs::read_to_string(home.join(plugin)).unwrap().contains("wrapScriptExecution"));
        let (_folder, home) = laid(&[("yarn", "1.22.22")]);
        assert_eq!(names(&home), ["yarn", "yarnpkg"]);
    }

    #[test]
    fn a_pnpm_that_is_a_program_runs_packages_by_a_command_of_its_own() {
        let (_folder, home) = laid(&[("pnpm", "12.21.0")]);
        assert_eq!(names(&home), ["pn", "pnpm", "pnpx"]);
        let text = fs::read_to_string(home.join("pnpx")).unwrap();
        assert_eq!(text, "#!/bin/sh\nexec /opt/pnpm/pnpm dlx \"$@\"\n");
        let mode = fs::metadata(home.join("pnpx")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }
}
