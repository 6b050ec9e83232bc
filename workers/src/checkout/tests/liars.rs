//! The process that reads objects, in an attacker's hands: whatever it says, no other byte than a committed one comes out,
//! and it ends where it has to.

use std::io;

use git2::{ObjectType, Odb};

use super::{
    super::{
        CheckoutError,
        oid::ObjectKind,
        reader::Door,
        serve::{answer, say, serve},
        tree::Unfit,
        wire::{Head, Want},
    },
    *,
};

/// The process itself, by the word that it was started with: it answers as the honest one does, but for one lie.
pub(crate) fn lie(how: &str) -> io::Result<()> {
    let mut told = 0;
    serve(&mut |odb, want| {
        let Some(content) = blob(odb, want) else { return answer(odb, want) };
        told += 1;
        let size = content.len() as u64;
        let whole =
            |kind, size, content: &[u8]| say(&[&Head::There(kind, size).write(), content].concat());
        match how {
            "other-bytes" => {
                let other: Vec<u8> = content.iter().map(|byte| byte ^ 1).collect();
                whole(ObjectKind::Blob, size, &other)
            }
            "another-kind" => whole(ObjectKind::Tree, size, &content),
            "fewer-bytes" => whole(ObjectKind::Blob, size - 1, &content[1..]),
            "more-than-said" => whole(ObjectKind::Blob, size - 1, &content),
            "nothing-more" => whole(ObjectKind::Blob, size + 1, &content),
            "nonsense" => say(b"what is this?"),
            "missing" => say(&Head::Missing.write()),
            "unreadable" => say(&Head::Unreadable.write()),
            "the-end" => Err(io::ErrorKind::Other.into()),
            "too-large" => say(&Head::TooLarge(1 << 40).write()),
            "too-large-but-not-so" => say(&Head::TooLarge(9).write()),
            "lockfile-too-large-at-first" if told == 2 => say(&Head::TooLarge(1 << 40).write()),
            _ => answer(odb, want),
        }
    })
}

fn blob(odb: &Odb<'_>, want: Want) -> Option<Vec<u8>> {
    let Want::Object(name) = want else { return None };
    let object = odb.read(git2::Oid::from_bytes(name.as_bytes()).ok()?).ok()?;
    (object.kind() == ObjectType::Blob).then(|| object.data().to_vec())
}

fn with_liar(search: &Search, service: &'static str) -> Result<Outcome, CheckoutError> {
    let door = Door { service, object_time: Duration::from_secs(2), ..door() };
    cache(search.cache.path()).with_door(door).check_out(&search.wanted(), watch())
}

#[test]
fn a_reader_that_lies_of_a_files_bytes_is_not_believed() {
    let made = Made::tagged();
    let search = Search::given(&made.address());
    for (service, says) in [
        ("lie:other-bytes", "hash mismatch"),
        ("lie:another-kind", "hash mismatch"),
        ("lie:fewer-bytes", "hash mismatch"),
        ("lie:more-than-said", "said more than"),
        ("lie:nothing-more", "took longer than it may"),
        ("lie:nonsense", "answered what was not asked"),
        ("lie:too-large-but-not-so", "answered what was not asked"),
        ("lie:missing", "is missing"),
        ("lie:unreadable", "cannot be read"),
        ("lie:the-end", "it ended"),
    ] {
        match with_liar(&search, service).unwrap() {
            Outcome::Undetermined { reason, .. } => {
                assert_eq!(reason.code, Code::RepositoryUnavailable, "{service}");
                assert!(reason.message.contains(says), "{service}: {}", reason.message);
            }
            other => panic!("{service}: {other:?}"),
        }
    }
}

/// A size beyond all bounds cannot be held against anything. What it was said of is never read after, so that nothing is
/// built from a tree in which it was passed over.
#[test]
fn what_was_once_said_to_be_too_large_stays_so() {
    let made = Made::tagged();
    made.write("package-lock.json", r#"{"lockfileVersion":3,"packages":{}}"#);
    made.commit("Lock");
    made.git(&["tag", "-f", "v1.3.1"]);
    let search = Search::given(&made.address());
    let refused = with_liar(&search, "lie:too-large").unwrap();
    assert!(matches!(refused, Outcome::Refused { .. }), "{refused:?}");
    let Outcome::Ready(checkout) = with_liar(&search, "lie:lockfile-too-large-at-first").unwrap()
    else {
        panic!("the package.json was told truly");
    };
    assert!(checkout.facts.own().lockfile.is_none(), "this is what the lie came to");
    let mut put = |_: &str, _: Kind, _: &[u8]| Ok::<(), CheckoutError>(());
    let Err(Unfit::Bytes { path, .. }) = checkout.tree.export(&mut put).unwrap() else {
        panic!("a tree was exported that the facts were not read from");
    };
    assert_eq!(path, "package-lock.json");
}

/// Where it cannot be raised at all.
#[test]
fn without_its_walls_nothing_is_read() {
    let made = Made::tagged();
    let search = Search::given(&made.address());
    let door = Door { init: "/bin/false".into(), ..door() };
    let without = cache(search.cache.path()).with_door(door);
    match without.check_out(&search.wanted(), watch()).unwrap() {
        Outcome::Undetermined { reason, .. } => {
            assert_eq!(reason.code, Code::SandboxUnavailable);
            assert!(reason.fix.is_some());
        }
        other => panic!("{other:?}"),
    }
}
