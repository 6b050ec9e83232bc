//! The real npm as the demo's people use it: CI with its token, a maintainer at a terminal, somebody who installs. Each
//! has a home folder of their own, and node and npm come from Countersign's toolchain cache, never from the machine.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc::{RecvTimeoutError, Sender},
    time::Duration,
};

use anyhow::{Context, bail};

use super::narrator::{Answer, Call};

/// A terminal session that asks nothing we know for so long is given up.
const TERMINAL_PATIENCE: Duration = Duration::from_secs(120);

/// One person's npm.
pub(super) struct Npm {
    /// A folder that holds `node` and `npm`.
    tools: PathBuf,
    /// Their home, with their `.npmrc`.
    home: PathBuf,
    registry: String,
}

impl Npm {
    /// An npm with a new home below `folder`, which talks to that registry.
    pub(super) fn new(tools: &Path, home: PathBuf, registry: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&home)?;
        let npm = Self { tools: tools.to_owned(), home, registry: format!("{registry}/") };
        npm.configure(None)?;
        Ok(npm)
    }

    /// Writes the `.npmrc`, with a token where there is one.
    pub(super) fn configure(&self, token: Option<&str>) -> anyhow::Result<()> {
        let mut text =
            format!("registry={}\nupdate-notifier=false\naudit=false\nfund=false\n", self.registry);
        if let Some(token) = token {
            let host = self.registry.trim_start_matches("http:");
            text.push_str(&format!("{host}:_authToken={token}\n"));
        }
        std::fs::write(self.home.join(".npmrc"), text)
            .context("the demo's .npmrc cannot be written")
    }

    /// `npm` with these arguments in that folder.
    pub(super) fn call(&self, folder: &Path, arguments: &[&str]) -> Call {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.tools.display());
        let environment = vec![
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), self.home.display().to_string()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("NO_COLOR".to_owned(), "1".to_owned()),
        ];
        Call::new(&self.tools.join("npm"), folder)
            .args(arguments.iter().copied())
            .only_env(environment)
    }

    /// The folder that holds `node` and `npm`.
    pub(super) fn tools(&self) -> &Path {
        &self.tools
    }

    /// `node` with these arguments in that folder.
    pub(super) fn node(&self, folder: &Path, arguments: &[&str]) -> Call {
        Call::new(&self.tools.join("node"), folder).args(arguments.iter().copied())
    }
}

/// A folder with the programs `node`, `npm` and `npx` out of these two unpacked packages.
pub(super) fn lay_tools(folder: &Path, node: &Path, npm: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::{PermissionsExt, symlink};
    std::fs::create_dir_all(folder)?;
    symlink(node.join("bin/node"), folder.join("node"))?;
    for name in ["npm", "npx"] {
        let (node, cli) = (node.join("bin/node"), npm.join(format!("bin/{name}-cli.js")));
        let script = format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", node.display(), cli.display());
        let path = folder.join(name);
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(folder.to_owned())
}

/// What is typed when the terminal shows a prompt: each answer once, in any order.
pub(super) type Answers<'a> =
    Vec<(&'a str, Box<dyn FnOnce() -> anyhow::Result<String> + Send + 'a>)>;

/// Runs a command in a terminal, which the program `script` of util-linux opens, and types the answers to its prompts.
pub(super) fn in_terminal(call: &Call, mut answers: Answers<'_>) -> anyhow::Result<Answer> {
    let mut command = call.command_in_terminal();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("the program script (package bsdutils) cannot be started")?;
    let mut keyboard = child.stdin.take().context("its input was piped")?;
    let mut screen = child.stdout.take().context("its output was piped")?;
    let (sender, shown) = std::sync::mpsc::channel();
    std::thread::spawn(move || read_screen(&mut screen, &sender));
    let mut all = String::new();
    let mut answered_to = 0;
    loop {
        match shown.recv_timeout(TERMINAL_PATIENCE) {
            Ok(text) => all.push_str(&text),
            // The terminal is closed: every process in it has ended.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                bail!("`{}` asked something that the demo does not know: {all}", call.line());
            }
        }
        let asked = &all[answered_to..];
        if let Some(index) = answers.iter().position(|(prompt, _)| asked.contains(prompt)) {
            let (_, answer) = answers.remove(index);
            answered_to = all.len();
            keyboard.write_all(format!("{}\r", answer()?).as_bytes())?;
        }
    }
    let status = child.wait()?;
    Ok(Answer { code: status.code().unwrap_or(128), stdout: String::new(), all: plain(&all) })
}

fn read_screen(screen: &mut impl Read, sender: &Sender<String>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = screen.read(&mut buffer) {
        if sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).is_err() {
            return;
        }
    }
}

/// The text without the terminal's control sequences.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                // CSI sequences end with a letter; nothing else comes from npm.
                let _ = chars.find(char::is_ascii_alphabetic);
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}
