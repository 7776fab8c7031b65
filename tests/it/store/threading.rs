//! Which ticket a message goes to: the complaints of other desks' users, one test each.

use std::sync::Arc;
use std::time::Duration;

use tributary::model::{
    Address, Form, Inbound, Policy, RemoteId, Reopen, ThreadKey, TicketId, TicketStatus, Token,
    Trust,
};
use tributary::store::{By, Combined, IngestChannel, OutboxFilter, StoreError, TicketPatch};

use super::{
    ANNA, BOB, DESK, Kit, agent, answer, channel_with, chat_channel, days, later, mail,
    mail_channel, on_both, party, policy, start, ticket_of,
};

on_both! {
    ids_that_name_nothing_match_nothing
    a_stranger_who_names_a_ticket_gets_one_of_his_own
    an_answer_to_a_merged_ticket_reaches_the_survivor
    a_merge_is_undone_without_a_loss
    what_undoing_a_merge_moves_is_told_before
    after_a_merge_an_answer_goes_to_whoever_wrote_last
    a_copied_person_who_answers_the_customer_stays_in_the_ticket
    a_third_persons_answer_does_not_replace_the_customer
    an_answer_to_a_ticket_that_we_opened_finds_it
    another_subject_changes_nothing
    many_answers_to_one_circular_are_many_tickets
    a_mail_to_two_mailboxes_is_one_ticket_or_two_as_the_policy_says
    a_solved_ticket_opens_again_for_a_while_only
    a_machine_opens_nothing_again
    one_conversation_has_one_open_ticket_whatever_reopens
    a_deleted_ticket_does_not_come_back
    our_own_address_is_no_pass
    a_second_mail_with_the_same_id_and_other_words_is_kept
    a_message_names_what_it_answers_theirs_or_ours
}

fn by() -> By {
    By { actor: agent(), version: None, once: None, now: later(5) }
}

async fn set_status(kit: &Kit, ticket: TicketId, status: TicketStatus) {
    let patch = TicketPatch { status: Some(status), ..TicketPatch::default() };
    kit.store.change_ticket(ticket, patch, by()).await.unwrap();
}

async fn open(kit: &Kit, channel: &Arc<IngestChannel>, from: &str, id: &str) -> TicketId {
    ticket_of(&kit.arrive(channel, mail(from, id)).await)
}

async fn merge(kit: &Kit, from: TicketId, into: TicketId) -> Combined {
    let answer = kit.store.merge_ticket(from, into, by()).await.unwrap();
    let tributary::store::Answer::Fresh(combined) = answer else { panic!("{answer:?}") };
    combined
}

/// W1: all mails without an id in one ticket.
async fn ids_that_name_nothing_match_nothing(kit: Kit) {
    let channel = mail_channel("mail");
    let mut tickets = std::collections::HashSet::new();
    for (number, blank) in ["", " ", "<>", "< >", "\0"].into_iter().enumerate() {
        // The same nothing as its own id, and as that which it answers.
        let mut inbound = mail(ANNA, blank);
        inbound.digest = number.to_string();
        inbound.thread.parents = vec![RemoteId::new(blank)];
        tickets.insert(ticket_of(&kit.arrive(&channel, inbound).await));
    }
    assert_eq!(tickets.len(), 5);
}

/// W2: a stranger's mail in a customer's ticket.
async fn a_stranger_who_names_a_ticket_gets_one_of_his_own(kit: Kit) {
    let channel = mail_channel("mail");
    let hers = open(&kit, &channel, ANNA, "1").await;
    let number = u64::try_from(kit.ticket(hers).await.number).unwrap();
    kit.reply(hers, "an answer").await;
    let due = kit.store.due_deliveries(&channel.name, 1, start()).await.unwrap().remove(0);
    let mut tries = Vec::new();
    let mut tagged = mail(BOB, "2");
    tagged.thread.tag = Some(number);
    tries.push(tagged);
    tries.push(answer(BOB, "3", &["1"]));
    // Even with a token of ours, which she may have forwarded.
    let mut signed = mail(BOB, "4");
    signed.thread.tokens = vec![Token::Ticket(number)];
    tries.push(signed);
    let mut signed = mail(BOB, "5");
    signed.thread.tokens = vec![Token::Delivery(due.delivery.outbound.delivery)];
    tries.push(signed);
    for inbound in tries {
        let id = inbound.remote_id.clone();
        let his = kit.ticket(ticket_of(&kit.arrive(&channel, inbound).await)).await;
        assert_ne!(his.id, hers.uuid(), "{id:?}");
        assert_eq!(his.linked_to, Some(hers.uuid()));
        assert_ne!(his.contact.id, kit.ticket(hers).await.contact.id);
        let message = kit.store.ticket_messages(his.id, 0, 1).await.unwrap().remove(0);
        assert_eq!(message.flags, ["claims_ticket"]);
    }
    assert_eq!(kit.ticket(hers).await.message_count, 2);
    // A number that there is not names nothing.
    let mut tagged = mail(BOB, "6");
    tagged.thread.tag = Some(u64::MAX);
    assert_eq!(kit.ticket(ticket_of(&kit.arrive(&channel, tagged).await)).await.linked_to, None);
}

