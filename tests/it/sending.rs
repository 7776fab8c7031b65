//! Replies go out once, in order, and what is not known is said: an SMTP server that stalls, drops, refuses
//! for a while and for good, and a daemon that dies between «sent» and «noted».

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::console;
use crate::support::agent::{Follower, deliveries, insist, reply, resend};
use crate::support::browser::Screen;
use crate::support::daemon::{Api, Daemon};
use crate::support::dovecot::Dovecot;
use crate::support::ledger::{Envelope, Kind, Ledger};
use crate::support::lmtp_client::{Greeting, hand_over};
use crate::support::office::{HEAD, MailChannel, wait_channel, wait_inbound};
use crate::support::postfix::Postfix;
use crate::support::sink::{Act, Sink};
use crate::support::{free_port, tell, wait_until};

const DESK: &str = "desk@example.com";
const WORD: &str = "the-desk's-word";
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
async fn a_mail_whose_250_never_comes_is_unconfirmed_and_not_sent_again() {
    // COMPLAINTS D12; FAULTS 105
    let mut desk = Desk::open("no 250").await;
    let tickets = desk.tickets(2).await;
    desk.sink.decide(|offer| match offer.recipients[0].starts_with("customer0@") {
        true => Act::TakeAndDrop,
        false => Act::TakeAndStall(Duration::from_secs(6)),
    });
    let api = desk.api();
    let dropped = reply(&api, &desk.ledger, &tickets[0], 0).await;
    let stalled = reply(&api, &desk.ledger, &tickets[1], 1).await;
    let unsure = desk.wait_status(&dropped, "unconfirmed").await;
    assert!(!unsure["delivery"]["error"].as_str().unwrap_or_default().is_empty(), "{unsure}");
    // One that only takes its time is waited for, not doubted.
    desk.wait_status(&stalled, "sent").await;
    // Others go out meanwhile and after; this one does not by itself, not even over a restart.
    desk.sink.decide(|_| Act::Take);
    desk.daemon.kill();
    desk.daemon.start_again().await;
    let after = reply(&api, &desk.ledger, &tickets[1], 2).await;
    desk.wait_status(&after, "sent").await;
    let mut arrived = desk.arrived();
    arrived.sort_unstable();
    assert_eq!(arrived, [0, 1, 2]);
    // Until an agent wants it: the same mail, so that the customer's program knows it again.
    assert!(resend(&api, unsure["delivery"]["id"].as_str().unwrap()).await.status.is_success());
    desk.wait_status(&dropped, "sent").await;
    let copies: Vec<_> = desk
        .sink
        .taken()
        .into_iter()
        .filter(|one| desk.ledger.number(Kind::Reply, &one.text) == Some(Ok(0)))
        .collect();
    assert_eq!(copies.len(), 2);
    assert_eq!(copies[0].message_id, copies[1].message_id);
    assert_eq!(copies[0].bytes, copies[1].bytes, "the same to the last byte");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_decides_in_the_console_on_what_may_have_been_sent() {
    let sink = Sink::start();
    let configuration = console::sending_to(sink.port());
    let first = console::mail(1, "Ann", "One", "first");
    let desk = console::Desk::open_with(Screen::Desktop, &configuration, &[first]).await;
    console::ingest(&desk.daemon, &console::mail(2, "Bob", "Two", "second"));
    let api = desk.daemon.api();
    for (ticket, words, then) in [("1", "Send again", "sent"), ("2", "Leave it", "cancelled")] {
        sink.decide(|_| Act::TakeAndDrop);
        let reply = api.reply(ticket, "Here you are", ticket).await;
        let path = format!("/messages/{}", reply["id"].as_str().unwrap());
        let becomes = async |status: &str| {
            wait_until(&format!("a delivery that is {status}"), LIMIT, async || {
                api.get(&path).await["delivery"]["status"] == status
            })
            .await;
        };
        becomes("unconfirmed").await;
        sink.decide(|_| Act::Take);
        desk.browser.run(&format!("location.hash = '#/ticket/{ticket}'"), json!([])).await;
        let choice = format!(
            "return document.querySelector('.title .small')?.textContent.startsWith('#{ticket} ') \
             && [...document.querySelectorAll('.delivery.trouble button')].find((one) => one.textContent === '{words}')"
        );
        let choice = desk.browser.element(words, &choice).await;
        desk.browser.click(&choice).await;
        becomes(then).await;
    }
    assert_eq!(sink.taken().len(), 3, "twice to Ann, who was to have it again, and once to Bob");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_deaths_between_sent_and_noted_double_nothing() {
    // COMPLAINTS D14; FAULTS 6
    const DEATHS: u32 = 100;
    let mut desk = Desk::open("sent and noted").await;
    let tickets = desk.tickets(10).await;
    let api = desk.api();
    desk.daemon.kill();
    desk.daemon.set_environment("TRIBUTARY_FAILPOINT", "lane.delivered");
    let began = Instant::now();
    for number in 0..DEATHS {
        desk.daemon.start_again().await;
        reply(&api, &desk.ledger, &tickets[number as usize % 10], number).await;
        assert_eq!(desk.daemon.wait_end(LIMIT), None, "it died by a signal");
    }
    tell(format_args!("sent and noted: {DEATHS} deaths in {:?}", began.elapsed()));
    desk.daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    desk.daemon.start_again().await;
    let last = reply(&api, &desk.ledger, &tickets[0], DEATHS).await;
    desk.wait_status(&last, "sent").await;
    assert_eq!(deliveries(&api, "unconfirmed").await.len(), DEATHS as usize);
    assert_eq!(desk.arrived(), (0..=DEATHS).collect::<Vec<u32>>());
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
async fn a_paused_channel_sends_nothing_more_from_that_moment_on() {
    // COMPLAINTS B2: the kill switch holds what is queued too.
    let mut desk = Desk::open("kill switch").await;
    let tickets = desk.tickets(30).await;
    desk.sink.decide(|_| Act::TakeAndStall(Duration::from_millis(300)));
    let api = desk.api();
    for (number, ticket) in (0..).zip(&tickets) {
        reply(&api, &desk.ledger, ticket, number).await;
    }
    wait_until("the first mails", LIMIT, async || desk.sink.count() > 2).await;
    let paused = api.post("/channels/desk/pause", &json!({}), "").await.unwrap();
    assert!(paused.status.is_success(), "{paused:?}");
    // What is under way may end: two connections.
    let at_most = desk.sink.count() + 2;
    wait_channel(&api, "desk", &["paused"], LIMIT).await;
    reply(&api, &desk.ledger, &tickets[0], 100).await;
    // A restart does not set it free.
    desk.daemon.stop();
    desk.daemon.start_again().await;
    wait_channel(&api, "desk", &["paused"], LIMIT).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(desk.sink.count() <= at_most, "{} of at most {at_most}", desk.sink.count());
    // One that nobody wants any more is taken out meanwhile.
    let queued = deliveries(&api, "queued").await;
    let unwanted = queued.last().unwrap()["id"].as_str().unwrap().to_owned();
    let cancel = format!("/outbox/{unwanted}/cancel");
    let cancelled = api.post(&cancel, &json!({}), "").await.unwrap();
    assert!(cancelled.status.is_success(), "{cancelled:?}");
    desk.sink.decide(|_| Act::Take);
    assert!(api.post("/channels/desk/resume", &json!({}), "").await.unwrap().status.is_success());
    wait_until("the rest", LIMIT, async || desk.sink.count() == 30).await;
    wait_until("an empty outbox", LIMIT, async || deliveries(&api, "queued").await.is_empty())
        .await;
    let mut arrived = desk.arrived();
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived.len(), 30, "each once, but for the one that was cancelled");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_pauses_sending_and_says_so() {
    let dovecot = Dovecot::start(&[(DESK, WORD), ("anna@customer.example", "hers")]);
    let postfix = Postfix::start(&dovecot);
    let lmtp = free_port();
    let with = |password: &str| {
        let send = format!(
            "host = \"127.0.0.1\"\nport = {}\ntls = \"starttls\"\nserver_name = \"localhost\"\n\
             ca_file = \"{}\"\nusername = \"{DESK}\"\npassword = \"{password}\"",
            postfix.submission_port(),
            dovecot.authority_file().display()
        );
        let channel = MailChannel::new("desk", DESK).lmtp(lmtp).table("send", &send);
        format!("{HEAD}{}", channel.text())
    };
    let mut daemon = Daemon::start(&with("canary-wrong")).await;
    let (api, ledger) = (daemon.api(), Ledger::new("password"));
    let write = |number: u32| {
        let envelope = Envelope { from: "anna@customer.example", to: DESK, ..Envelope::default() };
        let mail = ledger.mail(number, &envelope);
        hand_over(lmtp, Greeting::Lmtp, (envelope.from, DESK), &mail).unwrap()
    };
    assert_eq!(write(0).code, 250);
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, 1, LIMIT).await;
    let ticket = follower.messages()[0]["ticket_id"].as_str().unwrap().to_owned();
    for number in 0..5 {
        reply(&api, &ledger, &ticket, number).await;
    }
    let state = wait_channel(&api, "desk", &["needs_human"], LIMIT).await;
    assert!(!state["cause"].as_str().unwrap_or_default().is_empty(), "{state}");
    // Receiving goes on, nothing is lost, and the server is not asked again and again.
    assert_eq!(write(1).code, 250);
    wait_inbound(&mut follower, 2, LIMIT).await;
    let failures = postfix.log().matches("authentication failed").count();
    assert!((1..=2).contains(&failures), "{failures} logins");
    assert!(deliveries(&api, "failed").await.is_empty());
    daemon.configure(&with(WORD));
    daemon.signal(crate::support::Signal::Hup);
    wait_until("the replies", LIMIT, async || dovecot.count("anna@customer.example", "INBOX") == 5)
        .await;
    wait_channel(&api, "desk", &["running"], LIMIT).await;
    assert!(!daemon.log().contains("canary-wrong"));
}
