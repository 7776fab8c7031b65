//! What customers write, and what the service tells.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tributary::model::DeliveryStatus;

use super::{ANN, BOB, channel, start, take, written};
use crate::support::graph::whatsapp::{
    APP_SECRET, VERIFY_TOKEN, bytes, change, contact, envelope, message, signature, texts,
};
use crate::support::rig::{PATIENCE, Rig, clock};
use crate::support::wait_until;

async fn get(rig: &Rig, query: &str) -> (u16, Bytes) {
    let request = http::Request::get(format!("/hooks/wa?{query}")).body(Bytes::new()).unwrap();
    let answer = rig.engine.take_hook(&channel(), request).await;
    (answer.status().as_u16(), answer.body().clone())
}

/// FAULTS 150: the challenge comes back to whoever knows the token, and nothing to anybody else.
#[tokio::test]
async fn whatsapp_the_hook_proves_that_it_is_ours() {
    let (rig, _service) = start().await;
    let asked = |token: &str| {
        format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444")
    };
    assert_eq!(get(&rig, &asked(VERIFY_TOKEN)).await, (200, Bytes::from("1158201444")));
    for bad in ["", "wrong", "canary-verify-token-of-the-hoo"] {
        let (status, body) = get(&rig, &asked(bad)).await;
        assert_eq!((status, body.len()), (403, 0), "{bad}");
    }
    let (status, _) = get(&rig, &asked(VERIFY_TOKEN).replace("subscribe", "unsubscribe")).await;
    assert_eq!(status, 403);
    rig.engine.stop().await;
}

/// COMPLAINTS D8: the service pushes one message with a file five times at once.
#[tokio::test]
async fn whatsapp_what_is_pushed_five_times_at_once_is_one_message() {
    let (rig, service) = start().await;
    service.keep("F1", "image/jpeg", "a picture");
    let image = json!({ "image": { "id": "F1", "mime_type": "image/jpeg" } });
    let body = message(ANN, "wamid.1", "image", &image);
    futures::future::join_all((0..5).map(|_| take(&rig, &body))).await;
    take(&rig, &texts(&[(ANN, "wamid.2", "and a word")])).await;
    let messages = rig.wait_messages(2).await;
    let files: Vec<usize> = messages.iter().map(|message| message.attachments.len()).collect();
    assert_eq!(files, [1, 0], "each once");
    assert_eq!(messages[0].ticket_id, messages[1].ticket_id);
    rig.engine.stop().await;
}

/// FAULTS 145 and M16: only what the app's secret signed gets in, over the bytes as they came.
#[tokio::test]
async fn whatsapp_nothing_gets_in_without_a_signature_over_the_raw_bytes() {
    let (rig, _service) = start().await;
    let body = texts(&[(ANN, "wamid.1", "价格 / Größe?")]);
    let raw = bytes(&body);
    let good = signature(APP_SECRET, &raw);
    let anew = body.to_string().into_bytes();
    assert_ne!(raw, anew, "the service escapes what we would not");
    let mut cut = raw.clone();
    cut.truncate(raw.len() - 1);
    let bad: Vec<(Vec<u8>, Vec<String>)> = vec![
        (raw.clone(), vec![]),
        (raw.clone(), vec![String::new()]),
        (raw.clone(), vec![good.replace("sha256=", "")]),
        (raw.clone(), vec![good.replace("sha256=", "sha1=")]),
        (raw.clone(), vec![good.chars().take(good.len() - 2).collect()]),
        (raw.clone(), vec![signature("another secret", &raw)]),
        (raw.clone(), vec![good.clone(), signature("another secret", &raw)]),
        (cut, vec![good.clone()]),
        (anew, vec![good.clone()]),
        (Vec::new(), vec![good.clone()]),
    ];
    for (body, signatures) in bad {
        let mut request = http::Request::post("/hooks/wa").body(Bytes::from(body)).unwrap();
        for signature in &signatures {
            request.headers_mut().append("x-hub-signature-256", signature.parse().unwrap());
        }
        let answer = rig.engine.take_hook(&channel(), request).await;
        assert!(matches!(answer.status().as_u16(), 401 | 403), "{signatures:?}");
        assert!(answer.body().is_empty());
    }
    take(&rig, &body).await;
    let message = rig.wait_messages(1).await.remove(0);
    assert_eq!(message.text, "价格 / Größe?");
    rig.engine.stop().await;
}

