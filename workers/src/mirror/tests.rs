//! The mirror over its real socket against a loopback registry: every rule has a request that is refused by it and would
//! be served without it.

use std::{collections::BTreeMap, time::Duration};

use countersign_core::{
    PackageName, Sha1, Sha512, Version,
    rebuild::{NetworkRequest, RequestOutcome},
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::*;
use crate::{
    peer::Peer,
    upstream::{Registries, Registry, UpstreamConfig},
};

const CREATED: &str = "2020-01-01T00:00:00Z";
const BEFORE: &str = "2025-01-01T00:00:00Z";
const AFTER: &str = "2025-06-01T00:00:00Z";

fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A version's bytes in these tests.
fn bytes(of: &str, at: &str) -> Vec<u8> {
    format!("the bytes of {of}@{at}").into_bytes()
}

/// Puts a package with these versions and moments on the peer's shelf.
fn publish(peer: &Peer, of: &str, versions: &[(&str, &str)]) {
    let mut manifests = Map::new();
    let mut time = json!({"created": CREATED});
    for (at, moment) in versions {
        let path = format!("/{of}/-/{}-{at}.tgz", name(of).unscoped());
        peer.put(&path, bytes(of, at));
        let manifest = json!({
            "name": of,
            "version": at,
            "readme": "long",
            "scripts": {"postinstall": "x"},
            "dist": {
                "tarball": format!("{}{}", peer.url(), path.trim_start_matches('/')),
                "integrity": Sha512::of(&bytes(of, at)).to_integrity(),
            },
        });
        manifests.insert((*at).to_owned(), manifest);
        time[at] = json!(moment);
    }
    let latest = versions.last().unwrap().0;
    let document =
        json!({"name": of, "dist-tags": {"latest": latest}, "versions": manifests, "time": time});
    peer.put(&format!("/{}", name(of).escaped()), document.to_string());
}

struct Side {
    peer: Peer,
    mirror: Mirror,
    folder: TempDir,
}

async fn side(locked: &[(&str, &str, String)]) -> Side {
    let peer = Peer::start().await;
    let default = Registry::parse(&peer.url()).unwrap().with_token("t0ken");
    let folder = tempfile::tempdir().unwrap();
    let mirror = mirror(default, &folder, locked);
    Side { peer, mirror, folder }
}

fn mirror(default: Registry, folder: &TempDir, locked: &[(&str, &str, String)]) -> Mirror {
    let registries = Registries { default, scopes: BTreeMap::new() };
    let lock = |(of, at, digest): &(&str, &str, String)| {
        LockedVersion::new(name(of), version(at), digest).unwrap()
    };
    mirror_of(registries, folder, locked.iter().map(lock).collect())
}

fn mirror_of(registries: Registries, folder: &TempDir, locked: Vec<LockedVersion>) -> Mirror {
    let config = UpstreamConfig { registries, client: Default::default() };
    let upstream = Upstream::new(&config, &folder.path().join("registry")).unwrap();
    let policy = MirrorPolicy {
        subject: (name("subject"), version("2.0.0")),
        staged_sha512: Sha512::of(b"staged"),
        cutoff: "2025-03-01T00:00:00Z".parse().unwrap(),
        locked,
        only: None,
    };
    Mirror::start(&folder.path().join("mirror.sock"), policy, upstream).unwrap()
}

impl Side {
    /// Sends exactly this head and gives back all that comes.
    async fn raw(&self, head: &str) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.mirror.socket()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    /// A header of the answer to this head.
    async fn header(&self, head: &str, name: &str) -> Option<String> {
        let answer = self.raw(head).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let mut lines = text.lines().take_while(|line| !line.is_empty());
        lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
    }

    /// Sends exactly this head and gives back status and body.
    async fn send(&self, head: &str) -> (u16, Vec<u8>) {
        let mut answer = self.raw(head).await;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(end))
    }

    async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// The code that a request is refused with.
    async fn refusal(&self, path: &str) -> String {
        let (status, body) = self.json(path).await;
        assert!(matches!(status, 403 | 405), "{path}: {status} {body}");
        body["code"].as_str().unwrap().to_owned()
    }
}

fn outcomes(record: &Record) -> Vec<(&str, RequestOutcome, Option<&str>)> {
    let requests = record.requests.iter();
    requests.map(|one| (one.target.as_str(), one.outcome, one.reason.as_deref())).collect()
}

