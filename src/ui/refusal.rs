//! The page that says why there is no other: what happened as a sentence, and what mends it.

use askama::{Template, filters::Safe};

use super::{
    escape::prose,
    shell::{Shell, Viewer},
};

/// The page.
#[derive(Template)]
#[template(path = "refusal.html", config = "src/ui/askama.toml")]
pub(crate) struct RefusalPage {
    shell: Shell,
    sentence: Safe<String>,
    fix: Safe<String>,
}

impl RefusalPage {
    /// The page with this sentence and mending line.
    pub(crate) fn new(viewer: Option<Viewer>, title: &str, sentence: &str, fix: &str) -> Self {
        Self { shell: Shell::new(title, viewer), sentence: prose(sentence), fix: prose(fix) }
    }
}
