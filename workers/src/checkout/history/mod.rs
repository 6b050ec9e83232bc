//! What the history of a repository says of staged files: which commits hold their bytes, which one set the version, and
//! which one near the tag is most like the tarball. It reads the objects that this job's fetch brought, asks nobody, and
//! decides nothing: a commit that is found here is never built from.
//!
//! `graph` walks the commits, `sought` counts files in trees.

mod graph;
mod sought;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use countersign_core::{
    Version,
    archive::Archive,
    compare::{Comparison, FileComparison, Status},
    history::{AnotherCommit, FileHistory, History, Seen},
    limits::{
        EVIDENCE_COMMITS_MAX, EVIDENCE_NEAR_COMMITS_MAX, EVIDENCE_SECONDS_MAX, HISTORY_COMMITS_MAX,
        HISTORY_FILES_MAX, HISTORY_SECONDS_MAX, HISTORY_TREES_MAX,
    },
    source::{Directory, Evidence, EvidenceKind},
};

use self::{
    graph::{Bounds, Graph},
    sought::{Sought, Want},
};
use super::{
    CheckoutError, folder,
    oid::Oid,
    tree::{Kind, Objects},
};

/// Where a history can be read, and from where on: what one fetch of the repository found.
#[derive(Clone, Debug)]
pub struct HistoryPlace {
    pub(super) objects: Objects,
    /// What the branches that count name.
    pub(super) branches: Vec<Oid>,
    /// What the tags name, which may be tags of their own.
    pub(super) tags: Vec<Oid>,
    /// The commit of the tag.
    pub(super) commit: Oid,
    pub(super) directory: Directory,
}

impl HistoryPlace {
    /// Looks every staged file that differs up in the whole history, and for a commit that holds them all.
    ///
    /// # Errors
    /// The objects cannot be opened. What is missing among them leaves the answer incomplete.
    pub fn look_up(
        &self,
        staged: &Archive,
        comparison: &Comparison,
    ) -> Result<History, CheckoutError> {
        let objects = &self.objects;
        let until = Instant::now() + Duration::from_secs(HISTORY_SECONDS_MAX);
        let bounds = Bounds { commits: HISTORY_COMMITS_MAX, until };
        let graph = self.graph(objects, self.branches.iter().chain(&self.tags), bounds);
        let files: Vec<&FileComparison> = comparison.unexplained().collect();
        let ids: HashMap<&str, Oid> = files
            .iter()
            .filter(|file| file.staged.is_some())
            .take(HISTORY_FILES_MAX)
            .filter_map(|file| Some((file.path.as_str(), Oid::of_blob(staged.get(&file.path)?))))
            .collect();
        let mut search = BlobSearch::new(objects, &ids);
        let complete = search.run(&graph, until) && graph.complete && !objects.in_place();
        let tagged = objects.tree_at(self.commit, self.directory.as_str());
        let told = |path: &str, id: Oid| FileHistory {
            path: path.to_owned(),
            tagged: tagged.is_some_and(|tree| stands_in(objects, tree, path)),
            seen: match search.found.get(&id) {
                Some((commit, path)) => Seen::At { commit: commit.to_string(), at: path.clone() },
                None if complete => Seen::Nowhere,
                None => Seen::Unknown,
            },
        };
        let mut histories: Vec<FileHistory> =
            ids.iter().map(|(path, id)| told(path, *id)).collect();
        histories.sort_by(|a, b| a.path.cmp(&b.path));
        let another = self.another(objects, &graph, &files, &ids, until);
        Ok(History { complete, commits: graph.order.len(), files: histories, another })
    }

