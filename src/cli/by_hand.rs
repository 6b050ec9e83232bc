//! `--plan FILE`: parts of a plan that are set by hand, read and held against what this program can bring, before anything is asked of
//! anybody. What the parts mean is the core's.

use std::path::Path;

use anyhow::Context;
use countersign_core::plan::Given;
use countersign_worker::toolchain::pins;

/// Reads the parts; none are set where no file is named.
///
/// # Errors
/// Names the file, and what in it cannot be followed.
pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Given> {
    let Some(file) = file else { return Ok(Given::default()) };
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("`{shown}` cannot be read"))?;
    let given: Given = serde_json::from_slice(&bytes).with_context(|| {
        format!("`{shown}` sets no parts of a plan; for example: {{\"node\": \"22.23.3\", \"steps\": [{{\"argv\": [\"npm\", \"run\", \"build\"]}}]}}")
    })?;
    given.check(pins()).map_err(|why| anyhow::anyhow!("`{shown}` cannot be followed: {why}"))?;
    Ok(given)
}
