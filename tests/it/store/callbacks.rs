//! Call-backs: noted once, called by one, ended, given up, forgotten.

use std::sync::Arc;
use std::time::Duration;

use tributary::desk::{CallbackPolicy, CallbackTexts};
use tributary::model::{
    Bridge, CallOutcome, CallWish, CallbackId, CallbackStatus, Called, DeliveryId, DeliveryStatus,
    Event, Inbound, Meaning, Realm, TicketId,
};
use tributary::store::{
    Answer, By, CallNoticeKind, CallbackFilter, CallbackView, IngestChannel, NewCallback,
    OutboxFilter, ReplyPlan, StoreError,
};

use super::ingest::chat;
use super::{Kit, agent, channel_with, days, later, on_both, policy, ticket_of};

const PHONE: &str = "+8613800138000";

on_both! {
    a_wish_that_comes_with_a_message_is_noted_once
    what_cannot_be_called_is_told_to_agents_and_stops_nothing
    one_agent_calls_and_the_others_are_told_who
    who_is_not_reached_is_called_again_until_it_is_given_up
    time_makes_wishes_due_lets_go_of_silent_agents_and_ends_what_is_old
    customers_are_told_once_that_and_when_they_are_called
    a_call_for_an_agent_is_queued_with_its_claim_and_ends_it
    a_call_for_an_agent_that_is_cancelled_sets_the_call_back_free
    a_merged_ticket_takes_its_call_backs_along_and_an_erased_one_forgets_them
}

fn rules() -> CallbackPolicy {
    let texts = |language: &str| CallbackTexts {
        confirmed: format!("{language} {{time}} {{phone}}"),
        soon: format!("{language} soon {{number}}"),
        reminder: format!("{language} now"),
    };
    CallbackPolicy {
        prefixes: vec!["+86".to_owned()],
        confirm: true,
        remind_before: Some(Duration::from_secs(900)),
        texts: [("en".to_owned(), texts("en")), ("zh".to_owned(), texts("zh"))].into(),
        ..CallbackPolicy::usual()
    }
}

fn channel(rules: CallbackPolicy) -> Arc<IngestChannel> {
    let channel = channel_with("chat", "chat", policy());
    Arc::new(IngestChannel {
        name: channel.name.clone(),
        realm: channel.realm.clone(),
        policy: channel.policy.clone(),
        delivers: true,
        own: channel.own.clone(),
        callbacks: Arc::new(rules),
        triage: Arc::default(),
        known: channel.known.clone(),
        can: channel.can.clone(),
    })
}

fn wish(id: &str, phone: &str) -> Inbound {
    let mut inbound = chat(id, "visitor");
    inbound.wishes.call = Some(CallWish {
        phone: phone.to_owned(),
        at: None,
        when: "after lunch".to_owned(),
        note: "my transfer".to_owned(),
        time_zone: Some("Asia/Shanghai".to_owned()),
    });
    inbound
}

fn by(minute: i64) -> By {
    By { actor: agent(), version: None, once: None, now: later(minute) }
}

fn fresh(answer: Answer<CallbackView>) -> CallbackView {
    let Answer::Fresh(view) = answer else { panic!("{answer:?}") };
    view
}

async fn all(kit: &Kit) -> Vec<CallbackView> {
    let status = CallbackStatus::ALL.to_vec();
    let filter = CallbackFilter { status, limit: 100, ..CallbackFilter::default() };
    kit.store.callbacks(&filter).await.unwrap()
}

async fn events(kit: &Kit, kind: &str) -> i64 {
    kit.number(&format!("SELECT count(*) FROM event WHERE kind = '{kind}'")).await
}

/// A ticket with a wish in it.
async fn asked(kit: &Kit) -> (TicketId, CallbackId) {
    let ticket = ticket_of(&kit.arrive(&channel(rules()), wish("1", PHONE)).await);
    let known = all(kit).await;
    (ticket, known[0].id.into())
}

