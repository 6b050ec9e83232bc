//! npm's own extractor as one long-lived process: archives go in over a pipe, trees come out in the same order. It knows
//! nothing of our reader.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

use super::tree::Tree;
use crate::support::{node, npm_folder};

/// What pacote made of one archive.
#[derive(serde::Deserialize, Debug)]
pub(super) struct Extracted {
    pub(super) files: BTreeMap<String, (String, bool)>,
    /// Why it gave up, where it did.
    #[serde(default)]
    pub(super) error: Option<String>,
}

impl Extracted {
    /// What lies on the disk; npm's own words where it gave up.
    pub(super) fn tree(self) -> Result<Tree, String> {
        match self.error {
            None => Ok(Tree(self.files)),
            Some(error) => Err(error),
        }
    }
}

/// The process.
pub(super) struct Extractor {
    child: Child,
    input: Input,
    output: Output,
    /// Where it unpacks: in memory where the system has such a folder.
    _scratch: TempDir,
}

/// The end that takes archives.
pub(super) struct Input(Option<ChildStdin>);
/// The end that gives trees.
pub(super) struct Output(BufReader<ChildStdout>);

impl Extractor {
    /// Starts it with the pinned node and npm.
    pub(super) async fn start() -> Self {
        let memory = Path::new("/dev/shm");
        let scratch = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let scratch = scratch.expect("a folder to unpack in");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/archives/extract.mjs");
        let mut child = Command::new(node().await)
            .arg(script)
            .arg(npm_folder().await)
            .arg(scratch.path())
            .env_clear()
            .env("HOME", scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let input = Input(child.stdin.take());
        let output = Output(BufReader::new(child.stdout.take().expect("a pipe was asked for")));
        Self { child, input, output, _scratch: scratch }
    }

    /// One archive, and what npm makes of it.
    pub(super) fn extract(&mut self, tgz: &[u8]) -> Extracted {
        self.input.send(tgz);
        self.output.answer()
    }

    /// The two ends by themselves, for who sends further archives before the answers are there.
    pub(super) fn ends(&mut self) -> (&mut Input, &mut Output) {
        (&mut self.input, &mut self.output)
    }
}

impl Input {
    pub(super) fn send(&mut self, tgz: &[u8]) {
        let pipe = self.0.as_mut().expect("it is open until the end");
        let length = u32::try_from(tgz.len()).expect("no archive of a test has 4 GiB");
        pipe.write_all(&length.to_be_bytes()).expect("node reads");
        pipe.write_all(tgz).expect("node reads");
        pipe.flush().expect("node reads");
    }
}

impl Output {
    pub(super) fn answer(&mut self) -> Extracted {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("node answers");
        let mut text = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut text).expect("node answers whole");
        serde_json::from_slice(&text).expect("node answers JSON")
    }
}

impl Drop for Extractor {
    fn drop(&mut self) {
        // Its loop ends with its input.
        self.input.0 = None;
        let _ = self.child.wait();
    }
}
