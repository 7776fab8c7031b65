//! What each person at the desk keeps: views, what they have read, drafts, notes that name them. And lists that stay
//! quick.

use std::time::{Duration, Instant};

use tributary::model::{Actor, ActorKind, Priority, Role, TicketStatus, UserId};
use tributary::store::{By, Draft, NewNote, StoreError, TicketFilter, TicketKey, Turn};
use uuid::Uuid;

use super::board::any;
use super::{ANNA, Kit, agent, answer, days, later, mail, mail_channel, on_both, start, ticket_of};

on_both! {
    views_are_of_one_person_and_one_name_each
    a_ticket_is_unread_until_it_is_seen_and_again_when_the_customer_writes
    whose_turn_it_is_is_found_by_who_wrote_last
    a_draft_is_kept_for_its_person_replaced_and_forgotten
    who_is_named_in_a_note_is_told_until_they_look
    lists_and_counts_stay_quick_with_a_hundred_thousand_tickets
}

const LENA: u128 = 1;
const BO: u128 = 2;

fn person(number: u128) -> UserId {
    Uuid::from_u128(number).into()
}

async fn views_are_of_one_person_and_one_name_each(kit: Kit) {
    let store = &kit.store;
    let fees = store.save_view(person(LENA), "Fees", "tag=fees").await.unwrap();
    store.save_view(person(LENA), "钱包", "tag=wallet").await.unwrap();
    store.save_view(person(BO), "Fees", "tag=other").await.unwrap();
    let again = store.save_view(person(LENA), "Fees", "tag=fees&status=open").await.unwrap();
    assert_eq!(again.id, fees.id);
    let mine = store.saved_views(person(LENA)).await.unwrap();
    let shown: Vec<_> = mine.iter().map(|view| (view.name.as_str(), view.query.as_str())).collect();
    assert_eq!(shown, [("Fees", "tag=fees&status=open"), ("钱包", "tag=wallet")]);
    let others = store.forget_view(person(BO), fees.id).await;
    assert!(matches!(others, Err(StoreError::NotFound(_))), "{others:?}");
    store.forget_view(person(LENA), fees.id).await.unwrap();
    assert_eq!(store.saved_views(person(LENA)).await.unwrap().len(), 1);
    for number in 1..50 {
        store.save_view(person(LENA), &format!("view {number}"), "").await.unwrap();
    }
    let full = store.save_view(person(LENA), "one more", "").await;
    assert!(matches!(full, Err(StoreError::Refused(_))), "{full:?}");
}

async fn a_ticket_is_unread_until_it_is_seen_and_again_when_the_customer_writes(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    let unread = async |who: u128| {
        let filter = TicketFilter { limit: 10, ..any() };
        let mut found = kit.store.tickets(&filter).await.unwrap();
        assert_eq!(found[0].unread, None, "nobody in particular asks");
        kit.store.mark_unread(person(who), &mut found).await.unwrap();
        found[0].unread.unwrap()
    };
    assert!(unread(LENA).await);
    kit.store.person_reads(person(LENA), ticket).await.unwrap();
    kit.store.person_reads(person(LENA), ticket).await.unwrap();
    assert_eq!((unread(LENA).await, unread(BO).await), (false, true));
    kit.reply(ticket, "our answer").await;
    assert!(!unread(LENA).await, "what we wrote is not new to us");
    let mut second = answer(ANNA, "m2", &["m1"]);
    second.occurred_at = later(90);
    assert_eq!(ticket_of(&kit.arrive_at(&channel, second, later(90)).await), ticket);
    assert!(unread(LENA).await);
}

async fn whose_turn_it_is_is_found_by_who_wrote_last(kit: Kit) {
    let channel = mail_channel("mail");
    let asked = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    let answered = ticket_of(&kit.arrive(&channel, mail("bob@elsewhere.example", "m2")).await);
    let plan = kit.plan(answered, "our answer").await;
    kit.store.queue_reply(plan, later(5)).await.unwrap();
    let waiting = async |turn| {
        let filter = TicketFilter { waiting: Some(turn), limit: 10, ..any() };
        let found = kit.store.tickets(&filter).await.unwrap();
        found.into_iter().map(|ticket| ticket.id).collect::<Vec<_>>()
    };
    assert_eq!(waiting(Turn::Us).await, [asked.uuid()]);
    assert_eq!(waiting(Turn::Customer).await, [answered.uuid()]);
}

