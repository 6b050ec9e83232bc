//! Standard output and standard error as every command uses them: colour only where it is wanted, and a reader who has
//! seen enough is no failure. It knows nothing of what is said.

use std::io::{self, IsTerminal, Write};

/// Whether colour may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colour(bool);

impl Colour {
    /// On a terminal, unless `NO_COLOR` is set (no-color.org) or `TERM` is `dumb`.
    pub(crate) fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(io::stdout().is_terminal() && !refused && !dumb)
    }

    /// The text in this colour (an SGR code such as `1;31`), where colour may be used.
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Whether progress is shown as bars: on a terminal, and not where CI keeps what is written there.
pub(crate) fn has_room_for_bars() -> bool {
    io::stderr().is_terminal() && std::env::var_os("CI").is_none()
}

/// Prints to standard output.
///
/// # Errors
/// Where it cannot be written, but for a reader who closed the pipe: he has seen enough.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints one line to standard error. Where even that is closed there is nobody to tell.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