#[tokio::test]
async fn what_is_served_leads_back_to_the_mirror_and_stands_in_the_record() {
    let side = side(&[]).await;
    publish(&side.peer, "@a/b", &[("1.0.0", BEFORE), ("1.1.0", AFTER)]);
    let (status, document) = side.json("/@a%2fb").await;
    assert_eq!(status, 200);
    assert_eq!(document["dist-tags"], json!({"latest": "1.0.0"}));
    assert_eq!(document["versions"].as_object().unwrap().len(), 1);
    assert_eq!(document["time"], json!({"created": CREATED, "1.0.0": BEFORE}));
    let tarball = document["versions"]["1.0.0"]["dist"]["tarball"].as_str().unwrap();
    assert_eq!(tarball, "http://127.0.0.1:4873/@a/b/-/b-1.0.0.tgz");
    let (status, body) = side.get("/@a/b/-/b-1.0.0.tgz").await;
    assert_eq!((status, body), (200, bytes("@a/b", "1.0.0")));
    let record = side.mirror.finish().await;
    let [dependency] = record.dependencies.as_slice() else { panic!("{record:?}") };
    assert_eq!(dependency.integrity.0, Sha512::of(&bytes("@a/b", "1.0.0")));
    assert_eq!(dependency.published, Some(BEFORE.parse().unwrap()));
    assert!(!dependency.locked && !record.all_locked() && record.cutoff_unreliable.is_empty());
    let served = |target| (target, RequestOutcome::Served, None);
    assert_eq!(outcomes(&record), [served("/@a%2fb"), served("/@a/b/-/b-1.0.0.tgz")]);
}

#[tokio::test]
async fn the_abbreviated_form_holds_what_an_install_needs_and_no_more() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    let accept = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
    let head =
        format!("GET /a HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    let (_, body) = side.send(&head).await;
    let document: Value = serde_json::from_slice(&body).unwrap();
    let manifest = document["versions"]["1.0.0"].as_object().unwrap();
    let keys: Vec<&str> = manifest.keys().map(String::as_str).collect();
    assert_eq!(keys, ["dist", "hasInstallScript", "name", "version"]);
    assert_eq!(document.get("time"), None);
}

#[tokio::test]
async fn the_subject_is_refused_as_metadata_and_as_tarball() {
    let side = side(&[]).await;
    publish(&side.peer, "subject", &[("1.0.0", BEFORE), ("2.0.0", BEFORE)]);
    let (_, document) = side.json("/subject").await;
    assert_eq!(document["versions"].as_object().unwrap().keys().collect::<Vec<_>>(), ["1.0.0"]);
    assert_eq!(side.refusal("/subject/2.0.0").await, "subject");
    assert_eq!(side.refusal("/subject/-/subject-2.0.0.tgz").await, "subject");
    assert_eq!(side.get("/subject/-/subject-1.0.0.tgz").await.0, 200);
}

#[tokio::test]
async fn the_subject_is_refused_without_the_registry_being_asked() {
    let side = side(&[]).await;
    assert_eq!(side.refusal("/subject/-/subject-2.0.0.tgz").await, "subject");
    assert!(side.peer.seen().is_empty());
}

#[tokio::test]
async fn the_staged_bytes_are_refused_under_another_name_and_where_metadata_hides_them() {
    let side = side(&[]).await;
    publish(&side.peer, "other", &[("1.0.0", BEFORE)]);
    let sha1 = Sha1::of(b"staged");
    let old =
        json!({"tarball": format!("{}other/-/other-1.0.0.tgz", side.peer.url()), "shasum": sha1});
    let document = json!({"name": "other", "time": {"created": CREATED, "1.0.0": BEFORE},
        "versions": {"1.0.0": {"name": "other", "version": "1.0.0", "dist": old}}});
    side.peer.put("/other", document.to_string());
    side.peer.put("/other/-/other-1.0.0.tgz", b"staged".to_vec());
    assert_eq!(side.get("/other").await.0, 200, "its metadata names no SHA-512");
    assert_eq!(side.refusal("/other/-/other-1.0.0.tgz").await, "staged-bytes");
    let record = side.mirror.finish().await;
    assert!(record.dependencies.is_empty());
    assert_eq!(record.first_refused().unwrap().reason.as_deref(), Some("staged-bytes"));
}

#[tokio::test]
async fn after_the_cut_off_only_what_the_lockfile_names_is_served_and_only_with_its_bytes() {
    let right = Sha512::of(&bytes("a", "1.1.0")).to_integrity();
    let wrong = Sha512::of(b"something else").to_integrity();
    let side = side(&[("a", "1.1.0", right), ("a", "1.2.0", wrong)]).await;
    let versions = [("1.0.0", BEFORE), ("1.1.0", AFTER), ("1.2.0", AFTER), ("1.3.0", AFTER)];
    publish(&side.peer, "a", &versions);
    assert_eq!(side.refusal("/a/-/a-1.3.0.tgz").await, "after-cutoff");
    assert_eq!(side.refusal("/a/1.3.0").await, "after-cutoff");
    assert_eq!(side.refusal("/a/-/a-1.2.0.tgz").await, "locked-integrity");
    assert_eq!(side.get("/a/-/a-1.1.0.tgz").await, (200, bytes("a", "1.1.0")));
    let record = side.mirror.finish().await;
    assert!(record.all_locked() && record.dependencies[0].locked);
    assert!(record.cutoff_unreliable.is_empty(), "its digest speaks for it");
}

