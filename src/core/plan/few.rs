//! The few tools that publishing scripts run, where those are named by package.json themselves: an install of these alone in place of
//! all that develops the package. It knows nothing of what the tools do.

use std::collections::BTreeMap;

use super::{Install, Plan, Step, Why, managers, scripts};
use crate::{
    facts::SourceFacts,
    package_json::{DependencyKind, PackageJson},
    toolchain::ToolName,
};

/// The plan with an install of only what its steps run, where every command of every step is a program of a dependency
/// of the same name. None where something else is run, or nothing is installed without a lockfile.
pub(super) fn of(facts: &SourceFacts, plan: &Plan) -> Option<Plan> {
    let Install::AsOfCutoff { directory, .. } = &plan.install else { return None };
    if plan.package_manager.name != ToolName::Npm || directory != &plan.directory {
        return None;
    }
    let wanted = programs(&facts.package, &plan.build)?;
    let packages = wanted.iter().map(|(name, range)| format!("{name}@{range}")).collect::<Vec<_>>();
    let mut few = plan.clone();
    few.install = Install::AsOfCutoff {
        directory: directory.clone(),
        argv: managers::install_these(&packages),
    };
    let because = "what is run to publish needs nothing else, and the tree holds all that package.json leads to";
    few.why.push(Why {
        choice: format!("install `{}` alone", packages.join("`, `")),
        because: because.to_owned(),
    });
    Some(few)
}

/// The dependencies whose programs the steps run, each with its range.
fn programs(package: &PackageJson, steps: &[Step]) -> Option<BTreeMap<String, String>> {
    let mut known = package.dependencies(DependencyKind::Development);
    known.extend(package.dependencies(DependencyKind::Production));
    let texts = package.scripts();
    let mut wanted = BTreeMap::new();
    for step in steps {
        let [program, run, script] = step.argv.as_slice() else { return None };
        if program != "npm" || run != "run" {
            return None;
        }
        for command in texts.get(script)?.split("&&") {
            let named = scripts::plain_words(command)?.first().copied()?;
            let range = known.get(named).filter(|range| is_range(range))?;
            wanted.insert(named.to_owned(), range.clone());
        }
    }
    (!wanted.is_empty()).then_some(wanted)
}

/// Whether it is a range of versions, which may stand behind a name on a command line.
fn is_range(text: &str) -> bool {
    !text.starts_with('-') && nodejs_semver::Range::parse(text).is_ok()
}
