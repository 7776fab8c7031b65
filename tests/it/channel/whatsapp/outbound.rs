//! What we answer, and what the service makes of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::engine::{ReplyError, ReplyRequest, TicketRequest};
use tributary::model::{Address, DeliveryStatus, Party, Priority, Scheme, Template, TicketId};
use uuid::Uuid;

use super::{ANN, start, take, written};
use crate::support::answers::{FEES, answering, circle};
use crate::support::graph::whatsapp::{Act, WhatsApp, failed, message, refusal, status, texts};
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, asked, pass, reply_request};
use crate::support::wait_until;

fn template() -> Template {
    Template {
        name: "order_update".to_owned(),
        language: "en_US".to_owned(),
        components: vec![
            json!({ "type": "body", "parameters": [{ "type": "text", "text": "Ann" }] }),
        ],
    }
}

/// Waits until the one delivery has this state; its error.
async fn becomes(rig: &Rig, state: DeliveryStatus) -> String {
    let rows = rig.wait_deliveries(1, state).await;
    rows.iter().find(|row| row.status == state).unwrap().error.clone().unwrap_or_default()
}

#[tokio::test]
async fn whatsapp_a_question_is_answered_and_the_news_of_the_answer_come_back() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "where is my order?").await;
    rig.reply(ticket, "on its way").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    assert_eq!(row.external_id.as_deref(), Some("wamid.OUT1"));
    let sent = service.taken().remove(0);
    let expected = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": ANN,
        "type": "text", "text": { "body": "on its way", "preview_url": false },
        "context": { "message_id": "wamid.1" }, "biz_opaque_callback_data": row.id });
    assert_eq!(sent, expected);
    // Out of order, twice, and without those before them.
    let along = json!(row.id);
    for word in ["read", "sent", "delivered", "read"] {
        take(&rig, &status("wamid.OUT1", word, &along)).await;
    }
    becomes(&rig, DeliveryStatus::Read).await;
    rig.engine.stop().await;
}

/// Up to three answers to choose from are buttons, more of them a list.
#[tokio::test]
async fn whatsapp_answers_to_choose_from_are_buttons_or_a_list() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "where is my order?").await;
    rig.engine.reply(asked(ticket, "Did it help?", &["Yes", "No"])).await.unwrap();
    rig.engine.reply(asked(ticket, "How were we?", &["5", "4", "3", "2"])).await.unwrap();
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let sent = service.taken();
    let reply =
        |id: &str, title: &str| json!({ "type": "reply", "reply": { "id": id, "title": title } });
    assert_eq!(sent[0]["type"], "interactive");
    let expected = json!({ "type": "button", "body": { "text": "Did it help?" },
        "action": { "buttons": [reply("ask:0", "Yes"), reply("ask:1", "No")] } });
    assert_eq!(sent[0]["interactive"], expected);
    let list = &sent[1]["interactive"];
    assert_eq!((&list["type"], &list["body"]["text"]), (&json!("list"), &json!("How were we?")));
    let row = json!({ "id": "ask:3", "title": "2" });
    assert_eq!(list["action"]["sections"][0]["rows"][3], row);
    rig.engine.stop().await;
}

/// What can be chosen below a message of ours: ids and labels, within what the service takes.
fn choices(sent: &Value) -> Vec<(String, String)> {
    let interactive = &sent["interactive"];
    assert!(interactive["body"]["text"].as_str().unwrap().chars().count() <= 1024, "{sent}");
    let (list, chars, most) = match interactive["type"].as_str().unwrap() {
        "button" => (interactive["action"]["buttons"].clone(), 20, 3),
        "list" => (interactive["action"]["sections"][0]["rows"].clone(), 24, 10),
        other => panic!("{other}: {sent}"),
    };
    let list = list.as_array().unwrap().clone();
    assert!(list.len() <= most, "{sent}");
    let choices = list.iter().map(|one| {
        let one = one.get("reply").unwrap_or(one);
        let word = |key: &str| one[key].as_str().unwrap().to_owned();
        assert!(word("title").chars().count() <= chars, "{sent}");
        (word("id"), word("title"))
    });
    choices.collect()
}

/// Waits for so many messages of ours; the last of them.
async fn sent(service: &WhatsApp, count: usize) -> Value {
    wait_until("our message", PATIENCE, async || service.taken().len() >= count).await;
    let taken = service.taken();
    assert_eq!(taken.len(), count, "{taken:#?}");
    taken.last().unwrap().clone()
}

