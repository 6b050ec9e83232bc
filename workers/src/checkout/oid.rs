//! The name that git gives to an object: the SHA-1 of its kind, its size and its bytes, computed by us. Who holds an object
//! against its name need not believe whoever brought it.

use std::{fmt, str::FromStr};

use sha1_checked::{Digest, Sha1};

/// A kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ObjectKind {
    /// A commit.
    Commit,
    /// A folder.
    Tree,
    /// The content of a file or the target of a link.
    Blob,
    /// A tag with a message of its own.
    Tag,
}

impl ObjectKind {
    /// Git's word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// The name of one object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Oid([u8; 20]);

impl Oid {
    /// The name that nothing has.
    pub(super) const ZERO: Self = Self([0; 20]);

    pub(super) fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The name of a file's content.
    pub(super) fn of_blob(content: &[u8]) -> Self {
        let mut hasher = Hasher::new(ObjectKind::Blob, content.len() as u64);
        hasher.update(content);
        Self(hasher.0.finalize().into())
    }
}

/// 40 hexadecimal digits.
impl FromStr for Oid {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An object's name while its bytes come in.
pub(super) struct Hasher(Sha1);

impl Hasher {
    pub(super) fn new(kind: ObjectKind, size: u64) -> Self {
        let mut hasher = Sha1::new();
        hasher.update(format!("{} {size}\0", kind.as_str()).as_bytes());
        Self(hasher)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Whether the bytes are those of that name. Bytes that were made to share their name with others never are: git
    /// refuses them too (its `sha1dc`).
    pub(super) fn gives(self, name: Oid) -> bool {
        let found = self.0.try_finalize();
        !found.has_collision() && <[u8; 20]>::from(*found.hash()) == name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_one_that_git_gives() {
        let hello = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(Oid::of_blob(b"hello\n").to_string(), hello);
        let empty_tree: Oid = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap();
        assert!(Hasher::new(ObjectKind::Tree, 0).gives(empty_tree));
        assert!(!Hasher::new(ObjectKind::Blob, 0).gives(empty_tree), "the kind is part of it");
        assert!("4b825d".parse::<Oid>().is_err() && "x".repeat(40).parse::<Oid>().is_err());
    }
}
