//! The tree of one commit, from objects that were each held against their names: no configuration, no references, no
//! attributes. Who reads them and how they are checked is `reader`'s.
//! A file is given as git holds it, as a checkout on Linux with git's own defaults writes it; a repository that asks
//! for other bytes by `.gitattributes` (`eol=crlf`, `ident`, a filter) gets those that it committed.

use std::{collections::HashSet, sync::Arc};

use countersign_core::{
    Sha256, canonical,
    limits::{
        FILE_BYTES_MAX, GIT_OBJECT_BYTES_MAX, REACHED_COMMITS_MAX, TAG_DEPTH_MAX, TREE_BYTES_MAX,
        TREE_FILES_MAX,
    },
    source::Directory,
};

use super::{
    CheckoutError,
    listing::Listing,
    object::{self, Commit},
    oid::{ObjectKind, Oid},
    reader::{Got, Reader},
};

/// Modes of git's tree entries.
pub(super) const MODE_FOLDER: u32 = 0o040_000;
const MODE_SYMLINK: u32 = 0o120_000;
const MODE_SUBMODULE: u32 = 0o160_000;
pub(super) const MODE_KIND: u32 = 0o170_000;

/// The objects of one repository.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    reader: Arc<Reader>,
    /// Whether some may be missing.
    in_place: bool,
}

/// How much of a tree is exported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// One file.
    pub file_bytes: u64,
    /// All of them.
    pub tree_bytes: u64,
}

const BOUNDS: Bounds = Bounds { file_bytes: FILE_BYTES_MAX, tree_bytes: TREE_BYTES_MAX };

/// Takes the path, the kind and the content of one file or link; a link's content is its target.
pub type Put<'a, E> = dyn FnMut(&str, Kind, &[u8]) -> Result<(), E> + 'a;
type PutItem<'a, E> = dyn FnMut(&Item, &[u8]) -> Result<(), E> + 'a;

/// What stands at one path of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File {
        /// Whether git's mode is 100755.
        executable: bool,
    },
    /// A symbolic link; its target is its content.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One path of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// The path from the root.
    pub path: String,
    /// What stands there.
    pub kind: Kind,
    /// Its blob, or the commit of a submodule.
    pub object: Oid,
}

/// A tree that may not be written to a disk, or not by us. The subject's own doing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// A name that git itself would not check out, or that leads elsewhere.
    #[error("The tree holds the path `{0}`, which git would not check out.")]
    Path(String),
    /// A name that is not UTF-8.
    #[error("The tree holds a name that is not UTF-8: `{0}`.")]
    NotUtf8(String),
    /// A folder that git would not have written: out of order, or with one name twice.
    #[error("The folder `{0}` of the tree is not in git's form.")]
    Folder(String),
    /// More paths than [`TREE_FILES_MAX`].
    #[error("The tree holds more than {TREE_FILES_MAX} files or folders.")]
    Files,
    /// More bytes than [`TREE_BYTES_MAX`], or one file of more than [`FILE_BYTES_MAX`].
    #[error("The tree is too large: at `{path}` it has reached {bytes} bytes.")]
    Bytes {
        /// The file at which the bound was reached.
        path: String,
        /// The bytes of the tree so far, or of that file.
        bytes: u64,
    },
}

impl Objects {
    /// What that process reads.
    pub(super) fn new(reader: Arc<Reader>, in_place: bool) -> Self {
        Self { reader, in_place }
    }

    /// Whether some may be missing.
    pub(super) fn in_place(&self) -> bool {
        self.in_place
    }

    /// The files and links of a tree whose content is missing here.
    pub(super) fn gaps(&self, items: &[Item]) -> Result<Vec<String>, CheckoutError> {
        if !self.in_place {
            return Ok(Vec::new());
        }
        let of_here = items.iter().filter(|item| item.kind != Kind::Submodule);
        let (paths, names): (Vec<&String>, Vec<Oid>) =
            of_here.map(|item| (&item.path, item.object)).unzip();
        let there = self.reader.presence(&names)?;
        Ok(paths
            .into_iter()
            .zip(there)
            .filter(|(_, there)| !there)
            .map(|(p, _)| p.clone())
            .collect())
    }

