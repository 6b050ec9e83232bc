//! API tokens with their scopes and packages, found by the digest of their secret.

use countersign_core::{PackageName, Sha256, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Connection, Result, Writer,
    column::{At, Flag, Json, Text},
};

/// What a token may do. No scope can approve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Submit verifications.
    Verify,
    /// Read verifications, reports and verdicts.
    Read,
    /// Stage releases, as CI does with `npm stage publish`.
    Stage,
    /// Lease jobs.
    Worker,
    /// Everything else that a machine may do.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Verify, Self::Read, Self::Stage, Self::Worker, Self::Admin];

    /// The word, as in `--scope`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Read => "read",
            Self::Stage => "stage",
            Self::Worker => "worker",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a scope: verify, read, stage, worker or admin"))
    }
}

/// Which packages a token is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packages {
    /// Every one, also those that come later.
    Every,
    /// These.
    Only(Vec<PackageName>),
}

impl Packages {
    /// Whether this one is among them.
    pub fn contain(&self, package: &PackageName) -> bool {
        match self {
            Self::Every => true,
            Self::Only(listed) => listed.contains(package),
        }
    }
}

/// A token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Names the token in lists and logs.
    pub id: Uuid,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// For which packages.
    pub packages: Packages,
    /// Who made it: a maintainer's name, `operator` or `serve`.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was ended before.
    pub revoked_at: Option<Timestamp>,
}

/// Makes a token whose secret has this digest.
pub async fn insert(writer: &mut Writer, token: &Token, secret: Sha256) -> Result<()> {
    sqlx::query(
        "insert into tokens (id, secret_sha256, scopes, every_package, created_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Text(token.id))
    .bind(Text(secret))
    .bind(Json(&token.scopes))
    .bind(Flag(token.packages == Packages::Every))
    .bind(&token.created_by)
    .bind(At(token.created_at))
    .bind(At(token.expires_at))
    .execute(writer.sqlite())
    .await?;
    let listed: &[PackageName] = match &token.packages {
        Packages::Every => &[],
        Packages::Only(listed) => listed,
    };
    for package in listed {
        sqlx::query("insert into token_packages (token, package) values ($1, $2)")
            .bind(Text(token.id))
            .bind(package.as_str())
            .execute(writer.sqlite())
            .await?;
    }
    Ok(())
}

/// The live token of that secret: neither expired nor revoked.
pub async fn find_live(
    at: &mut Connection,
    secret: Sha256,
    now: Timestamp,
) -> Result<Option<Token>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, scopes, every_package, created_by, created_at, expires_at, revoked_at from tokens
         where secret_sha256 = $1 and revoked_at is null and expires_at > $2",
    )
    .bind(Text(secret))
    .bind(At(now))
    .fetch_optional(at.sqlite())
    .await?;
    match row {
        Some(row) => Ok(Some(with_packages(at, row).await?)),
        None => Ok(None),
    }
}

/// Every token, newest first.
pub async fn all(at: &mut Connection) -> Result<Vec<Token>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, scopes, every_package, created_by, created_at, expires_at, revoked_at from tokens
         order by created_at desc, id",
    )
    .fetch_all(at.sqlite())
    .await?;
    let mut tokens = Vec::with_capacity(rows.len());
    for row in rows {
        tokens.push(with_packages(at, row).await?);
    }
    Ok(tokens)
}

/// Ends a token. False where there is none of that id that lives.
pub async fn revoke(writer: &mut Writer, id: Uuid, now: Timestamp) -> Result<bool> {
    let changed =
        sqlx::query("update tokens set revoked_at = $2 where id = $1 and revoked_at is null")
            .bind(Text(id))
            .bind(At(now))
            .execute(writer.sqlite())
            .await?;
    Ok(changed.rows_affected() == 1)
}

#[derive(FromRow)]
struct Row {
    id: Text<Uuid>,
    scopes: Json<Vec<Scope>>,
    every_package: Flag,
    created_by: String,
    created_at: At,
    expires_at: At,
    revoked_at: Option<At>,
}

async fn with_packages(at: &mut Connection, row: Row) -> Result<Token> {
    let packages = if row.every_package.0 {
        Packages::Every
    } else {
        let listed: Vec<(Text<PackageName>,)> =
            sqlx::query_as("select package from token_packages where token = $1 order by package")
                .bind(Text(row.id.0))
                .fetch_all(at.sqlite())
                .await?;
        Packages::Only(listed.into_iter().map(|(name,)| name.0).collect())
    };
    Ok(Token {
        id: row.id.0,
        scopes: row.scopes.0,
        packages,
        created_by: row.created_by,
        created_at: row.created_at.0,
        expires_at: row.expires_at.0,
        revoked_at: row.revoked_at.map(|at| at.0),
    })
}
