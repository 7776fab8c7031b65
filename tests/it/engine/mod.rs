//! The engine's loops with a service in memory that does what real ones do rarely.

mod intake;
mod lane;
mod trouble;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};
use tributary::channel::{
    Accepted, Channel, Deliver, DeliverError, Hook, Interpret, Pull, PullError, PullSession,
    Received, Refused, Unreadable,
};
use tributary::engine::{Clock, Engine, EngineSettings, Part, State};
use tributary::model::{
    Address, Batch, Capabilities, Cursor, Meaning, MessageId, Outbound, Policy, Raw, Realm,
    RemoteId, Resend, RetryPolicy, TicketId, Timestamp,
};
use tributary::store::{OutboxFilter, OutboxRow, Store};

use crate::store::{DESK, Kit, agent, capabilities, mail, message, name, policy, raw};
use crate::support::wait_until;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What the service does with the next call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Offline,
    Account,
    Retry,
    Rejected,
    Unknown,
    Panic,
    PanicBefore,
}

/// A service in memory: its mailbox, and what was sent through it.
#[derive(Default)]
pub(crate) struct Service {
    inbox: Mutex<Vec<Raw>>,
    news: Notify,
    /// Cursors that the engine said are stored.
    pub(crate) committed: Mutex<Vec<String>>,
    /// Errors of the next receive steps.
    pub(crate) broken: Mutex<VecDeque<Answer>>,
    pub(crate) connects: AtomicUsize,
    /// Answers to the next calls; when they are used up, all is well.
    pub(crate) answers: Mutex<VecDeque<Answer>>,
    /// Texts in the order in which they were handed over, with their recipients and the time.
    pub(crate) calls: Mutex<Vec<(String, String, Instant)>>,
    /// While set, calls wait for permits.
    pub(crate) slow: AtomicBool,
    pub(crate) permits: OnceLock<Semaphore>,
    under_way: Mutex<HashMap<u64, usize>>,
    /// The most calls at once: in all, and of one ticket.
    pub(crate) most: Mutex<(usize, usize)>,
}

impl Service {
    /// Something arrives: `id text`, or a word that `Reader` knows.
    pub(crate) fn put(&self, text: &str) {
        let mut inbox = self.inbox.lock().unwrap();
        let key = format!("uid {}", inbox.len());
        inbox.push(raw(&key, text));
        drop(inbox);
        self.news.notify_one();
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(text, ..)| text.clone()).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(crate) fn answer(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn hold(&self) {
        self.permits.get_or_init(|| Semaphore::new(0));
        self.slow.store(true, Ordering::SeqCst);
    }

    /// Lets that many waiting calls end.
    pub(crate) fn release(&self, count: usize) {
        self.permits.get_or_init(|| Semaphore::new(0)).add_permits(count);
    }
}

struct Puller(Arc<Service>);

struct Session(Arc<Service>, usize);

#[async_trait]
impl Pull for Puller {
    async fn connect(&self, cursor: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError> {
        self.0.connects.fetch_add(1, Ordering::SeqCst);
        let at = cursor.map_or(0, |cursor| cursor.as_str().parse().unwrap());
        Ok(Box::new(Session(self.0.clone(), at)))
    }
}

#[async_trait]
impl PullSession for Session {
    async fn next(&mut self) -> Result<Batch, PullError> {
        let broken = self.0.broken.lock().unwrap().pop_front();
        match broken {
            None => {}
            Some(Answer::Account) => return Err(PullError::Account("wrong password".into())),
            Some(Answer::Panic | Answer::PanicBefore) => panic!("a parser met something new"),
            Some(_) => {
                return Err(PullError::Retry { cause: "the line broke".into(), after: None });
            }
        }
        loop {
            let news = self.0.news.notified();
            let raws: Vec<Raw> =
                self.0.inbox.lock().unwrap().iter().skip(self.1).cloned().collect();
            if !raws.is_empty() {
                self.1 += raws.len();
                return Ok(Batch { raws, cursor: Some(Cursor::new(self.1.to_string())) });
            }
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(Duration::from_millis(100)) => return Ok(Batch::default()),
            }
        }
    }

