//! Maintainers, their two factors, and whose packages are whose. Whether a code is right is not known here.

use countersign_core::{PackageName, Timestamp};
use sqlx::FromRow;

use super::{Connection, Result, Writer, column::At};

/// A person who can approve.
#[derive(Clone)]
pub struct Maintainer {
    /// The name, which never changes.
    pub name: String,
    /// PHC string of argon2id.
    pub password_hash: String,
    /// The seed of the one-time codes, in base32.
    pub totp_secret: String,
    /// The step of the last accepted code.
    pub totp_last_step: Option<u64>,
    /// When the maintainer was added.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Maintainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maintainer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Adds a maintainer. Refused by `maintainers_name` where there is one of that name.
pub async fn insert(writer: &mut Writer, maintainer: &Maintainer) -> Result<()> {
    sqlx::query(
        "insert into maintainers (name, password_hash, totp_secret, created_at)
         values ($1, $2, $3, $4)",
    )
    .bind(&maintainer.name)
    .bind(&maintainer.password_hash)
    .bind(&maintainer.totp_secret)
    .bind(At(maintainer.created_at))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// The maintainer of that name.
pub async fn find(at: &mut Connection, name: &str) -> Result<Option<Maintainer>> {
    let row: Option<Row> = sqlx::query_as(
        "select name, password_hash, totp_secret, totp_last_step, created_at
         from maintainers where name = $1",
    )
    .bind(name)
    .fetch_optional(at.sqlite())
    .await?;
    Ok(row.map(Maintainer::from))
}

/// Records that a code of this step was accepted. False, and nothing is changed, where it does not exceed the last.
pub async fn accept_step(writer: &mut Writer, name: &str, step: u64) -> Result<bool> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let changed = sqlx::query(
        "update maintainers set totp_last_step = $2
         where name = $1 and (totp_last_step is null or totp_last_step < $2)",
    )
    .bind(name)
    .bind(step)
    .execute(writer.sqlite())
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Makes this maintainer one of the package's; nothing happens where they are already.
pub async fn add_to_package(
    writer: &mut Writer,
    name: &str,
    package: &PackageName,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "insert into package_maintainers (package, maintainer, added_at) values ($1, $2, $3)
         on conflict (package, maintainer) do nothing",
    )
    .bind(package.as_str())
    .bind(name)
    .bind(At(now))
    .execute(writer.sqlite())
    .await?;
    Ok(())
}

/// Whether this maintainer is one of the package's.
pub async fn maintains(at: &mut Connection, name: &str, package: &PackageName) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "select 1 from package_maintainers where package = $1 and maintainer = $2",
    )
    .bind(package.as_str())
    .bind(name)
    .fetch_optional(at.sqlite())
    .await?;
    Ok(found.is_some())
}

/// The maintainers of a package, by name.
pub async fn of_package(at: &mut Connection, package: &PackageName) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select maintainer from package_maintainers where package = $1 order by maintainer",
    )
    .bind(package.as_str())
    .fetch_all(at.sqlite())
    .await?)
}

#[derive(FromRow)]
struct Row {
    name: String,
    password_hash: String,
    totp_secret: String,
    totp_last_step: Option<i64>,
    created_at: At,
}

impl From<Row> for Maintainer {
    fn from(row: Row) -> Self {
        Self {
            name: row.name,
            password_hash: row.password_hash,
            totp_secret: row.totp_secret,
            totp_last_step: row.totp_last_step.and_then(|step| u64::try_from(step).ok()),
            created_at: row.created_at.0,
        }
    }
}
