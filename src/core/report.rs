//! `countersign.report/1`: the one document that `check --json`, the API and the pages show. It is assembled here from
//! what was observed and judged, and nowhere else, so that all of them say the same. The JSON Schema stands beside it.

use serde::{Deserialize, Serialize};

use crate::{
    artifact::{Access, Sha1, Sha256, Sha512, Subject},
    compare::{Counts, FileComparison, Level, Tolerated},
    finding::{Class, Finding},
    mend::Mend,
    normalisation::Applied,
    plan::{self, Install, Plan, Step, Why},
    rebuild::{Dependency, Ending, NetworkRequest},
    search::{Again, Candidate, Gave},
    source::{Directory, Evidence, Repository, Source, Trust},
    timestamp::Timestamp,
    toolchain::Tool,
    verdict::{Observations, Outcome, Timings},
};

/// The name and version of this document's form.
pub const SCHEMA: &str = "countersign.report/1";
/// The JSON Schema of it.
pub const JSON_SCHEMA: &str = include_str!("report.schema.json");

/// Where a verification stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No worker has it yet.
    Queued,
    /// Its tag does not exist yet.
    WaitingForTag,
    /// A worker has it.
    Running,
    /// We could not tell and try again.
    Retrying,
    /// The verdict stands.
    Final,
    /// Somebody withdrew it.
    Cancelled,
}

impl State {
    /// Whether nothing will change by itself any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Final | Self::Cancelled)
    }

    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::WaitingForTag => "waiting-for-tag",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Final => "final",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    pub fn from_text(text: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::WaitingForTag,
            Self::Running,
            Self::Retrying,
            Self::Final,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// Whether the verdict can be gone round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// Countersign is the registry, or alone holds the right to publish.
    Enforced,
    /// Maintainers can approve elsewhere.
    Advisory,
}

/// Who has to do what now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Next {
    /// `maintainer`, `ci`, `operator` or `nobody`.
    pub who: String,
    /// What they do, as a sentence.
    #[serde(rename = "do")]
    pub what: String,
    /// The command that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The page for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The staged artifact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ArtifactPart {
    /// The registry's base URL.
    pub registry: String,
    /// The package.
    pub name: String,
    /// The version.
    pub version: String,
    /// The digest of the bytes.
    pub sha512: Sha512,
    /// npm's SHA-1, shown and never believed; none before the bytes were read.
    pub shasum: Option<Sha1>,
    /// The size in bytes.
    pub bytes: Option<u64>,
    /// The digest of the manifest as it would be released.
    pub manifest_sha256: Option<Sha256>,
    /// The dist-tag that the release would set.
    pub dist_tag: Option<String>,
    /// Who may install it.
    pub access: Option<Access>,
}

impl ArtifactPart {
    /// The part for this subject.
    pub fn of(subject: &Subject, shasum: Option<Sha1>, bytes: Option<u64>) -> Self {
        Self {
            registry: subject.registry.clone(),
            name: subject.name.to_string(),
            version: subject.version.to_string(),
            sha512: subject.sha512,
            shasum,
            bytes,
            manifest_sha256: subject.manifest_sha256,
            dist_tag: subject.dist_tag.clone(),
            access: subject.access,
        }
    }
}

/// The source, as far as it was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourcePart {
    /// Who says so.
    pub trust: Trust,
    /// The repository.
    pub repository: Repository,
    /// The folder inside it.
    pub directory: Directory,
    /// The tag.
    pub tag: String,
    /// The commit.
    pub commit: String,
    /// The enrolment's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment_revision: Option<u32>,
    /// What speaks for or against the commit.
    pub evidence: Vec<Evidence>,
}

impl From<&Source> for SourcePart {
    fn from(source: &Source) -> Self {
        Self {
            trust: source.trust,
            repository: source.repository.clone(),
            directory: source.directory.clone(),
            tag: source.tag.clone(),
            commit: source.commit.clone(),
            enrolment_revision: source.enrolment_revision,
            evidence: source.evidence.clone(),
        }
    }
}

