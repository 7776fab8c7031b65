//! What services tell beside messages: later parts of one thing, what one of ours wrote elsewhere, signs, who may
//! be written to, and new names for old conversations.

use bytes::Bytes;
use tributary::model::{
    Actor, Address, DeliveryStatus, Echo, Event, Form, Inbound, Linked, Meaning, Media,
    MediaSource, Moved, Reach, Reaction, ReceiptState, RemoteId, Secret, Sender, Standing,
    ThreadKey, Trust,
};
use tributary::store::{By, Ending, Ingested, OutboxFilter};

use super::ingest::chat;
use super::receipts::receipt;
use super::search::found;
use super::{
    ANNA, BOB, Kit, channel_with, chat_channel, later, message, name, on_both, start, ticket_of,
};

on_both! {
    parts_become_one_message_in_whatever_batches_they_come
    a_recording_turns_a_call_into_a_voicemail
    what_was_written_elsewhere_is_an_answer_and_opens_nothing
    an_echo_of_our_own_sending_settles_it
    an_echo_without_an_id_waits_for_what_is_being_sent
    a_sign_is_noted_with_its_message
    who_stops_is_not_written_to_unasked_until_they_start_again
    a_code_proves_who_somebody_is
    a_code_without_a_word_says_who_somebody_will_be
    a_moved_conversation_goes_on_under_its_new_name
    a_move_into_a_conversation_that_is_there_already_leaves_both
}

fn picture(file: &str) -> Media {
    Media {
        name: file.to_owned(),
        mime: "image/png".to_owned(),
        inline: false,
        content_id: None,
        source: MediaSource::Inline(Bytes::from(file.to_owned())),
    }
}

fn part(id: &str, text: &str) -> Inbound {
    Inbound {
        part_of: Some(RemoteId::new("album:7")),
        media: vec![picture(&format!("{id}.png"))],
        text: text.to_owned(),
        text_full: text.to_owned(),
        ..chat(id, "a")
    }
}

async fn parts_become_one_message_in_whatever_batches_they_come(kit: Kit) {
    let channel = chat_channel("chat");
    let together = [part("p1", "look"), part("p2", "and here")];
    let events = together.map(|inbound| Event::Message(Box::new(inbound)));
    let first = kit.apply(&channel, Ok(Meaning::Events(events.into())), start()).await;
    assert_eq!((first.messages.len(), first.new), (2, 1));
    let (ticket, whole) = first.messages[0];
    assert_eq!(first.messages[1], (ticket, whole));
    // A late one, and the same again.
    for (new, id) in [(0, "p3"), (0, "p3"), (0, "p1")] {
        let later = kit.arrive_at(&channel, part(id, "密码"), later(1)).await;
        assert_eq!((later.new, &later.messages), (new, &vec![(ticket, whole)]), "{id}");
        assert_eq!(later.ending, Some(Ending::Applied));
    }
    let messages = kit.store.ticket_messages(ticket.uuid(), 0, 10).await.unwrap();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.text, "look\nand here\n密码");
    let files: Vec<&str> = message.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(files, ["p1.png", "p2.png", "p3.png"]);
    assert_eq!(kit.number("SELECT COUNT(*) FROM attachment").await, 3);
    assert_eq!(found(&kit, "密码").await.len(), 1, "the late words are found");
    // Another album is another message.
    let other = Inbound { part_of: Some(RemoteId::new("album:8")), ..part("q1", "") };
    assert_eq!(kit.arrive(&channel, other).await.new, 1);
}

async fn a_recording_turns_a_call_into_a_voicemail(kit: Kit) {
    let channel = chat_channel("phone");
    let whole = Some(RemoteId::new("call:CA1"));
    let call = Inbound { form: Form::Call, part_of: whole.clone(), ..chat("CA1", "CA1") };
    let ticket = ticket_of(&kit.arrive(&channel, call).await);
    let kind = |kit: &Kit| {
        let store = kit.store.clone();
        async move { store.ticket_messages(ticket.uuid(), 0, 10).await.unwrap().remove(0).kind }
    };
    assert_eq!(kind(&kit).await, "call");
    let recording = Inbound { form: Form::Voicemail, part_of: whole, ..part("RE1", "") };
    kit.arrive(&channel, recording).await;
    assert_eq!(kind(&kit).await, "voicemail");
}

