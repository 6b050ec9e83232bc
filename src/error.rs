//! Errors as outsiders see them: `application/problem+json` (RFC 9457) that also carries `error`, the one field that npm
//! shows. Here, and nowhere else, a refusal of the flow becomes an HTTP status.
//!
//! **Policy.** A module of the flow has an enum of its own, one variant for each thing that a reader would do something
//! different about, and knows no HTTP. The subject's failure is never an error: it is a verdict. A refusal is said in a
//! sentence that names the thing, with its mend. Our own failure is [`Error::internal`]: the outsider hears that there was
//! one and under which request id the log tells more; the log gets the whole chain of causes, once, here. Commands use
//! `anyhow` and print the chain.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::gate::Refusal;
use serde_json::{Map, Value, json};

use crate::{
    approval::ApprovalRefused,
    blobs::BlobError,
    enrolment::EnrolmentRefused,
    intake::IntakeRefused,
    queue::{QueueError, RoundRefused},
    second_factor::{CodeRefused, SignInRefused},
    store,
};

/// What an outsider is told, or our own failure.
#[derive(Debug)]
pub enum Error {
    /// It was not done, and the caller can know why.
    Refused(Box<Problem>),
    /// We could not do our part.
    Internal(anyhow::Error),
}

/// A refusal in outsiders' words.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// What was refused and why, as a sentence.
    pub error: String,
    /// The value of `www-authenticate`.
    pub authenticate: Option<&'static str>,
    /// The value of `retry-after`, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// Further members of the document, such as the stage that is in the way.
    pub members: Map<String, Value>,
}

