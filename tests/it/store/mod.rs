//! The store's promises, each on SQLite and on PostgreSQL.

mod board;
mod callbacks;
mod desk;
mod due;
mod erase;
mod events;
mod faults;
mod handed;
mod ingest;
mod journal;
mod language;
mod lease;
mod loops;
mod migrations;
mod notify;
mod outbox;
mod parting;
mod people;
mod proofs;
mod receipts;
mod retention;
mod rules;
mod search;
mod secrets;
mod service;
mod threading;
mod urgency;
mod words;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeZone as _;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tempfile::TempDir;
use tributary::desk::{CallbackPolicy, ReplyPart};
use tributary::model::{
    Acknowledge, Actor, ActorKind, Address, Capabilities, ChannelName, DedupeKey, Duplicates,
    Event, Form, Inbound, Meaning, MediaLimit, MessageId, OwnAddresses, Party, Policy, Priority,
    Rate, Raw, RawId, Realm, Receipts, RemoteId, Reopen, Resend, RetryPolicy, Sender, Support,
    TextLimit, TextUnit, ThreadHint, TicketDefaults, TicketId, Timestamp, Trust,
};
use tributary::store::{
    Access, Ingest, IngestChannel, Ingested, MasterKeys, ReplyFacts, ReplyPlan, Store,
    StoreSettings, TicketName, TicketView,
};
use uuid::Uuid;

use super::support::postgres::Database;

/// Makes of `async fn name(kit: Kit)` two tests, one for each database.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::store::Kit::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::store::Kit::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// A store on a database of its own.
pub(crate) struct Kit {
    pub(crate) store: Store,
    pub(crate) url: String,
    pub(crate) keys: MasterKeys,
    pub(crate) folder: TempDir,
    pub(crate) database: Option<Database>,
}

impl Kit {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/tributary.db", folder.path().display());
        Self::with(url, folder, None).await
    }

    pub(crate) async fn postgres() -> Self {
        let database = Database::fresh();
        let folder = tempfile::tempdir().unwrap();
        Self::with(database.url(), folder, Some(database)).await
    }

    async fn with(url: String, folder: TempDir, database: Option<Database>) -> Self {
        let keys = MasterKeys::load_or_make(&folder.path().join("master.key")).unwrap();
        let store = open(&url, &keys, Access::Daemon).await;
        store.migrate().await.unwrap();
        Self { store, url, keys, folder, database }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// Another node: on SQLite as a command beside the daemon.
    pub(crate) async fn another(&self) -> Store {
        open(&self.url, &self.keys, Access::Beside).await
    }

    /// Two nodes, neither of which is the only one there can be.
    pub(crate) async fn two_nodes(&self) -> (Store, Store) {
        (self.another().await, self.another().await)
    }

    /// A way around the store, to look and to break.
    pub(crate) async fn db(&self) -> DatabaseConnection {
        sea_orm::Database::connect(&self.url).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &str) -> u64 {
        let db = self.db().await;
        let done = db.execute_unprepared(sql).await.unwrap().rows_affected();
        db.close().await.unwrap();
        done
    }

    /// One number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let db = self.db().await;
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.unwrap().expect("no row");
        db.close().await.unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// The first column of all rows.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let db = self.db().await;
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        db.close().await.unwrap();
        let text = |row: &sea_orm::QueryResult| row.try_get_by_index::<Option<String>>(0).unwrap();
        rows.iter().map(|row| text(row).unwrap_or_default()).collect()
    }

    /// A message arrives on a channel: stored, interpreted, applied.
    pub(crate) async fn arrive(&self, channel: &Arc<IngestChannel>, inbound: Inbound) -> Ingested {
        self.apply(channel, Ok(message(inbound)), start()).await
    }

    pub(crate) async fn arrive_at(
        &self,
        channel: &Arc<IngestChannel>,
        inbound: Inbound,
        now: Timestamp,
    ) -> Ingested {
        self.apply(channel, Ok(message(inbound)), now).await
    }

    pub(crate) async fn apply(
        &self,
        channel: &Arc<IngestChannel>,
        meaning: Result<Meaning, String>,
        now: Timestamp,
    ) -> Ingested {
        let id = self.append(&channel.name, "bytes").await;
        self.apply_to(id, channel, meaning, now).await
    }

    pub(crate) async fn apply_to(
        &self,
        id: RawId,
        channel: &Arc<IngestChannel>,
        meaning: Result<Meaning, String>,
        now: Timestamp,
    ) -> Ingested {
        let one = Ingest { id, received_at: start(), channel: channel.clone(), meaning };
        self.store.ingest(vec![one], now).await.unwrap().pop().expect("not applied")
    }

    /// A raw in the journal, waiting.
    pub(crate) async fn append(&self, channel: &ChannelName, body: &str) -> RawId {
        let raw = raw(&Uuid::now_v7().to_string(), body);
        self.store.append_pushed(channel, vec![raw], start()).await.unwrap().ids[0]
    }

    pub(crate) async fn ticket(&self, id: TicketId) -> TicketView {
        self.store.ticket(TicketName::Id(id.uuid())).await.unwrap()
    }

    /// A reply of an agent, as the engine would plan it.
    pub(crate) async fn plan(&self, ticket: TicketId, text: &str) -> ReplyPlan {
        plan(self.store.reply_facts(ticket).await.unwrap(), text)
    }

    pub(crate) async fn reply(&self, ticket: TicketId, text: &str) -> MessageId {
        let plan = self.plan(ticket, text).await;
        let id = plan.message;
        self.store.queue_reply(plan, start()).await.unwrap();
        id
    }
}

