//! Text replies to callers: spoken, or sent as SMS.

use std::time::Duration;

use tributary::engine::{ReplyError, ReplyRequest};
use tributary::model::{Actor, DeliveryStatus, MessageId, TicketId};
use uuid::Uuid;

use super::{BASE, HOOK, call, start, tell};
use crate::support::phone::{ACCOUNT, ANN, Act, Made, NUMBER, fields, parse, refusal};
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::wait_until;

/// A customer has called; the ticket.
async fn called(rig: &Rig) -> Uuid {
    call(rig, ("CA01", ANN), &[]).await;
    rig.wait_messages(1).await.remove(0).ticket_id
}

/// The exchange tells how something fares that it made.
async fn news(rig: &Rig, made: &Made, more: &[(&str, &str)]) {
    let url = made.1.get("StatusCallback").unwrap();
    let path = url.strip_prefix(BASE).unwrap().to_owned();
    let name = if made.0.starts_with("CA") { "CallSid" } else { "MessageSid" };
    let mut form = fields(&[("AccountSid", ACCOUNT), (name, &made.0)]);
    form.extend(fields(more));
    assert!(tell(rig, &(path, form)).await.is_some());
}

async fn becomes(rig: &Rig, state: DeliveryStatus) -> String {
    let rows = rig.wait_deliveries(1, state).await;
    rows.iter().find(|row| row.status == state).unwrap().error.clone().unwrap_or_default()
}

#[tokio::test]
async fn a_reply_is_spoken_in_the_language_of_the_text() {
    let (rig, exchange) = start("").await;
    let ticket = called(&rig).await;
    rig.reply(ticket, "您的转账 <已到账> & 完成").await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    let made = exchange.calls().remove(0);
    assert_eq!(row.external_id.as_ref(), Some(&made.0));
    let get = |name: &str| made.1.get(name).unwrap_or_default().to_owned();
    assert_eq!((get("To").as_str(), get("From").as_str()), (ANN, NUMBER));
    assert_eq!(get("MachineDetection"), "DetectMessageEnd");
    assert_eq!(get("StatusCallback"), format!("{BASE}{HOOK}/out/said?d={}", row.id));
    let document = parse(&get("Twiml"));
    let said = document.children.iter().find(|verb| verb.name == "Say").unwrap();
    assert_eq!(said.text, "您的转账 <已到账> & 完成");
    assert_eq!((said.attribute("language"), said.attribute("loop")), ("cmn-CN", "2"));
    // Out of order, twice.
    for status in ["in-progress", "completed", "initiated", "completed"] {
        news(&rig, &made, &[("CallStatus", status), ("AnsweredBy", "machine_end_beep")]).await;
    }
    becomes(&rig, DeliveryStatus::Delivered).await;
    assert_eq!(rig.messages().await.len(), 2, "what we call about is no call of a customer");
    rig.engine.stop().await;
}

/// M19: nothing but what was written goes out, and not by another way.
#[tokio::test]
async fn m19_a_reply_goes_out_as_sms_where_the_channel_says_so() {
    let (rig, exchange) = start("reply = 'sms'").await;
    let ticket = called(&rig).await;
    rig.reply(ticket, "“it’s done”").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let made = exchange.state().messages[0].clone();
    let get = |name: &str| made.1.get(name).unwrap_or_default().to_owned();
    assert_eq!(
        (get("To"), get("From"), get("Body")),
        (ANN.into(), NUMBER.into(), "\"it's done\"".into())
    );
    assert!(exchange.calls().is_empty());
    news(&rig, &made, &[("MessageStatus", "delivered")]).await;
    news(&rig, &made, &[("MessageStatus", "sent")]).await;
    becomes(&rig, DeliveryStatus::Delivered).await;
    rig.engine.stop().await;
}

/// Who is not reached has no answer: the agent is told why.
#[tokio::test]
async fn a_caller_who_is_not_reached_is_told_to_the_agent() {
    for (status, why) in
        [("busy", "busy"), ("no-answer", "nobody answered"), ("failed", "could not be called")]
    {
        let (rig, exchange) = start("").await;
        let ticket = called(&rig).await;
        rig.reply(ticket, "it is done").await;
        rig.wait_deliveries(1, DeliveryStatus::Sent).await;
        news(&rig, &exchange.calls()[0], &[("CallStatus", status)]).await;
        let told = becomes(&rig, DeliveryStatus::Bounced).await;
        assert!(told.contains(why), "{told}");
        rig.engine.stop().await;
    }
}

/// What is in doubt stays so until the exchange tells; nobody is called twice by itself.
#[tokio::test]
async fn a_call_whose_answer_got_lost_is_made_once_and_settled_by_its_news() {
    let (rig, exchange) = start("").await;
    let ticket = called(&rig).await;
    exchange.then([Act::TakeThen(Does::Close)]);
    rig.reply(ticket, "it is done").await;
    becomes(&rig, DeliveryStatus::Unconfirmed).await;
    pass(Duration::from_secs(7200));
    let made = exchange.calls().remove(0);
    news(&rig, &made, &[("CallStatus", "initiated")]).await;
    let row = rig.wait_deliveries(1, DeliveryStatus::Sent).await.remove(0);
    assert_eq!(row.external_id, Some(made.0));
    assert_eq!(exchange.calls().len(), 1);
    rig.engine.stop().await;
}

/// Each class of refusal.
#[tokio::test]
async fn refusals_of_the_exchange_have_the_right_end() {
    let (rig, exchange) = start("").await;
    let ticket = called(&rig).await;
    exchange.then([Act::Instead(refusal(400, 13_224))]);
    rig.reply(ticket, "one").await;
    let told = becomes(&rig, DeliveryStatus::Failed).await;
    assert!(told.contains("13224") && !told.contains("15005550001"), "{told}");
    exchange.then([Act::Instead(refusal(429, 20_429)), Act::Instead(Does::status(503))]);
    rig.reply(ticket, "two").await;
    let there = async || {
        pass(Duration::from_secs(300));
        exchange.calls().len() == 1
    };
    wait_until("it to be tried again", PATIENCE, there).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// No telephone rings because a machine wants it to.
#[tokio::test]
async fn nothing_is_spoken_by_itself() {
    let (rig, exchange) = start("").await;
    let ticket = called(&rig).await;
    let (id, actor) = (MessageId::new(), Actor::system());
    let request = ReplyRequest::words(id, TicketId::from(ticket), "by a machine".to_owned(), actor);
    let refused = rig.engine.reply(request).await.unwrap_err();
    assert!(matches!(refused, ReplyError::Cannot(_)), "{refused}");
    assert!(exchange.calls().is_empty() && rig.outbox().await.is_empty());
    rig.engine.stop().await;
}
