//! Lists of verifications as pages, `npm stage list` and the verify API show them: each with its verdict and decision, and
//! only what the asker may see. Who may see what is said by the caller in the [`Filter`].

use countersign_core::{
    PackageName, Sha512, Timestamp, Version,
    finding::Class,
    protocol::{VerdictId, VerificationId},
    verdict::Outcome,
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Connection, Result,
    column::{At, Count, Flag, Text, Word},
    decisions::Kind,
    verifications::{self, Origin, Verification},
};

/// Which verifications. Each field that is set narrows the list.
#[derive(Clone, Default, Debug)]
pub struct Filter {
    /// Those of the packages of this maintainer.
    pub maintainer: Option<String>,
    /// Those of the packages that this token is limited to; not to be set for a token for every package.
    pub limited_token: Option<Uuid>,
    /// Those of this package.
    pub package: Option<PackageName>,
    /// Those of this version.
    pub version: Option<Version>,
    /// Those of these bytes.
    pub sha512: Option<Sha512>,
    /// Those from there.
    pub origin: Option<Origin>,
    /// Those that nobody decided or withdrew yet.
    pub live_only: bool,
    /// This one alone.
    pub verification: Option<VerificationId>,
}

/// One line of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The verification.
    pub verification: Verification,
    /// The verdict that stands.
    pub verdict: Option<ListedVerdict>,
    /// What was decided.
    pub decision: Option<ListedDecision>,
}

/// A verdict in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedVerdict {
    /// Which one.
    pub id: VerdictId,
    /// What it says.
    pub outcome: Outcome,
    /// Why it is a fail.
    pub class: Option<Class>,
    /// Its sentence.
    pub summary: String,
    /// The tag of its source.
    pub tag: Option<String>,
    /// The commit of its source.
    pub commit: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A decision in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedDecision {
    /// What was decided.
    pub kind: Kind,
    /// By which maintainer.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Whether it was released without a pass.
    pub unverified: bool,
    /// When it went live.
    pub released_at: Option<Timestamp>,
}

/// At most `limit` of them after leaving out `offset`, newest first.
pub async fn list(
    at: &mut Connection,
    filter: &Filter,
    offset: u64,
    limit: u32,
) -> Result<Vec<Listed>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select v.*, a.outcome, a.class, a.summary, a.tag, a.commit_id, a.revoked_at,
            d.decision, d.decided_by, d.decided_at, d.unverified, d.released_at
         from verifications as v
         left join attempts as a on a.verdict_id = v.verdict_id
         left join decisions as d on d.verification = v.id
         where ($1 is null or v.package in (select package from package_maintainers where maintainer = $1))
           and ($2 is null or v.package in (select package from token_packages where token = $2))
           and ($3 is null or v.package = $3) and ($4 is null or v.version = $4)
           and ($5 is null or v.sha512 = $5) and ($6 is null or v.origin = $6)
           and ($7 = 0 or v.closed_at is null) and ($8 is null or v.id = $8)
         order by v.created_at desc, v.id desc limit $9 offset $10",
    )
    .bind(&filter.maintainer)
    .bind(filter.limited_token.map(Text))
    .bind(filter.package.as_ref().map(PackageName::as_str))
    .bind(filter.version.as_ref().map(Version::as_str))
    .bind(filter.sha512.map(Text))
    .bind(filter.origin.map(Word))
    .bind(Flag(filter.live_only))
    .bind(filter.verification.map(Text))
    .bind(limit)
    .bind(Count(offset))
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// The line of one verification.
pub async fn find(at: &mut Connection, id: VerificationId) -> Result<Option<Listed>> {
    let filter = Filter { verification: Some(id), ..Filter::default() };
    Ok(list(at, &filter, 0, 1).await?.pop())
}

/// How many there are.
pub async fn count(at: &mut Connection, filter: &Filter) -> Result<u64> {
    let counted: Count = sqlx::query_scalar(
        "select count(*) from verifications as v
         where ($1 is null or v.package in (select package from package_maintainers where maintainer = $1))
           and ($2 is null or v.package in (select package from token_packages where token = $2))
           and ($3 is null or v.package = $3) and ($4 is null or v.version = $4)
           and ($5 is null or v.sha512 = $5) and ($6 is null or v.origin = $6)
           and ($7 = 0 or v.closed_at is null) and ($8 is null or v.id = $8)",
    )
    .bind(&filter.maintainer)
    .bind(filter.limited_token.map(Text))
    .bind(filter.package.as_ref().map(PackageName::as_str))
    .bind(filter.version.as_ref().map(Version::as_str))
    .bind(filter.sha512.map(Text))
    .bind(filter.origin.map(Word))
    .bind(Flag(filter.live_only))
    .bind(filter.verification.map(Text))
    .fetch_one(at.sqlite())
    .await?;
    Ok(counted.0)
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    verification: verifications::Row,
    outcome: Option<Word<Outcome>>,
    class: Option<Word<Class>>,
    summary: Option<String>,
    tag: Option<String>,
    commit_id: Option<String>,
    revoked_at: Option<At>,
    decision: Option<Word<Kind>>,
    decided_by: Option<String>,
    decided_at: Option<At>,
    unverified: Option<Flag>,
    released_at: Option<At>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        let verification = Verification::from(row.verification);
        let verdict = verification.verdict.zip(row.outcome).map(|(id, outcome)| ListedVerdict {
            id,
            outcome: outcome.0,
            class: row.class.map(|class| class.0),
            summary: row.summary.unwrap_or_default(),
            tag: row.tag,
            commit: row.commit_id,
            revoked_at: row.revoked_at.map(|at| at.0),
        });
        let decision = row.decision.zip(row.decided_at).map(|(kind, at)| ListedDecision {
            kind: kind.0,
            by: row.decided_by.unwrap_or_default(),
            at: at.0,
            unverified: row.unverified.is_some_and(|flag| flag.0),
            released_at: row.released_at.map(|at| at.0),
        });
        Self { verification, verdict, decision }
    }
}
