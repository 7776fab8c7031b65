//! Users, tokens, and the way into the console.

use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::json;
use tributary::model::{Role, Secret};
use tributary::web::sign_in_link;

use super::MAIL;
use crate::api::{refused, send};
use crate::support::app::App;
use crate::support::daemon::client;
use crate::support::totp;

/// Follows no redirect, as the test wants to see them.
fn browser() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

async fn post(app: &App, path: &str, origin: &str, form: &[(&str, &str)]) -> Response {
    let request = browser().post(format!("{}{path}", app.base)).header("origin", origin);
    request.form(form).send().await.unwrap()
}

fn cookie_of(answer: &Response) -> String {
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"),
        "{set}"
    );
    set.split(';').next().unwrap().to_owned()
}

/// FAULTS: a link that was fetched to be looked at still works, and works once.
#[tokio::test]
async fn a_one_time_link_survives_being_looked_at_and_signs_in_once() {
    let app = App::start(MAIL).await;
    let now = app.engine.clock.now();
    let secret = app.store.admin_sign_in_link(chrono::Duration::hours(1), now).await.unwrap();
    let link = sign_in_link(&app.base, &secret);
    for _ in 0..3 {
        let page = browser().get(&link).send().await.unwrap();
        assert_eq!(page.status().as_u16(), 200);
        let headers = page.headers().clone();
        assert_eq!(
            (&headers["cache-control"], &headers["referrer-policy"]),
            (&"no-store".parse().unwrap(), &"same-origin".parse().unwrap())
        );
        assert!(!headers.contains_key("set-cookie"), "looking signs nobody in");
        let html = page.text().await.unwrap();
        assert!(html.contains("method=\"post\"") && html.contains(secret.reveal()), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }
    let form = [("token", secret.reveal())];
    let foreign = post(&app, "/console/sign-in", "https://evil.example", &form).await;
    assert_eq!(foreign.status().as_u16(), 403);
    let answer = post(&app, "/console/sign-in", &app.base, &form).await;
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
        (303, "/console/")
    );
    let cookie = cookie_of(&answer);
    let me = || client().get(format!("{}/api/v1/me", app.base)).header("cookie", &cookie);
    let (status, _, shown) = send(me()).await;
    assert_eq!(
        (status.as_u16(), &shown["role"], &shown["kind"]),
        (200, &"admin".into(), &"agent".into())
    );
    let again = post(&app, "/console/sign-in", &app.base, &form).await;
    assert_eq!(again.status().as_u16(), 401);
    assert!(again.text().await.unwrap().contains("tributary user link"));
    let out = |origin: &str| {
        let request = browser().post(format!("{}/console/sign-out", app.base));
        request.header("origin", origin.to_owned()).header("cookie", &cookie)
    };
    assert_eq!(out("https://evil.example").send().await.unwrap().status().as_u16(), 403);
    assert_eq!(send(me()).await.0.as_u16(), 200);
    let answer = out(&app.base).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 303);
    assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    refused(me(), 401, "unauthorized").await;
}

#[tokio::test]
async fn an_old_link_opens_nothing() {
    let app = App::start("").await;
    let before = app.engine.clock.now() - chrono::Duration::hours(2);
    let secret = app.store.admin_sign_in_link(chrono::Duration::hours(1), before).await.unwrap();
    let answer = post(&app, "/console/sign-in", &app.base, &[("token", secret.reveal())]).await;
    assert_eq!(answer.status().as_u16(), 401);
    let page = browser().get(format!("{}/console/sign-in?token=%22%3E%3Cscript%3E", app.base));
    let html = page.send().await.unwrap().text().await.unwrap();
    assert!(!html.contains("<script") && html.contains("type=\"password\""), "{html}");
}