fn echo(message: Inbound, delivery: Option<tributary::model::DeliveryId>) -> Meaning {
    let by = Some("Page inbox".to_owned());
    Meaning::Events(vec![Event::Echo(Echo { message: Box::new(message), delivery, by })])
}

async fn what_was_written_elsewhere_is_an_answer_and_opens_nothing(kit: Kit) {
    let channel = channel_with("chat", "chat", super::acknowledging());
    // Nobody wrote before: a ticket in which the customer is to write next, and no machine answers it.
    let opened = kit.apply(&channel, Ok(echo(chat("e0", "new"), None)), start()).await;
    let ticket = kit.ticket(ticket_of(&opened)).await;
    assert_eq!((ticket.status.as_str(), ticket.last_inbound_at), ("pending", None));
    assert_eq!(kit.number("SELECT COUNT(*) FROM delivery").await, 0);
    // An answer in an open ticket.
    let channel = chat_channel("chat");
    let id = ticket_of(&kit.arrive(&channel, chat("1", "a")).await);
    let meaning = || Ok(echo(chat("e1", "a"), None));
    let first = kit.apply(&channel, meaning(), later(1)).await;
    assert_eq!((ticket_of(&first), first.new), (id, 1));
    let again = kit.apply(&channel, meaning(), later(2)).await;
    assert_eq!((ticket_of(&again), again.new), (id, 0));
    let answer = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap().remove(1);
    assert_eq!((answer.direction.as_str(), answer.author.kind.as_str()), ("out", "agent"));
    assert_eq!((answer.author.name.as_str(), answer.author.address), ("Page inbox", None));
    let ticket = kit.ticket(id).await;
    assert_eq!((ticket.status.as_str(), ticket.message_count), ("open", 2));
    assert!(ticket.first_response_at.is_some() && ticket.last_outbound_at.is_some());
    assert_eq!(ticket.last_inbound_at, Some(start()));
    // The next reply still goes to the customer.
    let facts = kit.store.reply_facts(id).await.unwrap();
    let (_, _, routing) = facts.answers.unwrap();
    assert_eq!(routing.answer_to().unwrap().address, Address::email(ANNA));
    // It can be changed and taken back like any other.
    let delete = Event::Delete { target: RemoteId::new("e1") };
    kit.apply(&channel, Ok(Meaning::Events(vec![delete])), later(3)).await;
    let answer = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap().remove(1);
    assert_eq!(answer.deleted_at, Some(later(3)));
}

async fn states(kit: &Kit) -> Vec<(DeliveryStatus, Option<String>)> {
    let filter =
        OutboxFilter { status: DeliveryStatus::ALL.to_vec(), limit: 100, ..Default::default() };
    let rows = kit.store.outbox(&filter).await.unwrap();
    rows.into_iter().map(|row| (row.status, row.external_id)).collect()
}

/// A reply whose outcome nobody knows.
async fn unconfirmed(
    kit: &Kit,
    remote: &str,
) -> (tributary::model::TicketId, tributary::model::DeliveryId) {
    let channel = channel_with("mail", "email", super::policy());
    let ticket = ticket_of(&kit.arrive(&channel, chat(remote, remote)).await);
    kit.reply(ticket, "an answer").await;
    let fence = kit.store.take_lease(&name("mail")).await.unwrap().expect("our own");
    let due = kit.store.due_deliveries(&name("mail"), 10, start()).await.unwrap().remove(0);
    let id = due.delivery.outbound.delivery;
    assert!(due.delivery.outbound.customer_wrote_at.is_some());
    assert!(kit.store.begin_delivery(&fence, id, None, start()).await.unwrap());
    let state = tributary::model::DeliveryState::Unconfirmed { cause: "cut".to_owned() };
    kit.store.settle_delivery(&fence, id, state.into(), later(1)).await.unwrap();
    (ticket, id)
}

