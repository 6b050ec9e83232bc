//! Fetching held against peers that send too much, other bytes, nothing, or stop halfway.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;

use super::*;
use crate::{http::ClientConfig, peer::Peer, progress::Unheard};

static GO_ON: AtomicBool = AtomicBool::new(false);

fn watch() -> Watch<'static> {
    Watch { progress: &Unheard, cancel: &GO_ON }
}

async fn fetched(peer: &Peer, bytes: &[u8]) -> Result<Vec<u8>, FetchError> {
    let client = ClientConfig::default().client().unwrap();
    download(client.get(format!("{}x.tgz", peer.url())), &Sha512::of(bytes), watch()).await
}

#[tokio::test]
async fn a_tarball_comes_whole_and_with_its_own_bytes() {
    let peer = Peer::start().await;
    peer.put("/x.tgz", b"the bytes");
    assert_eq!(fetched(&peer, b"the bytes").await.unwrap(), b"the bytes");
}

#[tokio::test]
async fn other_bytes_are_told_from_a_server_that_has_none() {
    let peer = Peer::start().await;
    peer.put("/x.tgz", b"other bytes");
    let wrong = fetched(&peer, b"the bytes").await.unwrap_err();
    assert_eq!(wrong.finding().unwrap().code, Code::ManifestDisagrees);
    for status in [404, 401, 500] {
        peer.fail("/x.tgz", status, b"the bytes");
        let gone = fetched(&peer, b"the bytes").await.unwrap_err();
        assert_eq!(gone.finding().unwrap().code, Code::RegistryUnavailable);
        assert!(gone.to_string().contains(&status.to_string()), "{gone}");
    }
}

#[tokio::test]
async fn a_tarball_over_the_limit_is_not_read_to_its_end() {
    let peer = Peer::start().await;
    peer.put("/x.tgz", vec![0; usize::try_from(TARBALL_BYTES_MAX).unwrap() + 1]);
    let large = fetched(&peer, b"").await.unwrap_err();
    assert_eq!(large.finding().unwrap().code.as_str(), "archive-too-large");
}

#[tokio::test]
async fn a_download_from_a_silent_server_ends_when_the_job_is_withdrawn() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x.tgz", silent.local_addr().unwrap());
    let cancel = AtomicBool::new(false);
    let watch = Watch { progress: &Unheard, cancel: &cancel };
    let client = ClientConfig::default().client().unwrap();
    let digest = Sha512::of(b"");
    let download = download(client.get(url), &digest, watch);
    let withdraw = async {
        let _held = silent.accept().await.unwrap();
        cancel.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = download => assert!(matches!(ended, Err(FetchError::Cancelled))),
        () = withdraw => unreachable!("it waits for ever"),
    }
}

#[test]
fn a_file_is_read_under_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tgz");
    std::fs::write(&path, b"bytes").unwrap();
    assert_eq!(read_file(&path, None).unwrap(), b"bytes");
    assert_eq!(read_file(&path, Some(&Sha512::of(b"bytes"))).unwrap(), b"bytes");
    let wrong = read_file(&path, Some(&Sha512::of(b"other"))).unwrap_err();
    assert!(matches!(wrong, FetchError::WrongBytes { .. }));
    let missing = read_file(&folder.path().join("y.tgz"), None).unwrap_err();
    assert!(missing.finding().is_none() && missing.to_string().contains("y.tgz"));
    File::create(&path).unwrap().set_len(TARBALL_BYTES_MAX + 1).unwrap();
    assert!(matches!(read_file(&path, None), Err(FetchError::TooLarge)));
}