pub(crate) fn plan(facts: ReplyFacts, text: &str) -> ReplyPlan {
    let answers = facts.answers.map(|(id, _, routing)| (id, routing));
    let to = answers.as_ref().and_then(|(_, routing)| routing.answer_to());
    let to = to.or_else(|| facts.addresses.first().cloned()).expect("nobody to answer to");
    ReplyPlan {
        message: MessageId::new(),
        ticket: facts.ticket,
        version: None,
        channel: facts.channel,
        realm: Realm("email".to_owned()),
        actor: agent(),
        text: text.to_owned(),
        html: None,
        parts: vec![part(text)],
        uploads: Vec::new(),
        to,
        cc: Vec::new(),
        answers,
        sent_before: facts.sent,
        send_at: None,
        held: false,
        unless_answered: false,
        automated: false,
        template: None,
        private: false,
        bridge: None,
        signature: None,
        once: None,
    }
}

pub(crate) fn part(text: &str) -> ReplyPart {
    ReplyPart { text: text.to_owned(), html: None, attachments: vec![0, 1, 2], choices: Vec::new() }
}

pub(crate) async fn open(url: &str, keys: &MasterKeys, access: Access) -> Store {
    let settings = StoreSettings { url: url.to_owned(), readers: 4 };
    Store::open(&settings, keys.clone(), access).await.unwrap()
}

pub(crate) fn agent() -> Actor {
    Actor { kind: ActorKind::Agent, id: Some(Uuid::from_u128(7)), name: "Agent Anna".to_owned() }
}

/// When everything begins.
pub(crate) fn start() -> Timestamp {
    chrono::Utc.with_ymd_and_hms(2026, 11, 26, 8, 0, 0).unwrap()
}

pub(crate) fn later(minutes: i64) -> Timestamp {
    start() + chrono::Duration::minutes(minutes)
}

pub(crate) fn days(days: i64) -> Timestamp {
    start() + chrono::Duration::days(days)
}

pub(crate) fn name(text: &str) -> ChannelName {
    text.parse().unwrap()
}

pub(crate) fn raw(dedupe: &str, body: &str) -> Raw {
    Raw {
        dedupe: DedupeKey::new(dedupe),
        body: Bytes::from(body.to_owned()),
        transport: [("folder".to_owned(), "INBOX".to_owned())].into(),
        received_at: Some(start()),
    }
}

pub(crate) const DESK: &str = "support@desk.example";
pub(crate) const ANNA: &str = "anna@customer.example";
pub(crate) const BOB: &str = "bob@elsewhere.example";