/// W8: a chain of three merges.
async fn an_answer_to_a_merged_ticket_reaches_the_survivor(kit: Kit) {
    let channel = mail_channel("mail");
    let mut tickets = Vec::new();
    for id in ["1", "2", "3", "4"] {
        tickets.push(open(&kit, &channel, ANNA, id).await);
    }
    for pair in tickets.windows(2) {
        merge(&kit, pair[0], pair[1]).await;
    }
    let survivor = tickets[3];
    let view = kit.ticket(survivor).await;
    assert_eq!((view.message_count, view.status.as_str()), (4, "open"));
    let number = u64::try_from(kit.ticket(tickets[0]).await.number).unwrap();
    for (id, parents) in [("5", vec!["1"]), ("6", vec!["unknown", "2"]), ("7", vec!["4"])] {
        let found = ticket_of(&kit.arrive(&channel, answer(ANNA, id, &parents)).await);
        assert_eq!(found, survivor, "{id}");
    }
    let mut tagged = mail(ANNA, "8");
    tagged.thread.tag = Some(number);
    assert_eq!(ticket_of(&kit.arrive(&channel, tagged).await), survivor);
    for gone in &tickets[..3] {
        let view = kit.ticket(*gone).await;
        assert_eq!((view.status.as_str(), view.message_count), ("closed", 0));
        assert!(matches!(
            kit.store.merge_ticket(*gone, survivor, by()).await,
            Err(StoreError::Refused(_))
        ));
    }
    // A reply to a dead one goes to the survivor, or says that it was just merged; never into nowhere.
    let facts = kit.store.reply_facts(tickets[0]).await.unwrap();
    assert_eq!(facts.ticket, survivor);
    let mut stale = kit.plan(survivor, "late").await;
    stale.ticket = tickets[0];
    let outcome = kit.store.queue_reply(stale, later(6)).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
}

/// COMPLAINTS A8: what a merge moved goes back, what came since stays, and each goes on by itself.
async fn a_merge_is_undone_without_a_loss(kit: Kit) {
    let channel = mail_channel("mail");
    let annas = open(&kit, &channel, ANNA, "a").await;
    let bobs = open(&kit, &channel, BOB, "b").await;
    let carols = open(&kit, &channel, "carol@example.com", "c").await;
    let patch = TicketPatch { tags: Some(vec!["theirs".to_owned()]), ..TicketPatch::default() };
    kit.store.change_ticket(bobs, patch, by()).await.unwrap();
    let before = kit.ticket(bobs).await;
    merge(&kit, bobs, annas).await;
    merge(&kit, annas, carols).await;
    let since = answer(BOB, "b2", &["b"]);
    assert_eq!(ticket_of(&kit.arrive_at(&channel, since, later(6)).await), carols);
    let undone = kit.store.unmerge_ticket(bobs, by()).await.unwrap();
    let tributary::store::Answer::Fresh(undone) = undone else { panic!("{undone:?}") };
    let (back, left) = (undone.ticket, undone.into);
    assert_eq!((back.merged_into, back.message_count), (None, 1));
    assert_eq!((&back.status, &back.tags), (&before.status, &before.tags));
    assert_eq!(back.last_inbound_at, before.last_inbound_at);
    assert_eq!((left.id, left.message_count), (carols.uuid(), 3));
    assert!(!left.tags.contains(&"theirs".to_owned()), "{:?}", left.tags);
    // Bob wrote into it since, and stays in it; his own ticket goes on as well.
    let again = answer(BOB, "b3", &["b2"]);
    assert_eq!(ticket_of(&kit.arrive_at(&channel, again, later(7)).await), carols);
    let own = answer(BOB, "b4", &["b"]);
    assert_eq!(ticket_of(&kit.arrive_at(&channel, own, later(8)).await), bobs);
    kit.store.unmerge_ticket(annas, by()).await.unwrap();
    assert_eq!(kit.ticket(annas).await.message_count, 1);
    assert_eq!(kit.ticket(carols).await.message_count, 3);
    let outcome = kit.store.unmerge_ticket(annas, by()).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    let trail = kit.store.ticket_events(bobs.uuid(), 0, 50).await.unwrap();
    assert!(trail.iter().any(|event| event.kind == "ticket.unmerged"));
}

