//! What we answer, and what the service makes of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::engine::{ReplyError, ReplyRequest};
use tributary::model::DeliveryStatus;

use super::{ANN, BOB, FACES, start, take, written};
use crate::support::answers::{FEES, answering, circle};
use crate::support::graph::pages::{Face, Pages, now};
use crate::support::graph::whatsapp::{Act, refusal};
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, asked, pass, reply_request};
use crate::support::wait_until;

/// The error of the newest delivery, when it has this state.
async fn newest(rig: &Rig, count: usize, state: DeliveryStatus) -> String {
    wait_until(state.as_str(), PATIENCE, async || {
        rig.outbox().await.get(count - 1).is_some_and(|row| row.status == state)
    })
    .await;
    rig.outbox().await[count - 1].error.clone().unwrap_or_default()
}

#[tokio::test]
async fn messenger_a_question_is_answered_and_read_up_to_a_moment() {
    let face = Face::Messenger;
    let (rig, service) = start(face, "").await;
    let ticket = written(&rig, face, "m_1", "where is my order?").await;
    rig.reply(ticket, "on its way").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    assert_eq!(row.external_id.as_deref(), Some("m_OUT1"));
    let sent = service.sent().remove(0);
    let expected = json!({ "recipient": { "id": ANN }, "messaging_type": "RESPONSE",
        "message": { "text": "on its way", "metadata": row.id } });
    assert_eq!((sent.path.as_str(), sent.body), ("1234567890/messages", expected));
    let event =
        |field: &str, value: Value| face.envelope("messaging", &[face.event(ANN, field, &value)]);
    take(&rig, &event("read", json!({ "watermark": now() - 3_600_000 }))).await;
    take(&rig, &event("delivery", json!({ "mids": ["m_OUT1"], "watermark": now() }))).await;
    newest(&rig, 1, DeliveryStatus::Delivered).await;
    take(&rig, &event("read", json!({ "watermark": now() + 1000 }))).await;
    newest(&rig, 1, DeliveryStatus::Read).await;
    rig.engine.stop().await;
}

/// Answers to choose from are quick replies; a label that is too long for one makes them digits.
#[tokio::test]
async fn direct_answers_to_choose_from_are_quick_replies() {
    for face in FACES {
        let (rig, service) = start(face, "").await;
        let ticket = written(&rig, face, "m_1", "where is it?").await;
        rig.engine.reply(asked(ticket, "Did it help?", &["Yes", "No"])).await.unwrap();
        let long = ["Yes", "No, I would like a person"];
        rig.engine.reply(asked(ticket, "Did it help?", &long)).await.unwrap();
        rig.wait_deliveries(2, DeliveryStatus::Sent).await;
        let sent = |at: usize| service.sent()[at].body["message"].clone();
        let button = |label: &str, payload: &str| json!({ "content_type": "text", "title": label, "payload": payload });
        let expected = json!([button("Yes", "ask:0"), button("No", "ask:1")]);
        assert_eq!(
            (&sent(0)["text"], &sent(0)["quick_replies"]),
            (&json!("Did it help?"), &expected)
        );
        let words = "Did it help?\n\n1 = Yes\n2 = No, I would like a person";
        assert_eq!((&sent(1)["text"], &sent(1)["quick_replies"]), (&json!(words), &Value::Null));
        rig.engine.stop().await;
    }
}

