//! The pages over HTTP, without a browser: who sees what, and which forms are believed. What a page looks like is tested
//! beside its template, and what a browser makes of it in `browser`.

mod visit;

use axum::http::StatusCode;
use countersign::{
    queue,
    store::{decisions, tokens::Scope},
};
use countersign_core::{
    protocol::{Heartbeat, VerificationId},
    rebuild::Phase,
};
use futures_util::StreamExt;

use crate::support::{self, Authenticator, Fixture, PASSWORD, Pack};
use visit::{ORIGIN, Page, Visit};

/// A stage with a verdict: a pass where both archives are the same.
async fn judged(fixture: &Fixture, version: &str, staged: &Pack) -> VerificationId {
    let (_, worker) = fixture.token_secret(&[Scope::Worker], &[]).await;
    let id = fixture.stage(version, staged).await;
    let lease = queue::lease(&fixture.app, worker, "w").await.unwrap().unwrap();
    let (staged, rebuilt) = (staged.tgz(), Pack::of(version).tgz());
    queue::upload_rebuilt(&fixture.app, worker, &lease.id, rebuilt.clone()).await.unwrap();
    let report = support::honest(&lease.job, &staged, &rebuilt);
    queue::report(&fixture.app, worker, &lease.id, report).await.unwrap();
    id
}

async fn decided(fixture: &Fixture, id: VerificationId) -> bool {
    let mut reader = fixture.app.store.read().await.unwrap();
    decisions::find(&mut reader, id).await.unwrap().is_some()
}

async fn signed_in(fixture: &Fixture) -> (Visit<'_>, Authenticator) {
    let ada = fixture.authenticator("ada");
    (Visit::of(fixture, "ada", &ada).await, ada)
}

/// Every page of a stage, a package and the inbox.
fn pages(id: VerificationId) -> Vec<String> {
    let stage = format!("/stages/{id}");
    let mut all: Vec<String> =
        ["", "/approve", "/reject", "/files/package.json", "/log", "/events"]
            .map(|page| format!("{stage}{page}"))
            .to_vec();
    all.extend(["/".to_owned(), format!("/packages/{}", support::PACKAGE)]);
    all
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in_and_shows_nothing() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let stranger = Visit::stranger(&fixture);
    for path in pages(id) {
        let page = stranger.get(&path).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert!(page.location().starts_with("/sign-in?next=%2F"), "{path}: {}", page.location());
        assert!(!page.text.contains("1.0.0"), "{path}");
    }
}

