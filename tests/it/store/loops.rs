//! Acknowledgements: one for each new question, and never a loop.

use tributary::model::{Address, Event, Meaning};
use tributary::model::{Flag, Inbound, Receipt, ReceiptState, Trust};
use tributary::store::OutboxFilter;

use super::{
    ANNA, BOB, DESK, Kit, acknowledging, answer, channel_with, days, later, mail, on_both, party,
    start, ticket_of,
};

on_both! {
    a_new_question_is_acknowledged_once
    two_desks_that_acknowledge_each_other_stop_at_once
    machines_and_ourselves_get_no_acknowledgement
    a_reply_to_is_no_way_round_the_limit
    a_channel_sends_only_so_many_in_an_hour
    an_address_that_bounced_or_complained_gets_nothing_unasked
}

async fn sent_to(kit: &Kit) -> Vec<String> {
    let filter = OutboxFilter { limit: 100, ..OutboxFilter::default() };
    let rows = kit.store.outbox(&filter).await.unwrap();
    assert!(rows.iter().all(|row| row.automated));
    rows.into_iter().map(|row| row.to).collect()
}

async fn a_new_question_is_acknowledged_once(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    let mut inbound = mail(ANNA, "1");
    inbound.recipients.push(party(BOB));
    inbound.subject = Some("{name} {number}".to_owned());
    let ticket = ticket_of(&kit.arrive(&channel, inbound).await);
    kit.arrive(&channel, answer(ANNA, "2", &["1"])).await;
    assert_eq!(sent_to(&kit).await, [ANNA]);
    let due =
        kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap().remove(0).delivery;
    assert!(due.outbound.automated && due.outbound.cc.is_empty(), "it goes to the customer alone");
    // What the customer wrote is not looked at for braces.
    assert_eq!(due.outbound.text, "[#1] anna: we have «{name} {number}»");
    assert_eq!(due.outbound.in_reply_to.unwrap().as_str(), "1");
    let view = kit.ticket(ticket).await;
    assert_eq!(
        (view.message_count, view.first_response_at),
        (3, None),
        "a machine's answer is none"
    );
    // Another question of the same person, the same day: none. The day after: one.
    kit.arrive_at(&channel, mail(ANNA, "3"), later(60 * 23)).await;
    assert_eq!(sent_to(&kit).await.len(), 1);
    kit.arrive_at(&channel, mail(ANNA, "4"), days(2)).await;
    assert_eq!(sent_to(&kit).await.len(), 2);
}

/// B5: each side takes the other one's acknowledgement for a new question, if it is not marked or not read
/// as what it is.
async fn two_desks_that_acknowledge_each_other_stop_at_once(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    for number in 0..20 {
        let mut inbound = mail("desk@other.example", &format!("ticket {number}"));
        inbound.subject = Some(format!("[#{number}] we have got your question"));
        kit.arrive_at(&channel, inbound, later(number)).await;
    }
    assert_eq!(sent_to(&kit).await.len(), 1);
}

/// B6, B11, B13.
async fn machines_and_ourselves_get_no_acknowledgement(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    let but = |id: &str, change: fn(&mut Inbound)| {
        let mut inbound = mail(&format!("{id}@x.example"), id);
        change(&mut inbound);
        inbound
    };
    let quiet = [
        but("automated", |one| one.automated = Some("Auto-Submitted: auto-replied")),
        but("forged", |one| one.sender.trust = Trust::Forged),
        but("spam", |one| {
            one.flags.insert(Flag::Spam);
        }),
        but("imported", |one| {
            one.flags.insert(Flag::Imported);
        }),
        but("nobody", |one| one.sender.address = None),
        but("own", |one| one.sender.address = Some(Address::email(DESK))),
        but("plus", |one| one.sender.address = Some(Address::email("support+x@desk.example"))),
        but("reply_to_us", |one| one.reply_to = Some(party(DESK))),
        but("notice", |one| one.form = tributary::model::Form::Notice),
        mail("x@spam.example", "blocked"),
    ];
    for inbound in quiet {
        let id = inbound.remote_id.clone();
        assert_eq!(kit.arrive(&channel, inbound).await.new, 1);
        assert!(sent_to(&kit).await.is_empty(), "{id:?} was acknowledged");
    }
    // A mail to us with our own address in copy is still a customer's.
    let mut copied = mail(ANNA, "copied");
    copied.recipients.push(party(DESK));
    kit.arrive(&channel, copied).await;
    assert_eq!(sent_to(&kit).await, [ANNA]);
}

