//! Telling people who work here: each of them once, never of what they did themselves, together where it is much.

use std::collections::BTreeSet;
use std::sync::Arc;

use sea_orm::{ConnectionTrait as _, Statement};
use tributary::desk::notify::{NotifyRule, NotifySettings, Told};
use tributary::engine::{Clock, Engine, EngineSettings};
use tributary::model::{Actor, ActorKind, DeliveryId, Occasion, Role, TicketId, Token, UserId};
use tributary::store::{AnswerKind, By, ChannelNote, TicketPatch, Ways};
use uuid::Uuid;

use super::{
    ANNA, BOB, Kit, answer, days, later, mail, mail_channel, name, on_both, start, ticket_of,
};

on_both! {
    everybody_is_told_once_of_what_they_chose_however_many_nodes_look
    what_happened_before_anybody_looked_is_told_to_nobody
    mails_that_are_many_go_out_together_later
    what_is_in_a_bin_is_told_to_nobody
    what_people_were_told_is_erased_with_the_customer
    what_waits_is_erased_with_the_customer_and_a_mail_about_many_goes_out
    what_a_customer_writes_is_told_to_whoever_has_the_ticket
    a_channel_in_trouble_is_told_of_without_a_ticket
    a_webhook_whose_lane_does_not_run_yet_finds_its_row
    a_notification_is_kept_as_long_as_it_can_be_answered
    an_answer_that_went_out_becomes_no_note_as_well
    an_answer_to_a_ticket_that_was_merged_is_a_note_of_the_other_one
    an_answer_that_cannot_be_kept_holds_up_no_other
}

const HERS: &str = "anna@desk.example";

fn settings() -> Arc<NotifySettings> {
    Arc::new(usual())
}

fn usual() -> NotifySettings {
    NotifySettings {
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
    }
}

/// The rule tells by a webhook too.
fn posting() -> Arc<NotifySettings> {
    let mut settings = usual();
    settings.rules[0].webhook = Some(name("webhook_pager"));
    Arc::new(settings)
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
    person_at(kit, HERS, wants).await
}

