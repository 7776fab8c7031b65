//! What services tell about what we sent: early, late, twice, in any order; it only moves forward.

use tributary::model::{
    Address, DeliveryId, DeliveryState, Echo, Event, Meaning, Reached, Receipt, ReceiptState,
    RemoteId, TicketStatus, Watermark,
};
use tributary::store::{By, Ending, Fence, TicketPatch};

use super::{ANNA, Kit, agent, later, mail, mail_channel, name, on_both, start, ticket_of};

on_both! {
    a_receipt_moves_its_delivery_forward_only
    a_receipt_that_is_faster_than_the_result_wins
    a_receipt_of_something_unknown_waits_and_is_then_ignored
    a_failure_brings_the_ticket_back
    news_about_a_copy_is_shown_and_moves_nothing
    news_up_to_a_moment_move_what_went_out_by_then
    news_up_to_a_moment_settle_nothing_that_is_in_doubt
    news_of_what_was_written_elsewhere_wait_for_nothing
}

pub(super) fn receipt(id: DeliveryId, state: ReceiptState) -> Meaning {
    let receipt = Receipt { delivery: Some(id), target: None, recipient: None, state, at: start() };
    Meaning::Events(vec![Event::Receipt(receipt)])
}

pub(super) fn failed(id: DeliveryId) -> Meaning {
    receipt(id, ReceiptState::Failed { cause: "no such user".to_owned(), address_is_bad: false })
}

/// A reply whose attempt is under way.
async fn sending(kit: &Kit, id: &str) -> (tributary::model::TicketId, Fence, DeliveryId) {
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, id)).await);
    kit.reply(ticket, "an answer").await;
    let fence = kit.store.take_lease(&channel.name).await.unwrap().expect("our own");
    let due = kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap().remove(0);
    let delivery = due.delivery.outbound.delivery;
    assert!(kit.store.begin_delivery(&fence, delivery, None, start()).await.unwrap());
    (ticket, fence, delivery)
}

async fn sent(kit: &Kit, fence: &Fence, id: DeliveryId, remote: &str) {
    let state = DeliveryState::Sent { remote_id: RemoteId::new(remote) };
    kit.store.settle_delivery(fence, id, state.into(), later(1)).await.unwrap();
}

async fn status(kit: &Kit, id: DeliveryId) -> String {
    let filter = tributary::store::OutboxFilter {
        status: tributary::model::DeliveryStatus::ALL.to_vec(),
        limit: 100,
        ..Default::default()
    };
    let rows = kit.store.outbox(&filter).await.unwrap();
    rows.iter().find(|row| row.id == id).unwrap().status.to_string()
}

async fn a_receipt_moves_its_delivery_forward_only(kit: Kit) {
    let (ticket, fence, id) = sending(&kit, "1").await;
    sent(&kit, &fence, id, "remote 1").await;
    let channel = mail_channel("mail");
    let steps = [
        (ReceiptState::Delayed("still trying".to_owned()), "sent"),
        (ReceiptState::Delivered, "delivered"),
        (ReceiptState::Delivered, "delivered"),
        (ReceiptState::Read, "read"),
        (ReceiptState::Delivered, "read"),
        (ReceiptState::Failed { cause: "late".into(), address_is_bad: false }, "read"),
    ];
    for (state, expected) in steps {
        let receipt = Receipt {
            delivery: None,
            target: Some(RemoteId::new("remote 1")),
            recipient: None,
            state: state.clone(),
            at: start(),
        };
        let meaning = Meaning::Events(vec![Event::Receipt(receipt)]);
        assert_eq!(kit.apply(&channel, Ok(meaning), later(2)).await.ending, Some(Ending::Applied));
        assert_eq!(status(&kit, id).await, expected, "after {state:?}");
    }
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    let told = trail.iter().filter(|event| event.data["receipt"].is_string()).count();
    assert_eq!(told, 6, "each piece of news is in the trail");
}