    async fn committed(&mut self, cursor: &Cursor) -> Result<(), PullError> {
        self.0.committed.lock().unwrap().push(cursor.as_str().to_owned());
        Ok(())
    }
}

struct Reader;

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        let text =
            String::from_utf8(raw.body.to_vec()).map_err(|error| Unreadable(error.into()))?;
        if text.starts_with("panic") {
            panic!("the parser met something new");
        }
        if text.starts_with("slow") {
            std::thread::sleep(Duration::from_millis(600));
        }
        if text.starts_with("unreadable") {
            return Err(Unreadable("not a message".into()));
        }
        let (from, text) = text.split_once(' ').unwrap_or(("anna", &text));
        let mut inbound = mail(&format!("{from}@x.example"), raw.dedupe.as_str());
        inbound.text = text.to_owned();
        Ok(message(inbound))
    }
}

struct Sender(Arc<Service>);

impl Sender {
    fn begin(&self, ticket: u64) {
        let mut under_way = self.0.under_way.lock().unwrap();
        *under_way.entry(ticket).or_default() += 1;
        let mut most = self.0.most.lock().unwrap();
        most.0 = most.0.max(under_way.values().sum());
        most.1 = most.1.max(under_way[&ticket]);
    }
}

#[async_trait]
impl Deliver for Sender {
    fn remote_id(&self, outbound: &Outbound) -> Option<RemoteId> {
        if matches!(self.0.answers.lock().unwrap().front(), Some(Answer::PanicBefore)) {
            self.0.answers.lock().unwrap().pop_front();
            panic!("the adapter met something new");
        }
        Some(RemoteId::new(format!("ours {}", outbound.delivery)))
    }

    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        self.begin(outbound.ticket_number);
        let to = outbound.to.address.value.clone();
        self.0.calls.lock().unwrap().push((outbound.text.clone(), to, Instant::now()));
        if self.0.slow.load(Ordering::SeqCst) {
            self.0.permits.get().unwrap().acquire().await.unwrap().forget();
        }
        *self.0.under_way.lock().unwrap().get_mut(&outbound.ticket_number).unwrap() -= 1;
        let answer = self.0.answers.lock().unwrap().pop_front();
        Err(match answer {
            None => {
                let remote_id = RemoteId::new(format!("ours {}", outbound.delivery));
                return Ok(Accepted { remote_id, warning: None });
            }
            Some(Answer::Offline) => DeliverError::Offline("connection refused".into()),
            Some(Answer::Account) => DeliverError::Account("wrong password".into()),
            Some(Answer::Retry) => DeliverError::Retry { cause: "greylisted".into(), after: None },
            Some(Answer::Rejected) => DeliverError::Rejected("no such user".into()),
            Some(Answer::Unknown) => DeliverError::Unknown("the line broke".into()),
            Some(Answer::Panic | Answer::PanicBefore) => panic!("the adapter met something new"),
        })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        Ok(())
    }
}

struct Pushed;

impl Hook for Pushed {
    fn receive(&self, request: &http::Request<Bytes>) -> Result<Received, Refused> {
        if request.headers().get("signature").is_none() {
            return Err(Refused { status: http::StatusCode::FORBIDDEN, why: "signature" });
        }
        let text = std::str::from_utf8(request.body()).unwrap();
        let raws = text.lines().map(|line| raw(line, line)).collect();
        Ok(Received { raws, answer: http::Response::new(Bytes::from_static(b"thanks")) })
    }
}

/// What a test wants of its channel.
pub(crate) struct Wanted {
    pub(crate) can: Capabilities,
    pub(crate) policy: Policy,
    pub(crate) settings: EngineSettings,
    pub(crate) clock: Clock,
}

impl Wanted {
    pub(crate) fn usual() -> Self {
        let retry = RetryPolicy {
            delay_min: Duration::from_millis(20),
            delay_max: Duration::from_millis(20),
            give_up_after: Duration::from_secs(3600),
        };
        Self {
            can: capabilities(Resend::MayDuplicate),
            policy: Policy { retry, ..policy() },
            settings: EngineSettings::usual(),
            clock: Clock::system(),
        }
    }
}