async fn what_undoing_a_merge_moves_is_told_before(kit: Kit) {
    let channel = mail_channel("mail");
    let annas = open(&kit, &channel, ANNA, "a").await;
    let bobs = open(&kit, &channel, BOB, "b").await;
    let patch = TicketPatch { tags: Some(vec!["theirs".to_owned()]), ..TicketPatch::default() };
    kit.store.change_ticket(bobs, patch, by()).await.unwrap();
    let before = kit.ticket(bobs).await;
    merge(&kit, bobs, annas).await;
    let told = kit.store.merged_tickets(annas).await.unwrap();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((told.id, told.messages, &told.status), (bobs.uuid(), 1, &before.status));
    assert_eq!(told.tags, ["theirs"]);
    kit.store.unmerge_ticket(bobs, by()).await.unwrap();
    assert!(kit.store.merged_tickets(annas).await.unwrap().is_empty());
}

/// W9: after a merge the answer went to the other customer.
async fn after_a_merge_an_answer_goes_to_whoever_wrote_last(kit: Kit) {
    let channel = mail_channel("mail");
    let bobs = open(&kit, &channel, BOB, "1").await;
    let annas = open(&kit, &channel, ANNA, "2").await;
    merge(&kit, bobs, annas).await;
    let facts = kit.store.reply_facts(annas).await.unwrap();
    let (_, _, routing) = facts.answers.unwrap();
    assert_eq!(routing.answer_to().unwrap().address.value, ANNA);
    kit.arrive(&channel, answer(BOB, "3", &["1"])).await;
    let facts = kit.store.reply_facts(annas).await.unwrap();
    let (_, _, routing) = facts.answers.unwrap();
    assert_eq!(routing.answer_to().unwrap().address.value, BOB);
    assert_eq!(routing.remote_id, Some(RemoteId::new("3")));
}

/// W12: people in copy who answer the customer's own mail.
async fn a_copied_person_who_answers_the_customer_stays_in_the_ticket(kit: Kit) {
    let channel = mail_channel("mail");
    let mut first = mail(ANNA, "1");
    first.recipients.push(party(BOB));
    let ticket = ticket_of(&kit.arrive(&channel, first).await);
    let copied = kit.arrive(&channel, answer(BOB, "2", &["1"])).await;
    assert_eq!(ticket_of(&copied), ticket);
    // And so do follow-ups that name the same people again, for ever.
    for number in 3..8 {
        let mut next = answer(ANNA, &number.to_string(), &["1"]);
        next.recipients.push(party(BOB));
        next.recipients.push(party("carol@customer.example"));
        next.reply_to = Some(party("anna.private@customer.example"));
        assert_eq!(ticket_of(&kit.arrive(&channel, next).await), ticket);
    }
    assert_eq!(kit.ticket(ticket).await.message_count, 7);
    let carol = answer("carol@customer.example", "9", &["7"]);
    assert_eq!(ticket_of(&kit.arrive(&channel, carol).await), ticket);
}

/// W13: a reply of somebody else replaced the customer.
async fn a_third_persons_answer_does_not_replace_the_customer(kit: Kit) {
    let channel = mail_channel("mail");
    let mut first = mail(ANNA, "1");
    first.recipients.push(party(BOB));
    let ticket = ticket_of(&kit.arrive(&channel, first).await);
    let before = kit.ticket(ticket).await.contact;
    kit.arrive(&channel, answer(BOB, "2", &["1"])).await;
    let after = kit.ticket(ticket).await.contact;
    assert_eq!(before.id, after.id);
    let messages = kit.store.ticket_messages(ticket.uuid(), 0, 10).await.unwrap();
    assert_eq!(messages[1].author.address.as_deref(), Some(BOB));
    assert_ne!(messages[1].author.id, Some(after.id));
}

