//! Tells open streams that there is something new for them. Only a hint: what it is, each stream reads from
//! the store, after the place that it has reached. One look at the feed serves all streams of this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::store::{Guest, StoreError};

/// Other nodes' commits are seen by looking.
const POLL: Duration = Duration::from_secs(1);
/// Commits that come together are looked at together.
const GATHER: Duration = Duration::from_millis(20);
/// How often it is noted who is there.
const PRESENCE: Duration = Duration::from_secs(45);

/// Streams that are open on this node.
#[derive(Default)]
pub(in crate::web) struct Hub(Mutex<HashMap<Guest, watch::Sender<u64>>>);

/// One stream's ear.
pub(super) struct Ear {
    hub: Arc<Hub>,
    guest: Guest,
    news: watch::Receiver<u64>,
}

impl Hub {
    /// `None`: this visitor has `streams_max` open.
    pub(super) fn listen(self: &Arc<Self>, guest: &Guest, streams_max: usize) -> Option<Ear> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = streams.entry(guest.clone()).or_insert_with(|| watch::channel(0).0);
        if sender.receiver_count() >= streams_max {
            return None;
        }
        let news = sender.subscribe();
        Some(Ear { hub: self.clone(), guest: guest.clone(), news })
    }

    /// There is something for this visitor.
    pub(super) fn wake(&self, guest: &Guest) {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = streams.get(guest) {
            sender.send_modify(|count| *count += 1);
        }
    }

    fn wake_all(&self) {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in streams.values() {
            sender.send_modify(|count| *count += 1);
        }
    }

    fn guests(&self) -> Vec<Guest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Watches the feed until `stop`.
    pub(in crate::web) async fn run(self: Arc<Self>, engine: Arc<Engine>, stop: CancellationToken) {
        let mut commits = engine.store.changes();
        let mut seen: Option<i64> = None;
        let mut noted = tokio::time::Instant::now();
        loop {
            commits.mark_unchanged();
            match self.look(&engine, seen).await {
                Ok(position) => seen = Some(position),
                Err(error) => {
                    tracing::debug!(error = %error, "streams wait for the store");
                }
            }
            if noted.elapsed() >= PRESENCE {
                noted = tokio::time::Instant::now();
                self.note_presence(&engine).await;
            }
            let wait = async {
                tokio::time::sleep(GATHER).await;
                drop(tokio::time::timeout(POLL, commits.changed()).await);
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    async fn look(&self, engine: &Engine, seen: Option<i64>) -> Result<i64, StoreError> {
        let position = engine.store.feed_position().await?;
        match seen {
            // Streams that were opened before the first look have read for themselves.
            None => self.wake_all(),
            Some(seen) if seen < position && !self.guests().is_empty() => {
                for guest in engine.store.chat_news(seen, position).await? {
                    self.wake(&guest);
                }
            }
            Some(_) => {}
        }
        Ok(position)
    }

    async fn note_presence(&self, engine: &Engine) {
        for guests in self.guests().chunks(200) {
            let noted = engine.store.visitors_are_here(guests.to_vec(), engine.clock.now()).await;
            if let Err(error) = noted {
                tracing::debug!(error = %error, "who is there was not noted");
                return;
            }
        }
    }
}

impl Ear {
    /// Waits for news, or for `limit`.
    pub(super) async fn news(&mut self, limit: Duration) {
        drop(tokio::time::timeout(limit, self.news.changed()).await);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut streams = self.hub.0.lock().unwrap_or_else(PoisonError::into_inner);
        // This ear is still counted.
        if streams.get(&self.guest).is_some_and(|sender| sender.receiver_count() <= 1) {
            streams.remove(&self.guest);
        }
    }
}
