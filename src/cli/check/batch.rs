//! `countersign check --batch`: many packages after one another or beside one another, for whoever audits what a registry
//! already holds. Each is a `countersign check` in a process of its own, so that nothing of one reaches another, and what came of it
//! is one line of a table that a later run goes on with. This file decides nothing about a verdict.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, bail};
use countersign_core::{
    finding::Severity,
    report::{PlanPart, Report},
    verdict::{Outcome, Timings},
};
use tokio::{process::Command, task::JoinSet};

use super::{
    CheckArgs,
    table::{self, Line, Results, Row},
};
use crate::cli::{
    exit,
    render::{visible, word_of},
    terminal,
};

/// Arguments that belong to a batch alone.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BatchArgs {
    /// Check every package of a table: tab-parted columns `name`, `version`, `repository`, `tag`, `directory`, `tarball`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "repo", "reference", "directory", "before"])]
    batch: Option<PathBuf>,
    /// Take clones from this folder, as OWNER/NAME or OWNER/NAME.git below it
    #[arg(long, value_name = "DIR", requires = "batch")]
    repos: Option<PathBuf>,
    /// How many packages are checked at one time
    #[arg(long, value_name = "N", requires = "batch", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Only these packages: a name or name@version, `*` stands for any text; may be given again
    #[arg(long, value_name = "PATTERN", requires = "batch")]
    only: Vec<String>,
    /// The table of results, which a later run goes on with [default: the table's name with .results.tsv, in this folder]
    #[arg(long, value_name = "FILE", requires = "batch")]
    results: Option<PathBuf>,
}

impl BatchArgs {
    /// The table, where a batch is asked for.
    pub(super) fn table(&self) -> Option<&Path> {
        self.batch.as_deref()
    }

    fn results(&self, table: &Path) -> PathBuf {
        let stem = table.file_stem().unwrap_or_default().to_string_lossy();
        self.results.clone().unwrap_or_else(|| PathBuf::from(format!("{stem}.results.tsv")))
    }
}

/// Runs the batch. Exit code 0: every package passes; 1: at least one fails; 3: none fails, and at least one could not be told.
pub(super) async fn run(args: &CheckArgs, path: &Path) -> anyhow::Result<u8> {
    let rows = table::read_rows(path)?;
    let chosen: Vec<Row> = rows.into_iter().filter(|row| is_chosen(&args.batch, row)).collect();
    if chosen.is_empty() {
        bail!("no package of `{}` is meant by --only", path.display());
    }
    let place = args.batch.results(path);
    let mut results = table::read_results(&place)?;
    // What could not be told is asked again.
    results.retain(|(_, line)| line.verdict == "pass" || line.verdict == "fail");
    let open: Vec<Row> = chosen
        .iter()
        .filter(|row| !results.iter().any(|(done, _)| done == *row))
        .cloned()
        .collect();
    let known = chosen.len() - open.len();
    if known > 0 {
        terminal::complain(&format!(
            "{known} of {} packages stand in {} already; remove their lines to check them again",
            chosen.len(),
            place.display()
        ));
    }
    rewrite(&place, &results)?;
    check_all(args, open, &place, &mut results).await?;
    let order = |(row, _): &(Row, Line)| chosen.iter().position(|wanted| wanted == row);
    results.sort_by_key(|result| order(result).unwrap_or(usize::MAX));
    rewrite(&place, &results)?;
    let shown: Results = results.into_iter().filter(|(row, _)| chosen.contains(row)).collect();
    terminal::print(&if args.json { as_json(&shown)? } else { summary(&shown, &place) })?;
    Ok(exit_code(&shown))
}

fn is_chosen(args: &BatchArgs, row: &Row) -> bool {
    args.only.is_empty() || args.only.iter().any(|pattern| table::is_meant(pattern, row))
}

/// Checks the open packages, as many at one time as are asked for, and writes each line down as soon as it is known.
async fn check_all(
    args: &CheckArgs,
    open: Vec<Row>,
    place: &Path,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(place)
        .with_context(|| format!("`{}` cannot be written to", place.display()))?;
    let progress = Progress::start(open.len());
    let mut waiting = open.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < usize::from(args.batch.jobs) {
            let Some(row) = waiting.next() else { break };
            progress.begins(&row);
            running.spawn(check_one(row, args.clone()));
        }
        let Some(done) = running.join_next().await else { break };
        let (row, line) = done.context("a check ended without an answer")?;
        file.write_all(table::written(&row, &line).as_bytes())?;
        file.sync_data()?;
        progress.ends(&row, &line);
        results.push((row, line));
    }
    progress.finish();
    Ok(())
}

