//! The loops. Each does one thing, at its own pace, and can be stopped at any `.await`.
//!
//! `supervisor` runs a channel: under its lease `pull` asks and `dispatch` sends; `listen` and `hook` take
//! what is pushed, on every node; `ingest` turns the journal into tickets; `media` fetches files; `reply`
//! plans what goes out; `webhook` supplies outgoing webhooks with events; `housekeeping` does what must be done now and then.

mod callback;
mod chat;
mod clock;
mod dispatch;
pub mod failpoint;
mod health;
mod hook;
mod housekeeping;
mod ingest;
mod limiter;
mod listen;
mod media;
mod notice;
mod notify;
mod pause;
mod probe;
mod proof;
mod pull;
mod raw;
mod reply;
mod scan;
mod silence;
mod supervisor;
mod typing;
mod webhook;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use callback::ConnectError;
pub use clock::{Clock, Hand};
pub use health::{Health, Part, PartHealth, State};
pub use probe::{Probe, probe};
pub use proof::ProofRequest;
pub use raw::RawView;
pub use reply::{ReplyError, ReplyRequest, TicketRequest};
pub use scan::{NotKept, Scanner, Verdict, Without};
pub use webhook::Webhook;

use crate::channel::Channel;
use crate::desk::faq::Matcher;
use crate::desk::notify::NotifySettings;
use crate::desk::{CallbackPolicy, Triage, Wanted};
use crate::model::{ChannelName, OwnAddresses, TicketId};
use crate::store::{IngestChannel, Store};

/// Limits and times of the loops.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Rows of the journal that are read at once.
    pub ingest_rows_max: u64,
    /// Bytes of bodies that are read at once (at least one body is).
    pub ingest_bytes_max: i64,
    /// How long one message may take to be understood.
    pub interpret_max: Duration,
    /// After this, what is under way is left when stopping.
    pub stop_max: Duration,
    /// Connections of one listening channel at once.
    pub connections_max: usize,
    /// Who looks at files before anybody gets them.
    pub scanner: Option<Scanner>,
    /// What the admin decided about call-backs.
    pub callbacks: Arc<CallbackPolicy>,
    /// What is decided about a message before a human looks at it.
    pub triage: Arc<Triage>,
    /// Finds known answers.
    pub known: Arc<Matcher>,
    /// How people who work here are told of what happens.
    pub notifications: Arc<NotifySettings>,
}

impl EngineSettings {
    /// The limits that suit one node with little memory.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            ingest_rows_max: 100,
            ingest_bytes_max: 4 * 1024 * 1024,
            interpret_max: Duration::from_secs(10),
            stop_max: Duration::from_secs(20),
            connections_max: 64,
            scanner: None,
            callbacks: Arc::new(CallbackPolicy::usual()),
            triage: Arc::default(),
            known: Arc::default(),
            notifications: Arc::default(),
        }
    }
}

