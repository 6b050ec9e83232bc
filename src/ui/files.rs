//! Every file of a comparison with its status, by folder, with filters. It reads a comparison; what a file holds is
//! `diff.rs`.

use std::{collections::BTreeMap, str::FromStr};

use countersign_core::{
    compare::{Counts, FileComparison, Status},
    manifest::FileRecord,
    report::ComparisonPart,
};

use super::{address, badge::Badge, words};

/// Rows that one page shows. A page of this many is some 700 kB; of more, the filters lead to those that differ.
const ROWS_MAX: usize = 2_000;
/// Where nothing differs, folders are open up to this many files in all. Where something does, only its folders are.
const OPEN_FILES_MAX: usize = 40;

/// Which files are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Filter {
    /// All.
    #[default]
    All,
    /// All that are not the same.
    Differing,
    /// Those of one status.
    Only(Status),
}

impl Filter {
    const EVERY: [Self; 7] = [
        Self::All,
        Self::Differing,
        Self::Only(Status::Changed),
        Self::Only(Status::Added),
        Self::Only(Status::Missing),
        Self::Only(Status::ModeChanged),
        Self::Only(Status::Same),
    ];

    /// The word in the address.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Differing => "differing",
            Self::Only(Status::Changed) => "changed",
            Self::Only(Status::Added) => "added",
            Self::Only(Status::Missing) => "missing",
            Self::Only(Status::ModeChanged) => "mode-changed",
            Self::Only(Status::Same) => "same",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Only(Status::ModeChanged) => "mode changed",
            Self::All | Self::Differing | Self::Only(_) => self.as_str(),
        }
    }

    fn shows(self, status: Status) -> bool {
        match self {
            Self::All => true,
            Self::Differing => status != Status::Same,
            Self::Only(one) => status == one,
        }
    }

    fn count(self, counts: &Counts) -> usize {
        let differing = counts.added + counts.missing + counts.changed + counts.mode_changed;
        match self {
            Self::All => differing + counts.same,
            Self::Differing => differing,
            Self::Only(Status::Changed) => counts.changed,
            Self::Only(Status::Added) => counts.added,
            Self::Only(Status::Missing) => counts.missing,
            Self::Only(Status::ModeChanged) => counts.mode_changed,
            Self::Only(Status::Same) => counts.same,
        }
    }
}

impl FromStr for Filter {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::EVERY.into_iter().find(|filter| filter.as_str() == text).ok_or(())
    }
}

/// One filter as a link.
pub(crate) struct FilterLink {
    /// The word in the address.
    pub(crate) word: &'static str,
    /// The word on the page.
    pub(crate) label: &'static str,
    /// How many files it shows.
    pub(crate) count: String,
    /// Whether it is the one in force.
    pub(crate) current: bool,
}

