//! The search among the candidate plans, as values: what each one gave, and what the second rebuild of the nearest one
//! was. How a rebuild is done is not known here, nor what follows from it.

use serde::{Deserialize, Serialize};

use crate::{
    compare::{Comparison, Level},
    limits::VARYING_PATHS_MAX,
    plan::Plan,
    rebuild::Ending,
};

/// What one candidate gave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gave {
    /// How its rebuild ended.
    pub ending: Ending,
    /// How equal its tarball is to the staged one; none where nothing was packed.
    pub level: Option<Level>,
    /// In how many files they differ.
    pub differing: Option<usize>,
}

impl Gave {
    /// What an ending and, where something was packed, its comparison come to.
    pub fn of(ending: &Ending, comparison: Option<&Comparison>) -> Self {
        Self {
            ending: ending.clone(),
            level: comparison.map(|comparison| comparison.level),
            differing: comparison.map(|comparison| comparison.counts.differing()),
        }
    }
}

/// A candidate that is not the one that was judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// Its place in the list that was fixed beforehand, from 1.
    pub number: u32,
    /// The plan.
    pub plan: Plan,
    /// What it gave; none where it was not tried: an earlier one matched, or had shown what it would give.
    pub gave: Option<Gave>,
}

/// The nearest candidate's plan, run once more because none gave the staged files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Again {
    /// How the second rebuild ended.
    pub ending: Ending,
    /// The paths in which its tarball differs from the first one's, at most [`VARYING_PATHS_MAX`]; none where it
    /// packed none. An empty list says that the build gave the same twice.
    pub varying: Option<Vec<String>>,
    /// How many further paths vary.
    #[serde(default)]
    pub further: usize,
}

impl Again {
    /// From the comparison of the two rebuilds, where both packed.
    pub fn of(ending: Ending, between: Option<&Comparison>) -> Self {
        let mut varying: Option<Vec<String>> =
            between.map(|between| between.differing().map(|file| file.path.clone()).collect());
        let all = varying.as_ref().map_or(0, Vec::len);
        if let Some(paths) = &mut varying {
            paths.truncate(VARYING_PATHS_MAX);
        }
        Self { ending, varying, further: all.saturating_sub(VARYING_PATHS_MAX) }
    }

    /// Every path that is listed as varying.
    pub fn varying(&self) -> &[String] {
        self.varying.as_deref().unwrap_or_default()
    }
}