async fn person_at(kit: &Kit, email: &str, wants: &[Occasion]) -> UserId {
    let (by, role) = (Actor::system(), Role::Agent);
    let name = email.split('@').next().unwrap();
    let made = kit.store.add_person((name, email), role, None, &by, start()).await.unwrap();
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
    erase(&kit, ticket, 2).await;
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

async fn erase(kit: &Kit, ticket: TicketId, minutes: i64) {
    let contact = kit.ticket(ticket).await.contact.id;
    let by = By { actor: Actor::system(), version: None, once: None, now: later(minutes) };
    kit.store.erase_contact(contact.into(), by).await.unwrap();
}

async fn what_waits_is_erased_with_the_customer_and_a_mail_about_many_goes_out(kit: Kit) {
    person(&kit, &[]).await;
    look(&kit, 0).await;
    let mut tickets = Vec::new();
    for number in 0..5 {
        let inbound = mail(&format!("c{number}@customer.example"), &format!("m{number}"));
        tickets.push(ticket_of(&kit.arrive(&mail_channel("mail"), inbound).await));
    }
    look(&kit, 1).await;
    let lines = || kit.number("SELECT count(*) FROM digest");
    assert_eq!((queued(&kit).await.len(), lines().await), (4, 6));
    erase(&kit, tickets[4], 2).await;
    assert_eq!((queued(&kit).await.len(), lines().await), (4, 4), "the last one's wait no more");
    kit.store.flush_digests(settings(), ways(), later(17)).await.unwrap();
    assert_eq!((queued(&kit).await.len(), lines().await), (6, 0));
    // It is the last that the mails tell of.
    erase(&kit, tickets[3], 18).await;
    let left =
        kit.texts("SELECT outbound FROM delivery WHERE event IS NOT NULL ORDER BY seq").await;
    assert_eq!(left.len(), 6, "they tell of another too, and hold no word of a customer");
    for mail in &left[4..] {
        assert!(mail.contains("#3") && mail.contains("#4") && !mail.contains("#5"), "{mail}");
    }
    erase(&kit, tickets[0], 19).await;
    assert_eq!(queued(&kit).await.len(), 4, "a mail about one ticket goes with it");
}

async fn what_a_customer_writes_is_told_to_whoever_has_the_ticket(kit: Kit) {
    const HIS: &str = "bob@desk.example";
    person(&kit, &[Occasion::CustomerWrote]).await;
    let bob = person_at(&kit, HIS, &[Occasion::CustomerWrote]).await;
    look(&kit, 0).await;
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    look(&kit, 1).await;
    assert_eq!(
        queued(&kit).await,
        [HERS, "team@desk.example"],
        "the message that opens it is told with it"
    );
    let again = kit.arrive(&channel, answer(ANNA, "m2", &["m1"])).await;
    assert_eq!(ticket_of(&again), ticket);
    look(&kit, 2).await;
    assert_eq!(queued(&kit).await[2..], [HERS, HIS], "nobody has it");
    let told =
        kit.texts("SELECT outbound FROM delivery WHERE event IS NOT NULL ORDER BY seq").await;
    assert!(told[0].contains("New ticket: #1 about m1") && !told[0].contains("the words"));
    for mail in &told[2..] {
        assert!(mail.contains("The customer wrote: #1 about m1"), "{mail}");
        assert!(mail.contains("the words…") && !mail.contains("of m2"), "nine characters: {mail}");
    }
    assign(&kit, ticket, bob, Actor::system()).await;
    kit.arrive(&channel, answer(ANNA, "m3", &["m1"])).await;
    look(&kit, 3).await;
    assert_eq!(queued(&kit).await[4..], [HIS]);
}

async fn a_channel_in_trouble_is_told_of_without_a_ticket(kit: Kit) {
    person(&kit, &[Occasion::ChannelTroubled]).await;
    look(&kit, 0).await;
    let note = |state: &str| ChannelNote { state: state.to_owned(), ..ChannelNote::default() };
    for state in ["running", "needs_human", "needs_human", "running"] {
        kit.store.note_channel(&name("sms"), note(state), start()).await.unwrap();
    }
    look(&kit, 1).await;
    assert_eq!(queued(&kit).await, [HERS], "the rule is of other things");
    let told = kit.texts("SELECT outbound FROM delivery WHERE event IS NOT NULL").await;
    let words = ["The channel sms needs you", "https://desk.example/console/#/channels"];
    assert!(words.iter().all(|words| told[0].contains(words)), "{told:?}");
    assert!(!told[0].contains("##-"), "there is no ticket to answer: {told:?}");
}

const POSTED: &str =
    "SELECT channel FROM delivery WHERE event IS NOT NULL AND to_value NOT LIKE '%@%'";

async fn a_webhook_whose_lane_does_not_run_yet_finds_its_row(kit: Kit) {
    look(&kit, 0).await;
    kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await;
    // A daemon that has just begun looks before it starts the lanes.
    let looked = kit.store.notify(posting(), ways(), later(1)).await.unwrap();
    assert!(looked.channels.contains(&name("webhook_pager")), "{looked:?}");
    kit.store.notify(posting(), ways(), later(2)).await.unwrap();
    assert_eq!(kit.texts(POSTED).await, ["webhook_pager"]);
}

async fn a_notification_is_kept_as_long_as_it_can_be_answered(kit: Kit) {
    look(&kit, 0).await;
    kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await;
    kit.store.notify(posting(), ways(), later(1)).await.unwrap();
    let forget = async |after| kit.store.forget_old_webhooks(days(after)).await.unwrap();
    assert_eq!(forget(100).await, 0, "what has not gone out waits");
    kit.execute("UPDATE delivery SET state = 'sent'").await;
    assert_eq!((forget(6).await, forget(8).await), (0, 1));
    assert!(kit.texts(POSTED).await.is_empty());
    assert_eq!((forget(89).await, forget(91).await), (0, 2));
}

/// The names of what was queued for people.
async fn notifications(kit: &Kit) -> Vec<DeliveryId> {
    let db = kit.db().await;
    let sql = "SELECT id FROM delivery WHERE event IS NOT NULL ORDER BY seq";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    db.close().await.unwrap();
    rows.unwrap().iter().map(|row| row.try_get_by_index::<Uuid>(0).unwrap().into()).collect()
}

/// Anna answers the first notification.
async fn anna_answers(kit: &Kit, text: &str) {
    let mut hers = mail(HERS, text);
    (hers.text, hers.text_full) = (text.to_owned(), text.to_owned());
    hers.thread.tokens = vec![Token::Delivery(notifications(kit).await[0])];
    kit.arrive(&mail_channel("mail"), hers).await;
}

async fn an_answer_that_went_out_becomes_no_note_as_well(kit: Kit) {
    person(&kit, &[]).await;
    look(&kit, 0).await;
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await);
    look(&kit, 1).await;
    anna_answers(&kit, "We look").await;
    let waiting = kit.store.agent_answers().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].kind), (1, AnswerKind::Reply));
    let mut plan = kit.plan(ticket, "We look").await;
    plan.message = waiting[0].message;
    kit.store.queue_reply(plan, later(2)).await.unwrap();
    // Killed here; and by the next look the channel can send no more.
    let note = || kit.store.note_answer(&waiting[0], "[not sent]".to_owned(), later(3));
    note().await.unwrap();
    assert!(kit.store.agent_answers().await.unwrap().is_empty());
    note().await.unwrap();
    let kinds = kit.texts("SELECT direction FROM message ORDER BY direction").await;
    assert_eq!(kinds, ["in", "out"]);
}

