//! Passwords, one-time codes and sessions. Every guess is written down in the database before it is looked at, so limits
//! hold across processes; every accepted code exceeds the last one, so none counts twice. What a code opens is not known
//! here.

use std::sync::LazyLock;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use countersign_core::{
    Timestamp,
    limits::{
        CODE_SKEW_STEPS, CODE_STEP_SECONDS, GUESS_WINDOW_SECONDS, GUESSES_MAX, SESSION_HOURS,
    },
};
use countersign_worker::upstream::Secret;
use serde_json::json;
use tokio::sync::Semaphore;
use totp_rs::{Builder, Totp};
use uuid::Uuid;

use crate::{
    app::App,
    asker::new_session_secret,
    store::{
        self, Writer,
        events::{self, Event, EventKind},
        guesses::{self, GuessedFactor},
        maintainers::{self, Maintainer},
        sessions::{self, Session, SessionKind},
    },
};

/// What authenticators show as the account's place.
const ISSUER: &str = "Countersign";
/// The fewest characters of a password (NIST SP 800-63B, 3.1.1.2, where it stands beside a second factor: 8; we ask for
/// more, since guesses are limited but lists of leaked passwords are long).
const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Passwords hashed at once by one process: each takes 19 MiB and a core for some 50 ms.
const HASHES_AT_ONCE: usize = 4;

static HASHING: Semaphore = Semaphore::const_new(HASHES_AT_ONCE);
/// A hash that no password has, so that an unknown account costs as much time as a wrong password.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let mut password = [0; 32];
    getrandom::fill(&mut password).expect("the kernel gives random bytes");
    hash(&password)
});

/// Why a code is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodeRefused {
    /// It is no code of now.
    #[error("the one-time password is wrong; take the one that your authenticator shows now")]
    Wrong,
    /// It was right and has been used, or an older one than the last used.
    #[error("this code was used; wait for the next, {wait_seconds} s")]
    Used {
        /// Until the next code is acceptable.
        wait_seconds: u64,
    },
    /// The limit is reached: the code was not looked at.
    #[error("too many wrong one-time passwords; try again in {wait_seconds} s")]
    TooMany {
        /// Until one may be tried again.
        wait_seconds: u64,
    },
}

/// Checks a code of a maintainer and spends it; gives the step that it belongs to. Whatever the answer is, the writer has
/// to be committed for it to count: a wrong guess that is rolled back was never made.
pub async fn spend_code(
    writer: &mut Writer,
    account: &str,
    code: &str,
    now: Timestamp,
) -> store::Result<Result<u64, CodeRefused>> {
    if let Some(wait_seconds) = exhausted(writer, account, GuessedFactor::Code, now).await? {
        return Ok(Err(CodeRefused::TooMany { wait_seconds }));
    }
    let Some(maintainer) = maintainers::find(writer, account).await? else {
        return Ok(Err(CodeRefused::Wrong));
    };
    let seconds = u64::try_from(now.as_seconds()).unwrap_or(0);
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is(crate::sabotage::ANY_CODE) {
        return Ok(Ok(seconds / CODE_STEP_SECONDS));
    }
    match totp(&maintainer.totp_secret, account).check(code.trim(), seconds) {
        None => {
            write_guess(writer, account, GuessedFactor::Code, now).await?;
            Ok(Err(CodeRefused::Wrong))
        }
        Some(step) if maintainers::accept_step(writer, account, step).await? => Ok(Ok(step)),
        Some(_) => {
            let next = (maintainer.totp_last_step.unwrap_or(0) + 1) * CODE_STEP_SECONDS;
            Ok(Err(CodeRefused::Used { wait_seconds: next.saturating_sub(seconds).max(1) }))
        }
    }
}

/// What somebody shows who signs in.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// What the session is for. The pages ask for a code; `npm login` takes one if it is sent, since its session by itself
    /// releases nothing.
    pub kind: SessionKind,
    /// The maintainer.
    pub name: &'a str,
    /// The password.
    pub password: &'a Secret,
    /// The code.
    pub code: Option<&'a str>,
}

/// A session that began, with the secret that is shown once.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What the client shows from now on.
    pub secret: Secret,
    /// The session.
    pub session: Session,
}

