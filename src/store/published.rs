//! Published versions and dist-tags: what `npm install` gets from us.

use std::collections::BTreeMap;

use countersign_core::{
    Access, PackageName, Sha1, Sha512, Timestamp, Version, protocol::VerificationId,
};
use serde_json::Value;
use sqlx::FromRow;

use super::{
    Connection, Result, Writer,
    column::{At, Count, Flag, Json, Text, Word},
};

/// A version that is live.
#[derive(Clone, PartialEq, Debug)]
pub struct Published {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// The stage that it was released from.
    pub verification: VerificationId,
    /// The version's manifest, without `dist`.
    pub manifest: Value,
    /// The digest of the tarball, and its name in the blob store.
    pub sha512: Sha512,
    /// npm's SHA-1 of it.
    pub shasum: Sha1,
    /// Its size.
    pub bytes: u64,
    /// Who may install it.
    pub access: Access,
    /// Whether it was released without a pass.
    pub unverified: bool,
    /// When it went live.
    pub released_at: Timestamp,
}

/// Publishes a version. Refused by `published_versions_version` where that version is live from another stage.
pub async fn insert(writer: &mut Writer, new: &Published) -> Result<()> {
    sqlx::query(
        "insert into published_versions (package, version, verification, manifest, sha512, shasum, bytes, access,
            unverified, released_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.package.as_str())
    .bind(new.version.as_str())
    .bind(Text(new.verification))
    .bind(Json(&new.manifest))
    .bind(Text(new.sha512))
    .bind(Text(new.shasum))
    .bind(Count(new.bytes))
    .bind(Word(new.access))
    .bind(Flag(new.unverified))
    .bind(At(new.released_at))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// Lets a dist-tag name this version.
pub async fn set_dist_tag(
    writer: &mut Writer,
    package: &PackageName,
    tag: &str,
    version: &Version,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "insert into dist_tags (package, tag, version, set_at) values ($1, $2, $3, $4)
         on conflict (package, tag) do update set version = excluded.version, set_at = excluded.set_at",
    )
    .bind(package.as_str())
    .bind(tag)
    .bind(version.as_str())
    .bind(At(now))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// One version.
pub async fn find(
    at: &mut Connection,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Published>> {
    let row: Option<Row> =
        sqlx::query_as("select * from published_versions where package = $1 and version = $2")
            .bind(package.as_str())
            .bind(version.as_str())
            .fetch_optional(at.sqlite())
            .await?;
    Ok(row.map(Published::from))
}

/// Every version of a package, in the order of their release.
pub async fn of(at: &mut Connection, package: &PackageName) -> Result<Vec<Published>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from published_versions where package = $1 order by released_at, version",
    )
    .bind(package.as_str())
    .fetch_all(at.sqlite())
    .await?;
    Ok(rows.into_iter().map(Published::from).collect())
}

/// The dist-tags of a package.
pub async fn dist_tags(
    at: &mut Connection,
    package: &PackageName,
) -> Result<BTreeMap<String, Version>> {
    let rows: Vec<(String, Text<Version>)> =
        sqlx::query_as("select tag, version from dist_tags where package = $1")
            .bind(package.as_str())
            .fetch_all(at.sqlite())
            .await?;
    Ok(rows.into_iter().map(|(tag, version)| (tag, version.0)).collect())
}

#[derive(FromRow)]
struct Row {
    package: Text<PackageName>,
    version: Text<Version>,
    verification: Text<VerificationId>,
    manifest: Json<Value>,
    sha512: Text<Sha512>,
    shasum: Text<Sha1>,
    bytes: Count,
    access: Word<Access>,
    unverified: Flag,
    released_at: At,
}

impl From<Row> for Published {
    fn from(row: Row) -> Self {
        Self {
            package: row.package.0,
            version: row.version.0,
            verification: row.verification.0,
            manifest: row.manifest.0,
            sha512: row.sha512.0,
            shasum: row.shasum.0,
            bytes: row.bytes.0,
            access: row.access.0,
            unverified: row.unverified.0,
            released_at: row.released_at.0,
        }
    }
}
