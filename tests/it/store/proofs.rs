//! A code that was sent to an address comes back: in the conversation that it was asked for, once, and in time.

use tributary::desk::proof::{DOTS, ProofCode};
use tributary::model::{
    Address, DeliveryState, Inbound, RemoteId, Scheme, Secret, Sender, ThreadKey, TicketId,
    Timestamp, Trust,
};
use tributary::store::{
    Answer, By, Ingested, NewProof, ProofLetter, ProofView, StoreError, TicketView,
};

use super::{
    ANNA, BOB, Kit, agent, channel_with, chat_channel, days, later, mail, mail_channel, name,
    on_both, policy, start, ticket_of,
};

on_both! {
    a_code_that_comes_back_joins_the_address_and_can_be_taken_apart_again
    an_address_that_nobody_knew_becomes_theirs_and_nobodys_again
    what_is_not_the_conversation_redeems_nothing
    a_sender_that_can_be_made_up_needs_both_halves
    wrong_codes_end_it
    a_code_is_good_once_and_for_half_an_hour_and_only_the_newest
    a_code_is_nowhere_to_be_read_and_goes_out_once
    nobody_is_sent_codes_for_ever
    what_was_sent_is_erased_with_whom_it_is_about
    a_merged_ticket_takes_its_code_along
    merged_tickets_keep_a_code_each_until_they_are_parted
    what_was_proven_of_a_contact_ends_where_it_is_parted
    who_has_no_name_takes_the_one_that_is_proven
    a_link_code_alone_in_a_message_says_who_they_are
}

/// A visitor of the web chat: nobody vouches for who they are, but nobody else writes as them.
fn visitor(id: &str, who: &str, text: &str) -> Inbound {
    let mut inbound = mail(ANNA, id);
    let scope = Some(name("web"));
    let address = Address { scheme: Scheme::Web, scope, value: who.to_owned() };
    let (name, also) = (Some(who.to_owned()), Vec::new());
    inbound.sender = Sender { address: Some(address), name, trust: Trust::Claimed, also };
    inbound.thread.key = Some(ThreadKey::new(who));
    inbound.recipients.clear();
    inbound.text = text.to_owned();
    inbound.text_full = text.to_owned();
    inbound
}

fn web() -> std::sync::Arc<tributary::store::IngestChannel> {
    channel_with("web", "web", policy())
}

fn by(now: Timestamp) -> By {
    By { actor: agent(), version: None, once: None, now }
}

/// A code for an address, as the engine would plan it.
async fn planned(kit: &Kit, ticket: TicketId, address: &str) -> NewProof {
    let asker = kit.store.proof_asker(ticket).await.unwrap();
    let letter = |channel: &str, text: String| ProofLetter {
        message: tributary::model::MessageId::new(),
        channel: name(channel),
        realm: tributary::model::Realm("email".to_owned()),
        parts: vec![text.clone()],
        text,
    };
    let both_sides = tributary::desk::proof::can_be_made_up(asker.address.scheme);
    let half = if both_sides { DOTS } else { "" };
    let asks = letter(asker.channel.as_str(), format!("we sent a code {half}"));
    NewProof {
        asker,
        address: Address::email(address),
        code: ProofCode::make(|below| rand::random_range(0..below)),
        both_sides,
        subject: "Your code".to_owned(),
        letter: letter("mail", format!("Code: {DOTS}")),
        asks,
    }
}

async fn asked(kit: &Kit, ticket: TicketId, address: &str, now: Timestamp) -> ProofCode {
    let new = planned(kit, ticket, address).await;
    let code = new.code.clone();
    let Answer::Fresh(view) = kit.store.ask_for_proof(new, by(now)).await.unwrap() else {
        panic!("without a key it is always fresh")
    };
    assert_eq!((view.state.as_str(), view.address.as_str()), ("sent", address));
    code
}

async fn state(kit: &Kit, ticket: TicketId, now: Timestamp) -> Vec<String> {
    let proofs: Vec<ProofView> = kit.store.proofs(ticket, now).await.unwrap();
    proofs.into_iter().map(|proof| proof.state).collect()
}

async fn ticket(kit: &Kit, ingested: &Ingested) -> TicketView {
    kit.ticket(ticket_of(ingested)).await
}

