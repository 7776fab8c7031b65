//! Telling people who work here: each of them once, never of what they did themselves, together where it is much.

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary::desk::notify::{NotifyRule, NotifySettings, Told};
use tributary::model::{Actor, ActorKind, Occasion, Role, TicketId, UserId};
use tributary::store::{By, TicketPatch, Ways};

use super::{ANNA, BOB, Kit, later, mail, mail_channel, name, on_both, start, ticket_of};

on_both! {
    everybody_is_told_once_of_what_they_chose_however_many_nodes_look
    what_happened_before_anybody_looked_is_told_to_nobody
    mails_that_are_many_go_out_together_later
    what_is_in_a_bin_is_told_to_nobody
    what_people_were_told_is_erased_with_the_customer
}

const HERS: &str = "anna@desk.example";

fn settings() -> Arc<NotifySettings> {
    Arc::new(NotifySettings {
        base: "https://desk.example".to_owned(),
        mail: Some(name("mail")),
        digest_after: 2,
        digest_within: chrono::Duration::minutes(15),
        excerpt_chars: 9,
        rules: vec![NotifyRule {
            on: BTreeSet::from([Occasion::NewTicket]),
            queues: Vec::new(),
            channels: Vec::new(),
            priorities: Vec::new(),
            to: vec!["team@desk.example".to_owned(), HERS.to_owned()],
            telegram: None,
            webhook: None,
            language: "en".to_owned(),
        }],
    })
}

fn ways() -> Arc<Ways> {
    let realm = mail_channel("mail").realm.clone();
    Arc::new(Ways::from([(name("mail"), realm)]))
}

async fn look(kit: &Kit, minutes: i64) {
    let ways = ways();
    kit.store.notify(settings(), ways, later(minutes)).await.unwrap();
}

async fn person(kit: &Kit, wants: &[Occasion]) -> UserId {
    let (by, role) = (Actor::system(), Role::Agent);
    let made = kit.store.add_person(("Anna", HERS), role, None, &by, start()).await.unwrap();
    let told = Told { mail: wants.iter().copied().collect(), ..Told::default() };
    kit.store.keep_told(made.id.into(), &told).await.unwrap();
    assert_eq!(kit.store.told(made.id.into()).await.unwrap(), told);
    made.id.into()
}

/// To whom what was queued, in order.
async fn queued(kit: &Kit) -> Vec<String> {
    kit.texts("SELECT to_value FROM delivery WHERE event IS NOT NULL ORDER BY seq").await
}

async fn assign(kit: &Kit, ticket: TicketId, to: UserId, by: Actor) {
    let patch = TicketPatch { assignee: Some(Some(to.to_string())), ..TicketPatch::default() };
    let by = By { actor: by, version: None, once: None, now: start() };
    kit.store.change_ticket(ticket, patch, by).await.unwrap();
}

async fn everybody_is_told_once_of_what_they_chose_however_many_nodes_look(kit: Kit) {
    let anna = person(&kit, &[Occasion::NewTicket, Occasion::Assigned]).await;
    look(&kit, 0).await;
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await);
    let nodes = kit.two_nodes().await;
    let looks = (0..4).map(|number| {
        let store = if number % 2 == 0 { &nodes.0 } else { &nodes.1 };
        store.notify(settings(), ways(), later(1))
    });
    for looked in futures::future::join_all(looks).await {
        looked.unwrap();
    }
    // She chose it and stands in the rule: one mail.
    assert_eq!(queued(&kit).await, [HERS, "team@desk.example"]);
    let texts = kit.texts("SELECT outbound FROM delivery WHERE event IS NOT NULL").await;
    assert!(texts[0].contains("https://desk.example/console/#/ticket/1"), "{texts:?}");
    assert!(texts[0].contains("##-") && !texts[1].contains("##-"), "{texts:?}");

    let herself = Actor { kind: ActorKind::Agent, id: Some(anna.uuid()), name: "Anna".to_owned() };
    assign(&kit, ticket, anna, herself).await;
    look(&kit, 2).await;
    assert_eq!(queued(&kit).await.len(), 2, "she knows what she did");
}

async fn what_happened_before_anybody_looked_is_told_to_nobody(kit: Kit) {
    person(&kit, &[Occasion::NewTicket]).await;
    kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await;
    look(&kit, 0).await;
    assert!(queued(&kit).await.is_empty());
    kit.arrive(&mail_channel("mail"), mail(ANNA, "m2")).await;
    // Nobody looked for a day.
    look(&kit, 24 * 60).await;
    assert!(queued(&kit).await.is_empty());
    kit.arrive_at(&mail_channel("mail"), mail(BOB, "m3"), later(24 * 60)).await;
    look(&kit, 24 * 60).await;
    assert_eq!(queued(&kit).await.len(), 2);
}

async fn mails_that_are_many_go_out_together_later(kit: Kit) {
    person(&kit, &[]).await;
    look(&kit, 0).await;
    let channel = mail_channel("mail");
    for number in 0..5 {
        kit.arrive(&channel, mail(&format!("c{number}@customer.example"), &format!("m{number}")))
            .await;
    }
    look(&kit, 1).await;
    let hers = |all: Vec<String>| all.iter().filter(|to| *to == HERS).count();
    assert_eq!(hers(queued(&kit).await), 2);
    let flush = |minutes| kit.store.flush_digests(settings(), ways(), later(minutes));
    assert_eq!(flush(10).await.unwrap(), None, "not yet");
    assert_eq!(flush(17).await.unwrap(), Some(name("mail")));
    assert_eq!(flush(18).await.unwrap(), None, "once");
    assert_eq!(hers(queued(&kit).await), 3);
    let last =
        kit.texts("SELECT outbound FROM delivery WHERE event IS NOT NULL ORDER BY seq").await;
    let last = last.last().unwrap();
    for number in ["#3", "#4", "#5"] {
        assert!(last.contains(number), "{last}");
    }
    assert!(!last.contains("#2") && !last.contains("##-") && !last.contains("about"), "{last}");
}

async fn what_people_were_told_is_erased_with_the_customer(kit: Kit) {
    person(&kit, &[]).await;
    look(&kit, 0).await;
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await);
    kit.arrive(&mail_channel("mail"), mail(BOB, "m2")).await;
    look(&kit, 1).await;
    assert_eq!(queued(&kit).await.len(), 4);
    let contact = kit.ticket(ticket).await.contact.id;
    let by = By { actor: Actor::system(), version: None, once: None, now: later(2) };
    kit.store.erase_contact(contact.into(), by).await.unwrap();
    let left = kit.texts("SELECT outbound FROM delivery WHERE event IS NOT NULL").await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|row| row.contains("about m2")), "{left:?}");
}

async fn what_is_in_a_bin_is_told_to_nobody(kit: Kit) {
    person(&kit, &[Occasion::NewTicket]).await;
    look(&kit, 0).await;
    let mut spam = mail(ANNA, "m1");
    spam.flags.insert(tributary::model::Flag::Spam);
    kit.arrive(&mail_channel("mail"), spam).await;
    look(&kit, 1).await;
    assert!(queued(&kit).await.is_empty());
}
