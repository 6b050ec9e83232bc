//! The process in a cell that reads a repository's objects with libgit2: packs, deltas and everything in them are parsed
//! here and nowhere else. It has no more than the folders that it is shown and one socket, and nobody believes it.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use countersign_core::limits::FILE_BYTES_MAX;
use git2::{ErrorCode, ObjectType, Odb, OdbObject};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{
    oid::{ObjectKind, Oid},
    wire::{HEAD_BYTES, Head, MESSAGE_BYTES, WANT_BYTES, WANTS_MAX, Want},
};
use crate::sandbox;

/// The word by which our program knows that it is this process.
pub(crate) const READ_OBJECTS: &str = "read-objects";
/// Where the objects lie inside.
pub(super) const INSIDE_OBJECTS: &str = "/objects";

/// Where the objects lie that a repository borrows from another.
pub(super) fn inside_borrowed(number: usize) -> String {
    format!("/borrowed/{number}")
}

/// Answers until nobody asks any more.
pub(crate) fn read_objects() -> ExitCode {
    match serve(&mut answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // The other side sees the end of the socket; nothing is left to tell it to where this fails too.
            let _lost = writeln!(io::stderr(), "the reader of objects failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Hands every want to `answer`, in their order, until nobody asks any more.
pub(super) fn serve(answer: &mut dyn FnMut(&Odb<'_>, Want) -> io::Result<()>) -> io::Result<()> {
    // Before a byte of theirs is read.
    sandbox::stand()?;
    // The other side holds every object against its name, and would have to even if it were done here.
    git2::opts::strict_hash_verification(false);
    let odb = open().map_err(io::Error::other)?;
    let mut question = vec![0; WANTS_MAX * WANT_BYTES];
    loop {
        let (bytes, _) = recv(io::stdin(), question.as_mut_slice(), RecvFlags::empty())?;
        if bytes == 0 {
            return Ok(());
        }
        for want in question[..bytes].chunks(WANT_BYTES) {
            match Want::read(want) {
                Some(want) => answer(&odb, want)?,
                None => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Answers truly.
pub(super) fn answer(odb: &Odb<'_>, want: Want) -> io::Result<()> {
    match want {
        Want::Object(name) => give(odb, name),
        Want::Presence(name) => tell_presence(odb, name),
    }
}

fn open() -> Result<Odb<'static>, git2::Error> {
    let odb = Odb::new()?;
    odb.add_disk_alternate(INSIDE_OBJECTS)?;
    let borrowed = (0..).map(|number| PathBuf::from(inside_borrowed(number)));
    for folder in borrowed.take_while(|folder| Path::exists(folder)) {
        odb.add_disk_alternate(&folder.display().to_string())?;
    }
    Ok(odb)
}

fn give(odb: &Odb<'_>, name: Oid) -> io::Result<()> {
    let object = match read(odb, name) {
        Ok(object) => object,
        Err(head) => return say(&head.write()),
    };
    let Some(kind) = kind(object.kind()) else { return say(&Head::Unreadable.write()) };
    let content = object.data();
    let (first, rest) = content.split_at(content.len().min(MESSAGE_BYTES - HEAD_BYTES));
    say(&[&Head::There(kind, content.len() as u64).write(), first].concat())?;
    rest.chunks(MESSAGE_BYTES).try_for_each(say)
}

fn read<'o>(odb: &'o Odb<'_>, name: Oid) -> Result<OdbObject<'o>, Head> {
    let name = git2::Oid::from_bytes(name.as_bytes()).map_err(|_| Head::Unreadable)?;
    let said = |error: git2::Error| {
        if error.code() == ErrorCode::NotFound { Head::Missing } else { Head::Unreadable }
    };
    // The size of a delta's result stands before it, and is not believed to be small before it was read.
    let (size, _) = odb.read_header(name).map_err(said)?;
    if size as u64 > FILE_BYTES_MAX {
        return Err(Head::TooLarge(size as u64));
    }
    odb.read(name).map_err(said)
}

fn tell_presence(odb: &Odb<'_>, name: Oid) -> io::Result<()> {
    let there = git2::Oid::from_bytes(name.as_bytes()).is_ok_and(|name| odb.exists(name));
    let head = if there { Head::There(ObjectKind::Blob, 0) } else { Head::Missing };
    say(&head.write())
}

fn kind(kind: ObjectType) -> Option<ObjectKind> {
    match kind {
        ObjectType::Commit => Some(ObjectKind::Commit),
        ObjectType::Tree => Some(ObjectKind::Tree),
        ObjectType::Blob => Some(ObjectKind::Blob),
        ObjectType::Tag => Some(ObjectKind::Tag),
        ObjectType::Any => None,
    }
}

/// Sends one message.
pub(super) fn say(message: &[u8]) -> io::Result<()> {
    send(io::stdin(), message, SendFlags::NOSIGNAL)?;
    Ok(())
}
