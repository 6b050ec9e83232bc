//! Enrolling: a maintainer confirms with a code where a package's source is. Every change is a new revision. Which tags and
//! commits follow from it is not known here.

use countersign_core::{
    PackageName,
    enrolment::{Enrolment, Mode},
    plan::Given,
    policy::Policy,
    source::{Directory, Repository, TagPattern},
};
use serde_json::json;

use crate::{
    app::App,
    second_factor::{CodeRefused, spend_code},
    store::{
        self, enrolments,
        events::{self, Event, EventKind},
        maintainers,
    },
};

/// What a maintainer confirms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The package.
    pub package: PackageName,
    /// Where its source is.
    pub repository: Repository,
    /// The folder of the package inside it.
    pub directory: Directory,
    /// How its tags are named.
    pub tag_pattern: TagPattern,
    /// Branches from one of which a released commit has to be reachable.
    pub branches: Vec<String>,
    /// What the gate does without a pass.
    pub mode: Mode,
    /// What is asked beyond the rules for everybody.
    pub policy: Policy,
    /// Parts of the plan that are set by hand.
    pub plan: Given,
}

/// Why an enrolment does not take force.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentRefused {
    /// There is no such maintainer.
    #[error("there is no maintainer `{0}`")]
    NoSuchMaintainer(String),
    /// The code is not accepted.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// The branch rule is on and there is no branch.
    #[error("name at least one branch that releases come from")]
    NoBranch,
    /// Our own failure.
    #[error("the enrolment could not be written")]
    Store(#[from] store::Error),
}

/// Lets an enrolment take force, confirmed by this maintainer's code. The maintainer is from then on one of the package's.
pub async fn enrol(
    app: &App,
    maintainer: &str,
    code: &str,
    proposal: Proposal,
) -> Result<Enrolment, EnrolmentRefused> {
    if proposal.policy.require_branch && proposal.branches.is_empty() {
        return Err(EnrolmentRefused::NoBranch);
    }
    let now = app.now();
    let mut writer = app.store.write().await?;
    if maintainers::find(&mut writer, maintainer).await?.is_none() {
        return Err(EnrolmentRefused::NoSuchMaintainer(maintainer.to_owned()));
    }
    let step = match spend_code(&mut writer, maintainer, code, now).await? {
        Ok(step) => step,
        Err(refused) => {
            writer.commit().await?;
            return Err(refused.into());
        }
    };
    let before = enrolments::current(&mut writer, &proposal.package).await?;
    let enrolment = Enrolment {
        package: proposal.package,
        revision: before.map_or(1, |before| before.revision + 1),
        repository: proposal.repository,
        directory: proposal.directory,
        tag_pattern: proposal.tag_pattern,
        branches: proposal.branches,
        mode: proposal.mode,
        policy: proposal.policy,
        plan: proposal.plan,
        confirmed_by: maintainer.to_owned(),
        confirmed_at: now,
    };
    enrolments::insert(&mut writer, &enrolment, step).await?;
    maintainers::add_to_package(&mut writer, maintainer, &enrolment.package, now).await?;
    let event = Event {
        kind: EventKind::Enrolled,
        verification: None,
        package: Some(enrolment.package.clone()),
        actor: maintainer.to_owned(),
        at: now,
        data: json!({ "enrolment": enrolment, "factor_step": step }),
    };
    events::append(&mut writer, &event).await?;
    writer.commit().await?;
    Ok(enrolment)
}
