//! The lane: order, places, rates, pauses, and what becomes of each outcome.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tributary::engine::{Engine, Part, State};
use tributary::model::{Rate, Resend};

use super::{Answer, LIMIT, Rig, Service, Wanted, capabilities, channel};
use crate::store::{agent, name};
use crate::support::wait_until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_away_pauses_the_lane_and_keeps_the_order() {
    let rig = Rig::start(&Wanted::usual()).await;
    let (anna, bob) = (rig.ticket("anna").await, rig.ticket("bob").await);
    rig.service.answer(&[Answer::Offline, Answer::Offline]);
    for number in 0..3 {
        rig.reply(anna, &format!("anna {number}")).await;
    }
    rig.wait_state(Part::Send, |state| matches!(state, State::BackingOff { .. })).await;
    rig.reply(bob, "bob 0").await;
    rig.wait_statuses(&["sent"; 4]).await;
    let texts = rig.service.texts();
    assert_eq!(texts[..3], ["anna 0", "anna 0", "anna 0"], "the others were tried meanwhile");
    let annas: Vec<_> = texts.iter().filter(|text| text.starts_with("anna")).collect();
    assert_eq!(annas, ["anna 0", "anna 0", "anna 0", "anna 1", "anna 2"]);
    assert!(rig.outbox().await.iter().all(|row| row.error.is_none()), "an old error is shown");
    let parts = rig.engine.health.of(&name("mail"));
    let (_, send) = parts.iter().find(|(part, _)| *part == Part::Send).unwrap();
    assert!(send.last_success_at.is_some() && send.state == State::Running);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_with_the_account_stops_sending_and_not_receiving() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    rig.service.answer(&[Answer::Account]);
    rig.reply(anna, "hello").await;
    rig.wait_state(Part::Send, |state| *state == State::NeedsHuman).await;
    assert_eq!(rig.engine.health.note(&name("mail"), rig.engine.clock.now()).state, "needs_human");
    assert_eq!(rig.statuses().await, ["queued"]);
    rig.ticket("bob").await;
    assert_eq!(rig.state(Part::Receive), Some(State::Running));
    assert_eq!(rig.service.count(), 1, "it is not tried on and on");
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_a_persons_to_decide() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    rig.service.answer(&[Answer::Unknown]);
    rig.reply(anna, "one").await;
    rig.wait_statuses(&["unconfirmed"]).await;
    rig.reply(anna, "two").await;
    rig.wait_statuses(&["unconfirmed", "sent"]).await;
    assert_eq!(rig.service.texts(), ["one", "two"]);
    let row = rig.outbox().await.remove(0);
    rig.kit.store.retry_delivery(row.id, agent(), rig.engine.clock.now()).await.unwrap();
    rig.engine.wake_outbox(&name("mail"));
    rig.wait_statuses(&["sent", "sent"]).await;
    assert_eq!(rig.service.texts(), ["one", "two", "one"]);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_repeated_where_the_service_knows_doubles() {
    let wanted = Wanted { can: capabilities(Resend::Safe), ..Wanted::usual() };
    let rig = Rig::start(&wanted).await;
    let anna = rig.ticket("anna").await;
    rig.service.answer(&[Answer::Unknown, Answer::Retry]);
    rig.reply(anna, "one").await;
    rig.wait_statuses(&["sent"]).await;
    assert_eq!(rig.service.texts(), ["one"; 3]);
    assert_eq!(rig.outbox().await[0].attempts, 3);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_holds_up_nobody() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    rig.service.answer(&[Answer::Rejected]);
    rig.reply(anna, "one").await;
    rig.wait_statuses(&["failed"]).await;
    rig.reply(anna, "two").await;
    rig.wait_statuses(&["failed", "sent"]).await;
    assert_eq!(rig.outbox().await[0].error.as_deref(), Some("no such user"));
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_side_by_side_and_never_two_of_one_conversation() {
    let rig = Rig::start(&Wanted::usual()).await;
    let mut tickets = Vec::new();
    for from in ["anna", "bob", "carol", "dan", "eve", "frank"] {
        tickets.push(rig.ticket(from).await);
    }
    // The first call of a fresh lane goes alone.
    rig.service.hold();
    for round in 0..3 {
        for ticket in &tickets {
            rig.reply(*ticket, &format!("round {round}")).await;
        }
    }
    rig.wait_calls(1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.service.count(), 1, "nothing is known of the service yet");
    rig.service.release(1);
    rig.wait_calls(5).await;
    for _ in 0..30 {
        rig.service.release(1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.wait_statuses(&["sent"; 18]).await;
    let (in_all, of_one) = *rig.service.most.lock().unwrap();
    assert_eq!((in_all, of_one), (4, 1), "calls at once: in all, and of one conversation");
    assert_eq!(rig.service.count(), 18);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_has_a_pause_and_others_do_not_wait_for_it() {
    let mut wanted = Wanted::usual();
    let gap = Duration::from_millis(700);
    wanted.can.rate = Rate { per_minute: 0, per_recipient: gap, in_flight_max: 4 };
    let rig = Rig::start(&wanted).await;
    // One person with many tickets, and one with a single one behind them all.
    let mut annas = Vec::new();
    for _ in 0..4 {
        annas.push(rig.ticket("anna").await);
    }
    let bob = rig.ticket("bob").await;
    for ticket in annas {
        rig.reply(ticket, "anna").await;
    }
    rig.reply(bob, "bob").await;
    rig.wait_statuses(&["sent"; 5]).await;
    let calls = rig.service.calls.lock().unwrap().clone();
    let at = calls.iter().position(|(text, ..)| text == "bob").unwrap();
    assert!(at <= 1, "he waited for {at} messages to somebody else");
    let annas: Vec<_> =
        calls.iter().filter(|(text, ..)| text == "anna").map(|call| call.2).collect();
    for pair in annas.windows(2) {
        // The pause is measured where a call begins, not where the service hears of it.
        let apart = pair[1] - pair[0] + Duration::from_millis(200);
        assert!(apart >= gap, "{apart:?}");
    }
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_sending_costs_one_restart_and_is_never_taken_for_sent() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    rig.service.answer(&[Answer::Panic]);
    rig.reply(anna, "one").await;
    rig.wait_statuses(&["unconfirmed"]).await;
    rig.wait_state(Part::Send, |state| matches!(state, State::BackingOff { .. })).await;
    rig.service.answer(&[Answer::PanicBefore]);
    rig.reply(anna, "two").await;
    rig.reply(anna, "three").await;
    rig.wait_statuses(&["unconfirmed", "failed", "sent"]).await;
    assert_eq!(rig.service.texts(), ["one", "three"]);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_works_at_once_and_outlasts_a_restart() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    let mail = name("mail");
    rig.service.hold();
    rig.reply(anna, "in the air").await;
    rig.wait_calls(1).await;
    rig.engine.set_paused(&mail, true, agent()).await.unwrap();
    rig.reply(anna, "not yet").await;
    rig.service.release(10);
    // What was in the air is settled; nothing new begins.
    rig.wait_statuses(&["sent", "queued"]).await;
    rig.wait_state(Part::Send, |state| *state == State::Paused).await;
    rig.service.put("bob is not heard");
    rig.engine.stop().await;

    let service = Arc::new(Service::default());
    let wanted = Wanted::usual();
    let channels = vec![channel("mail", &service, &wanted)];
    let store = rig.kit.store.clone();
    let engine = Engine::start(store, channels, wanted.settings.clone(), wanted.clock);
    wait_until("the state", LIMIT, async || {
        engine.health.note(&mail, engine.clock.now()).state == "paused"
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((service.count(), service.connects.load(Ordering::SeqCst)), (0, 0));
    engine.set_paused(&mail, false, agent()).await.unwrap();
    wait_until("the reply", LIMIT, async || service.texts() == ["not yet"]).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_calls_under_way() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    rig.service.hold();
    rig.reply(anna, "in the air").await;
    rig.reply(anna, "for the next one").await;
    rig.wait_calls(1).await;
    let release = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        rig.service.release(10);
    };
    tokio::join!(rig.engine.stop(), release);
    assert_eq!(rig.statuses().await, ["sent", "queued"]);
    assert_eq!(rig.service.count(), 1);
    // The lease was given back.
    assert!(rig.kit.another().await.take_lease(&name("mail")).await.unwrap().is_some());
}
