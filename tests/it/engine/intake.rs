//! What comes in: by pull, by hook, and what becomes of messages that nobody can read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tributary::engine::{Clock, EngineSettings, Part, State};

use super::{Answer, LIMIT, Rig, Wanted, fast};
use crate::store::{agent, name};
use crate::support::wait_until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_is_acknowledged_after_it_is_stored() {
    let rig = Rig::start(&Wanted::usual()).await;
    for number in 0..20 {
        rig.service.put(&format!("anna{number} hello"));
    }
    wait_until("all tickets", LIMIT, async || rig.messages().await == 20).await;
    let committed = rig.service.committed.lock().unwrap().clone();
    assert_eq!(committed.last().map(String::as_str), Some("20"));
    assert_eq!(rig.kit.store.cursor(&name("mail")).await.unwrap().unwrap().as_str(), "20");
    assert_eq!(rig.kit.number("SELECT count(*) FROM journal WHERE state = 'applied'").await, 20);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_the_store_did_not_take() {
    let rig = Rig::start(&Wanted::usual()).await;
    rig.wait_state(Part::Receive, |state| *state == State::Running).await;
    rig.kit.execute("ALTER TABLE cursor RENAME TO cursor_gone").await;
    rig.service.put("anna hello");
    rig.wait_state(Part::Receive, |state| matches!(state, State::BackingOff { .. })).await;
    assert!(rig.service.committed.lock().unwrap().is_empty());
    rig.kit.execute("ALTER TABLE cursor_gone RENAME TO cursor").await;
    wait_until("the message", LIMIT, async || rig.messages().await == 1).await;
    wait_until("the news", LIMIT, async || {
        rig.service.committed.lock().unwrap().as_slice() == ["1"]
    })
    .await;
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_line_and_a_panic_cost_one_connection_each() {
    let rig = Rig::start(&Wanted::usual()).await;
    rig.ticket("anna").await;
    let before = rig.service.connects.load(Ordering::SeqCst);
    rig.service.broken.lock().unwrap().extend([Answer::Retry, Answer::Panic]);
    wait_until("two new connections", LIMIT, async || {
        rig.service.connects.load(Ordering::SeqCst) == before + 2
    })
    .await;
    rig.ticket("bob").await;
    rig.wait_state(Part::Receive, |state| *state == State::Running).await;
    assert_eq!(rig.messages().await, 2, "nothing came twice");
    let note = rig.engine.health.note(&name("mail"), rig.engine.clock.now());
    assert_eq!(note.last_error.as_deref(), Some("the adapter panicked"));
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_stops_nobody() {
    let rig = Rig::start(&Wanted::usual()).await;
    for text in ["anna one", "panic", "unreadable", "anna two"] {
        rig.service.put(text);
    }
    // Two messages, and a notice for each of the other two.
    wait_until("all four", LIMIT, async || rig.messages().await == 4).await;
    let failed = rig.kit.store.quarantine(None, 10).await.unwrap();
    let reasons: Vec<_> = failed.iter().rev().filter_map(|row| row.reason.clone()).collect();
    assert_eq!(reasons, ["the parser panicked", "unreadable: not a message"]);
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_takes_too_long_is_tried_three_times() {
    let interpret_max = Duration::from_millis(150);
    let settings = EngineSettings { interpret_max, ..EngineSettings::usual() };
    let wanted = Wanted { settings, clock: Clock::from_fn(fast), ..Wanted::usual() };
    let rig = Rig::start(&wanted).await;
    for text in ["slow", "anna one", "anna two"] {
        rig.service.put(text);
    }
    wait_until("the others", LIMIT, async || rig.messages().await == 2).await;
    assert!(rig.kit.store.quarantine(None, 10).await.unwrap().is_empty(), "at the first try");
    wait_until("the notice", LIMIT, async || rig.messages().await == 3).await;
    let failed = rig.kit.store.quarantine(None, 10).await.unwrap();
    assert_eq!((failed.len(), failed[0].attempts), (1, 2));
    assert!(failed[0].reason.as_ref().unwrap().contains("too long"));
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_store_refuses_goes_alone_into_the_quarantine_and_heals() {
    let wanted = Wanted { clock: Clock::from_fn(fast), ..Wanted::usual() };
    let rig = Rig::start(&wanted).await;
    rig.kit
        .execute(
            "CREATE TRIGGER poison BEFORE INSERT ON message WHEN NEW.text = 'poison'
             BEGIN SELECT RAISE(ABORT, 'the database chokes on it'); END",
        )
        .await;
    for text in ["anna one", "anna poison", "anna two"] {
        rig.service.put(text);
    }
    wait_until("the neighbours", LIMIT, async || rig.messages().await == 2).await;
    let store = &rig.kit.store;
    wait_until("the quarantine", LIMIT, async || {
        store.quarantine(None, 10).await.unwrap().len() == 1
    })
    .await;
    let failed = store.quarantine(None, 10).await.unwrap().remove(0);
    assert_eq!(failed.attempts, 3);
    assert!(failed.reason.unwrap().contains("the database chokes on it"));
    rig.kit.execute("DROP TRIGGER poison").await;
    store.retry_raw(failed.id, agent(), rig.engine.clock.now()).await.unwrap();
    rig.engine.wake_journal();
    wait_until("the message", LIMIT, async || rig.messages().await == 3).await;
    assert!(store.quarantine(None, 10).await.unwrap().is_empty());
    rig.engine.stop().await;
}

/// While a batch is written the next one is made ready: what holds one up must hold up those behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_batches_with_bad_rows_between_keep_the_order() {
    let interpret_max = Duration::from_millis(150);
    let settings = EngineSettings { interpret_max, ingest_rows_max: 2, ..EngineSettings::usual() };
    let wanted = Wanted { settings, clock: Clock::from_fn(fast), ..Wanted::usual() };
    let rig = Rig::start(&wanted).await;
    rig.kit
        .execute(
            "CREATE TRIGGER poison BEFORE INSERT ON message WHEN NEW.text = 'poison'
             BEGIN SELECT RAISE(ABORT, 'the database chokes on it'); END",
        )
        .await;
    let bad = ["anna poison", "unreadable", "slow"];
    for (number, letter) in ('a'..='z').enumerate() {
        rig.service.put(&format!("anna {letter}"));
        if let Some(bad) = bad.get(number % 7) {
            rig.service.put(bad);
        }
    }
    let letters = "SELECT count(*) FROM message WHERE length(text) = 1";
    wait_until("the letters", LIMIT, async || rig.kit.number(letters).await == 26).await;
    let overtaken = "SELECT count(*) FROM message a JOIN message b ON a.seq < b.seq
                     AND a.text > b.text AND length(a.text) = 1 AND length(b.text) = 1";
    assert_eq!(rig.kit.number(overtaken).await, 0);
    rig.engine.stop().await;
}

fn request(signed: bool, body: &'static str) -> http::Request<Bytes> {
    let mut request = http::Request::new(Bytes::from_static(body.as_bytes()));
    if signed {
        request.headers_mut().insert("signature", http::HeaderValue::from_static("good"));
    }
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_is_answered_after_its_messages_are_stored() {
    let rig = Rig::start(&Wanted::usual()).await;
    let (engine, mail) = (&rig.engine, name("mail"));
    let status = |response: http::Response<Bytes>| response.status().as_u16();
    assert_eq!(status(engine.take_hook(&name("other"), request(true, "a")).await), 404);
    assert_eq!(status(engine.take_hook(&mail, request(false, "a one")).await), 403);
    assert_eq!(rig.kit.number("SELECT count(*) FROM journal").await, 0);
    for _ in 0..3 {
        let answer = engine.take_hook(&mail, request(true, "a one\nb two")).await;
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, &b"thanks"[..]));
        assert_eq!(rig.kit.number("SELECT count(*) FROM journal").await, 2);
    }
    // A paused channel still takes what services push: many of them push once only.
    engine.set_paused(&mail, true, agent()).await.unwrap();
    assert_eq!(status(engine.take_hook(&mail, request(true, "c three")).await), 200);
    rig.kit.execute("ALTER TABLE seal RENAME TO seal_gone").await;
    assert_eq!(status(engine.take_hook(&mail, request(true, "d four")).await), 503);
    rig.kit.execute("ALTER TABLE seal_gone RENAME TO seal").await;
    assert_eq!(status(engine.take_hook(&mail, request(true, "d four")).await), 200);
    wait_until("all messages", LIMIT, async || rig.messages().await == 4).await;
    engine.stop().await;
    assert_eq!(status(engine.take_hook(&mail, request(true, "e five")).await), 503);
}
