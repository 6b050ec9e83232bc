//! Whether a commit may be believed: that the tag has not moved, that a branch reaches it, and what others who claim to
//! know the commit say.

use std::collections::BTreeMap;

use countersign_core::{
    Timestamp,
    finding::{Code, Finding, Severity},
    source::{Claim, Evidence, EvidenceKind, Reachable, Repository, Source, Trust},
};

use super::{CheckoutError, Wanted, oid::Oid, tags::Found, tree::Objects};

/// The source as the report shows it.
pub(super) fn source(
    wanted: &Wanted<'_>,
    repository: &Repository,
    objects: &Objects,
    found: &Found,
) -> Result<Source, CheckoutError> {
    let commit = found.commit.to_string();
    let seconds = objects.commit(found.commit)?.map_or(0, |(_, commit)| commit.seconds);
    let kind = if found.annotated { "annotated tag" } else { "tag" };
    let mut evidence = vec![Evidence {
        kind: EvidenceKind::Tag,
        commit: commit.clone(),
        agrees: true,
        detail: format!("The {kind} `{}` names it.", found.tag),
    }];
    evidence.extend(wanted.request.claims.iter().map(|claim| weighed(claim, &commit)));
    Ok(Source {
        trust: wanted.request.trust,
        repository: repository.clone(),
        directory: found.directory.clone(),
        tag: found.tag.clone(),
        commit,
        commit_time: Timestamp::from_seconds(seconds),
        enrolment_revision: wanted.request.enrolment_revision,
        evidence,
    })
}

fn weighed(claim: &Claim, commit: &str) -> Evidence {
    let agrees = claim.commit.eq_ignore_ascii_case(commit);
    let who = who(claim.kind);
    let detail = if agrees {
        format!("{who} names it.")
    } else {
        format!("{who} names `{}` instead.", claim.commit)
    };
    Evidence { kind: claim.kind, commit: claim.commit.clone(), agrees, detail }
}

fn who(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Tag => "The tag",
        EvidenceKind::GitHead => "`gitHead` of the staged package",
        EvidenceKind::Submission => "The submission",
        EvidenceKind::VersionHistory => "The history of package.json",
        EvidenceKind::BlobOverlap => "The likeness of the staged files",
    }
}

/// What speaks against the commit.
pub(super) fn doubts(
    wanted: &Wanted<'_>,
    objects: &Objects,
    refs: &BTreeMap<String, Oid>,
    found: &Found,
    source: &Source,
) -> Result<Vec<Finding>, CheckoutError> {
    let mut doubts = Vec::new();
    if let Some(first) = &wanted.request.first_sight
        && !first.commit.eq_ignore_ascii_case(&source.commit)
    {
        let message = format!(
            "The tag `{}` names the commit {}, and named {} when it was first seen at {}.",
            source.tag, source.commit, first.commit, first.at
        );
        doubts.push(Finding::new(Code::TagMoved, message));
    }
    if let Reachable::FromBranches(branches) = &wanted.request.reachable {
        doubts.extend(off_branches(branches, objects, refs, found, source)?);
    }
    let disagreeing = source.evidence.iter().filter(|evidence| !evidence.agrees);
    doubts.extend(disagreeing.map(|evidence| {
        let message = format!(
            "{} names the commit `{}`, and the tag `{}` names {}.",
            who(evidence.kind),
            evidence.commit,
            source.tag,
            source.commit
        );
        let finding = Finding::new(Code::EvidenceDisagrees, message);
        match evidence.kind {
            EvidenceKind::Tag | EvidenceKind::Submission => finding,
            // npm writes `gitHead` from whatever work tree it is started in, and what is inferred is no claim of anybody's.
            EvidenceKind::GitHead | EvidenceKind::VersionHistory | EvidenceKind::BlobOverlap => {
                finding.weighing(Severity::Warning)
            }
        }
    }));
    Ok(doubts)
}

/// What branches and tags name, as far as they count: an enrolled repository's own branches, and in `check` also those that
/// a clone keeps of where it came from.
pub(super) fn tips(trust: Trust, refs: &BTreeMap<String, Oid>) -> (Vec<Oid>, Vec<Oid>) {
    let is_tag = |name: &str| name.starts_with("refs/tags/");
    let is_branch = |name: &str| match trust {
        Trust::Enrolled => name.starts_with("refs/heads/"),
        Trust::Given | Trust::SelfDeclared => !is_tag(name),
    };
    let named = |counts: &dyn Fn(&str) -> bool| {
        refs.iter().filter(|(name, _)| counts(name)).map(|(_, object)| *object).collect()
    };
    (named(&is_branch), named(&is_tag))
}

fn off_branches(
    branches: &[String],
    objects: &Objects,
    refs: &BTreeMap<String, Oid>,
    found: &Found,
    source: &Source,
) -> Result<Option<Finding>, CheckoutError> {
    let tips: Vec<Oid> = branches
        .iter()
        .filter_map(|branch| {
            let name = branch.strip_prefix("refs/heads/").unwrap_or(branch);
            refs.get(&format!("refs/heads/{name}")).copied()
        })
        .collect();
    if objects.reaches(&tips, found.commit)? {
        return Ok(None);
    }
    let named: Vec<String> = branches.iter().map(|branch| format!("`{branch}`")).collect();
    let message = format!(
        "The commit {} (tag `{}`) is on none of the enrolled branches: {}.",
        source.commit,
        source.tag,
        if named.is_empty() { "none is enrolled".to_owned() } else { named.join(", ") }
    );
    Ok(Some(Finding::new(Code::CommitNotOnBranch, message)))
}
