//! The kill test: SIGKILL at random moments, at each named step and at the edges of the protocols, while
//! mail flows in both ways. In the end every mail is there once and every reply has arrived.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::Rng as _;
use serde_json::Value;
use tributary::engine::failpoint::STEPS;

use crate::support::agent::{
    Follower, Issued, audit_histories, audit_inbound, deliveries, insist, reply, resend, sender,
    set_status,
};
use crate::support::daemon::{Api, Daemon};
use crate::support::dovecot::Dovecot;
use crate::support::free_port;
use crate::support::ledger::{Envelope, Findings, Kind, Ledger};
use crate::support::lmtp_client::{Greeting, hand_over};
use crate::support::office::{HEAD, MailChannel, inbound};
use crate::support::postgres::Database;
use crate::support::proxy::Proxy;
use crate::support::sink::{Act, Sink, Taken};
use crate::support::tell;

const BY_IMAP: &str = "desk@example.com";
const BY_LMTP: &str = "post@example.com";
/// Must be nowhere in a log.
const PASSWORD: &str = "canary-7f3e-imap-password";
const MASTER_KEY: &str = "Y2FuYXJ5LW1hc3Rlci1rZXktb2YtdGhlLXRlc3QtISE=";
/// Customers take turns; each has tickets on both channels.
const CUSTOMERS: u32 = 40;

/// How large a run is.
struct Size {
    name: &'static str,
    kills: usize,
    mails: u32,
    replies: u32,
    daemons: usize,
    /// How long a daemon may live before it is killed.
    life: Duration,
    drain: Duration,
}

/// What the actors share.
struct World {
    size: Size,
    ledger: Ledger,
    sink: Sink,
    /// What somebody took with a promise.
    issued: Mutex<BTreeMap<u32, Issued>>,
    /// Replies of ours that customers have not answered yet: customer and Message-ID.
    answerable: Mutex<VecDeque<(String, String)>>,
    kills: AtomicUsize,
    /// The sink has a mail whose 250 was not said yet: a good moment.
    edge: Arc<AtomicBool>,
    /// The test is over, perhaps by a panic: nobody waits for anything any more.
    over: AtomicBool,
    redeliveries: AtomicUsize,
}

impl World {
    /// How many of `whole` should have been done by now, so that the flow lasts as long as the killing.
    fn share(&self, whole: u32) -> u32 {
        let done = self.kills.load(Ordering::SeqCst) + 2;
        u32::try_from(whole as usize * done / self.size.kills).unwrap().min(whole)
    }

    fn wait_for_turn(&self, number: u32) {
        while number >= self.share(self.size.mails) {
            self.pause();
        }
    }

    fn pause(&self) {
        assert!(!self.over.load(Ordering::SeqCst), "another actor gave up");
        std::thread::sleep(Duration::from_millis(10));
    }

    /// Who writes mail `number`, and what it answers.
    fn next_mail(&self, number: u32, to: &str) -> (Vec<u8>, String) {
        let answered = (number % 3 == 2).then(|| self.answerable.lock().unwrap().pop_front());
        let (from, parent) = answered.flatten().unwrap_or_else(|| {
            (format!("customer{}@customer.example", number % CUSTOMERS), String::new())
        });
        let envelope = Envelope { from: &from, to, in_reply_to: &parent, ..Envelope::default() };
        (self.ledger.mail(number, &envelope), from)
    }

    fn note(&self, number: u32, channel: &str, from: String) {
        let issued = Issued { channel: channel.to_owned(), from };
        self.issued.lock().unwrap().insert(number, issued);
    }

    /// Even numbers go into the mailbox; Dovecot is never killed.
    fn feed_dovecot(&self, dovecot: &Dovecot) {
        let mut session = dovecot.lmtp_client();
        for number in (0..self.size.mails).step_by(2) {
            self.wait_for_turn(number);
            let (mail, from) = self.next_mail(number, BY_IMAP);
            session.send(&from, BY_IMAP, &mail);
            self.note(number, "by_imap", from);
        }
    }

