//! What we answer, and what the service makes of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::engine::ReplyRequest;
use tributary::model::DeliveryStatus;
use tributary::store::{Answer, NewUpload, TicketName};

use super::{ANN, BOB, becomes, start, written};
use crate::support::answers::answering;
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, asked, pass, reply_request};
use crate::support::telegram::{Act, message, refusal};
use crate::support::wait_until;

/// T5: an answer goes to whoever wrote, to the message that it answers, with its formatting beside the text.
#[tokio::test]
async fn telegram_t5_an_answer_goes_back_with_its_formatting() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "where is it?").await;
    let html = Some("on <b>its</b> way".to_owned());
    rig.engine.reply(ReplyRequest { html, ..reply_request(ticket, "on its way") }).await.unwrap();
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    assert_eq!(row.external_id, Some(format!("{ANN}:102")));
    let expected = json!({ "chat_id": ANN, "text": "on its way",
        "entities": [{ "type": "bold", "offset": 3, "length": 3 }],
        "link_preview_options": { "is_disabled": true },
        "reply_parameters": { "message_id": 101, "allow_sending_without_reply": true } });
    assert_eq!(service.sent()[0].fields, expected);
    rig.engine.stop().await;
}

/// Answers to choose from are buttons: short ones beside each other, long ones below each other.
#[tokio::test]
async fn telegram_answers_to_choose_from_are_buttons() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "where is it?").await;
    rig.engine.reply(asked(ticket, "Did it help?", &["Yes", "No"])).await.unwrap();
    rig.engine
        .reply(asked(ticket, "Well?", &["Yes, thank you", "No, a person please"]))
        .await
        .unwrap();
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let button =
        |label: &str, at: u8| json!({ "text": label, "callback_data": format!("ask:{at}") });
    let keyboard = |at: usize| service.sent()[at].fields["reply_markup"]["inline_keyboard"].clone();
    assert_eq!(keyboard(0), json!([[button("Yes", 0), button("No", 1)]]));
    let rows = json!([[button("Yes, thank you", 0)], [button("No, a person please", 1)]]);
    assert_eq!(keyboard(1), rows);
    assert_eq!(service.texts(), ["Did it help?", "Well?"]);
    rig.engine.stop().await;
}

/// A known answer goes out with buttons below it, and a pressed one solves the ticket.
#[tokio::test]
async fn telegram_a_known_answer_is_judged_by_a_button() {
    let (rig, service) = start().await;
    rig.engine.change_known_answers(Arc::new(answering(true)));
    service.writes(ANN, &json!({ "text": "How much are the fees?" }));
    let ticket = rig.wait_messages(2).await.remove(0).ticket_id;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let sent = service.sent().remove(0).fields;
    assert!(sent["text"].as_str().unwrap().ends_with("Did this help?"), "{sent}");
    let rows = sent["reply_markup"]["inline_keyboard"].as_array().unwrap().clone();
    let yes = &rows[0][0];
    assert_eq!(yes, &json!({ "text": "Yes, thanks", "callback_data": "faq:yes" }));
    let mut under = message(ANN, 102, &json!({ "text": sent["text"] }));
    under["reply_markup"] = sent["reply_markup"].clone();
    let next = rows
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .find(|one| one["callback_data"] == "faq:3");
    assert_eq!(next.unwrap()["text"], "A transfer that is pending or failed");
    let press = |id: &str, data: &str| json!({ "id": id, "data": data, "from": under["from"], "message": under });
    service.happens("callback_query", press("q1", "faq:3"));
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let second = service.sent().remove(1).fields;
    assert!(second["text"].as_str().unwrap().ends_with("Did this help?"), "{second}");
    assert!(!second.to_string().contains("faq:3"), "where it came from is no way on: {second}");
    // The same button of the first message again: it is there already.
    service.happens("callback_query", press("q2", "faq:3"));
    service.happens("callback_query", press("q3", "faq:yes"));
    wait_until("the ticket to be solved", PATIENCE, async || {
        rig.store.ticket(TicketName::Id(ticket)).await.unwrap().status == "solved"
    })
    .await;
    rig.engine.stop().await;
}

/// T11: what is too long goes out as several, in order; exactly as much as fits is one.
#[tokio::test]
async fn telegram_t11_long_answers_are_split_at_4096_units() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "tell me all").await;
    let exact = format!("{}😀", "x".repeat(4094));
    rig.reply(ticket, &exact).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(service.texts(), [exact]);
    let words: Vec<String> = (0..1200).map(|n| format!("word{n}")).collect();
    rig.reply(ticket, &words.join(" ")).await;
    rig.wait_deliveries(4, DeliveryStatus::Sent).await;
    assert_eq!(service.texts()[1..].join(" "), words.join(" "));
    rig.engine.stop().await;
}

