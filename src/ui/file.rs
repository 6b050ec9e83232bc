//! The page of one file of a comparison: its status, what is known of both sides, and the difference.

use askama::Template;
use countersign_core::{compare::FileComparison, manifest::FileRecord, normalisation::Applied};

use super::{
    address,
    badge::Badge,
    diff::{DiffView, RowKind},
    shell::{Shell, Viewer},
    words,
};

/// One side of the comparison.
pub(crate) struct Side {
    heading: &'static str,
    /// Size, digest and executable bit; none where the file is not on that side.
    known: Option<(String, String, &'static str)>,
}

/// The page.
#[derive(Template)]
#[template(path = "file.html", config = "src/ui/askama.toml")]
pub(crate) struct FilePage {
    shell: Shell,
    spec: String,
    back: String,
    path: String,
    badge: Badge,
    /// Why it likely differs: the word, what speaks for it, what it means and how it is mended.
    cause: Option<[String; 4]>,
    /// What was let differ in it, and by which normalisation.
    let_differ: Option<String>,
    sides: [Side; 2],
    it: DiffView,
}

impl FilePage {
    /// The page of this file, with its difference.
    pub(crate) fn new(
        viewer: Viewer,
        id: &str,
        spec: &str,
        file: &FileComparison,
        applied: Option<&Applied>,
        diff: DiffView,
    ) -> Self {
        Self {
            shell: Shell::new(format!("{} of {spec}", file.path), Some(viewer)),
            spec: spec.to_owned(),
            back: address::stage(id),
            path: file.path.clone(),
            badge: Badge::of_file(file.status),
            cause: file.cause.map(|cause| {
                let because = file.because.clone().unwrap_or_default();
                [cause.as_str().to_owned(), because, cause.meaning().into(), cause.fix().into()]
            }),
            let_differ: applied
                .map(|applied| format!("{} ({})", applied.tokens.join(", "), applied.name)),
            sides: [
                Side::of("Staged", file.staged.as_ref()),
                Side::of("Rebuilt", file.rebuilt.as_ref()),
            ],
            it: diff,
        }
    }
}

impl Side {
    fn of(heading: &'static str, record: Option<&FileRecord>) -> Self {
        let known = record.map(|record| {
            let mode = if record.executable { "executable" } else { "not executable" };
            (words::bytes(record.bytes), record.sha256.to_hex(), mode)
        });
        Self { heading, known }
    }
}