async fn a_receipt_that_is_faster_than_the_result_wins(kit: Kit) {
    let (_, fence, id) = sending(&kit, "1").await;
    kit.apply(&mail_channel("mail"), Ok(receipt(id, ReceiptState::Delivered)), start()).await;
    assert_eq!(status(&kit, id).await, "delivered");
    sent(&kit, &fence, id, "remote 1").await;
    assert_eq!(status(&kit, id).await, "delivered");
    // The name is kept all the same: later news bears it alone.
    let read = Receipt {
        delivery: None,
        target: Some(RemoteId::new("remote 1")),
        recipient: None,
        state: ReceiptState::Read,
        at: start(),
    };
    kit.apply(&mail_channel("mail"), Ok(Meaning::Events(vec![Event::Receipt(read)])), later(3))
        .await;
    assert_eq!(status(&kit, id).await, "read");
}

async fn a_receipt_of_something_unknown_waits_and_is_then_ignored(kit: Kit) {
    let channel = mail_channel("mail");
    let (_, fence, id) = sending(&kit, "1").await;
    let news = |target: &str| {
        let target = Some(RemoteId::new(target));
        let state = ReceiptState::Delivered;
        let receipt = Receipt { delivery: None, target, recipient: None, state, at: start() };
        Ok(Meaning::Events(vec![Event::Receipt(receipt)]))
    };
    let row = kit.append(&channel.name, "bytes").await;
    assert_eq!(kit.apply_to(row, &channel, news("remote 1"), start()).await.ending, None);
    assert!(kit.store.pending(10, 1000, start()).await.unwrap().is_empty());
    assert_eq!(kit.store.pending(10, 1000, later(1)).await.unwrap().len(), 1);
    sent(&kit, &fence, id, "remote 1").await;
    kit.apply_to(row, &channel, news("remote 1"), later(1)).await;
    assert_eq!(status(&kit, id).await, "delivered");

    let row = kit.append(&channel.name, "bytes").await;
    kit.apply_to(row, &channel, news("of somebody else"), later(9)).await;
    let end = kit.apply_to(row, &channel, news("of somebody else"), later(10)).await;
    assert!(matches!(end.ending, Some(Ending::Ignored(_))));
    assert_eq!(kit.store.raw(row).await.unwrap().0.state, "ignored");
}

async fn a_failure_brings_the_ticket_back(kit: Kit) {
    let channel = mail_channel("mail");
    for (number, status_before) in [TicketStatus::Solved, TicketStatus::Pending].iter().enumerate()
    {
        let (ticket, fence, id) = sending(&kit, &number.to_string()).await;
        sent(&kit, &fence, id, &format!("remote {number}")).await;
        let patch = TicketPatch { status: Some(*status_before), ..TicketPatch::default() };
        let by = By { actor: agent(), version: None, once: None, now: later(2) };
        kit.store.change_ticket(ticket, patch, by).await.unwrap();
        kit.apply(&channel, Ok(failed(id)), later(3)).await;
        assert_eq!(status(&kit, id).await, "bounced");
        let view = kit.ticket(ticket).await;
        assert_eq!((view.status.as_str(), view.solved_at), ("open", None));
        let again = kit.apply(&channel, Ok(failed(id)), later(4)).await;
        assert_eq!(again.ending, Some(Ending::Applied));
    }
}

async fn news_about_a_copy_is_shown_and_moves_nothing(kit: Kit) {
    let (ticket, fence, id) = sending(&kit, "1").await;
    sent(&kit, &fence, id, "remote 1").await;
    let receipt = Receipt {
        delivery: Some(id),
        target: None,
        recipient: Some(Address::email("copy@x.example")),
        state: ReceiptState::Failed { cause: "gone".to_owned(), address_is_bad: true },
        at: start(),
    };
    let meaning = Meaning::Events(vec![Event::Receipt(receipt)]);
    kit.apply(&mail_channel("mail"), Ok(meaning), later(2)).await;
    assert_eq!(status(&kit, id).await, "sent");
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    assert_eq!(trail.last().unwrap().data["recipient"], "copy@x.example");
    let bad = kit.texts("SELECT value FROM suppression").await;
    assert_eq!(bad, ["copy@x.example"], "the bad address, and not the customer's");
    assert_eq!(name("mail").as_str(), "mail");
}