#[tokio::test]
async fn a_password_signs_in_and_cannot_be_guessed_for_long() {
    let app = App::start("").await;
    let now = app.engine.clock.now();
    let password = "a long enough password";
    let ann = app
        .store
        .add_person(
            ("Ann", "ann@example.com"),
            Role::Agent,
            Some(Secret::new(password)),
            &tributary::model::Actor::system(),
            now,
        )
        .await
        .unwrap();
    let right = [("email", "Ann@example.com"), ("password", password)];
    let answer = post(&app, "/console/sign-in", &app.base, &right).await;
    assert_eq!(answer.status().as_u16(), 303);
    cookie_of(&answer);
    let json = browser().post(format!("{}/console/sign-in", app.base));
    let json = json.header("origin", &app.base).header("accept", "application/json").form(&right);
    let answer = json.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
    cookie_of(&answer);
    let half = post(&app, "/console/sign-in", &app.base, &[("email", "ann@example.com")]).await;
    assert_eq!(half.status().as_u16(), 400);
    for _ in 0..21 {
        let wrong = [("email", "ann@example.com"), ("password", "a wrong password")];
        assert_eq!(post(&app, "/console/sign-in", &app.base, &wrong).await.status().as_u16(), 401);
    }
    let answer = post(&app, "/console/sign-in", &app.base, &right).await;
    assert_eq!(answer.status().as_u16(), 429, "the right one would tell that it is right");
    let trail = app.store.audit_trail(None, i64::MAX, 200).await.unwrap();
    let failed: Vec<_> = trail.iter().filter(|one| one.kind == "person.sign_in_failed").collect();
    assert_eq!(failed.len(), 10, "whoever fails on purpose fills no store");
    assert_eq!(
        (&failed[0].data["way"], &failed[0].data["id"]),
        (&json!("password"), &json!(ann.id))
    );
    assert!(failed.iter().all(|one| !one.data.to_string().contains("a wrong password")));
}

#[tokio::test]
async fn without_the_console_there_is_no_way_into_it() {
    let app = App::start_with("", |settings| settings.console = false).await;
    let page = browser().get(format!("{}/console/sign-in", app.base)).send().await.unwrap();
    assert_eq!(page.status().as_u16(), 404);
}

#[tokio::test]
async fn people_are_added_let_in_and_let_go() {
    let app = App::start("").await;
    let api = app.api(Role::Admin);
    let new = json!({ "name": "Ann", "email": "ann@example.com", "role": "agent" });
    let (status, _, added) = send(api.request(Method::POST, "/users").json(&new)).await;
    assert_eq!(status.as_u16(), 201, "{added}");
    let link = added["sign_in"].as_str().unwrap();
    let token = link.split("token=").nth(1).unwrap();
    let answer = post(&app, "/console/sign-in", &app.base, &[("token", token)]).await;
    let cookie = cookie_of(&answer);
    let me = || client().get(format!("{}/api/v1/me", app.base)).header("cookie", &cookie);
    assert_eq!(send(me()).await.2["name"], "Ann");
    refused(api.request(Method::POST, "/users").json(&new), 409, "refused").await;
    let bad = json!({ "name": "Ann", "email": "ann", "role": "agent" });
    refused(api.request(Method::POST, "/users").json(&bad), 422, "invalid").await;
    // FAULTS 182
    let more = json!({ "name": "B", "email": "b@example.com", "role": "agent", "id": 1 });
    refused(api.request(Method::POST, "/users").json(&more), 422, "invalid").await;
    let id = added["user"]["id"].as_str().unwrap();
    let link = api.request(Method::POST, &format!("/users/{id}/sign-in-link"));
    assert!(send(link).await.2["sign_in"].as_str().unwrap().starts_with(&app.base));
    let (status, _, gone) = send(api.request(Method::POST, &format!("/users/{id}/disable"))).await;
    assert!(status.is_success() && gone["disabled_at"].is_string(), "{gone}");
    refused(me(), 401, "unauthorized").await;
    refused(api.request(Method::POST, &format!("/users/{id}/sign-in-link")), 409, "refused").await;
    let users = app.api(Role::ReadOnly).get("/users").await;
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
    assert!(!users.to_string().contains("argon2"), "{users}");
}

#[tokio::test]
async fn a_token_is_made_used_and_revoked_over_the_api() {
    let app = App::start("").await;
    let api = app.api(Role::Admin);
    let new = json!({ "name": "shop", "role": "read_only" });
    let (status, _, made) = send(api.request(Method::POST, "/tokens").json(&new)).await;
    assert_eq!(status.as_u16(), 201, "{made}");
    let token = made["token"].as_str().unwrap().to_owned();
    let me = || client().get(format!("{}/api/v1/me", app.base)).bearer_auth(&token);
    let (_, _, shown) = send(me()).await;
    assert_eq!((&shown["kind"], &shown["role"]), (&"token".into(), &"read_only".into()));
    let list = api.get("/tokens").await;
    assert!(!list.to_string().contains(&token), "{list}");
    let id = made["id"].as_str().unwrap();
    let (status, ..) = send(api.request(Method::DELETE, &format!("/tokens/{id}"))).await;
    assert_eq!(status.as_u16(), 200);
    refused(me(), 401, "unauthorized").await;
    refused(api.request(Method::DELETE, &format!("/tokens/{id}")), 404, "not_found").await;
    let past = json!({ "name": "old", "role": "agent", "expires_at": "2020-01-01T00:00:00Z" });
    refused(api.request(Method::POST, "/tokens").json(&past), 422, "invalid").await;
}

