//! Files that are looked for in the tree of a commit, as the tree of folders that they lie in: how many of them a commit
//! holds is counted once for each of git's trees, however many commits share it.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    oid::Oid,
    tree::{Kind, Objects},
};

/// What is looked for at one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// A file of these bytes, whatever its mode.
    Blob(Oid),
    /// A file of these bytes that may be executed, or not.
    Mode(Oid, bool),
    /// No file.
    Absent,
}

/// A folder of what is looked for.
#[derive(Default, Debug)]
struct Folder {
    files: BTreeMap<String, Want>,
    folders: BTreeMap<String, usize>,
}

/// What is looked for, below one folder of the repository.
#[derive(Debug)]
pub(super) struct Sought {
    /// The first is the package's own folder.
    folders: Vec<Folder>,
    /// How many files are looked for.
    pub(super) total: usize,
    counted: HashMap<(usize, Oid), usize>,
}

impl Sought {
    /// From paths below the package's folder.
    pub(super) fn of<'p>(wanted: impl IntoIterator<Item = (&'p str, Want)>) -> Self {
        let mut sought =
            Self { folders: vec![Folder::default()], total: 0, counted: HashMap::new() };
        for (path, want) in wanted {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let at = folder.split('/').filter(|part| !part.is_empty());
            let at = at.fold(0, |at, part| sought.below(at, part));
            sought.folders[at].files.insert(name.to_owned(), want);
            sought.total += 1;
        }
        sought
    }

    fn below(&mut self, at: usize, name: &str) -> usize {
        if let Some(&known) = self.folders[at].folders.get(name) {
            return known;
        }
        self.folders.push(Folder::default());
        let new = self.folders.len() - 1;
        self.folders[at].folders.insert(name.to_owned(), new);
        new
    }

    /// How many of the files are in that tree as they are wanted; none for a folder that is not there.
    pub(super) fn count(&mut self, objects: &Objects, tree: Option<Oid>) -> usize {
        self.count_in(objects, 0, tree)
    }

    fn count_in(&mut self, objects: &Objects, at: usize, tree: Option<Oid>) -> usize {
        if let Some(known) = tree.and_then(|tree| self.counted.get(&(at, tree))) {
            return *known;
        }
        let mut count = 0;
        for (name, want) in &self.folders[at].files {
            let entry = tree.and_then(|tree| objects.entry(tree, name));
            count += usize::from(want.is_met_by(entry));
        }
        let below: Vec<(String, usize)> =
            self.folders[at].folders.iter().map(|(name, &at)| (name.clone(), at)).collect();
        for (name, at) in below {
            let folder = tree.and_then(|tree| objects.entry(tree, &name));
            let folder = folder.and_then(|(object, kind)| kind.is_none().then_some(object));
            count += self.count_in(objects, at, folder);
        }
        if let Some(tree) = tree {
            self.counted.insert((at, tree), count);
        }
        count
    }
}

impl Want {
    /// Whether what stands there is what is wanted; a kind of none is a folder.
    fn is_met_by(self, entry: Option<(Oid, Option<Kind>)>) -> bool {
        match (self, entry) {
            (Self::Blob(wanted), Some((object, Some(Kind::File { .. })))) => wanted == object,
            (Self::Mode(wanted, may_run), Some((object, Some(Kind::File { executable })))) => {
                wanted == object && may_run == executable
            }
            (Self::Absent, None) => true,
            (Self::Blob(_) | Self::Mode(..) | Self::Absent, _) => false,
        }
    }
}
