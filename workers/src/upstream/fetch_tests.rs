//! Fetching against loopback registries: what is remembered, what is checked, who sees a token.

use std::collections::BTreeMap;

use countersign_core::{PackageName, Sha1, Sha512, Version};
use tempfile::TempDir;

use super::*;
use crate::peer::Peer;

const LIMIT: u64 = 1 << 20;

struct Side {
    upstream: Upstream,
    _folder: TempDir,
}

fn side(default: Registry, scopes: BTreeMap<String, Registry>) -> Side {
    let folder = tempfile::tempdir().unwrap();
    let registries = Registries { default, scopes };
    let config = UpstreamConfig { registries, client: Default::default() };
    Side { upstream: Upstream::new(&config, folder.path()).unwrap(), _folder: folder }
}

fn registry(peer: &Peer) -> Registry {
    Registry::parse(&peer.url()).unwrap()
}

fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

fn one() -> Version {
    "1.0.0".parse().unwrap()
}

/// A packument with version 1.0.0, whose `dist` is this.
fn packument(name: &str, dist: &str) -> String {
    format!(r#"{{"name":"{name}","versions":{{"1.0.0":{{"dist":{dist}}}}}}}"#)
}

fn dist(peer: &Peer, digest: &str) -> String {
    format!(r#"{{"tarball":"{}a/-/a-1.0.0.tgz",{digest}}}"#, peer.url())
}

async fn tarball(upstream: &Upstream, of: &str) -> Result<Tarball, UpstreamError> {
    let name = name(of);
    let dist = upstream.packument(&name).await?.dist(&one()).unwrap();
    upstream.tarball(&name, &one(), &dist, LIMIT, &mut |_, _| {}).await
}

#[tokio::test]
async fn a_fresh_packument_is_not_asked_for_again_and_an_old_one_by_its_etag() {
    let peer = Peer::start().await;
    peer.put("/a", packument("a", "{}"));
    peer.tag("/a", "\"one\"");
    let side = side(registry(&peer), BTreeMap::new());
    let a = name("a");
    side.upstream.packument(&a).await.unwrap();
    side.upstream.packument(&a).await.unwrap();
    assert_eq!(peer.seen().len(), 1);
    let again = side.upstream.packument_not_older_than(&a, 0).await.unwrap();
    assert_eq!(again.versions().count(), 1, "304 means what is remembered");
    let asked: Vec<_> = peer.seen().into_iter().map(|seen| seen.if_none_match).collect();
    assert_eq!(asked, [None, Some("\"one\"".to_owned())]);
}

#[tokio::test]
async fn absent_and_unavailable_are_two_things() {
    let peer = Peer::start().await;
    peer.fail("/broken", 503, "");
    peer.put("/html", "<html>");
    peer.fail("/closed", 403, "{}");
    let side = side(registry(&peer), BTreeMap::new());
    let error = side.upstream.packument(&name("nothing")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::NotFound { .. }), "{error:?}");
    for of in ["broken", "html", "closed"] {
        let error = side.upstream.packument(&name(of)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Unavailable { .. }), "{of}: {error:?}");
    }
    let tries = peer.seen().iter().filter(|seen| seen.path == "/broken").count();
    assert_eq!(tries, 3, "a server's error is tried again, a few times");
    let nobody = Registry::parse("http://127.0.0.1:1/").unwrap();
    let side = self::side(nobody, BTreeMap::new());
    let error = side.upstream.packument(&name("a")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_mapped_scope_never_falls_back_to_the_default_registry() {
    let (public, acme) = (Peer::start().await, Peer::start().await);
    public.put("/@acme%2fx", packument("@acme/x", "{}"));
    let scopes = BTreeMap::from([("acme".to_owned(), registry(&acme))]);
    let side = side(registry(&public), scopes);
    let error = side.upstream.packument(&name("@acme/x")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::NotFound { .. }), "{error:?}");
    assert!(public.seen().is_empty());
    assert_eq!(acme.seen()[0].path, "/@acme%2fx");
}

#[tokio::test]
async fn a_token_is_shown_to_its_own_registry_alone() {
    let (home, elsewhere) = (Peer::start().await, Peer::start().await);
    let bytes = b"tarball".to_vec();
    let digest = format!(r#""integrity":"{}""#, Sha512::of(&bytes).to_integrity());
    home.put("/a", packument("a", &dist(&home, &digest)));
    home.put("/a/-/a-1.0.0.tgz", bytes.clone());
    let side = side(registry(&home).with_token("t0ken"), BTreeMap::new());
    tarball(&side.upstream, "a").await.unwrap();
    let shown: Vec<_> = home.seen().into_iter().map(|seen| seen.authorization).collect();
    assert_eq!(shown, [Some("Bearer t0ken".to_owned()), Some("Bearer t0ken".to_owned())]);
    // Plain http on another host is not asked at all, so the other host learns nothing.
    let digest = format!(r#""integrity":"{}""#, Sha512::of(b"other").to_integrity());
    home.put("/b", packument("b", &dist(&elsewhere, &digest)));
    let error = tarball(&side.upstream, "b").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unavailable { .. }), "{error:?}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_token_and_not_for_ever() {
    let (home, elsewhere) = (Peer::start().await, Peer::start().await);
    home.redirect("/a", &format!("{}moved", elsewhere.url()));
    elsewhere.put("/moved", packument("a", "{}"));
    home.redirect("/loop", &format!("{}loop", home.url()));
    let side = side(registry(&home).with_token("t0ken"), BTreeMap::new());
    side.upstream.packument(&name("a")).await.unwrap();
    assert_eq!(elsewhere.seen()[0].authorization, None);
    let error = side.upstream.packument(&name("loop")).await.unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn a_tarball_is_had_once_and_only_with_the_bytes_of_its_digest() {
    let peer = Peer::start().await;
    let bytes = b"tarball".to_vec();
    let sha512 = format!(r#""integrity":"{}""#, Sha512::of(&bytes).to_integrity());
    let sha1 = format!(r#""shasum":"{}""#, Sha1::of(&bytes));
    peer.put("/a", packument("a", &dist(&peer, &sha512)));
    peer.put("/old", packument("old", &dist(&peer, &sha1)));
    peer.put("/none", packument("none", &dist(&peer, r#""x":1"#)));
    peer.put("/a/-/a-1.0.0.tgz", b"not it".to_vec());
    let side = side(registry(&peer), BTreeMap::new());
    for of in ["a", "old", "none"] {
        let error = tarball(&side.upstream, of).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Mismatch { .. }), "{of}: {error:?}");
    }
    peer.put("/a/-/a-1.0.0.tgz", bytes.clone());
    let error = tarball(&side.upstream, "none").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Mismatch { .. }), "no digest, no tarball: {error:?}");
    assert_eq!(tarball(&side.upstream, "old").await.unwrap().sha512, Sha512::of(&bytes));
    let sent = side.upstream.requests_sent();
    let got = tarball(&side.upstream, "a").await.unwrap();
    assert_eq!((got.bytes, got.sha512), (7, Sha512::of(&bytes)));
    assert_eq!(side.upstream.requests_sent(), sent, "the same bytes lay in the cache already");
}

#[tokio::test]
async fn a_tarball_over_the_limit_is_cut_off() {
    let peer = Peer::start().await;
    let bytes = vec![7; 1000];
    let sha512 = format!(r#""integrity":"{}""#, Sha512::of(&bytes).to_integrity());
    peer.put("/a", packument("a", &dist(&peer, &sha512)));
    peer.put("/a/-/a-1.0.0.tgz", bytes);
    let side = side(registry(&peer), BTreeMap::new());
    let a = name("a");
    let dist = side.upstream.packument(&a).await.unwrap().dist(&one()).unwrap();
    let error = side.upstream.tarball(&a, &one(), &dist, 999, &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { limit_bytes: 999, .. }), "{error:?}");
}

#[tokio::test]
async fn a_manifest_is_that_of_the_one_version() {
    let peer = Peer::start().await;
    peer.put("/a", packument("a", r#"{"tarball":"x"}"#));
    let side = side(registry(&peer), BTreeMap::new());
    let manifest = side.upstream.manifest(&name("a"), &one()).await.unwrap();
    assert_eq!(manifest["dist"]["tarball"], "x");
    let error = side.upstream.manifest(&name("a"), &"2.0.0".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "`a@2.0.0` is not in the registry");
}