async fn signed_in(app: &App, link: &str) -> String {
    let token = link.split("token=").nth(1).unwrap();
    cookie_of(&post(app, "/console/sign-in", &app.base, &[("token", token)]).await)
}

/// The API as a person's browser asks it.
fn asks(app: &App, method: Method, path: &str, cookie: &str) -> reqwest::RequestBuilder {
    let request = client().request(method, format!("{}/api/v1{path}", app.base));
    request.header("cookie", cookie.to_owned()).header("origin", app.base.clone())
}

#[tokio::test]
async fn a_second_factor_belongs_to_a_person_and_a_code_follows_the_password() {
    let app = App::start("").await;
    let api = app.api(Role::Admin);
    refused(api.request(Method::POST, "/me/second-factor"), 409, "refused").await;
    let new = json!({ "name": "Ann", "email": "ann@example.com", "role": "read_only" });
    let (_, _, added) = send(api.request(Method::POST, "/users").json(&new)).await;
    let cookie = signed_in(&app, added["sign_in"].as_str().unwrap()).await;
    let (status, _, begun) = send(asks(&app, Method::POST, "/me/second-factor", &cookie)).await;
    assert_eq!(status.as_u16(), 201, "{begun}");
    let secret = begun["secret"].as_str().unwrap();
    assert!(begun["qr"]["path"].as_str().unwrap().starts_with('M'), "{begun}");
    let confirm = |code: String| {
        let request = asks(&app, Method::POST, "/me/second-factor/confirm", &cookie);
        request.json(&json!({ "code": code }))
    };
    refused(confirm("x".repeat(65)), 422, "invalid").await;
    refused(confirm("12345".to_owned()), 422, "invalid").await;
    let (status, _, codes) = send(confirm(totp::code(secret, app.engine.clock.now()))).await;
    assert_eq!(status.as_u16(), 200, "{codes}");
    let code = codes["recovery_codes"][0].as_str().unwrap();

    let user = added["user"]["id"].as_str().unwrap();
    let (_, _, link) =
        send(api.request(Method::POST, &format!("/users/{user}/sign-in-link"))).await;
    let token = link["sign_in"].as_str().unwrap().split("token=").nth(1).unwrap();
    let json = |form: &[(&str, &str)]| {
        let request = browser().post(format!("{}/console/sign-in", app.base));
        request.header("origin", &app.base).header("accept", "application/json").form(form)
    };
    let (status, headers, asked) = send(json(&[("token", token)])).await;
    assert_eq!(status.as_u16(), 202, "{asked}");
    assert!(!headers.contains_key("set-cookie"), "half a sign-in is none");
    let waiting = asked["waiting"].as_str().unwrap();
    refused(json(&[("waiting", waiting), ("code", "12345")]), 401, "unauthorized").await;
    refused(json(&[("waiting", waiting)]), 400, "bad_body").await;
    let half = format!("tributary={waiting}");
    refused(asks(&app, Method::GET, "/me", &half), 401, "unauthorized").await;
    let answer = json(&[("waiting", waiting), ("code", code)]).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
    let second = cookie_of(&answer);

    // Both sessions are hers; she ends the first, and sees nobody else's.
    let (_, _, mine) = send(asks(&app, Method::GET, "/sessions", &second)).await;
    let mine = mine["items"].as_array().unwrap();
    assert_eq!(mine.len(), 2, "{mine:?}");
    let first = mine.iter().find(|one| one["current"] == false).unwrap()["id"].as_str().unwrap();
    let (status, _, _) =
        send(asks(&app, Method::DELETE, &format!("/sessions/{first}"), &second)).await;
    assert_eq!(status.as_u16(), 204);
    refused(asks(&app, Method::GET, "/me", &cookie), 401, "unauthorized").await;
    for (method, path) in [
        (Method::GET, "/audit".to_owned()),
        (Method::PATCH, format!("/users/{user}")),
        (Method::DELETE, format!("/users/{user}/second-factor")),
    ] {
        let request = asks(&app, method, &path, &second).json(&json!({ "role": "admin" }));
        refused(request, 403, "forbidden").await;
    }
    let (_, _, trail) =
        send(api.request(Method::GET, &format!("/audit?actor={user}&limit=2"))).await;
    assert_eq!(trail["items"][0]["kind"], "person.session_revoked", "{trail}");
    assert!(trail["next_cursor"].is_string(), "{trail}");
    let reset = api.request(Method::DELETE, &format!("/users/{user}/second-factor"));
    assert_eq!(send(reset).await.0.as_u16(), 204);
}

