//! What the service does by itself while it runs: it finishes releases that a crash cut off, and looks now and then for
//! what time brings. What that is, is known to `approval` and `queue`.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{app::App, approval, queue};

/// A lost worker is noticed so long after its lease ended, where no other worker asks for work in between.
const SWEEP: Duration = Duration::from_secs(1);

/// Starts it; it ends when `stop` is cancelled, and the tracker waits for that.
pub fn start_background(app: &App, stop: &CancellationToken) -> TaskTracker {
    let tracker = TaskTracker::new();
    let (app, stop) = (app.clone(), stop.clone());
    tracker.spawn(async move {
        let work = async {
            if let Err(error) = approval::finish_releases(&app).await {
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "releases that were cut off could not be finished"
                );
            }
            loop {
                tokio::time::sleep(SWEEP).await;
                if let Err(error) = queue::sweep(&app).await {
                    tracing::error!(
                        error = format!("{:#}", anyhow::Error::from(error)),
                        "the queue could not be swept"
                    );
                }
            }
        };
        stop.run_until_cancelled(work).await;
    });
    tracker.close();
    tracker
}
