//! What a staged tarball claims about its own source, held against what was enrolled or given. The claim never leads
//! anywhere by itself but in `check` without a repository, and then the report says so.

use countersign_core::{
    finding::{Code, Finding, Severity},
    package_json::RepositoryField,
    source::{Directory, Repository, Trust},
};

use super::{Wanted, origin::Origin};

/// The repository to look into, with notes; or why there is none that may be believed.
pub(super) fn repository(wanted: &Wanted<'_>) -> Result<(Repository, Vec<Finding>), Vec<Finding>> {
    let claimed = wanted.staged.repository();
    match (wanted.request.trust, &wanted.request.repository) {
        (Trust::Enrolled, Some(enrolled)) => {
            match differing(wanted, enrolled, claimed.as_ref(), "enrolled") {
                Some(differs) => Err(vec![differs]),
                None => Ok((enrolled.clone(), Vec::new())),
            }
        }
        (Trust::Given | Trust::SelfDeclared, Some(given)) => {
            let differs = differing(wanted, given, claimed.as_ref(), "given");
            let notes = differs.map(|finding| finding.weighing(Severity::Note));
            Ok((given.clone(), notes.into_iter().collect()))
        }
        (Trust::Enrolled, None) => {
            let message = format!("Nobody has confirmed where the source of `{}` is.", wanted.name);
            Err(vec![Finding::new(Code::PackageNotEnrolled, message)])
        }
        (Trust::Given | Trust::SelfDeclared, None) => self_declared(wanted, claimed.as_ref()),
    }
}

/// How the claim differs: a tarball that names nothing does not name another repository.
fn differing(
    wanted: &Wanted<'_>,
    known: &Repository,
    claimed: Option<&RepositoryField>,
    how: &str,
) -> Option<Finding> {
    let claimed = claimed?;
    let same = claimed.url.parse::<Repository>().is_ok_and(|other| other.same_as(known));
    if !same {
        let message = format!(
            "The tarball names the repository `{}`, and the {how} one is {known}.",
            claimed.url
        );
        return Some(Finding::new(Code::SourceNotEnrolled, message));
    }
    let (Some(claimed), Some(known)) = (&claimed.directory, &wanted.request.directory) else {
        return None;
    };
    let same = claimed.parse::<Directory>().is_ok_and(|folder| folder == *known);
    (!same).then(|| {
        let known = if known.is_root() { "the root" } else { known.as_str() };
        let message =
            format!("The tarball names the folder `{claimed}`, and the {how} one is {known}.");
        Finding::new(Code::SourceNotEnrolled, message)
    })
}

/// The package's own word, followed only over https to another machine: anybody could have written it.
fn self_declared(
    wanted: &Wanted<'_>,
    claimed: Option<&RepositoryField>,
) -> Result<(Repository, Vec<Finding>), Vec<Finding>> {
    let refuse = |message: String| {
        let finding = Finding::new(Code::PackageNotEnrolled, message);
        Err(vec![finding.with_fix("Say where its source is with --repo URL-or-path.")])
    };
    let Some(claimed) = claimed else {
        return refuse(format!("The tarball of `{}` names no repository.", wanted.name));
    };
    let parsed = claimed.url.parse::<Repository>().ok();
    let reachable =
        parsed.filter(|repository| matches!(Origin::of(repository), Ok(Origin::Https(_))));
    match reachable {
        Some(repository) => Ok((repository, Vec::new())),
        None => refuse(format!(
            "The tarball names the repository `{}`, which is no address that git could fetch over https.",
            claimed.url
        )),
    }
}
