//! The page on which a maintainer signs in with name, password and one-time code. What is right is decided by the
//! service.

use askama::Template;

use super::{shell::Shell, symbol::Symbol};

/// The page.
#[derive(Template)]
#[template(path = "sign_in.html", config = "src/ui/askama.toml")]
pub(crate) struct SignInPage {
    shell: Shell,
    name: String,
    /// Where to go afterwards; a path of our own.
    next: String,
    refusal: Option<String>,
}

impl SignInPage {
    /// The page, with what was typed before and why it was refused.
    pub(crate) fn new(name: String, next: String, refusal: Option<String>) -> Self {
        Self { shell: Shell::new("Sign in", None), name, next, refusal }
    }
}
