//! The routes of the two dialogs. What was shown is sealed into the form, and whether it goes through is said by the flow;
//! a refusal is the same dialog with its reason.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use countersign_core::{Timestamp, gate, protocol::VerdictId};

use super::found::Found;
use crate::{
    app::App,
    approval,
    ui::{
        address,
        answer::{Answer, PageError, explained, html},
        decide::{ApprovePage, RejectPage},
        visitor::{Believed, Fields, Visitor},
    },
};

/// `GET /stages/{id}/approve`
pub(crate) async fn approve_page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let found = Found::look_up(&app, &visitor, &id).await?;
    Ok(html(StatusCode::OK, &approve_dialog(&app, &visitor, &found, None)))
}

fn approve_dialog(
    app: &App,
    visitor: &Visitor,
    found: &Found,
    refusal: Option<String>,
) -> ApprovePage {
    let now = app.now();
    let shown = Shown {
        verdict: found.stage.verdict_id.clone().unwrap_or_default(),
        millis: now.as_millis().to_string(),
    };
    let seal = visitor.seal(&shown.sealed_text(&found.stage.id));
    ApprovePage::new(
        visitor.viewer(),
        &found.report,
        &found.stage,
        [shown.verdict, shown.millis, seal],
        refusal,
    )
}

/// Which verdict a dialog showed, and when.
struct Shown {
    verdict: String,
    millis: String,
}

impl Shown {
    fn sealed_text(&self, stage: &str) -> String {
        format!("approve\n{stage}\n{}\n{}", self.verdict, self.millis)
    }

    /// What the form says was shown, if this session's dialog really said so. In the mode `observe` there may be no
    /// verdict to show.
    fn of(
        visitor: &Visitor,
        stage: &str,
        fields: &Fields,
    ) -> Result<Option<gate::Shown>, PageError> {
        let shown = Self {
            verdict: fields.get("verdict").to_owned(),
            millis: fields.get("shown_at").to_owned(),
        };
        let (Ok(millis), true) = (
            shown.millis.parse(),
            visitor.has_sealed(&shown.sealed_text(stage), fields.get("seal")),
        ) else {
            return Err(PageError::NotOurForm);
        };
        if shown.verdict.is_empty() {
            return Ok(None);
        }
        let verdict: VerdictId = shown.verdict.parse().map_err(|_| PageError::NotOurForm)?;
        Ok(Some(gate::Shown { verdict, at: Timestamp::from_millis(millis) }))
    }
}

/// `POST /stages/{id}/approve`
pub(crate) async fn approve(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Believed,
) -> Answer {
    let visitor = &form.visitor;
    let found = Found::look_up(&app, visitor, &id).await?;
    let shown = Shown::of(visitor, &found.stage.id, &form.fields)?;
    let code = form.fields.code();
    let otp = (!code.is_empty()).then_some(code.as_str());
    match approval::approve(&app, &visitor.asker, found.id, otp, shown.as_ref()).await {
        Ok(_) => Ok(Redirect::to(&address::stage(&found.stage.id)).into_response()),
        Err(refused) => {
            let (status, sentence) = explained(refused)?;
            // What stands now, not what stood when the form was sent.
            let found = Found::look_up(&app, visitor, &id).await?;
            Ok(html(status, &approve_dialog(&app, visitor, &found, Some(sentence))))
        }
    }
}

/// `GET /stages/{id}/reject`
pub(crate) async fn reject_page(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let found = Found::look_up(&app, &visitor, &id).await?;
    let page = RejectPage::new(visitor.viewer(), &found.report, &found.stage, String::new(), None);
    Ok(html(StatusCode::OK, &page))
}

/// The longest reason that is kept, in characters; the field of the page takes no more.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// `POST /stages/{id}/reject`
pub(crate) async fn reject(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Believed,
) -> Answer {
    let visitor = &form.visitor;
    let found = Found::look_up(&app, visitor, &id).await?;
    let code = form.fields.code();
    let otp = (!code.is_empty()).then_some(code.as_str());
    let reason: String =
        form.fields.get("reason").trim().chars().take(REASON_CHARACTERS_MAX).collect();
    let dialog = |found: &Found, status, sentence: String| {
        let viewer = visitor.viewer();
        let page =
            RejectPage::new(viewer, &found.report, &found.stage, reason.clone(), Some(sentence));
        html(status, &page)
    };
    if reason.is_empty() {
        let sentence = "Say why: whoever staged it reads the reason.".to_owned();
        return Ok(dialog(&found, StatusCode::UNPROCESSABLE_ENTITY, sentence));
    }
    match approval::reject(&app, &visitor.asker, found.id, otp, Some(&reason)).await {
        Ok(()) => Ok(Redirect::to(&address::stage(&found.stage.id)).into_response()),
        Err(refused) => {
            let (status, sentence) = explained(refused)?;
            let found = Found::look_up(&app, visitor, &id).await?;
            Ok(dialog(&found, status, sentence))
        }
    }
}
