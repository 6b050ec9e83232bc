//! The demo's service: `countersign serve` with one worker as a child process, and the operator's commands beside it.
//! It knows nothing of what is released.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::narrator::Call;

/// A service that lives as long as this value.
pub(super) struct Service {
    program: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    /// Its address, without a trailing slash.
    pub(super) url: String,
    child: Child,
}

impl Service {
    /// Starts it below `folder`, and waits for the first line, which says its address.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own path is not known")?;
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        let log = std::fs::File::create(folder.join("service.log"))?;
        let mut child = Command::new(&program)
            .args(serve_arguments(&data))
            .current_dir(folder)
            // The demo's repository is served on this machine.
            .env("COUNTERSIGN_PRIVATE_HOSTS", "[\"127.0.0.1\"]")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .context("`countersign serve` cannot be started")?;
        let stdout = child.stdout.take().context("the service's output was piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await?.unwrap_or_default();
        let url = first.split_whitespace().find(|word| word.starts_with("http://"));
        let told = std::fs::read_to_string(folder.join("service.log")).unwrap_or_default();
        ensure!(url.is_some(), "`countersign serve` did not say its address: {first} {told}");
        let url = url.unwrap_or_default().trim_end_matches('/').to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { program, folder: folder.to_owned(), data, url, child })
    }

    /// The command line that started it.
    pub(super) fn line(&self) -> String {
        Call::new(&self.program, &self.folder).args(serve_arguments(&self.data)).line()
    }

    /// An operator's command on this service's host.
    pub(super) fn operator(&self, arguments: &[&str]) -> Call {
        let data = self.data.display().to_string();
        self.command(arguments).args(["--data".to_owned(), data])
    }

    /// `countersign` with these arguments.
    pub(super) fn command(&self, arguments: &[&str]) -> Call {
        Call::new(&self.program, &self.folder).args(arguments.iter().copied())
    }

    /// Asks it to stop, and waits until it and its workers are gone.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.child.wait().await?;
        Ok(())
    }

    /// What it logged: for the case that the demo does not come out as it should.
    pub(super) fn log_tail(folder: &Path) -> String {
        let log = std::fs::read_to_string(folder.join("service.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

fn serve_arguments(data: &Path) -> [String; 7] {
    [
        "serve".to_owned(),
        "--listen".to_owned(),
        "127.0.0.1:0".to_owned(),
        "--workers".to_owned(),
        "1".to_owned(),
        "--data".to_owned(),
        data.display().to_string(),
    ]
}