/// T8: told to wait, in order, and nothing is lost; others go on.
#[tokio::test]
async fn telegram_t8_a_flood_is_waited_for_and_order_kept() {
    let (rig, service) = start().await;
    let ann = written(&rig, &service, ANN, "hello").await;
    let bob = written(&rig, &service, BOB, "hello").await;
    let mut left = 2;
    service.on_call(move |method, fields| {
        let hit = method == "sendmessage" && fields["chat_id"] == ANN && left > 0;
        left -= i32::from(hit);
        let parameters = json!({ "retry_after": 90 });
        if hit {
            Act::Refuse(refusal(429, "Too Many Requests: retry after 90", &parameters))
        } else {
            Act::Do
        }
    });
    rig.reply(ann, "first").await;
    rig.reply(ann, "second").await;
    wait_until("a first try", PATIENCE, async || rig.outbox().await[0].attempts == 1).await;
    rig.reply(bob, "to bob").await;
    wait_until("bob's", PATIENCE, async || service.texts() == ["to bob"]).await;
    let not_yet = rig.outbox().await.remove(0);
    assert_eq!(not_yet.status, DeliveryStatus::Queued);
    rig.engine.stop().await;
}

/// Each clear no: what is changed and sent again at once, and what fails with words that help.
#[tokio::test]
async fn telegram_every_class_of_error_does_what_it_must() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "hello").await;
    for (place, (code, said, told)) in [
        (403, "Forbidden: bot was blocked by the user", "blocked"),
        (403, "Forbidden: bot was kicked from the supergroup chat", "not in that chat"),
        (400, "Bad Request: chat not found", "no such chat"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "administrators"),
        (400, "Bad Request: BUSINESS_CONNECTION_INVALID", "business account"),
        (400, "Bad Request: something new", "something new"),
    ]
    .into_iter()
    .enumerate()
    {
        service.on_call(move |method, _| match method {
            "sendmessage" => Act::Refuse(refusal(code, said, &Value::Null)),
            _ => Act::Do,
        });
        rig.reply(ticket, "no").await;
        let error = becomes(&rig, place, DeliveryStatus::Failed).await;
        assert!(error.contains(told), "{said}: {error}");
    }
    // Only whoever blocked us is marked, once: nothing is sent to them unasked.
    let events = rig.store.events_after(0, 1000).await.unwrap();
    let marked: Vec<_> = events.iter().filter(|event| event.kind == "contact.standing").collect();
    assert_eq!(marked.len(), 1, "{marked:?}");
    assert_eq!((&marked[0].data["reach"], marked[0].ticket), (&json!("unreachable"), Some(ticket)));
    assert!(marked[0].data["said"].as_str().unwrap().contains("blocked"));
    for (place, (said, parameters)) in [
        ("Bad Request: can't parse entities: unsupported", Value::Null),
        ("Bad Request: message to be replied not found", Value::Null),
        (
            "Bad Request: group chat was upgraded to a supergroup chat",
            json!({ "migrate_to_chat_id": -1_005 }),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut once = true;
        service.on_call(move |method, _| {
            if method == "sendmessage" && std::mem::take(&mut once) {
                return Act::Refuse(refusal(400, said, &parameters));
            }
            Act::Do
        });
        let html = Some("<b>yes</b>".to_owned());
        rig.engine.reply(ReplyRequest { html, ..reply_request(ticket, "yes") }).await.unwrap();
        becomes(&rig, place + 6, DeliveryStatus::Sent).await;
        assert_eq!(service.texts().len(), place + 1, "once each");
    }
    let sent = service.sent();
    assert!(
        sent[0].fields.get("entities").is_none()
            && sent[0].fields.get("reply_parameters").is_some()
    );
    assert!(sent[1].fields.get("reply_parameters").is_none());
    assert_eq!(sent[2].fields["chat_id"], -1_005);
    rig.engine.stop().await;
}