async fn a_reply_to_is_no_way_round_the_limit(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    // One sender, who asks for answers elsewhere.
    for number in 0..5 {
        let mut inbound = mail(ANNA, &format!("one {number}"));
        inbound.reply_to = Some(party("noreply-desk@other.example"));
        kit.arrive_at(&channel, inbound, later(number)).await;
    }
    assert_eq!(sent_to(&kit).await, ["noreply-desk@other.example"]);
    // Many senders who all want the answers to go to one victim.
    for number in 0..5 {
        let mut inbound = mail(&format!("x{number}@x.example"), &format!("many {number}"));
        inbound.reply_to = Some(party("noreply-desk@other.example"));
        kit.arrive_at(&channel, inbound, later(number)).await;
    }
    // One sender with a new address for answers each time.
    for number in 0..5 {
        let mut inbound = mail(BOB, &format!("fan {number}"));
        inbound.reply_to = Some(party(&format!("victim{number}@x.example")));
        kit.arrive_at(&channel, inbound, later(number)).await;
    }
    assert_eq!(sent_to(&kit).await, ["noreply-desk@other.example", "victim0@x.example"]);
}

async fn a_channel_sends_only_so_many_in_an_hour(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    let others = channel_with("sales", "email", acknowledging());
    for number in 0..10 {
        let mut inbound = mail(&format!("a{number}@x.example"), &format!("first {number}"));
        // It counts as one, also where it goes to somebody else than the sender.
        inbound.reply_to = Some(party(&format!("b{number}@x.example")));
        kit.arrive(&channel, inbound).await;
    }
    assert_eq!(sent_to(&kit).await.len(), 3);
    kit.arrive(&others, mail("other@x.example", "other")).await;
    assert_eq!(sent_to(&kit).await.len(), 4, "another channel counts for itself");
    kit.arrive_at(&channel, mail("late@x.example", "late"), later(61)).await;
    assert_eq!(sent_to(&kit).await.len(), 5);
    assert_eq!(kit.number("SELECT count(*) FROM ticket").await, 12, "nothing else is held up");
}

async fn an_address_that_bounced_or_complained_gets_nothing_unasked(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    let bad = ReceiptState::Failed { cause: "no such user".to_owned(), address_is_bad: true };
    let full = ReceiptState::Failed { cause: "mailbox full".to_owned(), address_is_bad: false };
    let table = [(bad, false), (ReceiptState::Complained, false), (full, true)];
    for (number, (state, acknowledged)) in table.into_iter().enumerate() {
        let from = format!("a{number}@x.example");
        let at = days(i64::try_from(number).unwrap() * 10);
        let ticket =
            ticket_of(&kit.arrive_at(&channel, mail(&from, &format!("1 {number}")), at).await);
        let filter = OutboxFilter { ticket: Some(ticket), limit: 10, ..OutboxFilter::default() };
        let row = kit.store.outbox(&filter).await.unwrap().remove(0);
        let fence = kit.store.take_lease(&channel.name).await.unwrap();
        if let Some(fence) = fence {
            kit.store.begin_delivery(&fence, row.id, None, at).await.unwrap();
            kit.store.release(&fence).await.unwrap();
        }
        let receipt = Receipt { delivery: Some(row.id), target: None, recipient: None, state, at };
        let meaning = Meaning::Events(vec![Event::Receipt(receipt)]);
        kit.apply(&channel, Ok(meaning), at).await;
        let before = sent_to(&kit).await.len();
        let next = at + chrono::Duration::days(5);
        kit.arrive_at(&channel, mail(&from, &format!("2 {number}")), next).await;
        let ticket_of_failed = kit.ticket(ticket).await;
        assert_eq!(ticket_of_failed.status, "open");
        let more = sent_to(&kit).await.len() - before;
        assert_eq!(more == 1, acknowledged, "{from}");
    }
}