/// Articles to go on with are buttons; pressing one brings the article.
#[tokio::test]
async fn whatsapp_a_follow_up_is_a_button_that_brings_the_next_article() {
    let (rig, service) = start().await;
    rig.engine.change_known_answers(Arc::new(answering(true)));
    take(&rig, &texts(&[(ANN, "wamid.1", FEES)])).await;
    let first = sent(&service, 1).await;
    let offered = choices(&first);
    let labels: Vec<&str> = offered.iter().map(|(_, label)| &**label).collect();
    assert_eq!(labels, ["Yes, thanks", "No, a person", "A transfer that is…"]);
    assert_eq!(first["interactive"]["type"], "button");
    let (id, title) = &offered[2];
    let reply = json!({ "type": "button_reply", "button_reply": { "id": id, "title": title } });
    take(&rig, &message(ANN, "wamid.2", "interactive", &json!({ "interactive": reply }))).await;
    let next = sent(&service, 2).await;
    let text = next["interactive"]["body"]["text"].as_str().unwrap();
    assert!(text.ends_with("Did this help?") && !text.contains("network fee"), "{text}");
    assert_eq!(choices(&next).len(), 2, "the rest was read, or is for people to send: {next}");
    rig.engine.stop().await;
}

/// Where there are more than three, they are a list.
#[tokio::test]
async fn whatsapp_more_follow_ups_are_a_list_that_brings_the_next_article() {
    let (rig, service) = start().await;
    rig.engine.change_known_answers(Arc::new(circle(|text| text)));
    take(&rig, &texts(&[(ANN, "wamid.1", FEES)])).await;
    let first = sent(&service, 1).await;
    assert_eq!(first["interactive"]["type"], "list");
    let offered = choices(&first);
    assert_eq!(offered.len(), 7, "{first}");
    let (id, title) = &offered[3];
    let reply = json!({ "type": "list_reply", "list_reply": { "id": id, "title": title } });
    take(&rig, &message(ANN, "wamid.2", "interactive", &json!({ "interactive": reply }))).await;
    let next = sent(&service, 2).await;
    assert_eq!(next["interactive"]["body"]["text"], "This is three.\n\nDid this help?");
    assert_eq!(choices(&next).len(), 6, "{next}");
    rig.engine.stop().await;
}

/// What is too long for one message goes out as several, in order; exactly as much as fits is one.
#[tokio::test]
async fn whatsapp_long_answers_are_split_and_exactly_4096_are_one() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "tell me all").await;
    let exact = format!("{}😀", "x".repeat(4094));
    rig.reply(ticket, &exact).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(service.taken()[0]["text"]["body"], json!(exact));
    let words: Vec<String> = (0..1200).map(|n| format!("word{n}")).collect();
    rig.reply(ticket, &words.join(" ")).await;
    rig.wait_deliveries(4, DeliveryStatus::Sent).await;
    let bodies: Vec<String> = service.taken()[1..]
        .iter()
        .map(|sent| sent["text"]["body"].as_str().unwrap().to_owned())
        .collect();
    assert!(bodies.iter().all(|body| body.chars().count() <= 4096));
    assert_eq!(bodies.join(" "), words.join(" "));
    rig.engine.stop().await;
}

/// M5: nobody knows whether it went out; the service's news settle it, by the id that we sent along.
#[tokio::test]
async fn m5_a_lost_answer_is_settled_by_the_news_and_never_sent_twice() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    let lost = [
        Does::Close,
        Does::body("<html>"),
        Does::body("{}"),
        Does::status(502),
        Does::HangInBody(200),
    ];
    let words = ["sent", "delivered", "read", "sent", "failed"];
    for (number, does) in lost.into_iter().enumerate() {
        let mut once = Some(does);
        service.on_send(move |_| once.take().map_or(Act::Take, Act::TakeThen));
        rig.reply(ticket, &format!("answer {number}")).await;
        wait_until("an unknown outcome", Duration::from_secs(60), async || {
            rig.outbox().await.iter().any(|row| row.status == DeliveryStatus::Unconfirmed)
        })
        .await;
        let row = rig.outbox().await.into_iter().nth(number).unwrap();
        let (along, id) = (json!(row.id), format!("wamid.OUT{}", number + 1));
        let news = match words[number] {
            "failed" => failed(&id, &along, 131_026, "Message undeliverable"),
            word => status(&id, word, &along),
        };
        take(&rig, &news).await;
        wait_until("the outcome", PATIENCE, async || {
            let row = rig.outbox().await.into_iter().nth(number).unwrap();
            row.status != DeliveryStatus::Unconfirmed
        })
        .await;
    }
    let states: Vec<DeliveryStatus> = rig.outbox().await.iter().map(|row| row.status).collect();
    use DeliveryStatus::{Bounced, Delivered, Read, Sent};
    assert_eq!(states, [Sent, Delivered, Read, Sent, Bounced]);
    assert_eq!(service.taken().len(), 5, "once each");
    // What became known by its id only can be quoted, and found again by its name.
    let named: Vec<Option<String>> =
        rig.outbox().await.into_iter().map(|row| row.external_id).collect();
    assert!(named.iter().all(Option::is_some), "{named:?}");
    rig.engine.stop().await;
}