pub(crate) fn policy() -> Policy {
    Policy {
        reopen: Reopen::Within(Duration::from_secs(30 * 86_400)),
        duplicates: Duplicates::Join,
        acknowledge: None,
        reply_all: true,
        ticket: TicketDefaults {
            queue: None,
            priority: Priority::Normal,
            tags: vec!["new".into()],
        },
        retry: RetryPolicy {
            delay_min: Duration::from_secs(60),
            delay_max: Duration::from_secs(3600),
            give_up_after: Duration::from_secs(48 * 3600),
        },
        blocked: vec!["@spam.example".to_owned()],
    }
}

pub(crate) fn acknowledging() -> Policy {
    let acknowledge = Acknowledge {
        text: "[#{number}] {name}: we have «{subject}»".to_owned(),
        per_address: Duration::from_secs(24 * 3600),
        per_hour_max: 3,
    };
    Policy { acknowledge: Some(acknowledge), ..policy() }
}

/// A mail channel; all of them share their ids.
pub(crate) fn mail_channel(named: &str) -> Arc<IngestChannel> {
    channel_with(named, "email", policy())
}

/// A channel whose service knows conversations.
pub(crate) fn chat_channel(named: &str) -> Arc<IngestChannel> {
    channel_with(named, named, policy())
}

pub(crate) fn channel_with(named: &str, realm: &str, policy: Policy) -> Arc<IngestChannel> {
    Arc::new(IngestChannel {
        name: name(named),
        realm: Realm(realm.to_owned()),
        policy,
        delivers: true,
        own: Arc::new(OwnAddresses([Address::email(DESK)].into())),
        callbacks: Arc::new(CallbackPolicy::usual()),
        triage: Arc::default(),
        known: Arc::default(),
        can: capabilities(Resend::Safe),
    })
}

pub(crate) fn message(inbound: Inbound) -> Meaning {
    Meaning::Events(vec![Event::Message(Box::new(inbound))])
}

pub(crate) fn party(address: &str) -> Party {
    Party { address: Address::email(address), name: None }
}

/// A mail to the desk.
pub(crate) fn mail(from: &str, id: &str) -> Inbound {
    Inbound {
        remote_id: RemoteId::new(id),
        digest: format!("digest of {id}"),
        part_of: None,
        form: Form::Message,
        sender: Sender {
            address: Some(Address::email(from)),
            name: from.split('@').next().map(str::to_owned),
            also: Vec::new(),
            trust: Trust::Claimed,
        },
        reply_to: None,
        recipients: vec![party(DESK)],
        thread: ThreadHint::default(),
        occurred_at: start(),
        subject: Some(format!("about {id}")),
        text: format!("the words of {id}"),
        text_full: format!("the words of {id}\n> quoted"),
        html: None,
        media: Vec::new(),
        flags: BTreeSet::new(),
        auth: None,
        automated: None,
        wishes: tributary::model::Wishes::default(),
    }
}

/// A mail that answers others, nearest first.
pub(crate) fn answer(from: &str, id: &str, parents: &[&str]) -> Inbound {
    let mut inbound = mail(from, id);
    inbound.thread.parents = parents.iter().map(|id| RemoteId::new(*id)).collect();
    inbound
}

pub(crate) const fn capabilities(resend: Resend) -> Capabilities {
    Capabilities {
        text: TextLimit { max: 4096, unit: TextUnit::Utf16 },
        media: MediaLimit { bytes_max: 1_000_000, count_max: 10, apart: false },
        subject: true,
        html: true,
        copies: true,
        signs: true,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Failures,
        resend,
        opens: true,
        reply_window: None,
        templates: false,
        private: None,
        choices: None,
        rate: Rate { per_minute: 0, per_recipient: Duration::ZERO, in_flight_max: 4 },
    }
}

/// The one ticket of what was applied.
pub(crate) fn ticket_of(ingested: &Ingested) -> TicketId {
    assert_eq!(ingested.messages.len(), 1, "{ingested:?}");
    ingested.messages[0].0
}