async fn addresses(kit: &Kit, id: TicketId) -> Vec<(String, String)> {
    let contact = kit.ticket(id).await.contact;
    let mut known: Vec<_> =
        contact.identities.into_iter().map(|one| (one.value, one.trust)).collect();
    known.sort();
    known
}

/// What was said to the customer by itself, oldest first.
async fn said(kit: &Kit, id: TicketId) -> Vec<String> {
    let messages = kit.store.ticket_messages(id.uuid(), 0, 50).await.unwrap();
    let ours = messages.into_iter().filter(|one| one.author.kind == "system");
    ours.map(|one| one.text).collect()
}

async fn a_code_that_comes_back_joins_the_address_and_can_be_taken_apart_again(kit: Kit) {
    let before = ticket(&kit, &kit.arrive(&mail_channel("mail"), mail(ANNA, "1")).await).await;
    let id = ticket_of(&kit.arrive(&web(), visitor("2", "v1", "my mail is anna@…")).await);
    let theirs = kit.ticket(id).await.contact.id;
    let code = asked(&kit, id, ANNA, start()).await;
    assert_eq!(state(&kit, id, start()).await, ["sent"]);
    let text = format!("here you are: {}", code.shown().reveal().to_lowercase());
    let brought = kit.arrive_at(&web(), visitor("3", "v1", &text), later(2)).await;
    assert_eq!(ticket_of(&brought), id);
    let proven = [(ANNA.to_owned(), "proven".to_owned()), ("v1".to_owned(), "claimed".to_owned())];
    assert_eq!(addresses(&kit, id).await, proven);
    assert_eq!(state(&kit, id, later(2)).await, ["proven"]);
    assert!(kit.ticket(id).await.tags.contains(&"address_proven".to_owned()));
    let thanks = said(&kit, id).await;
    assert_eq!(
        thanks,
        ["Thank you, the code is right: a…@customer.example is confirmed as yours."]
    );
    let trail = kit.store.ticket_events(id.uuid(), 0, 50).await.unwrap();
    let told: Vec<_> = trail.iter().filter(|event| event.kind.starts_with("contact.")).collect();
    let kinds: Vec<&str> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["contact.proof_sent", "contact.proven"]);
    assert_eq!(told[1].data["address"], ANNA);
    // All that was the address's is theirs now, and goes back whole.
    assert_eq!(kit.ticket(before.id.into()).await.contact.id, theirs);
    let back = kit.store.unmerge_contact(before.contact.id.into(), by(later(3))).await.unwrap();
    let Answer::Fresh(back) = back else { panic!("without a key it is always fresh") };
    let trust: Vec<&str> = back.identities.iter().map(|one| one.trust.as_str()).collect();
    assert_eq!(trust, ["claimed"], "as it was");
    assert_eq!(kit.ticket(before.id.into()).await.contact.id, before.contact.id);
    assert_eq!(addresses(&kit, id).await, [("v1".to_owned(), "claimed".to_owned())]);
}

async fn an_address_that_nobody_knew_becomes_theirs_and_nobodys_again(kit: Kit) {
    let id = ticket_of(&kit.arrive(&web(), visitor("1", "v1", "hello")).await);
    let code = asked(&kit, id, BOB, start()).await;
    kit.arrive_at(&web(), visitor("2", "v1", code.shown().reveal()), later(1)).await;
    assert_eq!(addresses(&kit, id).await[0], (BOB.to_owned(), "proven".to_owned()));
    // Who writes from there later is the same person.
    let theirs = kit.ticket(id).await.contact.id;
    let later_mail = kit.arrive_at(&mail_channel("mail"), mail(BOB, "3"), later(3)).await;
    assert_eq!(ticket(&kit, &later_mail).await.contact.id, theirs);
    let merged = kit.store.merged_contacts(theirs.into()).await.unwrap();
    assert_eq!(merged.len(), 1);
    kit.store.unmerge_contact(merged[0].id.into(), by(later(4))).await.unwrap();
    assert_eq!(addresses(&kit, id).await.len(), 1);
    let other = ticket(&kit, &later_mail).await.contact;
    assert_ne!(other.id, theirs);
    assert_eq!(other.identities[0].trust, "claimed", "nothing proves it any more");
}

