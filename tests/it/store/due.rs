//! When answers are due: worked out from the messages, told once when near and once when late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary::desk::{
    ProtectSetting, SlaSetting, Targets, Triage, TriageSettings, UrgencySetting,
};
use tributary::model::{Flag, Priority, TicketId, TicketStatus};
use tributary::store::{By, TicketFilter, TicketKey, TicketPatch};

use super::{ANNA, BOB, Kit, agent, answer, later, mail, mail_channel, on_both, start, ticket_of};

on_both! {
    a_wait_is_told_once_when_it_gets_long_and_once_when_it_is_late
    an_answer_ends_the_wait_and_the_next_question_has_its_own
    asking_again_begins_nothing_anew
    what_waits_for_nobody_is_never_due
    what_has_ended_costs_nothing_and_is_never_late
    what_is_due_first_comes_first
}

fn promises() -> Arc<Triage> {
    let settings = TriageSettings {
        rules: Vec::new(),
        calendars: [].into(),
        agents: Vec::new(),
        urgency: UrgencySetting {
            enabled: false,
            per_contact_max: 1,
            answer: false,
            answers: [].into(),
        },
        protect: ProtectSetting::default(),
        sla: SlaSetting {
            calendar: None,
            warn_percent: 50,
            first_minutes: Targets { normal: Some(60), urgent: Some(10), ..Targets::default() },
            next_minutes: Targets { normal: Some(120), ..Targets::default() },
        },
        survey: tributary::desk::survey::SurveySetting::default(),
        close: tributary::desk::close::CloseSetting::default(),
        retention: tributary::desk::retention::RetentionSetting::default(),
        signatures: Vec::new(),
        macros: Vec::new(),
    };
    Arc::new(Triage::read(&settings, &[].into()).unwrap())
}

async fn told(kit: &Kit, id: TicketId) -> Vec<String> {
    let events = kit.store.ticket_events(id.uuid(), 0, 100).await.unwrap();
    let kinds = events.into_iter().map(|event| event.kind);
    kinds.filter(|kind| kind == "ticket.due_soon" || kind == "ticket.overdue").collect()
}

async fn tend(kit: &Kit, triage: &Arc<Triage>, minutes: &[i64]) {
    for minutes in minutes {
        kit.store.tend_due(triage, later(*minutes)).await.unwrap();
    }
}

async fn change(kit: &Kit, id: TicketId, patch: TicketPatch) {
    let by = By { actor: agent(), version: None, once: None, now: start() };
    kit.store.change_ticket(id, patch, by).await.unwrap();
}

async fn a_wait_is_told_once_when_it_gets_long_and_once_when_it_is_late(kit: Kit) {
    let (channel, triage) = (mail_channel("mail"), promises());
    let id = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    assert_eq!(kit.ticket(id).await.due_at, None);
    tend(&kit, &triage, &[0, 1, 29]).await;
    let ticket = kit.ticket(id).await;
    assert_eq!((ticket.due_at, ticket.due_for.as_deref()), (Some(later(60)), Some("first")));
    assert!(told(&kit, id).await.is_empty());
    tend(&kit, &triage, &[30, 31, 59]).await;
    assert_eq!(told(&kit, id).await, ["ticket.due_soon"]);
    assert_eq!(kit.ticket(id).await.tags, ["due_soon", "new"]);
    tend(&kit, &triage, &[60, 61, 600]).await;
    assert_eq!(told(&kit, id).await, ["ticket.due_soon", "ticket.overdue"]);
    assert_eq!(kit.ticket(id).await.tags, ["new", "overdue"]);
    assert_eq!(kit.store.tend_due(&triage, later(601)).await.unwrap(), 0, "nothing is left to do");
}

async fn an_answer_ends_the_wait_and_the_next_question_has_its_own(kit: Kit) {
    let (channel, triage) = (mail_channel("mail"), promises());
    let id = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    tend(&kit, &triage, &[0]).await;
    assert!(kit.ticket(id).await.due_at.is_some());
    kit.reply(id, "an answer").await;
    kit.store.tend_due(&triage, later(602)).await.unwrap();
    assert_eq!(kit.ticket(id).await.due_at, None);
    kit.arrive_at(&channel, answer(ANNA, "m2", &["m1"]), later(700)).await;
    kit.store.tend_due(&triage, later(700)).await.unwrap();
    assert_eq!(kit.ticket(id).await.due_for.as_deref(), Some("next"));
}

async fn asking_again_begins_nothing_anew(kit: Kit) {
    let (channel, triage) = (mail_channel("mail"), promises());
    let id = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    kit.arrive_at(&channel, answer(ANNA, "m2", &["m1"]), later(20)).await;
    kit.store.tend_due(&triage, later(20)).await.unwrap();
    assert_eq!(kit.ticket(id).await.due_at, Some(later(60)));
    // Another priority has another time, from the same beginning.
    let urgent = TicketPatch { priority: Some(Priority::Urgent), ..TicketPatch::default() };
    change(&kit, id, urgent).await;
    kit.store.tend_due(&triage, later(21)).await.unwrap();
    assert_eq!(kit.ticket(id).await.due_at, Some(later(10)));
    assert_eq!(told(&kit, id).await, ["ticket.overdue"], "no warning of what is late already");
}

