//! The feed: a reader that goes on after the last number it saw misses nothing, however many write.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tributary::store::{MessageFilter, Store};

use super::{Kit, mail, mail_channel, message, name, on_both, raw, start, ticket_of};

on_both! {
    a_reader_misses_nothing_while_two_nodes_write
    a_tickets_trail_has_no_gap
    an_idle_store_tells_of_nothing
}

/// Reads events and messages by their numbers, as a client of the feed does, until told to stop.
async fn follow(store: Store, stop: Arc<AtomicBool>) -> (Vec<i64>, Vec<i64>) {
    let (mut events, mut messages) = (Vec::new(), Vec::new());
    loop {
        let last_round = stop.load(Ordering::SeqCst);
        let mut new = 0;
        let after = events.last().copied().unwrap_or(0);
        for event in store.events_after(after, 50).await.unwrap() {
            events.push(event.seq);
            new += 1;
        }
        let after = messages.last().copied().unwrap_or(0);
        let filter = MessageFilter { after, limit: 50, ..MessageFilter::default() };
        for message in store.messages(&filter).await.unwrap() {
            messages.push(message.seq);
            new += 1;
        }
        if last_round && new == 0 {
            return (events, messages);
        }
    }
}

async fn a_reader_misses_nothing_while_two_nodes_write(kit: Kit) {
    const EACH: usize = 60;
    let other = kit.another().await;
    let stop = Arc::new(AtomicBool::new(false));
    let reader = follow(kit.another().await, stop.clone());
    let write = |store: Store, who: &'static str| async move {
        let channel = mail_channel("mail");
        let mut tasks = Vec::new();
        for number in 0..EACH {
            let (store, channel) = (store.clone(), channel.clone());
            tasks.push(async move {
                let id = format!("{who} {number}");
                let from = format!("{who}{number}@x.example");
                let raws = vec![raw(&id, "bytes")];
                let row = store.append_pushed(&channel.name, raws, start()).await.unwrap().ids[0];
                let meaning = Ok(message(mail(&from, &id)));
                let one =
                    tributary::store::Ingest { id: row, received_at: start(), channel, meaning };
                assert_eq!(store.ingest(vec![one], start()).await.unwrap()[0].new, 1);
            });
        }
        futures::future::join_all(tasks).await;
    };
    let writing = async {
        tokio::join!(write(kit.store.clone(), "one"), write(other, "two"));
        stop.store(true, Ordering::SeqCst);
    };
    let ((events, messages), ()) = tokio::join!(reader, writing);
    let all = kit.number("SELECT count(*) FROM event").await;
    assert_eq!(i64::try_from(events.len()).unwrap(), all, "the reader missed events");
    assert_eq!(messages.len(), 2 * EACH, "the reader missed messages");
    assert!(events.is_sorted() && messages.is_sorted());
    assert_eq!(kit.store.last_event().await.unwrap(), *events.last().unwrap());
    let numbers = kit.number("SELECT count(DISTINCT number) FROM ticket").await;
    assert_eq!(numbers, 2 * i64::try_from(EACH).unwrap());
    assert_eq!(
        kit.number("SELECT max(number) FROM ticket").await,
        numbers,
        "a number was left out"
    );
}

async fn a_tickets_trail_has_no_gap(kit: Kit) {
    let (channel, other) = (mail_channel("mail"), kit.another().await);
    let ticket = ticket_of(&kit.arrive(&channel, mail("anna@x.example", "1")).await);
    let writers = (0..40).map(|number| {
        let store = if number % 2 == 0 { kit.store.clone() } else { other.clone() };
        let kit = &kit;
        async move {
            let plan = kit.plan(ticket, "text").await;
            store.queue_reply(plan, start()).await.unwrap();
        }
    });
    futures::future::join_all(writers).await;
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 1000).await.unwrap();
    let numbers: Vec<i64> = trail.iter().filter_map(|event| event.ticket_seq).collect();
    assert_eq!(numbers, (1..=42).collect::<Vec<i64>>());
    let seqs: Vec<i64> = trail.iter().map(|event| event.seq).collect();
    assert!(seqs.is_sorted(), "the two orders differ");
    let mut kinds: HashMap<String, usize> = HashMap::new();
    for event in trail {
        *kinds.entry(event.kind).or_default() += 1;
    }
    assert_eq!(kinds["message.created"], 41);
    assert_eq!(kit.ticket(ticket).await.message_count, 41);
}

async fn an_idle_store_tells_of_nothing(kit: Kit) {
    assert_eq!(kit.store.last_event().await.unwrap(), 0);
    assert!(kit.store.events_after(0, 10).await.unwrap().is_empty());
    let mut changes = kit.store.changes();
    changes.mark_unchanged();
    kit.append(&name("mail"), "body").await;
    let told = tokio::time::timeout(std::time::Duration::from_secs(5), changes.changed()).await;
    told.expect("a commit tells whoever waits for one").unwrap();
}