/// Who types is shown as typing, in the conversation and not too often; it costs nothing if it fails.
#[tokio::test]
async fn telegram_typing_is_shown_now_and_then() {
    let (rig, service) = start().await;
    let ann = written(&rig, &service, ANN, "hello").await;
    let bob = written(&rig, &service, BOB, "hello").await;
    for ticket in [ann, ann, bob, ann] {
        rig.engine.show_typing(ticket.into()).await.unwrap();
    }
    wait_until("the signs", PATIENCE, async || service.state().signs.len() == 2).await;
    let mut signs = std::mem::take(&mut service.state().signs);
    signs.sort_by_key(|sign| sign["chat_id"].as_i64());
    let sign = |chat| json!({ "chat_id": chat, "action": "typing" });
    assert_eq!(signs, [sign(ANN), sign(BOB)]);
    tokio::time::sleep(Duration::from_millis(4100)).await;
    service.on_call(|method, _| match method {
        "sendchataction" => Act::Refuse(refusal(403, "Forbidden: bot was blocked", &Value::Null)),
        _ => Act::Do,
    });
    rig.engine.show_typing(ann.into()).await.unwrap();
    rig.reply(ann, "an answer all the same").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// Topics of a group: an answer goes to its topic, and to the group if the topic is gone.
#[tokio::test]
async fn telegram_a_topic_gets_its_own_answers() {
    let (rig, service) = start().await;
    let group = -1_001_234_567_890_i64;
    let more = json!({ "text": "in the topic", "chat": { "id": group, "type": "supergroup", "title": "G" },
        "message_thread_id": 4, "is_topic_message": true });
    service.happens("message", message(ANN, 9, &more));
    let ticket = rig.wait_messages(1).await.remove(0).ticket_id;
    rig.reply(ticket, "one").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    service.on_call(|_, fields| match fields.get("message_thread_id") {
        Some(_) => Act::Refuse(refusal(400, "Bad Request: message thread not found", &Value::Null)),
        None => Act::Do,
    });
    rig.reply(ticket, "two").await;
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let to: Vec<Value> =
        service.sent().iter().map(|sent| sent.fields["message_thread_id"].clone()).collect();
    assert_eq!(to, [json!(4), Value::Null]);
    assert!(service.sent().iter().all(|sent| sent.fields["chat_id"] == group));
    rig.engine.stop().await;
}

/// Whatever ends unclear is for a person, and never sent again by itself.
#[tokio::test]
async fn telegram_a_lost_answer_is_unconfirmed_and_sent_once() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "hello").await;
    let lost = [Does::Close, Does::body("<html>"), Does::body("{}"), Does::status(502)];
    for (place, does) in lost.into_iter().enumerate() {
        let mut once = Some(does);
        service.on_call(move |method, _| match method {
            "sendmessage" => once.take().map_or(Act::Do, Act::DoThen),
            _ => Act::Do,
        });
        rig.reply(ticket, &format!("answer {place}")).await;
        becomes(&rig, place, DeliveryStatus::Unconfirmed).await;
    }
    pass(Duration::from_secs(7200));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.texts().len(), 4, "once each");
    // A clear no of an overloaded service is tried again.
    let mut once = Some(refusal(500, "Internal Server Error", &Value::Null));
    service.on_call(move |method, _| match method {
        "sendmessage" => once.take().map_or(Act::Do, Act::Refuse),
        _ => Act::Do,
    });
    rig.reply(ticket, "at last").await;
    wait_until("a first try to have failed", PATIENCE, async || {
        let row = rig.outbox().await.remove(4);
        row.attempts == 1 && row.status == DeliveryStatus::Queued
    })
    .await;
    pass(Duration::from_secs(3700));
    becomes(&rig, 4, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// T1: files go up with the call, never by an address; each as what it is, or else as a document.
#[tokio::test]
async fn telegram_t1_files_are_put_up() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "send me the papers").await;
    let mut uploads = Vec::new();
    for (name, mime, bytes) in
        [("plan.pdf", "application/pdf", &b"%PDF"[..]), ("photo.png", "image/png", b"a photo")]
    {
        let new =
            NewUpload { name: name.to_owned(), media_type: mime.to_owned(), bytes: bytes.into() };
        let Answer::Fresh(kept) = rig.store.keep_upload(new, None, rig.now()).await.unwrap() else {
            panic!("without a key it is always fresh")
        };
        uploads.push((kept.id, bytes.len() as u64));
    }
    service.on_call(|method, _| match method {
        "sendphoto" => {
            Act::Refuse(refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS", &Value::Null))
        }
        _ => Act::Do,
    });
    rig.engine.reply(ReplyRequest { uploads, ..reply_request(ticket, "here") }).await.unwrap();
    rig.wait_deliveries(3, DeliveryStatus::Sent).await;
    let sent = service.sent();
    let methods: Vec<&str> = sent.iter().map(|sent| &*sent.method).collect();
    assert_eq!(methods, ["sendmessage", "senddocument", "senddocument"]);
    assert!(service.state().asked.contains(&"sendphoto".to_owned()), "tried as a picture first");
    let file = |at: usize| sent[at].file.clone().unwrap();
    assert_eq!(file(1), ("plan.pdf".to_owned(), "application/pdf".to_owned(), "%PDF".to_owned()));
    assert_eq!(file(2).2, "a photo");
    assert_eq!(sent[1].fields["chat_id"], json!(ANN.to_string()));
    rig.engine.stop().await;
}