/// The news of a call that has not answered yet come first, and news of what is nobody's harm nothing.
#[tokio::test]
async fn whatsapp_news_that_come_too_early_or_for_others_harm_nothing() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    take(&rig, &status("wamid.STRANGE", "delivered", &json!("campaign"))).await;
    take(&rig, &status("wamid.STRANGE", "read", &json!(Uuid::now_v7()))).await;
    service.on_send(|_| Act::TakeThen(Does::Late(Duration::from_secs(2), 200)));
    rig.reply(ticket, "slow").await;
    wait_until("the call", PATIENCE, async || !service.taken().is_empty()).await;
    let along = service.taken()[0]["biz_opaque_callback_data"].clone();
    take(&rig, &status("wamid.OUT1", "delivered", &along)).await;
    becomes(&rig, DeliveryStatus::Delivered).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let row = rig.outbox().await.remove(0);
    assert_eq!(row.status, DeliveryStatus::Delivered, "what the call itself knew is older");
    rig.engine.stop().await;
}

/// Each class of error: what becomes of the delivery, and what people are told.
#[tokio::test]
async fn whatsapp_every_class_of_error_is_told_and_does_what_it_must() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    // Never: the next one goes on.
    for (code, told) in [
        (131_026, "another channel"),
        (131_047, "template"),
        (131_049, "marketing"),
        (130_472, "experiment"),
        (131_030, "dashboard"),
        (132_001, "no approved template"),
        (132_015, "paused"),
        (137_000, "whom you write to"),
        (100, "did not understand"),
        (777_777, "777777"),
    ] {
        service.on_send(move |_| Act::Refuse(refusal(400, code, 0, "their words")));
        let before = rig.outbox().await.len();
        rig.reply(ticket, "no").await;
        wait_until("the failure", PATIENCE, async || {
            rig.outbox().await.get(before).is_some_and(|row| row.status == DeliveryStatus::Failed)
        })
        .await;
        let error = rig.outbox().await[before].error.clone().unwrap();
        assert!(error.contains(told) && error.contains("their words"), "{code}: {error}");
        assert!(!error.contains(ANN), "{error}");
    }
    // An error in an answer that says that all is well.
    service.on_send(|_| Act::Refuse(refusal(200, 131_021, 0, "same number")));
    let before = rig.outbox().await.len();
    rig.reply(ticket, "no").await;
    wait_until("the failure", PATIENCE, async || {
        rig.outbox().await.get(before).is_some_and(|row| row.status == DeliveryStatus::Failed)
    })
    .await;
    assert!(service.taken().is_empty());
    rig.engine.stop().await;
}

/// Trouble that passes: everything goes out in the end, once, in order.
#[tokio::test]
async fn whatsapp_trouble_that_passes_costs_nothing_but_time() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    let mut days: VecDeque<Does> = [
        refusal(400, 131_056, 0, "pair rate"),
        refusal(429, 130_429, 0, "throughput"),
        refusal(400, 80_007, 0, "account"),
        refusal(500, 131_000, 0, "something went wrong"),
        refusal(503, 2, 0, "service"),
        Does::Answer(500, Vec::new(), "<html>oops</html>".to_owned()),
        Does::with(503, "retry-after", "600"),
    ]
    .into();
    service.on_send(move |_| days.pop_front().map_or(Act::Take, Act::Refuse));
    rig.reply(ticket, "first").await;
    rig.reply(ticket, "second").await;
    for attempt in 1..=7 {
        wait_until("an attempt to end", PATIENCE, async || {
            let row = rig.outbox().await.remove(0);
            row.attempts == attempt && row.status == DeliveryStatus::Queued
        })
        .await;
        pass(Duration::from_secs(3700));
    }
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let texts: Vec<Value> =
        service.taken().iter().map(|sent| sent["text"]["body"].clone()).collect();
    assert_eq!(texts, ["first", "second"]);
    rig.engine.stop().await;
}

/// FAULTS 149: a dead token stops the channel, not the replies: they wait, and go out when it is mended.
#[tokio::test]
async fn whatsapp_a_dead_token_pauses_the_channel_and_loses_no_answer() {
    for (status, code, subcode) in
        [(401, 190, 463), (403, 10, 0), (400, 131_042, 0), (400, 100, 33)]
    {
        let (rig, service) = start().await;
        let ticket = written(&rig, ANN, "wamid.1", "hello").await;
        service.on_send(move |_| Act::Refuse(refusal(status, code, subcode, "a human is needed")));
        rig.reply(ticket, "wait for it").await;
        wait_until("the lane to need a human", PATIENCE, async || {
            let health = rig.engine.health.of(&super::channel());
            let told = |part: &tributary::engine::PartHealth| {
                part.last_error.as_ref().is_some_and(|error| error.contains("a human is needed"))
            };
            health.iter().any(|(_, part)| told(part) && part.state.as_str() == "needs_human")
        })
        .await;
        assert_eq!(rig.outbox().await[0].status, DeliveryStatus::Queued, "{code}");
        rig.engine.stop().await;
    }
}