/// All that went to somebody until so many minutes after the beginning.
fn up_to(to: &str, reached: Reached, minutes: i64) -> Result<Meaning, String> {
    let mark = Watermark { address: Address::email(to), up_to: later(minutes), reached };
    Ok(Meaning::Events(vec![Event::Watermark(mark)]))
}

/// Another reply of a ticket, whose attempt begins then.
async fn begun(
    kit: &Kit,
    ticket: tributary::model::TicketId,
    fence: &Fence,
    at: i64,
) -> DeliveryId {
    kit.reply(ticket, "another answer").await;
    let due = kit.store.due_deliveries(&name("mail"), 10, later(at)).await.unwrap().remove(0);
    assert_eq!(due.delivery.outbound.begun_at, later(at));
    let id = due.delivery.outbound.delivery;
    assert!(kit.store.begin_delivery(fence, id, None, later(at)).await.unwrap());
    id
}

async fn news_up_to_a_moment_move_what_went_out_by_then(kit: Kit) {
    let channel = mail_channel("mail");
    let (ticket, fence, first) = sending(&kit, "1").await;
    sent(&kit, &fence, first, "remote 1").await;
    let second = begun(&kit, ticket, &fence, 3).await;
    // Others, and other channels' people of the same name, are not meant.
    let other = super::channel_with("other", "other", super::policy());
    kit.apply(&other, up_to(ANNA, Reached::Read, 9), later(2)).await;
    kit.apply(&channel, up_to("bob@customer.example", Reached::Read, 9), later(2)).await;
    assert_eq!(status(&kit, first).await, "sent");
    let news = kit.apply(&channel, up_to(ANNA, Reached::Delivered, 1), later(2)).await;
    assert_eq!(news.ending, Some(Ending::Applied));
    let both = [status(&kit, first).await, status(&kit, second).await];
    assert_eq!(both, ["delivered", "sending"]);
    sent(&kit, &fence, second, "remote 2").await;
    kit.apply(&channel, up_to(ANNA, Reached::Read, 4), later(5)).await;
    assert_eq!([status(&kit, first).await, status(&kit, second).await], ["read", "read"]);
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    let told = trail.iter().filter(|event| event.data["receipt"].is_string()).count();
    assert_eq!(told, 3, "told once each");
}

async fn news_up_to_a_moment_settle_nothing_that_is_in_doubt(kit: Kit) {
    let channel = mail_channel("mail");
    let (ticket, fence, first) = sending(&kit, "1").await;
    // Nobody knows yet whether it went out, so the news wait.
    let row = kit.append(&channel.name, "bytes").await;
    let waits = kit.apply_to(row, &channel, up_to(ANNA, Reached::Delivered, 1), start()).await;
    assert_eq!((waits.ending, status(&kit, first).await), (None, "sending".to_owned()));
    sent(&kit, &fence, first, "remote 1").await;
    kit.apply_to(row, &channel, up_to(ANNA, Reached::Delivered, 1), later(1)).await;
    assert_eq!(status(&kit, first).await, "delivered");
    // They hold nothing up for ever.
    let second = begun(&kit, ticket, &fence, 3).await;
    let ending = kit.apply(&channel, up_to(ANNA, Reached::Read, 4), later(60)).await.ending;
    assert_eq!(ending, Some(Ending::Applied));
    assert_eq!([status(&kit, first).await, status(&kit, second).await], ["read", "sending"]);
}

async fn news_of_what_was_written_elsewhere_wait_for_nothing(kit: Kit) {
    let channel = mail_channel("mail");
    let echo = Echo { message: Box::new(mail(ANNA, "e1")), delivery: None, by: None };
    kit.apply(&channel, Ok(Meaning::Events(vec![Event::Echo(echo)])), start()).await;
    let target = Some(RemoteId::new("e1"));
    let state = ReceiptState::Read;
    let receipt = Receipt { delivery: None, target, recipient: None, state, at: start() };
    let news = Ok(Meaning::Events(vec![Event::Receipt(receipt)]));
    assert_eq!(kit.apply(&channel, news, start()).await.ending, Some(Ending::Applied));
}