pub(crate) fn channel(named: &str, service: &Arc<Service>, wanted: &Wanted) -> Channel {
    Channel {
        name: name(named),
        kind: "fake",
        realm: Realm("email".to_owned()),
        addresses: vec![Address::email(DESK)],
        policy: wanted.policy.clone(),
        capabilities: wanted.can.clone(),
        interpret: Arc::new(Reader),
        pull: Some(Arc::new(Puller(service.clone()))),
        hook: Some(Arc::new(Pushed)),
        listen: None,
        deliver: Some(Arc::new(Sender(service.clone()))),
        download: None,
        chat: None,
    }
}

/// An engine with one channel, `mail`.
pub(crate) struct Rig {
    pub(crate) kit: Kit,
    pub(crate) engine: Arc<Engine>,
    pub(crate) service: Arc<Service>,
}

impl Rig {
    pub(crate) async fn start(wanted: &Wanted) -> Self {
        let kit = Kit::sqlite().await;
        let store = kit.store.clone();
        Self::with(kit, store, wanted)
    }

    pub(crate) fn with(kit: Kit, store: Store, wanted: &Wanted) -> Self {
        let service = Arc::new(Service::default());
        let channels = vec![channel("mail", &service, wanted)];
        let engine = Engine::start(store, channels, wanted.settings.clone(), wanted.clock);
        Self { kit, engine, service }
    }

    /// A message of `from` arrives and is a ticket.
    pub(crate) async fn ticket(&self, from: &str) -> TicketId {
        let before = self.messages().await;
        self.service.put(&format!("{from} a question"));
        wait_until("the ticket", LIMIT, async || self.messages().await > before).await;
        let newest = "SELECT max(number) FROM ticket";
        let number = self.kit.number(newest).await;
        let named = tributary::store::TicketName::Number(number);
        self.kit.store.ticket_id(named).await.unwrap()
    }

    pub(crate) async fn messages(&self) -> i64 {
        self.kit.number("SELECT count(*) FROM message").await
    }

    pub(crate) async fn reply(&self, ticket: TicketId, text: &str) -> MessageId {
        let id = MessageId::new();
        let request = tributary::engine::ReplyRequest::words(id, ticket, text.to_owned(), agent());
        self.engine.reply(request).await.unwrap();
        id
    }

    pub(crate) async fn outbox(&self) -> Vec<OutboxRow> {
        let status = tributary::model::DeliveryStatus::ALL.to_vec();
        let filter = OutboxFilter { status, limit: 1000, ..OutboxFilter::default() };
        self.kit.store.outbox(&filter).await.unwrap()
    }

    pub(crate) async fn statuses(&self) -> Vec<&'static str> {
        self.outbox().await.iter().map(|row| row.status.as_str()).collect()
    }

    pub(crate) async fn wait_calls(&self, count: usize) {
        wait_until(&format!("call {count}"), LIMIT, async || self.service.count() >= count).await;
    }

    pub(crate) async fn wait_statuses(&self, expected: &[&str]) {
        let mut seen = Vec::new();
        let deadline = Instant::now() + LIMIT;
        while seen != expected {
            assert!(Instant::now() < deadline, "{seen:?} instead of {expected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen = self.statuses().await;
        }
    }

    pub(crate) fn state(&self, part: Part) -> Option<State> {
        let parts = self.engine.health.of(&name("mail"));
        parts.into_iter().find(|(of, _)| *of == part).map(|(_, health)| health.state)
    }

    pub(crate) async fn wait_state(&self, part: Part, wanted: fn(&State) -> bool) {
        let there = async || self.state(part).as_ref().is_some_and(wanted);
        wait_until(&format!("a state of {part:?}"), LIMIT, there).await;
    }
}

/// A clock that runs a hundred times as fast, so that waiting for minutes takes a second.
#[expect(clippy::disallowed_methods, reason = "a clock for tests")]
pub(crate) fn fast() -> Timestamp {
    static BEGAN: OnceLock<(Instant, Timestamp)> = OnceLock::new();
    let (began, at) = BEGAN.get_or_init(|| (Instant::now(), chrono::Utc::now()));
    *at + began.elapsed() * 100
}
