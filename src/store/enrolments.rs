//! Enrolments: every revision is kept, the newest holds.

use countersign_core::{PackageName, enrolment::Enrolment};

use super::{
    Connection, Result, Writer,
    column::{At, Json},
};

/// Adds a revision. Refused by `enrolments_revision` where another one of that number came first.
pub async fn insert(writer: &mut Writer, enrolment: &Enrolment, factor_step: u64) -> Result<()> {
    sqlx::query(
        "insert into enrolments (package, revision, enrolment, confirmed_by, confirmed_at, factor_step)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(enrolment.package.as_str())
    .bind(enrolment.revision)
    .bind(Json(enrolment))
    .bind(&enrolment.confirmed_by)
    .bind(At(enrolment.confirmed_at))
    .bind(i64::try_from(factor_step).unwrap_or(i64::MAX))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The revision that holds now.
pub async fn current(at: &mut Connection, package: &PackageName) -> Result<Option<Enrolment>> {
    let row: Option<(Json<Enrolment>,)> = sqlx::query_as(
        "select enrolment from enrolments where package = $1 order by revision desc limit 1",
    )
    .bind(package.as_str())
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(|(enrolment,)| enrolment.0))
}

/// One revision.
pub async fn revision(
    at: &mut Connection,
    package: &PackageName,
    revision: u32,
) -> Result<Option<Enrolment>> {
    let row: Option<(Json<Enrolment>,)> =
        sqlx::query_as("select enrolment from enrolments where package = $1 and revision = $2")
            .bind(package.as_str())
            .bind(revision)
            .fetch_optional(at.sqlite())
            .await?;
    Ok(row.map(|(enrolment,)| enrolment.0))
}

/// The newest revision of every package, by name.
pub async fn all_current(at: &mut Connection) -> Result<Vec<Enrolment>> {
    let rows: Vec<(Json<Enrolment>,)> = sqlx::query_as(
        "select enrolment from enrolments as e
         where revision = (select max(revision) from enrolments where package = e.package)
         order by package",
    )
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(|(enrolment,)| enrolment.0).collect())
}