    /// The commit that a tag or branch names in the end; none where it names something else.
    pub(super) fn commit(&self, object: Oid) -> Result<Option<(Oid, Commit)>, CheckoutError> {
        let mut name = object;
        for _ in 0..TAG_DEPTH_MAX {
            match self.small(name)? {
                (ObjectKind::Commit, bytes) => {
                    let commit = Commit::parse(&bytes).ok_or_else(|| malformed(name, "commit"))?;
                    return Ok(Some((name, commit)));
                }
                (ObjectKind::Tag, bytes) => {
                    name = object::tagged(&bytes).ok_or_else(|| malformed(name, "tag"))?;
                }
                (ObjectKind::Tree | ObjectKind::Blob, _) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// When a commit was made, in seconds since 1970, and what it follows; none where it is not there or no commit.
    pub(super) fn parents(&self, commit: Oid) -> Option<(i64, Vec<Oid>)> {
        let commit = self.exactly(commit).ok()?;
        Some((commit.seconds, commit.parents))
    }

    /// Whether an object is there, as far as can be known.
    pub(super) fn holds(&self, object: Oid) -> bool {
        self.reader.presence(&[object]).is_ok_and(|there| there == [true])
    }

    /// The tree of a folder in a commit; none where either is not there.
    pub(super) fn tree_at(&self, commit: Oid, folder: &str) -> Option<Oid> {
        self.folder(commit, folder).ok().flatten()
    }

    /// What stands under a name in a tree; a kind of none is a folder or nothing that is checked out.
    pub(super) fn entry(&self, tree: Oid, name: &str) -> Option<(Oid, Option<Kind>)> {
        let (mode, object) = self.named(tree, name).ok()??;
        Some((object, kind_of(mode)))
    }

    /// Everything in a tree, by its name; names that are not UTF-8 are left out. None where the tree is not there.
    pub(super) fn entries(&self, tree: Oid) -> Option<Vec<(String, Oid, Option<Kind>)>> {
        let bytes = self.tree(tree).ok()?;
        let named = |entry: object::Entry<'_>| {
            let name = std::str::from_utf8(entry.name).ok()?.to_owned();
            Some((name, entry.object, kind_of(entry.mode)))
        };
        Some(object::entries(&bytes)?.into_iter().filter_map(named).collect())
    }

    /// Whether a commit is one of the tips or comes before one. In a shallow repository what is not there ends the search.
    pub(super) fn reaches(&self, tips: &[Oid], commit: Oid) -> Result<bool, CheckoutError> {
        /// Commits that are asked for at a time.
        const AT_A_TIME: usize = 256;
        let mut seen: HashSet<Oid> = tips.iter().copied().collect();
        let mut ahead: Vec<Oid> = seen.iter().copied().collect();
        while !seen.contains(&commit) && !ahead.is_empty() {
            if seen.len() > REACHED_COMMITS_MAX {
                let clause = format!("its branches hold more than {REACHED_COMMITS_MAX} commits");
                return Err(CheckoutError::Bound(clause));
            }
            let next = ahead.split_off(ahead.len().saturating_sub(AT_A_TIME));
            let mut take = |_, got| {
                if let Got::Object(ObjectKind::Commit, bytes) = got
                    && let Some(found) = Commit::parse(&bytes)
                {
                    ahead.extend(found.parents.into_iter().filter(|parent| seen.insert(*parent)));
                }
                Ok::<bool, CheckoutError>(true)
            };
            self.reader.objects(&next, GIT_OBJECT_BYTES_MAX, &mut take)?;
        }
        Ok(seen.contains(&commit))
    }

    /// The content of a regular file of at most `bytes_max` in a commit; none where there is none, or a larger one, or
    /// a link.
    pub(super) fn file(
        &self,
        commit: Oid,
        path: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, CheckoutError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(tree) = self.folder(commit, folder)? else { return Ok(None) };
        let Some((mode, object)) = self.named(tree, name)? else { return Ok(None) };
        if !matches!(kind_of(mode), Some(Kind::File { .. })) {
            return Ok(None);
        }
        match self.reader.object(object, bytes_max)? {
            Got::Object(ObjectKind::Blob, bytes) => Ok(Some(bytes.to_vec())),
            Got::TooLarge(_) => Ok(None),
            Got::Missing if self.in_place => Ok(None),
            Got::Missing => Err(missing(object)),
            Got::Object(..) => Err(malformed(object, "file")),
        }
    }

    /// The tree of a folder in a commit.
    fn folder(&self, commit: Oid, folder: &str) -> Result<Option<Oid>, CheckoutError> {
        let mut tree = self.exactly(commit)?.tree;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            match self.named(tree, part)? {
                Some((mode, below)) if mode & MODE_KIND == MODE_FOLDER => tree = below,
                Some(_) | None => return Ok(None),
            }
        }
        Ok(Some(tree))
    }

    /// A commit, tag or tree.
    fn small(&self, name: Oid) -> Result<(ObjectKind, Arc<[u8]>), CheckoutError> {
        match self.reader.object(name, GIT_OBJECT_BYTES_MAX)? {
            Got::Object(kind, bytes) => Ok((kind, bytes)),
            Got::Missing => Err(missing(name)),
            Got::TooLarge(bytes) => {
                Err(CheckoutError::Bound(format!("the object {name} has {bytes} bytes")))
            }
        }
    }

    fn exactly(&self, commit: Oid) -> Result<Commit, CheckoutError> {
        let (kind, bytes) = self.small(commit)?;
        let commit_of = |bytes: &[u8]| Commit::parse(bytes).filter(|_| kind == ObjectKind::Commit);
        commit_of(&bytes).ok_or_else(|| malformed(commit, "commit"))
    }

    /// A folder's bytes.
    pub(super) fn tree(&self, name: Oid) -> Result<Arc<[u8]>, CheckoutError> {
        match self.small(name)? {
            (ObjectKind::Tree, bytes) => Ok(bytes),
            (ObjectKind::Commit | ObjectKind::Blob | ObjectKind::Tag, _) => {
                Err(malformed(name, "folder"))
            }
        }
    }

    fn named(&self, tree: Oid, name: &str) -> Result<Option<(u32, Oid)>, CheckoutError> {
        let bytes = self.tree(tree)?;
        let found = object::entry(&bytes, name.as_bytes());
        let found = found.ok_or_else(|| malformed(tree, "folder"))?;
        Ok(found.map(|entry| (entry.mode, entry.object)))
    }

    /// Every path of a commit's tree below a folder, in git's order; none where the folder is not there.
    ///
    /// # Errors
    /// Inside, what makes the tree unfit.
    pub(super) fn items(
        &self,
        commit: Oid,
        below: &Directory,
    ) -> Result<Result<Vec<Item>, Unfit>, CheckoutError> {
        let Some(tree) = self.folder(commit, below.as_str())? else { return Ok(Ok(Vec::new())) };
        Listing::new(self).all(tree, below.as_str())
    }

    /// Hands every file and link of a tree to `put`, whose error ends it. Submodules are passed over.
    ///
    /// # Errors
    /// Inside, what makes the tree unfit; outside, a damaged cache or the error of `put`.
    pub(super) fn export<E: From<CheckoutError>>(
        &self,
        items: &[Item],
        bounds: Bounds,
        already: &mut u64,
        put: &mut PutItem<'_, E>,
    ) -> Result<Result<(), Unfit>, E> {
        let of_here: Vec<&Item> =
            items.iter().filter(|item| item.kind != Kind::Submodule).collect();
        let names: Vec<Oid> = of_here.iter().map(|item| item.object).collect();
        let mut unfit = None;
        let mut take = |place: usize, got| -> Result<bool, E> {
            let item = of_here[place];
            let too_large = |bytes| Some(Unfit::Bytes { path: item.path.clone(), bytes });
            let content = match got {
                Got::Object(ObjectKind::Blob, content) => content,
                Got::Object(..) => return Err(malformed(item.object, "file").into()),
                Got::Missing => return Err(missing(item.object).into()),
                Got::TooLarge(bytes) => {
                    unfit = too_large(bytes);
                    return Ok(false);
                }
            };
            *already = already.saturating_add(content.len() as u64);
            if *already > bounds.tree_bytes {
                unfit = too_large(*already);
                return Ok(false);
            }
            put(item, &content)?;
            Ok(true)
        };
        self.reader.objects(&names, bounds.file_bytes, &mut take)?;
        Ok(unfit.map_or(Ok(()), Err))
    }
}

fn missing(name: Oid) -> CheckoutError {
    CheckoutError::Damaged(format!("the object {name} is missing"))
}

fn malformed(name: Oid, what: &str) -> CheckoutError {
    CheckoutError::Damaged(format!("the object {name} is no {what} in git's form"))
}

/// What a mode says; none for a folder and for what no git writes. Only the kind and the owner's execute bit count:
/// git reads 100664 and zero-padded modes of old the same way.
pub(super) fn kind_of(mode: u32) -> Option<Kind> {
    match mode & MODE_KIND {
        0o100_000 => Some(Kind::File { executable: mode & 0o100 != 0 }),
        MODE_SYMLINK => Some(Kind::Symlink),
        MODE_SUBMODULE => Some(Kind::Submodule),
        _ => None,
    }
}

/// A tree to be exported, with what its submodules were brought as. The processes that read its objects live as long.
#[derive(Clone, Debug)]
pub struct ExportTree {
    pub(super) parts: Vec<Part>,
}

/// The tree of one commit, put below one folder.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) at: Directory,
    pub(super) objects: Objects,
    pub(super) items: Vec<Item>,
}

