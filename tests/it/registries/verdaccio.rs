//! A private Verdaccio on loopback that shows nothing to whoever has no token, run by Countersign's own node. It knows
//! nothing of what is verified.

use std::{path::PathBuf, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{Sha1, Sha512};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::node;

/// It starts in 5 s on an idle machine.
const START_SECONDS_MAX: u64 = 120;

/// Everything only for those who signed in, and nothing read through from elsewhere.
const CONFIGURATION: &str = "
storage: ./storage
auth:
  htpasswd:
    file: ./htpasswd
    max_users: 10
uplinks: {}
packages:
  '**':
    access: $authenticated
    publish: $authenticated
web:
  enable: false
log: { type: stdout, format: json, level: info }
";

/// The running registry; it ends with this.
pub(super) struct Verdaccio {
    /// Its address, with a last slash.
    pub(super) url: String,
    /// The token of its one account.
    pub(super) token: String,
    client: reqwest::Client,
    _process: Child,
    _folder: TempDir,
}

impl Verdaccio {
    /// Starts an empty one with one account.
    pub(super) async fn start() -> Self {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/verdaccio/node_modules/verdaccio/bin/verdaccio");
        assert!(program.is_file(), "Verdaccio is not installed; run: script/bootstrap --tests");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.yaml"), CONFIGURATION).unwrap();
        // It takes no port 0; this one was free a moment ago.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        drop(taken);
        let mut process = Command::new(node().await)
            .arg(program)
            .args(["--config", "config.yaml", "--listen", &address])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("http address") {
                    return;
                }
            }
            panic!("Verdaccio ended before it listened");
        };
        tokio::time::timeout(Duration::from_secs(START_SECONDS_MAX), listens)
            .await
            .expect("Verdaccio starts");
        // What it prints later has to go somewhere.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{address}/");
        let mut started =
            Self { url, token: String::new(), client, _process: process, _folder: folder };
        started.token = started.sign_up().await;
        started
    }

    async fn sign_up(&self) -> String {
        let account = json!({"name": "bob", "password": "correct horse battery"});
        let answer = self.put("-/user/org.couchdb.user:bob", &account).await;
        answer["token"].as_str().expect("an account has a token").to_owned()
    }

    /// Publishes a package of one file and gives back the digest of its tarball.
    pub(super) async fn publish(&self, name: &str, version: &str, index: &str) -> Sha512 {
        let manifest = json!({"name": name, "version": version, "main": "index.js"});
        let tarball = packed(&[("package.json", &manifest.to_string()), ("index.js", index)]);
        let (digest, file) = (Sha512::of(&tarball), format!("{name}-{version}.tgz"));
        let mut listed = manifest.clone();
        listed["_id"] = json!(format!("{name}@{version}"));
        listed["dist"] = json!({
            "integrity": digest.to_integrity(),
            "shasum": Sha1::of(&tarball),
            "tarball": format!("{}{name}/-/{file}", self.url),
        });
        let document = json!({
            "_id": name, "name": name, "dist-tags": {"latest": version}, "versions": {version: listed},
            "_attachments": {file: {
                "content_type": "application/octet-stream",
                "data": STANDARD.encode(&tarball),
                "length": tarball.len(),
            }},
        });
        self.put(&name.replace('/', "%2f"), &document).await;
        digest
    }

    async fn put(&self, path: &str, body: &Value) -> Value {
        let request = self.client.put(format!("{}{path}", self.url)).json(body);
        let request = match self.token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        };
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// A tarball as npm packs it.
fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut builder = tar::Builder::new(gzip);
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("package/{path}"), text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
