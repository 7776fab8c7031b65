//! Events and the end of their row are one transaction; one bad row stops nobody; identities.

use std::sync::Arc;

use tributary::model::{
    Address, ContactId, Event, Flag, Form, Meaning, Media, MediaSource, RemoteId, Trust,
};
use tributary::store::{By, ContactPatch, Ending, Ingest, IngestChannel, StoreError};

use super::{
    ANNA, BOB, DESK, Kit, agent, answer, chat_channel, later, mail, mail_channel, message, name,
    on_both, party, start, ticket_of,
};

on_both! {
    a_message_becomes_a_ticket_with_all_that_it_says
    events_and_ending_are_one_transaction
    a_row_that_ended_is_not_applied_again
    a_poison_row_goes_to_the_quarantine_and_its_neighbours_do_not
    two_nodes_open_one_ticket_for_one_conversation
    a_batch_sees_what_came_before_in_it
    an_unreadable_raw_opens_one_notice_for_its_channel
    hostile_texts_and_ids_are_stored_on_both_databases
    a_forged_sender_joins_no_contact
    one_address_is_one_contact_and_a_proof_is_kept
    contacts_are_joined_by_people_only
    a_joined_contact_is_parted_again
    tags_go_along_and_come_back
    a_tag_that_two_lent_stays_until_both_are_parted
    edits_and_deletions_reach_their_message
    a_blocked_sender_is_kept_as_spam
    what_is_ignored_keeps_its_reason
}

async fn a_message_becomes_a_ticket_with_all_that_it_says(kit: Kit) {
    let channel = mail_channel("mail");
    let mut inbound = mail(ANNA, "m1");
    inbound.media = vec![Media {
        name: "photo.png".to_owned(),
        mime: "image/png".to_owned(),
        inline: false,
        content_id: None,
        source: MediaSource::Inline(vec![7_u8; 100_000].into()),
    }];
    inbound.flags.insert(Flag::List);
    let ingested = kit.arrive(&channel, inbound).await;
    assert_eq!((ingested.ending.clone(), ingested.new), (Some(Ending::Applied), 1));
    let ticket = kit.ticket(ticket_of(&ingested)).await;
    assert_eq!(
        (ticket.number, ticket.subject.as_str(), ticket.status.as_str()),
        (1, "about m1", "open")
    );
    assert_eq!((ticket.tags, ticket.message_count), (vec!["new".to_owned()], 1));
    assert_eq!(ticket.contact.identities[0].value, ANNA);
    let messages = kit.store.ticket_messages(ticket.id, 0, 10).await.unwrap();
    let one = &messages[0];
    assert_eq!((one.direction.as_str(), one.external_id.as_deref()), ("in", Some("m1")));
    assert_eq!((one.text.as_str(), one.text_full.contains("quoted")), ("the words of m1", true));
    assert_eq!(one.flags, ["list"]);
    assert!(!one.why.is_empty(), "nobody can tell why it is here");
    let file = kit.store.attachment(one.attachments[0].id).await.unwrap();
    assert_eq!(file.bytes.unwrap(), vec![7; 100_000]);
    let placed = kit.store.placed(ingested.id).await.unwrap();
    assert_eq!((placed[0].ticket, placed[0].message), (ticket.id, Some(one.id)));
    let events = kit.store.ticket_events(ticket.id, 0, 10).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["ticket.created", "message.created"]);
}