async fn a_wish_that_comes_with_a_message_is_noted_once(kit: Kit) {
    let channel = channel(rules());
    let ticket = ticket_of(&kit.arrive(&channel, wish("1", "+86 138-0013-8000")).await);
    // The same again, and another message that asks again.
    kit.arrive(&channel, wish("1", "+86 138-0013-8000")).await;
    let mut again = wish("2", PHONE);
    let call = again.wishes.call.as_mut().unwrap();
    call.at = Some(later(600));
    call.note = "also the fee".to_owned();
    kit.arrive(&channel, again).await;
    let known = all(&kit).await;
    let [one] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((one.ticket_id, one.phone.as_str()), (ticket.uuid(), PHONE));
    assert_eq!((one.status, one.attempts), (CallbackStatus::Waiting, 0));
    assert_eq!(
        (one.wanted.as_str(), one.note.as_str()),
        ("after lunch", "my transfer\nalso the fee")
    );
    // Six in the evening in London is two at night in Shanghai: from eight on they may be called.
    assert_eq!(one.due_at.to_rfc3339(), "2026-11-27T00:00:00+00:00");
    assert_eq!(
        (events(&kit, "callback.requested").await, events(&kit, "callback.updated").await),
        (1, 1)
    );
    // The numbers within the ticket's trail have no gaps.
    let trail = "SELECT max(ticket_seq) - count(*) FROM event WHERE ticket IS NOT NULL";
    assert_eq!(kit.number(trail).await, 0);
}

/// The call-back, as it is queued for an agent.
async fn connected(
    kit: &Kit,
    (ticket, id): (TicketId, CallbackId),
    minute: i64,
) -> Result<DeliveryId, StoreError> {
    let until = later(minute + 3);
    let bridge = Some(Bridge { agent: "+4930123456".to_owned(), until });
    let plan = ReplyPlan {
        realm: Realm("chat".to_owned()),
        bridge,
        ..kit.plan(ticket, "Calls them back.").await
    };
    let message = plan.message;
    kit.store.bridge_call(id, plan, by(minute)).await?;
    let filter = OutboxFilter {
        status: DeliveryStatus::ALL.to_vec(),
        limit: 100,
        ..OutboxFilter::default()
    };
    let rows = kit.store.outbox(&filter).await.unwrap();
    Ok(rows.iter().find(|row| row.message == Some(message)).unwrap().id)
}

/// The service tells how a call ended.
async fn heard(kit: &Kit, delivery: DeliveryId, outcome: Option<CallOutcome>, minute: i64) {
    let meaning = Meaning::Events(vec![Event::Called(Called { delivery, outcome })]);
    kit.apply(&channel(rules()), Ok(meaning), later(minute)).await;
}

async fn a_call_for_an_agent_is_queued_with_its_claim_and_ends_it(kit: Kit) {
    let both = asked(&kit).await;
    let first = connected(&kit, both, 1).await.unwrap();
    let second = connected(&kit, both, 2).await;
    assert!(matches!(second, Err(StoreError::Refused(_))), "{second:?}");
    assert_eq!(kit.number("SELECT count(*) FROM delivery").await, 1, "both or neither");
    assert_eq!(kit.number("SELECT count(*) FROM message WHERE kind = 'call'").await, 1);
    // The agent was not there: it waits as before. Told too late and told again, it changes nothing.
    heard(&kit, first, None, 3).await;
    heard(&kit, first, None, 4).await;
    let one = all(&kit).await.remove(0);
    assert_eq!((one.status, one.attempts, one.outcome), (CallbackStatus::Waiting, 0, None));
    let third = connected(&kit, both, 5).await.unwrap();
    heard(&kit, first, Some(CallOutcome::Reached), 6).await;
    assert_eq!(all(&kit).await[0].status, CallbackStatus::Calling, "that was another call");
    heard(&kit, third, Some(CallOutcome::Reached), 7).await;
    heard(&kit, third, Some(CallOutcome::Busy), 8).await;
    let one = all(&kit).await.remove(0);
    assert_eq!(
        (one.status, one.attempts, one.outcome),
        (CallbackStatus::Done, 1, Some(CallOutcome::Reached))
    );
    let answered = kit.ticket(both.0).await.first_response_at;
    assert_eq!(answered, Some(later(7)), "who was spoken to has been answered");
    // A machine it was.
    heard(&kit, third, Some(CallOutcome::Voicemail), 9).await;
    let one = all(&kit).await.remove(0);
    assert_eq!((one.status, one.attempts), (CallbackStatus::Waiting, 1));
}

