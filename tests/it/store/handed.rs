//! COMPLAINTS C4 (zm#1596, zm#1351, fs#1177): an agent hands on a customer's mail and does not become the customer.

use tributary::model::{Address, Forward, Inbound, Party, RemoteId, Role, TicketId, Trust};
use tributary::store::{Answer, By, CustomerView, NewCustomer, StoreError};

use super::{
    ANNA, BOB, Kit, acknowledging, agent, answer, channel_with, later, mail, mail_channel, on_both,
    start, ticket_of,
};

on_both! {
    what_an_agent_hands_on_waits_for_a_person_and_answers_nobody
    a_confirmed_customer_is_answered_and_everything_goes_back
    what_others_hand_on_is_theirs
    any_ticket_can_be_given_to_another_customer_and_back
    what_was_handed_on_is_erased
    what_the_message_says_by_now_is_left_as_it_is
    a_secret_that_is_found_later_is_in_nothing_that_was_kept
    merges_and_splits_take_along_how_it_was
    who_is_not_the_customer_is_no_longer_suggested
}

const LENA: &str = "lena@desk.example";

fn by(minutes: i64) -> By {
    By { actor: agent(), version: None, once: None, now: later(minutes) }
}

/// Somebody who works here.
async fn hire(kit: &Kit) {
    kit.store.add_person(("Lena", LENA), Role::Agent, None, &agent(), start()).await.unwrap();
}

/// A mail of Anna's that somebody hands on.
fn forward(from: &str, id: &str) -> Inbound {
    let mut inbound = mail(from, id);
    inbound.text_full = format!("please help her\n\nFrom: {ANNA}\n\nI lost it");
    inbound.text.clone_from(&inbound.text_full);
    inbound.html = Some("<p>please help her</p>".to_owned());
    inbound.wishes.forward = Some(Box::new(Forward {
        from: Party { address: Address::email(ANNA), name: Some("Anna Berger".to_owned()) },
        sent_at: Some(start() - chrono::Duration::hours(3)),
        subject: Some("Lost".to_owned()),
        text: "I lost it".to_owned(),
        above: "please help her".to_owned(),
        remote_id: Some(RemoteId::new("inner@customer.example")),
    }));
    inbound
}

async fn customer(kit: &Kit, id: TicketId) -> CustomerView {
    kit.store.customer(id).await.unwrap()
}

fn named(address: &str) -> NewCustomer {
    NewCustomer { customer: Some(Party { address: Address::email(address), name: None }) }
}

