//! The API channel: another system posts, we answer it, and neither loses a word.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};
use tributary::channel::shared::webhook::WebhookKeys;
use tributary::model::{DeliveryStatus, Secret};
use tributary::store::TicketName;

use crate::support::daemon::Daemon;
use crate::support::receiver::{Asked, Does, Receiver};
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::wait_until;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const REPLY_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings(receiver: &Receiver) -> String {
    format!(
        "kind = \"api\"\nsecret = \"{SECRET}\"\nreply_secret = \"{REPLY_SECRET}\"\n\
         reply_url = \"{}\"\nreply_seconds_max = 10\n",
        receiver.url("/in")
    )
}

fn entry(id: &str, conversation: &str, text: &str) -> Value {
    json!({ "id": id, "conversation": conversation, "sender": { "id": "u1", "name": "Ann" }, "text": text })
}

/// As the other system's library would: by our key, over the bytes as they came, not older than five minutes.
fn verify(asked: &Asked) {
    let keys = WebhookKeys::read([&Secret::new(REPLY_SECRET)]).unwrap();
    let headers = asked
        .headers
        .iter()
        .map(|(name, value)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        })
        .collect();
    let id = keys.verify(&headers, &asked.body, chrono::Utc::now()).unwrap();
    assert_eq!(asked.json()["delivery"], json!(id));
}

#[tokio::test]
async fn what_is_posted_becomes_a_ticket_and_the_answer_is_posted_back() {
    let receiver = Receiver::start(|_| Does::body(r#"{"id":"theirs-1"}"#));
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    let (status, answer) = rig.post("crm", &entry("m1", "c1", "看不到余额"), SECRET, "r1").await;
    assert_eq!((status, &answer["accepted"]), (202, &json!(1)), "{answer}");
    let message = rig.wait_messages(1).await.remove(0);
    assert_eq!(
        (&*message.text, &*message.author.name, &*message.channel),
        ("看不到余额", "Ann", "crm")
    );
    rig.reply(message.ticket_id, "您好").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    assert_eq!(row.external_id.as_deref(), Some("theirs-1"));
    let asked = receiver.asked().remove(0);
    verify(&asked);
    let body = asked.json();
    assert_eq!(body["type"], "reply");
    assert_eq!(body["conversation"], "c1");
    assert_eq!(body["to"], json!({ "id": "u1", "name": "Ann" }));
    assert_eq!(
        (&body["text"], &body["in_reply_to"], &body["author"]),
        (&json!("您好"), &json!("m1"), &json!("Ben"))
    );
    // A second message of the conversation goes to the same ticket.
    rig.post("crm", &entry("m2", "c1", "thanks"), SECRET, "r2").await;
    let messages = rig.wait_messages(3).await;
    assert_eq!(messages[2].ticket_id, message.ticket_id);
    rig.engine.stop().await;
}

#[tokio::test]
async fn the_same_message_by_whatever_request_is_one_message() {
    let receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    let one = entry("m1", "c1", "hello");
    for (body, id) in [
        (one.clone(), "r1"),
        (one.clone(), "r1"),
        (one.clone(), "r2"),
        (json!([one.clone(), one.clone()]), "r3"),
    ] {
        assert_eq!(rig.post("crm", &body, SECRET, id).await.0, 202);
    }
    let mut written_otherwise = one;
    written_otherwise["occurred_at"] = json!("2026-11-01T00:00:00Z");
    rig.post("crm", &written_otherwise, SECRET, "r4").await;
    rig.post("crm", &entry("m2", "c1", "the last"), SECRET, "r5").await;
    let messages = rig.wait_messages(2).await;
    assert_eq!(messages[1].text, "the last");
    // Another message under a known id is not lost.
    rig.post("crm", &entry("m1", "c1", "other words"), SECRET, "r6").await;
    rig.wait_messages(3).await;
    rig.engine.stop().await;
}

/// L30: what cannot be understood is visible, can be replayed, and costs its neighbours nothing.
#[tokio::test]
async fn l30_a_bad_entry_of_a_batch_waits_in_quarantine_and_the_others_go_on() {
    let receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    let bad = json!({ "id": "m2", "sender": { "id": "u1" } });
    let batch = json!([entry("m1", "c1", "one"), bad, entry("m3", "c1", "three")]);
    let (status, answer) = rig.post("crm", &batch, SECRET, "r1").await;
    assert_eq!((status, &answer["accepted"], &answer["quarantined"]), (202, &json!(2), &json!(1)));
    // The notice about the bad one is a message too.
    let messages = rig.wait_messages(3).await;
    let texts: BTreeSet<&str> = messages.iter().map(|message| &*message.text).collect();
    assert!(texts.contains("one") && texts.contains("three"), "{texts:?}");
    let quarantine = rig.store.quarantine(None, 10).await.unwrap();
    assert_eq!(quarantine.len(), 1);
    assert!(quarantine[0].reason.as_ref().unwrap().contains("text"), "{quarantine:?}");
    let (_, raw) = rig.store.raw(quarantine[0].id).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&raw.unwrap().body).unwrap(), batch[1]);
    rig.engine.stop().await;
}