/// W18: the answer to what an agent began.
async fn an_answer_to_a_ticket_that_we_opened_finds_it(kit: Kit) {
    let channel = mail_channel("mail");
    let new = tributary::store::NewTicket {
        id: TicketId::new(),
        channel: channel.name.clone(),
        contact: None,
        to: party(ANNA),
        subject: "about your order".to_owned(),
        priority: tributary::model::Priority::High,
        queue: Some("sales".to_owned()),
        tags: vec!["outbound".to_owned()],
        actor: agent(),
    };
    let ticket = new.id;
    for _ in 0..2 {
        kit.store.open_ticket(new.clone(), None, None, start()).await.unwrap();
    }
    kit.reply(ticket, "hello").await;
    let fence = kit.store.take_lease(&channel.name).await.unwrap().unwrap();
    let due = kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap().remove(0);
    let id = due.delivery.outbound.delivery;
    let ours = Some(RemoteId::new("ours@desk.example"));
    assert!(kit.store.begin_delivery(&fence, id, ours, start()).await.unwrap());
    // By our own Message-ID, also while it is still being sent, and by the signed token in it.
    let found = kit.arrive(&channel, answer(ANNA, "1", &["ours@desk.example"])).await;
    assert_eq!(ticket_of(&found), ticket);
    let mut rewritten = answer(ANNA, "2", &["made.up.by.a.relay@x"]);
    rewritten.thread.tokens = vec![Token::Delivery(id)];
    assert_eq!(ticket_of(&kit.arrive(&channel, rewritten).await), ticket);
    assert_eq!(kit.number("SELECT count(*) FROM ticket").await, 1);
}

/// W19.
async fn another_subject_changes_nothing(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = open(&kit, &channel, ANNA, "1").await;
    let mut next = answer(ANNA, "2", &["1"]);
    next.subject = Some("something else".to_owned());
    assert_eq!(ticket_of(&kit.arrive(&channel, next).await), ticket);
    assert_eq!(kit.ticket(ticket).await.subject, "about 1");
    // And the same subject joins nothing.
    let mut same = mail(ANNA, "3");
    same.subject = Some("about 1".to_owned());
    assert_ne!(ticket_of(&kit.arrive(&channel, same).await), ticket);
}

/// W20: answers of many people to one circular, which we do not know.
async fn many_answers_to_one_circular_are_many_tickets(kit: Kit) {
    let channel = mail_channel("mail");
    let mut tickets = std::collections::HashSet::new();
    for number in 0..50 {
        let from = format!("reader{number}@x.example");
        let inbound = answer(&from, &format!("answer {number}"), &["newsletter@desk.example"]);
        tickets.insert(ticket_of(&kit.arrive(&channel, inbound).await));
    }
    assert_eq!(tickets.len(), 50);
}

/// D5.
async fn a_mail_to_two_mailboxes_is_one_ticket_or_two_as_the_policy_says(kit: Kit) {
    let (support, sales) = (mail_channel("support"), mail_channel("sales"));
    let first = kit.arrive(&support, mail(ANNA, "1")).await;
    let second = kit.arrive(&sales, mail(ANNA, "1")).await;
    assert_eq!((first.new, second.new), (1, 0));
    assert_eq!(ticket_of(&first), ticket_of(&second));
    let trail = kit.store.ticket_events(ticket_of(&first).uuid(), 2, 10).await.unwrap();
    assert_eq!((trail.len(), trail[0].kind.as_str()), (1, "message.arrived_again"));
    assert_eq!(trail[0].channel.as_deref(), Some("sales"));
    // `separate`: the channel is a realm of its own.
    let legal = channel_with("legal", "email:legal", policy());
    let third = kit.arrive(&legal, mail(ANNA, "1")).await;
    assert_eq!(third.new, 1);
    assert_ne!(ticket_of(&third), ticket_of(&first));
    assert_eq!(kit.arrive(&legal, mail(ANNA, "1")).await.new, 0);
    assert_eq!(kit.number("SELECT count(*) FROM contact").await, 1);
}

