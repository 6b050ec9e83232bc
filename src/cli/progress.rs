//! The progress of a `check`: a line per phase with the time it took. On a terminal the running phase has a spinner with
//! its words; elsewhere each phase is one plain line on standard error. With `--json` nothing is shown.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use countersign_core::rebuild::Phase;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is shown of a running job.
pub(crate) struct Progress {
    shown: Shown,
    running: Mutex<Option<(Phase, Instant)>>,
}

enum Shown {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// A bar on a terminal, lines elsewhere, nothing with `--json`.
    pub(crate) fn for_terminal(json: bool) -> Self {
        let shown = if json {
            Shown::Nothing
        } else if super::terminal::has_room_for_bars() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix:9} {wide_msg} {elapsed}")
                    .expect("a fixed template"),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            Shown::Bar(bar)
        } else {
            Shown::Lines
        };
        Self { shown, running: Mutex::new(None) }
    }

    /// Ends the line of the last phase.
    pub(crate) fn finish(&self) {
        self.end_phase();
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn end_phase(&self) {
        let ended = self.running.lock().expect("no holder of this lock panics").take();
        if let Some((phase, started)) = ended {
            self.line(&format!("  {:9} {:.1} s", phase.as_str(), started.elapsed().as_secs_f64()));
        }
    }

    #[expect(
        clippy::print_stderr,
        reason = "progress goes to standard error, the report to standard output"
    )]
    fn line(&self, text: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines => eprintln!("{text}"),
            Shown::Bar(bar) => bar.println(text),
        }
    }
}

impl countersign_worker::progress::Progress for Progress {
    fn doing(&self, phase: Phase, detail: &str) {
        let same = self
            .running
            .lock()
            .expect("no holder of this lock panics")
            .is_some_and(|(running, _)| running == phase);
        if !same {
            self.end_phase();
            *self.running.lock().expect("no holder of this lock panics") =
                Some((phase, Instant::now()));
        }
        if let Shown::Bar(bar) = &self.shown {
            bar.set_prefix(phase.as_str());
            bar.set_message(super::render::visible(detail));
        }
    }
}
