//! Erasing a contact: nothing of them is left, in the tables, in the files, under any key.

use std::sync::Arc;

use bytes::Bytes;
use tributary::model::{
    Address, DeliveryState, Flag, Inbound, Media, MediaSource, ReceiptState, Role, TicketId, Trust,
};
use tributary::store::{By, ContactPatch, IngestChannel, NewNote, StoreError};
use uuid::Uuid;

use super::secrets::contains;
use super::{
    ANNA, BOB, Kit, agent, answer, channel_with, later, mail, mail_channel, message, on_both,
    party, policy, start, ticket_of,
};

on_both! {
    nothing_of_an_erased_contact_is_left
    what_others_wrote_stays
    a_reply_in_the_air_is_waited_for
    an_erased_person_who_writes_again_is_somebody_new
    an_export_has_all_and_no_notes
}

const CANARY: &str = "kanarienvogel";

fn by() -> By {
    By { actor: agent(), version: None, once: None, now: later(10) }
}

/// A mail in which every field that its writer fills says so. Ids stay: they keep it from coming back.
pub(super) fn telling(id: &str) -> Inbound {
    let mut inbound = mail(&format!("{CANARY}.sender@x.example"), id);
    inbound.sender.name = Some(format!("{CANARY} name"));
    inbound.reply_to = Some(party(&format!("{CANARY}.reply@x.example")));
    inbound.recipients.push(party(&format!("{CANARY}.copy@x.example")));
    inbound.subject = Some(format!("{CANARY} subject"));
    inbound.text = format!("{CANARY} text");
    inbound.text_full = format!("{CANARY} text\n> {CANARY} quoted");
    inbound.html = Some(format!("<p>{CANARY} html</p>"));
    inbound.flags.insert(Flag::Calendar);
    inbound.media = [10, 200_000]
        .map(|size| Media {
            name: format!("{CANARY}.txt"),
            mime: "text/plain".to_owned(),
            inline: false,
            content_id: Some(format!("{CANARY}.cid")),
            source: MediaSource::Inline(Bytes::from(CANARY.repeat(size / 10))),
        })
        .to_vec();
    inbound
}