/// Articles to go on with are quick replies; pressing one brings the article.
#[tokio::test]
async fn direct_follow_ups_are_quick_replies_that_bring_the_next_article() {
    for face in FACES {
        let (rig, service) = start(face, "").await;
        for (articles, mid, customer, pressed, next) in [
            (answering(true), "m_1", ANN, 2, "Did this help?"),
            (circle(|text| text), "m_2", BOB, 4, "This is four.\n\nDid this help?"),
        ] {
            rig.engine.change_known_answers(Arc::new(articles));
            let before = service.sent().len();
            take(&rig, &face.text(customer, mid, FEES)).await;
            let offered = quick_replies(&service, before + 1).await;
            assert!(offered.len() > pressed, "{offered:?}");
            let (title, payload) = &offered[pressed];
            let press = json!({ "mid": format!("{mid}_pressed"), "text": title,
                "quick_reply": { "payload": payload } });
            let press = face.event(customer, "message", &press);
            take(&rig, &face.envelope("messaging", &[press])).await;
            let left = quick_replies(&service, before + 2).await;
            assert!(left.len() < offered.len() && !left.contains(&offered[pressed]), "{left:?}");
            let sent = service.sent().pop().unwrap().body;
            assert!(sent["message"]["text"].as_str().unwrap().ends_with(next), "{sent}");
            assert_eq!(sent["recipient"]["id"], customer);
        }
        rig.engine.stop().await;
    }
}

/// Waits for so many messages of ours; titles and payloads below the last one, within what the service takes.
async fn quick_replies(service: &Pages, count: usize) -> Vec<(String, String)> {
    wait_until("our message", PATIENCE, async || service.sent().len() >= count).await;
    let sent = service.sent();
    assert_eq!(sent.len(), count, "{sent:#?}");
    let replies = sent.last().unwrap().body["message"]["quick_replies"].as_array().cloned();
    let replies = replies.unwrap_or_else(|| panic!("{sent:#?}"));
    assert!(replies.len() <= 13, "{replies:?}");
    let replies = replies.iter().map(|one| {
        let word = |key: &str| one[key].as_str().unwrap().to_owned();
        assert!(word("content_type") == "text" && word("title").chars().count() <= 20, "{one}");
        (word("title"), word("payload"))
    });
    replies.collect()
}

#[tokio::test]
async fn instagram_a_question_is_answered_in_its_own_bytes() {
    let face = Face::Instagram;
    let (rig, service) = start(face, "").await;
    let ticket = written(&rig, face, "m_1", "多少钱?").await;
    rig.reply(ticket, &"很".repeat(400)).await;
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let bodies: Vec<String> = service
        .sent()
        .iter()
        .map(|sent| sent.body["message"]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bodies.concat(), "很".repeat(400));
    assert!(bodies.iter().all(|body| body.len() <= 1000), "bytes, not characters");
    let read = face.event(ANN, "read", &json!({ "mid": "m_OUT2" }));
    take(&rig, &face.envelope("messaging", &[read])).await;
    rig.wait_deliveries(2, DeliveryStatus::Read).await;
    rig.engine.stop().await;
}