async fn events_and_ending_are_one_transaction(kit: Kit) {
    let channel = mail_channel("mail");
    let id = kit.append(&channel.name, "bytes").await;
    let ingest = || {
        let meaning = Ok(message(mail(ANNA, "m1")));
        let one = Ingest { id, received_at: start(), channel: channel.clone(), meaning };
        kit.store.ingest(vec![one], start())
    };
    // The very last thing that is written fails.
    kit.execute("ALTER TABLE event RENAME TO event_gone").await;
    ingest().await.unwrap_err();
    for table in ["ticket", "message", "contact", "identity", "seen", "participant", "ticket_tag"] {
        assert_eq!(kit.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(kit.store.raw(id).await.unwrap().0.state, "pending");
    kit.execute("ALTER TABLE event_gone RENAME TO event").await;
    assert_eq!(ingest().await.unwrap()[0].new, 1);
    let ticket = kit.number("SELECT number FROM ticket").await;
    assert_eq!(ticket, 1, "a number was lost by what was rolled back");
}

async fn a_row_that_ended_is_not_applied_again(kit: Kit) {
    let channel = mail_channel("mail");
    let id = kit.append(&channel.name, "bytes").await;
    let apply = |meaning| {
        let one = Ingest { id, received_at: start(), channel: channel.clone(), meaning };
        vec![one]
    };
    let other = kit.another().await;
    let edit = Meaning::Events(vec![Event::Message(Box::new(mail(ANNA, "m1")))]);
    let (one, two) = tokio::join!(
        kit.store.ingest(apply(Ok(edit.clone())), start()),
        other.ingest(apply(Ok(edit)), start())
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.len() + two.len(), 1, "two nodes applied one row");
    // Not by a later version that thinks otherwise, either.
    let again = kit.store.ingest(apply(Err("cannot read it".to_owned())), later(1)).await.unwrap();
    assert!(again.is_empty());
    assert_eq!(kit.store.raw(id).await.unwrap().0.state, "applied");
    assert_eq!(kit.number("SELECT count(*) FROM message").await, 1);
}

async fn a_poison_row_goes_to_the_quarantine_and_its_neighbours_do_not(kit: Kit) {
    let (channel, store) = (mail_channel("mail"), &kit.store);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(kit.append(&channel.name, "bytes").await);
    }
    for attempt in 1..=3 {
        let given_up =
            store.ingest_failed(ids[1], "no such table", 3, later(attempt)).await.unwrap();
        assert_eq!(given_up, attempt == 3);
        if !given_up {
            // It waits a moment, and the others do not.
            let now: Vec<_> = store.pending(10, 1000, later(attempt)).await.unwrap();
            assert_eq!(now.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
            let then = store.pending(10, 1000, later(attempt + 1)).await.unwrap();
            assert_eq!((then.len(), then[1].attempts), (3, i32::try_from(attempt).unwrap()));
        }
    }
    let listed = store.quarantine(None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].reason.as_deref()), (1, Some("no such table")));
    let events = store.events_after(0, 100).await.unwrap();
    let told: Vec<_> = events.iter().filter(|event| event.kind == "quarantine.added").collect();
    assert_eq!((told.len(), &told[0].data["reason"]), (1, &"no such table".into()));
    // One that was applied meanwhile stays so.
    kit.apply_to(ids[0], &channel, Ok(message(mail(ANNA, "m1"))), start()).await;
    assert!(!store.ingest_failed(ids[0], "late", 1, start()).await.unwrap());
    assert_eq!(store.raw(ids[0]).await.unwrap().0.state, "applied");
}

/// A message of a chat.
pub(super) fn chat(id: &str, thread: &str) -> tributary::model::Inbound {
    let mut inbound = mail(ANNA, id);
    inbound.thread.key = Some(tributary::model::ThreadKey::new(thread));
    inbound
}

async fn two_nodes_open_one_ticket_for_one_conversation(kit: Kit) {
    let (channel, other) = (chat_channel("chat"), kit.another().await);
    for round in 0..15 {
        let ingest = |store: &tributary::store::Store, id: String| {
            let (store, channel) = (store.clone(), channel.clone());
            let inbound = chat(&id, &format!("chat {round}"));
            async move {
                let raw = super::raw(&id, "bytes");
                let appended =
                    store.append_pushed(&channel.name, vec![raw], start()).await.unwrap();
                let meaning = Ok(message(inbound));
                let one = Ingest { id: appended.ids[0], received_at: start(), channel, meaning };
                ticket_of(&store.ingest(vec![one], start()).await.unwrap()[0])
            }
        };
        let (one, two) = tokio::join!(
            ingest(&kit.store, format!("{round} one")),
            ingest(&other, format!("{round} two"))
        );
        assert_eq!(one, two, "round {round}: one conversation, two tickets");
        assert_eq!(kit.ticket(one).await.message_count, 2);
    }
    assert_eq!(kit.number("SELECT count(*) FROM contact").await, 1, "and one person");
}

