//! Leases that are lost, stores that are away.

use std::time::Duration;

use tributary::engine::{Part, State};

use super::{LIMIT, Rig, Wanted};
use crate::store::{Kit, agent, name};
use crate::support::wait_until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_lost_the_lease_writes_nothing_more() {
    let kit = Kit::sqlite().await;
    // Beside the daemon, so that the rules of several nodes hold.
    let store = kit.another().await;
    kit.store.close().await.unwrap();
    let kit = Kit { store: store.clone(), ..kit };
    let rig = Rig::with(kit, store, &Wanted::usual());
    let anna = rig.ticket("anna").await;
    rig.service.hold();
    rig.reply(anna, "in the air").await;
    rig.wait_calls(1).await;
    // Another node takes the channel, as it may when this one stood still.
    let taken = "UPDATE lease SET epoch = epoch + 1, node = x'00112233445566778899aabbccddeeff'";
    assert_eq!(rig.kit.execute(taken).await, 1);
    rig.service.put("bob is not heard");
    rig.service.release(1);
    rig.wait_state(Part::Receive, |state| *state == State::WaitingForLease).await;
    rig.reply(anna, "for the other node").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.statuses().await, ["sending", "queued"], "it wrote without a lease");
    assert_eq!(rig.kit.store.cursor(&name("mail")).await.unwrap().unwrap().as_str(), "1");
    assert_eq!(rig.messages().await, 3);
    // It gets it back: what was in the air is for a person to decide.
    rig.kit.execute("UPDATE lease SET expires_at = 1").await;
    rig.service.release(10);
    rig.wait_statuses(&["unconfirmed", "sent"]).await;
    wait_until("bob", LIMIT, async || rig.messages().await == 4).await;
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_written_as_soon_as_the_store_is_back() {
    let rig = Rig::start(&Wanted::usual()).await;
    let anna = rig.ticket("anna").await;
    rig.service.hold();
    rig.reply(anna, "in the air").await;
    rig.wait_calls(1).await;
    rig.kit.execute("ALTER TABLE event RENAME TO event_gone").await;
    rig.service.release(1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.statuses().await, ["sending"]);
    rig.kit.execute("ALTER TABLE event_gone RENAME TO event").await;
    rig.wait_statuses(&["sent"]).await;
    assert_eq!(rig.service.count(), 1, "it was sent again");
    rig.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_not_undone_by_what_was_read_before_it() {
    let rig = Rig::start(&Wanted::usual()).await;
    let mail = name("mail");
    rig.ticket("anna").await;
    for round in 0..30 {
        let paused = round % 2 == 0;
        rig.engine.set_paused(&mail, paused, agent()).await.unwrap();
        let states = rig.kit.store.channel_states().await.unwrap();
        assert_eq!(states[0].paused, paused);
    }
    rig.engine.set_paused(&mail, true, agent()).await.unwrap();
    rig.wait_state(Part::Receive, |state| *state == State::Paused).await;
    // More than one turn of housekeeping later it still stands.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(rig.state(Part::Receive), Some(State::Paused));
    assert!(rig.engine.set_paused(&name("other"), true, agent()).await.is_err());
    rig.engine.stop().await;
}
