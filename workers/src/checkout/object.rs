//! The bytes of commits, tags and folders as values: git's own plain forms, read by us once they were held against their
//! names. Whoever made them chose them, so that what has no use here is passed over, and nothing of it is believed to be
//! short.

use std::collections::HashSet;

use countersign_core::limits::COMMIT_PARENTS_MAX;

use super::oid::Oid;

/// What is read of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Commit {
    /// Its folder.
    pub tree: Oid,
    /// What it follows.
    pub parents: Vec<Oid>,
    /// When it was made by the committer's clock, in seconds since 1970; 0 where that cannot be read.
    pub seconds: i64,
}

/// What stands under one name of a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    /// Git's mode.
    pub mode: u32,
    /// The name, which is not empty and holds neither a zero byte nor what its maker did not put there.
    pub name: &'a [u8],
    /// The object.
    pub object: Oid,
}

impl Commit {
    /// Reads a commit; none where it has no folder or more parents than any.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = header(bytes).peekable();
        let tree = named(lines.next()?, b"tree ")?;
        let mut parents = Vec::new();
        while let Some(parent) = lines.peek().and_then(|line| named(line, b"parent ")) {
            parents.push(parent);
            if parents.len() > COMMIT_PARENTS_MAX {
                return None;
            }
            lines.next();
        }
        let committer = lines.find_map(|line| line.strip_prefix(b"committer "));
        Some(Self { tree, parents, seconds: committer.and_then(seconds).unwrap_or(0) })
    }
}

/// The object that a tag names.
pub(super) fn tagged(bytes: &[u8]) -> Option<Oid> {
    named(header(bytes).next()?, b"object ")
}

/// The lines up to the first empty one.
fn header(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty())
}

fn named(line: &[u8], word: &[u8]) -> Option<Oid> {
    std::str::from_utf8(line.strip_prefix(word)?).ok()?.parse().ok()
}

/// `A U Thor <author@example.org> 1772366400 +0000`: names may hold anything, so that the last `>` counts.
fn seconds(line: &[u8]) -> Option<i64> {
    let after = line.iter().rposition(|byte| *byte == b'>')? + 1;
    std::str::from_utf8(&line[after..]).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Every entry of a folder in its order; none where it is not in git's form. Git sorts them and has no name twice (`fsck`:
/// `treeNotSorted`, `duplicateEntries`), and readers look names up in that trust: what is otherwise is no folder.
pub(super) fn entries(bytes: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut found: Vec<Entry<'_>> = Vec::new();
    // A file and a folder of one name need not stand beside each other.
    let mut names = HashSet::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let entry = first(&mut rest)?;
        let in_order = found.last().is_none_or(|before| before.stands_before(&entry));
        if entry.name.is_empty() || !in_order || !names.insert(entry.name) {
            return None;
        }
        found.push(entry);
    }
    Some(found)
}

/// The first entry of that name; inside, none where there is none, and outside, where the folder cannot be read up to there.
/// Whether the whole is in git's form is not looked at.
pub(super) fn entry<'a>(bytes: &'a [u8], name: &[u8]) -> Option<Option<Entry<'a>>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let entry = first(&mut rest)?;
        if entry.name == name {
            return Some(Some(entry));
        }
    }
    Some(None)
}

fn first<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let space = rest.iter().take(8).position(|byte| *byte == b' ')?;
    let mode = std::str::from_utf8(&rest[..space]).ok()?;
    let mode = u32::from_str_radix(mode, 8).ok()?;
    let after = &rest[space + 1..];
    let end = after.iter().position(|byte| *byte == 0)?;
    let (name, after) = after.split_at(end);
    let (object, after) = after[1..].split_first_chunk::<20>()?;
    *rest = after;
    Some(Entry { mode, name, object: Oid::from_bytes(*object) })
}

impl Entry<'_> {
    /// Git's order (`base_name_compare`): a folder as if its name ended with a slash.
    fn stands_before(&self, next: &Self) -> bool {
        let shared = self.name.len().min(next.name.len());
        let ended = |entry: &Self| {
            let slash = if entry.mode & 0o170_000 == 0o040_000 { b'/' } else { 0 };
            entry.name.get(shared).copied().unwrap_or(slash)
        };
        let order = self.name[..shared].cmp(&next.name[..shared]);
        order.then_with(|| ended(self).cmp(&ended(next))).is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn a_commit_gives_its_folder_its_parents_and_its_time() {
        let name: Oid = NAME.parse().unwrap();
        let text = format!(
            "tree {NAME}\nparent {NAME}\nparent {NAME}\nauthor a <a@b> 5 +0000\ncommitter > x <c@d> -7 +0100\n\nparent {NAME}\n"
        );
        let expected = Commit { tree: name, parents: vec![name, name], seconds: -7 };
        assert_eq!(Commit::parse(text.as_bytes()), Some(expected));
        let text = format!("tree {NAME}\nauthor a\ncommitter nobody at all\n\nx");
        assert_eq!(Commit::parse(text.as_bytes()).unwrap().seconds, 0, "as of old");
        for broken in ["", "tree x\n", &format!("parent {NAME}\n"), &NAME[..30]] {
            assert_eq!(Commit::parse(broken.as_bytes()), None, "{broken}");
        }
        let many = format!("parent {NAME}\n").repeat(COMMIT_PARENTS_MAX + 1);
        assert_eq!(Commit::parse(format!("tree {NAME}\n{many}\n").as_bytes()), None);
    }

    #[test]
    fn a_tag_names_its_object() {
        let text = format!("object {NAME}\ntype commit\ntag v1\n\nwords\n");
        assert_eq!(tagged(text.as_bytes()), NAME.parse().ok());
        assert_eq!(tagged(b"type commit\n"), None);
    }

    fn tree(listed: &[(&str, &str)]) -> Vec<u8> {
        let entry = |(mode, name): &(&str, &str)| {
            [mode.as_bytes(), b" ", name.as_bytes(), b"\0", Oid::ZERO.as_bytes()].concat()
        };
        listed.iter().flat_map(entry).collect()
    }

    #[test]
    fn a_folder_is_read_in_gits_order_and_in_no_other() {
        let bytes = tree(&[("100644", "a.b"), ("40000", "a"), ("0100755", "a0")]);
        let read = entries(&bytes).unwrap();
        let told: Vec<_> = read.iter().map(|entry| (entry.mode, entry.name)).collect();
        let expected: [(u32, &[u8]); 3] =
            [(0o100_644, b"a.b"), (0o40_000, b"a"), (0o100_755, b"a0")];
        assert_eq!(told, expected);
        assert_eq!(entries(b"").unwrap(), []);
        assert_eq!(entry(&bytes, b"a").unwrap().unwrap().mode, 0o40_000);
        assert_eq!((entry(&bytes, b"b"), entry(&bytes[..20], b"b")), (Some(None), None));
        for broken in [
            tree(&[("100644", "b"), ("100644", "a")]),
            tree(&[("100644", "a"), ("100644", "a")]),
            tree(&[("100644", "a"), ("100644", "a.b"), ("40000", "a")]),
            tree(&[("100644", "")]),
            tree(&[("abc", "a")]),
            tree(&[("100644", "a")])[..20].to_vec(),
            b"100644 a".to_vec(),
            b"100644".to_vec(),
        ] {
            assert_eq!(entries(&broken), None, "{broken:?}");
        }
    }
}