#[tokio::test]
async fn a_maintainer_of_another_package_finds_no_stage_and_no_package() {
    let fixture = Fixture::enrolled().await;
    let grace = fixture.add_maintainer("grace").await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let visit = Visit::of(&fixture, "grace", &grace).await;
    for path in pages(id).into_iter().filter(|path| path != "/") {
        let page = visit.get(&path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.text.contains("that you may see"), "{path}");
    }
    assert!(visit.get("/").await.text.contains("Nothing waits for you."));
    let unknown = visit.get("/stages/019a8f3e-6c1d-7b52-9f04-5d2e8c7a1b36").await;
    let other = visit.get(&format!("/stages/{id}")).await;
    let same = |page: &Page| page.text.replace("019a8f3e-6c1d-7b52-9f04-5d2e8c7a1b36", "X");
    assert_eq!(same(&unknown), other.text.replace(&id.to_string(), "X"));
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_is_kept_by_nobody() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let (visit, _) = signed_in(&fixture).await;
    for path in pages(id).into_iter().filter(|path| !path.ends_with("/events")) {
        let page = visit.get(&path).await;
        let header =
            |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn a_form_that_no_page_of_this_session_sent_decides_nothing() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let (visit, ada) = signed_in(&fixture).await;
    let path = format!("/stages/{id}/approve");
    let dialog = visit.get(&path).await;
    let hidden = ["form_token", "verdict", "shown_at", "seal"].map(|name| dialog.hidden(name));
    let code = ada.fresh_code();
    let fields = |changed: &'static str, value: &'static str| {
        let own = [
            ("form_token", hidden[0].as_str()),
            ("verdict", hidden[1].as_str()),
            ("shown_at", hidden[2].as_str()),
            ("seal", hidden[3].as_str()),
            ("code", code.as_str()),
        ];
        own.map(|(name, own)| (name, if name == changed { value } else { own }))
    };
    let all = fields("", "");
    for headers in [
        &[][..],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "null")],
        &[("origin", ORIGIN), ("sec-fetch-site", "same-site")],
    ] {
        let page = visit.post_with(&path, &all, headers).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    for (changed, value) in [
        ("form_token", ""),
        ("form_token", "0000000000000000000000000000000000000000000000000000000000000000"),
        ("verdict", "019a8f40-0000-7000-8000-000000000001"),
        ("shown_at", "9999999999999"),
        ("seal", ""),
    ] {
        let page = visit.post(&path, &fields(changed, value)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{changed}={value}");
    }
    let other = Visit::of(&fixture, "ada", &ada).await;
    assert_eq!(other.post(&path, &all).await.status, StatusCode::FORBIDDEN, "another session");
    assert!(!decided(&fixture, id).await, "nothing was decided");
}

#[tokio::test]
async fn a_dialog_approves_what_it_showed_and_only_for_five_minutes() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let (visit, ada) = signed_in(&fixture).await;
    let path = format!("/stages/{id}/approve");
    let old = visit.get(&path).await;
    fixture.clock.pass_seconds(5 * 60 + 1);
    let code = ada.code();
    let send = async |dialog: &Page, code: &str| {
        let hidden = ["form_token", "verdict", "shown_at", "seal"];
        let values = hidden.map(|name| dialog.hidden(name));
        let mut fields: Vec<(&str, &str)> =
            hidden.iter().copied().zip(values.iter().map(String::as_str)).collect();
        fields.push(("code", code));
        visit.post(&path, &fields).await
    };
    let refused = send(&old, &code).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("shown too long ago"), "the reason stands in the dialog");
    assert!(!decided(&fixture, id).await);
    let approved = send(&refused, &code).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "the code was not spent on the refusal");
    assert_eq!(approved.location(), format!("/stages/{id}"));
    assert!(decided(&fixture, id).await);
    let page = visit.get(approved.location()).await;
    assert!(page.text.contains("Published ") && page.text.contains("npm deprecate left-pad@1.0.0"));
}

#[tokio::test]
async fn a_fail_is_closed_in_the_dialog_and_behind_it() {
    let fixture = Fixture::enrolled().await;
    let staged = Pack::of("1.0.0").with("index.js", "module.exports = 2\n");
    let id = judged(&fixture, "1.0.0", &staged).await;
    let (visit, ada) = signed_in(&fixture).await;
    let path = format!("/stages/{id}/approve");
    let dialog = visit.get(&path).await;
    assert!(dialog.text.contains("Approving is closed.") && !dialog.text.contains("name=\"code\""));
    let report = visit.get(&format!("/stages/{id}")).await;
    assert!(report.text.contains("module.exports = ") && report.text.contains("<mark>2</mark>"));
    // A dialog that shows no form seals nothing, so there is nothing to send; the gate behind it is tested in `service`.
    let token = dialog.hidden("form_token");
    let page = visit.post(&path, &[("form_token", &token), ("code", &ada.fresh_code())]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!decided(&fixture, id).await);
}

#[tokio::test]
async fn a_rejection_takes_a_reason_and_a_code_and_is_shown() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let (visit, ada) = signed_in(&fixture).await;
    let path = format!("/stages/{id}/reject");
    let token = visit.get(&path).await.hidden("form_token");
    let send = async |reason: &str, code: &str| {
        visit.post(&path, &[("form_token", &token), ("reason", reason), ("code", code)]).await
    };
    assert_eq!(send(" ", &ada.fresh_code()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send("Not ours.", "").await.status, StatusCode::UNAUTHORIZED);
    assert!(!decided(&fixture, id).await);
    let done = send("Not <ours>\u{202e}.", &ada.code()).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let page = visit.get(done.location()).await;
    assert!(page.text.contains(r"Not &#60;ours&#62;\u{202e}."), "the reason is shown, escaped");
}

