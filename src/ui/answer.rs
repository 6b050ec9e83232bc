//! Answers: a template as HTML, and everything that can go wrong as a page with a sentence and what mends it. Nothing of
//! our own failures is shown but that there was one; the log has the rest.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{refusal::RefusalPage, words};
use crate::{blobs::BlobError, error::Error, store};

/// The template as an answer.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum PageError {
    /// It does not exist, or may not be seen: the two are not told apart.
    NotFound(String),
    /// A form that none of our pages sent.
    NotOurForm,
    /// We failed.
    Ours(anyhow::Error),
}

impl From<store::Error> for PageError {
    fn from(error: store::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<BlobError> for PageError {
    fn from(error: BlobError) -> Self {
        Self::Ours(error.into())
    }
}

/// A refusal of the flow as a status and a sentence, to be shown in the dialog that was refused. What a status means is
/// said in [`crate::error`] alone.
pub(crate) fn explained(refused: impl Into<Error>) -> Result<(StatusCode, String), PageError> {
    match refused.into() {
        Error::Refused(problem) => Ok((problem.status, words::sentence(&problem.error))),
        Error::Internal(error) => Err(PageError::Ours(error)),
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, sentence, fix) = match self {
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "Not found",
                format!("There is no {what} that you may see."),
                "It may belong to a package of somebody else, or never have been here.",
            ),
            Self::NotOurForm => (
                StatusCode::FORBIDDEN,
                "Refused",
                "This form was not sent by a page of this session, so nothing was done.".to_owned(),
                "Open the page anew and send it from there.",
            ),
            Self::Ours(error) => {
                tracing::error!(error = format!("{error:#}"), "a page could not be made");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Our fault",
                    "We could not make this page, and that is our fault.".to_owned(),
                    "Try again in a moment. The operator finds the reason in the service’s log.",
                )
            }
        };
        html(status, &RefusalPage::new(None, title, &sentence, fix))
    }
}

/// A page, or why there is none.
pub(crate) type Answer = Result<Response, PageError>;
