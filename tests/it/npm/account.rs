//! Who one is, over HTTP: the legacy login with both factors, its limits, and the end of a session.

use axum::http::StatusCode;
use countersign::store::tokens::Scope;
use countersign_core::limits::GUESSES_MAX;
use reqwest::Method;
use serde_json::{Value, json};

use super::told;
use crate::support::{PASSWORD, Served};

async fn login(
    served: &Served,
    name: &str,
    password: &str,
    code: Option<&str>,
) -> reqwest::Response {
    let path = format!("/-/user/org.couchdb.user:{name}");
    let body = json!({
        "_id": format!("org.couchdb.user:{name}"), "name": name, "password": password,
        "type": "user", "roles": [], "date": "2027-01-15T08:00:00.000Z",
    });
    let request = served.request(Method::PUT, &path, None).json(&body);
    let request = match code {
        Some(code) => request.header("npm-otp", code),
        None => request,
    };
    request.send().await.unwrap()
}

async fn whoami(served: &Served, token: &str) -> (StatusCode, Value) {
    told(served.request(Method::GET, "/-/whoami", Some(token)).send().await.unwrap()).await
}

#[tokio::test]
async fn both_factors_give_a_session_that_ends_by_itself_and_by_logout() {
    let served = Served::new().await;
    let code = served.fixture.authenticator("ada").fresh_code();
    let (status, body) = told(login(&served, "ada", PASSWORD, Some(&code)).await).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let token = body["token"].as_str().unwrap();
    assert_eq!(whoami(&served, token).await, (StatusCode::OK, json!({ "username": "ada" })));

    let other = served.session().await;
    let path = format!("/-/user/token/{other}");
    let foreign = served.request(Method::DELETE, &path, Some(token)).send().await.unwrap();
    assert_eq!(told(foreign).await.0, StatusCode::NOT_FOUND, "only the shown one is ended");
    let path = format!("/-/user/token/{token}");
    let ended = served.request(Method::DELETE, &path, Some(token)).send().await.unwrap();
    assert_eq!(told(ended).await.0, StatusCode::OK);
    assert_eq!(whoami(&served, token).await.0, StatusCode::UNAUTHORIZED);

    assert_eq!(whoami(&served, &other).await.0, StatusCode::OK);
    let hours = i64::try_from(countersign_core::limits::SESSION_HOURS).unwrap();
    served.fixture.clock.pass_seconds(hours * 3600);
    assert_eq!(whoami(&served, &other).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_code_npm_is_asked_for_one_whether_or_not_the_password_is_right() {
    let served = Served::new().await;
    let mut answers = Vec::new();
    for (name, password) in [("ada", PASSWORD), ("ada", "wrong"), ("nobody", "wrong")] {
        let answer = login(&served, name, password, None).await;
        assert_eq!(answer.headers()["www-authenticate"], "OTP");
        answers.push(told(answer).await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(answers[0].1["error"].as_str().unwrap().contains("one-time pass"));
}

#[tokio::test]
async fn a_wrong_password_an_unknown_name_and_too_many_guesses_are_refused() {
    let served = Served::new().await;
    let code = served.fixture.authenticator("ada").fresh_code();
    let wrong = told(login(&served, "ada", "wrong", Some(&code)).await).await;
    let unknown = told(login(&served, "nobody", "wrong", Some(&code)).await).await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong, unknown, "the answer does not tell which names there are");
    for _ in 1..GUESSES_MAX {
        let answer = login(&served, "ada", "wrong", Some(&code)).await;
        assert_eq!(answer.status().as_u16(), 401);
    }
    let (status, body) = told(login(&served, "ada", PASSWORD, Some(&code)).await).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
}

#[tokio::test]
async fn a_login_for_another_name_than_the_paths_or_of_no_shape_is_refused() {
    let served = Served::new().await;
    let path = "/-/user/org.couchdb.user:eve";
    for body in [json!({ "name": "ada", "password": PASSWORD }), json!({}), json!([])] {
        let request = served.request(Method::PUT, path, None).header("npm-otp", "123456");
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(told(answer).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let login = served.request(Method::POST, "/-/v1/login", None).json(&json!({}));
    assert_eq!(told(login.send().await.unwrap()).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_maintainer_lists_and_ends_their_own_sessions_and_no_others() {
    let served = Served::new().await;
    let (one, two) = (served.session().await, served.session().await);
    let list = async |token: &str| {
        let request = served.request(Method::GET, "/-/npm/v1/tokens", Some(token));
        told(request.send().await.unwrap()).await.1
    };
    let listed = list(&one).await;
    let keys: Vec<String> = listed["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 2);
    assert!(!listed.to_string().contains(&one) && !listed.to_string().contains(&two));
    served.fixture.add_maintainer("eve").await;
    let eve = served.fixture.session_secret("eve").await;
    let end = async |token: &str, key: &str| {
        let path = format!("/-/npm/v1/tokens/token/{key}");
        served.request(Method::DELETE, &path, Some(token)).send().await.unwrap().status().as_u16()
    };
    assert_eq!(end(eve.expose(), &keys[0]).await, 404);
    assert_eq!(end(&one, "nonsense").await, 404);
    for key in &keys {
        end(&one, key).await;
    }
    assert_eq!(whoami(&served, &one).await.0, StatusCode::UNAUTHORIZED);
    let ci = served.token(&[Scope::Stage], &[]).await;
    assert_eq!(list(&ci).await["objects"][0]["name"], "stage");
    assert!(whoami(&served, &ci).await.1["username"].as_str().unwrap().starts_with("token:"));
}

#[tokio::test]
async fn ping_answers_everybody_and_whoami_nobody() {
    let served = Served::new().await;
    let ping = served.request(Method::GET, "/-/ping", None).send().await.unwrap();
    assert_eq!(told(ping).await, (StatusCode::OK, json!({})));
    let stranger = served.request(Method::GET, "/-/whoami", None).send().await.unwrap();
    assert_eq!(stranger.headers()["www-authenticate"], "Bearer");
    assert_eq!(told(stranger).await.0, StatusCode::UNAUTHORIZED);
}
