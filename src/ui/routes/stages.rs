//! The routes that show a stage: the report, one file, the log.

use axum::{
    extract::{Path, Query, State},
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::IntoResponse,
};
use bytes::Bytes;
use countersign_core::finding::{Class, Code, Finding};
use serde::Deserialize;

use super::{contents::differences, found::Found};
use crate::{
    app::App,
    store::attempts,
    ui::{
        answer::{Answer, PageError, html},
        diff::DiffView,
        file::FilePage,
        log::{self, LogPage},
        report::{Extracts, LogTail, ReportPage},
        visitor::Visitor,
    },
};

/// Files whose difference stands on the report itself: the most dangerous ones.
const DIFFS_MAX: usize = 3;
/// Rows of each of those.
const DIFF_ROWS_MAX: usize = 60;
/// Lines of the log that stand on the report of a build that did not run to an end.
const TAIL_LINES: usize = 20;

/// What an address may say of the file list.
#[derive(Deserialize)]
pub(crate) struct Shown {
    files: Option<String>,
}

/// `GET /stages/{id}`
pub(crate) async fn report(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Answer {
    let found = Found::look_up(&app, &visitor, &id).await?;
    let filter = shown.files.and_then(|word| word.parse().ok()).unwrap_or_default();
    let paths = dangerous_paths(&found.report.findings);
    let diffs = differences(&app, &found, paths)
        .await?
        .iter()
        .map(|(path, diff)| DiffView::of(&found.stage.id, path, diff).shortened(DIFF_ROWS_MAX))
        .collect();
    let log_tail = match found.report.class {
        Some(Class::NotRebuilt) => log_of(&app, &found).await?.as_deref().and_then(tail),
        Some(Class::Archive | Class::Source | Class::Differs) | None => None,
    };
    let extracts = Extracts { diffs, log_tail, progress: found.progress.clone(), seen: found.seen };
    let page =
        ReportPage::new(visitor.viewer(), &found.report, &found.stage, extracts, filter, app.now());
    Ok(html(StatusCode::OK, &page))
}

/// The files of the first findings that a difference says more of. Findings come most dangerous first.
fn dangerous_paths(findings: &[Finding]) -> Vec<String> {
    let about_content =
        |code: Code| matches!(code, Code::FileChanged | Code::FileAdded | Code::FileMissing);
    let paths = findings.iter().filter(|finding| about_content(finding.code));
    paths.filter_map(|finding| finding.path.clone()).take(DIFFS_MAX).collect()
}

fn tail(log: &[u8]) -> Option<LogTail> {
    let lines = log::lines(log);
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    let lines: Vec<_> = lines.into_iter().skip(skipped).collect();
    (!lines.is_empty()).then_some(LogTail { lines })
}

/// `GET /stages/{id}/files/{*path}`
pub(crate) async fn file(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, path)): Path<(String, String)>,
) -> Answer {
    let found = Found::look_up(&app, &visitor, &id).await?;
    let comparison = found.report.comparison.as_ref();
    let file = comparison.and_then(|all| all.files.iter().find(|file| file.path == path));
    let Some(file) = file else {
        return Err(PageError::NotFound(format!("file `{path}` in this comparison")));
    };
    let diffs = differences(&app, &found, vec![path.clone()]).await?;
    let (_, diff) = diffs.first().ok_or_else(|| PageError::NotFound(format!("file `{path}`")))?;
    let diff = DiffView::of(&found.stage.id, &path, diff);
    let applied = comparison.and_then(|all| all.normalisations.iter().find(|one| one.path == path));
    let page = FilePage::new(visitor.viewer(), &found.stage.id, &found.spec(), file, applied, diff);
    Ok(html(StatusCode::OK, &page))
}

/// What an address may say of the log.
#[derive(Deserialize)]
pub(crate) struct LogAsked {
    download: Option<String>,
}

/// `GET /stages/{id}/log`
pub(crate) async fn log(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<LogAsked>,
) -> Answer {
    let found = Found::look_up(&app, &visitor, &id).await?;
    let log = log_of(&app, &found).await?;
    let log = log.ok_or_else(|| PageError::NotFound(format!("log of stage `{id}`")))?;
    if asked.download.is_none() {
        let page = LogPage::new(visitor.viewer(), &found.stage.id, &found.spec(), &log);
        return Ok(html(StatusCode::OK, &page));
    }
    let subject = &found.verification.subject;
    // A package's name holds nothing but what may stand in a quoted file name, save the slash of a scope.
    let name = format!("{}-{}.log", subject.name.as_str().replace('/', "-"), subject.version);
    Ok((
        [
            (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        ],
        log,
    )
        .into_response())
}

/// The log of the attempt whose verdict stands, or of the last one that kept any.
async fn log_of(app: &App, found: &Found) -> Result<Option<Bytes>, PageError> {
    let mut digest = found.attempt.as_ref().and_then(|attempt| attempt.log_sha256);
    if found.attempt.is_none() {
        let attempts = attempts::of(&mut app.store.read().await?, found.id).await?;
        digest = attempts.iter().rev().find_map(|attempt| attempt.log_sha256);
    }
    match digest {
        Some(digest) => Ok(Some(app.blobs.log(digest).await?)),
        None => Ok(None),
    }
}
