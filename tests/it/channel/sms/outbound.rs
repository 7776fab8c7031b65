//! What we answer, and what Twilio and the networks make of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tributary::engine::{ReplyRequest, TicketRequest};
use tributary::model::{
    Actor, ActorKind, Address, DeliveryStatus, Party, Priority, Scheme, Template, TicketId,
};
use tributary::store::TicketName;

use super::{ANN, BOB, asked, passing, start, status_of, take, written};
use crate::support::answers::answering;
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, pass, reply_request};
use crate::support::twilio::{Act, NUMBER, Twilio, refusal};
use crate::support::wait_until;

/// Waits until the newest delivery has this state; its error.
async fn becomes(rig: &Rig, state: DeliveryStatus) -> String {
    let newest = async || rig.outbox().await.into_iter().max_by_key(|row| row.id).unwrap();
    wait_until(state.as_str(), PATIENCE, async || newest().await.status == state).await;
    newest().await.error.unwrap_or_default()
}

#[tokio::test]
async fn sms_an_answer_goes_out_and_its_news_come_back_in_any_order() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "where is my order?").await;
    rig.reply(ticket, "“On its way” – it’s there by 5…").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    let sent = service.sent().remove(0);
    assert_eq!(row.external_id.as_deref(), Some(sent.sid.as_str()));
    let callback = format!("http://desk.test/hooks/sms/status?d={}#rc=2&rp=ct,rt,5xx", row.id);
    let expected = [
        ("To", ANN),
        ("From", NUMBER),
        ("Body", "\"On its way\" - it's there by 5..."),
        ("StatusCallback", callback.as_str()),
    ];
    let fields: Vec<(&str, &str)> =
        sent.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, expected);
    for status in ["delivered", "sent", "queued", "delivered"] {
        take(&rig, service.news(&sent, status, None)).await;
    }
    becomes(&rig, DeliveryStatus::Delivered).await;
    // News of somebody else's making are not taken.
    let mut forged = service.news(&sent, "undelivered", Some(30_005));
    *forged.body_mut() = "MessageStatus=undelivered".into();
    assert_eq!(status_of(&rig, forged).await, 403);
    rig.engine.stop().await;
}

/// M14, M15: what is too long for one message goes out as several, and nothing is cut.
#[tokio::test]
async fn m14_m15_long_answers_are_split_and_never_cut() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "tell me all").await;
    let exact = format!("{}😀", "你".repeat(1598));
    rig.reply(ticket, &exact).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(service.sent()[0].body, exact);
    let words: Vec<String> = (0..700).map(|number| format!("word{number}")).collect();
    rig.reply(ticket, &words.join(" ")).await;
    rig.wait_deliveries(5, DeliveryStatus::Sent).await;
    let bodies: Vec<String> = service.sent()[1..].iter().map(|sent| sent.body.clone()).collect();
    assert!(bodies.iter().all(|body| body.encode_utf16().count() <= 1600));
    assert_eq!(bodies.join(" "), words.join(" "), "in order, and all of it");
    rig.engine.stop().await;
}

/// M14: where it is wanted, each part says which one it is, and that counts.
#[tokio::test]
async fn m14_parts_are_numbered_where_that_is_wanted() {
    let service = Twilio::start();
    let settings = format!("{}numbered = true\n", service.settings(NUMBER));
    let rig = Rig::start(&[("sms", &settings)]).await;
    let (ticket, _) = written(&rig, &service, ANN, "tell me all").await;
    rig.reply(ticket, &"x".repeat(1600)).await;
    let words: Vec<String> = (0..500).map(|number| format!("word{number}")).collect();
    rig.reply(ticket, &words.join(" ")).await;
    rig.wait_deliveries(4, DeliveryStatus::Sent).await;
    let bodies: Vec<String> = service.sent().iter().map(|sent| sent.body.clone()).collect();
    assert_eq!(bodies[0], "x".repeat(1600), "one is no part");
    assert!(bodies.iter().all(|body| body.len() <= 1600));
    let numbered = |(at, body): (usize, &String)| {
        body.strip_prefix(&format!("({}/3) ", at + 1)).unwrap().to_owned()
    };
    let parts: Vec<String> = bodies[1..].iter().enumerate().map(numbered).collect();
    assert_eq!(parts.join(" "), words.join(" "), "in order, and all of it");
    rig.engine.stop().await;
}