async fn a_batch_sees_what_came_before_in_it(kit: Kit) {
    let (channel, second) = (mail_channel("mail"), mail_channel("sales"));
    let mut batch = Vec::new();
    let mut add = async |channel: &Arc<IngestChannel>, inbound| {
        let id = kit.append(&channel.name, "bytes").await;
        let (channel, meaning) = (channel.clone(), Ok(message(inbound)));
        batch.push(Ingest { id, received_at: start(), channel, meaning });
    };
    add(&channel, mail(ANNA, "1")).await;
    add(&channel, answer(ANNA, "2", &["1"])).await;
    add(&channel, mail(ANNA, "1")).await;
    add(&second, mail(ANNA, "1")).await;
    add(&channel, answer(ANNA, "3", &["2", "1"])).await;
    let ingested = kit.store.ingest(batch, start()).await.unwrap();
    let new: Vec<usize> = ingested.iter().map(|one| one.new).collect();
    assert_eq!(new, [1, 1, 0, 0, 1]);
    let ticket = ticket_of(&ingested[0]);
    assert!(ingested.iter().all(|one| ticket_of(one) == ticket));
    assert_eq!(kit.ticket(ticket).await.message_count, 3);
    let placed = kit.store.placed(ingested[2].id).await.unwrap();
    assert_eq!((placed[0].ticket, placed[0].message), (ticket.uuid(), None));
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    let numbers: Vec<i64> = trail.iter().filter_map(|event| event.ticket_seq).collect();
    assert_eq!(numbers, (1..=5).collect::<Vec<i64>>());
    let again = trail.iter().filter(|event| event.kind == "message.arrived_again").count();
    assert_eq!(again, 1, "it arrived on one other channel");
}

async fn an_unreadable_raw_opens_one_notice_for_its_channel(kit: Kit) {
    let (mail, sales) = (mail_channel("mail"), mail_channel("sales"));
    let mut tickets = Vec::new();
    for channel in [&mail, &mail, &sales] {
        let ingested = kit.apply(channel, Err("broken MIME".to_owned()), start()).await;
        assert!(matches!(ingested.ending, Some(Ending::Failed(_))));
        tickets.push(ticket_of(&ingested));
    }
    assert_eq!(tickets[0], tickets[1]);
    assert_ne!(tickets[0], tickets[2]);
    let messages = kit.store.ticket_messages(tickets[0].uuid(), 0, 10).await.unwrap();
    assert_eq!((messages.len(), messages[0].kind.as_str()), (2, "system"));
    assert_eq!(messages[0].flags, ["unreadable"]);
    let events = kit.store.events_after(0, 100).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == "quarantine.added").count(), 3);
}

