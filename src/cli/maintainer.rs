//! `countersign maintainer add`: an operator lets somebody approve. The seed of their one-time codes is shown once, here,
//! as a picture for a phone and as a line for everything else.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use anyhow::{Context, ensure};
use countersign_worker::upstream::Secret;
use qrcodegen::{QrCode, QrCodeEcc};

use super::exit;
use crate::{
    app::{App, SystemClock},
    config::{Config, Flags},
    second_factor,
};

/// Arguments of `countersign maintainer`.
#[derive(clap::Args, Debug)]
pub(crate) struct MaintainerArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Add a maintainer and print the seed of their one-time codes, once
    Add {
        /// The name: lower-case letters, digits, `-`, `_` and `.`
        name: String,
        /// Read the password from standard input, its first line
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

/// Runs it.
pub(crate) async fn run(args: &MaintainerArgs, flags: &Flags) -> anyhow::Result<u8> {
    let Command::Add { name, .. } = &args.command;
    let password = Secret::new(&first_line_of_stdin("the password")?);
    let app = App::open(Config::load(flags)?, Arc::new(SystemClock)).await?;
    let added = second_factor::add_maintainer(&app, name, &password).await?;
    app.store.close().await;
    let url = added.otpauth.expose();
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        writeln!(out, "{}", drawn(url)?)?;
    }
    writeln!(
        out,
        "{name} may now sign in. Give this to their authenticator; it is not shown again:"
    )?;
    writeln!(out, "{url}")?;
    Ok(exit::PASS)
}

/// The first line of standard input, without its end.
pub(super) fn first_line_of_stdin(what: &str) -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).with_context(|| format!("{what} cannot be read"))?;
    let line = line.trim_end_matches(['\n', '\r']).to_owned();
    ensure!(!line.is_empty(), "there is nothing on standard input where {what} should be");
    Ok(line)
}

/// A QR code in half blocks, dark on light, with the quiet border that readers need.
fn drawn(text: &str) -> anyhow::Result<String> {
    const BORDER: i32 = 2;
    let code = QrCode::encode_text(text, QrCodeEcc::Low)
        .map_err(|_| anyhow::anyhow!("the line is too long for a QR code"))?;
    let range = -BORDER..code.size() + BORDER;
    let mut picture = String::new();
    for y in range.clone().step_by(2) {
        // Black ink on white paper, whatever the terminal's own colours.
        picture.push_str("\u{1b}[30;107m");
        for x in range.clone() {
            picture.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        picture.push_str("\u{1b}[0m\n");
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_drawn_with_a_border() {
        let picture = drawn("otpauth://totp/Countersign:ada?secret=ABC").unwrap();
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines.len() > 15);
        assert!(lines.iter().all(|line| line.starts_with("\u{1b}[30;107m  ")));
        assert!(picture.contains('█'));
    }
}