#[tokio::test]
async fn a_locked_version_from_before_the_cut_off_is_held_to_its_digest_too() {
    let side = side(&[("a", "1.0.0", Sha512::of(b"x").to_integrity())]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    assert_eq!(side.refusal("/a/-/a-1.0.0.tgz").await, "locked-integrity");
}

#[tokio::test]
async fn a_lock_by_sha1_alone_is_held_to_it_and_named_in_the_warning() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let sha1 = |of: &[u8]| format!("sha1-{}", STANDARD.encode(Sha1::of(of).as_bytes()));
    let locked = [("a", "1.1.0", sha1(&bytes("a", "1.1.0"))), ("a", "1.2.0", sha1(b"x"))];
    let side = side(&locked).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE), ("1.1.0", AFTER), ("1.2.0", AFTER)]);
    assert_eq!(side.get("/a/-/a-1.1.0.tgz").await, (200, bytes("a", "1.1.0")));
    assert_eq!(side.refusal("/a/-/a-1.2.0.tgz").await, "locked-integrity");
    let record = side.mirror.finish().await;
    assert!(record.cutoff_unreliable.contains(&name("a")) && !record.dependencies[0].locked);
}

#[tokio::test]
async fn a_tarball_with_other_bytes_than_its_manifest_names_is_refused() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    side.peer.put("/a/-/a-1.0.0.tgz", b"other".to_vec());
    assert_eq!(side.refusal("/a/-/a-1.0.0.tgz").await, "integrity");
}

#[tokio::test]
async fn a_copy_with_unbelievable_times_is_served_and_named_in_the_record() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", AFTER)]);
    assert_eq!(side.refusal("/a/-/a-1.0.0.tgz").await, "after-cutoff");
    let document = json!({"name": "b", "time": {"1.0.0": AFTER}, "versions": {"1.0.0": {"dist": {
        "tarball": format!("{}a/-/a-1.0.0.tgz", side.peer.url()),
        "integrity": Sha512::of(&bytes("a", "1.0.0")).to_integrity()}}}});
    side.peer.put("/b", document.to_string());
    assert_eq!(side.get("/b/-/b-1.0.0.tgz").await.0, 200);
    let record = side.mirror.finish().await;
    assert_eq!(record.cutoff_unreliable.into_iter().collect::<Vec<_>>(), [name("b")]);
}

#[tokio::test]
async fn what_is_likely_later_is_shown_as_deprecated_so_that_npm_takes_it_last() {
    let side = side(&[]).await;
    let versions =
        json!({"1.0.1": {}, "1.0.2": {}, "1.0.3": {"deprecated": "own words"}, "1.0.4": {}});
    let time = json!({"1.0.1": AFTER, "1.0.2": BEFORE, "1.0.3": AFTER, "1.0.4": AFTER});
    side.peer.put("/a", json!({"name": "a", "versions": versions, "time": time}).to_string());
    let (_, document) = side.json("/a").await;
    let said: Vec<_> =
        document["versions"].as_object().unwrap().values().map(|one| &one["deprecated"]).collect();
    let later = json!("the registry says that this was published after the commit");
    assert_eq!(said, [&Value::Null, &Value::Null, &json!("own words"), &later]);
}

#[tokio::test]
async fn methods_audits_names_and_other_hosts_are_refused_and_recorded() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    let put = "PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n{} ";
    let (status, body) = side.send(put).await;
    assert_eq!(status, 405);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "method");
    let audit =
        "POST /-/npm/v1/security/advisories/bulk HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(side.send(audit).await.0, 403);
    assert_eq!(side.refusal("/-/countersign/dns?name=evil.example").await, "dns");
    assert_eq!(side.refusal("http://evil.example/a").await, "foreign-host");
    assert_eq!(side.refusal("/-/whoami").await, "not-offered");
    assert!(side.peer.seen().is_empty(), "nothing of it went out");
    let record = side.mirror.finish().await;
    let seen: Vec<_> =
        record.requests.iter().map(|one| (one.method.as_str(), one.target.as_str())).collect();
    let audit = "/-/npm/v1/security/advisories/bulk";
    let expected = [
        ("PUT", "/a"),
        ("POST", audit),
        ("DNS", "dns:evil.example"),
        ("GET", "http://evil.example/a"),
        ("GET", "/-/whoami"),
    ];
    assert_eq!(seen, expected);
    assert!(record.requests.iter().all(|one| one.outcome == RequestOutcome::Refused));
}

