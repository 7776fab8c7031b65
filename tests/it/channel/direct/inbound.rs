//! What customers write, and what the service tells.

use bytes::Bytes;
use serde_json::{Value, json};
use tributary::model::{Actor, DeliveryStatus};
use tributary::store::{By, TicketName};
use uuid::Uuid;

use super::{ANN, BOB, FACES, channel, start, take, written};
use crate::support::graph::pages::{APP_SECRET, Face, VERIFY_TOKEN};
use crate::support::graph::whatsapp::{bytes, signature};
use crate::support::rig::{PATIENCE, Rig};
use crate::support::wait_until;

/// FAULTS 145, 150: the challenge comes back to whoever knows the token, and only signed bytes get in.
#[tokio::test]
async fn messenger_the_hook_proves_itself_and_believes_no_one_without_proof() {
    let (rig, _service) = start(Face::Messenger, "").await;
    let ask = async |token: &str| {
        let query = format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=115");
        let request = http::Request::get(format!("/hooks/dm?{query}")).body(Bytes::new()).unwrap();
        let answer = rig.engine.take_hook(&channel(), request).await;
        (answer.status().as_u16(), answer.body().clone())
    };
    assert_eq!(ask(VERIFY_TOKEN).await, (200, Bytes::from("115")));
    assert_eq!(ask("wrong").await, (403, Bytes::new()));
    let body = Face::Messenger.text(ANN, "m_1", "价格?");
    let raw = bytes(&body);
    for (body, given) in [
        (raw.clone(), String::new()),
        (raw.clone(), signature("another secret", &raw)),
        (body.to_string().into_bytes(), signature(APP_SECRET, &raw)),
    ] {
        let request = http::Request::post("/hooks/dm").header("x-hub-signature-256", given);
        let request = request.body(Bytes::from(body)).unwrap();
        assert_eq!(rig.engine.take_hook(&channel(), request).await.status(), 403);
    }
    take(&rig, &body).await;
    assert_eq!(rig.wait_messages(1).await[0].text, "价格?");
    rig.engine.stop().await;
}

/// M1, M13: several entries with several messages each, twice, with a bad one among them: every good one once.
#[tokio::test]
async fn m1_m13_a_batch_pushed_twice_is_there_once_and_a_bad_one_costs_no_other() {
    for face in FACES {
        let (rig, _service) = start(face, "").await;
        let one = |customer: &str, n: usize| {
            let message = json!({ "mid": format!("m_{n}"), "text": format!("message {n}") });
            face.event(customer, "message", &message)
        };
        let mut body = face.envelope("messaging", &[one(ANN, 1), json!(7), one(BOB, 2)]);
        let more = face.envelope("messaging", &[one(ANN, 3), one(ANN, 4)]);
        let entry = more["entry"][0].clone();
        body["entry"].as_array_mut().unwrap().push(entry.clone());
        body["entry"].as_array_mut().unwrap().push(entry);
        take(&rig, &body).await;
        take(&rig, &body).await;
        // Four messages and a notice about what cannot be read.
        let messages = rig.wait_messages(5).await;
        let mut texts: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
        texts.retain(|text| text.starts_with("message "));
        texts.sort_unstable();
        assert_eq!(texts, ["message 1", "message 2", "message 3", "message 4"], "{face:?}");
        assert_eq!(rig.store.quarantine(None, 10).await.unwrap().len(), 1);
        rig.engine.stop().await;
    }
}

/// M13: edits, takings-back and signs, each also before what they are about.
#[tokio::test]
async fn m13_edits_unsends_and_signs_of_direct_messages_find_their_message() {
    let face = Face::Instagram;
    let (rig, _service) = start(face, "").await;
    let event =
        |field: &str, value: Value| face.envelope("messaging", &[face.event(ANN, field, &value)]);
    let edit = json!({ "mid": "m_1", "text": "hello", "num_edit": 1 });
    take(&rig, &event("message_edit", edit)).await;
    take(&rig, &event("message", json!({ "mid": "m_2", "is_deleted": true }))).await;
    let ticket = written(&rig, face, "m_1", "helo").await;
    written(&rig, face, "m_2", "oops").await;
    wait_until("the edit and the taking-back", PATIENCE, async || {
        let messages = rig.messages().await;
        messages[0].text == "hello"
            && messages[1].deleted_at.is_some()
            && messages[1].text.is_empty()
    })
    .await;
    rig.reply(ticket, "good day").await;
    let ours = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0).external_id.unwrap();
    for action in ["react", "unreact"] {
        let sign = json!({ "mid": ours, "action": action, "emoji": "❤" });
        take(&rig, &event("reaction", sign)).await;
    }
    wait_until("both signs", PATIENCE, async || {
        let events = rig.store.events_after(0, 500).await.unwrap();
        let signs: Vec<_> =
            events.iter().filter(|event| event.kind == "message.reaction").collect();
        signs.len() == 2 && signs[0].data["emoji"] == "❤" && signs[1].data["emoji"].is_null()
    })
    .await;
    rig.engine.stop().await;
}

