//! The findings that follow from a rebuild and from a comparison, and the order in which people read them. What they
//! weigh together stands in the module above.

use super::Observations;
use crate::{
    compare::{Comparison, FileComparison, Status},
    finding::{Class, Code, Finding, Kind, Severity},
    history::{AnotherCommit, FileHistory, Seen},
    rebuild::{Ending, Rebuild},
    search::Again,
    source::Source,
};

/// The findings that a rebuild is by itself. `ending` is how it ended in the light of what it packed.
pub(super) fn of_rebuild(rebuild: &Rebuild, ending: &Ending) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ending.finding().into_iter().collect();
    if !rebuild.dependencies_pinned {
        let installed = rebuild.dependencies.len();
        let message = format!(
            "There is no complete lockfile: {installed} {} resolved as of the release's time.",
            if installed == 1 { "dependency was" } else { "dependencies were" }
        );
        findings.push(Finding::new(Code::DependenciesUnpinned, message));
    }
    if rebuild.cutoff_unreliable {
        let message = "The registry's publication times contradict the commit's time, so unlocked dependencies may be \
                       newer than the release.";
        findings.push(Finding::new(Code::CutoffUnreliable, message));
    }
    findings
}

/// The findings of a comparison: one for each path that differs, and what the history says of them. Where two rebuilds differ
/// from one another in a path, what the staged file holds there says nothing, and the build is what has to be mended.
pub(super) fn of_comparison(comparison: &Comparison, seen: &Observations) -> Vec<Finding> {
    let varying = seen.again.as_ref().map(Again::varying).unwrap_or_default();
    let further = seen.again.as_ref().map_or(0, |again| again.further);
    let mut findings: Vec<Finding> = varying.iter().map(|path| varies(path)).collect();
    if further > 0 {
        let message = format!("Two rebuilds differ from one another in {further} further files.");
        findings.push(Finding::new(Code::NotDeterministic, message));
    }
    let history = seen.history.as_ref();
    for file in comparison.unexplained().filter(|file| !varying.contains(&file.path)) {
        findings.extend(file_finding(file));
        let known = history.and_then(|history| history.of(&file.path));
        findings.extend(known.filter(|known| known.seen == Seen::Nowhere).map(in_no_commit));
    }
    let another = history.and_then(|history| history.another.as_ref());
    if let (Some(another), Some(source)) = (another, &seen.source)
        && comparison.unexcused() > 0
    {
        findings.push(from_another(another, source));
    }
    findings
}

fn in_no_commit(file: &FileHistory) -> Finding {
    let message = format!("The bytes of `{}` are in no commit of the repository.", file.path);
    Finding::new(Code::InNoCommit, message).at(file.path.clone())
}

fn from_another(another: &AnotherCommit, source: &Source) -> Finding {
    let message = format!(
        "Every staged file that differs is that of the commit {}, {}.",
        another.commit,
        another.place(&source.tag)
    );
    Finding::new(Code::PublishedFromAnotherCommit, message)
}

fn varies(path: &str) -> Finding {
    let message = format!("Two rebuilds by the same plan differ from one another in `{path}`.");
    Finding::new(Code::NotDeterministic, message).at(path)
}

fn file_finding(file: &FileComparison) -> Option<Finding> {
    let path = &file.path;
    let (code, message) = match file.status {
        Status::Same => return None,
        Status::Added => (
            Code::FileAdded,
            format!("`{path}` is in the staged tarball, and the rebuild does not make it."),
        ),
        Status::Missing => (
            Code::FileMissing,
            format!("`{path}` is made by the rebuild, and the staged tarball lacks it."),
        ),
        Status::Changed => {
            (Code::FileChanged, format!("`{path}` has other contents than the rebuilt file."))
        }
        Status::ModeChanged => (
            Code::ExecutableBitChanged,
            format!(
                "`{path}` {} in the staged tarball, {} in the rebuilt one.",
                may_run(file.staged.as_ref().is_some_and(|r| r.executable)),
                may_run(file.rebuilt.as_ref().is_some_and(|r| r.executable)),
            ),
        ),
    };
    let finding = Finding::new(code, message).at(path.clone());
    Some(match file.cause {
        Some(cause) => finding.with_fix(cause.fix()),
        None => finding,
    })
}

fn may_run(executable: bool) -> &'static str {
    if executable { "may be executed" } else { "may not be executed" }
}

/// Sort key, most dangerous first: what closes the gate before what warns; what explains all the files that differ; code
/// that only the tarball has, changed code, package.json, the rest; then by path.
pub(super) fn danger(finding: &Finding) -> (Severity, u8, u8, String) {
    let undetermined = matches!(finding.code.kind(), Kind::Undetermined);
    let weight = if undetermined { Severity::Fail } else { finding.severity };
    let by_code = match finding.code {
        Code::PublishedFromAnotherCommit | Code::NotDeterministic => 1,
        Code::FileAdded => 2,
        Code::FileChanged => 3,
        Code::ExecutableBitChanged => 4,
        Code::FileMissing => 5,
        other => 6 * u8::from(matches!(other.kind(), Kind::Fail(Class::Differs))),
    };
    let path = finding.path.clone().unwrap_or_default();
    (weight, by_code, kind_of_file(&path), path)
}

fn kind_of_file(path: &str) -> u8 {
    const CODE: [&str; 12] =
        ["js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "node", "wasm", "sh", "gyp"];
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match path {
        "package.json" => 1,
        _ if CODE.contains(&extension) && !path.ends_with(".d.ts") => 0,
        _ => 2,
    }
}