async fn what_waits_for_nobody_is_never_due(kit: Kit) {
    let (channel, triage) = (mail_channel("mail"), promises());
    let mut machine = mail(BOB, "b1");
    machine.flags.insert(Flag::AutoReply);
    let machine = ticket_of(&kit.arrive(&channel, machine).await);
    let id = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    kit.store.tend_due(&triage, later(0)).await.unwrap();
    assert_eq!(kit.ticket(machine).await.due_at, None);
    assert!(kit.ticket(id).await.due_at.is_some());
    let pending = TicketPatch { status: Some(TicketStatus::Pending), ..TicketPatch::default() };
    change(&kit, id, pending).await;
    kit.store.tend_due(&triage, later(500)).await.unwrap();
    assert_eq!(kit.ticket(id).await.due_at, None);
    assert!(told(&kit, id).await.is_empty());
}

/// A look at all of fifty thousand tickets takes some hundred times as long as one at two of them.
const AS_LONG_MAX: u32 = 20;

/// The quickest of some turns in which there is nothing to do.
async fn quickest(kit: &Kit, triage: &Arc<Triage>) -> Duration {
    let mut quickest = Duration::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(kit.store.tend_due(triage, later(2)).await.unwrap(), 0);
        quickest = quickest.min(begun.elapsed());
    }
    quickest
}

/// Fifty thousand tickets that ended are not looked at every five seconds; a ticket that was deleted is late for nobody.
async fn what_has_ended_costs_nothing_and_is_never_late(kit: Kit) {
    let (channel, triage) = (mail_channel("mail"), promises());
    let gone = ticket_of(&kit.arrive(&channel, mail(BOB, "b1")).await);
    let id = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    kit.store.tend_due(&triage, later(0)).await.unwrap();
    let by = By { actor: agent(), version: None, once: None, now: later(1) };
    kit.store.delete_ticket(gone, by).await.unwrap();
    kit.store.tend_due(&triage, later(2)).await.unwrap();
    let before = quickest(&kit, &triage).await;
    let uuid = if kit.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    kit.execute(&format!(
        "INSERT INTO ticket (id, number, subject, status, priority, channel, contact, created_at, updated_at,
             solved_at, message_count, event_count, version)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50000)
         SELECT {uuid}, 1000 + n, 's', 'solved', 'normal', 'mail', {uuid}, 0, 0, 0, 1, 1, 1 FROM n"
    ))
    .await;
    if kit.is_postgres() {
        // As it does by itself after so many rows.
        kit.execute("ANALYZE").await;
    }
    let after = quickest(&kit, &triage).await;
    assert!(after < before * AS_LONG_MAX, "{after:?} for nothing, {before:?} without them");
    kit.store.tend_due(&triage, later(500)).await.unwrap();
    assert_eq!(told(&kit, id).await, ["ticket.overdue"]);
    assert!(told(&kit, gone).await.is_empty());
}

async fn what_is_due_first_comes_first(kit: Kit) {
    let (channel, triage) = (mail_channel("mail"), promises());
    let old = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    let none = ticket_of(&kit.arrive(&channel, mail(BOB, "m2")).await);
    let low = TicketPatch { priority: Some(Priority::Low), ..TicketPatch::default() };
    change(&kit, none, low).await;
    let urgent = ticket_of(&kit.arrive(&channel, mail("carol@customer.example", "m3")).await);
    let change_to = TicketPatch { priority: Some(Priority::Urgent), ..TicketPatch::default() };
    change(&kit, urgent, change_to).await;
    kit.store.tend_due(&triage, later(0)).await.unwrap();
    let mut filter = TicketFilter {
        status: Vec::new(),
        priority: Vec::new(),
        channel: Vec::new(),
        assignee: None,
        tag: Vec::new(),
        queue: None,
        contact: None,
        updated_after: None,
        waiting: None,
        mentioned: None,
        team: None,
        q: None,
        key: TicketKey::Due,
        descending: false,
        after: None,
        limit: 2,
    };
    let first = kit.store.tickets(&filter).await.unwrap();
    let ids: Vec<_> = first.iter().map(|ticket| ticket.id).collect();
    assert_eq!(ids, [urgent.uuid(), old.uuid()]);
    filter.after = Some((first[1].key(TicketKey::Due), first[1].id));
    let rest = kit.store.tickets(&filter).await.unwrap();
    assert_eq!(rest.iter().map(|ticket| ticket.id).collect::<Vec<_>>(), [none.uuid()]);
}
