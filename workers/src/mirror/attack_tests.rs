//! A build that attacks the mirror itself.

use super::*;

/// Two lengths of one body, a body where there is none, folded headers, and line ends inside of a name: whatever comes of
/// them, nothing is asked of the registry that does not stand in the record.
#[tokio::test]
async fn two_requests_in_one_body_are_one_and_lead_nowhere() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    publish(&side.peer, "hidden", &[("1.0.0", BEFORE)]);
    let hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = hidden.len();
    for head in [
        format!(
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"
        ),
        format!(
            "GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{hidden}"
        ),
        format!("GET /a HTTP/1.1\r\nhost: x\r\nx: y\r\n  connection: close\r\n\r\n{hidden}"),
        format!("GET /a%0d%0ax:y HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n{hidden}"),
        format!("GET /a\rx HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n{hidden}"),
    ] {
        let mut stream = UnixStream::connect(side.mirror.socket()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        // A connection that was broken off has said as much.
        let _broken = read.await.expect("it comes to an end");
        let times = String::from_utf8_lossy(&answer).matches("HTTP/1.1 200").count();
        assert!(times <= 1, "{head}: {}", String::from_utf8_lossy(&answer));
    }
    let asked: Vec<String> = side.peer.seen().into_iter().map(|one| one.path).collect();
    assert!(asked.iter().all(|path| path == "/a"), "{asked:?}");
    let record = side.mirror.finish().await;
    let recorded: Vec<&str> = record.requests.iter().map(|one| one.target.as_str()).collect();
    assert!(asked.iter().all(|path| recorded.contains(&path.as_str())), "{recorded:?}");
    assert!(!recorded.contains(&"/hidden"), "{recorded:?}");
}

#[tokio::test]
async fn idle_connections_keep_nobody_out_once_they_end() {
    let side = side(&[]).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(UnixStream::connect(side.mirror.socket()).await.unwrap());
    }
    drop(idle);
    let answer = tokio::time::timeout(Duration::from_secs(10), side.get("/-/ping")).await;
    assert_eq!(answer.expect("there is room again").0, 200);
}
