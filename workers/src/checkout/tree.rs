//! The tree of one commit, read by git2 from the cache's objects alone: no configuration, no references, no attributes.
//! libgit2 holds every object that it reads against its name, as is its default.
//! A file is given as git holds it, as a checkout on Linux with git's own defaults writes it; a repository that asks
//! for other bytes by `.gitattributes` (`eol=crlf`, `ident`, a filter) gets those that it committed.

use std::path::{Path, PathBuf};

use countersign_core::{
    Sha256, canonical,
    limits::{FILE_BYTES_MAX, TREE_BYTES_MAX, TREE_FILES_MAX},
    source::Directory,
};
use git2::{ObjectType, Odb, Oid, Repository, Tree};

use super::CheckoutError;

/// Modes of git's tree entries.
const MODE_FOLDER: i32 = 0o040_000;
const MODE_SYMLINK: i32 = 0o120_000;
const MODE_SUBMODULE: i32 = 0o160_000;
const MODE_KIND: i32 = 0o170_000;

/// The objects of one repository.
pub(super) struct Objects {
    repository: Repository,
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
    /// More paths than [`TREE_FILES_MAX`].
    #[error("The tree holds more than {TREE_FILES_MAX} files.")]
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
    /// Opens a folder of objects.
    pub(super) fn open(objects: &Path, in_place: bool) -> Result<Self, CheckoutError> {
        let odb = Odb::new()?;
        odb.add_disk_alternate(&objects.display().to_string())?;
        Ok(Self { repository: Repository::from_odb(odb)?, in_place })
    }

    /// The files and links of a tree whose content is missing here.
    pub(super) fn gaps(&self, items: &[Item]) -> Result<Vec<String>, CheckoutError> {
        if !self.in_place {
            return Ok(Vec::new());
        }
        let odb = self.repository.odb()?;
        let missing = |item: &&Item| item.kind != Kind::Submodule && !odb.exists(item.object);
        Ok(items.iter().filter(missing).map(|item| item.path.clone()).collect())
    }

    /// The commit that a tag or branch names in the end; none where it names something else.
    pub(super) fn commit(&self, object: Oid) -> Result<Option<git2::Commit<'_>>, CheckoutError> {
        let object = self.repository.find_object(object, None)?;
        Ok(object.peel_to_commit().ok())
    }

    /// When a commit was made, in seconds since 1970, and what it follows; none where it is not there or no commit.
    pub(super) fn parents(&self, commit: Oid) -> Option<(i64, Vec<Oid>)> {
        let commit = self.repository.find_commit(commit).ok()?;
        Some((commit.time().seconds(), commit.parent_ids().collect()))
    }

    /// Whether an object is there.
    pub(super) fn holds(&self, object: Oid) -> bool {
        self.repository.odb().is_ok_and(|odb| odb.exists(object))
    }

    /// The tree of a folder in a commit; none where either is not there.
    pub(super) fn tree_at(&self, commit: Oid, folder: &str) -> Option<Oid> {
        self.folder(commit, folder).ok().flatten().map(|tree| tree.id())
    }

    /// What stands under a name in a tree; a kind of none is a folder or nothing that is checked out.
    pub(super) fn entry(&self, tree: Oid, name: &str) -> Option<(Oid, Option<Kind>)> {
        let tree = self.repository.find_tree(tree).ok()?;
        let entry = tree.get_name(name)?;
        Some((entry.id(), kind_of(entry.filemode_raw())))
    }

    /// Everything in a tree, by its name; names that are not UTF-8 are left out. None where the tree is not there.
    pub(super) fn entries(&self, tree: Oid) -> Option<Vec<(String, Oid, Option<Kind>)>> {
        let tree = self.repository.find_tree(tree).ok()?;
        let named = |entry: git2::TreeEntry<'_>| {
            let name = std::str::from_utf8(entry.name_bytes()).ok()?.to_owned();
            Some((name, entry.id(), kind_of(entry.filemode_raw())))
        };
        Some(tree.iter().filter_map(named).collect())
    }

    /// Whether the second commit is the first one or comes before it. In a shallow repository what is not there ends
    /// the search.
    pub(super) fn reaches(&self, tip: Oid, commit: Oid) -> bool {
        let mut seen = std::collections::HashSet::from([tip]);
        let mut ahead = vec![tip];
        while let Some(next) = ahead.pop() {
            if next == commit {
                return true;
            }
            if let Ok(found) = self.repository.find_commit(next) {
                ahead.extend(found.parent_ids().filter(|&parent| seen.insert(parent)));
            }
        }
        false
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
        let Some(entry) = tree.get_name(name) else { return Ok(None) };
        let object = entry.id();
        let is_file = matches!(kind_of(entry.filemode_raw()), Some(Kind::File { .. }));
        if !is_file || (self.in_place && !self.repository.odb()?.exists(object)) {
            return Ok(None);
        }
        if self.size(object)? > bytes_max {
            return Ok(None);
        }
        Ok(Some(self.repository.find_blob(object)?.content().to_owned()))
    }

    /// The tree of a folder in a commit.
    fn folder(&self, commit: Oid, folder: &str) -> Result<Option<Tree<'_>>, CheckoutError> {
        let root = self.repository.find_commit(commit)?.tree_id();
        let mut tree = self.repository.find_tree(root)?;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            let entry = tree.get_name(part).map(|entry| (entry.id(), entry.filemode_raw()));
            match entry {
                Some((below, mode)) if mode & MODE_KIND == MODE_FOLDER => {
                    tree = self.repository.find_tree(below)?;
                }
                Some(_) | None => return Ok(None),
            }
        }
        Ok(Some(tree))
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
        let mut items = Vec::new();
        Ok(self.collect(&tree, below.as_str(), 0, &mut items)?.map(|()| items))
    }

    fn collect(
        &self,
        tree: &Tree<'_>,
        folder: &str,
        depth: usize,
        items: &mut Vec<Item>,
    ) -> Result<Result<(), Unfit>, CheckoutError> {
        for entry in tree {
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
                let name = String::from_utf8_lossy(entry.name_bytes());
                return Ok(Err(Unfit::NotUtf8(joined(folder, &name))));
            };
            let path = joined(folder, name);
            if !is_fit(name) || path.len() > 4096 || depth > 256 {
                return Ok(Err(Unfit::Path(path)));
            }
            if items.len() >= TREE_FILES_MAX {
                return Ok(Err(Unfit::Files));
            }
            match kind_of(entry.filemode_raw()) {
                Some(kind) => items.push(Item { path, kind, object: entry.id() }),
                None if entry.filemode_raw() & MODE_KIND == MODE_FOLDER => {
                    let below = self.repository.find_tree(entry.id())?;
                    if let Err(unfit) = self.collect(&below, &path, depth + 1, items)? {
                        return Ok(Err(unfit));
                    }
                }
                None => return Ok(Err(Unfit::Path(path))),
            }
        }
        Ok(Ok(()))
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
        for item in items {
            if item.kind == Kind::Submodule {
                continue;
            }
            let bytes = self.size(item.object)?;
            if bytes > bounds.file_bytes {
                return Ok(Err(Unfit::Bytes { path: item.path.clone(), bytes }));
            }
            *already = already.saturating_add(bytes);
            if *already > bounds.tree_bytes {
                return Ok(Err(Unfit::Bytes { path: item.path.clone(), bytes: *already }));
            }
            let object = item.object;
            let blob = self.repository.find_blob(object).map_err(CheckoutError::from)?;
            put(item, blob.content())?;
        }
        Ok(Ok(()))
    }

    fn size(&self, object: Oid) -> Result<u64, CheckoutError> {
        let (size, kind) = self.repository.odb()?.read_header(object)?;
        if kind == ObjectType::Blob {
            Ok(size as u64)
        } else {
            Err(CheckoutError::Git(git2::Error::from_str("a file of the tree is not a blob")))
        }
    }
}

