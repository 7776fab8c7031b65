//! Leases: one holder at a time, and whoever lost one writes nothing.

use std::time::Duration;

use tributary::model::{Batch, Cursor, Resend};
use tributary::store::{Access, Fence, StoreError};

use super::{Kit, mail, mail_channel, name, on_both, open, raw, start, ticket_of};

on_both! {
    a_lease_has_one_holder_and_is_taken_over_when_its_time_is_out
    a_zombie_writes_nothing
    a_takeover_waits_for_the_holders_transaction
    of_many_nodes_one_gets_the_lease
    a_lease_given_back_is_free_at_once
    rows_of_a_dead_node_are_adopted_and_those_of_a_living_one_are_not
}

async fn expire(kit: &Kit) {
    assert_eq!(kit.execute("UPDATE lease SET expires_at = 1").await, 1);
}

fn batch(key: &str, cursor: &str) -> Batch {
    Batch { raws: vec![raw(key, "body")], cursor: Some(Cursor::new(cursor)) }
}

async fn a_lease_has_one_holder_and_is_taken_over_when_its_time_is_out(kit: Kit) {
    let ((mine, other), channel) = (kit.two_nodes().await, name("mail"));
    let first = mine.take_lease(&channel).await.unwrap().unwrap();
    assert_eq!(first.epoch, 1);
    assert_eq!(other.take_lease(&channel).await.unwrap(), None);
    mine.renew(&first).await.unwrap();
    expire(&kit).await;
    // Nobody took it meanwhile: it can still be renewed.
    mine.renew(&first).await.unwrap();
    assert_eq!(other.take_lease(&channel).await.unwrap(), None);
    expire(&kit).await;
    let second = other.take_lease(&channel).await.unwrap().unwrap();
    assert_eq!(second.epoch, 2);
    assert!(
        matches!(mine.renew(&first).await, Err(StoreError::LeaseLost(lost)) if lost == channel)
    );
    assert_eq!(mine.take_lease(&channel).await.unwrap(), None);
    // A channel of another name is another lease.
    assert!(mine.take_lease(&name("other")).await.unwrap().is_some());
}

async fn a_zombie_writes_nothing(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail("anna@x.example", "one")).await);
    kit.reply(ticket, "an answer").await;
    let zombie = kit.store.take_lease(&channel.name).await.unwrap().unwrap();
    kit.store.append_pulled(&zombie, batch("a", "1"), start()).await.unwrap();
    let due = kit.store.due_deliveries(&channel.name, 10, start()).await.unwrap().pop().unwrap();
    let due = due.delivery.outbound.delivery;
    assert!(kit.store.begin_delivery(&zombie, due, None, start()).await.unwrap());

    expire(&kit).await;
    let other = kit.another().await;
    let holder = other.take_lease(&channel.name).await.unwrap().unwrap();
    other.append_pulled(&holder, batch("b", "2"), start()).await.unwrap();

    let lost = |outcome: Result<(), StoreError>| {
        assert!(matches!(outcome, Err(StoreError::LeaseLost(_))), "{outcome:?}");
    };
    let store = &kit.store;
    lost(store.append_pulled(&zombie, batch("c", "1"), start()).await.map(drop));
    lost(store.begin_delivery(&zombie, due, None, start()).await.map(drop));
    let state = tributary::model::DeliveryState::Failed { cause: "zombie".to_owned() };
    lost(store.settle_delivery(&zombie, due, state.into(), start()).await);
    lost(store.recover_deliveries(&zombie, Resend::Safe, start()).await.map(drop));
    store.release(&zombie).await.unwrap();

    assert_eq!(store.cursor(&channel.name).await.unwrap().unwrap().as_str(), "2");
    assert_eq!(kit.number("SELECT count(*) FROM journal WHERE dedupe = 'c'").await, 0);
    assert_eq!(kit.texts("SELECT state FROM delivery").await, ["sending"]);
    other.renew(&holder).await.unwrap();
}