/// Whoever is the last who may let others in is not let go, in whatever way.
#[tokio::test]
async fn the_last_admin_is_refused_in_plain_words() {
    let app = App::start("").await;
    let api = app.api(Role::Admin);
    let boss = json!({ "name": "Boss", "email": "boss@example.com", "role": "admin" });
    let (_, _, added) = send(api.request(Method::POST, "/users").json(&boss)).await;
    let path = format!("/users/{}", added["user"]["id"].as_str().unwrap());
    let disable = || api.request(Method::POST, &format!("{path}/disable"));
    let lower = || api.request(Method::PATCH, &path).json(&json!({ "role": "agent" }));
    for request in [disable(), lower()] {
        let told = refused(request, 409, "refused").await;
        assert_eq!(told, "this is the last admin: make somebody else one first");
    }
    let other = json!({ "name": "Ann", "email": "ann@example.com", "role": "admin" });
    assert_eq!(send(api.request(Method::POST, "/users").json(&other)).await.0.as_u16(), 201);
    assert_eq!(send(disable()).await.0.as_u16(), 200);
}

/// A team is the people who work on a queue; each sees the tickets of theirs.
#[tokio::test]
async fn people_work_on_queues_and_list_the_tickets_of_their_teams() {
    let app = App::start(MAIL).await;
    let api = app.api(Role::Admin);
    let new = json!({ "name": "Ann", "email": "ann@example.com", "role": "agent" });
    let (_, _, added) = send(api.request(Method::POST, "/users").json(&new)).await;
    let (user, cookie) =
        (&added["user"]["id"], signed_in(&app, added["sign_in"].as_str().unwrap()).await);
    let path = format!("/users/{}", user.as_str().unwrap());
    let queues = |queues: serde_json::Value| {
        api.request(Method::PATCH, &path).json(&json!({ "queues": queues }))
    };
    for (queue, subject) in [(Some("chain"), "one"), (Some("shop"), "two"), (None, "three")] {
        let to = json!({ "address": "jane@customer.example" });
        let opened = json!({ "channel": "mail", "to": to, "subject": subject, "queue": queue });
        let (status, _, ticket) = send(api.request(Method::POST, "/tickets").json(&opened)).await;
        assert_eq!(status.as_u16(), 201, "{ticket}");
    }
    let mine = async || {
        let (_, _, found) =
            send(asks(&app, Method::GET, "/tickets?team=me&sort=number", &cookie)).await;
        let items = found["items"].as_array().unwrap_or_else(|| panic!("{found}")).clone();
        items.iter().map(|one| one["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(mine().await.is_empty());
    let (_, _, changed) = send(queues(json!(["shop", " chain ", "shop"]))).await;
    assert_eq!(
        (&changed["queues"], &changed["role"]),
        (&json!(["chain", "shop"]), &json!("agent"))
    );
    assert_eq!(mine().await, ["one", "two"]);
    assert_eq!(send(queues(json!(["shop"]))).await.0.as_u16(), 200);
    assert_eq!(mine().await, ["two"]);
    let (_, _, users) = send(api.request(Method::GET, "/users")).await;
    assert_eq!(users["items"][0]["queues"], json!(["shop"]));
    refused(queues(json!([""])), 422, "invalid").await;
    refused(queues(json!(vec!["x"; 51])), 422, "invalid").await;
    refused(asks(&app, Method::GET, "/tickets?team=ann", &cookie), 400, "bad_query").await;
    refused(api.request(Method::GET, "/tickets?team=me"), 409, "refused").await;
}