    fn graph<'o>(
        &self,
        objects: &Objects,
        from: impl IntoIterator<Item = &'o Oid>,
        bounds: Bounds,
    ) -> Graph {
        let commits = from.into_iter().filter_map(|tip| Some(objects.commit(*tip).ok()??.0));
        let tips: Vec<Oid> = commits.chain([self.commit]).collect();
        Graph::walk(objects, &tips, bounds)
    }

    /// The commit nearest to the tag that holds every staged file that differs, and none that is missing. Where only files
    /// are missing nearly every commit would do, and none is named.
    fn another(
        &self,
        objects: &Objects,
        graph: &Graph,
        files: &[&FileComparison],
        ids: &HashMap<&str, Oid>,
        until: Instant,
    ) -> Option<AnotherCommit> {
        let mut wanted = Vec::new();
        for file in files {
            wanted.push((file.path.as_str(), want(file, ids)?));
        }
        if wanted.iter().all(|(_, want)| *want == Want::Absent) {
            return None;
        }
        let mut sought = Sought::of(wanted);
        let commit =
            graph.around(self.commit).skip(1).take_while(|_| Instant::now() < until).find(
                |commit| {
                    let tree = objects.tree_at(*commit, self.directory.as_str());
                    tree.is_some() && sought.count(objects, tree) == sought.total
                },
            )?;
        Some(AnotherCommit {
            commit: commit.to_string(),
            after: graph.beyond(commit, self.commit),
            before: graph.beyond(self.commit, commit),
        })
    }

    /// What the history by itself says about which commit was released: the one that set the version, and the one near
    /// the tag that holds the most of the staged files.
    ///
    /// # Errors
    /// The objects cannot be opened.
    pub fn evidence(
        &self,
        staged: &Archive,
        version: &Version,
    ) -> Result<Vec<Evidence>, CheckoutError> {
        let objects = &self.objects;
        let until = Instant::now() + Duration::from_secs(EVIDENCE_SECONDS_MAX);
        let bounds = Bounds { commits: EVIDENCE_COMMITS_MAX, until };
        let graph = self.graph(objects, &self.branches, bounds);
        let set = self.version_set(objects, version, until);
        let overlap = self.overlap(objects, &graph, staged, until);
        Ok(set.into_iter().chain(overlap).collect())
    }

    /// The commit that first set the version, on the way back from the tag as long as some parent has it too.
    fn version_set(
        &self,
        objects: &Objects,
        version: &Version,
        until: Instant,
    ) -> Option<Evidence> {
        let mut known: HashMap<Oid, bool> = HashMap::new();
        let mut has_it = |commit: Oid| {
            let tree = objects.tree_at(commit, self.directory.as_str());
            let Some((blob, _)) = tree.and_then(|tree| objects.entry(tree, "package.json")) else {
                return false;
            };
            *known.entry(blob).or_insert_with(|| {
                let read = folder::read(objects, commit, &self.directory).ok().flatten();
                read.is_some_and(|package| package.version() == Some(version.as_str()))
            })
        };
        let mut at = self.commit;
        if !has_it(at) {
            return None;
        }
        let mut steps = 0_usize;
        loop {
            let (_, parents) = objects.parents(at)?;
            // A parent that is not there may have had it.
            if parents.iter().any(|parent| !objects.holds(*parent)) {
                return None;
            }
            let Some(parent) = parents.into_iter().find(|parent| has_it(*parent)) else { break };
            (at, steps) = (parent, steps + 1);
            if steps >= EVIDENCE_COMMITS_MAX || Instant::now() >= until {
                return None;
            }
        }
        let commit = at.to_string();
        let before = match steps {
            0 => ", and is the tag's".to_owned(),
            1 => ", one commit before the tag's".to_owned(),
            _ => format!(", {steps} commits before the tag's"),
        };
        let detail = format!("The commit {commit} first set the version {version}{before}.");
        Some(Evidence { kind: EvidenceKind::VersionHistory, commit, agrees: true, detail })
    }

    /// The commit near the tag that holds the most of the staged files at their places; of several the tag's own.
    fn overlap(
        &self,
        objects: &Objects,
        graph: &Graph,
        staged: &Archive,
        until: Instant,
    ) -> Option<Evidence> {
        let blobs: Vec<(String, Oid)> =
            staged.files().map(|file| (file.path.to_owned(), Oid::of_blob(file.content))).collect();
        let wanted = blobs.iter().map(|(path, id)| (path.as_str(), Want::Blob(*id)));
        let mut sought = Sought::of(wanted);
        let mut count =
            |commit: Oid| sought.count(objects, objects.tree_at(commit, self.directory.as_str()));
        let at_tag = count(self.commit);
        // From a branch's end the walk may not come down to an old tag; what lies behind it is seen from the tag itself.
        let behind = Bounds { commits: EVIDENCE_NEAR_COMMITS_MAX, until };
        let behind = Graph::walk(objects, &[self.commit], behind);
        let around = |graph: &Graph| -> Vec<Oid> {
            graph.around(self.commit).skip(1).take(EVIDENCE_NEAR_COMMITS_MAX).collect()
        };
        let near = around(graph).into_iter().chain(around(&behind));
        let mut best = (at_tag, self.commit);
        for commit in near.take_while(|_| Instant::now() < until) {
            let counted = count(commit);
            if counted > best.0 {
                best = (counted, commit);
            }
        }
        let (most, commit) = best;
        if most == 0 {
            return None;
        }
        let all = blobs.len();
        let agrees = commit == self.commit;
        let detail = if agrees {
            format!("No commit near it holds more than its {most} of the {all} staged files.")
        } else {
            format!(
                "The commit {commit} holds {most} of the {all} staged files, and the tag's {at_tag}."
            )
        };
        let commit = commit.to_string();
        Some(Evidence { kind: EvidenceKind::BlobOverlap, commit, agrees, detail })
    }
}