async fn an_answer_to_a_ticket_that_was_merged_is_a_note_of_the_other_one(kit: Kit) {
    person(&kit, &[]).await;
    look(&kit, 0).await;
    let channel = mail_channel("mail");
    let gone = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    let other = ticket_of(&kit.arrive(&channel, mail(ANNA, "m2")).await);
    look(&kit, 1).await;
    anna_answers(&kit, "#note Ask Bob").await;
    let by = By { actor: Actor::system(), version: None, once: None, now: later(2) };
    kit.store.merge_ticket(gone, other, by).await.unwrap();
    let engine =
        Engine::idle(kit.store.clone(), Vec::new(), EngineSettings::usual(), Clock::system());
    engine.tend_agent_answers().await.unwrap();
    assert!(kit.store.agent_answers().await.unwrap().is_empty());
    let notes = "SELECT m.text FROM message m JOIN ticket t ON t.id = m.ticket \
                 WHERE m.kind = 'note' AND t.merged_into IS NULL";
    assert_eq!(kit.texts(notes).await, ["Ask Bob"]);
    engine.stop().await;
}

async fn an_answer_that_cannot_be_kept_holds_up_no_other(kit: Kit) {
    person(&kit, &[]).await;
    person_at(&kit, "bob@desk.example", &[]).await;
    look(&kit, 0).await;
    kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await;
    look(&kit, 1).await;
    anna_answers(&kit, "#note @bob, what is this?").await;
    anna_answers(&kit, "#note A note").await;
    // Whom a note names cannot be kept.
    kit.execute("ALTER TABLE mention RENAME TO away").await;
    let engine =
        Engine::idle(kit.store.clone(), Vec::new(), EngineSettings::usual(), Clock::system());
    engine.tend_agent_answers().await.unwrap();
    let notes = "SELECT text FROM message WHERE kind = 'note' ORDER BY seq";
    assert_eq!(kit.texts(notes).await, ["A note"]);
    kit.execute("ALTER TABLE away RENAME TO mention").await;
    engine.tend_agent_answers().await.unwrap();
    assert_eq!(kit.texts(notes).await, ["A note", "@bob, what is this?"]);
    engine.stop().await;
}
