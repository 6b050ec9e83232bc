//! How the demo tells what it does: each step with the very command line, its exit code and what it answered, and
//! whether that is as it should be. It knows nothing of what the steps are.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, bail};
use tokio::{io::AsyncWriteExt, process::Command};

/// What a command answered.
pub(super) struct Answer {
    /// Its exit code; 128 and more for a signal.
    pub(super) code: i32,
    /// Standard output.
    pub(super) stdout: String,
    /// Both outputs, as a person would see them.
    pub(super) all: String,
}

/// A command that the demo runs as an outsider would.
pub(super) struct Call {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    input: Option<String>,
}

impl Call {
    /// This program in that folder, with the environment of this process.
    pub(super) fn new(program: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            folder: folder.to_owned(),
            environment: Vec::new(),
            input: None,
        }
    }

    /// With these arguments.
    pub(super) fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With these variables and no others.
    pub(super) fn only_env(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// With this text on standard input; it is not shown.
    pub(super) fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// The command line as a person would type it.
    pub(super) fn line(&self) -> String {
        let program = self.program.display().to_string();
        std::iter::once(program.as_str())
            .chain(self.arguments.iter().map(String::as_str))
            .map(quoted)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The command itself, for a caller that drives it.
    pub(super) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        if !self.environment.is_empty() {
            command.env_clear().envs(self.environment.iter().cloned());
        }
        command
    }

    /// The same in a terminal of its own.
    pub(super) fn command_in_terminal(&self) -> std::process::Command {
        let mut command = std::process::Command::new("/usr/bin/script");
        command.args(["--quiet", "--return", "--flush", "--command", &self.line(), "/dev/null"]);
        command.current_dir(&self.folder);
        if !self.environment.is_empty() {
            command.env_clear().envs(self.environment.iter().cloned());
        }
        command
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Tells the demo's steps on standard output.
pub(super) struct Narrator {
    step: u32,
    title: String,
    started: Instant,
    secrets: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "the demo's story is what this command is for")]
impl Narrator {
    /// Before the first step.
    pub(super) fn new() -> Self {
        Self { step: 0, title: String::new(), started: Instant::now(), secrets: Vec::new() }
    }

    /// A secret of the demo that is shown as stars.
    pub(super) fn hide(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) {
        self.step += 1;
        title.clone_into(&mut self.title);
        println!("\n== {}. {title}", self.step);
    }

    /// A line of the story.
    pub(super) fn say(&self, text: &str) {
        for line in text.lines() {
            println!("   {}", self.masked(line));
        }
    }

    /// Runs a command to its end and shows it.
    pub(super) async fn run(&self, call: &Call) -> anyhow::Result<Answer> {
        println!("   $ {}", self.masked(&call.line()));
        let mut command = Command::from(call.command());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child =
            command.spawn().with_context(|| format!("`{}` cannot be started", call.line()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that does not read its input closes it: that is no failure of the step.
            let _ = stdin.write_all(call.input.clone().unwrap_or_default().as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let all = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        let answer = Answer { code: exit_code(output.status), stdout, all };
        self.show(&answer);
        Ok(answer)
    }

    /// Shows what a command answered.
    pub(super) fn show(&self, answer: &Answer) {
        const LINES_SHOWN: usize = 60;
        let lines: Vec<&str> = answer.all.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in lines.iter().take(LINES_SHOWN) {
            println!("   | {}", self.masked(line));
        }
        if lines.len() > LINES_SHOWN {
            println!("   | … {} more lines", lines.len() - LINES_SHOWN);
        }
        println!("   exit code {}", answer.code);
    }

    /// Shows a command line that is driven elsewhere.
    pub(super) fn show_call(&self, call: &Call) {
        println!("   $ {}", self.masked(&call.line()));
    }

    /// Holds what was answered against what should be; names the step where it is not so.
    pub(super) fn expect(&self, holds: bool, should: &str) -> anyhow::Result<()> {
        if holds {
            println!("   ✔ {should}");
            return Ok(());
        }
        bail!("step {} ({}) did not come out as it should: {should}", self.step, self.title)
    }

    /// Seconds since the demo began.
    pub(super) fn elapsed_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn masked(&self, line: &str) -> String {
        self.secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, "***"))
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
