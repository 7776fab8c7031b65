//! The same wish twice (COMPLAINTS D9, FAULTS #187), and two agents at once (FAULTS #188).

use reqwest::Method;
use serde_json::json;
use tributary::model::Role;

use super::{CHANNELS, done, refused, send, ticket};
use crate::support::app::App;

/// COMPLAINTS D9: an agent on a weak link presses «send» until something happens.
async fn one_wish(app: &App) {
    let api = app.api(Role::Agent);
    let id = ticket(app, "Wallet", "help").await;
    let path = format!("/tickets/{id}/messages");
    let body = json!({ "kind": "reply", "text": "here you are" });
    let wish = || api.request(Method::POST, &path).header("Idempotency-Key", "k1").json(&body);
    let answers = futures::future::join_all((0..8).map(|_| send(wish()))).await;
    let first = &answers[0].2;
    for (status, _, message) in &answers {
        assert_eq!((status.as_u16(), message), (202, first));
    }
    let fresh =
        answers.iter().filter(|(_, headers, _)| !headers.contains_key("idempotency-replayed"));
    assert_eq!(fresh.count(), 1);
    assert_eq!(api.ticket_messages(&id).await.len(), 2);
    let again = done(wish().header("If-Match", "1"), 202).await;
    assert_eq!(&again, first, "a repetition is answered before its conditions are looked at");
    let other = json!({ "kind": "reply", "text": "something else" });
    let quoted = api.request(Method::POST, &path).header("Idempotency-Key", "\"k1\"");
    assert_eq!(
        done(quoted.json(&body), 202).await["id"],
        first["id"],
        "the draft writes it with quotes"
    );
    let reused = api.request(Method::POST, &path).header("Idempotency-Key", "k1").json(&other);
    refused(reused, 422, "idempotency_key_reused").await;
    let elsewhere = format!("/tickets/{}/messages", ticket(app, "Other", "x").await);
    let reused = api.request(Method::POST, &elsewhere).header("Idempotency-Key", "k1").json(&body);
    refused(reused, 422, "idempotency_key_reused").await;
    // Another caller's keys are their own.
    let theirs = app.api(Role::Admin).request(Method::POST, &path);
    let theirs = done(theirs.header("Idempotency-Key", "k1").json(&body), 202).await;
    assert_ne!(theirs["id"], first["id"]);
}

#[tokio::test]
async fn one_wish_is_one_reply_however_often_it_comes() {
    one_wish(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn one_wish_is_one_reply_however_often_it_comes_on_postgresql() {
    one_wish(&App::start_on_postgres(CHANNELS).await).await;
}

#[tokio::test]
async fn a_reply_with_a_file_can_be_repeated_although_the_file_is_used_up() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let id = ticket(&app, "Wallet", "help").await;
    let upload = super::files::upload(&api, "a.txt", "text/plain", b"hello").await;
    let body = json!({ "kind": "reply", "text": "see", "attachments": [upload["id"]] });
    let path = format!("/tickets/{id}/messages");
    let wish = || api.request(Method::POST, &path).header("Idempotency-Key", "f").json(&body);
    let first = done(wish(), 202).await;
    assert_eq!(first["attachments"][0]["name"], "a.txt");
    assert_eq!(done(wish(), 202).await, first);
    let unkeyed = api.request(Method::POST, &path).json(&body);
    refused(unkeyed, 422, "invalid").await;
}

#[tokio::test]
async fn every_route_that_creates_takes_a_key() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let (one, two) = (ticket(&app, "one", "x").await, ticket(&app, "two", "y").await);
    let messages = api.ticket_messages(&one).await;
    let split = json!({ "from_message": messages[0]["id"] });
    let opened = json!({ "channel": "mail", "to": { "address": "new@customer.example" }, "subject": "Hello",
        "message": { "text": "we write first" } });
    for (path, body, status) in [
        (format!("/tickets/{one}/messages"), json!({ "kind": "note", "text": "n" }), 201),
        ("/tickets".to_owned(), opened, 201),
        (format!("/tickets/{one}/split"), split, 201),
        (format!("/tickets/{one}/merge"), json!({ "into": two }), 200),
    ] {
        let wish =
            || api.request(Method::POST, &path).header("Idempotency-Key", "same").json(&body);
        let first = done(wish(), status).await;
        assert_eq!(done(wish(), status).await, first, "{path}");
    }
    assert_eq!(api.tickets().await.len(), 3, "two, the opened one, the split one");
    for bad in ["", &"x".repeat(256)] {
        let request = api.request(Method::POST, "/tickets").header("Idempotency-Key", bad);
        refused(request.json(&json!({})), 400, "bad_idempotency_key").await;
    }
}

/// FAULTS #188.
async fn two_agents(app: &App) {
    let api = app.api(Role::Agent);
    let id = ticket(app, "Wallet", "help").await;
    let path = format!("/tickets/{id}");
    let (_, headers, shown) = send(api.request(Method::GET, &path)).await;
    let tag = format!("\"{}\"", shown["version"]);
    assert_eq!(headers["etag"], tag.as_str());
    let change = |number: usize| {
        let body = json!({ "tags": [format!("t{number}")] });
        send(api.request(Method::PATCH, &path).header("If-Match", &tag).json(&body))
    };
    let answers = futures::future::join_all((0..8).map(change)).await;
    let won: Vec<_> = answers.iter().filter(|(status, ..)| status.as_u16() == 200).collect();
    assert_eq!(won.len(), 1);
    let stale = answers
        .iter()
        .filter(|(status, _, body)| status.as_u16() == 412 && body["code"] == "stale_version");
    assert_eq!(stale.count(), 7);
    let now = api.get(&path).await;
    assert_eq!(now["tags"], won[0].2["tags"]);
    let next = format!("\"{}\"", now["version"]);
    assert_eq!(won[0].1["etag"], next.as_str());
    for (given, status) in [(now["version"].to_string(), 200), ("*".to_owned(), 200)] {
        let request = api.request(Method::PATCH, &path).header("If-Match", given);
        done(request.json(&json!({ "subject": "new" })), status).await;
    }
    let request = api.request(Method::PATCH, &path).header("If-Match", "\"x\"");
    refused(request.json(&json!({})), 400, "bad_if_match").await;
}

#[tokio::test]
async fn of_two_agents_at_once_one_is_told_to_look_again() {
    two_agents(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn of_two_agents_at_once_one_is_told_to_look_again_on_postgresql() {
    two_agents(&App::start_on_postgres(CHANNELS).await).await;
}
