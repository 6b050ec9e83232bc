//! `countersign wait`: for CI. It follows one verification of a service until its state is final, tells what changes,
//! and exits as the verdict says. It speaks only the verify API and decides nothing.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use countersign_core::{Sha512, report::Report};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::{exit, render, terminal::Colour};

/// How long one request is held by the service.
const HOLD_SECONDS: u64 = 50;
/// A service that does not answer is asked again after so long.
const RETRY: Duration = Duration::from_secs(2);
/// Unanswered requests in a row before the wait is given up.
const UNANSWERED_MAX: u32 = 15;

/// Arguments of `countersign wait`.
#[derive(clap::Args, Debug)]
pub(crate) struct WaitArgs {
    /// A verification's or stage's id, or `name@version`
    subject: String,
    /// The service
    #[arg(long, env = "COUNTERSIGN_SERVER", value_name = "URL")]
    server: String,
    /// A token that may read
    #[arg(long, env = "COUNTERSIGN_TOKEN", hide_env_values = true)]
    token: String,
    /// Which one, where several stages of one name@version are live
    #[arg(long, value_name = "HEX")]
    sha512: Option<Sha512>,
    /// Give up after so many seconds, with exit code 4
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
    /// Print the report as JSON and nothing else
    #[arg(long)]
    json: bool,
}

/// Waits. Exit code 0: pass; 1: fail; 2: usage; 3: we could not tell; 4: timed out.
pub(crate) async fn run(args: &WaitArgs) -> anyhow::Result<u8> {
    let waiter = Waiter::new(args)?;
    let id = waiter.find_id().await?;
    let (mut told, mut unanswered) = (String::new(), 0);
    while let Some(left) = waiter.left() {
        let hold = left.as_secs().clamp(1, HOLD_SECONDS);
        match waiter.get(&format!("/v1/verifications/{id}?wait={hold}")).await {
            Ok(body) => {
                unanswered = 0;
                let report: Report =
                    serde_json::from_value(body).context("the service's answer is no report")?;
                if report.state.is_final() {
                    return waiter.finish(&report);
                }
                if report.summary != told {
                    waiter.tell(&report.summary);
                    told = report.summary;
                }
            }
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Unanswered(error)) => {
                unanswered += 1;
                if unanswered >= UNANSWERED_MAX {
                    return Err(error.context("the service does not answer"));
                }
                tokio::time::sleep(RETRY.min(left)).await;
            }
        }
    }
    waiter.tell(&format!("there was no verdict within {} s", args.timeout));
    Ok(exit::TIMED_OUT)
}

/// Why a request brought nothing.
enum Trouble {
    /// Asking again may help.
    Unanswered(anyhow::Error),
    /// It will not.
    Final(anyhow::Error),
}

struct Waiter<'a> {
    args: &'a WaitArgs,
    client: Client,
    server: String,
    ends: Instant,
}

impl<'a> Waiter<'a> {
    fn new(args: &'a WaitArgs) -> anyhow::Result<Self> {
        let client = countersign_worker::http::ClientConfig::from_environment().client()?;
        let ends = Instant::now() + Duration::from_secs(args.timeout);
        Ok(Self { args, client, server: args.server.trim_end_matches('/').to_owned(), ends })
    }

    fn left(&self) -> Option<Duration> {
        self.ends.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// The id that the subject names.
    async fn find_id(&self) -> anyhow::Result<String> {
        let subject = &self.args.subject;
        if uuid::Uuid::try_parse(subject).is_ok() {
            return Ok(subject.clone());
        }
        let Some((name, version)) = subject.rsplit_once('@').filter(|(name, _)| !name.is_empty())
        else {
            bail!("`{subject}` is neither an id nor name@version");
        };
        let path = format!("/v1/packages/{}/versions/{version}", name.replace('/', "%2f"));
        let body = match self.get(&path).await {
            Ok(body) => body,
            Err(Trouble::Final(error) | Trouble::Unanswered(error)) => return Err(error),
        };
        let wanted = self.args.sha512.map(|digest| digest.to_hex());
        let found: Vec<&Value> = body["verifications"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| {
                wanted.as_deref().is_none_or(|digest| one["artifact"]["sha512"] == digest)
            })
            .collect();
        match found.as_slice() {
            [] => bail!("the service knows no verification of `{subject}`"),
            [one] => Ok(one["id"].as_str().context("a verification has an id")?.to_owned()),
            several => bail!(
                "{} verifications of `{subject}` are live: name one with --sha512 or its id",
                several.len()
            ),
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Trouble> {
        let url = format!("{}{path}", self.server);
        let request = self
            .client
            .get(&url)
            .bearer_auth(&self.args.token)
            .timeout(Duration::from_secs(HOLD_SECONDS + 20));
        let answer = request.send().await.map_err(|error| Trouble::Unanswered(error.into()))?;
        let status = answer.status();
        let body: Result<Value, _> = answer.json().await;
        match (status, body) {
            (status, Ok(body)) if status.is_success() => Ok(body),
            (status, body) => {
                let body = body.unwrap_or(Value::Null);
                let said = body["error"].as_str().unwrap_or("without a reason");
                let error = anyhow::anyhow!("the service answered {status}: {said}");
                let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                Err(if passing { Trouble::Unanswered(error) } else { Trouble::Final(error) })
            }
        }
    }

    fn finish(&self, report: &Report) -> anyhow::Result<u8> {
        let text = if self.args.json {
            format!("{}\n", serde_json::to_string_pretty(report)?)
        } else {
            render::report(report, Colour::for_stdout())
        };
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(exit::of_verdict(report.verdict))
    }

    #[expect(
        clippy::print_stderr,
        reason = "progress goes to standard error, the report to standard output"
    )]
    fn tell(&self, text: &str) {
        if !self.args.json {
            eprintln!("  {}", render::visible(text));
        }
    }
}