async fn hostile_texts_and_ids_are_stored_on_both_databases(kit: Kit) {
    let channel = mail_channel("mail");
    let noise: String =
        (0..5000_u32).map(|n| char::from(b'!' + u8::try_from(n * 7919 % 90).unwrap())).collect();
    let mut inbound = mail(&format!("{noise}@x.example"), &noise);
    inbound.sender.name = Some("N\0UL".to_owned());
    inbound.subject = Some("sub\0ject \u{202e}".to_owned());
    inbound.text = "te\0xt".to_owned();
    inbound.html = Some("<p>\0</p>".to_owned());
    inbound.digest = "di\0gest".to_owned();
    inbound.recipients.push(party(&format!("\0{noise}")));
    inbound.reply_to = Some(party("a\0b@x.example"));
    inbound.thread.key = Some(tributary::model::ThreadKey::new(format!("\0{noise}")));
    inbound.thread.parents = (0..3000).map(|n| RemoteId::new(format!("{n}\0{noise}"))).collect();
    inbound.media = vec![Media {
        name: "na\0me".to_owned(),
        mime: "a/\0b".to_owned(),
        inline: true,
        content_id: Some("\0".to_owned()),
        source: MediaSource::Inline(bytes::Bytes::new()),
    }];
    let first = kit.arrive(&channel, inbound.clone()).await;
    assert_eq!(first.new, 1);
    let view = kit.ticket(ticket_of(&first)).await;
    assert_eq!(view.subject, "subject \u{202e}");
    // The same again is the same again, and an answer to it finds it.
    assert_eq!(kit.arrive(&channel, inbound).await.new, 0);
    let mut answer = answer(BOB, "m2", &[&noise]);
    answer.sender.address = Some(Address::email(&format!("{noise}@x.example")));
    assert_eq!(ticket_of(&kit.arrive(&channel, answer).await), ticket_of(&first));
}

async fn a_forged_sender_joins_no_contact(kit: Kit) {
    let channel = mail_channel("mail");
    let mut proven = mail(ANNA, "1");
    proven.sender.trust = Trust::Proven;
    let hers = ticket_of(&kit.arrive(&channel, proven).await);
    let mut forged = answer(ANNA, "2", &["1"]);
    forged.sender.trust = Trust::Forged;
    let theirs = ticket_of(&kit.arrive(&channel, forged).await);
    let (hers, theirs) = (kit.ticket(hers).await, kit.ticket(theirs).await);
    assert_ne!(hers.id, theirs.id);
    assert_ne!(hers.contact.id, theirs.contact.id);
    assert_eq!(theirs.linked_to, Some(hers.id));
    assert_eq!(theirs.contact.identities[0].trust, "forged");
    assert_eq!(hers.contact.identities[0].trust, "proven");
    let message = &kit.store.ticket_messages(theirs.id, 0, 10).await.unwrap()[0];
    assert!(message.flags.contains(&"claims_ticket".to_owned()));
    // All forgers of one address share one contact, so that a flood of them is one line.
    let mut another = mail(ANNA, "3");
    another.sender.trust = Trust::Forged;
    let again = kit.ticket(ticket_of(&kit.arrive(&channel, another).await)).await;
    assert_eq!(again.contact.id, theirs.contact.id);
    // She herself goes on where she was.
    let next = ticket_of(&kit.arrive(&channel, answer(ANNA, "4", &["1"])).await);
    assert_eq!(next.uuid(), hers.id);
}

async fn one_address_is_one_contact_and_a_proof_is_kept(kit: Kit) {
    let channel = mail_channel("mail");
    let first = kit.ticket(ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await)).await;
    assert_eq!(first.contact.identities[0].trust, "claimed");
    let mut proven = mail(ANNA, "2");
    proven.sender.trust = Trust::Proven;
    proven.sender.name = Some("Another Name".to_owned());
    let second = kit.ticket(ticket_of(&kit.arrive(&channel, proven).await)).await;
    assert_ne!(first.id, second.id);
    assert_eq!(second.contact.id, first.contact.id);
    assert_eq!(second.contact.name, "anna", "a name from outside replaces none");
    assert_eq!(second.contact.identities[0].trust, "proven");
    // A mail without a sender is nobody's, and everybody's own.
    let nobody = |id| {
        let mut inbound = mail(ANNA, id);
        inbound.sender.address = None;
        inbound.sender.name = None;
        inbound
    };
    let one = kit.ticket(ticket_of(&kit.arrive(&channel, nobody("3")).await)).await;
    let two = kit.ticket(ticket_of(&kit.arrive(&channel, nobody("4")).await)).await;
    assert_ne!(one.contact.id, two.contact.id);
    assert_eq!(one.contact.name, "unknown sender");
    // The same id on a channel that scopes its people is another person.
    let scoped = |channel: &str| {
        let mut inbound = mail("x@x.example", &format!("scoped {channel}"));
        inbound.sender.address = Some(Address {
            scheme: tributary::model::Scheme::Meta,
            scope: Some(name(channel)),
            value: "4711".to_owned(),
        });
        inbound
    };
    let a =
        kit.ticket(ticket_of(&kit.arrive(&chat_channel("page_a"), scoped("page_a")).await)).await;
    let b =
        kit.ticket(ticket_of(&kit.arrive(&chat_channel("page_b"), scoped("page_b")).await)).await;
    assert_ne!(a.contact.id, b.contact.id);
}

