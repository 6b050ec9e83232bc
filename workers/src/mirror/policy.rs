//! What the mirror may show: pure rules over one packument. The subject, the staged bytes and everything after the
//! cut-off are hidden, except what the tagged lockfile names with its integrity. It knows nothing of HTTP or disks.

use std::collections::{BTreeMap, HashMap};

use countersign_core::{PackageName, Sha1, Sha512, Timestamp, Version, rebuild::Dependency};
use nodejs_semver::Range;
use serde_json::{Value, value::RawValue};

use crate::upstream::{Dist, Packument, Registries, Registry};

/// One entry of the tagged tree's lockfile: served whatever its date, if its bytes are these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockedVersion {
    /// The package; for an alias the real name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    sha512: Option<Sha512>,
    sha1: Option<Sha1>,
    host: Option<String>,
}

impl LockedVersion {
    /// An entry with its Subresource Integrity text; none where that holds neither SHA-512 nor SHA-1. Lockfiles of
    /// npm 5 and 6 name what was published before 2017 by SHA-1 alone: such an entry is served, and stands in the
    /// verdict's warning like an unlocked one.
    pub fn new(name: PackageName, version: Version, integrity: &str) -> Option<Self> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let sha512 = Sha512::from_integrity(integrity).ok();
        let sha1 = integrity.split_whitespace().find_map(|one| {
            let bytes = STANDARD.decode(one.strip_prefix("sha1-")?).ok()?;
            Some(Sha1::from_bytes(bytes.try_into().ok()?))
        });
        let known = sha512.is_some() || sha1.is_some();
        known.then_some(Self { name, version, sha512, sha1, host: None })
    }

    /// The same, taken from that host by the lockfile.
    #[must_use]
    pub fn at(self, host: Option<&str>) -> Self {
        Self { host: host.map(str::to_owned), ..self }
    }

    /// Whether the lockfile's digest is one that can be believed alone.
    pub fn is_strong(&self) -> bool {
        self.sha512.is_some()
    }

    /// Whether these are the bytes. The SHA-1 is made only where there is no SHA-512 to look at.
    pub(super) fn is(&self, sha512: &Sha512, sha1: impl FnOnce() -> Option<Sha1>) -> bool {
        match self.sha512 {
            Some(expected) => expected == *sha512,
            None => self.sha1.is_some() && self.sha1 == sha1(),
        }
    }
}

/// The rules of one rebuild.
#[derive(Clone, Debug)]
pub struct MirrorPolicy {
    /// The package whose version is being verified: that version is refused in metadata and tarball.
    pub subject: (PackageName, Version),
    /// The staged tarball's digest: those bytes are refused under whatever name.
    pub staged_sha512: Sha512,
    /// What the registry says was published later is hidden.
    pub cutoff: Timestamp,
    /// What the tagged lockfile names.
    pub locked: Vec<LockedVersion>,
    /// What another rebuild installed, where that one is done again: these bytes are shown whatever their date, and nothing
    /// else is.
    pub only: Option<Vec<Dependency>>,
}

/// Why a request was refused: the codes of `reason` in the report's list of requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// It is the version under verification.
    Subject,
    /// Its bytes are the staged ones.
    StagedBytes,
    /// It was published after the cut-off and no lockfile names it.
    AfterCutoff,
    /// The rebuild that is done again did not install it.
    NotRecorded,
    /// The install is over: nothing can be reached any more.
    NetworkClosed,
    /// Only GET and HEAD are answered.
    Method,
    /// Audits are not made inside a rebuild.
    Audit,
    /// Names are not resolved inside a rebuild.
    Dns,
    /// It is no address of a package.
    NotOffered,
    /// Another host was asked for.
    ForeignHost,
    /// The registry's bytes are not those that its own manifest names.
    Integrity,
    /// The registry's bytes are not those that the lockfile names.
    LockedIntegrity,
    /// More requests than a rebuild may make.
    TooManyRequests,
    /// More bytes than a rebuild may fetch.
    TooManyBytes,
}