#[tokio::test]
async fn the_sign_in_takes_both_factors_and_goes_on_to_a_page_of_ours_only() {
    let fixture = Fixture::enrolled().await;
    let ada = fixture.authenticator("ada");
    let stranger = Visit::stranger(&fixture);
    let send = async |password: &str, code: &str, next: &str| {
        let fields = [("name", "ada"), ("password", password), ("code", code), ("next", next)];
        stranger.post("/sign-in", &fields).await
    };
    let wrong = send("not the password", &ada.fresh_code(), "/").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(!wrong.text.contains("not the password"), "a password is never sent back");
    assert_eq!(send(PASSWORD, "", "/").await.status, StatusCode::UNAUTHORIZED);
    let elsewhere = send(PASSWORD, &ada.fresh_code(), "//evil.example").await;
    assert_eq!((elsewhere.status, elsewhere.location()), (StatusCode::SEE_OTHER, "/"));
    let cookie = elsewhere.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let foreign = [("origin", "https://evil.example")];
    let fields = [("name", "ada"), ("password", PASSWORD), ("code", &ada.fresh_code())];
    let page = stranger.post_with("/sign-in", &fields, &foreign).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "nobody is signed in by another site");
}

#[tokio::test]
async fn a_link_from_another_site_is_opened_from_our_own() {
    let fixture = Fixture::enrolled().await;
    let id = judged(&fixture, "1.0.0", &Pack::of("1.0.0")).await;
    let path = format!("/stages/{id}");
    // A strict cookie is not sent along by a browser that comes from elsewhere.
    let page = Visit::stranger(&fixture).get_with(&path, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains(&format!("content=\"0; url={path}\"")), "{}", page.text);
    assert!(!page.text.contains("1.0.0"));
}

#[tokio::test]
async fn the_stream_of_events_goes_on_after_the_last_one_that_was_seen() {
    let fixture = Fixture::enrolled().await;
    let (_, worker) = fixture.token_secret(&[Scope::Worker], &[]).await;
    let id = fixture.stage("1.0.0", &Pack::of("1.0.0")).await;
    let (visit, _) = signed_in(&fixture).await;
    let path = format!("/stages/{id}/events");
    let lease = queue::lease(&fixture.app, worker, "w").await.unwrap().unwrap();
    let beat = async |phase, detail: &str| {
        let beat = Heartbeat { phase, detail: detail.to_owned() };
        queue::heartbeat(&fixture.app, worker, &lease.id, beat).await.unwrap();
    };
    beat(Phase::Build, "npm run build").await;
    let first = next_event(&visit, &format!("{path}?after=0"), &[]).await;
    assert!(first.contains("event: changed\ndata: page\n"), "staging changed the page: {first}");
    let (before, steps) = steps_event(&visit, &path).await;
    assert!(steps.contains("npm run build") && steps.contains("data: "), "{steps}");
    beat(Phase::Pack, "npm pack").await;
    let resumed = next_event(&visit, &path, &[("last-event-id", &before)]).await;
    assert!(resumed.contains("event: steps") && resumed.contains("npm pack"), "{resumed}");
}

/// The first event of that stream.
async fn next_event(visit: &Visit<'_>, path: &str, headers: &[(&str, &str)]) -> String {
    let response = visit.stream(path, headers).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut chunks = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = chunks.next().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text
}

/// The number and text of the first event about steps.
async fn steps_event(visit: &Visit<'_>, path: &str) -> (String, String) {
    let mut after = "0".to_owned();
    loop {
        let event = next_event(visit, path, &[("last-event-id", &after)]).await;
        let line = event.lines().find_map(|line| line.strip_prefix("id: "));
        after = line.expect("every event has its number").to_owned();
        if event.contains("event: steps") {
            return (after, event);
        }
    }
}