    /// Odd numbers go to the daemon itself, which may die while it takes one: then it gets it again.
    fn feed_lmtp(&self, ports: &[u16]) {
        let mut luck = self.ledger.luck(1);
        for number in (1..self.size.mails).step_by(2) {
            self.wait_for_turn(number);
            let (mail, from) = self.next_mail(number, BY_LMTP);
            loop {
                let port = ports[luck.random_range(0..ports.len())];
                match hand_over(port, Greeting::Lmtp, (&from, BY_LMTP), &mail) {
                    Ok(answer) if answer.code == 250 => break,
                    Ok(answer) => assert!((400..500).contains(&answer.code), "{}", answer.text),
                    Err(_) => {}
                }
                self.redeliveries.fetch_add(1, Ordering::SeqCst);
                self.pause();
            }
            self.note(number, "by_lmtp", from);
        }
    }

    /// Replies to what came in, decides on what is unconfirmed, moves tickets about.
    async fn be_agent(&self, api: &Api) -> BTreeMap<u32, Value> {
        let mut follower = Follower::new(api.clone());
        let mut replies = BTreeMap::new();
        let mut waiting = VecDeque::new();
        let mut number = 0;
        while number < self.size.replies || self.kills.load(Ordering::SeqCst) < self.size.kills {
            let new = follower.turn().await;
            waiting.extend(new.into_iter().filter(|message| message["direction"] == "in"));
            while number < self.share(self.size.replies) {
                let Some(message) = waiting.pop_front() else { break };
                let ticket = message["ticket_id"].as_str().unwrap().to_owned();
                let queued = reply(api, &self.ledger, &ticket, number).await;
                if number.is_multiple_of(5) {
                    // A program that did not see the answer asks again.
                    let again = reply(api, &self.ledger, &ticket, number).await;
                    assert_eq!(again["id"], queued["id"], "the same key is the same reply");
                }
                if number.is_multiple_of(7) {
                    let status = if number.is_multiple_of(2) { "pending" } else { "solved" };
                    set_status(api, &ticket, status).await;
                }
                replies.insert(number, queued);
                number += 1;
            }
            self.decide(api).await;
            self.read_post();
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        replies
    }

    /// Three of four unconfirmed deliveries are sent again, the others left as they are.
    async fn decide(&self, api: &Api) {
        for delivery in deliveries(api, "unconfirmed").await {
            let id = delivery["id"].as_str().unwrap();
            if !is_left(id) {
                resend(api, id).await;
            }
        }
    }

    /// Customers who got a reply may answer it.
    fn read_post(&self) {
        let taken = self.sink.taken();
        let mut answerable = self.answerable.lock().unwrap();
        let luck = usize::try_from(self.ledger.seed() % 7).unwrap();
        if answerable.len() < 20 && !taken.is_empty() {
            let mail = &taken[(taken.len() * 5 / 7 + luck).min(taken.len() - 1)];
            answerable.push_back((mail.recipients[0].clone(), mail.message_id.clone()));
        }
    }

    /// A server as it is on a bad day.
    fn make_sink_moody(&self) {
        let (mut luck, edge) = (self.ledger.luck(2), Arc::clone(&self.edge));
        self.sink.decide(move |_| match luck.random_range(0..100) {
            0 | 1 => Act::RefuseMail("451 4.3.0 not now"),
            2 => Act::RefuseRecipient("450 4.2.0 busy"),
            3 => Act::TakeAndDrop,
            4 => Act::Drop,
            5..9 => {
                edge.store(true, Ordering::SeqCst);
                Act::TakeAndStall(Duration::from_millis(300))
            }
            _ => Act::Take,
        });
    }
}

/// Says that the test is over, however it ends.
struct Bell<'w>(&'w AtomicBool);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whether the agent leaves this unconfirmed delivery as it is.
fn is_left(delivery: &str) -> bool {
    delivery.bytes().last().unwrap().is_ascii_digit() && delivery.ends_with(['0', '1', '2', '3'])
}