/// What a holder has begun to write is written before somebody else may begin.
async fn a_takeover_waits_for_the_holders_transaction(kit: Kit) {
    let other = kit.another().await;
    for round in 0..10 {
        let channel = name(&format!("mail{round}"));
        let fence = kit.store.take_lease(&channel).await.unwrap().unwrap();
        kit.execute("UPDATE lease SET expires_at = 1").await;
        let batch = Batch {
            raws: (0..200).map(|number| raw(&format!("{round} {number}"), "body")).collect(),
            cursor: Some(Cursor::new("200")),
        };
        let (appended, taken) = tokio::join!(
            kit.store.append_pulled(&fence, batch, start()),
            other.take_lease(&channel)
        );
        let taken = taken.unwrap().expect("its time was out");
        assert_eq!(taken.epoch, 2);
        let count = format!("SELECT count(*) FROM journal WHERE channel = 'mail{round}'");
        let rows = kit.number(&count);
        match appended {
            Ok(appended) => assert_eq!((appended.new, rows.await), (200, 200)),
            Err(StoreError::LeaseLost(_)) => {
                assert_eq!(rows.await, 0);
                assert_eq!(kit.store.cursor(&channel).await.unwrap(), None);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn of_many_nodes_one_gets_the_lease(kit: Kit) {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(kit.another().await);
    }
    let channel = name("mail");
    for round in 1..=10 {
        let tries = nodes.iter().map(|node| node.take_lease(&channel));
        let taken: Vec<Fence> =
            futures::future::join_all(tries).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(taken.len(), 1, "round {round}: {taken:?}");
        assert_eq!(taken[0].epoch, round);
        expire(&kit).await;
        // The node that had it must not be the one that gets it for that reason alone.
        nodes.rotate_left(1);
    }
}

async fn a_lease_given_back_is_free_at_once(kit: Kit) {
    let ((mine, other), channel) = (kit.two_nodes().await, name("mail"));
    let fence = mine.take_lease(&channel).await.unwrap().unwrap();
    mine.release(&fence).await.unwrap();
    let next = other.take_lease(&channel).await.unwrap().unwrap();
    assert_eq!(next.epoch, fence.epoch + 1);
    // Giving back what somebody else has by now does nothing.
    mine.release(&fence).await.unwrap();
    assert_eq!(mine.take_lease(&channel).await.unwrap(), None);
}

async fn rows_of_a_dead_node_are_adopted_and_those_of_a_living_one_are_not(kit: Kit) {
    let other = kit.another().await;
    kit.append(&name("mail"), "of the first node").await;
    kit.store.beat().await.unwrap();
    if kit.is_postgres() {
        assert_eq!(other.beat().await.unwrap(), 0, "the first node lives");
        assert!(other.pending(10, 1000, start()).await.unwrap().is_empty());
        kit.execute("UPDATE node SET heart_beat_at = heart_beat_at - 61000").await;
    }
    assert_eq!(other.beat().await.unwrap(), 1);
    assert_eq!(other.pending(10, 1000, start()).await.unwrap().len(), 1);
    assert!(kit.store.pending(10, 1000, start()).await.unwrap().is_empty());
}

/// A daemon that was killed must not wait for the time of its own lease.
#[tokio::test]
async fn the_only_daemon_of_a_file_takes_what_the_one_before_left() {
    let kit = Kit::sqlite().await;
    let channel = name("mail");
    let left = kit.store.take_lease(&channel).await.unwrap().unwrap();
    let settings = tributary::store::StoreSettings { url: kit.url.clone(), readers: 1 };
    let refused = tributary::store::Store::open(&settings, kit.keys.clone(), Access::Daemon);
    assert!(
        matches!(refused.await, Err(StoreError::Refused(why)) if why.contains("another tributary"))
    );
    kit.store.close().await.unwrap();
    let restarted = open(&kit.url, &kit.keys, Access::Daemon).await;
    let taken = restarted.take_lease(&channel).await.unwrap().expect("nobody else can live");
    assert_eq!(taken.epoch, left.epoch + 1);
    assert!(matches!(restarted.renew(&left).await, Err(StoreError::LeaseLost(_))));
    // Beside it nobody gets it.
    assert_eq!(kit.another().await.take_lease(&channel).await.unwrap(), None);
    tokio::time::timeout(Duration::from_secs(5), restarted.close()).await.unwrap().unwrap();
}
