//! The toolchain cache against a real registry (npm 11.19.1, a few megabytes) and against loopback peers that give
//! something else than what was pinned.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use countersign_core::Sha512;
use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::{
    peer::Peer,
    upstream::{Registries, Registry, UpstreamConfig},
};

fn npm() -> Tool {
    Tool::named("npm", DEFAULT_NPM).unwrap()
}

fn open(folder: &Path) -> Cache {
    Cache::open(&folder.join("cache"), false).unwrap()
}

fn real_upstream(cache: &Cache) -> Upstream {
    let config = UpstreamConfig::from_environment().unwrap();
    Upstream::new(&config, &cache.registry_folder()).unwrap()
}

fn upstream_of(peer: &Peer, cache: &Cache) -> Upstream {
    let default = Registry::parse(&peer.url()).unwrap();
    let registries = Registries { default, scopes: Default::default() };
    let config = UpstreamConfig { registries, client: Default::default() };
    Upstream::new(&config, &cache.registry_folder()).unwrap()
}

/// A tarball of these members; a member without content is a symbolic link to `/etc/passwd`.
fn tarball(members: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        if content.is_none() {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_link_name("/etc/passwd").unwrap();
        }
        let content = content.unwrap_or_default().as_bytes();
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn pin_of(bytes: &[u8]) -> Pin {
    Pin { tool: npm(), sha512: Sha512::of(bytes), engines: None }
}

const TARBALL: &str = "/npm/-/npm-11.19.1.tgz";

/// What is visible in the folder of toolchains.
fn complete(cache: &Cache) -> Vec<String> {
    let entries = std::fs::read_dir(cache.folder.join("toolchains")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with(".lock")).collect()
}

#[test]
fn the_committed_table_holds_the_defaults_and_every_major() {
    assert!(pins().exact(&npm()).unwrap().runs_on(&DEFAULT_NODE.parse().unwrap()));
    assert!(pins().exact(&Tool::named("node", DEFAULT_NODE).unwrap()).is_some());
    for major in 12..=26 {
        let choice = pins().nearest_node(&major.to_string());
        assert_eq!(choice.pin.version().semver().major(), major);
    }
    let node = DEFAULT_NODE.parse().unwrap();
    for (tool, majors) in [
        (ToolName::Npm, 6..=12),
        (ToolName::Pnpm, 6..=12),
        (ToolName::Yarn, 1..=4),
        (ToolName::Bun, 1..=1),
    ] {
        for major in majors {
            let choice = pins().nearest(tool, &major.to_string(), &node);
            assert_eq!(choice.pin.tool.major(), major, "{tool}");
        }
    }
    assert_eq!(pins().nearest_npm("6.14.18", &"16.20.2".parse().unwrap()).reason, None);
}

#[tokio::test]
async fn npm_comes_from_the_real_registry_once_for_callers_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let upstream = real_upstream(&cache);
    let seen = AtomicU64::new(0);
    let tool = npm();
    let mut first = |done: u64, _total: Option<u64>| {
        seen.fetch_max(done, Ordering::Relaxed);
    };
    let mut second = |done: u64, _total: Option<u64>| {
        seen.fetch_max(done, Ordering::Relaxed);
    };
    let (one, two) = tokio::join!(
        cache.ensure(&upstream, &tool, &mut first),
        cache.ensure(&upstream, &tool, &mut second)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert_eq!(upstream.requests_sent(), 1, "one of the two callers downloaded");
    assert!(seen.load(Ordering::Relaxed) > 1_000_000);
    let mode = |path: &str| std::fs::metadata(one.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("bin"), mode("lib")), (0o755, 0o755, 0o755));
    assert_eq!((mode("bin/npm-cli.js"), mode("package.json")), (0o755, 0o644));
    assert_eq!(complete(&cache).len(), 1);
}

#[tokio::test]
async fn other_bytes_than_those_pinned_are_never_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let good = tarball(&[("package/bin/npm-cli.js", Some("good"))]);
    let evil = tarball(&[("package/bin/npm-cli.js", Some("evil"))]);
    let peer = Peer::start().await;
    peer.put(TARBALL, evil);
    let upstream = upstream_of(&peer, &cache);
    let error = cache.ensure_pin(&upstream, &pin_of(&good), &mut |_, _| {}).await.unwrap_err();
    assert!(
        matches!(&error, ToolchainError::Download { source: UpstreamError::Mismatch { .. }, .. }),
        "{error:?}"
    );
    assert!(complete(&cache).is_empty());
    peer.put(TARBALL, good.clone());
    let home = cache.ensure_pin(&upstream, &pin_of(&good), &mut |_, _| {}).await.unwrap();
    assert_eq!(std::fs::read_to_string(home.join("bin/npm-cli.js")).unwrap(), "good");
}