async fn what_is_not_the_conversation_redeems_nothing(kit: Kit) {
    let id = ticket_of(&kit.arrive(&web(), visitor("1", "v1", "hello")).await);
    let code = asked(&kit, id, ANNA, start()).await;
    let text = code.shown().reveal().to_owned();
    // Another visitor, the same name on another channel, and the address itself, which answers the mail.
    let other = kit.arrive(&web(), visitor("2", "v2", &text)).await;
    let elsewhere =
        kit.arrive(&channel_with("app", "app", policy()), visitor("3", "v1", &text)).await;
    let mut answer = mail(ANNA, "4");
    answer.sender.trust = Trust::Proven;
    (answer.text, answer.text_full) = (text.clone(), text.clone());
    let by_mail = kit.arrive(&mail_channel("mail"), answer).await;
    // Words of a machine, and of whose checks failed.
    let mut machine = visitor("5", "v1", &text);
    machine.automated = Some("an auto-reply");
    let mut forged = visitor("6", "v1", &text);
    forged.sender.trust = Trust::Forged;
    kit.arrive(&web(), machine).await;
    kit.arrive(&web(), forged).await;
    for arrived in [&other, &elsewhere, &by_mail] {
        assert_ne!(ticket_of(arrived), id);
    }
    assert_eq!(addresses(&kit, id).await, [("v1".to_owned(), "claimed".to_owned())]);
    // None of it was a try.
    assert_eq!(kit.number("SELECT SUM(tries) FROM address_proof").await, 0);
    assert_eq!(said(&kit, id).await, <[&str; 0]>::default());
    kit.arrive(&web(), visitor("7", "v1", &text)).await;
    assert_eq!(addresses(&kit, id).await.len(), 2);
}

async fn a_sender_that_can_be_made_up_needs_both_halves(kit: Kit) {
    let channel = mail_channel("mail");
    let id = ticket_of(&kit.arrive(&channel, mail(BOB, "1")).await);
    let code = asked(&kit, id, ANNA, start()).await;
    let says = |number: &str, trust, text: &str| {
        let mut inbound = super::answer(BOB, number, &["1"]);
        inbound.sender.trust = trust;
        (inbound.text, inbound.text_full) = (text.to_owned(), text.to_owned());
        inbound
    };
    let whole = code.shown().reveal().to_owned();
    // What the address got is a half, and whoever made the sender up has no more than that.
    let guess = format!("BBBB-{}", code.second().reveal());
    for (number, trust, text) in [
        ("2", Trust::Forged, whole.as_str()),
        ("3", Trust::Claimed, code.second().reveal()),
        ("4", Trust::Claimed, guess.as_str()),
    ] {
        kit.arrive(&channel, says(number, trust, text)).await;
        assert_eq!(addresses(&kit, id).await.len(), 1, "{number}");
    }
    assert_eq!(kit.number("SELECT SUM(tries) FROM address_proof").await, 1);
    kit.arrive(&channel, says("5", Trust::Claimed, &whole)).await;
    assert_eq!(addresses(&kit, id).await.len(), 2);
}

async fn wrong_codes_end_it(kit: Kit) {
    let id = ticket_of(&kit.arrive(&web(), visitor("1", "v1", "hello")).await);
    let code = asked(&kit, id, ANNA, start()).await;
    kit.arrive(&web(), visitor("no code", "v1", "I look for it, HTTP-TLS and so on")).await;
    for number in 1..=5 {
        kit.arrive(&web(), visitor(&format!("w{number}"), "v1", "BBBB-BBBB")).await;
    }
    assert_eq!(state(&kit, id, start()).await, ["failed"]);
    kit.arrive(&web(), visitor("late", "v1", code.shown().reveal())).await;
    assert_eq!(addresses(&kit, id).await.len(), 1);
    let said = said(&kit, id).await;
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].starts_with("This code is not right. ") && said[4].contains("a new one"));
    // Many guesses in one message are many tries.
    let code = asked(&kit, id, ANNA, later(1)).await;
    let many = format!("CCCC-CCCC DDDD-DDDD FFFF-FFFF {}", code.shown().reveal());
    kit.arrive_at(&web(), visitor("many", "v1", &many), later(1)).await;
    assert_eq!(kit.number("SELECT SUM(tries) FROM address_proof WHERE state = 'open'").await, 3);
    assert_eq!(addresses(&kit, id).await.len(), 1);
}