/// What a commit has to hold at that path to be where the staged file came from; none where that cannot be said.
fn want(file: &FileComparison, ids: &HashMap<&str, Oid>) -> Option<Want> {
    let id = ids.get(file.path.as_str()).copied();
    match file.status {
        Status::Missing => Some(Want::Absent),
        Status::Changed | Status::Added => id.map(Want::Blob),
        Status::ModeChanged => Some(Want::Mode(id?, file.staged?.executable)),
        Status::Same => None,
    }
}

fn stands_in(objects: &Objects, tree: Oid, path: &str) -> bool {
    let mut at = tree;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match objects.entry(at, part) {
            Some((_, Some(Kind::File { .. }))) if is_last => return true,
            Some((below, None)) if !is_last => at = below,
            Some(_) | None => return false,
        }
    }
    false
}

/// The newest commit that holds each of some bytes, at whatever path.
struct BlobSearch<'a> {
    objects: &'a Objects,
    wanted: HashSet<Oid>,
    seen: HashSet<Oid>,
    found: HashMap<Oid, (Oid, String)>,
}

impl<'a> BlobSearch<'a> {
    /// What is in no object at all is not looked for.
    fn new(objects: &'a Objects, ids: &HashMap<&str, Oid>) -> Self {
        let wanted = ids.values().copied().filter(|id| objects.holds(*id)).collect();
        Self { objects, wanted, seen: HashSet::new(), found: HashMap::new() }
    }

    /// Looks into every tree once; false where it had to stop or could not see all.
    fn run(&mut self, graph: &Graph, until: Instant) -> bool {
        let mut whole = true;
        for commit in &graph.order {
            if self.wanted.is_empty() {
                break;
            }
            if self.seen.len() >= HISTORY_TREES_MAX || Instant::now() >= until {
                return false;
            }
            match self.objects.tree_at(*commit, "") {
                Some(tree) => whole &= self.look(*commit, tree, "", 0),
                None => whole = false,
            }
        }
        whole
    }

    fn look(&mut self, commit: Oid, tree: Oid, folder: &str, depth: usize) -> bool {
        if !self.seen.insert(tree) || self.wanted.is_empty() {
            return true;
        }
        let fits = depth <= 256 && self.seen.len() < HISTORY_TREES_MAX;
        let Some(entries) = self.objects.entries(tree).filter(|_| fits) else { return false };
        let mut whole = true;
        for (name, object, kind) in entries {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match kind {
                Some(Kind::File { .. }) => {
                    if self.wanted.remove(&object) {
                        self.found.insert(object, (commit, path));
                    }
                }
                None => whole &= self.look(commit, object, &path, depth + 1),
                Some(Kind::Symlink | Kind::Submodule) => {}
            }
        }
        whole
    }
}