#[tokio::test]
async fn links_and_paths_that_lead_out_are_refused_even_in_pinned_bytes() {
    for bad in [("package/lib/x", None), ("package/../../x", Some("x")), ("/x", Some("x"))] {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path());
        let bytes = tarball(&[("package/bin/npm-cli.js", Some("good")), bad]);
        let peer = Peer::start().await;
        peer.put(TARBALL, bytes.clone());
        let upstream = upstream_of(&peer, &cache);
        let error = cache.ensure_pin(&upstream, &pin_of(&bytes), &mut |_, _| {}).await.unwrap_err();
        assert!(matches!(error, ToolchainError::Unpack { .. }), "{bad:?}: {error:?}");
        assert!(complete(&cache).is_empty(), "{bad:?}");
    }
}

#[tokio::test]
async fn what_a_killed_worker_left_is_swept_and_not_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let left = cache.folder.join("toolchains/.partial-npm-11.19.1-abc");
    std::fs::create_dir_all(left.join("bin")).unwrap();
    std::fs::File::create(left.join("bin/npm-cli.js")).unwrap().write_all(b"half").unwrap();
    let bytes = tarball(&[("package/bin/npm-cli.js", Some("whole"))]);
    let peer = Peer::start().await;
    peer.put(TARBALL, bytes.clone());
    let upstream = upstream_of(&peer, &cache);
    let home = cache.ensure_pin(&upstream, &pin_of(&bytes), &mut |_, _| {}).await.unwrap();
    assert_eq!(std::fs::read_to_string(home.join("bin/npm-cli.js")).unwrap(), "whole");
    assert!(!left.exists());
}

#[tokio::test]
async fn a_registry_without_the_tarball_is_an_error_that_names_the_tool() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let peer = Peer::start().await;
    let upstream = upstream_of(&peer, &cache);
    let error = cache.ensure(&upstream, &npm(), &mut |_, _| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "npm 11.19.1 could not be brought");
}

#[test]
fn the_launchers_lead_to_node_and_npm_where_the_sandbox_binds_them() {
    let folder = tempfile::tempdir().unwrap();
    let opt = folder.path().join("opt");
    let cache = Cache::open(&folder.path().join("cache"), false).unwrap();
    std::fs::create_dir_all(opt.join("node/bin")).unwrap();
    std::fs::create_dir_all(opt.join("npm/bin")).unwrap();
    let script = |path: &str, text: &str| {
        std::fs::write(opt.join(path), text).unwrap();
        std::fs::set_permissions(opt.join(path), PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("node/bin/node", "#!/bin/sh\necho node \"$@\"\n");
    script("npm/bin/npm-cli.js", "#!/usr/bin/env node\n");
    // A bind mount keeps the links as they are; copying them does the same here.
    std::fs::create_dir(opt.join("bin")).unwrap();
    let node = Tool::named("node", DEFAULT_NODE).unwrap();
    let launchers = cache.launchers(&[&node, &npm()], Purpose::Building).unwrap();
    for name in ["node", "npm", "npx"] {
        let target = std::fs::read_link(launchers.join(name)).unwrap();
        std::os::unix::fs::symlink(target, opt.join("bin").join(name)).unwrap();
    }
    let output = Command::new(opt.join("bin/npm"))
        .env("PATH", format!("{}:/usr/bin:/bin", opt.join("bin").display()))
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("node ") && text.ends_with("npm --version\n"), "{text}");
}

#[test]
fn a_cache_that_the_build_could_not_reach_is_refused_with_the_closed_parent() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let error = Cache::open(&closed.join("cache"), true).unwrap_err().to_string();
    assert!(error.contains("/closed` is not searchable"), "{error}");
    assert!(Cache::open(&closed.join("cache"), false).is_ok());
}

#[test]
fn the_default_folder_follows_the_environment() {
    let folder = |set: &[(&str, &str)], root: bool| {
        let lookup = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        default_folder(lookup, root).map(|path| path.to_str().unwrap().to_owned()).ok()
    };
    assert_eq!(folder(&[("COUNTERSIGN_CACHE", "/c")], true).unwrap(), "/c");
    assert_eq!(folder(&[("HOME", "/root")], true).unwrap(), "/var/cache/countersign");
    assert_eq!(folder(&[("HOME", "/home/a")], false).unwrap(), "/home/a/.cache/countersign");
    let xdg = [("HOME", "/home/a"), ("XDG_CACHE_HOME", "/x")];
    assert_eq!(folder(&xdg, false).unwrap(), "/x/countersign");
    assert_eq!(folder(&[], false), None);
}