/// One package in a process of its own. Whatever goes wrong there is a line, too.
async fn check_one(row: Row, args: CheckArgs) -> (Row, Line) {
    let started = Instant::now();
    let mut line = match checked(&row, &args).await {
        Ok(line) => line,
        Err(error) => {
            Line { verdict: "error".to_owned(), message: format!("{error:#}"), ..Line::default() }
        }
    };
    if line.seconds[6].is_empty() {
        line.seconds[6] = format!("{:.1}", started.elapsed().as_secs_f64());
    }
    (row, line)
}

async fn checked(row: &Row, args: &CheckArgs) -> anyhow::Result<Line> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let mut command = Command::new(program);
    let subject = if row.tarball.is_empty() { row.spec() } else { row.tarball.clone() };
    command.args(["check", "--json"]).arg(subject);
    if let Some(file) = &args.flags.config {
        command.arg("--config").arg(file);
    }
    if let Some(repository) = repository(row, args.batch.repos.as_deref())? {
        command.arg("--repo").arg(repository);
    }
    for (flag, value) in [("--ref", &row.tag), ("--directory", &row.directory)] {
        if !value.is_empty() {
            command.args([flag, value]);
        }
    }
    for name in &args.allow {
        command.args(["--allow", name.as_str()]);
    }
    if let Some(file) = &args.plan {
        command.arg("--plan").arg(file);
    }
    if args.reuse {
        command.arg("--reuse");
    }
    if let Some(folder) = &args.keep {
        let tarball = Path::new(&row.tarball).file_stem().unwrap_or_default().to_string_lossy();
        let name = [&row.spec().replace('/', "+"), &*tarball].join(" ");
        command.arg("--keep").arg(folder.join(name.trim_end().replace(' ', "+")));
    }
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("the check could not be started")?;
    match serde_json::from_slice::<Report>(&output.stdout) {
        Ok(report) => Ok(line_of(&report)),
        Err(_) => bail!("{}", said(&output)),
    }
}

/// What a check said that ended without a report.
fn said(output: &std::process::Output) -> String {
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if let Some(message) = answer["error"]["message"].as_str() {
        return message.to_owned();
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().rfind(|line| !line.trim().is_empty());
    last.map_or_else(|| format!("the check ended with {}", output.status), str::to_owned)
}

/// The repository to give to the check: the clone below the folder where one is named, else what the table says.
fn repository(row: &Row, clones: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    if row.repository.is_empty() {
        return Ok(None);
    }
    let Some(folder) = clones else { return Ok(Some(PathBuf::from(&row.repository))) };
    let short = row.repository.trim_end_matches(".git");
    let parts: Vec<&str> = short.rsplit(['/', ':']).take(2).collect();
    let [name, owner] = parts.as_slice() else {
        bail!("`{}` is no OWNER/NAME that could be looked up below --repos", row.repository);
    };
    let forms = [
        format!("{owner}/{name}"),
        format!("{owner}/{name}.git"),
        (*name).to_owned(),
        format!("{name}.git"),
    ];
    let found = forms.iter().map(|form| folder.join(form)).find(|path| path.is_dir());
    let missing = || {
        format!(
            "no clone of {short} lies below `{}`; bring it with: git clone --mirror https://github.com/{short} {}",
            folder.display(),
            folder.join(&forms[1]).display()
        )
    };
    found.map(Some).with_context(missing)
}

fn line_of(report: &Report) -> Line {
    let first = report.findings.first();
    let mut codes: Vec<String> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.severity != Severity::Note) {
        let code = finding.code.to_string();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    Line {
        verdict: report.verdict.map_or("error", Outcome::as_str).to_owned(),
        class: word_of(&report.class),
        level: word_of(&report.level),
        reason: codes.join(","),
        plan: report.plan.as_ref().map(plan_words).unwrap_or_default(),
        seconds: seconds(&report.timings_ms),
        path: first.and_then(|finding| finding.path.clone()).unwrap_or_default(),
        message: report.summary.clone(),
    }
}

fn plan_words(plan: &PlanPart) -> String {
    let mut words = vec![plan.node.to_string(), plan.package_manager.to_string()];
    words.push(plan.install.in_words());
    words.extend(plan.build.iter().map(|step| step.argv.join(" ")));
    words.push(plan.pack.argv.join(" "));
    words.join("; ")
}

fn seconds(timings: &Timings) -> [String; 7] {
    [
        timings.fetch,
        timings.checkout,
        timings.install,
        timings.build,
        timings.pack,
        timings.compare,
        timings.total,
    ]
    .map(|millis| {
        millis
            .map(|millis| format!("{}.{}", millis / 1000, millis % 1000 / 100))
            .unwrap_or_default()
    })
}

/// Writes the whole table anew beside the old one and puts it in its place.
fn rewrite(place: &Path, results: &Results) -> anyhow::Result<()> {
    let lines = results.iter().map(|(row, line)| table::written(row, line));
    let text: String = std::iter::once(table::header()).chain(lines).collect();
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || -> anyhow::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(place)?;
        Ok(())
    };
    write().with_context(|| format!("`{}` cannot be written", place.display()))
}

