//! What is done to tickets (COMPLAINTS A8).

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;

use super::{CHANNELS, NO_ID, done, mail, refused, refused_for, send, texts, ticket};
use crate::support::app::App;

#[tokio::test]
async fn a_ticket_is_changed_field_by_field() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let now = app.engine.clock.now();
    let ann = app
        .store
        .add_person(
            ("Ann", "ann@desk.example"),
            Role::Agent,
            None,
            &tributary::model::Actor::system(),
            now,
        )
        .await
        .unwrap();
    let id = ticket(&app, "Wallet", "help").await;
    let path = format!("/tickets/{id}");
    let change = |body: Value| api.request(Method::PATCH, &path).json(&body);
    let body = json!({ "status": "pending", "priority": "high", "queue": "wallets", "assignee": "Ann",
        "tags": ["b", "a", "b"], "subject": " New subject ", "snoozed_until": "2099-01-01T00:00:00Z" });
    let shown = done(change(body), 200).await;
    for (key, expected) in [
        ("status", json!("pending")),
        ("priority", json!("high")),
        ("queue", json!("wallets")),
        ("assignee", json!(ann.id)),
        ("tags", json!(["a", "b"])),
        ("subject", json!("New subject")),
        ("snoozed_until", json!("2099-01-01T00:00:00Z")),
    ] {
        assert_eq!(shown[key], expected, "{key}");
    }
    let body = json!({ "queue": null, "assignee": null, "snoozed_until": null, "tags": [] });
    let emptied = done(change(body), 200).await;
    assert_eq!((&emptied["queue"], &emptied["assignee"]), (&Value::Null, &Value::Null));
    assert_eq!((&emptied["snoozed_until"], &emptied["tags"]), (&Value::Null, &json!([])));
    assert_eq!(
        (&emptied["priority"], &emptied["subject"]),
        (&shown["priority"], &shown["subject"])
    );
    assert_eq!(done(change(json!({})), 200).await["version"], emptied["version"]);
    let by_number = api.get(&format!("/tickets/{}", emptied["number"])).await;
    assert_eq!(by_number["id"], id.as_str());
    let events = api.all(&format!("{path}/events")).await;
    assert_eq!(texts(&events, "/kind")[..2], ["ticket.created", "message.created"]);
    let numbers: Vec<i64> =
        events.iter().map(|event| event["ticket_seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    let changes = &events.last().unwrap()["data"]["changes"];
    assert_eq!(changes["queue"], json!({ "from": "wallets", "to": null }));
    done(change(json!({ "status": "closed" })), 200).await;
    refused(change(json!({ "status": "open" })), 409, "refused").await;
}

/// FAULTS #182.
#[tokio::test]
async fn nothing_is_changed_that_is_not_offered() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let id = ticket(&app, "Wallet", "help").await;
    let path = format!("/tickets/{id}");
    let before = api.get(&path).await;
    for (body, field) in [
        (json!({ "number": 1 }), "number"),
        (json!({ "id": NO_ID }), "id"),
        (json!({ "version": 99 }), "version"),
        (json!({ "contact": NO_ID }), "contact"),
        (json!({ "channel": "silent" }), "channel"),
        (json!({ "created_at": "2000-01-01T00:00:00Z" }), "created_at"),
        (json!({ "merged_into": NO_ID }), "merged_into"),
        (json!({ "assignee": "nobody at all" }), "assignee"),
        (json!({ "status": "done" }), "status"),
        (json!({ "status": ["open"] }), "status"),
        (json!({ "priority": "9" }), "priority"),
        (json!({ "subject": "" }), "subject"),
        (json!({ "subject": "a\r\nBcc: all@example.com" }), "subject"),
        (json!({ "subject": "x".repeat(501) }), "subject"),
        (json!({ "tags": ["a,b"] }), "tags"),
        (json!({ "tags": "a" }), "tags"),
        (json!({ "queue": "x".repeat(65) }), "queue"),
        (json!({ "assignee": "me" }), "assignee"),
        (json!({ "snoozed_until": "tomorrow" }), "snoozed_until"),
    ] {
        refused_for(api.request(Method::PATCH, &path).json(&body), field).await;
    }
    assert_eq!(api.get(&path).await, before);
}