async fn what_an_agent_hands_on_waits_for_a_person_and_answers_nobody(kit: Kit) {
    hire(&kit).await;
    let channel = channel_with("mail", "email", acknowledging());
    let arrived = kit.arrive(&channel, forward(LENA, "1")).await;
    let id = ticket_of(&arrived);
    assert_eq!(kit.number("SELECT COUNT(*) FROM delivery").await, 0, "nobody is answered");
    let suggested = customer(&kit, id).await.suggested.expect("a suggestion");
    assert_eq!((suggested.by_name.as_str(), suggested.address.as_str()), ("Lena", ANNA));
    assert_eq!(suggested.name.as_deref(), Some("Anna Berger"));
    let trail = kit.store.ticket_events(id.uuid(), 0, 20).await.unwrap();
    let told = trail.iter().find(|event| event.kind == "ticket.handed_on").expect("it is told");
    assert_eq!((&told.data["address"], told.actor.name.as_str()), (&ANNA.into(), "lena"));
    // Until somebody says so, she is nobody: what she writes herself is hers.
    let known = format!("SELECT COUNT(*) FROM identity WHERE value = '{ANNA}'");
    assert_eq!(kit.number(&known).await, 0);
    // An agent who writes without handing anything on is a customer like others.
    let plain = kit.arrive(&channel, mail(LENA, "2")).await;
    assert!(customer(&kit, ticket_of(&plain)).await.suggested.is_none());
    assert_eq!(kit.number("SELECT COUNT(*) FROM delivery").await, 1);
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn a_confirmed_customer_is_answered_and_everything_goes_back(kit: Kit) {
    hire(&kit).await;
    let channel = mail_channel("mail");
    let before = kit.arrive(&channel, mail(ANNA, "earlier")).await;
    let theirs = kit.ticket(ticket_of(&before)).await.contact.id;
    let id = ticket_of(&kit.arrive(&channel, forward(LENA, "1")).await);
    let lena = kit.ticket(id).await.contact.id;
    let whole = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap();
    kit.store.set_customer(id, NewCustomer { customer: None }, by(1)).await.unwrap();
    let ticket = kit.ticket(id).await;
    assert_eq!(ticket.contact.id, theirs, "whom we know by this address");
    let messages = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap();
    let [said, note] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((said.text.as_str(), said.direction.as_str()), ("I lost it", "in"));
    assert_eq!(said.author.address.as_deref(), Some(ANNA));
    assert_eq!((said.author.name.as_str(), said.html.as_deref()), ("Anna Berger", None));
    assert_eq!((note.text.as_str(), note.kind.as_str()), ("please help her", "note"));
    assert_eq!(note.author.name, "Lena");
    // Her mail may as well be made up: it proves nothing.
    assert_eq!(ticket.contact.identities[0].trust, "claimed");
    let facts = kit.store.reply_facts(id).await.unwrap();
    let (_, _, routing) = facts.answers.clone().unwrap();
    assert_eq!(routing.answer_to().unwrap().address, Address::email(ANNA));
    assert!(routing.recipients.is_empty() && routing.references.is_empty());
    assert_eq!(routing.remote_id.unwrap().0, "inner@customer.example");
    // What she answers belongs here.
    kit.reply(id, "we look into it").await;
    let hers = kit.arrive_at(&channel, answer(ANNA, "3", &["1"]), later(2)).await;
    assert_eq!(ticket_of(&hers), id);
    let state = customer(&kit, id).await;
    assert!(state.suggested.is_none());
    assert_eq!(state.before.unwrap().id, lena);
    let again = kit.store.set_customer(id, named(ANNA), by(3)).await;
    assert!(matches!(again, Err(StoreError::Refused(_))), "{again:?}");

    kit.store.restore_customer(id, by(4)).await.unwrap();
    assert_eq!(kit.ticket(id).await.contact.id, lena);
    let back = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap();
    assert_eq!(format!("{:?}", back[0]), format!("{:?}", whole[0]), "as it came");
    assert!(back[1].deleted_at.is_some() && back[1].text.is_empty());
    assert!(customer(&kit, id).await.suggested.is_some());
    let nothing = kit.store.restore_customer(id, by(5)).await;
    assert!(matches!(nothing, Err(StoreError::Refused(_))), "{nothing:?}");
    let trail = kit.store.ticket_events(id.uuid(), 0, 50).await.unwrap();
    let kinds: Vec<_> = trail.iter().map(|event| event.kind.as_str()).collect();
    assert!(kinds.contains(&"ticket.customer_changed"), "{kinds:?}");
    assert!(kinds.contains(&"ticket.customer_restored"), "{kinds:?}");
}

async fn what_others_hand_on_is_theirs(kit: Kit) {
    hire(&kit).await;
    let channel = channel_with("mail", "email", acknowledging());
    let mut forged = forward(LENA, "2");
    forged.sender.trust = Trust::Forged;
    let mut machine = forward(LENA, "3");
    machine.automated = Some("a list");
    for (inbound, answered) in [(forward(BOB, "1"), 1), (forged, 1), (machine, 1)] {
        let id = ticket_of(&kit.arrive(&channel, inbound).await);
        assert!(customer(&kit, id).await.suggested.is_none());
        assert_eq!(kit.number("SELECT COUNT(*) FROM delivery").await, answered);
    }
    // Nobody who works here any more.
    kit.store.disable_person(LENA, &agent(), later(1)).await.unwrap();
    let id = ticket_of(&kit.arrive(&channel, forward(LENA, "4")).await);
    assert!(customer(&kit, id).await.suggested.is_none());
}

async fn any_ticket_can_be_given_to_another_customer_and_back(kit: Kit) {
    let channel = mail_channel("mail");
    let id = ticket_of(&kit.arrive(&channel, mail(BOB, "1")).await);
    let bob = kit.ticket(id).await;
    let none = kit.store.set_customer(id, NewCustomer { customer: None }, by(1)).await;
    assert!(matches!(none, Err(StoreError::Refused(_))), "nobody is suggested");
    let stale = By { version: Some(bob.version + 1), ..by(1) };
    let stale = kit.store.set_customer(id, named(ANNA), stale).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })));
    kit.store.set_customer(id, named(ANNA), by(1)).await.unwrap();
    kit.store.set_customer(id, named("carol@customer.example"), by(2)).await.unwrap();
    let to = async || {
        let facts = kit.store.reply_facts(id).await.unwrap();
        facts.answers.unwrap().2.answer_to().unwrap().address.value
    };
    assert_eq!(to().await, "carol@customer.example");
    kit.store.restore_customer(id, by(3)).await.unwrap();
    assert_eq!(to().await, ANNA);
    kit.store.restore_customer(id, by(4)).await.unwrap();
    assert_eq!(to().await, BOB);
    let back = kit.ticket(id).await;
    assert_eq!(back.contact.id, bob.contact.id);
    // Who was let in by it is out again; who was there before stays.
    let inside = kit.texts("SELECT value FROM participant ORDER BY value").await;
    assert_eq!(inside, [BOB]);
}

