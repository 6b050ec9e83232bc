//! `countersign token`: tokens for machines. A token's secret is shown once, alone on the last line, so that a script can
//! take it.

use std::{io::Write, sync::Arc};

use countersign_core::{PackageName, Timestamp};
use uuid::Uuid;

use super::exit;
use crate::{
    app::{App, SystemClock},
    config::{Config, Flags},
    store::tokens::{self as stored, Packages, Scope, Token},
    tokens::{self, NewToken},
};

/// The longest life of a token, in days.
const EXPIRES_DAYS_MAX: i64 = 3650;

/// Arguments of `countersign token`.
#[derive(clap::Args, Debug)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Make a token; its secret stands alone on the last line
    Create {
        /// What it may do: verify, read, stage, worker, admin; several with commas. No scope can approve.
        #[arg(long = "scope", required = true, value_delimiter = ',', value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// A package that it is for; may be repeated. Without it: every package.
        #[arg(long = "package", value_name = "NAME")]
        packages: Vec<PackageName>,
        /// When it ends: 30d, 12h
        #[arg(long, default_value = "30d", value_parser = seconds, value_name = "TIME")]
        expires: i64,
    },
    /// List the tokens, without their secrets
    List,
    /// End a token now
    Revoke {
        /// Its id, as listed
        id: Uuid,
    },
}

/// `30d` or `12h` in seconds.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!("`{text}` is no time of at most {EXPIRES_DAYS_MAX} days; write it as 30d or 12h")
    };
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(number), _) => (number, 24 * 3600),
        (None, Some(number)) => (number, 3600),
        (None, None) => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).filter(|s| *s > 0 && *s <= EXPIRES_DAYS_MAX * 24 * 3600);
    seconds.ok_or_else(wrong)
}

/// Runs it.
pub(crate) async fn run(args: &TokenArgs, flags: &Flags) -> anyhow::Result<u8> {
    let app = App::open(Config::load(flags)?, Arc::new(SystemClock)).await?;
    let code = match &args.command {
        Command::Create { scopes, packages, expires } => {
            create(&app, scopes, packages, *expires).await?
        }
        Command::List => list(&app).await?,
        Command::Revoke { id } => revoke(&app, *id).await?,
    };
    app.store.close().await;
    Ok(code)
}

async fn create(
    app: &App,
    scopes: &[Scope],
    packages: &[PackageName],
    expires: i64,
) -> anyhow::Result<u8> {
    let packages = if packages.is_empty() {
        Packages::Every
    } else {
        let mut listed = packages.to_vec();
        listed.sort();
        listed.dedup();
        Packages::Only(listed)
    };
    let new = NewToken {
        scopes: scopes.to_vec(),
        packages,
        expires_at: app.now().plus_seconds(expires),
        created_by: "operator".to_owned(),
    };
    let (secret, token) = tokens::create(app, new).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", described(&token, app.now()))?;
    writeln!(out, "It is not shown again:")?;
    writeln!(out, "{}", secret.expose())?;
    Ok(exit::PASS)
}

async fn list(app: &App) -> anyhow::Result<u8> {
    let tokens = stored::all(&mut app.store.read().await?).await?;
    let mut out = std::io::stdout().lock();
    if tokens.is_empty() {
        writeln!(out, "There are no tokens.")?;
    }
    for token in &tokens {
        writeln!(out, "{}", described(token, app.now()))?;
    }
    Ok(exit::PASS)
}

async fn revoke(app: &App, id: Uuid) -> anyhow::Result<u8> {
    let revoked = tokens::revoke(app, id, "operator").await?;
    let mut out = std::io::stdout().lock();
    if revoked {
        writeln!(out, "The token {id} is ended.")?;
        Ok(exit::PASS)
    } else {
        writeln!(out, "There is no token {id} that lives.")?;
        Ok(exit::FAIL)
    }
}

fn described(token: &Token, now: Timestamp) -> String {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let packages = match &token.packages {
        Packages::Every => "every package".to_owned(),
        Packages::Only(listed) => {
            listed.iter().map(PackageName::as_str).collect::<Vec<_>>().join(", ")
        }
    };
    let end = match token.revoked_at {
        Some(at) => format!("revoked {at}"),
        None if token.expires_at <= now => format!("expired {}", token.expires_at),
        None => format!("until {}", token.expires_at),
    };
    format!("{}  {}  for {packages}  {end}", token.id, scopes.join(","))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_life_is_written_in_days_or_hours() {
        assert_eq!(seconds("30d"), Ok(30 * 24 * 3600));
        assert_eq!(seconds("12h"), Ok(12 * 3600));
        for wrong in ["", "30", "d", "-1d", "0h", "3651d", "9999999999999999999d", "1w"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