fn exit_code(results: &Results) -> u8 {
    let any = |verdict: &str| results.iter().any(|(_, line)| line.verdict == verdict);
    if any("fail") {
        exit::FAIL
    } else if results.iter().all(|(_, line)| line.verdict == "pass") {
        exit::PASS
    } else {
        exit::COULD_NOT_TELL
    }
}

/// How many of each verdict, level and reason.
fn counted(results: &Results) -> BTreeMap<&'static str, BTreeMap<String, usize>> {
    let mut counts: BTreeMap<&'static str, BTreeMap<String, usize>> = BTreeMap::new();
    for (_, line) in results {
        let mut count = |what, key: &str| {
            *counts.entry(what).or_default().entry(key.to_owned()).or_default() += 1;
        };
        count("verdict", &line.verdict);
        match line.verdict.as_str() {
            "pass" => count("level", &line.level),
            _ => count("reason", line.reason.split(',').next().unwrap_or_default()),
        }
    }
    counts
}

fn summary(results: &Results, place: &Path) -> String {
    let counts = counted(results);
    let listed = |what: &str| {
        let of = counts.get(what).into_iter().flatten();
        of.map(|(key, count)| {
            format!("{count} {}", if key.is_empty() { "without a code" } else { key })
        })
        .collect::<Vec<_>>()
        .join(", ")
    };
    let mut out = format!("\n{} packages: {}\n", results.len(), listed("verdict"));
    for (what, label) in [("level", "passes"), ("reason", "others")] {
        let words = listed(what);
        if !words.is_empty() {
            out.push_str(&format!("  {label}: {words}\n"));
        }
    }
    out.push_str(&format!("  table:  {}\n", place.display()));
    out
}

fn as_json(results: &Results) -> anyhow::Result<String> {
    let rows: Vec<serde_json::Value> = results
        .iter()
        .map(|(row, line)| {
            serde_json::json!({
                "name": row.name, "version": row.version, "repository": row.repository, "tag": row.tag,
                "directory": row.directory, "tarball": row.tarball, "verdict": line.verdict, "class": line.class, "level": line.level,
                "reason": line.reason, "plan": line.plan, "seconds": line.seconds[6], "path": line.path,
                "message": line.message,
            })
        })
        .collect();
    let whole = serde_json::json!({ "counts": counted(results), "packages": rows });
    Ok(format!("{}\n", serde_json::to_string_pretty(&whole)?))
}

/// A bar on a terminal, a line for each package elsewhere, both on standard error.
struct Progress {
    bar: indicatif::ProgressBar,
    all: usize,
}

impl Progress {
    fn start(all: usize) -> Self {
        let bar = if terminal::has_room_for_bars() {
            indicatif::ProgressBar::new(all as u64)
        } else {
            indicatif::ProgressBar::hidden()
        };
        let template = "{bar:30} {pos}/{len} {elapsed} {wide_msg}";
        bar.set_style(indicatif::ProgressStyle::with_template(template).expect("a fixed template"));
        Self { bar, all }
    }

    fn begins(&self, row: &Row) {
        self.bar.set_message(visible(&row.spec()));
    }

    fn ends(&self, row: &Row, line: &Line) {
        self.bar.inc(1);
        let reason = if line.verdict == "pass" { &line.level } else { &line.reason };
        let told = visible(&format!(
            "  {:<12} {:>6} s  {}  {reason}",
            line.verdict,
            line.seconds[6],
            row.spec()
        ));
        if self.bar.is_hidden() {
            terminal::complain(&told);
        } else {
            self.bar.println(told);
        }
    }

    fn finish(&self) {
        if self.all > 0 {
            self.bar.finish_and_clear();
        }
    }
}