async fn an_echo_of_our_own_sending_settles_it(kit: Kit) {
    let channel = channel_with("mail", "email", super::policy());
    let (ticket, id) = unconfirmed(&kit, "1").await;
    let repeated = kit.apply(&channel, Ok(echo(chat("out 1", "1"), Some(id))), later(2)).await;
    assert_eq!((repeated.new, repeated.ending), (0, Some(Ending::Applied)));
    assert_eq!(states(&kit).await, [(DeliveryStatus::Sent, Some("out 1".to_owned()))]);
    // The same by its name alone, and by a receipt.
    let again = kit.apply(&channel, Ok(echo(chat("out 1", "1"), None)), later(3)).await;
    assert_eq!(again.new, 0);
    assert_eq!(kit.ticket(ticket).await.message_count, 2);
    let (_, second) = unconfirmed(&kit, "2").await;
    let sent = ReceiptState::Sent { remote_id: RemoteId::new("out 2") };
    kit.apply(&channel, Ok(receipt(second, sent)), later(4)).await;
    let named: Vec<_> = states(&kit).await.into_iter().filter_map(|(_, named)| named).collect();
    assert!(named.contains(&"out 2".to_owned()), "{named:?}");
}

async fn an_echo_without_an_id_waits_for_what_is_being_sent(kit: Kit) {
    let channel = channel_with("mail", "email", super::policy());
    let ticket = ticket_of(&kit.arrive(&channel, chat("1", "1")).await);
    kit.reply(ticket, "an answer").await;
    let fence = kit.store.take_lease(&name("mail")).await.unwrap().expect("our own");
    let due = kit.store.due_deliveries(&name("mail"), 10, start()).await.unwrap().remove(0);
    let id = due.delivery.outbound.delivery;
    assert!(kit.store.begin_delivery(&fence, id, None, start()).await.unwrap());
    let row = kit.append(&channel.name, "bytes").await;
    let ours = || Ok(echo(chat("out 1", "1"), None));
    assert_eq!(kit.apply_to(row, &channel, ours(), later(0)).await.ending, None);
    let other = kit.append(&channel.name, "other").await;
    let theirs = || Ok(echo(chat("by hand", "1"), None));
    assert_eq!(kit.apply_to(other, &channel, theirs(), later(0)).await.ending, None);
    // The call's own answer brings the name.
    let remote_id = RemoteId::new("out 1");
    let state = tributary::model::DeliveryState::Sent { remote_id };
    kit.store.settle_delivery(&fence, id, state.into(), later(1)).await.unwrap();
    assert_eq!(kit.apply_to(row, &channel, ours(), later(1)).await.new, 0);
    assert_eq!(kit.apply_to(other, &channel, theirs(), later(1)).await.new, 1);
    assert_eq!(kit.ticket(ticket).await.message_count, 3);
    // It waits ten minutes, and not for ever: what is still being sent then is another thing.
    kit.reply(ticket, "another").await;
    let due = kit.store.due_deliveries(&name("mail"), 10, later(2)).await.unwrap().remove(0);
    let id = due.delivery.outbound.delivery;
    assert!(kit.store.begin_delivery(&fence, id, None, later(2)).await.unwrap());
    let late = kit.apply(&channel, Ok(echo(chat("late", "1"), None)), later(10)).await;
    assert_eq!(late.new, 1);
}

async fn a_sign_is_noted_with_its_message(kit: Kit) {
    let channel = chat_channel("chat");
    let (ticket, id) = kit.arrive(&channel, chat("1", "a")).await.messages[0];
    let sign = |target: &str, emoji: Option<&str>| {
        let target = RemoteId::new(target);
        let (by, emoji) = (Address::email(ANNA), emoji.map(str::to_owned));
        Ok(Meaning::Events(vec![Event::Reaction(Reaction { target, by, emoji })]))
    };
    for emoji in [Some("👍"), None] {
        let ending = kit.apply(&channel, sign("1", emoji), later(1)).await.ending;
        assert_eq!(ending, Some(Ending::Applied));
    }
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 20).await.unwrap();
    let signs: Vec<_> = trail.iter().filter(|event| event.kind == "message.reaction").collect();
    assert_eq!(signs.len(), 2);
    assert_eq!((signs[0].message, &signs[0].data["emoji"]), (Some(id.uuid()), &"👍".into()));
    assert!(signs[1].data["emoji"].is_null());
    assert_eq!(kit.apply(&channel, sign("unknown", Some("👍")), start()).await.ending, None);
}