/// COMPLAINTS C1, C5: nothing that comes in joins two people, only an agent does, and not in a circle.
async fn contacts_are_joined_by_people_only(kit: Kit) {
    let channel = mail_channel("mail");
    let a = kit.ticket(ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await)).await;
    let b = kit.ticket(ticket_of(&kit.arrive(&channel, mail(BOB, "2")).await)).await;
    let by = || By { actor: agent(), version: None, once: None, now: start() };
    let (from, into) = (b.contact.id.into(), a.contact.id.into());
    kit.store.merge_contact(from, into, by()).await.unwrap();
    let joined = kit.store.contact(into).await.unwrap();
    // COMPLAINTS C2: the one that was named as the target is the one that stays, with its name.
    assert_eq!((joined.id, joined.name.as_str()), (a.contact.id, "anna"));
    assert_eq!(joined.identities.len(), 2);
    let next = kit.ticket(ticket_of(&kit.arrive(&channel, mail(BOB, "3")).await)).await;
    assert_eq!(next.contact.id, a.contact.id);
    assert_eq!(kit.ticket(b.id.into()).await.contact.id, a.contact.id);
    for (from, into) in [(from, into), (into, into), (into, from)] {
        let outcome = kit.store.merge_contact(from, into, by()).await;
        assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    }
}

/// COMPLAINTS C1: a contact that was joined by mistake is itself again, with what it wrote since.
async fn a_joined_contact_is_parted_again(kit: Kit) {
    let channel = mail_channel("mail");
    let a = kit.ticket(ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await)).await;
    let b = kit.ticket(ticket_of(&kit.arrive(&channel, mail(BOB, "2")).await)).await;
    let by = || By { actor: agent(), version: None, once: None, now: start() };
    let (bob, anna): (ContactId, ContactId) = (b.contact.id.into(), a.contact.id.into());
    kit.store.merge_contact(bob, anna, by()).await.unwrap();
    let since = ticket_of(&kit.arrive_at(&channel, mail(BOB, "3"), later(1)).await);
    let hers = ticket_of(&kit.arrive_at(&channel, mail(ANNA, "4"), later(1)).await);
    assert_eq!(kit.ticket(since).await.contact.id, a.contact.id);
    let told = kit.store.merged_contacts(anna).await.unwrap();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((told.id, told.tickets), (bob.uuid(), 1));
    assert_eq!(told.addresses, [BOB]);
    kit.store.unmerge_contact(bob, by()).await.unwrap();
    for (ticket, contact) in [(b.id.into(), bob), (since, bob), (a.id.into(), anna), (hers, anna)] {
        assert_eq!(kit.ticket(ticket).await.contact.id, contact.uuid());
    }
    let back = kit.store.contact(bob).await.unwrap();
    let values: Vec<_> = back.identities.iter().map(|one| one.value.as_str()).collect();
    assert_eq!((values, back.merged_into), (vec![BOB], None));
    assert_eq!(kit.store.contact(anna).await.unwrap().identities.len(), 1);
    let next = kit.ticket(ticket_of(&kit.arrive(&channel, mail(BOB, "5")).await)).await;
    assert_eq!(next.contact.id, bob.uuid());
    let outcome = kit.store.unmerge_contact(bob, by()).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
}