/// The news of a message may be faster than the answer to the call that sent it.
#[tokio::test]
async fn sms_news_before_the_answer_find_their_delivery() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "hello").await;
    service.on_send(|_| Act::TakeThen(Does::Hang));
    rig.reply(ticket, "an answer").await;
    wait_until("the call", PATIENCE, async || service.sent().len() == 1).await;
    let sent = service.sent().remove(0);
    take(&rig, service.news(&sent, "sent", None)).await;
    take(&rig, service.news(&sent, "delivered", None)).await;
    // The call is still under way.
    let row = rig.wait_deliveries(1, DeliveryStatus::Delivered).await.remove(0);
    assert_eq!(row.external_id.as_deref(), Some(sent.sid.as_str()));
    assert_eq!(service.sent().len(), 1);
    rig.engine.stop().await;
}

/// Nobody knows whether it went out: the list is looked through, at once and before another try.
#[tokio::test]
async fn sms_a_lost_answer_is_found_in_the_list_and_never_sent_twice() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "hello").await;
    let lost = [Does::Close, Does::status(502), Does::Answer(201, vec![], "<html>".to_owned())];
    for (number, does) in lost.into_iter().enumerate() {
        let mut once = Some(does);
        service.on_send(move |_| once.take().map_or(Act::Take, Act::TakeThen));
        // The same words as before: what was sent before is another message.
        rig.reply(ticket, "the same words").await;
        rig.wait_deliveries(number + 1, DeliveryStatus::Sent).await;
        pass(Duration::from_secs(5));
    }
    assert_eq!(service.sent().len(), 3, "once each");
    let mut named: Vec<_> = rig.outbox().await.into_iter().map(|row| row.external_id).collect();
    named.sort();
    named.dedup();
    assert_eq!(named.len(), 3, "each found its own");
    // The list cannot be asked either, for a while.
    let mut once = Some(Does::Close);
    service.on_send(move |_| once.take().map_or(Act::Take, Act::TakeThen));
    service.on_list(|| Some(Does::status(503)));
    rig.reply(ticket, "in doubt").await;
    rig.wait_deliveries(1, DeliveryStatus::Queued).await;
    service.on_list(|| None);
    passing("the answer to be found", async || {
        rig.outbox().await.iter().all(|row| row.status == DeliveryStatus::Sent)
    })
    .await;
    assert_eq!(service.sent().len(), 4, "once");
    // It did not go out: after a while that is certain, and it is sent.
    let mut once = Some(Does::Close);
    service.on_send(move |_| once.take().map_or(Act::Take, Act::Refuse));
    rig.reply(ticket, "never arrived").await;
    rig.wait_deliveries(1, DeliveryStatus::Queued).await;
    passing("the answer to be sent", async || {
        rig.outbox().await.iter().all(|row| row.status == DeliveryStatus::Sent)
    })
    .await;
    let again = service.sent().iter().filter(|sent| sent.body == "never arrived").count();
    assert_eq!(again, 1);
    rig.engine.stop().await;
}

/// News that were never pushed are asked for.
#[tokio::test]
async fn sms_news_that_were_lost_are_asked_for() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "hello").await;
    rig.reply(ticket, "an answer").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let sent = service.sent().remove(0);
    // The push is lost; what the list says is not.
    drop(service.news(&sent, "delivered", None));
    becomes(&rig, DeliveryStatus::Delivered).await;
    rig.engine.stop().await;
}