impl Reason {
    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::StagedBytes => "staged-bytes",
            Self::AfterCutoff => "after-cutoff",
            Self::NotRecorded => "not-recorded",
            Self::NetworkClosed => "network-closed",
            Self::Method => "method",
            Self::Audit => "audit",
            Self::Dns => "dns",
            Self::NotOffered => "not-offered",
            Self::ForeignHost => "foreign-host",
            Self::Integrity => "integrity",
            Self::LockedIntegrity => "locked-integrity",
            Self::TooManyRequests => "too-many-requests",
            Self::TooManyBytes => "too-many-bytes",
        }
    }

    /// What the one inside is told.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Subject => "a rebuild cannot fetch the version that is being verified",
            Self::StagedBytes => "a rebuild cannot fetch the tarball that is being verified",
            Self::AfterCutoff => {
                "this was published after the commit, and no lockfile names it with its integrity"
            }
            Self::NotRecorded => "the rebuild that is done again installed something else",
            Self::NetworkClosed => {
                "the build has no network; only the install can reach the registry"
            }
            Self::Method => "only GET and HEAD are answered here",
            Self::Audit => "audits are not made inside a rebuild",
            Self::Dns => {
                "names are not resolved inside a rebuild; only the registry can be reached"
            }
            Self::NotOffered => "this is no address of a package",
            Self::ForeignHost => "only the registry can be reached inside a rebuild",
            Self::Integrity => "the registry's bytes are not those that its manifest names",
            Self::LockedIntegrity => "the registry's bytes are not those that the lockfile names",
            Self::TooManyRequests => "this rebuild has made more requests than it may",
            Self::TooManyBytes => "this rebuild has fetched more bytes than it may",
        }
    }
}

/// One version as the mirror sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Offer {
    /// How its tarball is had.
    pub(super) dist: Dist,
    /// When the registry says that it came.
    pub(super) published: Option<Timestamp>,
    /// Why it is hidden, where it is.
    pub(super) hidden: Option<Reason>,
    /// It is shown although the registry says that it came later, and no strong digest speaks for it.
    pub(super) doubtful: bool,
    /// It is likely later. It is shown with a warning of deprecation, because npm and pnpm take such a version only where
    /// no other satisfies a range (npm-pick-manifest 11).
    pub(super) last_choice: bool,
}

/// One package as the mirror shows it: small enough to be kept for a whole rebuild.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shelf {
    /// Every version, hidden ones with their reason.
    pub(super) offers: BTreeMap<String, Offer>,
    /// The dist-tags among what is shown.
    pub(super) dist_tags: BTreeMap<String, String>,
}

impl Shelf {
    /// What a request for this version or dist-tag gets.
    pub(super) fn find(&self, wanted: &str) -> Option<(&str, &Offer)> {
        let version = self.dist_tags.get(wanted).map_or(wanted, String::as_str);
        self.offers.get_key_value(version).map(|(version, offer)| (version.as_str(), offer))
    }

    /// Why nothing at all is shown, where something is hidden and nothing shown.
    pub(super) fn closed(&self) -> Option<Reason> {
        let all = self.offers.values().all(|offer| offer.hidden.is_some());
        self.offers.values().find_map(|offer| offer.hidden).filter(|_| all)
    }
}

