//! Replies go out in order and at their time, over a server that refuses for a while and for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::agent::{Follower, insist, reply};
use crate::support::daemon::{Api, Daemon};
use crate::support::ledger::{Envelope, Kind, Ledger};
use crate::support::lmtp_client::{Greeting, hand_over};
use crate::support::office::{HEAD, MailChannel, wait_inbound};
use crate::support::sink::{Act, Sink};
use crate::support::{free_port, wait_until};

const DESK: &str = "desk@example.com";
const LIMIT: Duration = Duration::from_secs(60);

/// A daemon that gets mail by LMTP and sends to a sink.
struct Desk {
    daemon: Daemon,
    sink: Sink,
    lmtp: u16,
    ledger: Ledger,
    next: u32,
}

impl Desk {
    async fn open(name: &str) -> Self {
        Self::open_with(name, |channel| channel).await
    }

    async fn open_with(name: &str, change: impl FnOnce(MailChannel) -> MailChannel) -> Self {
        let (sink, lmtp) = (Sink::start(), free_port());
        let channel = MailChannel::new("desk", DESK).lmtp(lmtp).smtp(sink.port(), "");
        let daemon = Daemon::start(&format!("{HEAD}{}", change(channel).text())).await;
        Self { daemon, sink, lmtp, ledger: Ledger::new(name), next: 0 }
    }

    fn api(&self) -> Api {
        self.daemon.api()
    }

    fn write(&mut self, from: &str, in_reply_to: &str) -> u32 {
        let number = self.next;
        self.next += 1;
        let envelope = Envelope { from, to: DESK, in_reply_to, ..Envelope::default() };
        let mail = self.ledger.mail(number, &envelope);
        let answer = hand_over(self.lmtp, Greeting::Lmtp, (from, DESK), &mail).unwrap();
        assert_eq!(answer.code, 250, "{}", answer.text);
        number
    }

    /// One ticket for each of so many customers.
    async fn tickets(&mut self, count: usize) -> Vec<String> {
        for number in 0..count {
            self.write(&format!("customer{number}@customer.example"), "");
        }
        let mut follower = Follower::new(self.api());
        wait_inbound(&mut follower, count, LIMIT).await;
        let messages = follower.messages().iter().filter(|one| one["direction"] == "in");
        messages.map(|one| one["ticket_id"].as_str().unwrap().to_owned()).collect()
    }

    async fn wait_status(&self, message: &Value, status: &str) -> Value {
        let path = format!("/messages/{}", message["id"].as_str().unwrap());
        let mut last = Value::Null;
        wait_until(&format!("a delivery that is {status}"), LIMIT, async || {
            last = insist(async || self.api().try_get(&path).await).await.body;
            last["delivery"]["status"] == status
        })
        .await;
        last
    }

    /// The numbers of the replies that arrived, in order.
    fn arrived(&self) -> Vec<u32> {
        let taken = self.sink.taken();
        let numbers = taken.iter().map(|one| self.ledger.number(Kind::Reply, &one.text));
        numbers.map(|number| number.unwrap().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_keeps_its_order_while_the_server_says_not_now() {
    let mut desk = Desk::open("order").await;
    let tickets = desk.tickets(2).await;
    let refusals = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refusals);
    desk.sink.decide(move |offer| {
        let first = offer.recipients[0].starts_with("customer0@");
        if first && count.fetch_add(1, Ordering::SeqCst) < 4 {
            Act::RefuseRecipient("450 4.2.0 busy")
        } else {
            Act::Take
        }
    });
    let api = desk.api();
    let mut last = Value::Null;
    for number in 0..4 {
        last = reply(&api, &desk.ledger, &tickets[0], number).await;
    }
    let other = reply(&api, &desk.ledger, &tickets[1], 100).await;
    // The other conversation does not wait for this one.
    desk.wait_status(&other, "sent").await;
    assert_eq!(desk.arrived(), [100]);
    desk.wait_status(&last, "sent").await;
    assert_eq!(desk.arrived(), [100, 0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_now_is_tried_again_more_and_more_slowly_and_never_is_not() {
    // FAULTS 103, 104
    let mut desk = Desk::open_with("back-off", |channel| channel.retry(1, 8)).await;
    let tickets = desk.tickets(2).await;
    let offers = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&offers);
    desk.sink.decide(move |offer| {
        if offer.recipients[0].starts_with("customer1@") {
            return Act::RefuseRecipient("550 5.1.1 no such customer");
        }
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        if seen.len() < 5 { Act::RefuseRecipient("451 4.7.1 greylisted") } else { Act::Take }
    });
    let api = desk.api();
    let slow = reply(&api, &desk.ledger, &tickets[0], 0).await;
    let never = reply(&api, &desk.ledger, &tickets[1], 1).await;
    let failed = desk.wait_status(&never, "failed").await;
    let error = failed["delivery"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("no such customer"), "the server's own words: {failed}");
    let waiting = desk.wait_status(&slow, "queued").await;
    assert!(waiting["delivery"]["next_attempt_at"].is_string(), "{waiting}");
    let sent = desk.wait_status(&slow, "sent").await;
    assert_eq!(sent["delivery"]["attempts"], 5);
    // With jitter each pause is between a tenth and the whole of 1, 2, 4, 8 seconds.
    let offers = offers.lock().unwrap();
    for (pair, full) in offers.windows(2).zip([1.0, 2.0, 4.0, 8.0]) {
        let pause = (pair[1] - pair[0]).as_secs_f32();
        assert!(pause > full * 0.09, "{pause} s of {full} s");
    }
    assert_eq!(desk.arrived(), [0]);
    assert_eq!(desk.sink.offers(), 6, "five times now, once never");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_reply_is_cancelled_if_the_customer_writes_first() {
    // COMPLAINTS A6
    let mut desk = Desk::open("planned").await;
    let tickets = desk.tickets(2).await;
    let api = desk.api();
    let mut planned = Vec::new();
    for (number, ticket) in (0..).zip(&tickets) {
        let at = chrono::Utc::now() + chrono::Duration::seconds(6);
        let body = json!({
            "kind": "reply", "text": desk.ledger.text(Kind::Reply, number),
            "send_at": at.to_rfc3339(), "unless_answered": true,
        });
        let answer = api.post(&format!("/tickets/{ticket}/messages"), &body, "").await.unwrap();
        assert_eq!(answer.status.as_u16(), 202, "{answer:?}");
        planned.push((answer.body, Instant::now()));
    }
    let first = desk.ledger.message_id(0);
    desk.write("customer0@customer.example", &first);
    let cancelled = desk.wait_status(&planned[0].0, "cancelled").await;
    assert!(!cancelled["delivery"]["error"].as_str().unwrap_or_default().is_empty());
    // It is held up by nothing, and holds nothing up.
    let now = reply(&api, &desk.ledger, &tickets[0], 10).await;
    desk.wait_status(&now, "sent").await;
    desk.wait_status(&planned[1].0, "sent").await;
    assert!(planned[1].1.elapsed() >= Duration::from_secs(5), "not before its time");
    assert_eq!(desk.arrived(), [10, 1]);
}
