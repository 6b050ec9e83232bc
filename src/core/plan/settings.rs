//! The settings of release tools, as far as they say what is published: in package.json or in a file of their own.

use serde_json::Value;

use super::release::package_at;
use crate::{facts::SourceFacts, package_json::DependencyKind};

/// The settings under a key of a package.json, or in the first of these files, of the package's folder or the root.
fn settings<'a>(facts: &'a SourceFacts, key: &str, file: &str) -> Option<&'a Value> {
    let folders = [facts.own(), facts.root()];
    folders.into_iter().find_map(|folder| {
        let in_package = folder.package.as_ref().and_then(|package| package.raw().get(key));
        let in_file = || {
            folder.release_settings.iter().find(|(name, _)| name.starts_with(file)).map(|(_, v)| v)
        };
        in_package.or_else(in_file)
    })
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// The folder that semantic-release publishes (`pkgRoot` of @semantic-release/npm), from where it runs; none where it
/// does not publish to a registry.
pub(super) fn semantic_release_folder(facts: &SourceFacts) -> Option<Option<String>> {
    let whole = settings(facts, "release", ".releaserc");
    let Some(plugins) = whole.and_then(|whole| whole.get("plugins")?.as_array()) else {
        return Some(None);
    };
    let name = |plugin: &Value| text(plugin.as_array().map_or(Some(plugin), |pair| pair.first()));
    let npm =
        plugins.iter().find(|plugin| name(plugin).as_deref() == Some("@semantic-release/npm"))?;
    let options = npm.as_array().and_then(|pair| pair.get(1));
    let option = |key: &str| options.and_then(|options| options.get(key));
    if option("npmPublish").and_then(Value::as_bool) == Some(false) {
        return None;
    }
    Some(text(option("pkgRoot")))
}

/// Whether the tree is set up for semantic-release: settings of it, and the program among what the tree asks for.
pub(super) fn declares_semantic_release(facts: &SourceFacts) -> bool {
    let asked = [facts.directory(), &facts.root().directory].into_iter().any(|directory| {
        package_at(facts, directory).is_some_and(|package| {
            let development = package.dependencies(DependencyKind::Development);
            development.keys().any(|name| name == "semantic-release")
        })
    });
    let set_up = settings(facts, "release", ".releaserc").is_some()
        || settings(facts, "release", "release.config.").is_some();
    asked && set_up
}

/// The folder that np publishes.
pub(super) fn np_contents(facts: &SourceFacts) -> Option<String> {
    text(settings(facts, "np", ".np-config.json")?.get("contents"))
}

/// The folder that release-it publishes; none where it does not publish to a registry.
pub(super) fn release_it_folder(facts: &SourceFacts) -> Option<Option<String>> {
    let Some(npm) = settings(facts, "release-it", ".release-it").and_then(|all| all.get("npm"))
    else {
        return Some(None);
    };
    let publishes = npm.as_bool().or_else(|| npm.get("publish")?.as_bool()).unwrap_or(true);
    publishes.then(|| text(npm.get("publishPath")))
}

/// Whether the tree is set up for clean-publish, with the range of it that it asks for.
pub(super) fn clean_publish(facts: &SourceFacts) -> Option<String> {
    let set_up = settings(facts, "clean-publish", ".clean-publish").is_some();
    let asked = [facts.own(), facts.root()].into_iter().find_map(|folder| {
        folder.package.as_ref()?.dependencies(DependencyKind::Development).remove("clean-publish")
    });
    asked.filter(|_| set_up)
}
