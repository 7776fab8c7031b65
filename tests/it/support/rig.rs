//! An engine with its store and channels inside the test's own process, and a clock that can be moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tributary::channel::shared::sign::Signer;
use tributary::channel::shared::webhook::WebhookKeys;
use tributary::channel::{self, Channel, Site, Vault};
use tributary::engine::{Clock, Engine, EngineSettings, ReplyRequest};
use tributary::model::{
    Actor, ActorKind, Cause, ChannelName, Choice, DeliveryStatus, MessageId, Secret, TicketId,
    Timestamp,
};
use tributary::store::{
    Access, Answer, MasterKeys, MessageFilter, MessageView, OutboxFilter, OutboxRow, Store,
    StoreSettings,
};
use uuid::Uuid;

use super::{open_folder, wait_until};

/// How far the clock was moved: each test runs in a process of its own.
static MOVED: AtomicI64 = AtomicI64::new(0);
/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The machine's clock, moved.
pub fn clock() -> Clock {
    Clock::from_fn(|| chrono::Utc::now() + chrono::Duration::seconds(MOVED.load(Ordering::SeqCst)))
}

/// Moves the clock.
pub fn pass(time: Duration) {
    MOVED.fetch_add(i64::try_from(time.as_secs()).unwrap(), Ordering::SeqCst);
}

/// What the daemon would be, without its HTTP server.
pub struct Rig {
    pub store: Store,
    pub engine: Arc<Engine>,
    _folder: Option<TempDir>,
}

struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Err("nothing is kept in this test".into())
    }
}

/// A channel out of its table in TOML, without the head.
pub fn build(name: &str, toml: &str) -> Channel {
    let source = config::File::from_str(toml, config::FileFormat::Toml);
    let table = config::Config::builder().add_source(source).build().unwrap();
    let site = Site {
        public_url: "http://desk.test".to_owned(),
        signer: Signer::new(vec![[7; 32]]),
        vault: Arc::new(NoVault),
    };
    channel::build(name.parse().unwrap(), table.try_deserialize().unwrap(), &site)
        .unwrap_or_else(|bad| panic!("{bad}"))
}

impl Rig {
    /// A new store and an engine at work.
    pub async fn start(channels: &[(&str, &str)]) -> Self {
        let folder = open_folder("rig");
        let url = format!("sqlite://{}", folder.path().join("tributary.db").display());
        let rig = Self::start_at(url, channels).await;
        Self { _folder: Some(folder), ..rig }
    }

    /// The same on another database.
    pub async fn start_at(url: String, channels: &[(&str, &str)]) -> Self {
        let keys = MasterKeys::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let store = Store::open(&StoreSettings { url, readers: 2 }, keys, Access::Daemon).await;
        let store = store.unwrap();
        store.migrate().await.unwrap();
        let channels = channels.iter().map(|(name, toml)| build(name, toml)).collect();
        let engine = Engine::start(store.clone(), channels, EngineSettings::usual(), clock());
        Self { store, engine, _folder: None }
    }

    /// Beside a running daemon, on its SQLite file, with its key.
    pub async fn beside(state: &std::path::Path, channels: &[(&str, &str)]) -> Self {
        let url = format!("sqlite://{}", state.join("tributary.db").display());
        let keys = MasterKeys::load_or_make(&state.join("master.key")).unwrap();
        let store = Store::open(&StoreSettings { url, readers: 2 }, keys, Access::Beside).await;
        let store = store.unwrap();
        let channels = channels.iter().map(|(name, toml)| build(name, toml)).collect();
        let engine = Engine::idle(store.clone(), channels, EngineSettings::usual(), clock());
        Self { store, engine, _folder: None }
    }

    /// Posts to a hook, signed with `secret` under the name `id`.
    pub async fn post(&self, channel: &str, body: &Value, secret: &str, id: &str) -> (u16, Value) {
        self.post_text(channel, &body.to_string(), secret, id).await
    }

    /// The same with a body that may be no JSON.
    pub async fn post_text(
        &self,
        channel: &str,
        body: &str,
        secret: &str,
        id: &str,
    ) -> (u16, Value) {
        let keys = WebhookKeys::read([&Secret::new(secret)]).unwrap();
        let seconds = u64::try_from(clock().now().timestamp()).unwrap();
        let request = http::Request::post(format!("/hooks/{channel}"))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", keys.sign(id, seconds, body.as_bytes()))
            .body(Bytes::from(body.to_owned()))
            .unwrap();
        let name: ChannelName = channel.parse().unwrap();
        let answer = self.engine.take_hook(&name, request).await;
        let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        (answer.status().as_u16(), body)
    }

    /// All messages, in commit order.
    pub async fn messages(&self) -> Vec<MessageView> {
        let filter = MessageFilter { limit: 200, ..MessageFilter::default() };
        self.store.messages(&filter).await.unwrap()
    }

    /// Waits for so many messages.
    pub async fn wait_messages(&self, count: usize) -> Vec<MessageView> {
        let what = format!("{count} messages");
        wait_until(&what, PATIENCE, async || self.messages().await.len() >= count).await;
        let messages = self.messages().await;
        assert_eq!(messages.len(), count, "{messages:#?}");
        messages
    }

    /// Queues a reply.
    pub async fn reply(&self, ticket: Uuid, text: &str) -> MessageView {
        let queued = self.engine.reply(reply_request(ticket, text)).await.unwrap();
        let Answer::Fresh(message) = queued else { panic!("without a key it is always fresh") };
        message
    }

    /// All rows of the outbox, whatever their state.
    pub async fn outbox(&self) -> Vec<OutboxRow> {
        let status = DeliveryStatus::ALL.to_vec();
        let filter = OutboxFilter { status, limit: 1000, ..OutboxFilter::default() };
        self.store.outbox(&filter).await.unwrap()
    }

    /// Waits until so many deliveries have this state.
    pub async fn wait_deliveries(&self, count: usize, status: DeliveryStatus) -> Vec<OutboxRow> {
        let what = format!("{count} deliveries {}", status.as_str());
        let there =
            async || self.outbox().await.iter().filter(|row| row.status == status).count() == count;
        wait_until(&what, PATIENCE, there).await;
        self.outbox().await
    }

    /// The time as the engine sees it.
    pub fn now(&self) -> Timestamp {
        clock().now()
    }
}

/// What an agent who answers in words alone asks for.
pub fn reply_request(ticket: Uuid, text: &str) -> ReplyRequest {
    let actor = Actor { kind: ActorKind::Agent, id: None, name: "Ben".to_owned() };
    ReplyRequest::words(MessageId::new(), TicketId::from(ticket), text.to_owned(), actor)
}

/// A question with its answers to choose from.
pub fn asked(ticket: Uuid, text: &str, labels: &[&str]) -> ReplyRequest {
    let choice = |(at, label): (usize, &&str)| Choice {
        id: format!("ask:{at}"),
        label: (*label).to_owned(),
    };
    let choices = labels.iter().enumerate().map(choice).collect();
    ReplyRequest { choices, ..reply_request(ticket, text) }
}