/// The plan with its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlanPart {
    /// SHA-256 over the plan's canonical form.
    pub digest: Sha256,
    /// The exact node.
    pub node: Tool,
    /// The npm that scripts found.
    pub npm: Tool,
    /// The exact package manager, which installed and ran scripts.
    pub package_manager: Tool,
    /// What packed.
    pub packer: Tool,
    /// How dependencies were installed.
    pub install: Install,
    /// The steps between install and pack.
    pub build: Vec<Step>,
    /// The command that packed.
    pub pack: Step,
    /// Nothing published later was seen.
    pub cutoff: Timestamp,
    /// The clock that the build saw.
    pub clock: crate::plan::Clock,
    /// Whether tracked files that a step rewrote were put back before packing.
    pub put_back: bool,
    /// Each choice with its reason.
    pub why: Vec<Why>,
    /// The other candidates, in order, with what each one gave.
    pub other_candidates: Vec<CandidatePart>,
    /// The second rebuild by this plan, where no candidate gave the staged files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// A candidate that is not the one that was judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CandidatePart {
    /// Its place in the list that was fixed beforehand, from 1.
    pub number: u32,
    /// SHA-256 over the plan's canonical form.
    pub digest: Sha256,
    /// Its tools and how it installs, as a text for people.
    pub plan: String,
    /// What it gave; null where it was not tried.
    pub gave: Option<Gave>,
}

impl From<&Candidate> for CandidatePart {
    fn from(candidate: &Candidate) -> Self {
        Self {
            number: candidate.number,
            digest: candidate.plan.digest(),
            plan: candidate.plan.in_words(),
            gave: candidate.gave.clone(),
        }
    }
}

impl PlanPart {
    /// The part for this plan among its candidates.
    fn of(plan: &Plan, seen: &Observations) -> Self {
        Self {
            digest: plan.digest(),
            node: plan.node.clone(),
            npm: plan.npm.clone(),
            package_manager: plan.package_manager.clone(),
            packer: plan.packer.clone(),
            install: plan.install.clone(),
            build: plan.build.clone(),
            pack: plan.pack.clone(),
            cutoff: plan.cutoff,
            clock: plan.clock,
            put_back: plan.put_back,
            why: plan.why.clone(),
            other_candidates: seen.other_candidates.iter().map(CandidatePart::from).collect(),
            again: seen.again.clone(),
        }
    }

    /// The plan itself, of a package in that folder; none where the part was changed since, so that its digest is another.
    fn whole(&self, directory: &Directory) -> Option<Plan> {
        let plan = Plan {
            node: self.node.clone(),
            npm: self.npm.clone(),
            package_manager: self.package_manager.clone(),
            packer: self.packer.clone(),
            directory: directory.clone(),
            install: self.install.clone(),
            build: self.build.clone(),
            pack: self.pack.clone(),
            cutoff: self.cutoff,
            clock: self.clock,
            put_back: self.put_back,
            why: self.why.clone(),
        };
        (plan.digest() == self.digest).then_some(plan)
    }

    /// Every tool of the plan, each once.
    pub fn tools(&self) -> Vec<&Tool> {
        plan::distinct([&self.node, &self.npm, &self.package_manager, &self.packer])
    }
}

/// What is known of the rebuild.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RebuildPart {
    /// How it ended.
    pub ending: Ending,
    /// How many attempts this verification has had.
    pub attempts: u32,
    /// Where the log is: a URL or a path; none where it was not kept.
    pub log: Option<String>,
    /// The largest memory use.
    pub peak_memory_bytes: Option<u64>,
    /// What the sandbox's root file system was.
    pub root_image: String,
    /// What it asked for.
    pub network: Vec<NetworkRequest>,
    /// The digest of everything that it depended on, where a rebuild of this machine was used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<Sha256>,
    /// The digest of everything that the install depended on, where one of this machine was used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_reused: Option<Sha256>,
    /// Tracked files that a step had changed and that were put back before packing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put_back: Vec<String>,
}

/// What was installed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DependenciesPart {
    /// Whether a lockfile named every one with its integrity.
    pub pinned: bool,
    /// Each one.
    pub resolved: Vec<Dependency>,
}

/// The two archives, file by file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComparisonPart {
    /// How many of each.
    pub counts: Counts,
    /// Every file.
    pub files: Vec<FileComparison>,
    /// The named normalisations that were needed, each with what it touched.
    pub normalisations: Vec<Applied>,
    /// What no packer of today writes and was accepted all the same, by the name of each tolerance.
    #[serde(default)]
    pub tolerances: Tolerated,
}