impl MirrorPolicy {
    /// The lockfile's entries for one version.
    pub(super) fn locks<'a>(
        &'a self,
        name: &'a PackageName,
        version: &'a Version,
    ) -> impl Iterator<Item = &'a LockedVersion> {
        self.locked.iter().filter(move |lock| lock.name == *name && lock.version == *version)
    }

    /// The registry of that name: its scope's, else the one that the lockfile takes the name from.
    pub(super) fn registry<'r>(
        &self,
        registries: &'r Registries,
        name: &PackageName,
    ) -> &'r Registry {
        let mut locks = self.locked.iter().filter(|lock| lock.name == *name);
        let host = locks.find_map(|lock| lock.host.as_deref());
        host.map_or_else(|| registries.of(name), |host| registries.of_locked(name, host))
    }

    /// Whether this is the version under verification.
    pub(super) fn is_subject(&self, name: &PackageName, version: &Version) -> bool {
        (name, version) == (&self.subject.0, &self.subject.1)
    }

    /// The digest that the rebuild that is done again installed of this version, if it installed it; none where every
    /// version may be installed.
    fn recorded(&self, name: &PackageName, version: &Version) -> Option<Option<Sha512>> {
        let only = self.only.as_ref()?;
        let found = only.iter().find(|one| one.name == *name && one.version == *version);
        Some(found.map(|one| one.integrity.0))
    }

    /// Whether these bytes are others than those that the rebuild that is done again installed.
    pub(super) fn is_another(
        &self,
        name: &PackageName,
        version: &Version,
        sha512: &Sha512,
    ) -> bool {
        self.recorded(name, version).is_some_and(|recorded| recorded.as_ref() != Some(sha512))
    }

    /// Judges every version of one package.
    pub(super) fn judge(&self, packument: &Packument) -> Shelf {
        let name = &packument.name;
        let written: Vec<(Version, &RawValue)> = packument.versions().collect();
        let versions: Vec<Version> = written.iter().map(|(version, _)| version.clone()).collect();
        let locks: Vec<_> = self.locked.iter().filter(|lock| lock.name == *name).collect();
        let times = Times::of(packument, &versions, self.cutoff);
        let mut offers = BTreeMap::new();
        for (version, raw) in &written {
            let dist = packument.dist(version).unwrap_or_default();
            let mut locks = locks.iter().filter(|lock| lock.version == *version).peekable();
            let locked = locks.peek().is_some();
            let strong = locks.any(|lock| lock.is_strong());
            let age = times.age(version);
            let lenient = match age {
                Age::OnTime => true,
                Age::Excused | Age::Suspect => {
                    let may_be = self.may_be_lenient(name, version) && !self.follows_subject(raw);
                    locked || may_be
                }
                Age::Late => locked,
            };
            let hidden = if self.is_subject(name, version) {
                Some(Reason::Subject)
            } else if dist.sha512() == Some(self.staged_sha512) {
                Some(Reason::StagedBytes)
            } else {
                match self.recorded(name, version) {
                    Some(None) => Some(Reason::NotRecorded),
                    Some(Some(_)) => None,
                    None => (!lenient).then_some(Reason::AfterCutoff),
                }
            };
            let published = packument.time(version.as_str());
            let doubtful = age != Age::OnTime && !strong && hidden.is_none();
            let last_choice = age == Age::Suspect && !locked;
            let offer = Offer { dist, published, hidden, doubtful, last_choice };
            offers.insert(version.to_string(), offer);
        }
        let dist_tags = dist_tags(packument, &versions, &offers);
        Shelf { offers, dist_tags }
    }

    /// Whether a version, by its own manifest, is younger than the subject: it depends on nothing older. Its date need not be believed
    /// for that, and it could not be installed, since the version under verification is refused.
    fn follows_subject(&self, manifest: &RawValue) -> bool {
        let (name, version) = &self.subject;
        if !manifest.get().contains(name.as_str()) {
            return false;
        }
        let manifest: Value = serde_json::from_str(manifest.get()).unwrap_or_default();
        let range = manifest["dependencies"][name.as_str()].as_str();
        let lowest = range.and_then(|range| Range::parse(range).ok()?.min_version());
        lowest.is_some_and(|lowest| lowest >= version.semver())
    }

    /// The subject's own package is where the answer would lie: of it, doubt about a time excuses older versions alone.
    fn may_be_lenient(&self, name: &PackageName, version: &Version) -> bool {
        *name != self.subject.0 || version.semver() < self.subject.1.semver()
    }
}

/// A copy keeps a true old date of a version now and then: so many, in a package of so many times as many versions, do
/// not make the other dates believable. Of 674 packages of one copy, 3 held such strays, one or two each.
const STRAY_VERSIONS_MAX: usize = 2;
/// See [`STRAY_VERSIONS_MAX`].
const STRAY_VERSIONS_ONE_IN: usize = 20;

/// What the times say of one version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Age {
    /// It is from before the cut-off.
    OnTime,
    /// It is said to be later, by times that cannot be believed, and is likely older.
    Excused,
    /// It is said to be later, by times that cannot be believed, and is likely so.
    Suspect,
    /// It is later.
    Late,
}