/// COMPLAINTS C1: tags, too, go along with a contact and come back with it, over contacts that were joined since.
async fn tags_go_along_and_come_back(kit: Kit) {
    let channel = mail_channel("mail");
    let by = || By { actor: agent(), version: None, once: None, now: start() };
    let mut people = Vec::new();
    for (number, tags) in
        [["vip", "old"], ["old", "wallet"], ["press", "old"]].into_iter().enumerate()
    {
        let from = format!("p{number}@customer.example");
        let ticket = ticket_of(&kit.arrive(&channel, mail(&from, &from)).await);
        let id: ContactId = kit.ticket(ticket).await.contact.id.into();
        let tags = Some(tags.map(str::to_owned).to_vec());
        let patch = ContactPatch { tags, ..ContactPatch::default() };
        kit.store.change_contact(id, patch, by()).await.unwrap();
        people.push(id);
    }
    let tags = async |id: ContactId| {
        let tags = kit.store.contact(id).await.unwrap().tags;
        tags.into_iter().collect::<Vec<_>>().join(" ")
    };
    let [a, b, c] = people[..] else { panic!("three people") };
    kit.store.merge_contact(a, b, by()).await.unwrap();
    assert_eq!(tags(b).await, "old vip wallet");
    kit.store.merge_contact(b, c, by()).await.unwrap();
    assert_eq!(tags(c).await, "old press vip wallet");
    kit.store.unmerge_contact(a, by()).await.unwrap();
    assert_eq!((tags(a).await, tags(c).await), ("old vip".into(), "old press wallet".into()));
    kit.store.unmerge_contact(b, by()).await.unwrap();
    assert_eq!((tags(b).await, tags(c).await), ("old wallet".into(), "old press".into()));
}

/// Somebody of their own with these tags.
async fn tagged(kit: &Kit, who: &str, tags: &[&str]) -> ContactId {
    let from = format!("{who}@customer.example");
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail(&from, &from)).await);
    let id: ContactId = kit.ticket(ticket).await.contact.id.into();
    let tags = Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
    let by = By { actor: agent(), version: None, once: None, now: start() };
    let patch = ContactPatch { tags, ..ContactPatch::default() };
    kit.store.change_contact(id, patch, by).await.unwrap();
    id
}

/// COMPLAINTS C1: the second one lent nothing when it was joined, for the tag was there.
async fn a_tag_that_two_lent_stays_until_both_are_parted(kit: Kit) {
    let by = || By { actor: agent(), version: None, once: None, now: start() };
    let tags = async |id: ContactId| {
        let tags = kit.store.contact(id).await.unwrap().tags;
        tags.into_iter().collect::<Vec<_>>().join(" ")
    };
    let (a, b) = (tagged(&kit, "a", &["vip"]).await, tagged(&kit, "b", &["own"]).await);
    let (c, d) = (tagged(&kit, "c", &[]).await, tagged(&kit, "d", &["vip"]).await);
    kit.store.merge_contact(a, b, by()).await.unwrap();
    kit.store.merge_contact(d, b, by()).await.unwrap();
    kit.store.merge_contact(b, c, by()).await.unwrap();
    assert_eq!(tags(c).await, "own vip");
    kit.store.unmerge_contact(a, by()).await.unwrap();
    assert_eq!((tags(a).await, tags(b).await), ("vip".into(), "own vip".into()));
    assert_eq!(tags(c).await, "own vip", "whoever is joined with it has it still");
    kit.store.unmerge_contact(d, by()).await.unwrap();
    assert_eq!((tags(d).await, tags(b).await), ("vip".into(), "own".into()));
    assert_eq!(tags(c).await, "own", "nobody is left who had it");
}

