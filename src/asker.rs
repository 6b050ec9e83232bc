//! Who asks: a maintainer with a session, or a machine with a token. From the secret that a request shows to what the
//! asker may see. Nothing here opens a gate.

use countersign_core::{PackageName, Sha256, gate};
use countersign_worker::upstream::Secret;

use crate::{
    app::App,
    store::{
        self, Connection,
        listing::Filter,
        maintainers,
        sessions::{self, Session, SessionKind},
        tokens::{self, Packages, Scope, Token},
        verifications::ActorType,
    },
};

/// Before every secret of a session, so that a leaked one is recognised, and by scanners too.
const SESSION_PREFIX: &str = "csn_session_";
/// Before every secret of an API token.
const TOKEN_PREFIX: &str = "csn_token_";
/// Random bytes of a secret: nobody guesses 256 bits, and a fast hash of it gives nothing away.
const SECRET_BYTES: usize = 32;

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A maintainer who signed in.
    Maintainer(Session),
    /// A machine.
    Token(Token),
}

impl Asker {
    /// What the gate makes of it.
    pub fn for_gate(&self) -> gate::Asker {
        match self {
            Self::Maintainer(_) => gate::Asker::MaintainerSession,
            Self::Token(_) => gate::Asker::ApiToken,
        }
    }

    /// The name under which it acts: a maintainer's, or `token:ID`.
    pub fn actor(&self) -> String {
        match self {
            Self::Maintainer(session) => session.maintainer.clone(),
            Self::Token(token) => format!("token:{}", token.id),
        }
    }

    /// npm's word for what it is.
    pub fn actor_type(&self) -> ActorType {
        match self {
            Self::Maintainer(_) => ActorType::User,
            Self::Token(_) => ActorType::TrustedAutomation,
        }
    }

    /// Whether it may do what that scope is for, with that package. A maintainer may what `stage`, `read` and `verify`
    /// are for with their own packages, which [`Self::may_see`] asks the store about.
    pub fn has(&self, scope: Scope, package: Option<&PackageName>) -> bool {
        match self {
            Self::Maintainer(_) => matches!(scope, Scope::Stage | Scope::Read | Scope::Verify),
            Self::Token(token) => {
                token.scopes.contains(&scope)
                    && package.is_none_or(|package| token.packages.contain(package))
            }
        }
    }

    /// Whether stages, verifications and reports of that package are visible. What is not visible is answered as what does
    /// not exist.
    pub async fn may_see(&self, at: &mut Connection, package: &PackageName) -> store::Result<bool> {
        match self {
            Self::Maintainer(session) => {
                maintainers::maintains(at, &session.maintainer, package).await
            }
            Self::Token(token) => Ok(reads(token) && token.packages.contain(package)),
        }
    }

    /// The filter that leaves only what is visible; none where nothing is.
    pub fn visible(&self) -> Option<Filter> {
        match self {
            Self::Maintainer(session) => {
                Some(Filter { maintainer: Some(session.maintainer.clone()), ..Filter::default() })
            }
            Self::Token(token) if !reads(token) => None,
            Self::Token(token) => Some(match &token.packages {
                Packages::Every => Filter::default(),
                Packages::Only(_) => Filter { limited_token: Some(token.id), ..Filter::default() },
            }),
        }
    }
}

/// Whoever may stage or submit may also see what became of it.
fn reads(token: &Token) -> bool {
    token.scopes.iter().any(|scope| match scope {
        Scope::Read | Scope::Stage | Scope::Verify | Scope::Admin => true,
        Scope::Worker => false,
    })
}

/// The asker with this bearer secret: a session of `npm login`, or an API token. A page's cookie is neither.
pub async fn identify(app: &App, bearer: &str) -> store::Result<Option<Asker>> {
    let digest = Sha256::of(bearer.as_bytes());
    let mut reader = app.store.read().await?;
    if bearer.starts_with(TOKEN_PREFIX) {
        let token = tokens::find_live(&mut reader, digest, app.now()).await?;
        return Ok(token.map(Asker::Token));
    }
    let session = sessions::find_live(&mut reader, digest, app.now()).await?;
    Ok(session.filter(|session| session.kind == SessionKind::Npm).map(Asker::Maintainer))
}

/// The maintainer whose page has this cookie.
pub async fn identify_page(app: &App, cookie: &str) -> store::Result<Option<Asker>> {
    let mut reader = app.store.read().await?;
    let session =
        sessions::find_live(&mut reader, Sha256::of(cookie.as_bytes()), app.now()).await?;
    Ok(session.filter(|session| session.kind == SessionKind::Page).map(Asker::Maintainer))
}

/// A secret for a session, and what the store keeps of it. It is looked up by its digest, so no comparison of ours
/// depends on how much of a guess is right.
pub fn new_session_secret() -> (Secret, Sha256) {
    new_secret(SESSION_PREFIX)
}

/// A secret for an API token, and what the store keeps of it.
pub fn new_token_secret() -> (Secret, Sha256) {
    new_secret(TOKEN_PREFIX)
}

/// A secret for a lease, and what the store keeps of it.
pub fn new_lease_secret() -> (Secret, Sha256) {
    new_secret("")
}

fn new_secret(prefix: &str) -> (Secret, Sha256) {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    let text = format!("{prefix}{}", hex::encode(bytes));
    let digest = Sha256::of(text.as_bytes());
    (Secret::new(&text), digest)
}
