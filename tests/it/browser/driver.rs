//! The browser's side as a child process: Countersign's own node runs `tests/browser/drive.mjs`, which talks in lines of
//! JSON. It knows nothing of what is shown.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::support::node;

/// The whole story takes half a minute on an idle machine; ten others may be building.
const STORY_SECONDS_MAX: u64 = 600;

/// A running story.
pub(super) struct Driver {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// Starts the story with what it has to know.
    pub(super) async fn start(script: &Value) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        let rig = folder.join("node_modules/playwright-core");
        assert!(rig.is_dir(), "playwright-core is not installed; run: script/bootstrap --tests");
        let mut child = Command::new(node().await)
            .arg(folder.join("drive.mjs"))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let input = child.stdin.take().expect("it was piped");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let mut driver = Self { child, input, lines };
        driver.answer(script).await;
        driver
    }

    /// What the story asks for next; none when it is over.
    pub(super) async fn asked(&mut self) -> Option<Value> {
        let limit = Duration::from_secs(STORY_SECONDS_MAX);
        let line = tokio::time::timeout(limit, self.lines.next_line()).await;
        let line = line.expect("the browser does something").expect("its words can be read")?;
        Some(serde_json::from_str(&line).expect("it speaks JSON"))
    }

    /// Tells the story what it asked for.
    pub(super) async fn answer(&mut self, answer: &Value) {
        let line = format!("{answer}\n");
        self.input.write_all(line.as_bytes()).await.expect("the browser listens");
    }

    /// Ends well.
    pub(super) async fn succeeds(mut self) {
        let status = self.child.wait().await.expect("the browser ends");
        assert!(status.success(), "the browser found something wrong; its words stand above");
    }
}

/// Debian's, Ubuntu's or Google's Chromium.
pub(super) fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|program| program.is_file());
    found.expect("there is no Chromium in PATH; run: script/bootstrap --tests")
}