fn configuration(dovecot: &Dovecot, lmtp: u16, sink: u16, store: &str) -> String {
    let imap = MailChannel::new("by_imap", BY_IMAP)
        .imap(dovecot.imap_port(), BY_IMAP, PASSWORD, "")
        .smtp(sink, "")
        .text();
    let lmtp = MailChannel::new("by_lmtp", BY_LMTP).lmtp(lmtp).smtp(sink, "").text();
    format!("{HEAD}{store}{imap}{lmtp}")
}

/// Kills `daemons` until it was done often enough. Returns the times from start to ready.
async fn kill_them(world: &World, daemons: &mut [Daemon], api: &Proxy) -> Vec<Duration> {
    let mut luck = world.ledger.luck(3);
    let mut starts = Vec::new();
    let mut round = 0;
    while world.kills.load(Ordering::SeqCst) < world.size.kills {
        for daemon in daemons.iter_mut() {
            if daemon.is_running() {
                continue;
            }
            // The wish for a step is in the way of a message; the count says in which of them.
            let step = STEPS[round % STEPS.len()];
            round += 1;
            let by_step = luck.random_bool(0.5) && step != "hook.appended";
            let wish = format!("{step}:{}", luck.random_range(1..=6));
            daemon.set_environment("TRIBUTARY_FAILPOINT", if by_step { &wish } else { "" });
            let began = Instant::now();
            daemon.spawn();
            if !by_step && luck.random_bool(0.1) {
                tokio::time::sleep(Duration::from_millis(luck.random_range(5..150))).await;
                count(world, daemon);
            } else if came_up(daemon, by_step).await {
                starts.push(began.elapsed());
            } else {
                count(world, daemon);
            }
        }
        let Some(victim) = (0..daemons.len())
            .cycle()
            .skip(luck.random_range(0..daemons.len()))
            .take(daemons.len())
            .find(|place| daemons[*place].is_running())
        else {
            continue;
        };
        api.retarget(daemons[victim].port());
        let longest = u64::try_from(world.size.life.as_millis()).unwrap();
        let life = Duration::from_millis(luck.random_range(longest / 10..longest));
        let end = Instant::now() + life;
        while Instant::now() < end && daemons[victim].is_running() {
            if world.edge.swap(false, Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        count(world, &mut daemons[victim]);
        let next = (victim + 1) % daemons.len();
        api.retarget(daemons[next].port());
        api.reset_all();
    }
    // What is still to be handed over and ordered finds a daemon that is left alone.
    for daemon in daemons.iter_mut() {
        daemon.kill();
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
    }
    starts
}

fn count(world: &World, daemon: &mut Daemon) {
    // A step may have been faster; then it is dead all the same.
    daemon.kill();
    world.kills.fetch_add(1, Ordering::SeqCst);
}

/// Waits for readiness; false if a step killed it before.
async fn came_up(daemon: &mut Daemon, may_die: bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = format!("http://127.0.0.1:{}/readyz", daemon.port());
    loop {
        let answer = client.get(&address).timeout(Duration::from_secs(2)).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return true;
        }
        if !daemon.is_running() {
            assert!(may_die, "the daemon ended by itself:\n{}", tail(&daemon.log()));
            return false;
        }
        assert!(Instant::now() < deadline, "the daemon did not come up:\n{}", tail(&daemon.log()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// What must be true of the replies.
async fn audit_replies(
    world: &World,
    api: &Api,
    replies: &BTreeMap<u32, Value>,
    messages: &[Value],
    findings: &mut Findings,
) -> (usize, usize) {
    let mut copies: BTreeMap<u32, Vec<Taken>> = BTreeMap::new();
    for taken in world.sink.taken() {
        match world.ledger.number(Kind::Reply, &taken.text) {
            Some(Ok(number)) => copies.entry(number).or_default().push(taken),
            Some(Err(why)) => findings.add("out.corrupt", why),
            None => findings.add("out.never_ordered", taken.text),
        }
    }
    let customers: BTreeMap<&str, &str> = messages
        .iter()
        .filter(|message| message["direction"] == "in")
        .map(|message| (message["ticket_id"].as_str().unwrap(), sender(message)))
        .collect();
    let (mut doubles, mut left) = (0, 0);
    for (number, queued) in replies {
        let id = queued["id"].as_str().unwrap();
        let message = insist(async || api.try_get(&format!("/messages/{id}")).await).await.body;
        let (ticket, delivery) = (message["ticket_id"].as_str().unwrap(), &message["delivery"]);
        let came = copies.remove(number).unwrap_or_default();
        match delivery["status"].as_str().unwrap_or_default() {
            "sent" if came.is_empty() => findings.add("out.lost", format!("{number}: {delivery}")),
            "sent" => {}
            "unconfirmed" if is_left(delivery["id"].as_str().unwrap()) => left += 1,
            other => findings.add("out.status_wrong", format!("{number}: {other}: {delivery}")),
        }
        if came.len() > 1 {
            doubles += came.len() - 1;
            let unsure = unsure(api, ticket, &delivery["id"]).await;
            if came.len() > 1 + unsure {
                let text = format!("{number}: {} copies, {unsure} times unconfirmed", came.len());
                findings.add("out.excess_dup", text);
            }
        }
        let ids: BTreeSet<&str> = came.iter().map(|taken| taken.message_id.as_str()).collect();
        let known = delivery["external_id"].as_str().unwrap_or_default();
        if ids.len() > 1 || ids.iter().any(|id| id.trim_matches(['<', '>']) != known) {
            findings.add("out.message_id", format!("{number}: {ids:?}, known as {known}"));
        }
        for taken in &came {
            if taken.recipients != [customers[ticket]] {
                findings.add("out.misdelivered", format!("{number}: {:?}", taken.recipients));
            }
        }
    }
    for number in copies.keys() {
        findings.add("out.never_ordered", format!("number {number}"));
    }
    for complaint in world.sink.complaints() {
        findings.add("out.protocol", complaint);
    }
    (doubles, left)
}

/// How often the history says that a delivery was unconfirmed.
async fn unsure(api: &Api, ticket: &str, delivery: &Value) -> usize {
    let events = api.all(&format!("/tickets/{ticket}/events")).await;
    let of_it = events.iter().filter(|event| event["data"]["id"] == *delivery);
    of_it.filter(|event| event["data"]["status"] == "unconfirmed").count()
}

/// Nothing secret and no word of a customer may be in a log.
fn audit_log(world: &World, log: &str, token: &str, findings: &mut Findings) {
    for secret in [PASSWORD, MASTER_KEY, token] {
        if log.contains(secret) {
            findings.add("secret.leak", secret);
        }
    }
    if log.contains(&format!("[[L{}", world.ledger.seed())) {
        findings.add("secret.leak", "the text of a message");
    }
    for line in log.lines().filter(|line| line.contains("panicked")) {
        findings.add("panic", line);
    }
}

/// Waits until nothing is under way any more; what never ends is a finding, and the audit says what it was.
async fn drain(world: &World, api: &Api, findings: &mut Findings) -> Duration {
    let began = Instant::now();
    let mut follower = Follower::new(api.clone());
    loop {
        follower.turn().await;
        world.decide(api).await;
        let expected = world.issued.lock().unwrap().len();
        let came = inbound(follower.messages());
        let unsure = deliveries(api, "unconfirmed").await;
        let left = unsure.iter().all(|delivery| is_left(delivery["id"].as_str().unwrap()));
        let busy = deliveries(api, "queued,sending").await.len();
        if came >= expected && left && busy == 0 {
            return began.elapsed();
        }
        if began.elapsed() > world.size.drain {
            let text = format!("{came} of {expected} mails, {busy} deliveries under way");
            findings.add("drain", text);
            return began.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn run(size: Size, store: Option<&Database>) {
    let ledger = Ledger::new(size.name);
    let dovecot = Dovecot::start(&[(BY_IMAP, PASSWORD)]);
    let world = Arc::new(World {
        ledger,
        sink: Sink::start(),
        issued: Mutex::default(),
        answerable: Mutex::default(),
        kills: AtomicUsize::new(0),
        edge: Arc::default(),
        over: AtomicBool::new(false),
        redeliveries: AtomicUsize::new(0),
        size,
    });
    let ports: Vec<u16> = (0..world.size.daemons).map(|_| free_port()).collect();
    let mut daemons = Vec::new();
    for port in &ports {
        let place = store.map_or_else(String::new, |database| {
            format!("[store]\nurl = \"{}\"\nmaster_key = \"{MASTER_KEY}\"\n", database.url())
        });
        daemons.push(Daemon::prepare(&configuration(&dovecot, *port, world.sink.port(), &place)));
    }
    for daemon in &mut daemons {
        daemon.start_again().await;
    }
    let proxy = Proxy::to(daemons[0].port());
    let token = daemons[0].create_token("admin");
    let api = Api::new(format!("http://127.0.0.1:{}", proxy.port()), token.clone());
    world.make_sink_moody();
    let began = Instant::now();
    let (starts, replies) = std::thread::scope(|scope| {
        scope.spawn(|| world.feed_dovecot(&dovecot));
        scope.spawn(|| world.feed_lmtp(&ports));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                // The feeders are waited for as soon as this closure ends; a panic must let them go.
                let bell = Bell(&world.over);
                let both =
                    tokio::join!(kill_them(&world, &mut daemons, &proxy), world.be_agent(&api));
                std::mem::forget(bell);
                both
            })
        })
    });
    let killing = began.elapsed();
    world.sink.decide(|_| Act::Take);
    report(&world, &api, &replies, &daemons, &token, (starts, killing)).await;
}

/// Audits, prints the figures, and fails unless all is well.
async fn report(
    world: &World,
    api: &Api,
    replies: &BTreeMap<u32, Value>,
    daemons: &[Daemon],
    token: &str,
    (mut starts, killing): (Vec<Duration>, Duration),
) {
    let mut findings = Findings::default();
    let drained = drain(world, api, &mut findings).await;
    let mut follower = Follower::new(api.clone());
    follower.turn().await;
    let issued = world.issued.lock().unwrap().clone();
    audit_inbound(&world.ledger, &issued, follower.messages(), &mut findings);
    let (doubles, left) =
        audit_replies(world, api, replies, follower.messages(), &mut findings).await;
    audit_histories(api, &mut findings).await;
    for raw in api.all("/quarantine").await {
        findings.add("in.quarantined", raw.to_string());
    }
    for daemon in daemons {
        audit_log(world, &daemon.log(), token, &mut findings);
    }
    starts.sort();
    let kills = world.kills.load(Ordering::SeqCst);
    tell(format_args!(
        "{}: seed {}, {kills} kills in {:.0} s, start p50 {:.2} s, max {:.2} s, {} mails, {} handed over \
         again, {} replies, {} sent by the sink's count, {doubles} doubles (all of them flagged), {left} left \
         unconfirmed, drained in {:.1} s",
        world.size.name,
        world.ledger.seed(),
        killing.as_secs_f32(),
        starts[starts.len() / 2].as_secs_f32(),
        starts.last().unwrap().as_secs_f32(),
        issued.len(),
        world.redeliveries.load(Ordering::SeqCst),
        replies.len(),
        world.sink.count(),
        drained.as_secs_f32(),
    ));
    findings.assert_clean(&world.ledger);
    assert_eq!(issued.len(), world.size.mails as usize);
    assert_eq!(replies.len(), world.size.replies as usize);
    assert!(kills >= world.size.kills, "a test that does not hurt proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_hundred_kills_lose_nothing_and_double_nothing_unflagged() {
    let size = Size {
        name: "kills on SQLite",
        kills: 220,
        mails: 2_000,
        replies: 500,
        daemons: 1,
        life: Duration::from_millis(900),
        drain: Duration::from_secs(90),
    };
    run(size, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_daemons_on_postgresql_that_are_killed_in_turn_keep_one_account() {
    // COMPLAINTS L14, L19, D3: a lease is free thirty seconds after its holder died.
    let size = Size {
        name: "kills on PostgreSQL",
        kills: 24,
        mails: 400,
        replies: 80,
        daemons: 2,
        life: Duration::from_millis(9_000),
        drain: Duration::from_secs(150),
    };
    let database = Database::fresh();
    run(size, Some(&database)).await;
}