/// M1 and FAULTS 155: twenty requests at once, several messages in each, each twice, and the late ones first:
/// every message once, with the service's time, and the late ones marked (M2).
#[tokio::test]
async fn m1_m2_twenty_requests_at_once_lose_nothing_and_keep_the_services_time() {
    let (rig, _service) = start().await;
    let began = clock().now().timestamp();
    let request = |number: i64| {
        let one = |n: i64| {
            let at = began - (if number < 10 { 20_000 } else { 60 }) + n;
            json!({ "from": ANN, "id": format!("wamid.{n}"), "timestamp": at.to_string(),
                "type": "text", "text": { "body": format!("message {n}") } })
        };
        let messages: Vec<Value> = (0..3).map(|n| one(number * 3 + n)).collect();
        envelope(&[change("messages", json!({ "contacts": [contact(ANN)], "messages": messages }))])
    };
    let requests: Vec<Value> = (0..20).rev().flat_map(|n| [request(n), request(n)]).collect();
    let all = requests.iter().map(|body| take(&rig, body));
    futures::future::join_all(all).await;
    let mut messages = rig.wait_messages(60).await;
    assert!(messages.windows(2).all(|two| two[0].ticket_id == two[1].ticket_id), "one ticket");
    messages.sort_by_key(|message| message.sent_at);
    for (n, message) in messages.iter().enumerate() {
        let n = i64::try_from(n).unwrap();
        assert_eq!(message.text, format!("message {n}"), "the service's order can be told");
        let late = serde_json::to_value(&message.flags).unwrap();
        let late = late.as_array().unwrap().contains(&json!("late"));
        assert_eq!(late, n < 30, "message {n}");
    }
    rig.engine.stop().await;
}

/// One bad element never costs its neighbours, and a whole body handed over by hand is read as well.
#[tokio::test]
async fn whatsapp_a_bad_element_of_a_batch_waits_in_quarantine_and_the_others_go_on() {
    let (rig, _service) = start().await;
    let mut body = texts(&[(ANN, "wamid.1", "one"), (BOB, "wamid.2", "two")]);
    let messages = body["entry"][0]["changes"][0]["value"]["messages"].as_array_mut().unwrap();
    messages.insert(1, json!({ "from": ANN, "type": "text", "text": { "body": "no id" } }));
    messages.push(json!({ "from": BOB, "id": "wamid.4", "type": "hologram", "timestamp": "soon",
        "hologram": { "caption": "a wave" } }));
    take(&rig, &body).await;
    // One of them is the notice about the bad one.
    let messages = rig.wait_messages(4).await;
    let texts: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
    assert!(texts.contains(&"one") && texts.contains(&"two"), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("hologram") && text.contains("a wave")));
    let quarantine = rig.store.quarantine(None, 10).await.unwrap();
    assert_eq!(quarantine.len(), 1);
    let (_, raw) = rig.store.raw(quarantine[0].id).await.unwrap();
    let raw: Value = serde_json::from_slice(&raw.unwrap().body).unwrap();
    let contacts = &raw["entry"][0]["changes"][0]["value"]["contacts"];
    assert_eq!(contacts.as_array().unwrap().len(), 1, "nobody else's name stays with it");
    rig.engine.stop().await;
}

/// Several channels on one app: each takes its own, and what is another's is kept with the reason.
#[tokio::test]
async fn whatsapp_what_is_for_another_number_is_ignored_with_a_reason() {
    let (rig, _service) = start().await;
    let mut body = texts(&[(ANN, "wamid.1", "for sales")]);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("999");
    take(&rig, &body).await;
    written(&rig, ANN, "wamid.2", "for support").await;
    assert_eq!(rig.messages().await.len(), 1);
    rig.engine.stop().await;
}