async fn a_call_for_an_agent_that_is_cancelled_sets_the_call_back_free(kit: Kit) {
    let both = asked(&kit).await;
    let made = connected(&kit, both, 1).await.unwrap();
    kit.store.cancel_delivery(made, agent(), later(2)).await.unwrap();
    let one = all(&kit).await.remove(0);
    assert_eq!((one.status, one.attempts), (CallbackStatus::Waiting, 0));
    let trail = "SELECT max(ticket_seq) - count(*) FROM event WHERE ticket IS NOT NULL";
    assert_eq!(kit.number(trail).await, 0);
}

async fn what_cannot_be_called_is_told_to_agents_and_stops_nothing(kit: Kit) {
    let channel = channel(CallbackPolicy { open_max: 1, ..rules() });
    for (id, phone) in
        [("1", "+88216000000"), ("2", "call me"), ("3", PHONE), ("4", "+8613900000000")]
    {
        assert_eq!(kit.arrive(&channel, wish(id, phone)).await.new, 1, "{phone}");
    }
    assert_eq!(all(&kit).await.len(), 1);
    assert_eq!(events(&kit, "callback.refused").await, 3);
    let new = NewCallback {
        ticket: Some(all(&kit).await[0].ticket_id.into()),
        contact: None,
        phone: Some("+88216000000".to_owned()),
        at: None,
        note: String::new(),
        time_zone: None,
    };
    let refused = kit.store.add_callback(new, Arc::new(rules()), by(0)).await;
    assert!(matches!(refused, Err(StoreError::Unknown { field: "phone", .. })), "{refused:?}");
}

async fn one_agent_calls_and_the_others_are_told_who(kit: Kit) {
    let (_, id) = asked(&kit).await;
    let calls = (0..8).map(|_| {
        let store = kit.store.clone();
        async move { store.begin_call(id, by(1)).await }
    });
    let calls = futures::future::join_all(calls).await;
    let (taken, refused): (Vec<_>, Vec<_>) = calls.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (1, 7));
    for one in refused {
        let Err(StoreError::Refused(why)) = one else { panic!("{one:?}") };
        assert!(why.contains("Agent Anna"), "{why}");
    }
    let known = all(&kit).await;
    assert_eq!((known[0].status, known[0].attempts), (CallbackStatus::Calling, 1));
    let stale = By { version: Some(1), ..by(2) };
    let refused = kit.store.cancel_callback(id, stale).await;
    assert!(matches!(refused, Err(StoreError::Stale { given: 1, current: 2 })), "{refused:?}");
    let done =
        kit.store.end_call(id, CallOutcome::Reached, Arc::new(rules()), by(9)).await.unwrap();
    let done = fresh(done);
    assert_eq!((done.status, done.outcome), (CallbackStatus::Done, Some(CallOutcome::Reached)));
    for outcome in [
        kit.store.begin_call(id, by(10)).await,
        kit.store.end_call(id, CallOutcome::Busy, Arc::new(rules()), by(10)).await,
        kit.store.cancel_callback(id, by(10)).await,
    ] {
        assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    }
}

async fn who_is_not_reached_is_called_again_until_it_is_given_up(kit: Kit) {
    let (_, id) = asked(&kit).await;
    let end = async |outcome, minute| {
        fresh(kit.store.end_call(id, outcome, Arc::new(rules()), by(minute)).await.unwrap())
    };
    kit.store.begin_call(id, by(1)).await.unwrap();
    let first = end(CallOutcome::NoAnswer, 2).await;
    assert_eq!((first.status, first.due_at), (CallbackStatus::Waiting, later(17)));
    // Called and then told, without taking it first.
    let second = end(CallOutcome::Busy, 20).await;
    assert_eq!(
        (second.status, second.attempts, second.due_at),
        (CallbackStatus::Waiting, 2, later(140))
    );
    let third = end(CallOutcome::Voicemail, 150).await;
    assert_eq!((third.status, third.attempts), (CallbackStatus::Unreached, 3));
}

