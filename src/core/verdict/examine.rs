//! Both archives held against one another under a policy, with the cause of each difference: what the worker does once for the
//! report, and the service once more. It is a function of the archives, the policy and what was observed, so that both come to
//! the very same.

use super::Observations;
use crate::{
    archive::Archive,
    compare::{Comparison, compare_under},
    explain::{Circumstances, Installed, explain},
    normalisation::Permission,
    plan::{Install, Plan},
    policy::Policy,
    search::Again,
    source::Source,
};

/// What a policy lets differ in a rebuild by this plan from this source.
pub fn permission<'a>(
    policy: &'a Policy,
    source: Option<&Source>,
    plan: Option<&'a Plan>,
) -> Permission<'a> {
    Permission {
        allowed: &policy.allow,
        committed: source.map(|source| source.commit_time),
        packer: plan.map(|plan| plan.packer.name.as_str()),
    }
}

/// The comparison of both archives, each difference with its cause.
pub fn examine(
    staged: &Archive,
    rebuilt: &Archive,
    seen: &Observations,
    policy: &Policy,
) -> Comparison {
    let permitted = permission(policy, seen.source.as_ref(), seen.plan.as_ref());
    explained(compare_under(staged, rebuilt, &permitted), staged, rebuilt, seen)
}

/// A comparison that was made under the [`permission`] of what was observed, with the cause of each difference: the second half
/// of [`examine`].
pub fn explained(
    mut comparison: Comparison,
    staged: &Archive,
    rebuilt: &Archive,
    seen: &Observations,
) -> Comparison {
    let (source, plan) = (seen.source.as_ref(), seen.plan.as_ref());
    let packer = plan.map(|plan| plan.packer.to_string()).unwrap_or_default();
    let installed = plan.map(|plan| match plan.install {
        Install::None => Installed::Nothing,
        Install::Lockfile { .. } => Installed::Locked,
        Install::AsOfCutoff { .. } => Installed::Unlocked,
    });
    let known = Circumstances {
        builds: plan.is_some_and(|plan| !plan.build.is_empty()),
        installed: installed.unwrap_or_default(),
        packer: &packer,
        tag: source.map_or("", |source| source.tag.as_str()),
        history: seen.history.as_ref(),
        varying: seen.again.as_ref().map(Again::varying).unwrap_or_default(),
    };
    explain(&mut comparison, staged, rebuilt, &known);
    comparison
}