/// M13: edits, takings-back and signs, each also before what they are about.
#[tokio::test]
async fn m13_edits_unsends_and_signs_find_their_message_in_either_order() {
    let (rig, service) = start().await;
    let edit = |target: &str, text: &str| {
        message(
            ANN,
            &format!("wamid.edit.{target}"),
            "edit",
            &json!({ "edit": {
            "original_message_id": target,
            "message": { "type": "text", "text": { "body": text } } } }),
        )
    };
    let revoke = |target: &str| {
        message(
            ANN,
            &format!("wamid.revoke.{target}"),
            "revoke",
            &json!({ "revoke": { "original_message_id": target } }),
        )
    };
    take(&rig, &edit("wamid.1", "hello")).await;
    take(&rig, &revoke("wamid.2")).await;
    take(&rig, &texts(&[(ANN, "wamid.1", "helo"), (ANN, "wamid.2", "oops")])).await;
    let ticket = rig.wait_messages(2).await[0].ticket_id;
    wait_until("the edit and the taking-back", PATIENCE, async || {
        let messages = rig.messages().await;
        messages[0].text == "hello" && messages[1].deleted_at.is_some()
    })
    .await;
    take(&rig, &edit("wamid.1", "hello again")).await;
    wait_until("the second edit", PATIENCE, async || rig.messages().await[0].text == "hello again")
        .await;
    rig.reply(ticket, "good day").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    let ours = row.external_id.unwrap();
    for (id, emoji) in [("wamid.r1", json!("👍")), ("wamid.r2", json!(""))] {
        let sign = json!({ "reaction": { "message_id": ours, "emoji": emoji } });
        take(&rig, &message(ANN, id, "reaction", &sign)).await;
    }
    wait_until("both signs", PATIENCE, async || {
        let events = rig.store.events_after(0, 500).await.unwrap();
        let signs: Vec<_> =
            events.iter().filter(|event| event.kind == "message.reaction").collect();
        signs.len() == 2 && signs[0].data["emoji"] == "👍" && signs[1].data["emoji"].is_null()
    })
    .await;
    assert_eq!(rig.messages().await.len(), 3, "signs and edits are no messages");
    assert_eq!(service.taken().len(), 1);
    rig.engine.stop().await;
}

/// Somebody hides their number: the id stands for them, before and after, and the answer goes to it.
#[tokio::test]
async fn whatsapp_who_hides_their_number_stays_the_same_person() {
    let (rig, service) = start().await;
    let both = json!({ "contacts": [{ "profile": { "name": "Ann" }, "wa_id": ANN, "user_id": "DE.77" }],
        "messages": [{ "from": ANN, "from_user_id": "DE.77", "id": "wamid.1", "timestamp": "1697043223",
            "type": "text", "text": { "body": "shown" } }] });
    let hidden = json!({ "contacts": [{ "profile": { "name": "Ann" }, "user_id": "DE.77" }],
        "messages": [{ "from_user_id": "DE.77", "id": "wamid.2", "timestamp": "1697043224",
            "type": "text", "text": { "body": "hidden" } }] });
    take(&rig, &envelope(&[change("messages", both)])).await;
    let ticket = rig.wait_messages(1).await[0].ticket_id;
    rig.reply(ticket, "to the number").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    take(&rig, &envelope(&[change("messages", hidden)])).await;
    let messages = rig.wait_messages(3).await;
    assert_eq!(messages[2].ticket_id, ticket);
    assert_eq!(messages[2].author.id, messages[0].author.id, "one contact");
    rig.reply(ticket, "to the id").await;
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let taken = service.taken();
    assert_eq!((&taken[0]["to"], &taken[0]["recipient"]), (&json!(ANN), &Value::Null));
    assert_eq!((&taken[1]["to"], &taken[1]["recipient"]), (&Value::Null, &json!("DE.77")));
    rig.engine.stop().await;
}

