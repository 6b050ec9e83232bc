//! A registry's road, from outside: the real service and a real worker as child processes, a repository of the test's own,
//! tarballs by URL, `countersign wait`, and the verdict asked for by digest. And a release whose tag comes later.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use bytes::Bytes;
use countersign_core::Sha512;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hostile::rig::{NAME, Release, TAG, VERSION, git, passable_folder};

/// What is not there by then never comes, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// `countersign serve` with one worker, a maintainer, an enrolment and a token.
struct Road {
    folder: TempDir,
    service: Child,
    url: String,
    token: String,
}

impl Drop for Road {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

impl Road {
    /// With the repository enrolled from a path.
    fn open(repository: &Path) -> Self {
        let folder = passable_folder();
        let data = folder.path().join("data");
        let mut service = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .env("RUST_LOG", "warn")
            .env("COUNTERSIGN_PRIVATE_HOSTS", "[\"127.0.0.1\"]")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.split_whitespace().last().unwrap().to_owned();
        let mut road = Self { folder, service, url, token: String::new() };
        let added =
            road.operator(&["maintainer", "add", "ada", "--password-stdin"], "a long password");
        let code = code(&added);
        let repository = repository.to_str().unwrap();
        road.operator(
            &["package", "enrol", NAME, "--by", "ada", "--repo", repository, "--code-stdin"],
            &code,
        );
        let token =
            road.operator(&["token", "create", "--scope", "verify,read", "--package", NAME], "");
        road.token = token.lines().last().unwrap().to_owned();
        road
    }

    fn operator(&self, arguments: &[&str], input: &str) -> String {
        use std::io::Write;
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn submit(&self, tarball_url: &str, bytes: &[u8]) -> String {
        let body = json!({
            "registry": "https://registry.example", "ecosystem": "npm", "name": NAME, "version": VERSION,
            "tarball": { "url": tarball_url, "integrity": Sha512::of(bytes).to_integrity() },
            "manifest": null, "dist_tag": "latest", "access": "public",
        });
        let request = reqwest::Client::new().post(format!("{}/v1/verifications", self.url));
        let answer = request.bearer_auth(&self.token).json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 202, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        let request = reqwest::Client::new().get(format!("{}{path}", self.url));
        request.bearer_auth(&self.token).send().await.unwrap().json().await.unwrap()
    }

    async fn wait(&self, id: &str) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(["wait", id, "--server", &self.url, "--timeout", "180"])
            .env("COUNTERSIGN_TOKEN", &self.token);
        command.output().await.unwrap()
    }
}

/// The code that an authenticator shows for what `maintainer add` printed.
fn code(printed: &str) -> String {
    let url =
        printed.lines().find_map(|line| line.find("otpauth://").map(|at| &line[at..])).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    totp_rs::Totp::from_url(url.trim()).unwrap().generate(now).to_string()
}

/// Serves these bytes on loopback; the address is that of the tarball.
async fn serve(bytes: Bytes) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/package.tgz", listener.local_addr().unwrap());
    let router = Router::new().route("/package.tgz", get(move || async move { bytes }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn repository(release: &Release, folder: &TempDir) -> PathBuf {
    let repository = folder.path().join("repository");
    release.commit_to(&repository);
    repository
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_asks_by_url_waits_and_asks_again_by_digest() {
    let (release, folder) = (Release::honest(), passable_folder());
    let road = Road::open(&repository(&release, &folder));
    let mut tampered = release.clone();
    for (path, text) in &mut tampered.packed {
        if path != "package.json" {
            text.push_str("tampered\n");
        }
    }
    for (release, exit_code, verdict) in [(&release, 0, "pass"), (&tampered, 1, "fail")] {
        let bytes = release.tgz();
        let id = road.submit(&serve(bytes.clone()).await, &bytes).await;
        let waited = road.wait(&id).await;
        let said = String::from_utf8_lossy(&waited.stdout).into_owned();
        assert_eq!(waited.status.code(), Some(exit_code), "{said}");
        let asked = road.get(&format!("/v1/verdicts/{}", Sha512::of(&bytes))).await;
        assert_eq!(asked["current"]["verdict"], verdict, "{asked}");
        assert_eq!(asked["status"], "valid");
        let envelope = road.get(&format!("/v1/verifications/{id}/attestation")).await;
        assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_its_tag_and_is_then_judged_by_itself() {
    let (release, folder) = (Release::honest(), passable_folder());
    let repository = repository(&release, &folder);
    git(&repository, &["tag", "--delete", TAG]);
    let road = Road::open(&repository);
    let bytes = release.tgz();
    let id = road.submit(&serve(bytes.clone()).await, &bytes).await;
    let report = until(&road, &id, "waiting-for-tag").await;
    let words = report["summary"].as_str().unwrap();
    assert!(words.contains("its tag v1.0.0 is not there yet"), "{words}");
    git(&repository, &["tag", TAG]);
    let waited = road.wait(&id).await;
    assert_eq!(waited.status.code(), Some(0), "{}", String::from_utf8_lossy(&waited.stdout));
}

async fn until(road: &Road, id: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        // The service holds the answer while there is no news.
        let report = road.get(&format!("/v1/verifications/{id}?wait=1")).await;
        if report["state"] == state {
            return report;
        }
        assert!(started.elapsed() < PATIENCE, "{report}");
    }
}

/// Needs root, as the machine that the tests are made for has it, to become somebody else.
#[test]
fn an_ordinary_user_without_a_cgroup_is_told_the_line_that_mends_it() {
    let (release, folder) = (Release::honest(), passable_folder());
    let repository = repository(&release, &folder);
    std::fs::write(folder.path().join("p.tgz"), release.tgz()).unwrap();
    let program = folder.path().join("countersign");
    std::fs::copy(env!("CARGO_BIN_EXE_countersign"), &program).unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .arg("check")
        .arg(folder.path().join("p.tgz"))
        .arg("--repo")
        .arg(&repository)
        .args(["--ref", TAG])
        .env("HOME", &home)
        .env("COUNTERSIGN_CACHE", home.join("cache"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("sandbox-unavailable") && said.contains("systemd-run --user"), "{said}");
}
