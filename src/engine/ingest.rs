//! Journal → meaning → store. Works off this node's rows in order, a batch at a time.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};

use super::supervisor::describe;
use super::{Engine, failpoint};
use crate::channel::Interpret;
use crate::model::{ChannelName, Meaning, OwnAddresses, Raw, RawId};
use crate::store::{Ending, Ingest, IngestChannel, Ingested, Pending, ReadyBatch, StoreError};

/// The poll is the truth, the notification a hint.
const POLL: Duration = Duration::from_secs(1);
/// A row that the store refuses so often, or that takes too long so often, goes to the quarantine.
const TRIES_MAX: i32 = 3;
const TOO_SLOW: &str = "it took too long to understand";

/// A batch of the journal that only has to be written.
struct Ready {
    pending: Vec<Pending>,
    batch: Result<ReadyBatch, StoreError>,
    /// Behind it there may be more that nothing in it holds up.
    more: bool,
}

impl Engine {
    pub(super) async fn run_ingest(self: Arc<Self>) {
        let (mut pause, mut ahead) = (Duration::ZERO, None);
        loop {
            // Registered before looking, so that nothing that comes meanwhile is overlooked.
            let news = self.journal.notified();
            match self.drain_some(&mut ahead).await {
                Ok(0) => {
                    pause = Duration::ZERO;
                    let wait = async {
                        tokio::select! { () = news => {}, () = tokio::time::sleep(POLL) => {} }
                    };
                    if self.stop.run_until_cancelled(wait).await.is_none() {
                        return;
                    }
                }
                Ok(_) => pause = Duration::ZERO,
                Err(error) => {
                    pause = (pause * 2).clamp(Duration::from_millis(200), Duration::from_secs(5));
                    tracing::warn!(error = describe(&error), "the journal waits for the store");
                    if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Works off the journal until nothing is due.
    pub async fn drain_journal(&self) -> Result<(), StoreError> {
        let mut ahead = None;
        while self.drain_some(&mut ahead).await? > 0 {}
        Ok(())
    }

    /// One batch; while it is written, the next one is made ready. Returns how many rows it had.
    async fn drain_some(&self, ahead: &mut Option<Ready>) -> Result<usize, StoreError> {
        let ready = match ahead.take() {
            Some(ready) => ready,
            None => match self.make_ready(None).await? {
                Some(ready) => ready,
                None => return Ok(0),
            },
        };
        let Ready { pending, batch, more } = ready;
        let (count, last) = (pending.len(), pending.last().map(|last| last.id));
        failpoint::hit("ingest.interpreted");
        let next = async {
            match last.filter(|_| more) {
                Some(last) => self.make_ready(Some(last)).await,
                None => Ok(None),
            }
        };
        let write = async { self.store.apply(batch?, self.clock.now()).await };
        let (written, next) = tokio::join!(write, next);
        match written {
            Ok(ingested) => {
                self.ingested(&pending, &ingested);
                // Whatever was in its way is met again in the next round.
                *ahead = next.unwrap_or_default();
            }
            Err(error) => {
                tracing::debug!(error = describe(&error), "a batch failed: its rows go one by one");
                self.one_by_one(pending).await?;
            }
        }
        failpoint::hit("ingest.applied");
        Ok(count)
    }

    /// Reads and understands the next batch: the first, or the one behind a row. `None`: there is nothing.
    async fn make_ready(&self, behind: Option<RawId>) -> Result<Option<Ready>, StoreError> {
        let (rows, bytes) = (self.settings.ingest_rows_max, self.settings.ingest_bytes_max);
        let pending = self.store.pending_behind(behind, rows, bytes, self.clock.now()).await?;
        if pending.is_empty() {
            return Ok(None);
        }
        let own = Arc::new(self.own_addresses());
        let batch = self.understand(&pending, &own).await?;
        // What waits for one that was too slow must not be overtaken.
        let whole = batch.len() == pending.len();
        let batch = self.store.make_ready(batch, self.clock.now()).await;
        let more = whole && batch.is_ok() && pending.len() as u64 == rows;
        Ok(Some(Ready { pending, batch, more }))
    }

    async fn one_by_one(&self, pending: Vec<Pending>) -> Result<(), StoreError> {
        let own = Arc::new(self.own_addresses());
        for one in pending {
            let one = [one];
            let batch = self.understand(&one, &own).await?;
            match self.store.ingest(batch, self.clock.now()).await {
                Ok(ingested) => self.ingested(&one, &ingested),
                Err(error) => {
                    // Is it the row or the store? A store that was away for a moment is no fault of the row.
                    self.store.ping().await?;
                    let [one] = &one;
                    let reason = format!("it could not be stored: {}", describe(&error));
                    self.failed(one, &reason).await?;
                }
            }
        }
        Ok(())
    }

    /// Counts a try of a row that failed although the store is well.
    async fn failed(&self, one: &Pending, reason: &str) -> Result<(), StoreError> {
        let channel = &one.channel;
        if self.store.ingest_failed(one.id, reason, TRIES_MAX, self.clock.now()).await? {
            tracing::error!(%channel, raw.id = %one.id, error = reason, "a message went to the quarantine");
            counter!("tributary_ingested_total", "channel" => channel.to_string(), "outcome" => "failed")
                .increment(1);
        }
        Ok(())
    }

    /// Interprets a batch, in order, on the threads for work that takes long.
    async fn understand(
        &self,
        pending: &[Pending],
        own: &Arc<OwnAddresses>,
    ) -> Result<Vec<Ingest>, StoreError> {
        let mut channels: HashMap<ChannelName, Option<Arc<IngestChannel>>> = HashMap::new();
        let mut batch = Vec::with_capacity(pending.len());
        for one in pending {
            let channel = channels
                .entry(one.channel.clone())
                .or_insert_with(|| self.ingest_channel(&one.channel, own));
            let running = self.running(&one.channel);
            let Some((channel, running)) = channel.clone().zip(running) else {
                let reason = format!("the channel {} is not configured", one.channel);
                self.failed(one, &reason).await?;
                continue;
            };
            let received_at = one.raw.received_at.unwrap_or_else(|| self.clock.now());
            let interpret = running.channel.interpret.clone();
            batch.push((one.id, received_at, channel, interpret, one.raw.clone()));
        }
        let limit = self.settings.interpret_max;
        let mut understood = Vec::with_capacity(batch.len());
        // Two at a time: as many as there are cores on a small machine, in order all the same.
        let halves = batch.len().div_ceil(2).max(1);
        let work = batch.chunks(halves).map(|part| {
            let raws: Vec<(Arc<dyn Interpret>, Raw)> = part
                .iter()
                .map(|(_, _, _, interpret, raw)| (interpret.clone(), raw.clone()))
                .collect();
            interpret_all(raws, limit)
        });
        let meanings = futures::future::join_all(work).await.into_iter().flatten();
        for ((id, received_at, channel, ..), meaning) in batch.into_iter().zip(meanings) {
            let meaning = match meaning {
                Understood::Meaning(meaning) => meaning,
                // Those stay pending and are looked at in the next round.
                Understood::NotYet => continue,
                Understood::TooSlow => {
                    let one = pending.iter().find(|one| one.id == id);
                    if let Some(one) = one.filter(|one| one.attempts + 1 < TRIES_MAX) {
                        // A machine that stood still for a while is no fault of the message.
                        self.failed(one, TOO_SLOW).await?;
                        continue;
                    }
                    Err(TOO_SLOW.to_owned())
                }
            };
            understood.push(Ingest { id, received_at, channel, meaning });
        }
        Ok(understood)
    }

    fn ingested(&self, pending: &[Pending], ingested: &[Ingested]) {
        let channels: HashMap<_, _> = pending.iter().map(|one| (one.id, one)).collect();
        for one in ingested {
            let Some(pending) = channels.get(&one.id) else { continue };
            let channel = pending.channel.to_string();
            let outcome = match &one.ending {
                None => "postponed",
                Some(Ending::Applied) => "applied",
                Some(Ending::Ignored(_)) => "ignored",
                Some(Ending::Failed(_)) => "failed",
            };
            counter!("tributary_ingested_total", "channel" => channel.clone(), "outcome" => outcome)
                .increment(1);
            if let Some(received_at) = pending.raw.received_at {
                let lag = (self.clock.now() - received_at).as_seconds_f64().max(0.0);
                histogram!("tributary_ingest_lag_seconds", "channel" => channel).record(lag);
            }
            if one.new > 0 {
                self.wake_outbox(&pending.channel);
            }
        }
    }
}

/// What came of trying to understand a raw.
enum Understood {
    Meaning(Result<Meaning, String>),
    TooSlow,
    /// It stood behind one that was too slow.
    NotYet,
}

/// Interprets in one blocking thread. What takes too long is given up (its thread ends when it ends), and
/// those behind it are not understood yet.
async fn interpret_all(raws: Vec<(Arc<dyn Interpret>, Raw)>, limit: Duration) -> Vec<Understood> {
    let count = raws.len();
    let (done, mut results) = tokio::sync::mpsc::channel(count.max(1));
    let task = tokio::task::spawn_blocking(move || {
        for (interpret, raw) in raws {
            if done.blocking_send(interpret_one(&*interpret, &raw)).is_err() {
                return;
            }
        }
    });
    let mut meanings = Vec::with_capacity(count);
    while meanings.len() < count {
        if let Ok(Some(meaning)) = tokio::time::timeout(limit, results.recv()).await {
            meanings.push(Understood::Meaning(meaning));
        } else {
            meanings.push(Understood::TooSlow);
            break;
        }
    }
    drop(task);
    meanings.resize_with(count, || Understood::NotYet);
    meanings
}

/// A panic in a parser is one unreadable message, not a dead daemon.
pub(super) fn interpret_one(interpret: &dyn Interpret, raw: &Raw) -> Result<Meaning, String> {
    match catch_unwind(AssertUnwindSafe(|| interpret.interpret(raw))) {
        Ok(Ok(meaning)) => Ok(meaning),
        Ok(Err(unreadable)) => Err(unreadable.to_string()),
        Err(_) => Err("the parser panicked".to_owned()),
    }
}