/// Who posts is told of all that is wrong, and half a character is nothing wrong: programs cut texts within an emoji.
#[tokio::test]
async fn bytes_that_are_none_are_told_at_once_and_half_a_character_is_read() {
    let receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    let mut bad = entry("m1", "c1", "one");
    bad["attachments"] = json!([{ "name": "a.txt", "content": "@@" }]);
    let (status, answer) = rig.post("crm", &bad, SECRET, "r1").await;
    let problem = answer["entries"][0]["problem"].as_str().unwrap();
    assert!(status == 422 && problem.starts_with("attachments[0].content"), "{status} {answer}");
    let half = r#"{"id":"m2","sender":{"id":"u1"},"text":"cut \ud83d"}"#;
    let (status, answer) = rig.post_text("crm", half, SECRET, "r2").await;
    assert_eq!((status, &answer["accepted"]), (202, &json!(1)), "{answer}");
    // The notice about the bad one is a message, too.
    let messages = rig.wait_messages(2).await;
    assert!(messages.iter().any(|message| message.text == "cut \u{fffd}"), "{messages:?}");
    rig.engine.stop().await;
}

/// L28: while we cannot store, we do not say that we did.
#[tokio::test]
async fn l28_a_store_that_is_away_is_a_503_and_the_same_request_later_is_taken() {
    let receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    rig.store.close().await.unwrap();
    let (status, _) = rig.post("crm", &entry("m1", "c1", "hello"), SECRET, "r1").await;
    assert_eq!(status, 503);
    // Whoever may not come in is told so all the same.
    let (status, _) = rig.post("crm", &entry("m1", "c1", "hello"), REPLY_SECRET, "r1").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn edits_deletes_and_news_of_replies_find_their_way() {
    let receiver =
        Receiver::start(|asked| Does::body(json!({ "id": asked.json()["text"] }).to_string()));
    let rig = Rig::start(&[("crm", &settings(&receiver)), ("other", &settings(&receiver))]).await;
    rig.post("crm", &json!([entry("m1", "c1", "helo"), entry("m2", "c1", "oops")]), SECRET, "r1")
        .await;
    let ticket = rig.wait_messages(2).await[0].ticket_id;
    let changes = json!([
        { "type": "edit", "id": "m1", "text": "hello" },
        { "type": "delete", "id": "m2" },
    ]);
    rig.post("crm", &changes, SECRET, "r2").await;
    wait_until("the edit and the delete", PATIENCE, async || {
        let messages = rig.messages().await;
        messages[0].text == "hello"
            && messages[0].edited_at.is_some()
            && messages[1].deleted_at.is_some()
    })
    .await;
    for text in ["a", "b", "c"] {
        rig.reply(ticket, text).await;
    }
    let rows = rig.wait_deliveries(3, DeliveryStatus::Sent).await;
    let (first, third) = (rows[0].id.to_string(), rows[2].id.to_string());
    // By our id and by theirs; what another channel says about it counts for nothing.
    rig.post(
        "other",
        &json!({ "type": "status", "delivery": first, "status": "failed" }),
        SECRET,
        "x1",
    )
    .await;
    let news = json!([
        { "type": "status", "delivery": first, "status": "delivered" },
        { "type": "status", "id": "b", "status": "read" },
        { "type": "status", "delivery": third, "status": "failed", "error": "no such phone" },
    ]);
    rig.post("crm", &news, SECRET, "r3").await;
    wait_until("the news", PATIENCE, async || {
        let states: Vec<_> = rig.outbox().await.iter().map(|row| row.status).collect();
        states == [DeliveryStatus::Delivered, DeliveryStatus::Read, DeliveryStatus::Bounced]
    })
    .await;
    assert_eq!(rig.outbox().await[2].error.as_deref(), Some("no such phone"));
    rig.engine.stop().await;
}

/// A5: one slow or failing answer does not cost the customer the reply; order is kept within a conversation.
#[tokio::test]
async fn a5_a_receiver_that_was_down_for_an_hour_gets_everything_later_in_order() {
    let mut receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    rig.post("crm", &json!([entry("m1", "c1", "one"), entry("m2", "c2", "two")]), SECRET, "r1")
        .await;
    let messages = rig.wait_messages(2).await;
    receiver.stop();
    for number in 1..=3 {
        for message in &messages {
            rig.reply(message.ticket_id, &format!("{number}")).await;
        }
    }
    wait_until("a first attempt", PATIENCE, async || {
        rig.outbox().await.iter().any(|row| row.attempts > 0)
    })
    .await;
    pass(Duration::from_secs(3600));
    receiver.start_again();
    let rows = rig.wait_deliveries(6, DeliveryStatus::Sent).await;
    assert!(rows.iter().any(|row| row.attempts > 1));
    let asked = receiver.asked();
    for conversation in ["c1", "c2"] {
        let texts: Vec<String> = asked
            .iter()
            .map(Asked::json)
            .filter(|body| body["conversation"] == conversation)
            .map(|body| body["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(texts, ["1", "2", "3"], "{conversation}");
    }
    rig.engine.stop().await;
}

/// A5 and FAULTS 198: whatever the receiver does, the reply arrives, and all attempts are one delivery.
#[tokio::test]
async fn a_receiver_on_a_bad_day_can_tell_that_all_attempts_are_one_reply() {
    let inside = Receiver::answering(200);
    let elsewhere = inside.url("/elsewhere");
    let days = [
        Does::status(500),
        Does::with(503, "retry-after", "120"),
        Does::Close,
        Does::status(502),
        Does::with(429, "retry-after", "3600"),
        Does::Hang,
        Does::Endless(200),
    ];
    let mut days = days.into_iter();
    let receiver = Receiver::start(move |_| days.next().unwrap_or_else(|| Does::status(200)));
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    rig.post("crm", &entry("m1", "c1", "hello"), SECRET, "r1").await;
    let ticket = rig.wait_messages(1).await[0].ticket_id;
    rig.reply(ticket, "first").await;
    rig.reply(ticket, "second").await;
    for attempt in 1..=6_usize {
        wait_until("an attempt", PATIENCE, async || receiver.asked().len() >= attempt).await;
        wait_until("its end", PATIENCE, async || {
            rig.outbox().await[0].status == DeliveryStatus::Queued
        })
        .await;
        pass(Duration::from_secs(7200));
    }
    let rows = rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    assert_eq!(rows[0].attempts, 7, "a body without an end after a 200 is still a 200");
    let asked = receiver.asked();
    let first: Vec<&Asked> = asked.iter().filter(|asked| asked.json()["text"] == "first").collect();
    assert_eq!(first.len(), 7);
    for again in &first {
        assert_eq!(again.header("webhook-id"), first[0].header("webhook-id"));
        assert_eq!(again.body, first[0].body, "the same bytes at every attempt");
    }
    assert_eq!(asked.last().unwrap().json()["text"], "second", "in order");
    // A redirect is not followed, least of all inside: a human looks at the address.
    receiver.does(move |_| Does::with(307, "location", elsewhere.clone()));
    rig.reply(ticket, "third").await;
    wait_until("the lane to need a human", PATIENCE, async || {
        let health = rig.engine.health.of(&"crm".parse().unwrap());
        health
            .iter()
            .any(|(_, part)| part.last_error.as_ref().is_some_and(|error| error.contains("moved")))
    })
    .await;
    assert_eq!(rig.outbox().await[2].status, DeliveryStatus::Queued, "nothing is lost meanwhile");
    assert_eq!(inside.connections(), 0);
    rig.engine.stop().await;
}

#[tokio::test]
async fn what_a_receiver_refuses_for_good_is_told_and_holds_nobody_up() {
    let receiver = Receiver::start(|asked| match asked.json()["text"].as_str() {
        Some("bad") => Does::Answer(422, Vec::new(), "no such conversation".to_owned()),
        _ => Does::status(204),
    });
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    rig.post("crm", &entry("m1", "c1", "hello"), SECRET, "r1").await;
    let ticket = rig.wait_messages(1).await[0].ticket_id;
    rig.reply(ticket, "bad").await;
    rig.reply(ticket, "good").await;
    let rows = rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(rows[0].status, DeliveryStatus::Failed);
    let error = rows[0].error.as_ref().unwrap();
    assert!(error.contains("422") && error.contains("no such conversation"), "{error}");
    rig.engine.stop().await;
}

/// FAULTS 138, 195 and 199: the text is there at once, the file later, and nothing inside is ever asked.
#[tokio::test]
async fn files_by_address_are_fetched_later_and_never_from_inside() {
    let inside = Receiver::answering(200);
    let receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    let mut message = entry("m1", "c1", "look");
    let content = base64::engine::general_purpose::STANDARD.encode("hello");
    message["attachments"] = json!([
        { "name": "here.txt", "media_type": "text/plain", "content": content },
        { "name": "inside.txt", "url": inside.url("/secret") },
        { "name": "metadata", "url": "http://169.254.169.254/latest/meta-data/" },
    ]);
    rig.post("crm", &message, SECRET, "r1").await;
    rig.wait_messages(1).await;
    wait_until("the files to be given up", PATIENCE, async || {
        let attachments = rig.messages().await.remove(0).attachments;
        attachments.iter().filter(|attachment| attachment.state == "failed").count() == 2
    })
    .await;
    let attachments = rig.messages().await.remove(0).attachments;
    let here = rig.store.attachment(attachments[0].id).await.unwrap();
    assert_eq!(here.bytes.as_deref(), Some(&b"hello"[..]));
    assert_eq!(inside.connections(), 0);
    let events = rig.store.events_after(0, 100).await.unwrap();
    let told: Vec<_> = events.iter().filter(|event| event.kind == "attachment.updated").collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].data["error"].as_str().unwrap().contains("open internet"), "{told:?}");
    rig.engine.stop().await;
}

/// What the other system says about a person is noted, and joins nobody to anybody.
#[tokio::test]
async fn addresses_that_are_only_named_are_claimed_once_and_join_no_contacts() {
    let receiver = Receiver::answering(200);
    let rig = Rig::start(&[("crm", &settings(&receiver))]).await;
    let from = |sender: &str, id: &str| {
        let sender = json!({ "id": sender, "email": "Ann@Example.com", "phone": "+4915112345678" });
        json!({ "id": id, "conversation": id, "sender": sender, "text": "hello" })
    };
    rig.post("crm", &json!([from("u1", "m1"), from("u2", "m2"), from("u1", "m3")]), SECRET, "r1")
        .await;
    let messages = rig.wait_messages(3).await;
    let mut contacts = Vec::new();
    for message in &messages {
        let ticket = rig.store.ticket(TicketName::Id(message.ticket_id)).await.unwrap();
        contacts.push(ticket.contact);
    }
    assert_eq!(contacts[0].id, contacts[2].id);
    assert_ne!(contacts[0].id, contacts[1].id, "an address that is only named proves nothing");
    let known = |at: usize| -> BTreeSet<(String, String, String)> {
        let identities = contacts[at].identities.iter();
        identities.map(|one| (one.scheme.clone(), one.value.clone(), one.trust.clone())).collect()
    };
    let triple = |scheme: &str, value: &str, trust: &str| {
        (scheme.to_owned(), value.to_owned(), trust.to_owned())
    };
    let first = [
        triple("api", "u1", "proven"),
        triple("email", "ann@example.com", "claimed"),
        triple("tel", "+4915112345678", "claimed"),
    ];
    assert_eq!(known(2), BTreeSet::from(first));
    assert_eq!(known(1), BTreeSet::from([triple("api", "u2", "proven")]));
    rig.engine.stop().await;
}

/// Without a `reply_url`, a reply is done when it is where the other system looks for it.
#[tokio::test]
async fn without_an_address_replies_wait_in_our_own_api() {
    let rig = Rig::start(&[("api", &format!("kind = \"api\"\nsecret = \"{SECRET}\"\n"))]).await;
    rig.post("api", &entry("m1", "c1", "hello"), SECRET, "r1").await;
    let ticket = rig.wait_messages(1).await[0].ticket_id;
    rig.reply(ticket, "hi").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    let delivery = row.id.to_string();
    assert_eq!(row.external_id.as_deref(), Some(&*delivery));
    rig.post(
        "api",
        &json!({ "type": "status", "delivery": delivery, "status": "read" }),
        SECRET,
        "r2",
    )
    .await;
    rig.wait_deliveries(1, DeliveryStatus::Read).await;
    rig.engine.stop().await;
}

fn configuration(receiver: &Receiver) -> String {
    format!("[channels.crm]\n{}", settings(receiver))
}

/// The embedded default: no file, no secret in it, and still nobody gets in who was not told.
#[tokio::test]
async fn the_default_channel_lets_in_whoever_was_told_its_secret_and_nobody_else() {
    let daemon = Daemon::start("").await;
    let output = daemon.run(&["--json", "channel", "secret", "api"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |token: &str| {
        let url = format!("http://127.0.0.1:{}/hooks/api", daemon.port());
        let request =
            client.post(url).bearer_auth(token).body(entry("m1", "c1", "hello").to_string());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("").await, 401);
    assert_eq!(post(made["secret"].as_str().unwrap()).await, 401, "it signs, it is not to be sent");
    assert_eq!(post(made["token"].as_str().unwrap()).await, 202);
    let rig = Rig::beside(&daemon.state_folder(), &[]).await;
    assert_eq!(rig.wait_messages(1).await[0].text, "hello");
    assert!(!daemon.log().contains(made["token"].as_str().unwrap()));
}

/// Posts like a sender that tries again until it is told 2xx, and checks nothing else.
async fn push(daemon: &Daemon, body: &Value, id: &str) -> Option<u16> {
    let body = body.to_string();
    let keys = WebhookKeys::read([&Secret::new(SECRET)]).unwrap();
    let seconds = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!("http://127.0.0.1:{}/hooks/crm", daemon.port()))
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", keys.sign(id, seconds, body.as_bytes()))
        .body(Bytes::from(body))
        .timeout(Duration::from_secs(20))
        .send()
        .await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// Killed at each step of the way in: the sender posts until it hears 2xx, and there is one message of each.
#[tokio::test]
async fn a_kill_at_any_step_of_the_way_in_loses_and_doubles_nothing() {
    let receiver = Receiver::answering(200);
    for step in ["hook.appended", "ingest.interpreted", "ingest.applied"] {
        let mut daemon = Daemon::prepare(&configuration(&receiver));
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let batch = json!([entry("m1", "c1", "one"), entry("m2", "c1", "two")]);
        let first = push(&daemon, &batch, "r1").await;
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        if first != Some(202) {
            assert_eq!(push(&daemon, &batch, "r1").await, Some(202), "{step}");
        }
        // Once more than needed: it may be that only the answer got lost.
        assert_eq!(push(&daemon, &batch, "r1").await, Some(202), "{step}");
        let rig = Rig::beside(&daemon.state_folder(), &[]).await;
        let messages = rig.wait_messages(2).await;
        let texts: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
        assert_eq!(texts, ["one", "two"], "{step}");
        rig.store.close().await.unwrap();
        daemon.stop();
    }
}

/// Killed at each step of the way out: the receiver has each reply, by one id.
#[tokio::test]
async fn a_kill_at_any_step_of_the_way_out_loses_nothing_and_doubles_nothing() {
    for step in ["lane.begun", "lane.delivered", "lane.settled"] {
        let receiver = Receiver::answering(200);
        let mut daemon = Daemon::prepare(&configuration(&receiver));
        daemon.start_again().await;
        push(&daemon, &entry("m1", "c1", "hello"), "r1").await;
        let settings = settings(&receiver);
        let rig = Rig::beside(&daemon.state_folder(), &[("crm", &settings)]).await;
        let ticket = rig.wait_messages(1).await[0].ticket_id;
        daemon.stop();
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        rig.reply(ticket, "one").await;
        rig.reply(ticket, "two").await;
        daemon.spawn();
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        let rows = rig.wait_deliveries(2, DeliveryStatus::Sent).await;
        let asked = receiver.asked();
        let ids: BTreeSet<&str> = asked.iter().map(|asked| asked.header("webhook-id")).collect();
        let known: BTreeSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
        assert_eq!(ids, known.iter().map(String::as_str).collect(), "{step}");
        let mut order: Vec<Value> =
            asked.iter().map(|asked| asked.json()["text"].clone()).collect();
        order.dedup();
        assert_eq!(order, ["one", "two"], "{step}");
        rig.store.close().await.unwrap();
        daemon.stop();
    }
}