/// One file.
pub(crate) struct FileRow {
    /// The path inside its folder.
    pub(crate) name: String,
    /// The whole path.
    pub(crate) path: String,
    /// The page that shows it.
    pub(crate) href: String,
    /// Its status.
    pub(crate) badge: Badge,
    /// The status's word in the address, by which the script filters.
    pub(crate) word: &'static str,
    /// The staged file's size, or that of the rebuilt one where it is missing.
    pub(crate) size: String,
    /// The start of its SHA-256.
    pub(crate) digest: String,
    /// The word of its likely cause, and the sentence that goes with it.
    pub(crate) cause: Option<(&'static str, String)>,
}

/// The files of one folder.
pub(crate) struct Folder {
    /// The folder's path; empty for the package's own.
    pub(crate) path: String,
    /// `12 files, 1 changed`.
    pub(crate) words: String,
    /// Whether a file in it is not the same.
    pub(crate) differs: bool,
    /// Whether it is shown open.
    pub(crate) open: bool,
    /// Its files.
    pub(crate) rows: Vec<FileRow>,
}

/// The section.
pub(crate) struct Files {
    /// The filters that have files.
    pub(crate) filters: Vec<FilterLink>,
    /// The folders.
    pub(crate) folders: Vec<Folder>,
    /// How many files there are in all.
    pub(crate) total: String,
    /// How many files the filter admits beyond those shown.
    pub(crate) left_out: usize,
    /// Whether every file is on the page, so that the script may filter without asking the service.
    pub(crate) complete: bool,
}

impl Files {
    /// The files of this comparison that the filter admits.
    pub(crate) fn of(id: &str, comparison: &ComparisonPart, filter: Filter) -> Self {
        let admitted: Vec<&FileComparison> =
            comparison.files.iter().filter(|file| filter.shows(file.status)).collect();
        let mut folders: BTreeMap<&str, Vec<&FileComparison>> = BTreeMap::new();
        for file in admitted.iter().take(ROWS_MAX) {
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            folders.entry(folder).or_default().push(file);
        }
        let nothing_differs = admitted.iter().all(|file| file.status == Status::Same);
        let open_same = nothing_differs && admitted.len() <= OPEN_FILES_MAX;
        let filters = Filter::EVERY
            .into_iter()
            .filter(|one| *one == filter || one.count(&comparison.counts) > 0)
            .map(|one| FilterLink {
                word: one.as_str(),
                label: one.label(),
                count: words::grouped(one.count(&comparison.counts) as u64),
                current: one == filter,
            })
            .collect();
        Self {
            filters,
            folders: in_order(
                folders
                    .into_iter()
                    .map(|(path, files)| Folder::of(id, path, &files, open_same))
                    .collect(),
            ),
            total: words::counted(Filter::All.count(&comparison.counts) as u64, "file", "files"),
            left_out: admitted.len().saturating_sub(ROWS_MAX),
            complete: admitted.len() == comparison.files.len() && admitted.len() <= ROWS_MAX,
        }
    }
}

/// Folders in which something differs stand first; otherwise by path.
fn in_order(mut folders: Vec<Folder>) -> Vec<Folder> {
    folders.sort_by_key(|folder| !folder.differs);
    folders
}

impl Folder {
    fn of(id: &str, path: &str, files: &[&FileComparison], open_same: bool) -> Self {
        let mut parts = vec![words::counted(files.len() as u64, "file", "files")];
        let mut differs = false;
        for status in [Status::Changed, Status::Added, Status::Missing, Status::ModeChanged] {
            let count = files.iter().filter(|file| file.status == status).count();
            if count > 0 {
                differs = true;
                parts.push(format!("{count} {}", Filter::Only(status).label()));
            }
        }
        if !differs {
            parts.push(if files.len() == 1 { "the same" } else { "all the same" }.to_owned());
        }
        Self {
            path: path.to_owned(),
            words: parts.join(", "),
            differs,
            open: differs || open_same,
            rows: files.iter().map(|file| FileRow::of(id, file)).collect(),
        }
    }
}

impl FileRow {
    fn of(id: &str, file: &FileComparison) -> Self {
        let shown: Option<&FileRecord> = file.staged.as_ref().or(file.rebuilt.as_ref());
        Self {
            name: file.path.rsplit('/').next().unwrap_or(&file.path).to_owned(),
            path: file.path.clone(),
            href: address::file(id, &file.path),
            badge: Badge::of_file(file.status),
            word: Filter::Only(file.status).as_str(),
            size: shown.map_or_else(String::new, |record| words::bytes(record.bytes)),
            digest: shown.map_or_else(String::new, |record| {
                words::short(&record.sha256.to_hex()).to_owned()
            }),
            cause: file.cause.map(|cause| {
                let because = file.because.as_deref().unwrap_or_default();
                (cause.as_str(), format!("{because} {}", cause.meaning()))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples;

    #[test]
    fn a_file_that_differs_says_why_and_one_that_does_not_says_nothing() {
        let report = samples::tampered();
        let all = Files::of("id", report.comparison.as_ref().unwrap(), Filter::All);
        for row in all.folders.iter().flat_map(|folder| &folder.rows) {
            let cause = row.cause.as_ref();
            assert_eq!(cause.is_some(), row.word != "same", "{}", row.path);
            let told = cause.is_none_or(|(word, why)| {
                *word == "stale-build" && why.starts_with("It says `1.3.0`. ")
            });
            assert!(told, "{cause:?}");
        }
    }

    #[test]
    fn a_filter_shows_its_files_and_counts_all() {
        let report = samples::tampered();
        let comparison = report.comparison.as_ref().unwrap();
        let changed = Files::of("id", comparison, "changed".parse().unwrap());
        let paths: Vec<&str> = changed
            .folders
            .iter()
            .flat_map(|folder| &folder.rows)
            .map(|row| row.path.as_str())
            .collect();
        assert_eq!(paths, ["dist/index.js"]);
        assert!(!changed.complete);
        let all = Files::of("id", comparison, Filter::All);
        assert!(all.complete);
        let shown: usize = all.folders.iter().map(|folder| folder.rows.len()).sum();
        assert_eq!(shown, comparison.files.len());
        assert!("everything".parse::<Filter>().is_err());
    }

    #[test]
    fn a_large_package_shows_what_differs_open_and_says_what_it_leaves_out() {
        let mut report = samples::tampered();
        let comparison = report.comparison.as_mut().unwrap();
        let same = comparison.files.iter().find(|f| f.status == Status::Same).unwrap().clone();
        for index in 0..3_000 {
            let mut file = same.clone();
            file.path = format!("zz/file-{index:05}.js");
            comparison.files.push(file);
            comparison.counts.same += 1;
        }
        let files = Files::of("id", report.comparison.as_ref().unwrap(), Filter::All);
        assert!(files.left_out > 1_000 && !files.complete);
        for folder in &files.folders {
            let differs = folder.rows.iter().any(|row| row.word != "same");
            assert_eq!(folder.open, differs, "{}", folder.path);
        }
    }
}