async fn a_code_is_good_once_and_for_half_an_hour_and_only_the_newest(kit: Kit) {
    let id = ticket_of(&kit.arrive(&web(), visitor("1", "v1", "hello")).await);
    let first = asked(&kit, id, ANNA, start()).await;
    let second = asked(&kit, id, ANNA, later(1)).await;
    assert_eq!(state(&kit, id, later(1)).await, ["sent", "replaced"]);
    let writes = async |number: &str, code: &ProofCode, at| {
        kit.arrive_at(&web(), visitor(number, "v1", code.shown().reveal()), at).await;
        addresses(&kit, id).await.len()
    };
    assert_eq!(writes("2", &first, later(2)).await, 1);
    assert_eq!(writes("3", &second, later(32)).await, 1);
    assert_eq!(state(&kit, id, later(32)).await, ["expired", "replaced"]);
    assert_eq!(kit.store.end_old_proofs(later(32)).await.unwrap(), 1);
    assert_eq!(kit.store.end_old_proofs(later(32)).await.unwrap(), 0);
    let third = asked(&kit, id, ANNA, later(33)).await;
    assert_eq!(writes("4", &third, later(34)).await, 2);
    // Undone, and the code a second time: it was good once.
    let joined = kit.store.merged_contacts(kit.ticket(id).await.contact.id.into()).await.unwrap();
    kit.store.unmerge_contact(joined[0].id.into(), by(later(35))).await.unwrap();
    assert_eq!(writes("5", &third, later(36)).await, 1);
    assert_eq!(kit.store.forget_old_proofs(days(31)).await.unwrap(), 3);
}

