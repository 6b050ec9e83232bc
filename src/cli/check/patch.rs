//! `countersign check --patch FILE`: the mends of a report, written where the user wants them. What mends what is the core's.

use std::path::Path;

use anyhow::Context;
use countersign_core::{cause::Cause, report::Report};

use crate::cli::render::visible;

/// Writes the changes of all mends into one file, and gives a line for people. Writes nothing where there are none.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(file: &Path, report: &Report) -> anyhow::Result<String> {
    let shown = file.display();
    if report.mends.is_empty() {
        return Ok(format!("patch: nothing mechanical mends this, so {shown} is not written"));
    }
    let patch: String = report.mends.iter().map(|mend| mend.patch.as_str()).collect();
    std::fs::write(file, patch).with_context(|| format!("`{shown}` cannot be written"))?;
    let causes = report.mends.iter().flat_map(|mend| &mend.causes);
    let words: Vec<&str> = causes.copied().map(Cause::as_str).collect();
    Ok(visible(&format!(
        "patch: {shown} mends {}; look at it, then: git apply {shown}, commit, and tag anew",
        words.join(", ")
    )))
}
