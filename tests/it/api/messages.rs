//! Messages: the list of all, replies and notes (COMPLAINTS A6, A7).

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;

use super::{CHANNELS, NO_ID, done, mail, refused, refused_for, send, texts, ticket};
use crate::support::app::App;
use crate::support::postgres::Database;

#[tokio::test]
async fn a_message_is_shown_with_all_that_the_contract_names() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::ReadOnly);
    let text = "It does not open.\r\n\r\nOn Mon, 2 Nov 2026 at 10:00, Desk <support@example.com> wrote:\r\n> Hello";
    let id = ticket(&app, "Wallet", text).await;
    let shown = api.get(&format!("/tickets/{id}")).await;
    for key in [
        "id",
        "number",
        "subject",
        "status",
        "priority",
        "queue",
        "assignee",
        "tags",
        "channel",
        "contact",
        "language",
        "created_at",
        "updated_at",
        "first_response_at",
        "last_inbound_at",
        "last_outbound_at",
        "message_count",
        "version",
    ] {
        assert!(shown.get(key).is_some(), "a ticket has no {key}: {shown}");
    }
    assert_eq!(shown["contact"]["identities"][0]["value"], "jane@customer.example");
    assert_eq!(shown["created_at"].as_str().unwrap().chars().last(), Some('Z'));
    let messages = api.get(&format!("/tickets/{id}/messages")).await;
    let message = &messages["items"][0];
    for key in [
        "id",
        "ticket_id",
        "direction",
        "kind",
        "channel",
        "external_id",
        "reply_to",
        "author",
        "text",
        "text_full",
        "html",
        "attachments",
        "sent_at",
        "received_at",
        "edited_at",
        "deleted_at",
        "flags",
        "auth",
        "delivery",
    ] {
        assert!(message.get(key).is_some(), "a message has no {key}: {message}");
    }
    assert_eq!(message["text"], "It does not open.");
    assert!(message["text_full"].as_str().unwrap().contains("> Hello"));
    assert_eq!(message["direction"], "in");
    let one = api.get(&format!("/messages/{}", message["id"].as_str().unwrap())).await;
    assert_eq!(one, *message);
    refused(api.request(Method::GET, &format!("/messages/{NO_ID}")), 404, "not_found").await;
    refused(api.request(Method::GET, "/messages/1"), 404, "not_found").await;
}

#[tokio::test]
async fn a_reply_is_queued_and_a_note_stays_here() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let id = ticket(&app, "Wallet", "help").await;
    let path = format!("/tickets/{id}/messages");
    let body = json!({ "kind": "reply", "text": "Try <b>again</b>", "html": "<p onclick=x>Try</p><script>1</script>" });
    let reply = done(api.request(Method::POST, &path).json(&body), 202).await;
    assert_eq!(reply["delivery"]["status"], "queued");
    assert_eq!((&reply["direction"], &reply["author"]["kind"]), (&json!("out"), &json!("token")));
    assert_eq!(reply["html"], "<p>Try</p>");
    assert_eq!(reply["text"], "Try <b>again</b>", "text is text");
    let body = json!({ "kind": "note", "text": "he is angry", "html": "<img src=x onerror=y>" });
    let note = done(api.request(Method::POST, &path).json(&body), 201).await;
    assert_eq!((&note["direction"], &note["delivery"]), (&json!("internal"), &Value::Null));
    assert!(!note["html"].as_str().unwrap().contains("onerror"));
    let shown = api.get(&format!("/tickets/{id}")).await;
    assert_eq!(shown["message_count"], 3);
    assert!(shown["first_response_at"].is_string());
    let number = shown["number"].to_string();
    api.reply(&number, "by its number", "").await;
    // COMPLAINTS A6: later, unless the customer writes first.
    let body = json!({ "kind": "reply", "text": "later", "send_at": "2099-01-01T00:00:00Z",
        "unless_answered": true });
    let later = done(api.request(Method::POST, &path).json(&body), 202).await;
    assert_eq!(later["delivery"]["next_attempt_at"], "2099-01-01T00:00:00Z");
    app.receive("mail", mail_into(&shown, &reply)).await;
    let later = api.get(&format!("/messages/{}", later["id"].as_str().unwrap())).await;
    assert_eq!(later["delivery"]["status"], "cancelled", "{later}");
    let body = json!({ "kind": "reply", "text": "wait", "held": true });
    let held = done(api.request(Method::POST, &path).json(&body), 202).await;
    assert_eq!(held["delivery"]["status"], "held");
}