#[tokio::test]
async fn every_fault_of_a_body_is_a_problem() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let post = || api.request(Method::POST, "/tickets");
    let json_type =
        |body: &str| post().header("content-type", "application/json").body(body.to_owned());
    refused(json_type("{"), 400, "bad_json").await;
    refused(json_type(""), 400, "bad_json").await;
    refused(json_type("{} {}"), 400, "bad_json").await;
    refused(json_type("{\"subject\":\"a\\u0000b\"}"), 422, "invalid").await;
    refused(json_type(&"[".repeat(10_000)), 400, "bad_json").await;
    refused(json_type("[]"), 422, "invalid").await;
    refused(json_type("{}"), 422, "invalid").await;
    refused(json_type("{\"subject\":\"\\ud800\"}"), 422, "invalid").await;
    refused(post().body("{}"), 415, "unsupported_media_type").await;
    refused(post().header("content-type", "text/plain").body("{}"), 415, "unsupported_media_type")
        .await;
    refused(post().form(&[("subject", "x")]), 415, "unsupported_media_type").await;
    let large = format!("{{\"subject\":\"{}\"}}", "x".repeat(3 << 20));
    // Past the limit the line may be cut while the client still speaks.
    if let Ok(answer) = json_type(&large).send().await {
        assert_eq!(answer.status().as_u16(), 413);
    }
    refused(api.request(Method::PUT, "/tickets"), 405, "method_not_allowed").await;
}

#[tokio::test]
async fn a_ticket_is_opened_towards_somebody() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let post = |body: Value| api.request(Method::POST, "/tickets").json(&body);
    let body = json!({ "channel": "mail", "to": { "address": "New@Customer.example", "name": "New" },
        "subject": "Your refund", "priority": "high", "queue": "money", "tags": ["refund"],
        "message": { "text": "It is on its way" } });
    let (status, headers, opened) = send(post(body)).await;
    assert_eq!(status.as_u16(), 201, "{opened}");
    let id = opened["id"].as_str().unwrap();
    assert_eq!(headers["location"], format!("/api/v1/tickets/{id}").as_str());
    assert_eq!(headers["etag"], format!("\"{}\"", opened["version"]).as_str());
    assert_eq!(opened["contact"]["identities"][0]["value"], "new@customer.example");
    assert_eq!((&opened["priority"], &opened["queue"]), (&json!("high"), &json!("money")));
    let messages = api.ticket_messages(id).await;
    assert_eq!((messages.len(), &messages[0]["delivery"]["status"]), (1, &json!("queued")));
    let contact = &opened["contact"]["id"];
    let body = json!({ "channel": "mail", "contact": contact, "subject": "Another" });
    let silent = done(post(body), 201).await;
    assert_eq!((&silent["message_count"], &silent["contact"]["id"]), (&json!(0), contact));
    let to =
        |address: &str| json!({ "channel": "mail", "subject": "x", "to": { "address": address } });
    for (body, field) in [
        (json!({ "channel": "mail", "subject": "x" }), "to"),
        (json!({ "channel": "nowhere", "subject": "x", "contact": contact }), "channel"),
        (json!({ "channel": "mail", "subject": "x", "contact": NO_ID }), "contact"),
        (
            json!({ "channel": "mail", "subject": "x", "contact": contact,
            "to": { "address": "other@customer.example" } }),
            "to.address",
        ),
        (to("nobody"), "to.address"),
        (to("a@b.example\r\nBcc: c@d.example"), "to.address"),
        (
            json!({ "channel": "mail", "subject": "x", "to": { "address": "+491234567", "scheme": "tel" } }),
            "to.address",
        ),
        (json!({ "channel": "mail", "subject": "", "contact": contact }), "subject"),
        (
            json!({ "channel": "mail", "subject": "x", "contact": contact, "status": "spam" }),
            "status",
        ),
    ] {
        refused_for(post(body), field).await;
    }
    let body =
        json!({ "channel": "silent", "subject": "x", "to": { "address": "a@customer.example" } });
    refused(post(body), 422, "cannot_reply").await;
    let body =
        json!({ "channel": "mail", "subject": "x", "contact": contact, "message": { "text": "" } });
    refused(post(body), 422, "cannot_reply").await;
    assert_eq!(api.tickets().await.len(), 2, "both or neither");
}