/// COMPLAINTS T6, for whatever channel: not everything of a person is one ticket for ever.
async fn a_solved_ticket_opens_again_for_a_while_only(kit: Kit) {
    let with = |reopen| channel_with("mail", "email", Policy { reopen, ..policy() });
    let month = Reopen::Within(Duration::from_secs(30 * 86_400));
    let table = [
        (month, 29, true),
        (month, 31, false),
        (Reopen::Always, 4000, true),
        (Reopen::Never, 0, false),
    ];
    for (number, (reopen, age, opens)) in table.into_iter().enumerate() {
        let (channel, id) = (with(reopen), format!("first {number}"));
        let ticket = open(&kit, &channel, ANNA, &id).await;
        set_status(&kit, ticket, TicketStatus::Solved).await;
        let next = answer(ANNA, &format!("next {number}"), &[&id]);
        let found = ticket_of(&kit.arrive_at(&channel, next, days(age)).await);
        assert_eq!(found == ticket, opens, "{reopen:?} after {age} days");
        let view = kit.ticket(found).await;
        assert_eq!(view.status, "open");
        assert_eq!(view.solved_at, None);
        assert_eq!(view.linked_to, (!opens).then_some(ticket.uuid()));
    }
    // Closed is closed.
    let channel = with(Reopen::Always);
    let ticket = open(&kit, &channel, ANNA, "closed").await;
    set_status(&kit, ticket, TicketStatus::Closed).await;
    let found = ticket_of(&kit.arrive(&channel, answer(ANNA, "late", &["closed"])).await);
    assert_eq!(kit.ticket(found).await.linked_to, Some(ticket.uuid()));
    assert_eq!(kit.ticket(ticket).await.status, "closed");
    let patch = TicketPatch { status: Some(TicketStatus::Open), ..TicketPatch::default() };
    let outcome = kit.store.change_ticket(ticket, patch, by()).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))));
    // A pending one is opened by any word of the customer.
    let ticket = open(&kit, &channel, ANNA, "pending").await;
    set_status(&kit, ticket, TicketStatus::Pending).await;
    kit.arrive(&channel, answer(ANNA, "word", &["pending"])).await;
    assert_eq!(kit.ticket(ticket).await.status, "open");
}

async fn a_machine_opens_nothing_again(kit: Kit) {
    let channel = mail_channel("mail");
    for status in [TicketStatus::Solved, TicketStatus::Closed, TicketStatus::Pending] {
        let id = format!("first {status}");
        let ticket = open(&kit, &channel, ANNA, &id).await;
        set_status(&kit, ticket, status).await;
        let mut away = answer(ANNA, &format!("away {status}"), &[&id]);
        away.automated = Some("an auto-reply");
        assert_eq!(ticket_of(&kit.arrive(&channel, away).await), ticket);
        let mut notice = answer("mailer-daemon@x.example", &format!("notice {status}"), &[&id]);
        notice.form = Form::Notice;
        assert_eq!(ticket_of(&kit.arrive(&channel, notice).await), ticket);
        let view = kit.ticket(ticket).await;
        assert_eq!((view.status.as_str(), view.message_count), (status.as_str(), 3));
        // Whoever sends notices has no part in the ticket because of it.
        let daemon = answer("mailer-daemon@x.example", &format!("later {status}"), &[&id]);
        assert_ne!(ticket_of(&kit.arrive(&channel, daemon).await), ticket);
    }
}

fn chat(id: &str, parents: &[&str]) -> Inbound {
    let mut inbound = answer(ANNA, id, parents);
    inbound.thread.key = Some(ThreadKey::new("chat 1"));
    inbound
}

#[expect(
    clippy::cognitive_complexity,
    reason = "one story, each step of which stands on the one before"
)]
async fn one_conversation_has_one_open_ticket_whatever_reopens(kit: Kit) {
    let never = Policy { reopen: Reopen::Never, ..policy() };
    let (first_policy, channel) = (channel_with("chat", "chat", never), chat_channel("chat"));
    let first = ticket_of(&kit.arrive(&first_policy, chat("1", &[])).await);
    set_status(&kit, first, TicketStatus::Solved).await;
    let second = ticket_of(&kit.arrive(&first_policy, chat("2", &[])).await);
    assert_ne!(first, second);
    // An answer to a word of the first one opens it again; the conversation stays with the second.
    assert_eq!(ticket_of(&kit.arrive(&channel, chat("3", &["1"])).await), first);
    assert_eq!(ticket_of(&kit.arrive(&channel, chat("4", &[])).await), second);
    for ticket in [first, second] {
        assert_eq!(kit.ticket(ticket).await.status, "open");
    }
    // So does an agent.
    set_status(&kit, second, TicketStatus::Solved).await;
    let third = ticket_of(&kit.arrive(&first_policy, chat("5", &[])).await);
    set_status(&kit, second, TicketStatus::Open).await;
    assert_eq!(ticket_of(&kit.arrive(&channel, chat("6", &[])).await), third);
    // And news that a message of ours never arrived.
    let fourth = ticket_of(&kit.arrive(&chat_channel("other"), chat("7", &[])).await);
    let other = chat_channel("other");
    // News counts for what went out in its own realm only.
    let mut plan = kit.plan(fourth, "an answer").await;
    plan.realm = other.realm.clone();
    kit.store.queue_reply(plan, start()).await.unwrap();
    set_status(&kit, fourth, TicketStatus::Solved).await;
    let never = channel_with("other", "other", Policy { reopen: Reopen::Never, ..policy() });
    let fifth = ticket_of(&kit.arrive(&never, chat("8", &[])).await);
    assert_ne!(fourth, fifth);
    let fence = kit.store.take_lease(&other.name).await.unwrap().unwrap();
    let due = kit.store.due_deliveries(&other.name, 10, start()).await.unwrap().remove(0);
    let id = due.delivery.outbound.delivery;
    kit.store.begin_delivery(&fence, id, None, start()).await.unwrap();
    let failed = super::receipts::failed(id);
    kit.apply(&other, Ok(failed), later(1)).await;
    assert_eq!(kit.ticket(fourth).await.status, "open");
    assert_eq!(ticket_of(&kit.arrive(&other, chat("9", &[])).await), fifth);
}

