//! What the service does by itself while it runs: it finishes releases that a crash cut off, and looks now and then for
//! what time brings. What that is, is known to `approval` and `queue`.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{app::App, approval, queue};

/// A lost worker is noticed so long after its lease ended, where no other worker asks for work in between.
const SWEEP: Duration = Duration::from_secs(1);

/// An approval whose release failed (a full disk, a database that did not answer) is taken up again after so many sweeps.
const SWEEPS_BETWEEN_RELEASES: u32 = 60;

/// Starts it; it ends when `stop` is cancelled, and the tracker waits for that.
pub fn start_background(app: &App, stop: &CancellationToken) -> TaskTracker {
    let tracker = TaskTracker::new();
    let (app, stop) = (app.clone(), stop.clone());
    tracker.spawn(async move { stop.run_until_cancelled(run(&app)).await });
    tracker.close();
    tracker
}

async fn run(app: &App) {
    loop {
        if let Err(error) = approval::finish_releases(app).await {
            log("releases that were cut off could not be finished", error);
        }
        for _ in 0..SWEEPS_BETWEEN_RELEASES {
            if let Err(error) = queue::sweep(app).await {
                log("the queue could not be swept", error);
            }
            tokio::time::sleep(SWEEP).await;
        }
    }
}

fn log(what: &str, error: impl Into<anyhow::Error>) {
    tracing::error!(error = format!("{:#}", error.into()), "{what}");
}