/// COMPLAINTS A8.
#[tokio::test]
async fn tickets_are_merged_and_split() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let one = ticket(&app, "one", "first").await;
    let two = ticket(&app, "two", "second").await;
    let merge = |from: &str, into: &str| {
        api.request(Method::POST, &format!("/tickets/{from}/merge")).json(&json!({ "into": into }))
    };
    let stale = merge(&one, &two).header("If-Match", "77");
    refused(stale, 412, "stale_version").await;
    let merged = done(merge(&one, &two), 200).await;
    assert_eq!(merged["ticket"]["merged_into"], two.as_str());
    assert_eq!(merged["into"]["message_count"], 2);
    let messages = api.ticket_messages(&two).await;
    assert_eq!(texts(&messages, "/text"), ["first", "second"]);
    assert_eq!(texts(&api.tickets().await, "/id"), [two.as_str()]);
    assert_eq!(api.get(&format!("/tickets/{one}")).await["status"], "closed");
    refused(merge(&one, &two), 409, "refused").await;
    refused(merge(&two, &two), 409, "refused").await;
    refused_for(merge(&two, NO_ID), "into").await;
    refused_for(merge(&two, "nothing"), "into").await;
    refused(merge(NO_ID, &two), 404, "not_found").await;
    let answered = api.reply(&one, "to both", "").await;
    assert_eq!(
        answered["ticket_id"],
        two.as_str(),
        "a reply to a merged ticket goes to where it went"
    );
    let split = |message: &Value| {
        let request = api.request(Method::POST, &format!("/tickets/{two}/split"));
        request.json(&json!({ "from_message": message }))
    };
    let parts = done(split(&messages[1]["id"]), 201).await;
    assert_eq!(
        (&parts["ticket"]["message_count"], &parts["into"]["message_count"]),
        (&json!(1), &json!(2))
    );
    let third = parts["into"]["id"].as_str().unwrap();
    assert_eq!(texts(&api.ticket_messages(third).await, "/text"), ["second", "to both"]);
    refused_for(split(&json!(NO_ID)), "from_message").await;
    refused_for(split(&messages[1]["id"]), "from_message").await;
}

#[tokio::test]
async fn a_deleted_ticket_is_gone_and_its_mail_does_not_come_back() {
    let app = App::start(CHANNELS).await;
    let (agent, admin) = (app.api(Role::Agent), app.api(Role::Admin));
    let letter = mail("jane@customer.example", "Delete me", "a secret");
    let placed = app.receive("mail", letter.clone()).await;
    let path = format!("/tickets/{}", placed.ticket);
    refused(agent.request(Method::DELETE, &path), 403, "forbidden").await;
    refused(admin.request(Method::DELETE, &path).header("If-Match", "9"), 412, "stale_version")
        .await;
    let (status, _, body) = send(admin.request(Method::DELETE, &path)).await;
    assert_eq!((status.as_u16(), body), (204, json!("")));
    refused(agent.request(Method::GET, &path), 404, "not_found").await;
    refused(agent.request(Method::GET, &format!("{path}/messages")), 404, "not_found").await;
    refused(admin.request(Method::DELETE, &path), 404, "not_found").await;
    let raw = format!("/messages/{}/raw", placed.message.unwrap());
    refused(agent.request(Method::GET, &raw), 410, "gone").await;
    app.take("mail", letter).await;
    app.engine.drain_journal().await.unwrap();
    assert!(agent.tickets().await.is_empty());
    assert_eq!(agent.get("/tickets?q=secret").await["items"], json!([]));
}
