//! What a worker and the process that reads objects for it say to each other, over a socket that keeps message boundaries.
//! A question is one or more wants; the answer to each is a head with the first bytes, and as many messages of further
//! bytes as it takes. Both sides check what they hear.

use super::oid::{ObjectKind, Oid};

/// Wants of one question: so many are asked for at a time that neither side waits for the other.
pub(super) const WANTS_MAX: usize = 64;
/// One want: what is asked, and of which object.
pub(super) const WANT_BYTES: usize = 21;
/// One message of an answer.
pub(super) const MESSAGE_BYTES: usize = 64 * 1024;
/// The head of an answer.
pub(super) const HEAD_BYTES: usize = 10;

/// What is asked of one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Its kind and its bytes.
    Object(Oid),
    /// Whether it is there.
    Presence(Oid),
}

impl Want {
    pub(super) fn write(self) -> [u8; WANT_BYTES] {
        let (what, name) = match self {
            Self::Object(name) => (1, name),
            Self::Presence(name) => (2, name),
        };
        let mut bytes = [what; WANT_BYTES];
        bytes[1..].copy_from_slice(name.as_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (what, name) = bytes.split_first()?;
        let name = Oid::from_bytes(name.try_into().ok()?);
        match what {
            1 => Some(Self::Object(name)),
            2 => Some(Self::Presence(name)),
            _ => None,
        }
    }
}

/// How an answer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// It is there, and so many bytes follow; for a question of presence none do.
    There(ObjectKind, u64),
    /// It is there and larger than is read, of so many bytes; none follow.
    TooLarge(u64),
    /// It is not there.
    Missing,
    /// It is there in some form, and could not be read.
    Unreadable,
}

impl Head {
    pub(super) fn write(self) -> [u8; HEAD_BYTES] {
        let (how, kind, size) = match self {
            Self::There(kind, size) => (1, kind as u8, size),
            Self::TooLarge(size) => (2, 0, size),
            Self::Missing => (3, 0, 0),
            Self::Unreadable => (4, 0, 0),
        };
        let mut bytes = [0; HEAD_BYTES];
        (bytes[0], bytes[1]) = (how, kind);
        bytes[2..].copy_from_slice(&size.to_le_bytes());
        bytes
    }

    /// The head, and what of the bytes came with it.
    pub(super) fn read(message: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = message.split_at_checked(HEAD_BYTES)?;
        let size = u64::from_le_bytes(head[2..].try_into().ok()?);
        let kinds = [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Blob, ObjectKind::Tag];
        let head = match head[0] {
            1 => Self::There(kinds.into_iter().find(|kind| *kind as u8 == head[1])?, size),
            2 => Self::TooLarge(size),
            3 => Self::Missing,
            4 => Self::Unreadable,
            _ => return None,
        };
        Some((head, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let name = Oid::of_blob(b"x");
        for want in [Want::Object(name), Want::Presence(name)] {
            assert_eq!(Want::read(&want.write()), Some(want));
        }
        assert_eq!(Want::read(&[3; WANT_BYTES]), None);
        assert_eq!(Want::read(&[1; WANT_BYTES - 1]), None);
        let heads =
            [Head::There(ObjectKind::Tag, 7), Head::TooLarge(9), Head::Missing, Head::Unreadable];
        for head in heads {
            let message = [head.write().as_slice(), b"rest"].concat();
            assert_eq!(Head::read(&message), Some((head, b"rest".as_slice())));
        }
        assert_eq!(Head::read(&[0; HEAD_BYTES]), None);
        assert_eq!(Head::read(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 0]), None, "no such kind");
        assert_eq!(Head::read(&[1; HEAD_BYTES - 1]), None);
    }
}
