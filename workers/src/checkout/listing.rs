//! Every path of a tree, from one walk through its folders: what may be checked out, and that the walk comes to an end.

use countersign_core::limits::TREE_FILES_MAX;

use super::{
    CheckoutError, object,
    oid::Oid,
    tree::{Item, MODE_FOLDER, MODE_KIND, Objects, Unfit, kind_of},
};

/// A walk through all folders of a tree. One folder can stand at many places, so that few objects make an endless tree;
/// folders count as files do.
pub(super) struct Listing<'a> {
    objects: &'a Objects,
    items: Vec<Item>,
    folders: usize,
}

impl<'a> Listing<'a> {
    /// A walk that has not begun.
    pub(super) fn new(objects: &'a Objects) -> Self {
        Self { objects, items: Vec::new(), folders: 0 }
    }

    /// Every path below a folder, in git's order.
    pub(super) fn all(
        mut self,
        tree: Oid,
        folder: &str,
    ) -> Result<Result<Vec<Item>, Unfit>, CheckoutError> {
        Ok(self.collect(tree, folder, 0)?.map(|()| self.items))
    }

    fn collect(
        &mut self,
        tree: Oid,
        folder: &str,
        depth: usize,
    ) -> Result<Result<(), Unfit>, CheckoutError> {
        self.folders += 1;
        let bytes = self.objects.tree(tree)?;
        let Some(entries) = object::entries(&bytes) else {
            let shown = if folder.is_empty() { "." } else { folder };
            return Ok(Err(Unfit::Folder(shown.to_owned())));
        };
        for entry in entries {
            let Ok(name) = std::str::from_utf8(entry.name) else {
                let name = String::from_utf8_lossy(entry.name);
                return Ok(Err(Unfit::NotUtf8(joined(folder, &name))));
            };
            let path = joined(folder, name);
            if !is_fit(name) || path.len() > 4096 || depth > 256 {
                return Ok(Err(Unfit::Path(path)));
            }
            if self.items.len().max(self.folders) >= TREE_FILES_MAX {
                return Ok(Err(Unfit::Files));
            }
            match kind_of(entry.mode) {
                Some(kind) => self.items.push(Item { path, kind, object: entry.object }),
                None if entry.mode & MODE_KIND == MODE_FOLDER => {
                    if let Err(unfit) = self.collect(entry.object, &path, depth + 1)? {
                        return Ok(Err(unfit));
                    }
                }
                None => return Ok(Err(Unfit::Path(path))),
            }
        }
        Ok(Ok(()))
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