/// M3, M8: after a day free text is refused with the reason, and a template goes through.
#[tokio::test]
async fn m3_m8_after_a_day_only_a_template_goes_through_and_agents_are_told() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    pass(Duration::from_secs(24 * 3600 + 60));
    let refused = rig.engine.reply(reply_request(ticket, "too late")).await;
    let Err(ReplyError::Cannot(why)) = refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("24 hours") && why.to_string().contains("template"), "{why}");
    rig.engine
        .reply(ReplyRequest { template: Some(template()), ..reply_request(ticket, "") })
        .await
        .unwrap();
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let sent = service.taken().remove(0);
    assert_eq!(sent["type"], "template");
    assert_eq!(
        sent["template"],
        json!({ "name": "order_update", "language": { "code": "en_US" },
            "components": template().components })
    );
    let messages = rig.wait_messages(2).await;
    assert_eq!(messages[1].text, "[order_update, en_US]\nAnn", "people see what it was");
    rig.engine.stop().await;
}

/// Writing first: by template only, to a number.
#[tokio::test]
async fn whatsapp_we_write_first_by_template_only() {
    let (rig, service) = start().await;
    let address = Address { scheme: Scheme::Tel, scope: None, value: format!("+{ANN}") };
    let open = |template: Option<Template>| {
        let ticket = TicketId::new();
        let request = ReplyRequest { template, ..reply_request(ticket.uuid(), "your order") };
        let wanted = TicketRequest {
            ticket,
            channel: super::channel(),
            contact: None,
            to: Some(Party { address: address.clone(), name: None }),
            subject: "Your order".to_owned(),
            priority: Priority::Normal,
            queue: None,
            tags: Vec::new(),
            actor: request.actor.clone(),
            once: None,
        };
        rig.engine.open_ticket(wanted, Some(request))
    };
    let refused = open(None).await;
    assert!(matches!(refused, Err(ReplyError::Cannot(_))), "{refused:?}");
    open(Some(template())).await.unwrap();
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(service.taken()[0]["to"], ANN);
    rig.engine.stop().await;
}

/// A file of ours is put up first, and then named in a message of its own behind the text.
#[tokio::test]
async fn whatsapp_files_of_ours_go_up_first_and_then_out_one_by_one() {
    let (rig, service) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "send me the papers").await;
    let mut uploads = Vec::new();
    for (name, mime, bytes) in
        [("plan.pdf", "application/pdf", &b"%PDF"[..]), ("photo.png", "image/png", b"a photo")]
    {
        let kept = super::keep_upload(&rig, name, mime, bytes).await;
        uploads.push((kept, bytes.len() as u64));
    }
    rig.engine.reply(ReplyRequest { uploads, ..reply_request(ticket, "here") }).await.unwrap();
    rig.wait_deliveries(3, DeliveryStatus::Sent).await;
    let sent = service.taken();
    let kinds: Vec<&str> = sent.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "document", "image"]);
    assert_eq!(sent[1]["document"]["filename"], "plan.pdf");
    let file = |id: &Value| service.state().files[id.as_str().unwrap()].clone();
    let (plan, photo) = (file(&sent[1]["document"]["id"]), file(&sent[2]["image"]["id"]));
    assert_eq!((&*plan.content, &*plan.mime, &*plan.name), ("%PDF", "application/pdf", "plan.pdf"));
    assert_eq!((&*photo.content, &*photo.mime), ("a photo", "image/png"));
    rig.engine.stop().await;
}

/// M4: trying again is a new attempt, and what became of it is what the service says.
#[tokio::test]
async fn m4_trying_again_sends_again_and_says_what_became_of_it() {
    let (rig, service): (Rig, WhatsApp) = start().await;
    let ticket = written(&rig, ANN, "wamid.1", "hello").await;
    service.on_send(|_| Act::Refuse(refusal(400, 131_026, 0, "Message undeliverable")));
    rig.reply(ticket, "again").await;
    becomes(&rig, DeliveryStatus::Failed).await;
    service.on_send(|_| Act::Take);
    let id = rig.outbox().await[0].id;
    super::retry(&rig, id).await;
    becomes(&rig, DeliveryStatus::Sent).await;
    assert_eq!(service.taken().len(), 1, "not held against the number");
    rig.engine.stop().await;
}
