//! Looking back: what the repository's history says of a tarball once it was compared. It adds evidence and explanations to
//! what was observed, and can make nothing pass: what cannot be looked up is left out.

use countersign_core::{
    Subject,
    archive::Archive,
    compare::Comparison,
    finding::{Code, Finding, Severity},
    source::Evidence,
    verdict::Observations,
};

use crate::checkout::{CheckoutError, HistoryPlace};

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
