//! What the end of the steps means for the package, from what the sandbox and the mirror saw. Pure.

use countersign_core::{
    PackageName,
    rebuild::{Ending, NetworkRequest, Phase, Refused, RequestOutcome},
};

use super::steps::{FailedStep, Ran};
use crate::{mirror::Record, sandbox::StepEnding};

/// How the rebuild ended.
///
/// A step that failed after something was refused to it has failed for want of it, as far as one can see. What it packed
/// all the same is compared, and equal files show that it could do without. Not so where it asked for the very tarball
/// under verification: a build that asks for the answer and does not end well without it needs it, by its own word.
pub(super) fn of(ran: &Ran, record: &Record, subject: &PackageName) -> Ending {
    if let Some(detail) = &ran.unfit {
        return super::unfit(detail.clone());
    }
    let packed = ran.tarball.is_some();
    let Some(failed) = &ran.failed else {
        return if packed { Ending::Packed } else { nothing_packed() };
    };
    let code = match failed.ending {
        StepEnding::Exited(code) => code,
        StepEnding::Signalled(signal) => 128 + signal,
        other => return of_bound(other, failed.phase, ran),
    };
    let refused = refused_in(record, failed.phase);
    match refused.first() {
        Some(first) if !packed || refused.iter().any(|request| asks_for(request, subject)) => {
            return Ending::NeedsNetwork {
                phase: failed.phase,
                asked: asked(first),
                missing: false,
            };
        }
        first if packed => {
            let refused = first.map(|first| Refused { phase: failed.phase, asked: asked(first) });
            let step = failed.command.clone();
            return Ending::PackedAfterError { step, exit_code: code, refused };
        }
        Some(_) | None => {}
    }
    if failed.phase == Phase::Install {
        if let Some(detail) = lockfile_trouble(&failed.said) {
            return Ending::LockfileUnusable { detail };
        }
        if let Some(asked) = not_there(&failed.said, record) {
            return Ending::NeedsNetwork { phase: failed.phase, asked, missing: true };
        }
    }
    Ending::Failed { phase: failed.phase, step: failed.command.clone(), exit_code: code }
}

fn nothing_packed() -> Ending {
    Ending::Failed { phase: Phase::Pack, step: "npm pack".to_owned(), exit_code: 0 }
}

fn of_bound(ending: StepEnding, phase: Phase, ran: &Ran) -> Ending {
    let limits = &ran.limits;
    match ending {
        StepEnding::TimedOut => Ending::TimedOut { phase, seconds: limits.wall.as_secs() },
        StepEnding::Silent => Ending::Silent { phase, seconds: limits.silence.as_secs() },
        StepEnding::OutOfMemory => Ending::OutOfMemory { phase, bytes: limits.memory_bytes },
        StepEnding::OutOfDisk => Ending::OutOfDisk { phase, bytes: limits.disk_bytes },
        StepEnding::TooManyProcesses => {
            Ending::TooManyProcesses { phase, processes: limits.processes }
        }
        StepEnding::OutputTooLarge => Ending::OutputTooLarge { phase, bytes: limits.output_bytes },
        StepEnding::Exited(code) => failed(ran.failed.as_ref(), phase, code),
        StepEnding::Signalled(signal) => failed(ran.failed.as_ref(), phase, 128 + signal),
        // The steps made our own failures of these before they came here.
        StepEnding::MachineOutOfMemory | StepEnding::MachineOutOfDisk | StepEnding::Cancelled => {
            failed(ran.failed.as_ref(), phase, 1)
        }
    }
}

fn failed(step: Option<&FailedStep>, phase: Phase, exit_code: i32) -> Ending {
    let step = step.map_or_else(String::new, |step| step.command.clone());
    Ending::Failed { phase, step, exit_code }
}

/// What was refused in that phase.
fn refused_in(record: &Record, phase: Phase) -> Vec<&NetworkRequest> {
    let refused = |request: &&NetworkRequest| {
        request.phase == phase
            && request.outcome == RequestOutcome::Refused
            && !is_courtesy(request)
    };
    record.requests.iter().filter(refused).collect()
}

fn asked(request: &NetworkRequest) -> String {
    match request.method.as_str() {
        "DNS" => request.target.clone(),
        method => format!("{method} {}", request.target),
    }
}