/// The document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The verification's id.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// The sentence.
    pub summary: String,
    /// Who has to do what now.
    pub next: Next,
    /// Addresses of what belongs to it: `page`, `log`, `attestation`, `rebuilt`.
    pub links: std::collections::BTreeMap<String, String>,
    /// The staged artifact.
    pub artifact: ArtifactPart,
    /// The verdict; null until there is one.
    pub verdict: Option<Outcome>,
    /// Why it is a fail.
    pub class: Option<Class>,
    /// How equal the archives are.
    pub level: Option<Level>,
    /// Whether the verdict can be gone round.
    pub enforcement: Enforcement,
    /// The reasons, most dangerous first.
    pub findings: Vec<Finding>,
    /// The source.
    pub source: Option<SourcePart>,
    /// The plan.
    pub plan: Option<PlanPart>,
    /// The rebuild.
    pub rebuild: Option<RebuildPart>,
    /// What was installed.
    pub dependencies: Option<DependenciesPart>,
    /// The comparison.
    pub comparison: Option<ComparisonPart>,
    /// Changes to the repository that take the causes of differences away, as `git apply` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Mend>,
    /// Milliseconds of each phase.
    pub timings_ms: Timings,
}

/// What a report is about and where its parts can be had: everything that is not an observation.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The verification's id.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// Who has to do what now.
    pub next: Next,
    /// Addresses of what belongs to it.
    pub links: std::collections::BTreeMap<String, String>,
    /// The staged artifact.
    pub artifact: ArtifactPart,
    /// Whether the verdict can be gone round.
    pub enforcement: Enforcement,
    /// How many attempts it has had.
    pub attempts: u32,
}

impl Report {
    /// A report without a verdict yet.
    pub fn pending(frame: Frame, summary: String) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: frame.id,
            state: frame.state,
            summary,
            next: frame.next,
            links: frame.links,
            artifact: frame.artifact,
            verdict: None,
            class: None,
            level: None,
            enforcement: frame.enforcement,
            findings: Vec::new(),
            source: None,
            plan: None,
            rebuild: None,
            dependencies: None,
            comparison: None,
            mends: Vec::new(),
            timings_ms: Timings::default(),
        }
    }

    /// The plan that was followed, with everything that its digest stands for; none where there was no plan, or where the
    /// report is not as it was written.
    pub fn followed_plan(&self) -> Option<Plan> {
        self.plan.as_ref()?.whole(&self.source.as_ref()?.directory)
    }

    /// The report of one judged attempt.
    pub fn judged(frame: Frame, judged: &crate::protocol::Judged) -> Self {
        let seen = &judged.observations;
        let (attempts, log) = (frame.attempts, frame.links.get("log").cloned());
        let name = frame.artifact.name.parse().expect("an artifact part is made of a subject");
        let version =
            frame.artifact.version.parse().expect("an artifact part is made of a subject");
        let summary = crate::verdict::sentence(
            &name,
            &version,
            seen,
            &judged.verdict,
            judged.comparison.as_ref(),
        );
        let mut report = Self::pending(frame, summary);
        report.verdict = Some(judged.verdict.outcome);
        report.class = judged.verdict.class;
        report.level = judged.verdict.level;
        report.findings.clone_from(&judged.verdict.findings);
        report.source = seen.source.as_ref().map(SourcePart::from);
        report.plan = seen.plan.as_ref().map(|plan| PlanPart::of(plan, seen));
        report.rebuild = seen.rebuild.as_ref().map(|rebuild| RebuildPart {
            ending: rebuild.ending.clone(),
            attempts,
            log,
            peak_memory_bytes: rebuild.peak_memory_bytes,
            root_image: rebuild.root_image.clone(),
            network: rebuild.network.clone(),
            reused: rebuild.reused,
            install_reused: rebuild.install_reused,
            put_back: rebuild.put_back.clone(),
        });
        report.dependencies = seen.rebuild.as_ref().map(|rebuild| DependenciesPart {
            pinned: rebuild.dependencies_pinned,
            resolved: rebuild.dependencies.clone(),
        });
        report.comparison = judged.comparison.as_ref().map(|comparison| ComparisonPart {
            counts: comparison.counts,
            files: comparison.files.clone(),
            normalisations: comparison.normalisations.clone(),
            tolerances: comparison.tolerances.clone(),
        });
        report.mends.clone_from(&seen.mends);
        report.timings_ms = seen.timings;
        report
    }
}
