//! Many messages in both directions on bad days, and a ledger: each of them once.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tributary::model::DeliveryStatus;
use tributary::store::MessageFilter;

use super::{start, status_of};
use crate::support::receiver::Does;
use crate::support::rig::{Rig, pass};
use crate::support::twilio::{Act, NUMBER, Twilio, refusal};
use crate::support::{tell, wait_until};

const INBOUND: usize = 120;
const OUTBOUND: usize = 60;

/// How often each text is there, by direction.
async fn counted(rig: &Rig) -> BTreeMap<(String, String), usize> {
    let mut counted = BTreeMap::new();
    let mut filter = MessageFilter { limit: 200, ..MessageFilter::default() };
    loop {
        let page = rig.store.messages(&filter).await.unwrap();
        let Some(last) = page.last() else { return counted };
        filter.after = last.seq;
        for message in page {
            *counted.entry((message.direction, message.text)).or_insert(0) += 1;
        }
    }
}

/// Pushes are lost, doubled, late; calls are refused, cut, or end in doubt; news come twice or never.
#[tokio::test]
async fn sms_ledger_on_bad_days_each_message_is_there_once_and_goes_out_once() {
    let seed = rand::random::<u64>();
    tell(format_args!("seed {seed}"));
    let mut luck = StdRng::seed_from_u64(seed);
    let (rig, service) = start().await;
    faults(&service, seed);
    let mut late = Vec::new();
    for number in 0..INBOUND {
        let from = format!("+150055502{:02}", number % 20);
        let message = service.write(&from, NUMBER, &format!("in {number}"));
        match luck.random_range(0..4) {
            // Lost: only the list has it.
            0 => {}
            1 => assert_eq!(status_of(&rig, service.push(&message)).await, 200),
            2 => {
                for _ in 0..2 {
                    assert_eq!(status_of(&rig, service.push(&message)).await, 200);
                }
            }
            _ => late.push(message),
        }
    }
    for message in late {
        assert_eq!(status_of(&rig, service.push(&message)).await, 200);
    }
    let all_in = async || counted(&rig).await.len() >= INBOUND;
    wait_until("all that was written", Duration::from_secs(120), all_in).await;
    let filter = MessageFilter { limit: 200, ..MessageFilter::default() };
    let tickets: Vec<_> =
        rig.store.messages(&filter).await.unwrap().iter().map(|one| one.ticket_id).collect();
    for number in 0..OUTBOUND {
        rig.reply(tickets[number % tickets.len()], &format!("out {number}")).await;
    }
    let open = [DeliveryStatus::Queued, DeliveryStatus::Sending, DeliveryStatus::Unconfirmed];
    wait_until("all answers", Duration::from_secs(240), async || {
        pass(Duration::from_secs(5));
        // News of what went out, some of them.
        for sent in service.sent() {
            if sent.status == "queued" && luck.random_bool(0.5) {
                status_of(&rig, service.news(&sent, "delivered", None)).await;
            }
        }
        rig.outbox().await.iter().all(|row| !open.contains(&row.status))
    })
    .await;
    let counted = counted(&rig).await;
    for number in 0..INBOUND {
        let key = ("in".to_owned(), format!("in {number}"));
        assert_eq!(counted.get(&key), Some(&1), "{key:?}");
    }
    let mut went = BTreeMap::new();
    for sent in service.sent() {
        *went.entry(sent.body).or_insert(0) += 1;
    }
    for number in 0..OUTBOUND {
        assert_eq!(went.get(&format!("out {number}")), Some(&1), "out {number} of seed {seed}");
    }
    assert_eq!(went.len(), OUTBOUND);
    let failed =
        rig.outbox().await.iter().filter(|row| row.status == DeliveryStatus::Failed).count();
    assert_eq!(failed, 0);
    rig.engine.stop().await;
}

/// A third of all calls goes wrong.
fn faults(service: &Twilio, seed: u64) {
    let mut luck = StdRng::seed_from_u64(seed.wrapping_add(1));
    service.on_send(move |_| match luck.random_range(0..12) {
        0 => Act::TakeThen(Does::Close),
        1 => Act::TakeThen(Does::status(502)),
        2 => Act::Refuse(Does::Close),
        3 => Act::Refuse(refusal(429, 20_429, "Too Many Requests")),
        _ => Act::Take,
    });
    let mut luck = StdRng::seed_from_u64(seed.wrapping_add(2));
    service.on_list(move || luck.random_bool(0.15).then(|| Does::status(503)));
}