/// Whether a request is for a tarball of that package, as registries lay them out, below whatever path the mirror takes.
fn asks_for(request: &NetworkRequest, subject: &PackageName) -> bool {
    let target = request.target.replace("%2f", "/").replace("%2F", "/");
    let above = target
        .split_once(&format!("/{subject}/-/"))
        .or_else(|| target.split_once(&format!("/download/{subject}/")))
        .map(|(above, _)| above.rsplit('/').next().unwrap_or_default());
    // A name without a scope may be another one's last part.
    above.is_some_and(|above| subject.scope().is_some() || !above.starts_with('@'))
}

/// What a package manager looked for and the registry does not have, where it says that this is why it gave up: a package
/// or version that was unpublished, that is younger than the cut-off, or that never was. Words of npm 6 to 12, pnpm 8 to
/// 12, yarn 1 to 4 and bun 1.
fn not_there(said: &str, record: &Record) -> Option<String> {
    const NO_VERSION: [&str; 4] = [
        "No matching version found for ",
        "Couldn't find any versions for ",
        "No version matching ",
        "No candidates found",
    ];
    let line = said.lines().find(|line| NO_VERSION.iter().any(|sign| line.contains(sign)));
    if let Some(line) = line {
        let told = line.split_once(NO_VERSION[0]).map_or(line, |(_, what)| what);
        return Some(told.trim().trim_end_matches('.').to_owned());
    }
    let missing = |one: &&NetworkRequest| one.outcome == RequestOutcome::NotFound;
    record.requests.iter().find(missing).filter(|_| said.contains("404")).map(asked)
}

/// What a package manager asks for in passing and does without: an audit.
fn is_courtesy(request: &NetworkRequest) -> bool {
    request.target.starts_with("/-/npm/v1/security/")
}

