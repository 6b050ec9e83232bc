//! A report in a terminal, in the order of the report page: the sentence, what to do, the findings, the way here. Text
//! from a package is made harmless before it is printed. This file knows nothing of where a report comes from.

use std::fmt::Write;

use countersign_core::{
    archive::Tolerance,
    compare::{FileComparison, Tolerated},
    finding::Severity,
    mend::Mend,
    rebuild::RequestOutcome,
    report::{RebuildPart, Report, State},
    search::{Again, Gave},
    verdict::Outcome,
};

use super::terminal::Colour;

/// The report as lines for people.
pub(crate) fn report(report: &Report, colour: Colour) -> String {
    let mut out = String::new();
    let (symbol, word, paint) = headline(report);
    let _ = writeln!(
        out,
        "{} {}",
        colour.paint(paint, &format!("{symbol} {word}")),
        visible(&report.summary)
    );
    let _ = writeln!(out, "\n  {}", visible(&report.next.what));
    if let Some(command) = &report.next.command {
        let _ = writeln!(out, "    {}", visible(command));
    }
    findings(report, colour, &mut out);
    way(report, &mut out);
    requests(report, &mut out);
    out
}

fn headline(report: &Report) -> (&'static str, &'static str, &'static str) {
    match (report.verdict, report.state) {
        (Some(Outcome::Pass), _) => ("✔", "pass", "1;32"),
        (Some(Outcome::Fail), _) => ("✘", "fail", "1;31"),
        (Some(Outcome::Inconclusive), _) => ("?", "could not tell", "1;33"),
        (None, State::Cancelled) => ("–", "cancelled", "1"),
        (None, State::WaitingForTag) => ("…", "waiting for its tag", "1"),
        (None, State::Queued | State::Running | State::Retrying | State::Final) => {
            ("…", "no verdict yet", "1")
        }
    }
}

fn findings(report: &Report, colour: Colour, out: &mut String) {
    const SHOWN_MAX: usize = 50;
    if report.findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nFindings");
    for finding in report.findings.iter().take(SHOWN_MAX) {
        let (word, paint) = match finding.severity {
            Severity::Fail => ("fail", "31"),
            Severity::Warning => ("warning", "33"),
            Severity::Note => ("note", "36"),
        };
        let path =
            finding.path.as_deref().map(|path| format!("  {}", visible(path))).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {} {}{path}",
            colour.paint(paint, &format!("{word:<7}")),
            finding.code
        );
        let _ = writeln!(out, "          {}", visible(&finding.message));
        let file = finding.path.as_deref().and_then(|path| file_at(report, path));
        if let Some((cause, because)) =
            file.and_then(|file| Some((file.cause?, file.because.as_ref()?)))
        {
            let _ = writeln!(out, "          likely {cause}: {}", visible(because));
        }
        if let Some(fix) = &finding.fix {
            let _ = writeln!(out, "          fix: {}", visible(fix));
        }
    }
    if report.findings.len() > SHOWN_MAX {
        let _ =
            writeln!(out, "  … and {} more (--json lists all)", report.findings.len() - SHOWN_MAX);
    }
}

fn file_at<'r>(report: &'r Report, path: &str) -> Option<&'r FileComparison> {
    report.comparison.as_ref()?.files.iter().find(|file| file.path == path)
}