async fn who_stops_is_not_written_to_unasked_until_they_start_again(kit: Kit) {
    let channel = channel_with("chat", "chat", super::acknowledging());
    let stand = |reach: Reach, said: &str| {
        let (address, said) = (Address::email(ANNA), said.to_owned());
        Ok(Meaning::Events(vec![Event::Standing(Standing { address, reach, said })]))
    };
    kit.apply(&channel, stand(Reach::OptedOut, "STOP"), start()).await;
    let ticket = ticket_of(&kit.arrive(&channel, chat("1", "a")).await);
    assert_eq!(kit.number("SELECT COUNT(*) FROM delivery").await, 0, "no acknowledgement");
    kit.apply(&channel, stand(Reach::OptedIn, "START"), later(1)).await;
    kit.arrive(&channel, chat("2", "b")).await;
    assert_eq!(kit.number("SELECT COUNT(*) FROM delivery").await, 1);
    kit.apply(&channel, stand(Reach::Unreachable, "blocked the bot"), later(2)).await;
    let newest = kit.store.events_after(0, 100).await.unwrap();
    let told: Vec<_> = newest.iter().filter(|event| event.kind == "contact.standing").collect();
    let said: Vec<_> = told.iter().map(|event| event.data["said"].as_str().unwrap()).collect();
    assert_eq!(said, ["STOP", "START", "blocked the bot"]);
    assert_eq!(told[0].ticket, None, "nobody knew them then");
    assert_eq!(told[1].ticket, Some(ticket.uuid()));
    assert_eq!(told[2].data["reach"], "unreachable");
}

fn person(address: &str) -> Sender {
    let address = Some(Address::email(address));
    Sender { address, name: None, trust: Trust::Proven, also: Vec::new() }
}

/// A code joins an address with a contact, once and in time, and only where the service vouches for the address.
async fn a_code_proves_who_somebody_is(kit: Kit) {
    let channel = chat_channel("chat");
    let known = kit.arrive(&channel, Inbound { sender: person(BOB), ..chat("1", "1") }).await;
    let known = kit.ticket(ticket_of(&known)).await.contact.id;
    let by = || By { actor: Actor::system(), version: None, once: None, now: start() };
    let code = async |at| kit.store.make_link_code(known.into(), at, by()).await.unwrap().code;
    let says = |id: &str, trust, code: &str| {
        let mut inbound = chat(id, id);
        inbound.sender.trust = trust;
        inbound.wishes.link = Some(Secret::new(code.to_owned()));
        inbound
    };
    let contact = async |ingested: &Ingested| kit.ticket(ticket_of(ingested)).await.contact;
    let good = code(later(60)).await;
    let old = code(start() - chrono::Duration::seconds(1)).await;
    for (number, trust, said) in [
        ("2", Trust::Claimed, good.as_str()),
        ("3", Trust::Proven, "guessed"),
        ("4", Trust::Proven, old.as_str()),
    ] {
        let arrived = kit.arrive(&channel, says(number, trust, said)).await;
        assert_ne!(contact(&arrived).await.id, known, "{number} proves nothing");
    }
    let arrived = kit.arrive(&channel, says("5", Trust::Proven, &good)).await;
    let joined = contact(&arrived).await;
    assert_eq!(joined.id, known);
    let mut values: Vec<_> = joined.identities.iter().map(|one| one.value.as_str()).collect();
    values.sort_unstable();
    assert_eq!(values, [ANNA, BOB]);
    // Used: somebody else who found it is nobody.
    let mut other = says("6", Trust::Proven, &good);
    other.sender = person("carol@example.com");
    let arrived = kit.arrive(&channel, other).await;
    assert_ne!(contact(&arrived).await.id, known);
    let kept = kit.texts("SELECT hash FROM link_code WHERE used_at IS NOT NULL").await;
    assert!(kept.len() == 1 && kept[0] != good, "kept as a hash");
}

