//! The commit that each tag named when it was first seen.

use countersign_core::{
    PackageName,
    source::{FirstSight, Repository},
};

use super::{Connection, Result, Writer, column::At};

/// The first sight of a tag.
pub async fn find(
    at: &mut Connection,
    package: &PackageName,
    repository: &Repository,
    tag: &str,
) -> Result<Option<FirstSight>> {
    let row: Option<(String, At)> = sqlx::query_as(
        "select commit_id, seen_at from tag_sights
         where package = $1 and repository = $2 and tag = $3",
    )
    .bind(package.as_str())
    .bind(repository.as_str())
    .bind(tag)
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(|(commit, seen_at)| FirstSight { commit, at: seen_at.0 }))
}

/// Writes a first sight down. False, and nothing is changed, where the tag was seen before.
pub async fn record(
    writer: &mut Writer,
    package: &PackageName,
    repository: &Repository,
    tag: &str,
    sight: &FirstSight,
) -> Result<bool> {
    let added = sqlx::query(
        "insert into tag_sights (package, repository, tag, commit_id, seen_at)
         values ($1, $2, $3, $4, $5) on conflict (package, repository, tag) do nothing",
    )
    .bind(package.as_str())
    .bind(repository.as_str())
    .bind(tag)
    .bind(&sight.commit)
    .bind(At(sight.at))
    .execute(writer.sqlite())
    .await?;
    Ok(added.rows_affected() == 1)
}