async fn time_makes_wishes_due_lets_go_of_silent_agents_and_ends_what_is_old(kit: Kit) {
    let (_, id) = asked(&kit).await;
    let tend = async |at| kit.store.tend_callbacks(&rules(), at).await.unwrap();
    assert_eq!((tend(later(0)).await, tend(later(1)).await), (1, 0), "told once that it is due");
    assert_eq!(events(&kit, "callback.due").await, 1);
    kit.store.begin_call(id, by(2)).await.unwrap();
    assert_eq!(tend(later(20)).await, 0);
    assert_eq!(tend(later(33)).await, 1);
    assert_eq!(all(&kit).await[0].status, CallbackStatus::Waiting);
    assert_eq!((tend(later(34)).await, events(&kit, "callback.due").await), (1, 2));
    assert_eq!((tend(days(6)).await, tend(days(8)).await, tend(days(9)).await), (0, 1, 0));
    assert_eq!(all(&kit).await[0].status, CallbackStatus::Expired);
}

async fn customers_are_told_once_that_and_when_they_are_called(kit: Kit) {
    let (ticket, _) = asked(&kit).await;
    let notices = async |at| kit.store.call_notices(&rules(), at).await.unwrap();
    let now = notices(later(0)).await;
    let [soon] = now.as_slice() else { panic!("{now:?}") };
    assert_eq!((soon.kind, soon.ticket), (CallNoticeKind::Confirmation, ticket));
    assert_eq!(soon.text, format!("en soon {}", kit.ticket(ticket).await.number));
    kit.store.call_noticed(soon).await.unwrap();
    assert_eq!(notices(later(1)).await.len(), 0);
    // They choose a time: that is confirmed, and they are reminded of it.
    let mut later_on = wish("2", PHONE);
    later_on.wishes.call.as_mut().unwrap().at = Some(days(1));
    later_on.wishes.language = Some("zh-CN".to_owned());
    kit.arrive(&channel(rules()), later_on).await;
    let confirmed = notices(later(2)).await;
    assert_eq!(confirmed[0].text, "en 2026-11-27 16:00 (Asia/Shanghai) …8000");
    assert_ne!(confirmed[0].message, soon.message);
    // What was noted about the old one does not silence the new one.
    kit.store.call_noticed(soon).await.unwrap();
    assert_eq!(notices(later(2)).await.len(), 1);
    kit.store.call_noticed(&confirmed[0]).await.unwrap();
    let quarter = days(1) - chrono::Duration::minutes(15);
    assert_eq!(notices(quarter - chrono::Duration::minutes(1)).await.len(), 0);
    let reminder = notices(quarter).await;
    assert_eq!((reminder[0].kind, reminder[0].text.as_str()), (CallNoticeKind::Reminder, "en now"));
    kit.store.call_noticed(&reminder[0]).await.unwrap();
    assert_eq!(notices(days(1)).await.len(), 0);
}

async fn a_merged_ticket_takes_its_call_backs_along_and_an_erased_one_forgets_them(kit: Kit) {
    let (ticket, _) = asked(&kit).await;
    let other = ticket_of(&kit.arrive(&channel(rules()), chat("9", "another visitor")).await);
    kit.store.merge_ticket(ticket, other, by(1)).await.unwrap();
    let moved = all(&kit).await;
    assert_eq!(moved[0].ticket_id, other.uuid());
    let filter = CallbackFilter {
        contact: Some(moved[0].contact.id.into()),
        limit: 10,
        ..CallbackFilter::default()
    };
    assert_eq!(kit.store.callbacks(&filter).await.unwrap().len(), 1);
    kit.store.erase_contact(moved[0].contact.id.into(), by(2)).await.unwrap();
    assert_eq!(all(&kit).await.len(), 0);
    assert_eq!(kit.number("SELECT count(*) FROM callback").await, 0);
}