/// Somebody came by a link with a code, and has said nothing: what they say then is the contact's, until they are
/// parted again.
async fn a_code_without_a_word_says_who_somebody_will_be(kit: Kit) {
    let channel = chat_channel("chat");
    let known = kit.arrive(&channel, Inbound { sender: person(BOB), ..chat("1", "1") }).await;
    let known = kit.ticket(ticket_of(&known)).await.contact.id;
    let by = || By { actor: Actor::system(), version: None, once: None, now: start() };
    let comes = |code: &str, who: &str| {
        let linked = Linked { address: Address::email(who), code: Secret::new(code) };
        Ok(Meaning::Events(vec![Event::Linked(linked)]))
    };
    let code = kit.store.make_link_code(known.into(), later(60), by()).await.unwrap().code;
    for (said, who) in [("wrong", ANNA), (&*code, ANNA), (&*code, "carol@example.com")] {
        kit.apply(&channel, comes(said, who), start()).await;
    }
    let theirs =
        kit.texts("SELECT value FROM identity WHERE trust = 'proven' ORDER BY value").await;
    assert_eq!(theirs, [ANNA, BOB], "a code is good once");
    let arrived = kit.arrive(&channel, Inbound { sender: person(ANNA), ..chat("2", "2") }).await;
    assert_eq!(kit.ticket(ticket_of(&arrived)).await.contact.id, known);
    // Who had written before brings all of that along.
    let dave = Inbound { sender: person("dave@example.com"), ..chat("3", "3") };
    let before = ticket_of(&kit.arrive(&channel, dave).await);
    let code = kit.store.make_link_code(known.into(), later(60), by()).await.unwrap().code;
    kit.apply(&channel, comes(&code, "dave@example.com"), start()).await;
    assert_eq!(kit.ticket(before).await.contact.id, known);
    let told = kit.store.events_after(0, 200).await.unwrap();
    let joined = told.iter().filter(|event| event.kind == "contact.merged").count();
    assert_eq!(joined, 2, "each can be undone");
}

fn moved() -> Meaning {
    Meaning::Events(vec![Event::Moved(Moved {
        from: Address::email(ANNA),
        to: Address::email(BOB),
        threads: vec![(ThreadKey::new("a"), ThreadKey::new("b"))],
    })])
}

/// COMPLAINTS C3: the service gives somebody another name.
async fn a_moved_conversation_goes_on_under_its_new_name(kit: Kit) {
    let channel = channel_with("mail", "email", super::policy());
    let ticket = ticket_of(&kit.arrive(&channel, chat("1", "a")).await);
    kit.reply(ticket, "waits for its turn").await;
    kit.apply(&channel, Ok(moved()), later(1)).await;
    let due = kit.store.due_deliveries(&name("mail"), 10, later(1)).await.unwrap().remove(0);
    let outbound = due.delivery.outbound;
    assert_eq!(outbound.to.address, Address::email(BOB));
    assert_eq!(outbound.thread, Some(ThreadKey::new("b")));
    let mut next = chat("2", "b");
    next.sender.address = Some(Address::email(BOB));
    assert_eq!(ticket_of(&kit.arrive_at(&channel, next, later(2)).await), ticket);
    let row = kit.ticket(ticket).await;
    let values: Vec<&str> = row.contact.identities.iter().map(|one| one.value.as_str()).collect();
    assert_eq!(values, [BOB]);
    // One that was not answered yet is answered at the new address.
    let facts = kit.store.reply_facts(ticket).await.unwrap();
    let (_, _, routing) = facts.answers.unwrap();
    assert_eq!(routing.answer_to().unwrap().address, Address::email(BOB));
    // The news a second time changes nothing.
    let version = kit.ticket(ticket).await.version;
    kit.apply(&channel, Ok(moved()), later(3)).await;
    assert_eq!(kit.ticket(ticket).await.version, version);
}

async fn a_move_into_a_conversation_that_is_there_already_leaves_both(kit: Kit) {
    let channel = channel_with("mail", "email", super::policy());
    let old = ticket_of(&kit.arrive(&channel, chat("1", "a")).await);
    let mut there = chat("2", "b");
    there.sender.address = Some(Address::email(BOB));
    let new = ticket_of(&kit.apply(&channel, Ok(message(there)), start()).await);
    assert_ne!(old, new);
    kit.apply(&channel, Ok(moved()), later(1)).await;
    assert_eq!(kit.ticket(old).await.status, "open");
    let facts = kit.store.reply_facts(old).await.unwrap();
    let (_, _, routing) = facts.answers.unwrap();
    assert_eq!(routing.answer_to().unwrap().address, Address::email(BOB), "answers reach them");
    let mut next = chat("3", "b");
    next.sender.address = Some(Address::email(BOB));
    assert_eq!(ticket_of(&kit.arrive_at(&channel, next, later(2)).await), new);
}
