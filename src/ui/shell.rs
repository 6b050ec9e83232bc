//! The frame around every page: title, navigation, who is signed in. It knows nothing of what stands inside.

use super::{assets, symbol::Symbol};

/// Who is signed in, as far as a page shows it.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The maintainer's name.
    pub(crate) name: String,
    /// The session's own token, which every form sends back.
    pub(crate) form_token: String,
}

/// The frame of one page.
pub(crate) struct Shell {
    /// The title, without the program's name.
    pub(crate) title: String,
    /// Who is signed in.
    pub(crate) viewer: Option<Viewer>,
    /// Seconds after which a browser without scripts loads the page again.
    pub(crate) refresh_seconds: Option<u32>,
    /// Whether this is the inbox.
    pub(crate) at_inbox: bool,
}

impl Shell {
    /// The frame for this page and viewer.
    pub(crate) fn new(title: impl Into<String>, viewer: Option<Viewer>) -> Self {
        Self { title: title.into(), viewer, refresh_seconds: None, at_inbox: false }
    }

    /// The address of the style sheet.
    pub(crate) fn style(&self) -> String {
        assets::STYLE.href()
    }

    /// The address of the script.
    pub(crate) fn script(&self) -> String {
        assets::SCRIPT.href()
    }

    /// The address of the icon.
    pub(crate) fn icon(&self) -> String {
        assets::ICON.href()
    }

    /// The program's mark.
    pub(crate) fn mark(&self) -> Symbol {
        Symbol::Countersign
    }
}