fn way(report: &Report, out: &mut String) {
    let _ = writeln!(out, "\nThe way here");
    let mut line = |label: &str, text: String| {
        let _ = writeln!(out, "  {label:<12} {}", visible(&text));
    };
    if let Some(source) = &report.source {
        let folder = if source.directory.is_root() {
            String::new()
        } else {
            format!(" folder {}", source.directory)
        };
        line("repository", format!("{}{folder} ({})", source.repository, source.trust));
        line("tag", format!("{} = {}", source.tag, source.commit));
        for evidence in source.evidence.iter().filter(|evidence| !evidence.agrees) {
            line("against it", evidence.detail.clone());
        }
    }
    if let Some(plan) = &report.plan {
        let tools: Vec<String> = plan.tools().into_iter().map(ToString::to_string).collect();
        line("plan", format!("{}, {}", tools.join(", "), plan.install.in_words()));
        for step in &plan.build {
            line("", step.argv.join(" "));
        }
        for other in &plan.other_candidates {
            line(
                "candidate",
                format!("{}. {}: {}", other.number, other.plan, gave(other.gave.as_ref())),
            );
        }
        if let Some(again) = &plan.again {
            line("once more", twice(again));
        }
    }
    if let Some(rebuild) = &report.rebuild {
        line("rebuild", rebuilt(rebuild));
    }
    for mend in &report.mends {
        line("mend", mended(mend));
    }
    if let Some(comparison) = &report.comparison {
        let counts = comparison.counts;
        line(
            "comparison",
            format!(
                "{} same, {} changed, {} added, {} missing, {} with another mode{}",
                counts.same,
                counts.changed,
                counts.added,
                counts.missing,
                counts.mode_changed,
                report.level.map(|level| format!(" ({})", word_of(&level))).unwrap_or_default(),
            ),
        );
        for applied in &comparison.normalisations {
            let tokens = applied.tokens.join(", ");
            line("let differ", format!("{} ({}: {tokens})", applied.path, applied.name));
        }
        tolerated(&comparison.tolerances).for_each(|text| line("tolerated", text));
    }
    if let Some(total) = report.timings_ms.total {
        line("time", format!("{}.{} s", total / 1000, total % 1000 / 100));
    }
}

/// How the rebuild went, and what of it was done before.
fn rebuilt(rebuild: &RebuildPart) -> String {
    let memory = rebuild.peak_memory_bytes.map(|b| format!(", {} MiB at most", b / (1024 * 1024)));
    let whole = rebuild.reused.map(|_| ", done before on this machine and used again");
    let install = rebuild.install_reused.map(|_| ", with an install of this machine used again");
    let ending = ending_word(&rebuild.ending);
    format!("{ending}{}{}", memory.unwrap_or_default(), whole.or(install).unwrap_or_default())
}

fn mended(mend: &Mend) -> String {
    let causes: Vec<&str> = mend.causes.iter().map(|cause| cause.as_str()).collect();
    let (causes, count) = (causes.join(", "), mend.paths.len());
    let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    format!("a patch for {causes} ({files}): check --patch FILE writes it")
}

/// What the strict reader let pass, each with the side that had it.
fn tolerated(tolerances: &Tolerated) -> impl Iterator<Item = String> {
    let sides = [("staged", &tolerances.staged), ("rebuilt", &tolerances.rebuilt)];
    sides.into_iter().flat_map(|(side, tolerances)| {
        let text = move |t: &Tolerance| format!("{side}: {} ({})", t.sentence(), t.code());
        tolerances.iter().map(text)
    })
}

/// The kebab-case word of a value that serialises to one; nothing for null.
pub(crate) fn word_of<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn ending_word(ending: &countersign_core::rebuild::Ending) -> String {
    let value = serde_json::to_value(ending).unwrap_or_default();
    value["kind"].as_str().unwrap_or_default().replace('-', " ")
}

/// What another candidate gave.
fn gave(gave: Option<&Gave>) -> String {
    match gave {
        None => "not needed".to_owned(),
        Some(Gave { differing: Some(count), .. }) => format!("{count} files differ"),
        Some(Gave { ending, .. }) => ending_word(ending),
    }
}

/// What the second rebuild by the same plan showed.
fn twice(again: &Again) -> String {
    match &again.varying {
        Some(paths) => match paths.len() + again.further {
            0 => "the same files twice".to_owned(),
            count => format!("{count} files differ between two rebuilds"),
        },
        None => ending_word(&again.ending),
    }
}

fn requests(report: &Report, out: &mut String) {
    let refused: Vec<_> = report
        .rebuild
        .iter()
        .flat_map(|rebuild| &rebuild.network)
        .filter(|request| request.outcome == RequestOutcome::Refused)
        .collect();
    if refused.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nRequests that were refused");
    for request in refused.iter().take(20) {
        let reason = request.reason.as_deref().unwrap_or("");
        let _ = writeln!(
            out,
            "  {} {} {} {}",
            request.phase.as_str(),
            visible(&request.method),
            visible(&request.target),
            visible(reason)
        );
    }
}

/// The text with every character that could draw on the terminal, or reorder what stands there, made visible.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn a_path_cannot_draw_on_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(visible("naïve – ok"), "naïve – ok");
    }
}
