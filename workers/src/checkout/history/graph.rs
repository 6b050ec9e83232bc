//! The commits of a repository as a graph, walked once from its branches and tags, the newest first. Beyond parents and
//! times nothing is known here of what a commit holds.

use std::{
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    time::Instant,
};

use super::super::{oid::Oid, tree::Objects};

/// How far a walk may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most commits.
    pub(super) commits: usize,
    /// When it has to be over.
    pub(super) until: Instant,
}

/// Commits with their neighbours.
#[derive(Default, Debug)]
pub(super) struct Graph {
    /// The newest first, by the committer's clock.
    pub(super) order: Vec<Oid>,
    /// Whether every commit that the branches and tags reach is in it.
    pub(super) complete: bool,
    parents: HashMap<Oid, Vec<Oid>>,
    children: HashMap<Oid, Vec<Oid>>,
}

impl Graph {
    /// Walks from the tips. A parent that is not there, as in a shallow clone, leaves the graph incomplete.
    pub(super) fn walk(objects: &Objects, tips: &[Oid], bounds: Bounds) -> Self {
        let mut graph = Self { complete: true, ..Self::default() };
        let mut seen: HashSet<Oid> = HashSet::new();
        let mut ahead: BinaryHeap<(i64, Oid)> = BinaryHeap::new();
        let mut begin = |graph: &mut Self, ahead: &mut BinaryHeap<_>, oid: Oid| {
            if !seen.insert(oid) {
                return;
            }
            match objects.parents(oid) {
                Some((seconds, parents)) => {
                    ahead.push((seconds, oid));
                    graph.parents.insert(oid, parents);
                }
                None => graph.complete = false,
            }
        };
        for tip in tips {
            begin(&mut graph, &mut ahead, *tip);
        }
        while let Some((_, oid)) = ahead.pop() {
            if graph.order.len() >= bounds.commits || Instant::now() >= bounds.until {
                graph.complete = false;
                break;
            }
            graph.order.push(oid);
            for parent in graph.parents.get(&oid).cloned().unwrap_or_default() {
                graph.children.entry(parent).or_default().push(oid);
                begin(&mut graph, &mut ahead, parent);
            }
        }
        graph
    }

    /// The commits by their distance from one of them, itself first; of the same distance, later ones before earlier ones.
    pub(super) fn around(&self, from: Oid) -> impl Iterator<Item = Oid> {
        let mut seen = HashSet::from([from]);
        let mut ahead = VecDeque::from([from]);
        std::iter::from_fn(move || {
            let next = ahead.pop_front()?;
            let later = self.children.get(&next).into_iter().flatten();
            let earlier = self.parents.get(&next).into_iter().flatten();
            for neighbour in later.chain(earlier).copied() {
                if self.parents.contains_key(&neighbour) && seen.insert(neighbour) {
                    ahead.push_back(neighbour);
                }
            }
            Some(next)
        })
    }

    /// How many commits lead to one and not to another, as `git rev-list --count other..one` counts them.
    pub(super) fn beyond(&self, one: Oid, other: Oid) -> usize {
        let known = self.reached_from(other);
        self.reached_from(one).difference(&known).count()
    }

    fn reached_from(&self, tip: Oid) -> HashSet<Oid> {
        let mut seen = HashSet::from([tip]);
        let mut ahead = vec![tip];
        while let Some(next) = ahead.pop() {
            let parents = self.parents.get(&next).into_iter().flatten().copied();
            ahead.extend(parents.filter(|parent| seen.insert(*parent)));
        }
        seen
    }
}