/// A changed number is the same customer; a changed security code is told to whoever writes to them.
#[tokio::test]
async fn whatsapp_a_changed_number_moves_the_conversation_and_a_changed_code_is_told() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    let moved = json!({ "messages": [{ "from": ANN, "id": "wamid.2", "timestamp": "1753851315", "type": "system",
        "system": { "body": "User A changed", "wa_id": BOB, "type": "user_changed_number" } }] });
    take(&rig, &envelope(&[change("messages", moved)])).await;
    wait_until("the move", PATIENCE, async || {
        let events = rig.store.events_after(0, 500).await.unwrap();
        events.iter().any(|event| event.kind == "ticket.moved")
    })
    .await;
    assert_eq!(written(&rig, BOB, "wamid.3", "it is me").await, ticket);
    let code = json!({ "system": { "type": "customer_identity_changed", "body": "changed" },
        "identity": { "hash": "x" } });
    take(&rig, &message(BOB, "wamid.4", "system", &code)).await;
    let notice = rig.wait_messages(3).await.pop().unwrap();
    assert_eq!(notice.ticket_id, ticket);
    assert!(notice.text.contains("security code"), "{}", notice.text);
    rig.reply(ticket, "who are you?").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(service.taken()[0]["to"], BOB);
    rig.engine.stop().await;
}

/// FAULTS 147: what one of ours wrote in the app on the phone stands in the ticket as ours.
#[tokio::test]
async fn whatsapp_what_was_written_on_the_phone_is_an_answer_of_ours() {
    let (rig, _service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "are you there?").await;
    let echo = json!({ "contacts": [contact(ANN)], "message_echoes": [{ "from": "15550783881", "to": ANN,
        "id": "wamid.e1", "timestamp": "1697043223", "type": "text", "text": { "body": "yes, on the phone" } }] });
    let echo = envelope(&[change("smb_message_echoes", echo)]);
    take(&rig, &echo).await;
    take(&rig, &echo).await;
    let messages = rig.wait_messages(2).await;
    let ours = serde_json::to_value(&messages[1]).unwrap();
    assert_eq!((&ours["direction"], &ours["text"]), (&json!("out"), &json!("yes, on the phone")));
    assert_eq!(messages[1].ticket_id, ticket);
    rig.engine.stop().await;
}

/// The account's own news never go by unseen: each is a ticket, once, with how urgent it is.
#[tokio::test]
async fn whatsapp_news_of_the_account_become_tickets() {
    let (rig, _service) = start().await;
    let news = |field: &str, value: Value| {
        json!({ "object": "whatsapp_business_account", "entry": [
            { "id": "102290129340398", "time": 1_739_321_024, "changes": [{ "field": field, "value": value }] }] })
    };
    let violation = news(
        "account_update",
        json!({ "event": "ACCOUNT_VIOLATION",
        "violation_info": { "violation_type": "ADULT" } }),
    );
    take(&rig, &violation).await;
    take(&rig, &violation).await;
    let quality = json!({ "display_phone_number": "15550783881", "event": "DOWNGRADE",
        "current_limit": "TIER_1K" });
    take(&rig, &news("phone_number_quality_update", quality)).await;
    let template = |event: &str| json!({ "event": event, "message_template_name": "abandoned_cart", "reason": "INVALID_FORMAT" });
    take(&rig, &news("message_template_status_update", template("REJECTED"))).await;
    take(&rig, &news("message_template_status_update", template("APPROVED"))).await;
    let error = json!({ "errors": [{ "code": 130_429, "title": "Rate limit hit" }] });
    take(&rig, &envelope(&[change("messages", error)])).await;
    let messages = rig.wait_messages(4).await;
    let all: Vec<(&str, &str)> = messages
        .iter()
        .map(|message| (message.subject.as_deref().unwrap_or_default(), &*message.text))
        .collect();
    let has = |subject: &str, text: &str| {
        all.iter().any(|(given, words)| given.contains(subject) && words.contains(text))
    };
    assert!(has("ACCOUNT_VIOLATION", "violation_type: ADULT"), "{all:?}");
    assert!(has("DOWNGRADE", "TIER_1K") && has("REJECTED", "abandoned_cart"), "{all:?}");
    assert!(has("error", "130429"), "{all:?}");
    rig.engine.stop().await;
}