#[tokio::test]
async fn sms_what_fails_later_comes_back_with_its_reason() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "hello").await;
    for (code, words) in [(30_003, "switched off"), (30_007, "spam"), (30_005, "no longer in use")]
    {
        rig.reply(ticket, &format!("answer {code}")).await;
        becomes(&rig, DeliveryStatus::Sent).await;
        let sent = service.sent().pop().unwrap();
        take(&rig, service.news(&sent, "undelivered", Some(code))).await;
        let error = becomes(&rig, DeliveryStatus::Bounced).await;
        assert!(error.contains(words) && error.contains(&code.to_string()), "{error}");
    }
    // Somebody has it sent again: it is in the list, and did not arrive.
    let row = rig.outbox().await.into_iter().max_by_key(|row| row.id).unwrap();
    pass(Duration::from_secs(30));
    let actor = Actor { kind: ActorKind::Agent, id: None, name: "Ben".to_owned() };
    rig.store.retry_delivery(row.id, actor, rig.now()).await.unwrap();
    becomes(&rig, DeliveryStatus::Sent).await;
    let last = service.sent().into_iter().filter(|sent| sent.body == "answer 30005").count();
    assert_eq!(last, 2);
    rig.engine.stop().await;
}

/// What Twilio refuses at once, by the numbers that it keeps for tests.
#[tokio::test]
async fn sms_each_refusal_is_told_and_waits_or_fails_as_it_should() {
    let (rig, service) = start().await;
    let open = async |number: &str| {
        let ticket = TicketId::new();
        let request = reply_request(ticket.uuid(), "a question of ours");
        let address = Address { scheme: Scheme::Tel, scope: None, value: number.to_owned() };
        let wanted = TicketRequest {
            ticket,
            channel: super::channel(),
            contact: None,
            to: Some(Party { address, name: None }),
            subject: "Your order".to_owned(),
            priority: Priority::Normal,
            queue: None,
            tags: Vec::new(),
            actor: request.actor.clone(),
            once: None,
        };
        rig.engine.open_ticket(wanted, Some(request)).await.unwrap();
    };
    for (number, words) in [
        ("+15005550001", "not a number"),
        ("+15005550002", "cannot reach"),
        ("+15005550009", "mobile"),
        ("+15005550004", "STOP"),
    ] {
        open(number).await;
        let error = becomes(&rig, DeliveryStatus::Failed).await;
        assert!(error.contains(words) && !error.contains(number), "{error}");
    }
    // What is too much, or away for a moment, is tried again.
    let mut faults = vec![
        Does::Answer(503, vec![], "<html>Service Unavailable</html>".to_owned()),
        refusal(429, 20_429, "Too Many Requests"),
        refusal(400, 21_611, "queue is full"),
    ];
    service.on_send(move |_| faults.pop().map_or(Act::Take, Act::Refuse));
    open(ANN).await;
    passing("the message", async || service.sent().len() == 1).await;
    becomes(&rig, DeliveryStatus::Sent).await;
    // A wrong token is a matter for a human; nothing is lost.
    let mut wrong = true;
    service.on_send(move |_| {
        if std::mem::take(&mut wrong) {
            Act::Refuse(refusal(401, 20_003, "Authenticate"))
        } else {
            Act::Take
        }
    });
    open(BOB).await;
    becomes(&rig, DeliveryStatus::Queued).await;
    rig.engine.stop().await;
}

/// They said STOP: Twilio refuses, we say so, and nothing more is sent unasked.
#[tokio::test]
async fn sms_whoever_said_stop_gets_nothing() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "hello").await;
    let stop = service.write(ANN, NUMBER, "STOP");
    take(&rig, service.push(&stop)).await;
    rig.reply(ticket, "but wait").await;
    let error = becomes(&rig, DeliveryStatus::Failed).await;
    assert!(error.contains("STOP"), "{error}");
    assert!(service.sent().is_empty());
    rig.engine.stop().await;
}

