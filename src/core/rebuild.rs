//! How a rebuild ends: a closed list. A package that does not build is not an error of ours, so every way is a value;
//! and each maps to the finding that tells the maintainer.

use serde::{Deserialize, Serialize};

use crate::{
    artifact::{PackageName, Sha256, Sha512, Version},
    finding::{Code, Finding},
    timestamp::Timestamp,
};

/// The step of a rebuild that a thing happened in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The staged tarball is downloaded.
    Fetch,
    /// The tagged commit is brought and exported.
    Checkout,
    /// Dependencies come onto the disk; the registry mirror can be reached.
    Install,
    /// The package's own scripts run; nothing can be reached.
    Build,
    /// The tarball is packed.
    Pack,
    /// Both tarballs are read and compared.
    Compare,
    /// The report is handed in.
    Report,
}

impl Phase {
    /// The phase's name, as in `timings_ms`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Checkout => "checkout",
            Self::Install => "install",
            Self::Build => "build",
            Self::Pack => "pack",
            Self::Compare => "compare",
            Self::Report => "report",
        }
    }
}

/// Every way a rebuild can end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ending {
    /// A tarball was packed and every step ended without an error.
    Packed,
    /// A tarball was packed although a step ended with an error.
    PackedAfterError {
        /// The step's command.
        step: String,
        /// Its exit code.
        exit_code: i32,
        /// What was refused to it over the network, where something was: then the error may be for want of it, and only
        /// equal files show that it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Refused>,
    },
    /// A step ended with an error and nothing could be packed.
    Failed {
        /// The phase.
        phase: Phase,
        /// The step's command.
        step: String,
        /// Its exit code; 128 + n for signal n.
        exit_code: i32,
    },
    /// A step ended with an error after something that it asked for over the network was refused, or is not in the
    /// registry as of the release.
    NeedsNetwork {
        /// The phase.
        phase: Phase,
        /// What was asked for first.
        asked: String,
        /// Whether the registry does not have it, or not any more.
        #[serde(default)]
        missing: bool,
    },
    /// The wall time ran out.
    TimedOut {
        /// The phase.
        phase: Phase,
        /// The limit.
        seconds: u64,
    },
    /// A step printed nothing for too long.
    Silent {
        /// The phase.
        phase: Phase,
        /// The limit.
        seconds: u64,
    },
    /// The memory limit was reached.
    OutOfMemory {
        /// The phase.
        phase: Phase,
        /// The limit.
        bytes: u64,
    },
    /// The disk limit was reached.
    OutOfDisk {
        /// The phase.
        phase: Phase,
        /// The limit.
        bytes: u64,
    },
    /// The process limit was reached.
    TooManyProcesses {
        /// The phase.
        phase: Phase,
        /// The limit.
        processes: u64,
    },
    /// A step printed too much.
    OutputTooLarge {
        /// The phase.
        phase: Phase,
        /// The limit.
        bytes: u64,
    },
    /// The lockfile and package.json do not agree, or the lockfile cannot be read.
    LockfileUnusable {
        /// What the package manager said.
        detail: String,
    },
    /// A dependency comes from a git repository.
    DependencyFromGit {
        /// Which one.
        dependency: String,
    },
    /// A locked dependency lies on a host that nobody mapped to a registry.
    LockfileForeignHost {
        /// The host.
        host: String,
    },
    /// No plan could be made.
    NoPlan {
        /// Why.
        detail: String,
    },
    /// Two plans of equal standing.
    AmbiguousPlan {
        /// Which.
        detail: String,
    },
}

/// Something that a step asked for over the network and did not get.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The phase.
    pub phase: Phase,
    /// What was asked for first.
    pub asked: String,
}

impl Ending {
    /// Whether it is the install that failed, for a reason that another install by the same command would meet as well.
    pub fn failed_to_install(&self) -> bool {
        match self {
            Self::Failed { phase, .. } | Self::NeedsNetwork { phase, .. } => {
                *phase == Phase::Install
            }
            Self::LockfileUnusable { .. } => true,
            Self::Packed
            | Self::PackedAfterError { .. }
            | Self::TimedOut { .. }
            | Self::Silent { .. }
            | Self::OutOfMemory { .. }
            | Self::OutOfDisk { .. }
            | Self::TooManyProcesses { .. }
            | Self::OutputTooLarge { .. }
            | Self::DependencyFromGit { .. }
            | Self::LockfileForeignHost { .. }
            | Self::NoPlan { .. }
            | Self::AmbiguousPlan { .. } => false,
        }
    }

    /// The ending of the same rebuild where the tarball that it packed after an error is not the staged one: a step to
    /// which something was refused may have failed for want of it, and what it left says nothing about the package.
    #[must_use]
    pub fn unless_equal(&self) -> Self {
        match self {
            Self::PackedAfterError { refused: Some(refused), .. } => {
                let asked = refused.asked.clone();
                Self::NeedsNetwork { phase: refused.phase, asked, missing: false }
            }
            other => other.clone(),
        }
    }

    /// Whether a tarball came out.
    pub fn packed(&self) -> bool {
        matches!(self, Self::Packed | Self::PackedAfterError { .. })
    }