async fn what_the_message_says_by_now_is_left_as_it_is(kit: Kit) {
    let id = ticket_of(&kit.arrive(&mail_channel("mail"), mail(BOB, "1")).await);
    kit.store.set_customer(id, named(ANNA), by(1)).await.unwrap();
    let kept = kit.texts("SELECT before FROM customer_change").await;
    let said = kit.store.ticket_messages(id.uuid(), 0, 1).await.unwrap().remove(0).text;
    assert!(!said.is_empty() && !kept[0].contains(&said), "{kept:?}");
    kit.execute("UPDATE message SET text = 'something else'").await;
    kit.store.restore_customer(id, by(2)).await.unwrap();
    let back = kit.store.ticket_messages(id.uuid(), 0, 1).await.unwrap().remove(0);
    assert_eq!((back.text.as_str(), back.author.address.as_deref()), ("something else", Some(BOB)));
}

async fn a_secret_that_is_found_later_is_in_nothing_that_was_kept(kit: Kit) {
    hire(&kit).await;
    let channel = mail_channel("mail");
    let mut first = forward(LENA, "1");
    let half = "legal winner thank year wave sausage";
    first.text_full = format!("please help her\n\nFrom: {ANNA}\n\n{half}");
    first.text.clone_from(&first.text_full);
    first.wishes.forward.as_mut().unwrap().text = half.to_owned();
    let id = ticket_of(&kit.arrive(&channel, first).await);
    kit.store.set_customer(id, NewCustomer { customer: None }, by(1)).await.unwrap();
    let kept = async || {
        let mut all = kit.texts("SELECT before FROM customer_change").await;
        all.extend(kit.texts("SELECT said FROM handed_on").await);
        all.join("\n")
    };
    assert!(kept().await.contains("sausage"), "nothing is found in a half");
    let mut second = answer(ANNA, "2", &["1"]);
    second.text = "worth useful legal winner thank yellow".to_owned();
    second.text_full.clone_from(&second.text);
    kit.arrive_at(&channel, second, later(2)).await;
    let said = kit.store.ticket_messages(id.uuid(), 0, 1).await.unwrap().remove(0);
    assert!(!said.text.contains("sausage"), "{}", said.text);
    assert!(!kept().await.contains("sausage"), "{}", kept().await);
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn merges_and_splits_take_along_how_it_was(kit: Kit) {
    hire(&kit).await;
    let channel = mail_channel("mail");
    let into = ticket_of(&kit.arrive(&channel, mail(BOB, "0")).await);
    let bob = kit.ticket(into).await.contact.id;
    let id = ticket_of(&kit.arrive(&channel, forward(LENA, "1")).await);
    let whole = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap();
    let as_it_came = async |id: TicketId| {
        let back = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap();
        let said = back.into_iter().find(|one| one.id == whole[0].id).expect("the message");
        (said.text == whole[0].text, said.author.address)
    };
    // Said while it was merged, undone after it is parted.
    kit.store.merge_ticket(id, into, by(1)).await.unwrap();
    kit.store.set_customer(into, NewCustomer { customer: None }, by(2)).await.unwrap();
    assert_ne!(kit.ticket(into).await.contact.id, bob);
    kit.store.unmerge_ticket(id, by(3)).await.unwrap();
    kit.store.restore_customer(into, by(4)).await.unwrap();
    assert_eq!(kit.ticket(into).await.contact.id, bob);
    assert_eq!(as_it_came(id).await, (true, Some(LENA.to_owned())));
    assert!(customer(&kit, id).await.suggested.is_some());
    let inside = format!("SELECT value FROM participant WHERE value = '{ANNA}'");
    assert_eq!(kit.texts(&inside).await, Vec::<String>::new());
    // What was kept at the ticket that is merged is forgotten with the message.
    kit.store.set_customer(id, NewCustomer { customer: None }, by(6)).await.unwrap();
    let hers = kit.ticket(id).await.contact.id;
    kit.store.merge_ticket(id, into, by(7)).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM customer_change").await, 1);
    kit.store.erase_contact(hers.into(), by(8)).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM customer_change").await, 0);
    // What a split took along is its customer's there, and can be undone there.
    let id = ticket_of(&kit.arrive(&channel, mail(LENA, "2")).await);
    let lena = kit.ticket(id).await.contact.id;
    let mut second = forward(LENA, "3");
    second.thread = answer(LENA, "3", &["2"]).thread;
    let arrived = kit.arrive(&channel, second).await;
    let (at, message) = arrived.messages[0];
    assert_eq!(at, id);
    kit.store.set_customer(id, NewCustomer { customer: None }, by(9)).await.unwrap();
    let Answer::Fresh(parts) = kit.store.split_ticket(id, message.uuid(), by(10)).await.unwrap()
    else {
        panic!("without a key it is always fresh")
    };
    let new = TicketId::from(parts.into.id);
    let hers = kit.ticket(new).await.contact.id;
    kit.store.restore_customer(id, by(11)).await.unwrap();
    assert_eq!((kit.ticket(id).await.contact.id, kit.ticket(new).await.contact.id), (lena, hers));
    kit.store.restore_customer(new, by(12)).await.unwrap();
    assert_eq!(kit.ticket(new).await.contact.id, lena);
    let back = kit.store.ticket_messages(new.uuid(), 0, 1).await.unwrap().remove(0);
    assert_eq!(back.author.address.as_deref(), Some(LENA));
}

async fn who_is_not_the_customer_is_no_longer_suggested(kit: Kit) {
    hire(&kit).await;
    let id = ticket_of(&kit.arrive(&mail_channel("mail"), forward(LENA, "1")).await);
    let before = kit.ticket(id).await;
    kit.store.dismiss_customer(id, by(1)).await.unwrap();
    let state = customer(&kit, id).await;
    assert!(state.suggested.is_none() && state.before.is_none());
    let after = kit.ticket(id).await;
    assert_eq!((after.contact.id, after.version), (before.contact.id, before.version + 1));
    let again = kit.store.dismiss_customer(id, by(2)).await;
    assert!(matches!(again, Err(StoreError::Refused(_))), "{again:?}");
    let trail = kit.store.ticket_events(id.uuid(), 0, 50).await.unwrap();
    let told = trail.iter().find(|event| event.kind == "ticket.customer_dismissed").unwrap();
    assert_eq!(told.data["address"], ANNA);
    // They can be made the customer all the same.
    kit.store.set_customer(id, named(ANNA), by(3)).await.unwrap();
}

async fn what_was_handed_on_is_erased(kit: Kit) {
    hire(&kit).await;
    let id = ticket_of(&kit.arrive(&mail_channel("mail"), forward(LENA, "1")).await);
    kit.store.set_customer(id, NewCustomer { customer: None }, by(1)).await.unwrap();
    let contact = kit.ticket(id).await.contact.id;
    kit.store.erase_contact(contact.into(), by(2)).await.unwrap();
    // Or with whoever had the ticket before.
    let id = ticket_of(&kit.arrive(&mail_channel("mail"), forward(LENA, "2")).await);
    let before = kit.ticket(id).await.contact.id;
    kit.store.set_customer(id, NewCustomer { customer: None }, by(3)).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM customer_change").await, 1);
    kit.store.erase_contact(before.into(), by(4)).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM customer_change").await, 0);
    kit.store.erase_contact(kit.ticket(id).await.contact.id.into(), by(5)).await.unwrap();
    for table in ["handed_on", "customer_change"] {
        assert_eq!(kit.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
}