impl Error {
    /// A refusal with this status.
    pub fn refused(status: StatusCode, error: impl Into<String>) -> Self {
        Self::Refused(Box::new(Problem {
            status,
            error: error.into(),
            authenticate: None,
            retry_after_seconds: None,
            members: Map::new(),
        }))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, error)
    }

    /// 401: a token or session is needed.
    pub fn unauthorized(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::UNAUTHORIZED, error).authenticating("Bearer")
    }

    /// 403: this asker may not.
    pub fn forbidden(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::FORBIDDEN, error)
    }

    /// 404: there is no such thing, or the asker may not see it.
    pub fn not_found(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::NOT_FOUND, error)
    }

    /// 409: it does not fit what is there.
    pub fn conflict(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::CONFLICT, error)
    }

    /// 413: more than is taken.
    pub fn too_large(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    /// 422: it can be read and makes no sense.
    pub fn unprocessable(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    /// 502: somebody else, whom we need for the answer, did not answer.
    pub fn bad_gateway(error: impl Into<String>) -> Self {
        Self::refused(StatusCode::BAD_GATEWAY, error)
    }

    /// 500: our own failure.
    pub fn internal(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }

    /// With this `www-authenticate`.
    #[must_use]
    pub fn authenticating(mut self, challenge: &'static str) -> Self {
        if let Self::Refused(problem) = &mut self {
            problem.authenticate = Some(challenge);
        }
        self
    }

    /// With this `retry-after`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Self::Refused(problem) = &mut self {
            problem.retry_after_seconds = Some(seconds);
        }
        self
    }

    /// With this member in the document.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if let Self::Refused(problem) = &mut self {
            problem.members.insert(member.to_owned(), value.into());
        }
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(problem) => problem.status,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Refused(problem) => *problem,
            Self::Internal(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "a request failed through our own fault"
                );
                Problem {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    error: "something went wrong in the service; its log says more under this answer's x-request-id"
                        .to_owned(),
                    authenticate: None,
                    retry_after_seconds: None,
                    members: Map::new(),
                }
            }
        };
        problem.into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = self.members;
        document.insert("type".to_owned(), json!("about:blank"));
        document
            .insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or("Refused")));
        document.insert("status".to_owned(), json!(self.status.as_u16()));
        document.insert("detail".to_owned(), json!(self.error));
        document.insert("error".to_owned(), json!(self.error));
        let mut response = (self.status, Json(Value::Object(document))).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Some(challenge) = self.authenticate {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after_seconds {
            insert_number(headers, header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn insert_number(headers: &mut axum::http::HeaderMap, name: HeaderName, number: u64) {
    headers.insert(name, HeaderValue::from(number));
}

macro_rules! our_own_failure {
    ($($type:ty),*) => {$(
        impl From<$type> for Error {
            fn from(error: $type) -> Self {
                Self::Internal(error.into())
            }
        }
    )*};
}

our_own_failure!(store::Error, BlobError, anyhow::Error);

impl From<CodeRefused> for Error {
    fn from(refused: CodeRefused) -> Self {
        let text = refused.to_string();
        match refused {
            CodeRefused::Wrong => {
                Self::refused(StatusCode::UNAUTHORIZED, text).authenticating("OTP")
            }
            // Without the challenge: with it, npm shows words of its own in place of these.
            CodeRefused::Used { wait_seconds } => {
                Self::refused(StatusCode::UNAUTHORIZED, text).retry_after(wait_seconds)
            }
            CodeRefused::TooMany { wait_seconds } => {
                Self::refused(StatusCode::TOO_MANY_REQUESTS, text).retry_after(wait_seconds)
            }
        }
    }
}

impl From<SignInRefused> for Error {
    fn from(refused: SignInRefused) -> Self {
        let text = refused.to_string();
        match refused {
            SignInRefused::Wrong => Self::refused(StatusCode::UNAUTHORIZED, text),
            SignInRefused::TooMany { wait_seconds } => {
                Self::refused(StatusCode::TOO_MANY_REQUESTS, text).retry_after(wait_seconds)
            }
            SignInRefused::CodeMissing => {
                Self::refused(StatusCode::UNAUTHORIZED, text).authenticating("OTP")
            }
            SignInRefused::Code(refused) => refused.into(),
            SignInRefused::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NoVerdictYet(_) => Self::refused(StatusCode::LOCKED, text),
            Refusal::Failed { class, .. } => Self::forbidden(text).with("class", json!(class)),
            Refusal::NotAMaintainer => Self::forbidden(text),
            Refusal::FactorMissing => {
                Self::refused(StatusCode::UNAUTHORIZED, text).authenticating("OTP")
            }
            Refusal::Changed(_) | Refusal::AlreadyDecided(_) => Self::conflict(text),
        }
    }
}

impl From<ApprovalRefused> for Error {
    fn from(refused: ApprovalRefused) -> Self {
        match refused {
            ApprovalRefused::NotFound(_) => Self::not_found(refused.to_string()),
            ApprovalRefused::Gate(refusal) => refusal.into(),
            ApprovalRefused::Code(refused) => refused.into(),
            ApprovalRefused::Store(error) => error.into(),
            ApprovalRefused::Blob(error) => error.into(),
        }
    }
}

impl From<IntakeRefused> for Error {
    fn from(refused: IntakeRefused) -> Self {
        let text = refused.to_string();
        match refused {
            IntakeRefused::NotAllowed(_) | IntakeRefused::NotEnrolled(_) => Self::forbidden(text),
            IntakeRefused::StagedTwice { stage, .. } => {
                Self::conflict(text).with("stage_id", json!(stage))
            }
            IntakeRefused::VersionTaken(_) => Self::conflict(text),
            IntakeRefused::TooLarge { .. } => Self::too_large(text),
            IntakeRefused::Contradictory(_) => Self::unprocessable(text),
            IntakeRefused::Store(error) => error.into(),
            IntakeRefused::Blob(error) => error.into(),
        }
    }
}

impl From<QueueError> for Error {
    fn from(refused: QueueError) -> Self {
        let text = refused.to_string();
        match refused {
            QueueError::LeaseDead => Self::conflict(text),
            QueueError::Disagrees(_) => Self::unprocessable(text),
            QueueError::Store(error) => error.into(),
            QueueError::Blob(error) => error.into(),
        }
    }
}

impl From<RoundRefused> for Error {
    fn from(refused: RoundRefused) -> Self {
        let text = refused.to_string();
        match refused {
            RoundRefused::NotFound(_) => Self::not_found(text),
            RoundRefused::NotAllowed => Self::forbidden(text),
            RoundRefused::Conflict(_) => Self::conflict(text),
            RoundRefused::Store(error) => error.into(),
        }
    }
}

impl From<EnrolmentRefused> for Error {
    fn from(refused: EnrolmentRefused) -> Self {
        let text = refused.to_string();
        match refused {
            EnrolmentRefused::NoSuchMaintainer(_) => Self::not_found(text),
            EnrolmentRefused::Code(refused) => refused.into(),
            EnrolmentRefused::NoBranch => Self::unprocessable(text),
            EnrolmentRefused::Store(error) => error.into(),
        }
    }
}