/// D1.
async fn a_deleted_ticket_does_not_come_back(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = open(&kit, &channel, ANNA, "1").await;
    kit.store.delete_ticket(ticket, by()).await.unwrap();
    let again = kit.arrive(&channel, mail(ANNA, "1")).await;
    assert_eq!(again.new, 0);
    assert_eq!(kit.number("SELECT count(*) FROM ticket WHERE deleted_at IS NULL").await, 0);
    let elsewhere = kit.arrive(&mail_channel("sales"), mail(ANNA, "1")).await;
    assert_eq!(elsewhere.new, 0);
    // What answers it is a new question.
    let next = kit.arrive(&channel, answer(ANNA, "2", &["1"])).await;
    assert_eq!(next.new, 1);
    assert_ne!(ticket_of(&next), ticket);
    assert_eq!(kit.ticket(ticket_of(&next)).await.linked_to, None);
    assert!(matches!(
        kit.store.delete_ticket(ticket, by()).await,
        Err(StoreError::NotFound("ticket"))
    ));
}

async fn our_own_address_is_no_pass(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = open(&kit, &channel, ANNA, "1").await;
    // Every ticket was addressed to us: that must not let everybody in who writes our address.
    let found = ticket_of(&kit.arrive(&channel, answer(DESK, "2", &["1"])).await);
    assert_ne!(found, ticket);
    let mut plus = answer("support+t1.abc@desk.example", "3", &["1"]);
    plus.sender.trust = Trust::Claimed;
    assert_ne!(ticket_of(&kit.arrive(&channel, plus).await), ticket);
    assert_eq!(Address::email(DESK).value, DESK);
}

async fn a_second_mail_with_the_same_id_and_other_words_is_kept(kit: Kit) {
    let channel = mail_channel("mail");
    let first = kit.arrive(&channel, mail(ANNA, "1")).await;
    let mut stranger = mail(BOB, "1");
    stranger.digest = "other words".to_owned();
    let second = kit.arrive(&channel, stranger).await;
    assert_eq!((first.new, second.new), (1, 1));
    assert_ne!(ticket_of(&first), ticket_of(&second));
}

async fn a_message_names_what_it_answers_theirs_or_ours(kit: Kit) {
    let channel = mail_channel("mail");
    let (ticket, question) = kit.arrive(&channel, mail(ANNA, "q@x")).await.messages[0];
    let reply = kit.reply(ticket, "our answer").await;
    let filter = OutboxFilter { message: Some(reply), limit: 1, ..OutboxFilter::default() };
    let delivery = kit.store.outbox(&filter).await.unwrap()[0].id;
    let mut to_ours = answer(ANNA, "b@x", &["unknown@x"]);
    to_ours.thread.tokens = vec![Token::Delivery(delivery)];
    for (inbound, expected) in [
        (answer(ANNA, "a@x", &["unknown@x", "q@x"]), Some(question.uuid())),
        (to_ours, Some(reply.uuid())),
        (answer(ANNA, "c@x", &["nobody@x"]), None),
    ] {
        let id = inbound.remote_id.0.clone();
        let (_, message) = kit.arrive(&channel, inbound).await.messages[0];
        assert_eq!(kit.store.message(message.uuid()).await.unwrap().reply_to, expected, "{id}");
    }
}