impl ExportTree {
    /// A digest of every path with what stands there: two trees of one identity are exported the same.
    pub(crate) fn identity(&self) -> Sha256 {
        let lines = self.parts.iter().flat_map(|part| {
            part.items.iter().map(|item| {
                (part.at.join(&item.path), format!("{:?}", item.kind), item.object.to_string())
            })
        });
        canonical::digest(&lines.collect::<Vec<_>>())
    }

    /// The part of the tree that lies at paths of that kind.
    pub(crate) fn only(&self, is_meant: impl Fn(&str) -> bool) -> Self {
        let part = |part: &Part| Part {
            items: part
                .items
                .iter()
                .filter(|item| is_meant(&part.at.join(&item.path)))
                .cloned()
                .collect(),
            ..part.clone()
        };
        Self { parts: self.parts.iter().map(part).collect() }
    }

    /// Every path of the tree, submodules and what is inside them included.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.parts.iter().flat_map(|part| part.items.iter().map(|item| part.at.join(&item.path)))
    }

    /// Hands every file and link to `put` with its path from the root and its content, which for a link is its target.
    ///
    /// # Errors
    /// Inside, what makes the tree unfit; outside, a damaged cache or the error of `put`.
    pub fn export<E: From<CheckoutError>>(
        &self,
        put: &mut Put<'_, E>,
    ) -> Result<Result<(), Unfit>, E> {
        self.export_within(BOUNDS, put)
    }

    pub(super) fn export_within<E: From<CheckoutError>>(
        &self,
        bounds: Bounds,
        put: &mut Put<'_, E>,
    ) -> Result<Result<(), Unfit>, E> {
        let mut already = 0;
        for part in &self.parts {
            let mut place =
                |item: &Item, bytes: &[u8]| put(&part.at.join(&item.path), item.kind, bytes);
            if let Err(unfit) =
                part.objects.export(&part.items, bounds, &mut already, &mut place)?
            {
                return Ok(Err(unfit));
            }
        }
        Ok(Ok(()))
    }
}
