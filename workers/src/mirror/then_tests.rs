//! The registry as of then and of whom, over the real socket: entity tags, `latest`, times that cannot be, and the
//! registry that a lockfile takes a name from.

use super::*;

#[tokio::test]
async fn a_locked_version_that_is_dated_after_its_lock_puts_every_unlocked_one_in_doubt() {
    let right = || Sha512::of(&bytes("a", "1.1.0")).to_integrity();
    for (locked, doubted) in [("1.0.0", false), ("1.1.0", true)] {
        let digest = Sha512::of(&bytes("a", locked)).to_integrity();
        let side = side(&[("a", locked, digest), ("a", "1.1.0", right())]).await;
        publish(&side.peer, "a", &[("1.0.0", BEFORE), ("1.1.0", AFTER)]);
        publish(&side.peer, "b", &[("1.0.0", BEFORE), ("1.1.0", AFTER)]);
        assert_eq!(side.get(&format!("/a/-/a-{locked}.tgz")).await.0, 200);
        assert_eq!(side.refusal("/b/-/b-1.1.0.tgz").await, "after-cutoff");
        assert_eq!(side.get("/b/-/b-1.0.0.tgz").await.0, 200);
        let record = side.mirror.finish().await;
        let names: Vec<_> = record.cutoff_unreliable.iter().map(|name| name.as_str()).collect();
        assert_eq!(names, if doubted { vec!["b"] } else { vec![] });
    }
}

#[tokio::test]
async fn what_a_client_holds_already_is_not_sent_again() {
    let side = side(&[]).await;
    publish(&side.peer, "a", &[("1.0.0", BEFORE)]);
    for path in ["/a", "/a/1.0.0", "/a/-/a-1.0.0.tgz", "/-/ping"] {
        let ask = |held: &str| {
            format!("GET {path} HTTP/1.1\r\nhost: x\r\n{held}connection: close\r\n\r\n")
        };
        let etag = side.header(&ask(""), "etag").await.unwrap();
        assert!(etag.starts_with('"') && etag.len() >= 66, "{etag}");
        let again = side.send(&ask(&format!("if-none-match: \"x\", W/{etag}\r\n"))).await;
        assert_eq!(again, (304, Vec::new()), "{path}");
        assert_eq!(side.send(&ask("if-none-match: \"x\"\r\n")).await.0, 200, "{path}");
    }
    publish(&side.peer, "gone", &[("1.0.0", AFTER)]);
    let refused = "GET /gone HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(side.header(refused, "etag").await, None);
}

#[tokio::test]
async fn latest_is_the_highest_release_of_then_and_never_the_one_that_came_last() {
    let side = side(&[]).await;
    let earlier = "2024-06-01T00:00:00Z";
    // A fix of the old line came after 2.0.0, and the tag of today names what nobody could have had.
    let versions = [
        ("1.0.0", earlier),
        ("2.0.0", earlier),
        ("1.0.1", BEFORE),
        ("3.0.0-rc.1", BEFORE),
        ("3.0.0", AFTER),
    ];
    publish(&side.peer, "a", &versions);
    let (_, document) = side.json("/a").await;
    assert_eq!(document["dist-tags"], json!({"latest": "2.0.0"}));
    assert_eq!(side.json("/a/latest").await.1["version"], "2.0.0");
}

#[tokio::test]
async fn the_registry_that_a_lockfile_takes_a_name_from_serves_it_and_no_other_does() {
    let (public, company) = (Peer::start().await, Peer::start().await);
    publish(&public, "tools", &[("1.0.0", BEFORE)]);
    publish(&public, "@acme/x", &[("1.0.0", BEFORE)]);
    publish(&company, "tools", &[("1.0.0", AFTER)]);
    company.put("/tools/-/tools-1.0.0.tgz", b"the company's".to_vec());
    let digest = Sha512::of(b"the company's").to_integrity();
    let dist =
        json!({"tarball": "https://npm.acme.example/tools/-/tools-1.0.0.tgz", "integrity": digest});
    let manifest = json!({"name": "tools", "version": "1.0.0", "dist": dist});
    let document =
        json!({"name": "tools", "versions": {"1.0.0": manifest}, "time": {"1.0.0": AFTER}});
    company.put("/tools", document.to_string());
    let mapped = Registry::parse(&company.url()).unwrap().with_token("c0mpany");
    let mapped = mapped.with_aliases(["npm.acme.example"]).unwrap();
    let registries = Registries {
        default: Registry::parse(&public.url()).unwrap(),
        scopes: BTreeMap::from([("acme".to_owned(), mapped)]),
    };
    let folder = tempfile::tempdir().unwrap();
    let lock = LockedVersion::new(name("tools"), version("1.0.0"), &digest).unwrap();
    let mirror = mirror_of(registries, &folder, vec![lock.at(Some("npm.acme.example"))]);
    let side = Side { peer: company, mirror, folder };
    // As npm asks for a lockfile's `https://npm.acme.example/api/npm/all/tools/-/tools-1.0.0.tgz`.
    let asked = "/api/npm/all/tools/-/tools-1.0.0.tgz";
    assert_eq!(side.get(asked).await, (200, b"the company's".to_vec()));
    assert_eq!(side.get("/@acme%2fx").await.0, 404, "never from the public registry");
    assert!(public.seen().is_empty(), "{:?}", public.seen());
    let shown = side.peer.seen();
    assert!(shown.iter().all(|seen| seen.authorization.as_deref() == Some("Bearer c0mpany")));
}