/// Everything that is kept of words, anywhere.
async fn everything(kit: &Kit) -> String {
    let mut all = Vec::new();
    for sql in [
        "SELECT text FROM message",
        "SELECT outbound FROM delivery",
        "SELECT data FROM event",
        "SELECT hash FROM address_proof",
        "SELECT answer FROM idempotency",
    ] {
        all.extend(kit.texts(sql).await);
    }
    all.join("\n")
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn a_code_is_nowhere_to_be_read_and_goes_out_once(kit: Kit) {
    let id = ticket_of(&kit.arrive(&mail_channel("mail"), mail(BOB, "1")).await);
    let new = planned(&kit, id, ANNA).await;
    let code = new.code.clone();
    let once = tributary::store::Once {
        principal: "p".to_owned(),
        action: "a".to_owned(),
        key: "k".to_owned(),
        fingerprint: String::new(),
        status: 201,
    };
    let by_key = || By { once: Some(once.clone()), ..by(start()) };
    kit.store.ask_for_proof(new, by_key()).await.unwrap();
    let again = planned(&kit, id, ANNA).await;
    let again = kit.store.ask_for_proof(again, by_key()).await.unwrap();
    assert!(matches!(again, Answer::Replayed { status: 201, .. }));
    assert_eq!(kit.number("SELECT COUNT(*) FROM sealed_word").await, 2);
    let kept = everything(&kit).await;
    for word in [code.plain(), code.first().clone(), code.second().clone()] {
        assert!(!kept.contains(word.reveal()), "a code in clear");
    }
    // What goes out has it; each of the two its half.
    let fence = kit.store.take_lease(&name("mail")).await.unwrap().expect("our own");
    let mut texts = Vec::new();
    for _ in 0..2 {
        let due = kit.store.due_deliveries(&name("mail"), 1, start()).await.unwrap().remove(0);
        let delivery = kit.store.complete(due).await.unwrap();
        let outbound = delivery.outbound;
        texts.push((outbound.to.address.value.clone(), outbound.text.clone()));
        assert!(outbound.automated);
        let known = outbound.subject.unwrap();
        let leaks = outbound.to.address.value == ANNA && known.contains("about 1");
        assert!(!leaks, "a stranger is told what the ticket is about");
        let store = &kit.store;
        assert!(store.begin_delivery(&fence, outbound.delivery, None, start()).await.unwrap());
        let remote_id = RemoteId::new(outbound.delivery.to_string());
        let sent = DeliveryState::Sent { remote_id };
        store.settle_delivery(&fence, outbound.delivery, sent.into(), start()).await.unwrap();
    }
    let expected = [
        (ANNA.to_owned(), format!("Code: {}", code.second().reveal())),
        (BOB.to_owned(), format!("we sent a code {}", code.first().reveal())),
    ];
    texts.sort();
    assert_eq!(texts, expected);
    assert_eq!(kit.number("SELECT COUNT(*) FROM sealed_word").await, 0, "gone when it went out");
    // Who was sent it has no part in the ticket.
    let known = format!("SELECT COUNT(*) FROM participant WHERE value = '{ANNA}'");
    assert_eq!(kit.number(&known).await, 0);
    // One that did not go out in time never does.
    asked(&kit, id, ANNA, later(1)).await;
    kit.store.end_old_proofs(later(40)).await.unwrap();
    assert!(kit.store.due_deliveries(&name("mail"), 5, later(40)).await.unwrap().is_empty());
    assert_eq!(kit.number("SELECT COUNT(*) FROM sealed_word").await, 0);
    let filter = tributary::store::OutboxFilter {
        status: vec![tributary::model::DeliveryStatus::Cancelled],
        limit: 5,
        ..Default::default()
    };
    let stopped = kit.store.outbox(&filter).await.unwrap();
    assert_eq!(stopped.len(), 2);
    for row in stopped {
        let retried = kit.store.retry_delivery(row.id, agent(), later(41)).await;
        assert!(matches!(retried, Err(StoreError::Refused(_))), "{retried:?}");
    }
}

async fn nobody_is_sent_codes_for_ever(kit: Kit) {
    let id = ticket_of(&kit.arrive(&web(), visitor("1", "v1", "hello")).await);
    let refused = async |address: &str, now| {
        let new = planned(&kit, id, address).await;
        let outcome = kit.store.ask_for_proof(new, by(now)).await;
        match outcome {
            Ok(_) => None,
            Err(StoreError::Refused(why)) => Some(why),
            Err(other) => panic!("{other}"),
        }
    };
    for minute in 0..3 {
        assert_eq!(refused(ANNA, later(minute)).await, None);
    }
    assert!(refused(ANNA, later(3)).await.unwrap().contains("enough codes"));
    for minute in 4..7 {
        assert_eq!(refused(BOB, later(minute)).await, None);
    }
    let why = refused("carol@elsewhere.example", later(8)).await.unwrap();
    assert!(why.contains("for this customer"), "{why}");
    // Another customer may not either; and a month later it is too much for the address.
    let other = ticket_of(&kit.arrive(&web(), visitor("2", "v2", "hello")).await);
    let new = planned(&kit, other, ANNA).await;
    assert!(kit.store.ask_for_proof(new, by(later(9))).await.is_err());
    for (day, minute) in [(1, 10), (1, 11), (1, 12), (3, 0), (3, 1), (3, 2), (5, 0)] {
        let at = days(day) + chrono::Duration::minutes(minute);
        assert_eq!(refused(ANNA, at).await, None, "{day} {minute}");
    }
    assert!(refused(ANNA, days(7)).await.is_some());
    kit.execute("INSERT INTO suppression (scheme, value, reason, added_at) VALUES ('email', 'gone@customer.example', 'bounced', 0)").await;
    let why = refused("gone@customer.example", days(9)).await.unwrap();
    assert!(why.contains("unasked"), "{why}");
}

async fn what_was_sent_is_erased_with_whom_it_is_about(kit: Kit) {
    let opened = kit.arrive(&web(), visitor("1", "v1", "hello")).await;
    let id = ticket_of(&opened);
    asked(&kit, id, ANNA, start()).await;
    let contact = kit.ticket(id).await.contact.id;
    kit.store.erase_contact(contact.into(), by(later(1))).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM address_proof").await, 0);
    assert_eq!(kit.number("SELECT COUNT(*) FROM sealed_word").await, 0);
    assert!(!everything(&kit).await.contains(ANNA));
    // And with the one whose address it was.
    let owner = kit.arrive(&mail_channel("mail"), mail(ANNA, "2")).await;
    let id = ticket_of(&kit.arrive(&web(), visitor("3", "v2", "hello")).await);
    asked(&kit, id, ANNA, later(2)).await;
    let owner = ticket(&kit, &owner).await.contact.id;
    kit.store.erase_contact(owner.into(), by(later(3))).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM address_proof").await, 0);
    // Whoever is erased is not mailed dots.
    let due = kit.store.due_deliveries(&"mail".parse().unwrap(), 9, later(3)).await.unwrap();
    for due in due {
        assert!(kit.store.drop_wordless(&due, later(3)).await.unwrap());
    }
    let waits = "SELECT COUNT(*) FROM delivery WHERE channel = 'mail' AND state = 'queued'";
    assert_eq!(kit.number(waits).await, 0);
}

async fn a_merged_ticket_takes_its_code_along(kit: Kit) {
    let channel = mail_channel("mail");
    let into = ticket_of(&kit.arrive(&channel, mail(BOB, "1")).await);
    let id = ticket_of(&kit.arrive(&channel, mail(BOB, "2")).await);
    let code = asked(&kit, id, ANNA, start()).await;
    kit.store.merge_ticket(id, into, by(later(1))).await.unwrap();
    let mut answer = super::answer(BOB, "3", &["2"]);
    answer.text = code.shown().reveal().to_owned();
    assert_eq!(ticket_of(&kit.arrive_at(&channel, answer, later(2)).await), into);
    assert_eq!(addresses(&kit, into).await.len(), 2);
}

async fn merged_tickets_keep_a_code_each_until_they_are_parted(kit: Kit) {
    let channel = mail_channel("mail");
    let into = ticket_of(&kit.arrive(&channel, mail(BOB, "1")).await);
    let id = ticket_of(&kit.arrive(&channel, mail(BOB, "2")).await);
    let first = asked(&kit, id, ANNA, start()).await;
    let second = asked(&kit, into, "carol@customer.example", start()).await;
    kit.store.merge_ticket(id, into, by(later(1))).await.unwrap();
    assert_eq!(state(&kit, into, later(1)).await, ["sent", "sent"]);
    let brings = async |number: &str, text: String| {
        let mut answer = super::answer(BOB, number, &["1"]);
        answer.text = text;
        kit.arrive_at(&channel, answer, later(2)).await;
    };
    // A wrong one counts once, against the newest.
    brings("3", "BBBB-BBBB".to_owned()).await;
    let mut left: Vec<i32> =
        kit.store.proofs(into, later(2)).await.unwrap().iter().map(|one| one.tries_left).collect();
    left.sort_unstable();
    assert_eq!(left, [4, 5]);
    brings("4", first.shown().reveal().to_owned()).await;
    assert_eq!(addresses(&kit, into).await.len(), 2);
    kit.store.unmerge_ticket(id, by(later(3))).await.unwrap();
    assert_eq!(state(&kit, id, later(3)).await, ["proven"]);
    assert_eq!(state(&kit, into, later(3)).await, ["sent"]);
    brings("5", second.shown().reveal().to_owned()).await;
    assert_eq!(state(&kit, into, later(3)).await, ["proven"]);
}

async fn what_was_proven_of_a_contact_ends_where_it_is_parted(kit: Kit) {
    let channel = mail_channel("mail");
    let anna = ticket(&kit, &kit.arrive(&channel, mail(ANNA, "1")).await).await.contact.id;
    let bob = ticket(&kit, &kit.arrive(&channel, mail(BOB, "2")).await).await.contact.id;
    kit.store.merge_contact(anna.into(), bob.into(), by(later(1))).await.unwrap();
    let id = ticket_of(&kit.arrive(&web(), visitor("3", "v1", "hello")).await);
    let code = asked(&kit, id, ANNA, start()).await;
    kit.arrive_at(&web(), visitor("4", "v1", code.shown().reveal()), later(2)).await;
    let trust = async |value: &str| {
        kit.texts(&format!("SELECT trust FROM identity WHERE value = '{value}'")).await.remove(0)
    };
    assert_eq!((trust(ANNA).await.as_str(), trust(BOB).await.as_str()), ("proven", "claimed"));
    // Out of the middle of the chain.
    kit.store.unmerge_contact(anna.into(), by(later(3))).await.unwrap();
    assert_eq!(trust(ANNA).await, "claimed");
    // What is proven otherwise since is not taken back by parting the rest.
    kit.execute(&format!("UPDATE identity SET trust = 'proven' WHERE value = '{ANNA}'")).await;
    kit.store.unmerge_contact(bob.into(), by(later(4))).await.unwrap();
    assert_eq!((trust(ANNA).await.as_str(), trust(BOB).await.as_str()), ("proven", "claimed"));
}

async fn who_has_no_name_takes_the_one_that_is_proven(kit: Kit) {
    let channel = mail_channel("mail");
    let anna = ticket(&kit, &kit.arrive(&channel, mail(ANNA, "1")).await).await.contact;
    let nameless = |id: &str, text: &str| {
        let mut inbound = visitor(id, "a:bvwd77", text);
        inbound.sender.name = Some("Visitor BVWD".to_owned());
        inbound
    };
    let id = ticket_of(&kit.arrive(&web(), nameless("2", "hello")).await);
    let called = async || kit.ticket(id).await.contact.name;
    assert_eq!(called().await, "Visitor BVWD");
    let code = asked(&kit, id, ANNA, start()).await;
    kit.arrive_at(&web(), nameless("3", code.shown().reveal()), later(1)).await;
    assert_eq!(called().await, anna.name);
    let theirs = kit.ticket(id).await.contact.id;
    // And on to whoever they are joined with.
    let other = visitor("4", "a:cccc88", "hi");
    let other = Inbound {
        sender: Sender { name: Some("Visitor CCCC".to_owned()), ..other.sender },
        ..other
    };
    let other = ticket_of(&kit.arrive(&web(), other).await);
    let whole = kit.ticket(other).await.contact.id;
    kit.store.merge_contact(theirs.into(), whole.into(), by(later(2))).await.unwrap();
    assert_eq!(kit.ticket(other).await.contact.name, anna.name);
    kit.store.unmerge_contact(anna.id.into(), by(later(3))).await.unwrap();
    assert_eq!(kit.ticket(other).await.contact.name, "Visitor CCCC");
    kit.store.unmerge_contact(theirs.into(), by(later(4))).await.unwrap();
    assert_eq!(called().await, "Visitor BVWD");
    // Who says what they are called later is called so; nothing renames them after that.
    for (number, name) in [("5", "Ben"), ("6", "Visitor BVWD"), ("7", "Bernd")] {
        let mut says = nameless(number, "it is me");
        says.sender.name = Some(name.to_owned());
        kit.arrive_at(&web(), says, later(5)).await;
    }
    assert_eq!(called().await, "Ben");
}

async fn a_link_code_alone_in_a_message_says_who_they_are(kit: Kit) {
    let known = kit.arrive(&mail_channel("mail"), mail(BOB, "1")).await;
    let known = ticket(&kit, &known).await.contact.id;
    let channel = chat_channel("chat");
    let code = async || {
        let made = kit.store.make_link_code(known.into(), later(60), by(start())).await.unwrap();
        Secret::new(made.code)
    };
    let says = |number: &str, trust, text: &str| {
        let mut inbound = super::ingest::chat(number, number);
        inbound.sender.address = Some(Address::email(&format!("{number}@chat.example")));
        inbound.sender.trust = trust;
        (inbound.text, inbound.text_full) = (text.to_owned(), text.to_owned());
        inbound
    };
    let code = code().await;
    let within = format!("is it {}?", code.reveal());
    for (number, trust, text) in
        [("2", Trust::Claimed, code.reveal()), ("3", Trust::Proven, within.as_str())]
    {
        let arrived = kit.arrive(&channel, says(number, trust, text)).await;
        assert_ne!(ticket(&kit, &arrived).await.contact.id, known, "{number}");
    }
    let alone = format!(" {}\n", code.reveal());
    let arrived = kit.arrive(&channel, says("4", Trust::Proven, &alone)).await;
    assert_eq!(ticket(&kit, &arrived).await.contact.id, known);
}
