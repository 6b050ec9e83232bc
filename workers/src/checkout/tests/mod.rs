//! The checkout against real repositories, made by the git program and read from folders and over loopback HTTP.

mod attacks;
mod endings;
mod history;
mod hostile;
pub(crate) mod liars;
mod packs;
mod repository;
pub(super) mod served;
mod sources;
mod torn;

use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool, time::Duration};

use countersign_core::{
    PackageName, Version,
    finding::{Code, Finding, Severity},
    package_json::PackageJson,
    rebuild::Ending,
    source::{Claim, EvidenceKind, FirstSight, Reachable, Reference, SourceRequest, Trust},
};

use self::repository::Made;
use super::{Checkout, GitCache, Kind, Outcome, Wanted, reader::Door};
use crate::{
    http::ClientConfig,
    progress::{Unheard, Watch},
    reach::Reach,
};

pub(super) static GO_ON: AtomicBool = AtomicBool::new(false);

pub(super) fn watch() -> Watch<'static> {
    Watch { progress: &Unheard, cancel: &GO_ON }
}

pub(super) fn cache(folder: &Path) -> GitCache {
    let Door { base, init, .. } = door();
    let reach = Reach::default().naming("127.0.0.1");
    GitCache::new(folder, &ClientConfig::default(), &reach, (&base, &init))
}

/// Cells whose door is the program of these tests.
pub(super) fn door() -> Door {
    let base = std::env::temp_dir().join("countersign-test-cells");
    Door::new(&base, Path::new("/proc/self/exe"))
}

/// A search for `pad@1.3.1`, to be changed by a test where it matters.
pub(super) struct Search {
    pub cache: tempfile::TempDir,
    pub name: PackageName,
    pub version: Version,
    pub staged: PackageJson,
    pub request: SourceRequest,
}

impl Search {
    /// In that repository as somebody gave it, under the tag v1.3.1.
    pub(super) fn given(repository: &str) -> Self {
        Self {
            cache: tempfile::tempdir().unwrap(),
            name: "pad".parse().unwrap(),
            version: "1.3.1".parse().unwrap(),
            staged: PackageJson::parse(br#"{"name":"pad","version":"1.3.1"}"#).unwrap(),
            request: SourceRequest {
                trust: Trust::Given,
                repository: Some(repository.parse().unwrap()),
                directory: None,
                reference: Reference::Named("v1.3.1".to_owned()),
                reachable: Reachable::FromAnyRef,
                enrolment_revision: None,
                first_sight: None,
                claims: Vec::new(),
            },
        }
    }

    /// In that repository as a maintainer enrolled it: the root folder, the branch main.
    pub(super) fn enrolled(repository: &str) -> Self {
        let mut search = Self::given(repository);
        search.request.trust = Trust::Enrolled;
        search.request.directory = Some(Default::default());
        search.request.reachable = Reachable::FromBranches(vec!["main".to_owned()]);
        search.request.enrolment_revision = Some(1);
        search
    }

    pub(super) fn staged(mut self, package_json: &str) -> Self {
        self.staged = PackageJson::parse(package_json.as_bytes()).unwrap();
        self
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.name,
            version: &self.version,
            request: &self.request,
            staged: &self.staged,
        }
    }

    pub(super) fn run(&self) -> Outcome {
        cache(self.cache.path()).check_out(&self.wanted(), watch()).unwrap()
    }

    pub(super) fn ready(&self) -> Checkout {
        match self.run() {
            Outcome::Ready(checkout) => *checkout,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn refused(&self) -> Vec<Finding> {
        match self.run() {
            Outcome::Refused { findings, .. } => {
                assert!(findings.iter().any(|f| f.severity == Severity::Fail), "{findings:?}");
                findings
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn undetermined(&self) -> Finding {
        match self.run() {
            Outcome::Undetermined { reason, .. } => *reason,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn missing(&self) -> (String, Finding) {
        match self.run() {
            Outcome::TagMissing { tag, finding } => (tag, *finding),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// Everything that a checkout exports.
pub(super) fn exported(checkout: &Checkout) -> BTreeMap<String, (Kind, String)> {
    let mut files = BTreeMap::new();
    let mut put = |path: &str, kind: Kind, bytes: &[u8]| {
        files.insert(path.to_owned(), (kind, String::from_utf8_lossy(bytes).into_owned()));
        Ok::<(), super::CheckoutError>(())
    };
    checkout.tree.export(&mut put).unwrap().unwrap();
    files
}