/// A service chooses the number; what it sent is ours all the same.
#[tokio::test]
async fn sms_a_messaging_service_sends_and_receives() {
    const SERVICE: &str = "MG00000000000000000000000000000001";
    let service = Twilio::start();
    let settings = service.settings(NUMBER);
    let number = format!("number = \"{NUMBER}\"");
    let settings = settings.replace(&number, &format!("messaging_service_sid = \"{SERVICE}\""));
    let rig = Rig::start(&[("sms", &settings)]).await;
    asked(&service, "").await;
    let mut message = service.write(ANN, "+15005550066", "hello");
    message.service = Some(SERVICE.to_owned());
    service.state().messages.last_mut().unwrap().service = Some(SERVICE.to_owned());
    let ticket = rig.wait_messages(1).await.pop().unwrap().ticket_id;
    let mut once = Some(Does::Close);
    service.on_send(move |_| once.take().map_or(Act::Take, Act::TakeThen));
    rig.reply(ticket, "an answer").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let sent = service.sent().remove(0);
    assert_eq!((sent.field("MessagingServiceSid"), sent.field("From")), (Some(SERVICE), None));
    assert_eq!(service.sent().len(), 1);
    rig.engine.stop().await;
}

#[tokio::test]
async fn sms_by_whatsapp_has_a_window_and_templates() {
    const SENDER: &str = "whatsapp:+15005550006";
    let service = Twilio::start();
    let rig = Rig::start(&[("sms", &service.settings(SENDER))]).await;
    let from = format!("whatsapp:{ANN}");
    let message = service.write(&from, SENDER, "“hello”");
    take(&rig, service.push(&message)).await;
    let ticket = rig.wait_messages(1).await.pop().unwrap().ticket_id;
    rig.reply(ticket, "“yes”").await;
    becomes(&rig, DeliveryStatus::Sent).await;
    let sent = service.sent().pop().unwrap();
    assert_eq!((sent.to.as_str(), sent.body.as_str()), (from.as_str(), "“yes”"), "no segments");
    take(&rig, service.news(&sent, "read", None)).await;
    becomes(&rig, DeliveryStatus::Read).await;
    pass(Duration::from_secs(25 * 3600));
    assert!(rig.engine.reply(reply_request(ticket, "too late")).await.is_err());
    let template = Template {
        name: "HX00000000000000000000000000000001".to_owned(),
        language: "en".to_owned(),
        components: vec![json!({ "type": "body", "parameters": [
            { "type": "text", "text": "Ann" }, { "type": "text", "text": 7 }] })],
    };
    let request = ReplyRequest { template: Some(template), ..reply_request(ticket, "") };
    rig.engine.reply(request).await.unwrap();
    becomes(&rig, DeliveryStatus::Sent).await;
    let sent = service.sent().pop().unwrap();
    assert_eq!(sent.field("ContentSid"), Some("HX00000000000000000000000000000001"));
    assert_eq!(sent.field("ContentVariables"), Some(r#"{"1":"Ann","2":"7"}"#));
    assert_eq!(sent.field("Body"), None);
    rig.engine.stop().await;
}

/// Without buttons, digits lead on.
#[tokio::test]
async fn sms_a_follow_up_of_a_known_answer_goes_out_by_its_digit() {
    let (rig, service) = start().await;
    rig.engine.change_known_answers(Arc::new(answering(true)));
    let message = service.write(ANN, NUMBER, "How much are the fees?");
    take(&rig, service.push(&message)).await;
    let wait_end = async |end: &str| {
        let ends = |body: &str| body.trim_end().ends_with(end);
        wait_until(end, PATIENCE, async || {
            service.sent().iter().any(|one| one.field("Body").is_some_and(ends))
        })
        .await;
    };
    wait_end("2 = No, a person\n3 = A transfer that is pending or failed").await;
    let message = service.write(ANN, NUMBER, "3");
    take(&rig, service.push(&message)).await;
    wait_end("2 = No, a person").await;
    let message = service.write(ANN, NUMBER, "1");
    take(&rig, service.push(&message)).await;
    let ticket = rig.messages().await.remove(0).ticket_id;
    wait_until("the ticket to be solved", PATIENCE, async || {
        rig.store.ticket(TicketName::Id(ticket)).await.unwrap().status == "solved"
    })
    .await;
    rig.engine.stop().await;
}