fn draft(text: &str) -> Draft {
    Draft { kind: "reply".to_owned(), text: text.to_owned(), version: Some(3), updated_at: start() }
}

async fn a_draft_is_kept_for_its_person_replaced_and_forgotten(kit: Kit) {
    let store = &kit.store;
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    store.keep_draft(person(LENA), ticket, draft("half an answer")).await.unwrap();
    store.keep_draft(person(LENA), ticket, draft("half an answer, 请稍等")).await.unwrap();
    assert_eq!(store.draft(person(BO), ticket).await.unwrap(), None);
    let kept = store.draft(person(LENA), ticket).await.unwrap();
    assert_eq!(kept, Some(draft("half an answer, 请稍等")));
    assert_eq!(store.forget_old_drafts(days(29)).await.unwrap(), 0);
    // Whoever writes is seen by the others, for as long as they go on.
    assert_eq!(store.drafting(ticket, start()).await.unwrap(), [person(LENA).uuid()]);
    assert!(store.drafting(ticket, later(1)).await.unwrap().is_empty());
    store.keep_draft(person(LENA), ticket, draft("  ")).await.unwrap();
    assert_eq!(store.draft(person(LENA), ticket).await.unwrap(), None);
    store.keep_draft(person(LENA), ticket, draft("forgotten")).await.unwrap();
    assert_eq!(store.forget_old_drafts(days(31)).await.unwrap(), 1);
    // What is erased leaves no words behind in somebody's draft.
    store.keep_draft(person(LENA), ticket, draft("Dear Anna")).await.unwrap();
    store.delete_ticket(ticket, by()).await.unwrap();
    assert_eq!(kit.number("SELECT COUNT(*) FROM draft").await, 0);
}

fn by() -> By {
    By { actor: agent(), version: None, once: None, now: start() }
}

async fn who_is_named_in_a_note_is_told_until_they_look(kit: Kit) {
    let store = &kit.store;
    let add = async |name: &str, email: &str| {
        let system = Actor::system();
        store.add_person((name, email), Role::Agent, None, &system, start()).await.unwrap().id
    };
    let (lena, bo) =
        (add("Lena Fischer", "lena@desk.test").await, add("陈晓", "c@desk.test").await);
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await);
    let text = "@陈晓请看, and @Lena Fischer knows it".to_owned();
    let note = NewNote { ticket, text, html: None, uploads: Vec::new() };
    let author = Actor { kind: ActorKind::Agent, id: Some(lena), name: "Lena Fischer".to_owned() };
    store.add_note(note, By { actor: author, ..by() }).await.unwrap();
    let named = async |who: Uuid| {
        let filter = TicketFilter { mentioned: Some(who), limit: 10, ..any() };
        store.tickets(&filter).await.unwrap().len()
    };
    assert_eq!((named(lena).await, named(bo).await), (0, 1), "nobody is told of their own words");
    let told = "SELECT data FROM event WHERE kind = 'person.mentioned'";
    assert_eq!(kit.texts(told).await, [format!("{{\"id\":\"{bo}\"}}")]);
    store.person_reads(bo.into(), ticket).await.unwrap();
    assert_eq!(named(bo).await, 0);
}

/// Far more than a list of the console takes, and far less than looking through all tickets with all they hold would: on a
/// machine that does much else meanwhile, in a build that is not optimised.
const QUICK: Duration = Duration::from_secs(2);

async fn lists_and_counts_stay_quick_with_a_hundred_thousand_tickets(kit: Kit) {
    ticket_of(&kit.arrive(&mail_channel("mail"), mail(ANNA, "m1")).await);
    fill(&kit).await;
    let lists = lists();
    for (name, filter) in &lists {
        let began = Instant::now();
        let found = kit.store.tickets(filter).await.unwrap();
        let took = began.elapsed();
        assert!(took < QUICK, "«{name}» took {took:?}");
        // The hundredth page as well as the first.
        if let Some(last) = found.last().filter(|_| found.len() > 50) {
            let far = (last.key(TicketKey::Updated) - 4_000_000, last.id);
            let began = Instant::now();
            kit.store.tickets(&TicketFilter { after: Some(far), ..filter.clone() }).await.unwrap();
            let took = began.elapsed();
            assert!(took < QUICK, "a far page of «{name}» took {took:?}");
        }
    }
    let filters: Vec<TicketFilter> = lists.iter().map(|(_, filter)| filter.clone()).collect();
    let began = Instant::now();
    let counts = kit.store.tickets_in(&filters, 1001).await.unwrap();
    let took = began.elapsed();
    assert!(took < QUICK * 4, "counting took {took:?}");
    assert_eq!(counts, [1001, 1001, 20, 1001, 100, 1001, 25, 33, 1, 0, 1001]);
}

