//! Looking back: what the repository's history says of a tarball once it was compared. It adds evidence and explanations to
//! what was observed, and can make nothing pass: what cannot be looked up is left out.

use countersign_core::{
    Subject,
    archive::Archive,
    compare::Comparison,
    finding::{Code, Finding, Severity},
    mend::{self, Committed, Mend},
    source::Evidence,
    verdict::Observations,
};

use crate::checkout::{Checkout, CheckoutError, HistoryPlace, Kind};

/// Adds the evidence that can be inferred, and where the staged files are `differing` from the rebuilt ones, what the history
/// says of these. Reads git's objects and blocks the calling thread.
pub(crate) fn look_back(
    place: &HistoryPlace,
    subject: &Subject,
    staged: &Archive,
    differing: Option<&Comparison>,
    seen: &mut Observations,
) {
    let inferred = told(place.evidence(staged, &subject.version)).unwrap_or_default();
    if let Some(comparison) = differing {
        seen.history = told(place.look_up(staged, comparison));
        seen.findings.extend(inferred.iter().filter_map(doubt));
    }
    if let Some(source) = &mut seen.source {
        source.evidence.extend(inferred);
    }
}

/// Changes to the repository that take the causes of differences away, from the few committed files that they change.
/// Reads git's objects and blocks the calling thread.
pub(crate) fn mends(comparison: &Comparison, checkout: &Checkout) -> Vec<Mend> {
    let directory = &checkout.source.directory;
    let needed = mend::needed(comparison, directory);
    let mut committed = mend::Tree::new();
    let mut put = |path: &str, kind: Kind, bytes: &[u8]| -> Result<(), CheckoutError> {
        if let Kind::File { executable } = kind {
            committed.insert(path.to_owned(), Committed { text: bytes.to_owned(), executable });
        }
        Ok(())
    };
    // What cannot be read cannot be changed either.
    match told(checkout.tree.only(|path| needed.contains(path)).export(&mut put)) {
        Some(Ok(())) => mend::mends(comparison, directory, &committed),
        Some(Err(_)) | None => Vec::new(),
    }
}

/// What an inference that leads to another commit is worth: a warning, and only beside files that differ. Where they are the
/// same, the rebuild has shown where they come from, and no likeness to another commit takes anything away from that.
fn doubt(evidence: &Evidence) -> Option<Finding> {
    if evidence.agrees {
        return None;
    }
    let finding = Finding::new(Code::EvidenceDisagrees, evidence.detail.clone());
    Some(finding.weighing(Severity::Warning))
}

fn told<T>(looked_up: Result<T, CheckoutError>) -> Option<T> {
    match looked_up {
        Ok(found) => Some(found),
        Err(error) => {
            tracing::warn!(%error, "the history could not be looked through");
            None
        }
    }
}