/// Why a sign-in is refused.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefused {
    /// No such account, or another password: which of the two is not said.
    #[error("the name or the password is wrong")]
    Wrong,
    /// The limit is reached: the password was not looked at.
    #[error("too many wrong passwords; try again in {wait_seconds} s")]
    TooMany {
        /// Until one may be tried again.
        wait_seconds: u64,
    },
    /// The password is right, and a code is needed as well.
    #[error("signing in needs a one-time password from your authenticator")]
    CodeMissing,
    /// The password is right, and the code is not accepted.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// Our own failure.
    #[error("the sign-in could not be looked at")]
    Store(#[from] store::Error),
}

/// Opens a session for whoever shows both factors.
pub async fn sign_in(app: &App, shown: SignIn<'_>) -> Result<NewSession, SignInRefused> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    if let Some(wait_seconds) =
        exhausted(&mut writer, shown.name, GuessedFactor::Password, now).await?
    {
        return Err(SignInRefused::TooMany { wait_seconds });
    }
    let guess = write_guess(&mut writer, shown.name, GuessedFactor::Password, now).await?;
    let known = maintainers::find(&mut writer, shown.name).await?;
    writer.commit().await?;

    if !password_matches(known.as_ref(), shown.password).await {
        return Err(SignInRefused::Wrong);
    }
    let mut writer = app.store.write().await?;
    guesses::remove(&mut writer, guess).await?;
    let code_step = match (shown.kind, shown.code) {
        (SessionKind::Page, None) => {
            writer.commit().await?;
            return Err(SignInRefused::CodeMissing);
        }
        (SessionKind::Npm, None) => None,
        (SessionKind::Npm | SessionKind::Page, Some(code)) => {
            match spend_code(&mut writer, shown.name, code, now).await? {
                Ok(step) => Some(step),
                Err(refused) => {
                    writer.commit().await?;
                    return Err(refused.into());
                }
            }
        }
    };
    let begun = open_session(&mut writer, shown, code_step, now).await?;
    writer.commit().await?;
    Ok(begun)
}

async fn open_session(
    writer: &mut Writer,
    shown: SignIn<'_>,
    code_step: Option<u64>,
    now: Timestamp,
) -> store::Result<NewSession> {
    let (secret, digest) = new_session_secret();
    let hours = i64::try_from(SESSION_HOURS).unwrap_or(i64::MAX);
    let session = Session {
        id: Uuid::new_v4(),
        kind: shown.kind,
        maintainer: shown.name.to_owned(),
        created_at: now,
        expires_at: now.plus_seconds(hours * 3600),
        revoked_at: None,
    };
    sessions::insert(writer, &session, digest).await?;
    let data = json!({ "session": session.id, "kind": session.kind, "factor_step": code_step });
    events::append(writer, &about(EventKind::SignedIn, shown.name, now, data)).await?;
    Ok(NewSession { secret, session })
}

/// Ends a session before its time.
pub async fn sign_out(app: &App, session: &Session) -> store::Result<()> {
    let now = app.now();
    let mut writer = app.store.write().await?;
    if sessions::revoke(&mut writer, session.id, now).await? {
        let data = json!({ "session": session.id });
        let event = about(EventKind::SignedOut, &session.maintainer, now, data);
        events::append(&mut writer, &event).await?;
    }
    writer.commit().await
}

/// Why a maintainer is not added.
#[derive(Debug, thiserror::Error)]
pub enum MaintainerRefused {
    /// There is one of that name.
    #[error("there is a maintainer `{0}` already")]
    Exists(String),
    /// The name cannot be one.
    #[error(
        "`{0}` cannot be a maintainer's name: write 1 to 64 lower-case letters, digits, `-`, `_` and `.`"
    )]
    Name(String),
    /// The password is too short.
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters")]
    Password,
    /// Our own failure.
    #[error("the maintainer could not be added")]
    Store(#[from] store::Error),
}

/// What a new maintainer's authenticator needs; shown once.
#[derive(Clone, Debug)]
pub struct NewMaintainer {
    /// `otpauth://totp/…`, as a QR code or by hand.
    pub otpauth: Secret,
}