async fn edits_and_deletions_reach_their_message(kit: Kit) {
    let channel = chat_channel("chat");
    let ticket = ticket_of(&kit.arrive(&channel, chat("1", "a")).await);
    let edit = |text: &str| {
        let target = RemoteId::new("1");
        Ok(Meaning::Events(vec![Event::Edit { target, text: text.to_owned() }]))
    };
    kit.apply(&channel, edit("other words"), later(1)).await;
    let message = kit.store.ticket_messages(ticket.uuid(), 0, 10).await.unwrap().remove(0);
    assert_eq!((message.text.as_str(), message.edited_at), ("other words", Some(later(1))));
    let delete = Event::Delete { target: RemoteId::new("1") };
    kit.apply(&channel, Ok(Meaning::Events(vec![delete])), later(2)).await;
    let message = kit.store.ticket_messages(ticket.uuid(), 0, 10).await.unwrap().remove(0);
    assert_eq!((message.text.as_str(), message.deleted_at), ("", Some(later(2))));
    let trail = kit.store.ticket_events(ticket.uuid(), 2, 10).await.unwrap();
    let kinds: Vec<&str> = trail.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["message.edited", "message.deleted"]);
    // One that comes before its message waits for it, and not for ever.
    let early = |target: &str| {
        let target = RemoteId::new(target);
        Ok(Meaning::Events(vec![Event::Edit { target, text: "edited".to_owned() }]))
    };
    let id = kit.append(&channel.name, "bytes").await;
    assert_eq!(kit.apply_to(id, &channel, early("2"), later(0)).await.ending, None);
    assert!(kit.store.pending(10, 1000, start()).await.unwrap().is_empty(), "it waits a moment");
    kit.arrive(&channel, chat("2", "a")).await;
    let done = kit.apply_to(id, &channel, early("2"), later(1)).await;
    assert_eq!(done.ending, Some(Ending::Applied));
    let never = kit.apply(&channel, early("3"), later(11)).await;
    assert!(matches!(never.ending, Some(Ending::Ignored(_))), "{never:?}");
}

async fn a_blocked_sender_is_kept_as_spam(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket =
        kit.ticket(ticket_of(&kit.arrive(&channel, mail("x@spam.example", "1")).await)).await;
    assert_eq!(ticket.status, "spam");
    let kept =
        kit.ticket(ticket_of(&kit.arrive(&channel, mail("x@notspam.example", "2")).await)).await;
    assert_eq!(kept.status, "open");
    let mut flagged = mail(ANNA, "3");
    flagged.flags.insert(Flag::Spam);
    assert_eq!(kit.ticket(ticket_of(&kit.arrive(&channel, flagged).await)).await.status, "spam");
    // A conversation that is spam stays one ticket, within a batch and over several.
    let chat_channel = chat_channel("chat");
    let spam = |id: &str| {
        let mut inbound = chat(id, "c");
        inbound.sender.address = Some(Address::email("x@spam.example"));
        inbound.form = Form::Message;
        inbound
    };
    let mut batch = Vec::new();
    for id in ["4", "5"] {
        let row = kit.append(&chat_channel.name, "bytes").await;
        let (channel, meaning) = (chat_channel.clone(), Ok(message(spam(id))));
        batch.push(Ingest { id: row, received_at: start(), channel, meaning });
    }
    let ingested = kit.store.ingest(batch, start()).await.unwrap();
    let third = kit.arrive(&chat_channel, spam("6")).await;
    assert_eq!(ticket_of(&ingested[0]), ticket_of(&ingested[1]));
    assert_eq!(ticket_of(&ingested[0]), ticket_of(&third));
}

async fn what_is_ignored_keeps_its_reason(kit: Kit) {
    let channel = mail_channel("mail");
    let id = kit.append(&channel.name, "bytes").await;
    kit.apply_to(id, &channel, Ok(Meaning::Ignore("typing")), start()).await;
    let (row, raw) = kit.store.raw(id).await.unwrap();
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("ignored", Some("typing")));
    assert_eq!(raw.unwrap().body, "bytes");
    assert_eq!(kit.number("SELECT count(*) FROM ticket").await, 0);
    assert_ne!(DESK, ANNA);
}