/// All rows of all tables as text, and on SQLite the bytes of its files.
pub(super) async fn traces(kit: &Kit) -> Vec<String> {
    let mut found = Vec::new();
    if kit.is_postgres() {
        let tables = kit.texts("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'").await;
        for table in tables {
            let rows = kit.texts(&format!("SELECT t::text FROM \"{table}\" t")).await;
            found.extend(
                rows.into_iter()
                    .filter(|row| row.contains(CANARY) || row.contains(&hex(CANARY)))
                    .map(|row| format!("{table}: {row}")),
            );
        }
        return found;
    }
    for file in ["tributary.db", "tributary.db-wal"] {
        let bytes = std::fs::read(kit.folder.path().join(file)).unwrap_or_default();
        if contains(&bytes, CANARY.as_bytes()) {
            let at =
                bytes.windows(CANARY.len()).position(|window| window == CANARY.as_bytes()).unwrap();
            let around = &bytes[at.saturating_sub(60)..(at + 80).min(bytes.len())];
            found.push(format!("{file}: {}", String::from_utf8_lossy(around)));
        }
    }
    found
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer that the server refused with many words; a bounce; a note; another name.
pub(super) async fn talk_about(kit: &Kit, channel: &Arc<IngestChannel>, ticket: TicketId) -> Uuid {
    kit.reply(ticket, &format!("dear {CANARY}")).await;
    let fence = kit.store.take_lease(&channel.name).await.unwrap().unwrap();
    for due in kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap() {
        let delivery = due.delivery.outbound.delivery;
        kit.store.begin_delivery(&fence, delivery, None, start()).await.unwrap();
        let cause = format!("550 <{CANARY}.sender@x.example>: unknown");
        let failed = DeliveryState::Failed { cause };
        kit.store.settle_delivery(&fence, delivery, failed.into(), later(1)).await.unwrap();
        let state = ReceiptState::Failed { cause: CANARY.to_owned(), address_is_bad: true };
        kit.apply(channel, Ok(super::receipts::receipt(delivery, state)), later(2)).await;
    }
    let note =
        NewNote { ticket, text: format!("{CANARY} is angry"), html: None, uploads: Vec::new() };
    kit.store.add_note(note, by()).await.unwrap();
    let contact = kit.ticket(ticket).await.contact.id;
    let patch = ContactPatch {
        name: Some(format!("{CANARY} renamed")),
        note: Some(Some(format!("{CANARY} note"))),
        tags: Some(vec![format!("{CANARY} tag")]),
        ..ContactPatch::default()
    };
    kit.store.change_contact(contact.into(), patch, by()).await.unwrap();
    let judged = "INSERT INTO survey (ticket, contact, channel, language, message, state, asked_at, score, comment, topics)
        SELECT id, contact, channel, language, id, 'answered', 0, 2, 'kanarienvogel comment', '[\"kanarienvogel_topic\"]' FROM ticket";
    kit.execute(judged).await;
    contact
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn nothing_of_an_erased_contact_is_left(kit: Kit) {
    let mut acknowledging = policy();
    acknowledging.acknowledge = super::acknowledging().acknowledge;
    let channel = channel_with("mail", "email", acknowledging);
    let raw = super::raw("first", &format!("{CANARY} raw"));
    let id = kit.store.append_pushed(&channel.name, vec![raw], start()).await.unwrap().ids[0];
    let ticket = ticket_of(&kit.apply_to(id, &channel, Ok(message(telling("1"))), start()).await);
    // The same mail by another mailbox: its raw is a copy.
    let raw = super::raw("copy", &format!("{CANARY} raw again"));
    let sales = mail_channel("sales");
    let copy = kit.store.append_pushed(&sales.name, vec![raw], start()).await.unwrap().ids[0];
    assert_eq!(kit.apply_to(copy, &sales, Ok(message(telling("1"))), start()).await.new, 0);
    let mut more = telling("2");
    more.thread.parents = vec!["1".into()].into_iter().map(tributary::model::RemoteId).collect();
    kit.arrive(&channel, more).await;
    let contact = talk_about(&kit, &channel, ticket).await;
    // Another contact that was found out to be the same person.
    let second = ticket_of(
        &kit.arrive(&sales, {
            let mut inbound = telling("3");
            inbound.sender.address = Some(Address::email(&format!("{CANARY}.two@x.example")));
            inbound.sender.name = Some(format!("{CANARY} two"));
            inbound
        })
        .await,
    );
    let other = kit.ticket(second).await.contact.id;
    kit.store.merge_contact(other.into(), contact.into(), by()).await.unwrap();
    // And what they wrote into somebody else's ticket.
    let mut first = mail(BOB, "bob");
    first.recipients.push(party(&format!("{CANARY}.sender@x.example")));
    let bobs = ticket_of(&kit.arrive(&channel, first).await);
    let mut intruding = telling("4");
    intruding.thread.parents = vec![tributary::model::RemoteId::new("bob")];
    assert_eq!(ticket_of(&kit.arrive(&channel, intruding).await), bobs);
    assert!(!traces(&kit).await.is_empty(), "the test looks in the wrong place");

    kit.store.erase_contact(contact.into(), by()).await.unwrap();

    // Whom somebody else addressed is part of what that one wrote; all else is gone.
    kit.store.delete_ticket(bobs, by()).await.unwrap();
    let left = traces(&kit).await;
    assert!(left.is_empty(), "{} traces: {left:#?}", left.len());
    for raw in [id, copy] {
        assert!(kit.store.raw(raw).await.unwrap().1.is_none(), "its bytes can still be read");
    }
    let view = kit.store.contact(contact.into()).await.unwrap();
    assert_eq!((view.name.as_str(), view.identities.len()), ("erased", 0));
    let messages = kit.store.ticket_messages(ticket.uuid(), 0, 20).await.unwrap();
    assert!(messages.iter().all(|one| one.text.is_empty() && one.attachments.is_empty()));
    assert_eq!(kit.ticket(ticket).await.subject, "erased");
    // Nothing is sent any more, not even if somebody asks.
    let filter =
        tributary::store::OutboxFilter { ticket: Some(ticket), limit: 10, ..Default::default() };
    for row in kit.store.outbox(&filter).await.unwrap() {
        let outcome = kit.store.retry_delivery(row.id, agent(), later(11)).await;
        assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    }
    assert!(kit.store.due_deliveries(&channel.name, 10, later(60)).await.unwrap().is_empty());
    // The mail does not come back at the next poll.
    assert_eq!(kit.arrive(&channel, telling("1")).await.new, 0);
    let again = kit.store.erase_contact(contact.into(), by()).await;
    assert!(matches!(again, Err(StoreError::Refused(_))));
}

async fn what_others_wrote_stays(kit: Kit) {
    let channel = mail_channel("mail");
    let annas = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    let bobs = ticket_of(&kit.arrive(&channel, mail(BOB, "2")).await);
    kit.reply(bobs, "dear bob").await;
    let contact = kit.ticket(annas).await.contact.id;
    kit.store.erase_contact(contact.into(), by()).await.unwrap();
    let messages = kit.store.ticket_messages(bobs.uuid(), 0, 10).await.unwrap();
    assert_eq!(
        (messages[0].text.as_str(), messages[1].text.as_str()),
        ("the words of 2", "dear bob")
    );
    assert_eq!(kit.ticket(bobs).await.contact.identities[0].value, BOB);
    assert_eq!(kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap().len(), 1);
    let numbers: Vec<i64> = kit
        .store
        .ticket_events(annas.uuid(), 0, 10)
        .await
        .unwrap()
        .iter()
        .filter_map(|event| event.ticket_seq)
        .collect();
    assert_eq!(numbers, [1, 2], "the trail keeps its order");
}

async fn a_reply_in_the_air_is_waited_for(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket: TicketId = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    kit.reply(ticket, "hello").await;
    let fence = kit.store.take_lease(&channel.name).await.unwrap().unwrap();
    let due = kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap().remove(0);
    let id = due.delivery.outbound.delivery;
    kit.store.begin_delivery(&fence, id, None, start()).await.unwrap();
    let contact = kit.ticket(ticket).await.contact.id;
    let outcome = kit.store.erase_contact(contact.into(), by()).await;
    assert!(matches!(outcome, Err(StoreError::Refused(why)) if why.contains("being sent")));
    assert_eq!(kit.ticket(ticket).await.subject, "about 1", "half of it was erased");
    let sent = DeliveryState::Sent { remote_id: tributary::model::RemoteId::new("r") };
    kit.store.settle_delivery(&fence, id, sent.into(), later(1)).await.unwrap();
    kit.store.erase_contact(contact.into(), by()).await.unwrap();
}

async fn an_erased_person_who_writes_again_is_somebody_new(kit: Kit) {
    let channel = mail_channel("mail");
    let mut proven = mail(ANNA, "1");
    proven.sender.trust = Trust::Proven;
    let ticket = ticket_of(&kit.arrive(&channel, proven).await);
    let old = kit.ticket(ticket).await.contact.id;
    kit.store.erase_contact(old.into(), by()).await.unwrap();
    let next = kit.ticket(ticket_of(&kit.arrive(&channel, answer(ANNA, "2", &["1"])).await)).await;
    assert_ne!(next.contact.id, old);
    assert_ne!(next.id, ticket.uuid(), "nobody has a part in what was erased");
    assert_eq!(next.contact.identities[0].trust, "claimed");
    assert_eq!(Role::ALL.len(), 3);
}

async fn an_export_has_all_and_no_notes(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    kit.reply(ticket, "dear anna").await;
    let note = NewNote { ticket, text: "between us".to_owned(), html: None, uploads: Vec::new() };
    kit.store.add_note(note, by()).await.unwrap();
    ticket_of(&kit.arrive(&channel, mail(ANNA, "2")).await);
    ticket_of(&kit.arrive(&channel, mail(BOB, "3")).await);
    let contact = kit.ticket(ticket).await.contact.id;
    let export = kit.store.export_contact(contact.into(), later(1)).await.unwrap();
    let texts: Vec<&str> =
        export.tickets.iter().flat_map(|one| &one.messages).map(|one| one.text.as_str()).collect();
    assert_eq!(texts, ["the words of 1", "dear anna", "the words of 2"]);
    let json = serde_json::to_string(&export).unwrap();
    assert!(!json.contains("between us") && !json.contains(BOB));
}
