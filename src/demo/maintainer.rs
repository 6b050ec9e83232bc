//! The demo's maintainer: a name, a password and an authenticator. Codes are made as an authenticator app makes them
//! (RFC 6238); one that was used is not used again, and the wait for the next is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use countersign_core::limits::CODE_STEP_SECONDS;
use totp_rs::Totp;

/// The maintainer's name.
pub(super) const NAME: &str = "ada";

/// Somebody with a second factor.
pub(super) struct Maintainer {
    /// Their password.
    pub(super) password: String,
    totp: Totp,
    used_step: u64,
}

impl Maintainer {
    /// From what `countersign maintainer add` printed: its `otpauth://` line is what an app scans.
    pub(super) fn from_output(password: String, output: &str) -> anyhow::Result<Self> {
        let url = output
            .lines()
            .find_map(|line| line.trim().find("otpauth://").map(|at| line.trim()[at..].to_owned()))
            .context("`countersign maintainer add` printed no otpauth:// line")?;
        Ok(Self { password, totp: Totp::from_url(&url)?, used_step: 0 })
    }

    /// The code that the authenticator shows now, whether used or not.
    pub(super) fn code(&self) -> anyhow::Result<String> {
        Ok(self.totp.generate(seconds()?).to_string())
    }

    /// Notes that the present code is spent.
    pub(super) fn spent(&mut self) -> anyhow::Result<()> {
        self.used_step = seconds()? / CODE_STEP_SECONDS;
        Ok(())
    }

    /// Seconds until the authenticator shows a code that was not used.
    pub(super) fn wait_seconds(&self) -> anyhow::Result<u64> {
        let now = seconds()?;
        let next = (self.used_step + 1) * CODE_STEP_SECONDS;
        Ok(next.saturating_sub(now))
    }

    /// An unused code, after the wait for it; `tell` is told how long that is.
    pub(super) async fn fresh_code(&self, tell: impl FnOnce(u64)) -> anyhow::Result<String> {
        let wait = self.wait_seconds()?;
        if wait > 0 {
            tell(wait);
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
        self.code()
    }
}

fn seconds() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}