/// Whoever wants no marketing any more has said so once and for all.
#[tokio::test]
async fn whatsapp_a_wish_about_marketing_is_kept() {
    let (rig, _service) = start().await;
    written(&rig, ANN, "wamid.1", "hello").await;
    let wish = json!({ "contacts": [contact(ANN)], "user_preferences": [{ "wa_id": ANN, "value": "stop",
        "detail": "User requested to stop marketing messages", "category": "marketing_messages",
        "timestamp": 1_731_705_721 }] });
    take(&rig, &envelope(&[change("user_preferences", wish)])).await;
    wait_until("the wish", PATIENCE, async || {
        let events = rig.store.events_after(0, 500).await.unwrap();
        events
            .iter()
            .any(|event| event.kind == "contact.standing" && event.data["reach"] == "opted_out")
    })
    .await;
    rig.engine.stop().await;
}

/// A file is named at once and fetched in two steps, with the token at both hosts and nowhere else; its hash
/// is checked.
#[tokio::test]
async fn whatsapp_files_are_fetched_in_two_steps_and_checked() {
    let (rig, service) = start().await;
    let picture = |id: &str, media: &str| {
        let image =
            json!({ "id": media, "mime_type": "image/jpeg", "caption": "look", "sha256": "" });
        message(ANN, id, "image", &json!({ "image": image }))
    };
    service.keep("m1", "image/jpeg", "a picture");
    take(&rig, &picture("wamid.1", "m1")).await;
    let message = rig.wait_messages(1).await.remove(0);
    assert_eq!(message.text, "look");
    let fetched = async || rig.messages().await[0].attachments[0].state == "stored";
    wait_until("the file", PATIENCE, fetched).await;
    let kept = rig.store.attachment(message.attachments[0].id).await.unwrap();
    assert_eq!(kept.bytes.as_deref(), Some(&b"a picture"[..]));
    assert_eq!(message.attachments[0].name, "image.jpg");
    // It is gone there.
    take(&rig, &picture("wamid.2", "gone")).await;
    let given_up = async || {
        let messages = rig.messages().await;
        messages.get(1).is_some_and(|message| message.attachments[0].state == "failed")
    };
    wait_until("the file that is gone to be given up", PATIENCE, given_up).await;
    // The token goes to no other host, whatever the service says.
    service.state().strange_host = true;
    service.keep("m3", "image/jpeg", "elsewhere");
    let before = service.media.connections();
    take(&rig, &picture("wamid.3", "m3")).await;
    let given_up = async || {
        let messages = rig.messages().await;
        messages.get(2).is_some_and(|message| message.attachments[0].state == "failed")
    };
    wait_until("the file of another host to be given up", PATIENCE, given_up).await;
    assert_eq!(service.media.connections(), before);
    rig.engine.stop().await;
}

/// An address that is no longer good, or bytes that are not those that were sent, are asked for again.
#[tokio::test]
async fn whatsapp_a_file_with_the_wrong_bytes_is_never_kept() {
    let (rig, service) = start().await;
    service.keep("m1", "image/jpeg", "a picture");
    service.state().wrong_bytes = true;
    take(&rig, &message(ANN, "wamid.1", "image", &json!({ "image": { "id": "m1" } }))).await;
    rig.wait_messages(1).await;
    let tried = || service.state().asked.iter().filter(|asked| asked.ends_with("/m1")).count();
    wait_until("a first try", PATIENCE, async || tried() >= 1).await;
    service.state().wrong_bytes = false;
    service.state().expired = true;
    crate::support::rig::pass(Duration::from_secs(60));
    wait_until("a second try", PATIENCE, async || tried() >= 2).await;
    assert_ne!(rig.messages().await[0].attachments[0].state, "stored");
    service.state().expired = false;
    crate::support::rig::pass(Duration::from_secs(120));
    let fetched = async || rig.messages().await[0].attachments[0].state == "stored";
    wait_until("the file", PATIENCE, fetched).await;
    let id = rig.messages().await[0].attachments[0].id;
    assert_eq!(rig.store.attachment(id).await.unwrap().bytes.as_deref(), Some(&b"a picture"[..]));
    rig.engine.stop().await;
}