/// What `npm ci` says about a lockfile that it cannot use (npm 6 to 12, `lib/commands/ci.js`).
fn lockfile_trouble(said: &str) -> Option<String> {
    const SIGNS: [&str; 4] = [
        "can only install packages when your package.json and package-lock.json",
        "can only install with an existing package-lock.json",
        "cipm can only install packages when your package.json and package-lock.json",
        "package.json and package-lock.json or npm-shrinkwrap.json are in sync",
    ];
    let line = said.lines().find(|line| SIGNS.iter().any(|sign| line.contains(sign)))?;
    let told = line.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let told = told
        .trim_start_matches("npm")
        .trim_start()
        .trim_start_matches("ERR!")
        .trim_start_matches("error")
        .trim();
    Some(format!("npm cannot use the lockfile: {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;

    fn of(ran: &Ran, record: &Record) -> Ending {
        super::of(ran, record, &"@s/pad".parse().unwrap())
    }

    fn ran(failed: Option<(Phase, StepEnding, &str)>, packed: bool) -> Ran {
        Ran {
            failed: failed.map(|(phase, ending, said)| FailedStep {
                phase,
                command: "npm run prepack".to_owned(),
                ending,
                said: said.to_owned(),
            }),
            unfit: None,
            tarball: packed.then(Vec::new),
            put_back: Vec::new(),
            peak_memory_bytes: None,
            log: String::new(),
            durations: super::super::Durations::default(),
            limits: Limits::default(),
            reused: None,
            installed: None,
        }
    }

    fn refused(phase: Phase, target: &str) -> Record {
        let request = NetworkRequest {
            phase,
            method: "GET".to_owned(),
            target: target.to_owned(),
            outcome: RequestOutcome::Refused,
            reason: None,
        };
        Record { requests: vec![request], ..Record::default() }
    }

    #[test]
    fn a_tarball_without_an_error_is_packed() {
        assert_eq!(of(&ran(None, true), &Record::default()), Ending::Packed);
        assert!(!of(&ran(None, false), &Record::default()).packed());
    }

    #[test]
    fn a_refused_request_is_the_reason_only_of_a_step_that_failed_in_its_phase() {
        let record = refused(Phase::Build, "/left-pad");
        let exited = |phase| Some((phase, StepEnding::Exited(1), ""));
        let ending = of(&ran(exited(Phase::Build), false), &record);
        assert_eq!(
            ending,
            Ending::NeedsNetwork {
                phase: Phase::Build,
                asked: "GET /left-pad".to_owned(),
                missing: false
            }
        );
        assert_eq!(of(&ran(None, true), &record), Ending::Packed);
        assert!(matches!(of(&ran(exited(Phase::Pack), false), &record), Ending::Failed { .. }));
        let audit = refused(Phase::Build, "/-/npm/v1/security/advisories/bulk");
        assert!(matches!(of(&ran(exited(Phase::Build), false), &audit), Ending::Failed { .. }));
    }

    #[test]
    fn what_the_registry_does_not_have_is_told_by_its_name() {
        let asked = |said: &str, record: &Record| match of(
            &ran(Some((Phase::Install, StepEnding::Exited(1), said)), false),
            record,
        ) {
            Ending::NeedsNetwork { asked, missing: true, .. } => asked,
            other => panic!("{other:?}"),
        };
        let none = Record::default();
        let npm =
            "npm error code ETARGET\nnpm error notarget No matching version found for a@9.9.9.";
        assert_eq!(asked(npm, &none), "a@9.9.9");
        let yarn = "error Couldn't find any versions for \"a\" that matches \"9.9.9\"";
        assert_eq!(asked(yarn, &none), yarn);
        let mut gone = refused(Phase::Install, "/a/-/a-1.0.0.tgz");
        gone.requests[0].outcome = RequestOutcome::NotFound;
        assert_eq!(asked("npm error code E404", &gone), "GET /a/-/a-1.0.0.tgz");
        let other = ran(Some((Phase::Install, StepEnding::Exited(1), "npm error code EX")), false);
        assert!(
            matches!(of(&other, &gone), Ending::Failed { .. }),
            "it gave up for another reason"
        );
    }

    #[test]
    fn what_was_packed_after_an_error_says_so() {
        let failed = Some((Phase::Build, StepEnding::Exited(2), ""));
        let expected = Ending::PackedAfterError {
            step: "npm run prepack".to_owned(),
            exit_code: 2,
            refused: None,
        };
        assert_eq!(of(&ran(failed, true), &Record::default()), expected);
    }

    #[test]
    fn what_was_packed_after_a_refused_request_is_compared_but_for_a_build_that_asks_for_the_answer()
     {
        let failed = Some((Phase::Build, StepEnding::Exited(2), ""));
        let packed = ran(failed, true);
        let ending = of(&packed, &refused(Phase::Build, "/left-pad"));
        let Ending::PackedAfterError { refused: Some(what), .. } = &ending else {
            panic!("{ending:?}");
        };
        assert_eq!(what.asked, "GET /left-pad");
        assert!(!ending.unless_equal().packed());
        for own in [
            "/@s/pad/-/pad-1.0.0.tgz",
            "/@s%2fpad/-/pad-0.9.0.tgz",
            "/api/npm/all/@s/pad/-/pad-1.0.0.tgz",
            "/download/@s/pad/1.0.0/0123456789abcdef0123456789abcdef01234567",
        ] {
            let ending = of(&packed, &refused(Phase::Build, own));
            assert!(matches!(ending, Ending::NeedsNetwork { .. }), "{own}: {ending:?}");
        }
        for other in ["/@s/pad", "/@s/pad-more/-/pad-more-1.0.0.tgz", "/pad/-/pad-1.0.0.tgz"] {
            assert!(of(&packed, &refused(Phase::Build, other)).packed(), "{other}");
        }
    }

    #[test]
    fn a_bound_is_told_as_the_bound() {
        let silent = Some((Phase::Build, StepEnding::Silent, ""));
        assert!(matches!(
            of(&ran(silent, false), &Record::default()),
            Ending::Silent { seconds: 300, .. }
        ));
    }

    #[test]
    fn a_lockfile_out_of_step_is_told_in_npms_words() {
        let said = "npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json or npm-shrinkwrap.json are in sync.";
        let failed = Some((Phase::Install, StepEnding::Exited(1), said));
        assert!(matches!(
            of(&ran(failed, false), &Record::default()),
            Ending::LockfileUnusable { .. }
        ));
    }
}
