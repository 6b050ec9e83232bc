//! Workflow files of forges, read as data and never run: the jobs with their steps, as plain words and literals. An
//! expression that only the forge can evaluate is left out. What a job means for a package stands in `plan/`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::shell::{self, Command};

/// Variables that a workflow may hand to a build: the modes that bundlers and compilers know. None names a program, a
/// folder, a registry or a credential.
const ENVIRONMENT: [&str; 8] =
    ["BABEL_ENV", "BUILD_ENV", "BUILD_MODE", "CI", "NODE_ENV", "PRODUCTION", "RELEASE", "TZ"];
/// The longest value of such a variable.
const VALUE_BYTES_MAX: usize = 100;

/// One workflow file.
#[derive(Clone, PartialEq, Debug)]
pub struct Workflow {
    /// Its path in the repository.
    pub path: String,
    /// The events that start it.
    pub events: BTreeSet<String>,
    /// Its jobs, in the order of their names.
    pub jobs: Vec<Job>,
}

/// One job.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// Its name in the file.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<JobStep>,
}

/// One step of a job.
#[derive(Clone, PartialEq, Debug)]
pub enum JobStep {
    /// Another's action.
    Uses {
        /// Its name in small letters, without the version.
        action: String,
        /// What it is told, as far as that is literal.
        with: BTreeMap<String, String>,
    },
    /// Commands.
    Run {
        /// The commands, in order.
        commands: Vec<Command>,
        /// The folder of the repository in which they run.
        folder: String,
        /// Allowed variables.
        env: Vec<(String, String)>,
    },
}

impl Workflow {
    /// Reads a GitHub Actions file; none where it holds no jobs.
    pub fn github(path: &str, file: &Value) -> Option<Self> {
        let jobs = file.get("jobs")?.as_object()?;
        let jobs = jobs.iter().filter_map(|(name, job)| github_job(name, file, job)).collect();
        Some(Self { path: path.to_owned(), events: events(file.get("on")?), jobs })
    }

    /// Reads a GitLab CI file: every map with a `script` is a job.
    pub fn gitlab(path: &str, file: &Value) -> Option<Self> {
        let whole = file.as_object()?;
        let jobs = whole.iter().filter_map(|(name, job)| gitlab_job(name, whole, job)).collect();
        Some(Self { path: path.to_owned(), events: BTreeSet::new(), jobs })
    }
}