/// Adds a maintainer with this password and a fresh seed of codes.
pub async fn add_maintainer(
    app: &App,
    name: &str,
    password: &Secret,
) -> Result<NewMaintainer, MaintainerRefused> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(MaintainerRefused::Name(name.to_owned()));
    }
    if password.expose().chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err(MaintainerRefused::Password);
    }
    let now = app.now();
    let seed = totp_rs::Secret::generate().to_base32();
    let maintainer = Maintainer {
        name: name.to_owned(),
        password_hash: hash_password(password).await,
        totp_secret: seed.clone(),
        totp_last_step: None,
        created_at: now,
    };
    let mut writer = app.store.write().await?;
    match maintainers::insert(&mut writer, &maintainer).await {
        Err(error) if error.is_refused_by("maintainers_name") => {
            return Err(MaintainerRefused::Exists(name.to_owned()));
        }
        other => other?,
    }
    let event = about(EventKind::MaintainerAdded, "operator", now, json!({ "maintainer": name }));
    events::append(&mut writer, &event).await?;
    writer.commit().await?;
    let url = totp(&seed, name).to_url().expect("name and issuer have no colon");
    Ok(NewMaintainer { otpauth: Secret::new(&url) })
}

fn about(kind: EventKind, actor: &str, at: Timestamp, data: serde_json::Value) -> Event {
    Event { kind, verification: None, package: None, actor: actor.to_owned(), at, data }
}

/// The seconds until another guess may be made; none where one may be made now.
async fn exhausted(
    writer: &mut Writer,
    account: &str,
    factor: GuessedFactor,
    now: Timestamp,
) -> store::Result<Option<u64>> {
    let window = i64::try_from(GUESS_WINDOW_SECONDS).unwrap_or(i64::MAX);
    let made = guesses::since(writer, account, factor, now.plus_seconds(-window)).await?;
    let limit = usize::try_from(GUESSES_MAX).unwrap_or(usize::MAX);
    let Some(first_that_counts) = made.len().checked_sub(limit) else { return Ok(None) };
    let free_at = made[first_that_counts].plus_seconds(window);
    Ok(Some(u64::try_from(free_at.millis_since(now)).unwrap_or(0).div_ceil(1000)))
}

async fn write_guess(
    writer: &mut Writer,
    account: &str,
    factor: GuessedFactor,
    now: Timestamp,
) -> store::Result<guesses::GuessId> {
    let window = i64::try_from(GUESS_WINDOW_SECONDS).unwrap_or(i64::MAX);
    guesses::remove_before(writer, now.plus_seconds(-window)).await?;
    let guess = guesses::insert(writer, account, factor, now).await?;
    if exhausted(writer, account, factor, now).await?.is_some() {
        let data = json!({ "factor": factor });
        events::append(writer, &about(EventKind::GuessesExhausted, account, now, data)).await?;
    }
    Ok(guess)
}

fn totp(seed: &str, account: &str) -> Totp {
    let secret = totp_rs::Secret::try_from_base32(seed).expect("only our own seeds are stored");
    Builder::new()
        .with_secret(secret)
        .with_skew(u16::try_from(CODE_SKEW_STEPS).expect("the skew is a small number"))
        .with_step_duration(CODE_STEP_SECONDS)
        .with_account_name(account)
        .with_issuer(Some(ISSUER))
        .build()
        .expect("six digits, a seed of 20 bytes, and names without a colon")
}

async fn hash_password(password: &Secret) -> String {
    let password = password.expose().as_bytes().to_vec();
    let _place = HASHING.acquire().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || hash(&password)).await.expect("hashing does not panic")
}

fn hash(password: &[u8]) -> String {
    let hashed: PasswordHash =
        Argon2::default().hash_password(password).expect("argon2's own parameters are valid");
    hashed.to_string()
}

async fn password_matches(known: Option<&Maintainer>, password: &Secret) -> bool {
    let exists = known.is_some();
    let stored = known.map(|maintainer| maintainer.password_hash.clone());
    let password = password.expose().as_bytes().to_vec();
    let _place = HASHING.acquire().await.expect("the semaphore is never closed");
    let matches = tokio::task::spawn_blocking(move || {
        let stored = stored.unwrap_or_else(|| NOBODY.clone());
        // Argon2 compares in constant time.
        Argon2::default().verify_password(&password, stored.as_str()).is_ok()
    })
    .await
    .expect("hashing does not panic");
    matches && exists
}