#[tokio::test]
async fn nothing_that_the_build_sends_reaches_the_registry() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    let head = "GET /a?leak=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer stolen\r\nif-none-match: y\r\nconnection: close\r\n\r\n";
    assert_eq!(side.send(head).await.0, 200);
    let seen = side.peer.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/a");
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!(seen[0].if_none_match, None);
}

#[tokio::test]
async fn after_the_install_everything_is_refused_and_recorded_as_of_the_build() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    assert_eq!(side.get("/a/-/a-1.0.0.tgz").await.0, 200);
    side.mirror.close();
    let before = side.peer.seen().len();
    for path in ["/a", "/a/-/a-1.0.0.tgz", "/-/ping", "/-/countersign/dns?name=x"] {
        assert_eq!(side.refusal(path).await, "network-closed", "{path}");
    }
    side.mirror.enter(Phase::Pack);
    assert_eq!(side.refusal("/a").await, "network-closed");
    assert_eq!(side.peer.seen().len(), before);
    let record = side.mirror.finish().await;
    let phases: Vec<Phase> = record.requests.iter().map(|one| one.phase).collect();
    let build = Phase::Build;
    assert_eq!(phases, [Phase::Install, build, build, build, build, Phase::Pack]);
    let last: &NetworkRequest = &record.requests[4];
    assert_eq!((last.method.as_str(), last.target.as_str()), ("DNS", "dns:x"));
}

#[tokio::test]
async fn a_connection_from_the_install_does_not_outlive_it() {
    let side = side(&[]).await;
    let mut stream = UnixStream::connect(side.mirror.socket()).await.unwrap();
    stream.write_all(b"GET /-/ping HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    side.mirror.close();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_told_from_a_package_that_is_not_there() {
    let side = side(&[]).await;
    side.peer.fail("/broken", 500, "");
    assert_eq!(side.get("/nothing").await.0, 404);
    assert_eq!(side.get("/a/-/a-1.0.0.tgz").await.0, 404);
    let (status, body) = side.json("/broken").await;
    assert_eq!((status, body["code"].as_str()), (503, Some("registry-unavailable")));
    let record = side.mirror.finish().await;
    let kinds: Vec<_> = record.requests.iter().map(|one| one.outcome).collect();
    let missing = RequestOutcome::NotFound;
    assert_eq!(kinds, [missing, missing, RequestOutcome::Unavailable]);
    assert!(record.unavailable.unwrap().contains("`broken`"));
}

#[tokio::test]
async fn a_version_that_came_after_the_packument_was_cached_is_found() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    assert_eq!(side.get("/a").await.0, 200);
    publish(&side.peer, "a", &[("1.0.0", BEFORE), ("1.1.0", BEFORE)]);
    assert_eq!(side.get("/a/-/a-1.1.0.tgz").await.0, 200);
}

#[tokio::test]
async fn a_second_job_has_the_tarball_from_the_cache_and_its_own_rules() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    assert_eq!(side.get("/a/-/a-1.0.0.tgz").await.0, 200);
    let asked = side.peer.seen().len();
    let Side { peer, mirror: first, folder } = side;
    first.finish().await;
    let default = Registry::parse(&peer.url()).unwrap().with_token("t0ken");
    let locked = [("a", "1.0.0", Sha512::of(b"x").to_integrity())];
    let mirror = mirror(default, &folder, &locked);
    let side = Side { peer, mirror, folder };
    assert_eq!(side.refusal("/a/-/a-1.0.0.tgz").await, "locked-integrity");
    assert_eq!(side.peer.seen().len(), asked);
}

#[tokio::test]
async fn a_head_that_is_too_large_and_a_client_that_sends_nonsense_lose_their_connection_alone() {
    let side = side(&[]).await;
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    for head in [large.as_str(), "\x16\x03\x01 nonsense\r\n\r\n"] {
        let mut stream = UnixStream::connect(side.mirror.socket()).await.unwrap();
        // The mirror may have closed before everything was written.
        let _broken = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(side.get("/-/ping").await.0, 200);
    let record = side.mirror.finish().await;
    assert_eq!(outcomes(&record), [("/-/ping", RequestOutcome::Served, None)]);
}

#[tokio::test]
async fn the_socket_is_open_to_every_user_and_goes_with_the_mirror() {
    let side = side(&[]).await;
    let socket = side.mirror.socket().to_owned();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    drop(side.mirror);
    assert!(!socket.exists());
    assert!(side.folder.path().exists());
}

#[path = "then_tests.rs"]
mod then;

#[path = "attack_tests.rs"]
mod attack;