/// What is too long goes out as several, in order; exactly as much as fits is one.
#[tokio::test]
async fn messenger_exactly_2000_characters_are_one_message() {
    let face = Face::Messenger;
    let (rig, service) = start(face, "").await;
    let ticket = written(&rig, face, "m_1", "tell me all").await;
    let exact = format!("{}😀", "x".repeat(1998));
    rig.reply(ticket, &exact).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let words: Vec<String> = (0..700).map(|n| format!("word{n}")).collect();
    rig.reply(ticket, &words.join(" ")).await;
    rig.wait_deliveries(4, DeliveryStatus::Sent).await;
    let texts: Vec<String> = service
        .sent()
        .iter()
        .map(|sent| sent.body["message"]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((&texts[0], texts[1..].join(" ")), (&exact, words.join(" ")));
    rig.engine.stop().await;
}

/// M5: nobody knows whether it went out; what the service repeats settles it, by our id, also before the call
/// has answered, and nothing is sent twice.
#[tokio::test]
async fn m5_a_lost_answer_is_settled_by_the_echo_and_never_sent_twice() {
    for face in FACES {
        let (rig, service) = start(face, "").await;
        let ticket = written(&rig, face, "m_1", "hello").await;
        for (number, does) in
            [Does::Close, Does::body("{}"), Does::status(502)].into_iter().enumerate()
        {
            let mut once = Some(does);
            service.on_send(move |_| once.take().map_or(Act::Take, Act::TakeThen));
            rig.reply(ticket, &format!("answer {number}")).await;
            newest(&rig, number + 1, DeliveryStatus::Unconfirmed).await;
            let sent = service.sent().remove(number);
            let repeated = json!({ "mid": sent.id, "text": format!("answer {number}"),
                "metadata": sent.body["message"]["metadata"], "app_id": 5 });
            take(&rig, &face.echo(ANN, &repeated)).await;
            newest(&rig, number + 1, DeliveryStatus::Sent).await;
        }
        // Before the call has answered, and with no id of ours in it.
        service.on_send(|_| Act::TakeThen(Does::Late(Duration::from_secs(2), 502)));
        rig.reply(ticket, "slow").await;
        wait_until("the call", PATIENCE, async || service.sent().len() == 4).await;
        let sent = service.sent().remove(3);
        let repeated =
            json!({ "mid": sent.id, "text": "slow", "metadata": sent.body["message"]["metadata"] });
        take(&rig, &face.echo(ANN, &repeated)).await;
        newest(&rig, 4, DeliveryStatus::Sent).await;
        assert_eq!(service.sent().len(), 4, "once each");
        assert_eq!(rig.messages().await.len(), 5, "no echo became a message");
        rig.engine.stop().await;
    }
}

/// M3: after a day nothing goes through, and agents are told before they send; with the permission, what a human
/// types does for a week.
#[tokio::test]
async fn m3_the_window_is_told_before_sending_and_the_human_agent_has_a_week() {
    let face = Face::Messenger;
    let (rig, service) = start(face, "").await;
    let ticket = written(&rig, face, "m_1", "hello").await;
    pass(Duration::from_secs(24 * 3600 + 60));
    let refused = rig.engine.reply(reply_request(ticket, "too late")).await;
    assert!(matches!(refused, Err(ReplyError::Cannot(_))), "{refused:?}");
    assert!(service.sent().is_empty());
    rig.engine.stop().await;
    let (rig, service) = start(face, "human_agent = true").await;
    let ticket = written(&rig, face, "m_1", "hello").await;
    rig.reply(ticket, "at once").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    pass(Duration::from_secs(6 * 24 * 3600));
    rig.reply(ticket, "late").await;
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let kinds: Vec<(Value, Value)> = service
        .sent()
        .iter()
        .map(|sent| (sent.body["messaging_type"].clone(), sent.body["tag"].clone()))
        .collect();
    assert_eq!(kinds[0], (json!("RESPONSE"), Value::Null));
    assert_eq!(kinds[1], (json!("MESSAGE_TAG"), json!("HUMAN_AGENT")));
    pass(Duration::from_secs(24 * 3600));
    assert!(rig.engine.reply(reply_request(ticket, "too late")).await.is_err());
    rig.engine.stop().await;
}

/// Files go up first, and then out one by one behind the text.
#[tokio::test]
async fn messenger_files_of_ours_go_up_first_and_then_out_one_by_one() {
    for face in FACES {
        let (rig, service) = start(face, "").await;
        let ticket = written(&rig, face, "m_1", "send me the papers").await;
        let mut uploads = Vec::new();
        for (name, mime, bytes) in
            [("plan.pdf", "application/pdf", &b"%PDF"[..]), ("photo.png", "image/png", b"a photo")]
        {
            let kept = super::keep_upload(&rig, name, mime, bytes).await;
            uploads.push((kept, bytes.len() as u64));
        }
        rig.engine.reply(ReplyRequest { uploads, ..reply_request(ticket, "here") }).await.unwrap();
        rig.wait_deliveries(3, DeliveryStatus::Sent).await;
        let sent = service.sent();
        let attached: Vec<Value> =
            sent.iter().map(|sent| sent.body["message"]["attachment"].clone()).collect();
        assert_eq!(attached[0], Value::Null);
        assert_eq!((&attached[1]["type"], &attached[2]["type"]), (&json!("file"), &json!("image")));
        let up = |place: usize| {
            let id = attached[place]["payload"]["attachment_id"].as_str().unwrap().to_owned();
            service.state().uploads[&id].clone()
        };
        assert_eq!(
            (&*up(1).name, &*up(1).mime, &*up(1).content),
            ("plan.pdf", "application/pdf", "%PDF")
        );
        assert_eq!(
            (&*up(2).content, &up(2).message["attachment"]["type"]),
            ("a photo", &json!("image"))
        );
        rig.engine.stop().await;
    }
}

/// Who types is shown as typing, and nothing is sent by it.
#[tokio::test]
async fn messenger_typing_is_shown() {
    let face = Face::Messenger;
    let (rig, service) = start(face, "").await;
    let ticket = written(&rig, face, "m_1", "hello").await;
    rig.engine.show_typing(ticket.into()).await.unwrap();
    wait_until("the sign", PATIENCE, async || service.state().signs == ["typing_on"]).await;
    assert!(service.sent().is_empty());
    rig.engine.stop().await;
}

/// M11 and each class of error: what becomes of the delivery, and what people are told.
#[tokio::test]
async fn messenger_every_class_of_error_is_told_and_does_what_it_must() {
    let face = Face::Messenger;
    let (rig, service) = start(face, "").await;
    let ticket = written(&rig, face, "m_1", "hello").await;
    for (number, (code, subcode, told)) in [
        (10, 2_018_278, "24 hours"),
        (100, 2_018_001, "nobody"),
        (551, 1_545_041, "cannot be reached"),
        (200, 1_545_041, "cannot be reached"),
        (2, 2_018_344, "cannot be reached"),
        (100, 0, "did not understand"),
        (77_777, 0, "77777"),
    ]
    .into_iter()
    .enumerate()
    {
        service.on_send(move |_| Act::Refuse(refusal(400, code, subcode, "their words")));
        rig.reply(ticket, "no").await;
        let error = newest(&rig, number + 1, DeliveryStatus::Failed).await;
        assert!(error.contains(told) && error.contains("their words"), "{code}: {error}");
        assert!(!error.contains(ANN), "{error}");
    }
    // An error in an answer that says that all is well; then trouble that passes, and a page of HTML.
    service.on_send(|_| Act::Refuse(refusal(200, 100, 0, "still wrong")));
    rig.reply(ticket, "no").await;
    newest(&rig, 8, DeliveryStatus::Failed).await;
    let mut troubles = vec![
        Does::Answer(500, vec![], "<html>Sorry</html>".to_owned()),
        refusal(400, 613, 0, "too many"),
        refusal(500, 2, 0, "temporarily"),
    ];
    service.on_send(move |_| troubles.pop().map_or(Act::Take, Act::Refuse));
    rig.reply(ticket, "patience").await;
    for attempt in 1..=3 {
        wait_until("an attempt", PATIENCE, async || {
            let row = rig.outbox().await.remove(8);
            row.attempts == attempt && row.status == DeliveryStatus::Queued
        })
        .await;
        pass(Duration::from_secs(3700));
    }
    newest(&rig, 9, DeliveryStatus::Sent).await;
    assert_eq!(service.sent().len(), 1);
    rig.engine.stop().await;
}

/// FAULTS 149: a dead token and a page that may not send stop the channel, not the answers.
#[tokio::test]
async fn messenger_a_dead_token_or_a_restricted_page_pauses_and_loses_no_answer() {
    for (status, code, subcode) in [(401, 190, 463), (400, 10, 1_893_063), (400, 368, 0)] {
        let (rig, service) = start(Face::Messenger, "").await;
        let ticket = written(&rig, Face::Messenger, "m_1", "hello").await;
        service.on_send(move |_| Act::Refuse(refusal(status, code, subcode, "a human is needed")));
        rig.reply(ticket, "wait for it").await;
        wait_until("the lane to need a human", PATIENCE, async || {
            let health = rig.engine.health.of(&super::channel());
            health.iter().any(|(_, part)| part.state.as_str() == "needs_human")
        })
        .await;
        assert_eq!(rig.outbox().await[0].status, DeliveryStatus::Queued, "{code}");
        rig.engine.stop().await;
    }
}