/// Who opens the conversation by a link with a code of ours is the contact whose code it is: with their first words,
/// with a button, or before they have said anything.
#[tokio::test]
async fn direct_a_code_in_the_link_says_who_comes() {
    for face in FACES {
        let (rig, _service) = start(face, "").await;
        let ticket = written(&rig, face, "m_0", "hello").await;
        let by = || By { actor: Actor::system(), version: None, once: None, now: rig.now() };
        let known = rig.store.ticket(TicketName::Id(ticket)).await.unwrap().contact.id;
        let person = |number: usize| format!("2500250025{number:04}");
        for (number, field) in ["message", "postback", "referral"].into_iter().enumerate() {
            let until = rig.now() + chrono::Duration::hours(1);
            let code = rig.store.make_link_code(known.into(), until, by()).await.unwrap().code;
            let referral = json!({ "ref": code, "source": "SHORTLINK", "type": "OPEN_THREAD" });
            let (mid, who) = (format!("m_{field}"), person(number));
            let event = match field {
                "message" => json!({ "mid": mid, "text": "it is me", "referral": referral }),
                "postback" => {
                    json!({ "mid": mid, "title": "Start", "payload": "P", "referral": referral })
                }
                _ => referral,
            };
            take(&rig, &face.envelope("messaging", &[face.event(&who, field, &event)])).await;
            if field == "referral" {
                // Nothing was said, so nothing stands there; what they say then is the contact's.
                wait_until("the code", PATIENCE, async || {
                    addresses(&rig, known).await.contains(&who)
                })
                .await;
                assert_eq!(rig.messages().await.len(), 3);
                take(&rig, &face.text(&who, "m_then", "and now I write")).await;
            }
            let newest = rig.wait_messages(number + 2).await.pop().unwrap();
            assert!(!newest.text_full.contains(&code), "the code is a secret");
            let of = rig.store.ticket(TicketName::Id(newest.ticket_id)).await.unwrap();
            assert_eq!(of.contact.id, known, "{face:?} {field}");
        }
        // A link of the desk's own says nothing of who comes.
        let plain = face.event(BOB, "referral", &json!({ "ref": "spring-sale" }));
        take(&rig, &face.envelope("messaging", &[plain])).await;
        written(&rig, face, "m_9", "me, too").await;
        let mut theirs = addresses(&rig, known).await;
        theirs.sort();
        assert_eq!(theirs, [ANN.to_owned(), person(0), person(1), person(2)]);
        rig.engine.stop().await;
    }
}

/// The addresses of a contact.
async fn addresses(rig: &Rig, contact: Uuid) -> Vec<String> {
    let contact = rig.store.contact(contact.into()).await.unwrap();
    contact.identities.into_iter().map(|one| one.value).collect()
}

/// FAULTS 147: what one of ours wrote in the page's inbox, or another app, stands in the ticket as ours; where
/// another app has the conversation, nothing is answered by itself.
#[tokio::test]
async fn m13_what_was_written_in_the_pages_inbox_is_an_answer_of_ours() {
    for face in FACES {
        let (rig, service) = start(face, "[acknowledge]\ntext = \"We have it.\"\n").await;
        let bot = face.event(ANN, "message", &json!({ "mid": "m_0", "text": "to the bot" }));
        take(&rig, &face.envelope("standby", &[bot])).await;
        let ticket = rig.wait_messages(1).await[0].ticket_id;
        let echo = face.echo(ANN, &json!({ "mid": "m_e", "text": "by hand" }));
        take(&rig, &echo).await;
        take(&rig, &echo).await;
        let messages = rig.wait_messages(2).await;
        let ours = serde_json::to_value(&messages[1]).unwrap();
        assert_eq!((&ours["direction"], &ours["text"]), (&json!("out"), &json!("by hand")));
        assert_eq!(messages[1].ticket_id, ticket);
        assert!(service.sent().is_empty(), "nobody answered by machine");
        rig.engine.stop().await;
    }
}

/// M13: files of customers are fetched at once, without the token, and from a new address if the old one is over;
/// a sticker is one file.
#[tokio::test]
async fn m13_files_of_customers_are_fetched_once_each() {
    let face = Face::Messenger;
    let (rig, service) = start(face, "").await;
    let (fresh, over) = (service.keep("a.png", "a photo"), service.keep("b.pdf", "%PDF"));
    service.state().expired.insert("/v/t1/b.pdf".to_owned());
    let file = |kind: &str, url: &str, sticker: Option<u64>| {
        let mut payload = json!({ "url": url });
        if let Some(id) = sticker {
            payload["sticker_id"] = json!(id);
        }
        json!({ "type": kind, "payload": payload })
    };
    let message = |mid: &str, attachments: &[Value]| {
        let message = json!({ "mid": mid, "attachments": attachments });
        face.envelope("messaging", &[face.event(ANN, "message", &message)])
    };
    take(&rig, &message("m_1", &[file("image", &fresh, None)])).await;
    take(&rig, &message("m_file_b.pdf", &[file("file", &over, None)])).await;
    let both = [file("sticker", &fresh, Some(369)), file("image", &fresh, Some(369))];
    take(&rig, &message("m_3", &both)).await;
    rig.wait_messages(3).await;
    wait_until("all files", PATIENCE, async || {
        let messages = rig.messages().await;
        messages.iter().all(|message| message.attachments.len() == 1)
            && messages.iter().map(|message| message.attachments[0].size).collect::<Vec<_>>()
                == [7, 4, 7]
    })
    .await;
    rig.engine.stop().await;
}