/// What every loop needs.
pub struct Engine {
    /// All that is kept.
    pub store: Store,
    /// How the channels are.
    pub health: Health,
    /// Where the time comes from.
    pub clock: Clock,
    /// Finds known answers; changes when the settings are read again.
    known: RwLock<Arc<Matcher>>,
    settings: EngineSettings,
    channels: RwLock<HashMap<ChannelName, Arc<Running>>>,
    /// What people ordered about pauses.
    orders: pause::Orders,
    /// As the settings say now.
    triage: RwLock<Arc<Triage>>,
    /// Something new is in the journal.
    journal: Notify,
    /// Grows with every turn of housekeeping: the watchdog is fed by this and nothing else.
    pulse: watch::Sender<u64>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A channel at work.
pub(crate) struct Running {
    pub(crate) channel: Channel,
    /// Which events of our own go out on it: an outgoing webhook.
    wanted: Option<Arc<Wanted>>,
    /// Something new may be in the channel's outbox.
    outbox: Notify,
    /// Somebody stopped or released it.
    paused: watch::Sender<bool>,
    /// In which tickets a sign of typing was shown a moment ago.
    typing: Mutex<HashMap<TicketId, tokio::time::Instant>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Engine {
    /// Starts all loops. Nothing is awaited that a service could delay.
    pub fn start(
        store: Store,
        channels: Vec<Channel>,
        settings: EngineSettings,
        clock: Clock,
    ) -> Arc<Self> {
        let triage = RwLock::new(settings.triage.clone());
        let engine = Arc::new(Self {
            store,
            health: Health::default(),
            clock,
            known: RwLock::new(settings.known.clone()),
            settings,
            channels: RwLock::default(),
            orders: pause::Orders::default(),
            triage,
            journal: Notify::new(),
            pulse: watch::channel(0).0,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        for channel in channels {
            engine.start_channel(channel);
        }
        engine.tasks.spawn(engine.clone().again_after_panic("ingest", Self::run_ingest));
        engine.tasks.spawn(engine.clone().again_after_panic("media", Self::run_media));
        engine.tasks.spawn(engine.clone().again_after_panic("scan", Self::run_scan));
        engine
            .tasks
            .spawn(engine.clone().again_after_panic("housekeeping", Self::run_housekeeping));
        engine
    }

    /// A loop that panics is started again: without it nothing would be understood any more, and nobody
    /// would know.
    async fn again_after_panic<F: Future<Output = ()>>(
        self: Arc<Self>,
        name: &'static str,
        work: fn(Arc<Self>) -> F,
    ) {
        while AssertUnwindSafe(work(self.clone())).catch_unwind().await.is_err() {
            tracing::error!("{name} panicked and is started again");
            let pause = tokio::time::sleep(Duration::from_secs(1));
            if self.stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// An engine without loops, for commands that do one thing and end (`ingest`, `import`).
    #[must_use]
    pub fn idle(
        store: Store,
        channels: Vec<Channel>,
        settings: EngineSettings,
        clock: Clock,
    ) -> Arc<Self> {
        let triage = RwLock::new(settings.triage.clone());
        let running =
            channels.into_iter().map(|channel| (channel.name.clone(), running(channel, None)));
        Arc::new(Self {
            store,
            health: Health::default(),
            clock,
            known: RwLock::new(settings.known.clone()),
            settings,
            channels: RwLock::new(running.collect()),
            orders: pause::Orders::default(),
            triage,
            journal: Notify::new(),
            pulse: watch::channel(0).0,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    fn start_channel(self: &Arc<Self>, channel: Channel) {
        self.start_running(channel, None);
    }

    fn start_running(self: &Arc<Self>, channel: Channel, wanted: Option<Arc<Wanted>>) {
        let name = channel.name.clone();
        let running = running(channel, wanted);
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.insert(name, running.clone());
        drop(channels);
        running.tasks.spawn(self.clone().run_channel(running.clone()));
        if running.channel.listen.is_some() {
            running.tasks.spawn(self.clone().run_listen(running.clone()));
        }
        running.tasks.close();
    }

    /// Takes over a changed configuration: `changed` channels are stopped and started anew, `removed` ones
    /// stopped, the others not touched.
    pub async fn reload(self: &Arc<Self>, changed: Vec<Channel>, removed: Vec<ChannelName>) {
        let names = changed.iter().map(|channel| channel.name.clone()).chain(removed.clone());
        self.stop_channels(&names.collect::<Vec<_>>()).await;
        self.forget_channels(&removed);
        for channel in changed {
            self.start_channel(channel);
        }
        self.journal.notify_one();
    }

    /// Takes over changed rules: for every message that is understood from now on.
    pub fn change_triage(&self, triage: Arc<Triage>) {
        *self.triage.write().unwrap_or_else(PoisonError::into_inner) = triage;
    }

    pub(crate) fn triage(&self) -> Arc<Triage> {
        self.triage.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn stop_channels(&self, names: &[ChannelName]) {
        let old: Vec<_> = names.iter().filter_map(|name| self.running(name)).collect();
        futures::future::join_all(old.iter().map(|running| self.stop_channel(running))).await;
    }

    fn forget_channels(&self, names: &[ChannelName]) {
        for name in names {
            self.health.forget(name);
            self.channels.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }

    /// Ends a channel's loops: calls under way may end, but not longer than the settings say.
    async fn stop_channel(&self, running: &Running) {
        running.stop.cancel();
        if tokio::time::timeout(self.settings.stop_max, running.tasks.wait()).await.is_err() {
            tracing::warn!(channel = %running.channel.name, "calls under way were left");
        }
    }

    /// Stops taking, lets calls under way end, gives the leases back. What is left is safe in the store.
    pub async fn stop(&self) {
        self.stop.cancel();
        let running = self.all_running();
        futures::future::join_all(running.iter().map(|running| self.stop_channel(running))).await;
        self.tasks.close();
        if tokio::time::timeout(self.settings.stop_max, self.tasks.wait()).await.is_err() {
            tracing::warn!("loops under way were left");
        }
    }

    /// Does the desk send mail to people who work here?
    #[must_use]
    pub fn mails_people(&self) -> bool {
        self.settings.notifications.mail.is_some()
    }

    /// Finds known answers.
    #[must_use]
    pub fn known_answers(&self) -> Arc<Matcher> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over changed articles.
    pub fn change_known_answers(&self, known: Arc<Matcher>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Ends when the engine was asked to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Changes with every turn of housekeeping, each of which writes to the store.
    #[must_use]
    pub fn pulse(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    /// Looks into the outbox now: something was queued, released or is to be repeated.
    pub fn wake_outbox(&self, channel: &ChannelName) {
        if let Some(running) = self.running(channel) {
            running.outbox.notify_one();
        }
    }

    /// Looks into the journal now.
    pub fn wake_journal(&self) {
        self.journal.notify_one();
    }

    /// The configured channels by name: kind, capabilities, addresses.
    #[must_use]
    pub fn channel_names(&self) -> Vec<ChannelName> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = channels.keys().cloned().collect();
        names.sort();
        names
    }

    /// Asks something of a configured channel.
    pub fn with_channel<T>(
        &self,
        name: &ChannelName,
        ask: impl FnOnce(&Channel) -> T,
    ) -> Option<T> {
        self.running(name).map(|running| ask(&running.channel))
    }

    pub(crate) fn running(&self, name: &ChannelName) -> Option<Arc<Running>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn all_running(&self) -> Vec<Arc<Running>> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        channels.values().cloned().collect()
    }

    /// All addresses of ours, on whatever channel.
    pub fn own_addresses(&self) -> OwnAddresses {
        let all = self.all_running();
        let addresses = all.iter().flat_map(|running| running.channel.addresses.iter().cloned());
        OwnAddresses(addresses.collect())
    }

    fn ingest_channel(
        &self,
        name: &ChannelName,
        own: &Arc<OwnAddresses>,
    ) -> Option<Arc<IngestChannel>> {
        let running = self.running(name)?;
        Some(Arc::new(IngestChannel {
            name: name.clone(),
            realm: running.channel.realm.clone(),
            policy: running.channel.policy.clone(),
            delivers: running.channel.deliver.is_some(),
            own: own.clone(),
            callbacks: self.settings.callbacks.clone(),
            triage: self.triage(),
            known: self.known_answers(),
            can: running.channel.capabilities.clone(),
        }))
    }
}

fn running(channel: Channel, wanted: Option<Arc<Wanted>>) -> Arc<Running> {
    Arc::new(Running {
        channel,
        wanted,
        outbox: Notify::new(),
        paused: watch::channel(false).0,
        typing: Mutex::default(),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}