fn events(on: &Value) -> BTreeSet<String> {
    match on {
        Value::String(event) => BTreeSet::from([event.clone()]),
        Value::Array(events) => {
            events.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Value::Object(events) => events.keys().cloned().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}

fn github_job(name: &str, file: &Value, job: &Value) -> Option<Job> {
    let steps = job.get("steps")?.as_array()?;
    let folder = |of: &Value| {
        let folder = of.get("defaults")?.get("run")?.get("working-directory")?;
        folder.as_str().map(str::to_owned)
    };
    let default = folder(job).or_else(|| folder(file)).unwrap_or_default();
    let common = [environment(file.get("env")), environment(job.get("env"))].concat();
    let matrix = job.get("strategy").and_then(|strategy| strategy.get("matrix"));
    let read = |step: &Value| {
        if let Some(action) = step.get("uses").and_then(Value::as_str) {
            let action = action.split('@').next().unwrap_or(action).to_ascii_lowercase();
            let with = literals(step.get("with"), matrix);
            return Some(JobStep::Uses { action, with });
        }
        let commands = shell::commands(step.get("run")?.as_str()?);
        let folder = step.get("working-directory").and_then(Value::as_str).unwrap_or(&default);
        let env = [common.clone(), environment(step.get("env"))].concat();
        Some(JobStep::Run { commands, folder: folder.to_owned(), env: last_of_each(env) })
    };
    Some(Job { name: name.to_owned(), steps: steps.iter().filter_map(read).collect() })
}

fn gitlab_job(name: &str, whole: &Map<String, Value>, job: &Value) -> Option<Job> {
    let lines = |value: Option<&Value>| -> Vec<Command> {
        let texts = match value {
            Some(Value::String(text)) => vec![text.as_str()],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                Vec::new()
            }
        };
        texts.into_iter().flat_map(shell::commands).collect()
    };
    let script = lines(Some(job.get("script")?));
    let inherited = |key: &str| {
        let default = whole.get("default").and_then(|default| default.get(key));
        job.get(key).or(default).or_else(|| whole.get(key))
    };
    let mut steps = Vec::new();
    let image =
        inherited("image").and_then(|image| image.as_str().or_else(|| image.get("name")?.as_str()));
    if let Some(version) = image.and_then(node_of_image) {
        let with = BTreeMap::from([("node-version".to_owned(), version)]);
        steps.push(JobStep::Uses { action: "actions/setup-node".to_owned(), with });
    }
    let env = [environment(whole.get("variables")), environment(job.get("variables"))].concat();
    let commands = [lines(inherited("before_script")), script].concat();
    steps.push(JobStep::Run { commands, folder: String::new(), env: last_of_each(env) });
    Some(Job { name: name.to_owned(), steps })
}

/// `node:20-alpine` is node 20.
fn node_of_image(image: &str) -> Option<String> {
    let (name, tag) = image.rsplit_once(':')?;
    let version = tag.split('-').next()?;
    let is_node = name == "node" || name.ends_with("/node");
    (is_node && version.starts_with(|c: char| c.is_ascii_digit())).then(|| version.to_owned())
}

fn environment(field: Option<&Value>) -> Vec<(String, String)> {
    let Some(fields) = field.and_then(Value::as_object) else { return Vec::new() };
    let allowed = |(name, value): (&String, &Value)| {
        let value = literal(value)?;
        let fits = ENVIRONMENT.contains(&name.as_str()) && value.len() <= VALUE_BYTES_MAX;
        fits.then(|| (name.clone(), value))
    };
    fields.iter().filter_map(allowed).collect()
}

fn last_of_each(all: Vec<(String, String)>) -> Vec<(String, String)> {
    all.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

/// The literal values of a map; a value of the matrix is its last one, which is the highest in nearly every file.
fn literals(field: Option<&Value>, matrix: Option<&Value>) -> BTreeMap<String, String> {
    let Some(fields) = field.and_then(Value::as_object) else { return BTreeMap::new() };
    let read = |value: &Value| {
        if let Some(text) = literal(value) {
            return Some(text);
        }
        let inner = value.as_str()?.trim().strip_prefix("${{")?.strip_suffix("}}")?;
        let of_matrix = matrix?.get(inner.trim().strip_prefix("matrix.")?)?;
        of_matrix.as_array()?.iter().rev().find_map(literal)
    };
    fields.iter().filter_map(|(key, value)| Some((key.clone(), read(value)?))).collect()
}

fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.contains("${{") && !text.contains('$') => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::String(_) | Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn words(text: &str, whole: bool) -> Command {
        Command { words: text.split(' ').map(str::to_owned).collect(), whole }
    }

    #[test]
    fn a_github_job_is_read_as_literals() {
        let file = yaml::parse(
            "on:\n  release:\n    types: [published]\nenv:\n  NODE_ENV: production\n  NPM_TOKEN: x\njobs:\n  publish:\n    \
             strategy:\n      matrix:\n        node: [18, 20.10]\n    steps:\n      - uses: Actions/setup-node@v4\n        \
             with:\n          node-version: ${{ matrix.node }}\n          token: ${{ secrets.X }}\n      - run: npm ci\n      \
             - run: npm publish --tag ${{ x }}\n        working-directory: dist\n",
        );
        let workflow = Workflow::github(".github/workflows/p.yml", &file.unwrap()).unwrap();
        assert!(workflow.events.contains("release"));
        let with = BTreeMap::from([("node-version".to_owned(), "20.10".to_owned())]);
        let env = vec![("NODE_ENV".to_owned(), "production".to_owned())];
        let run = |commands, folder: &str| JobStep::Run {
            commands,
            folder: folder.to_owned(),
            env: env.clone(),
        };
        let expected = vec![
            JobStep::Uses { action: "actions/setup-node".to_owned(), with },
            run(vec![words("npm ci", true)], ""),
            run(vec![words("npm publish --tag", false)], "dist"),
        ];
        assert_eq!(workflow.jobs[0].steps, expected);
    }

    #[test]
    fn a_gitlab_job_has_the_node_of_its_image() {
        let file = yaml::parse(
            "image: node:20-alpine\nbefore_script:\n  - npm ci\npublish:\n  script:\n    - npm publish\nstages: [a]\n",
        );
        let workflow = Workflow::gitlab(".gitlab-ci.yml", &file.unwrap()).unwrap();
        let [job] = workflow.jobs.as_slice() else { panic!("{workflow:?}") };
        let with = BTreeMap::from([("node-version".to_owned(), "20".to_owned())]);
        assert_eq!(job.steps[0], JobStep::Uses { action: "actions/setup-node".to_owned(), with });
        let JobStep::Run { commands, .. } = &job.steps[1] else { panic!("{job:?}") };
        assert_eq!(*commands, vec![words("npm ci", true), words("npm publish", true)]);
    }

    #[test]
    fn a_file_without_jobs_is_none() {
        assert_eq!(Workflow::github("x", &yaml::parse("a: b").unwrap()), None);
    }
}