/// What a mode says; none for a folder and for what no git writes. Only the kind and the owner's execute bit count:
/// git reads 100664 and zero-padded modes of old the same way.
fn kind_of(mode: i32) -> Option<Kind> {
    match mode & MODE_KIND {
        0o100_000 => Some(Kind::File { executable: mode & 0o100 != 0 }),
        MODE_SYMLINK => Some(Kind::Symlink),
        MODE_SUBMODULE => Some(Kind::Submodule),
        _ => None,
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether git would check a name out: nothing that leads out of its folder, and no `.git` in any spelling that some
/// file system takes for it (verify_path, is_hfs_dotgit and is_ntfs_dotgit of git 2.47).
fn is_fit(name: &str) -> bool {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return false;
    }
    // HFS+ ignores these code points wherever they stand in a name.
    let ignored = |c: &char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let plain: String = name.chars().filter(|c| !ignored(c)).collect::<String>().to_lowercase();
    // NTFS drops dots and spaces at the end, ends a name at a colon or backslash, and knows `.git` as `git~1`.
    let stem = plain.split([':', '\\']).next().unwrap_or_default().trim_end_matches(['.', ' ']);
    !matches!(stem, ".git" | "git~1")
}

/// A tree to be exported, with what its submodules were brought as. It holds no open file.
#[derive(Clone, Debug)]
pub struct ExportTree {
    pub(super) parts: Vec<Part>,
}

/// The tree of one commit, put below one folder.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) at: Directory,
    pub(super) objects: PathBuf,
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
            let objects = Objects::open(&part.objects, false)?;
            let mut place =
                |item: &Item, bytes: &[u8]| put(&part.at.join(&item.path), item.kind, bytes);
            if let Err(unfit) = objects.export(&part.items, bounds, &mut already, &mut place)? {
                return Ok(Err(unfit));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_that_some_file_system_takes_for_git_is_checked_out() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            "git~1",
            "GIT~1",
            ".git.",
            ".git ",
            ".git . .",
            ".git::$INDEX",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{206f}T",
            ".git\\config",
            "",
            ".",
            "..",
            "a/b",
        ] {
            assert!(!is_fit(name), "{name:?}");
        }
        for name in [".gitignore", ".github", "git", "..git", "...", "a:b", "git~10", "ä"] {
            assert!(is_fit(name), "{name:?}");
        }
    }
}
