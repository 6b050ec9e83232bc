//! What a log tells whoever reads it, at its most talkative: no token, no password, no code, no session, no lease, and no credential that
//! stands in an address or in a body.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::hostile::rig::{NAME, Release, VERSION, passable_folder};

const PASSWORD: &str = "a password in no log";
/// Stands where a client shows something that is not ours.
const PLANTED: &str = "planted-5f0c1c1e";

/// The service as a process, with everything that it logs in one file.
struct Logged {
    service: Child,
    url: String,
    client: Client,
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("--data").arg(data);
    command
}

impl Logged {
    fn start(data: &Path, log: &Path) -> Self {
        let mut service = command(data)
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", "0"])
            .env("RUST_LOG", "trace")
            .env("COUNTERSIGN_REGISTRY__URL", "http://127.0.0.1:9/")
            .env("COUNTERSIGN_PRIVATE_HOSTS", "[\"127.0.0.1\"]")
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.split_whitespace().last().unwrap().to_owned();
        Self { service, url, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.header("npm-otp", PLANTED).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }
}

fn operator(data: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = command(data);
    let mut child =
        child.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_a_log_at_its_most_talkative() {
    let folder = passable_folder();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let service = Logged::start(&data, &log);
    let printed = operator(&data, &["maintainer", "add", "ada", "--password-stdin"], PASSWORD);
    let otpauth = printed.lines().find_map(|line| line.find("otpauth://").map(|at| &line[at..]));
    let totp = totp_rs::Totp::from_url(otpauth.unwrap().trim()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let enrol = totp.generate(now).to_string();
    operator(
        &data,
        &["package", "enrol", NAME, "--by", "ada", "--repo", "/nowhere", "--code-stdin"],
        &enrol,
    );
    let token = |scope: &str| {
        let printed =
            operator(&data, &["token", "create", "--scope", scope, "--package", NAME], "");
        printed.lines().last().unwrap().to_owned()
    };
    let (verify, worker) = (token("verify,read,stage"), token("worker"));
    let mut secrets = vec![verify.clone(), worker.clone(), PASSWORD.to_owned(), PLANTED.to_owned()];

    let login = json!({ "name": "ada", "password": PASSWORD, "_id": "org.couchdb.user:ada" });
    let session =
        service.ask(Method::PUT, "/-/user/org.couchdb.user:ada", &verify, Some(login)).await;
    secrets.extend(session["token"].as_str().map(str::to_owned));
    let form = format!("name=ada&password={}&code={PLANTED}", PASSWORD.replace(' ', "+"));
    let sign_in = service.client.post(format!("{}/sign-in", service.url)).body(form);
    let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
    let sign_in = sign_in.header("origin", &service.url).header("cookie", format!("a={PLANTED}"));
    sign_in.send().await.unwrap();
    for (method, path) in [
        (Method::GET, format!("/-/whoami?token={PLANTED}")),
        (Method::DELETE, format!("/-/user/token/{verify}x")),
        (Method::DELETE, format!("/-/npm/v1/tokens/token/{PLANTED}")),
        (Method::GET, format!("/{NAME}?write={PLANTED}")),
        (Method::GET, "/-/stage".to_owned()),
    ] {
        service.ask(method, &path, &verify, None).await;
    }
    let bytes = Release::honest().tgz();
    let submission = json!({
        "registry": "https://registry.example", "ecosystem": "npm", "name": NAME, "version": VERSION,
        "tarball": {
            "url": format!("http://user:{PLANTED}@127.0.0.1:9/a.tgz?key={PLANTED}"),
            "integrity": countersign_core::Sha512::of(&bytes).to_integrity(),
            "authorization": format!("Bearer {PLANTED}"),
        },
    });
    service.ask(Method::POST, "/v1/verifications", &verify, Some(submission)).await;
    let asks = json!({ "worker": "w", "version": "0" });
    service.ask(Method::POST, "/v1/worker/leases", &worker, Some(asks)).await;
    drop(service);

    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.lines().filter(|line| line.contains("answered")).count() >= 8,
        "it was talkative: {text}"
    );
    for secret in &secrets {
        let told: Vec<&str> = text.lines().filter(|line| line.contains(secret)).collect();
        assert!(told.is_empty(), "a secret stands in the log: {told:#?}");
    }
}