/// Another mail of the customer into the same ticket.
fn mail_into(ticket: &Value, _reply: &Value) -> String {
    let subject = format!("Re: Wallet [#{}]", ticket["number"]);
    mail("Jane <jane@customer.example>", &subject, "it works now")
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_at_once() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let id = ticket(&app, "Wallet", "help").await;
    let silent = app.receive("silent", mail("bob@customer.example", "Silent", "help")).await;
    let post = |ticket: &str, body: Value| {
        api.request(Method::POST, &format!("/tickets/{ticket}/messages")).json(&body)
    };
    let told = post(&silent.ticket.to_string(), json!({ "kind": "reply", "text": "hi" }));
    assert!(refused(told, 422, "cannot_reply").await.contains("silent"));
    let told = post(&id, json!({ "kind": "reply", "text": "hi", "via": "silent" }));
    refused(told, 422, "cannot_reply").await;
    let told = post(&id, json!({ "kind": "reply", "text": "hi", "via": "nowhere" }));
    refused(told, 422, "cannot_reply").await;
    refused(post(&id, json!({ "kind": "reply", "text": "  " })), 422, "cannot_reply").await;
    let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let told = refused(post(&id, json!({ "kind": "reply", "text": phrase })), 422, "cannot_reply");
    let told = told.await;
    assert!(told.contains("seed phrase") && !told.contains("sausage"), "{told}");
    refused(post(&id, json!({ "kind": "reply", "text": "a\u{0}b" })), 422, "invalid").await;
    for (body, field) in [
        (json!({ "kind": "note", "text": " " }), "text"),
        (json!({ "kind": "note", "text": "x", "via": "mail" }), "via"),
        (json!({ "kind": "note", "text": "x", "held": true }), "held"),
        (json!({ "kind": "reply", "text": "x".repeat(100_001) }), "text"),
        (json!({ "kind": "reply", "text": "x", "html": "<i>".repeat(10_001) }), "html"),
        (json!({ "kind": "reply", "text": "x", "attachments": [NO_ID] }), "attachments"),
        (json!({ "kind": "reply", "text": "x", "attachments": ["x"] }), "attachments[0]"),
        (json!({ "kind": "shout", "text": "x" }), "kind"),
        (json!({ "kind": "reply", "text": 1 }), "text"),
        (json!({ "kind": "reply", "text": "x", "send_at": "soon" }), "send_at"),
        (json!({ "kind": "reply", "text": "x", "via": "Not A Name" }), "via"),
        // FAULTS #182: nothing can be set that is not offered.
        (json!({ "kind": "reply", "text": "x", "ticket_id": NO_ID }), "ticket_id"),
        (json!({ "kind": "reply", "text": "x", "bcc": "all@example.com" }), "bcc"),
        (json!({ "kind": "reply", "text": "x", "author": { "name": "CEO" } }), "author"),
    ] {
        refused_for(post(&id, body), field).await;
    }
    refused(post(NO_ID, json!({ "kind": "reply", "text": "x" })), 404, "not_found").await;
    assert_eq!(api.ticket_messages(&id).await.len(), 1, "nothing was written");
}

/// COMPLAINTS A7: who has not seen the last change is stopped.
#[tokio::test]
async fn a_reply_over_an_unseen_message_is_stopped() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let id = ticket(&app, "Wallet", "help").await;
    let shown = api.get(&format!("/tickets/{id}")).await;
    app.receive("mail", mail_into(&shown, &Value::Null)).await;
    let post = |kind: &str, version: &Value| {
        let body = json!({ "kind": kind, "text": "answer" });
        let request = api.request(Method::POST, &format!("/tickets/{id}/messages"));
        request.header("If-Match", version.to_string()).json(&body)
    };
    for kind in ["reply", "note"] {
        refused(post(kind, &shown["version"]), 412, "stale_version").await;
    }
    assert_eq!(api.ticket_messages(&id).await.len(), 2);
    let shown = api.get(&format!("/tickets/{id}")).await;
    done(post("reply", &shown["version"]), 202).await;
}