    /// The finding that this ending is, if it is one.
    pub fn finding(&self) -> Option<Finding> {
        let mib = |bytes: &u64| bytes / (1024 * 1024);
        let (code, message) = match self {
            Self::Packed => return None,
            Self::PackedAfterError { step, exit_code, .. } => (
                Code::BuildExitedNonzero,
                format!(
                    "`{step}` ended with exit code {exit_code}, yet the package could be packed."
                ),
            ),
            Self::Failed { phase, step, exit_code } => (
                Code::BuildFailed,
                format!(
                    "`{step}` ended with exit code {exit_code} in the {} phase.",
                    phase.as_str()
                ),
            ),
            Self::NeedsNetwork { phase, asked, missing } => {
                let why = if *missing {
                    "which the registry does not have as of the release"
                } else {
                    "which was refused"
                };
                let phase = phase.as_str();
                let told =
                    format!("The {phase} asked for {asked}, {why}, and ended with an error.");
                (Code::NeedsNetwork, told)
            }
            Self::TimedOut { phase, seconds } => (
                Code::BuildTimedOut,
                format!("The {} was not done after {seconds} s.", phase.as_str()),
            ),
            Self::Silent { phase, seconds } => (
                Code::BuildSilent,
                format!("The {} printed nothing for {seconds} s.", phase.as_str()),
            ),
            Self::OutOfMemory { phase, bytes } => (
                Code::BuildOutOfMemory,
                format!("The {} needed more than {} MiB of memory.", phase.as_str(), mib(bytes)),
            ),
            Self::OutOfDisk { phase, bytes } => (
                Code::BuildOutOfDisk,
                format!("The {} wrote more than {} MiB to the disk.", phase.as_str(), mib(bytes)),
            ),
            Self::TooManyProcesses { phase, processes } => (
                Code::BuildTooManyProcesses,
                format!("The {} started more than {processes} processes.", phase.as_str()),
            ),
            Self::OutputTooLarge { phase, bytes } => (
                Code::BuildOutputTooLarge,
                format!("The {} printed more than {} MiB.", phase.as_str(), mib(bytes)),
            ),
            Self::LockfileUnusable { detail } => (Code::LockfileUnusable, detail.clone()),
            Self::DependencyFromGit { dependency } => (
                Code::DependencyFromGit,
                format!("The dependency `{dependency}` comes from a git repository."),
            ),
            Self::LockfileForeignHost { host } => (
                Code::LockfileForeignHost,
                format!("The lockfile names the host `{host}`, which is no configured registry."),
            ),
            Self::NoPlan { detail } => (Code::PlanNotFound, detail.clone()),
            Self::AmbiguousPlan { detail } => (Code::PlanAmbiguous, detail.clone()),
        };
        let finding = Finding::new(code, message);
        let Self::LockfileForeignHost { host } = self else { return Some(finding) };
        Some(finding.with_fix(map_host(host)))
    }
}

/// The mending line of a host that nobody mapped: for the operator, and for whoever runs `check`.
fn map_host(host: &str) -> String {
    format!(
        "If it is a registry, let the operator map it: aliases = [\"{host}\"] under [registry] or \
         [registries.\"@SCOPE\"] of the configuration (check takes --config FILE, or @SCOPE:registry of your .npmrc). \
         Else lock the dependency from a registry."
    )
}

/// What became of one request that the sandbox made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestOutcome {
    /// Answered from the registry.
    Served,
    /// Refused by a rule.
    Refused,
    /// The registry has no such thing.
    NotFound,
    /// The registry did not answer.
    Unavailable,
}

/// One request that the sandbox made of the mirror.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// The phase in which it came.
    pub phase: Phase,
    /// The HTTP method, or `DNS`.
    pub method: String,
    /// The path that was asked for, or the name.
    pub target: String,
    /// What became of it.
    pub outcome: RequestOutcome,
    /// The rule that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One dependency that was installed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dependency {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// The digest of its tarball.
    pub integrity: Sha512Integrity,
    /// When the registry says it was published.
    pub published: Option<Timestamp>,
    /// Whether the tagged lockfile names it with this integrity.
    pub locked: bool,
}

/// A SHA-512 that is written as a Subresource Integrity text, as lockfiles do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha512Integrity(pub Sha512);

impl TryFrom<String> for Sha512Integrity {
    type Error = crate::artifact::Invalid;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Sha512::from_integrity(&text).map(Self)
    }
}

impl From<Sha512Integrity> for String {
    fn from(value: Sha512Integrity) -> String {
        value.0.to_integrity()
    }
}

/// What is known of a rebuild beside its tarball.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rebuild {
    /// How it ended.
    pub ending: Ending,
    /// The largest memory use of all its processes together.
    pub peak_memory_bytes: Option<u64>,
    /// What the sandbox's root file system was.
    pub root_image: String,
    /// Every request, up to [`crate::limits::REPORTED_REQUESTS_MAX`]; the refused ones first to be kept.
    pub network: Vec<NetworkRequest>,
    /// Whether every dependency was named by a lockfile with its integrity; true where nothing was installed.
    pub dependencies_pinned: bool,
    /// Whether the registry's times contradicted the commit's for an unlocked resolution.
    pub cutoff_unreliable: bool,
    /// What was installed.
    pub dependencies: Vec<Dependency>,
    /// The digest of everything that it depended on, where this is a rebuild that was done before and kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<Sha256>,
    /// The digest of everything that the install depended on, where one that was done before and kept was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_reused: Option<Sha256>,
    /// Tracked files that a step had changed and that were put back before packing, up to
    /// [`crate::limits::REPORTED_PUT_BACK_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put_back: Vec<String>,
}

impl Rebuild {
    /// One of which nothing is known but how it ended: it may not have begun.
    pub fn ended(ending: Ending) -> Self {
        Self {
            ending,
            peak_memory_bytes: None,
            root_image: String::new(),
            network: Vec::new(),
            dependencies_pinned: true,
            cutoff_unreliable: false,
            put_back: Vec::new(),
            reused: None,
            install_reused: None,
            dependencies: Vec::new(),
        }
    }
}