/// A hundred thousand tickets like the first one.
async fn fill(kit: &Kit) {
    let (numbers, id) = if kit.is_postgres() {
        ("SELECT n FROM generate_series(2, 100000) AS s(n)", "gen_random_uuid()")
    } else {
        (
            "WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) SELECT n FROM s",
            "randomblob(16)",
        )
    };
    let lena = Uuid::from_u128(LENA);
    let whose =
        if kit.is_postgres() { format!("'{lena}'::uuid") } else { format!("x'{}'", lena.simple()) };
    let columns: Vec<String> = kit
        .texts(if kit.is_postgres() {
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'ticket' AND table_schema = current_schema()"
        } else {
            "SELECT name FROM pragma_table_info('ticket')"
        })
        .await;
    let value = |column: &str| match column {
        "id" => id.to_owned(),
        "number" => "s.n".to_owned(),
        "thread" => "NULL".to_owned(),
        "status" => {
            "CASE s.n % 10 WHEN 0 THEN 'open' WHEN 1 THEN 'pending' ELSE 'solved' END".to_owned()
        }
        "priority" => "CASE s.n % 1000 WHEN 0 THEN 'urgent' ELSE 'normal' END".to_owned(),
        "assignee" => format!("CASE s.n % 5000 WHEN 0 THEN {whose} ELSE NULL END"),
        "queue" => "CASE s.n % 3000 WHEN 0 THEN 'rare' ELSE 'usual' END".to_owned(),
        "channel" => "CASE s.n % 4000 WHEN 0 THEN 'sms' ELSE 'mail' END".to_owned(),
        "updated_at" | "created_at" | "last_inbound_at" => format!("t.{column} + s.n * 1000"),
        other => format!("t.{other}"),
    };
    let values: Vec<String> = columns.iter().map(|column| value(column)).collect();
    kit.execute(&format!(
        "INSERT INTO ticket ({}) SELECT {} FROM ({numbers}) AS s CROSS JOIN (SELECT * FROM ticket WHERE number = 1) AS t",
        columns.join(", "),
        values.join(", ")
    ))
    .await;
    kit.execute("ANALYZE").await;
}

/// The lists of the console, by their names.
fn lists() -> Vec<(&'static str, TicketFilter)> {
    let list = |change: fn(&mut TicketFilter)| {
        let mut filter =
            TicketFilter { key: TicketKey::Updated, descending: true, limit: 51, ..any() };
        change(&mut filter);
        filter
    };
    vec![
        ("open", list(|filter| filter.status = vec![TicketStatus::Open])),
        ("solved", list(|filter| filter.status = vec![TicketStatus::Solved, TicketStatus::Closed])),
        (
            "mine",
            list(|filter| {
                filter.assignee = Some(Some(Uuid::from_u128(LENA)));
                filter.status = vec![TicketStatus::Open, TicketStatus::Pending];
            }),
        ),
        (
            "unassigned",
            list(|filter| {
                filter.assignee = Some(None);
                filter.status = vec![TicketStatus::Open];
            }),
        ),
        (
            "urgent",
            list(|filter| {
                filter.priority = vec![Priority::Urgent];
                filter.status = vec![TicketStatus::Open, TicketStatus::Pending];
            }),
        ),
        (
            "waiting for us",
            list(|filter| {
                filter.waiting = Some(Turn::Us);
                filter.status = vec![TicketStatus::Open];
            }),
        ),
        ("a rare channel", list(|filter| filter.channel = vec!["sms".to_owned()])),
        ("a rare queue", list(|filter| filter.queue = Some(Some("rare".to_owned())))),
        ("a tag", list(|filter| filter.tag = vec!["new".to_owned()])),
        ("notes for me", list(|filter| filter.mentioned = Some(Uuid::from_u128(LENA)))),
        ("all", list(|_| ())),
    ]
}