/// What a registry's times say of one package, and whether they can be believed. A copy of a registry that writes when
/// it copied a version makes everything look younger than the commits that use it.
struct Times {
    ages: HashMap<String, Age>,
}

impl Times {
    /// A registry that tells when a package was created tells its history, and is believed to the letter. So is one
    /// that does not, as long as its times agree with the order of the numbers, save that a version below one from
    /// before the cut-off is taken to be older than that. Times that cannot be are those of a copy. Where next to every
    /// version is said to be late they say nothing; elsewhere what lies above the last early version is suspect.
    fn of(packument: &Packument, versions: &[Version], cutoff: Timestamp) -> Self {
        let late =
            |version: &Version| packument.time(version.as_str()).is_none_or(|at| at > cutoff);
        let early: Vec<_> =
            versions.iter().filter(|version| !late(version)).map(Version::semver).collect();
        let highest = early.iter().max();
        let history = packument.time("created").is_some();
        let silent = early.len() <= STRAY_VERSIONS_MAX
            && early.len() * STRAY_VERSIONS_ONE_IN <= versions.len();
        let impossible = contradicts_itself(packument, versions);
        let age = |version: &Version| match late(version) {
            false => Age::OnTime,
            true if history => Age::Late,
            true if silent || highest.is_some_and(|one| version.semver() < *one) => Age::Excused,
            true if impossible => Age::Suspect,
            true => Age::Late,
        };
        Self { ages: versions.iter().map(|version| (version.to_string(), age(version))).collect() }
    }

    fn age(&self, version: &Version) -> Age {
        self.ages.get(version.as_str()).copied().unwrap_or(Age::Late)
    }
}

/// Whether a patch is said to have come before a lower patch of the same minor line, or a major line to have begun before
/// a lower one: nobody publishes so. Of 795 packages of one copy with more than one version, 730 do the first.
fn contradicts_itself(packument: &Packument, versions: &[Version]) -> bool {
    let mut dated: Vec<_> = versions
        .iter()
        .filter(|version| !version.is_prerelease())
        .filter_map(|version| Some((version.semver(), packument.time(version.as_str())?)))
        .collect();
    dated.sort();
    let patches = dated.windows(2).any(|pair| {
        let ((lower, lower_at), (higher, higher_at)) = (&pair[0], &pair[1]);
        (lower.major(), lower.minor()) == (higher.major(), higher.minor()) && lower_at > higher_at
    });
    let mut begun: BTreeMap<u64, Timestamp> = BTreeMap::new();
    for (version, at) in &dated {
        let first = begun.entry(version.major()).or_insert(*at);
        *first = (*first).min(*at);
    }
    let begun: Vec<Timestamp> = begun.into_values().collect();
    patches || begun.windows(2).any(|pair| pair[0] > pair[1])
}

/// npm's own rule for `--before` (npm-pick-manifest 11): a tag whose version is hidden names the highest shown version
/// that is not above it, one without a warning before one with. `latest` alone always names something.
fn dist_tags(
    packument: &Packument,
    versions: &[Version],
    offers: &BTreeMap<String, Offer>,
) -> BTreeMap<String, String> {
    let good = |version: &str| {
        offers.get(version).is_some_and(|offer| offer.hidden.is_none() && !offer.last_choice)
    };
    let good_versions: Vec<&Version> =
        versions.iter().filter(|version| good(version.as_str())).collect();
    let highest = |range: &Range| {
        let fits = good_versions.iter().filter(|version| range.satisfies(&version.semver()));
        fits.max_by_key(|version| (!packument.is_deprecated(version), version.semver()))
    };
    let mut tags = BTreeMap::new();
    for (tag, version) in &packument.dist_tags {
        let chosen = if good(version) {
            Some(version.clone())
        } else {
            let below = Range::parse(format!("<={version}")).ok();
            let below = below.as_ref().and_then(highest).map(|version| version.to_string());
            below.or_else(|| {
                let any = good_versions.iter().max_by_key(|v| (!v.is_prerelease(), v.semver()));
                any.filter(|_| tag == "latest").map(|version| version.to_string())
            })
        };
        tags.extend(chosen.map(|version| (tag.clone(), version)));
    }
    tags
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