#[tokio::test]
async fn the_list_of_all_messages_goes_on_from_wherever_one_was() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let id = ticket(&app, "one", "first").await;
    api.reply(&id, "second", "").await;
    app.receive("silent", mail("bob@customer.example", "two", "third")).await;
    let all = api.messages().await;
    assert_eq!(texts(&all, "/text"), ["first", "second", "third"]);
    let list = async |query: &str| {
        let page = api.get(&format!("/messages?{query}")).await;
        let texts = texts(page["items"].as_array().unwrap(), "/text");
        texts.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("direction=in").await, ["first", "third"]);
    assert_eq!(list("direction=out").await, ["second"]);
    assert_eq!(list("channel=silent").await, ["third"]);
    let (message, cursor) = (all[1]["id"].as_str().unwrap(), all[1]["cursor"].as_str().unwrap());
    for after in [format!("after={message}"), format!("after={cursor}"), format!("cursor={cursor}")]
    {
        assert_eq!(list(&after).await, ["third"], "{after}");
    }
    assert_eq!(list("after=").await.len(), 3);
    assert_eq!(list("after=2000-01-01T00:00:00Z&limit=2").await, ["first", "second"]);
    assert_eq!(list("after=2000-01-01T00:00:00+00:00").await.len(), 3);
    assert_eq!(list("after=2099-01-01T00:00:00Z").await.len(), 0);
    let end = all[2]["cursor"].as_str().unwrap();
    let page = api.get(&format!("/messages?cursor={end}")).await;
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([]), &Value::Null));
    app.receive("mail", mail("eve@customer.example", "three", "fourth")).await;
    assert_eq!(list(&format!("cursor={end}")).await, ["fourth"]);
    for bad in ["after=yesterday", &format!("after={NO_ID}"), "direction=sideways"] {
        refused(api.request(Method::GET, &format!("/messages?{bad}")), 400, "bad_query").await;
    }
}

/// Two nodes write at once into one database, and a reader follows: it misses none, and sees none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_misses_no_message_that_commits_late() {
    const WRITERS: usize = 6;
    const EACH: usize = 15;
    let database = Database::fresh();
    let one = App::start_on(&database.url(), CHANNELS).await;
    let other = App::start_on(&database.url(), CHANNELS).await;
    let id = Arc::new(ticket(&one, "busy", "start").await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let api = if writer % 2 == 0 { &one } else { &other }.api(Role::Agent);
        let id = Arc::clone(&id);
        writers.spawn(async move {
            for number in 0..EACH {
                let body = json!({ "kind": "note", "text": format!("{writer}/{number}") });
                done(
                    api.request(Method::POST, &format!("/tickets/{id}/messages")).json(&body),
                    201,
                )
                .await;
            }
        });
    }
    let reader = one.api(Role::ReadOnly);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    let mut over = false;
    loop {
        let page = reader.get(&format!("/messages?limit=7{cursor}")).await;
        seen.extend(
            texts(page["items"].as_array().unwrap(), "/text").into_iter().map(str::to_owned),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None if over => break,
            None => tokio::task::yield_now().await,
        }
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
        over = writers.is_empty();
    }
    let all: Vec<String> =
        reader.messages().await.iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(all.len(), WRITERS * EACH + 1);
    assert_eq!(seen, all);
}

#[tokio::test]
async fn what_a_customer_writes_stays_text() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::ReadOnly);
    let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let mail = format!(
        "From: \"{evil}\" <x@customer.example>\r\nTo: support@example.com\r\nSubject: {evil}\r\n\
         Message-ID: <evil@test>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
         <p>hello</p>{evil}<a href=\"javascript:alert(1)\">x</a><svg onload=alert(1)>\r\n"
    );
    let placed = app.receive("mail", mail).await;
    let request = api.request(Method::GET, &format!("/messages/{}", placed.message.unwrap()));
    let (_, headers, message) = send(request).await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
    let html = message["html"].as_str().unwrap();
    assert!(html.contains("hello"), "{html}");
    for part in ["<script", "onerror", "javascript:", "onload", "<svg"] {
        assert!(!html.contains(part), "{html}");
    }
    let shown = api.get(&format!("/tickets/{}", placed.number)).await;
    assert!(shown["subject"].as_str().unwrap().contains("<script>"), "JSON is not a page: {shown}");
}
