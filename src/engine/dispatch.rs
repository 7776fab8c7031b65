//! The outbound lane of one channel: takes what is due, one call each, never two of one conversation.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limiter::Limiter;
use super::supervisor::{Backoff, Stopped, chain};
use super::{Engine, Part, Running, State, failpoint};
use crate::channel::{Accepted, Deliver, DeliverError};
use crate::desk;
use crate::model::{DeliveryState, TicketId};
use crate::store::{Due, Fence, StoreError};

/// The poll is the truth, the notification a hint: another node may have queued something.
const POLL: Duration = Duration::from_secs(2);

/// What a call's task tells the lane.
struct Ended {
    ticket: TicketId,
    outcome: Result<(), Stopped>,
}

/// A lane at work.
struct Lane<'a> {
    engine: &'a Engine,
    running: &'a Arc<Running>,
    deliver: Arc<dyn Deliver>,
    fence: &'a Fence,
    limiter: Limiter,
    /// Conversations with a call under way.
    busy: HashSet<TicketId>,
    ended: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    /// The first attempt after trouble goes alone, to see whether the service is back.
    proven: bool,
}

impl Engine {
    /// Sends what is due until something breaks or the channel is stopped. Calls under way end as usual,
    /// and are settled, before this returns.
    pub(super) async fn run_lane(
        &self,
        running: &Arc<Running>,
        fence: &Fence,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Stopped {
        let Some(deliver) = running.channel.deliver.clone() else { return Stopped::Asked };
        let rate = running.channel.capabilities.rate;
        let mut lane = Lane {
            engine: self,
            running,
            deliver,
            fence,
            limiter: Limiter::new(rate, Instant::now()),
            busy: HashSet::new(),
            ended: mpsc::channel(usize::from(rate.in_flight_max).max(1)),
            proven: false,
        };
        let stopped = lane.run(stop, backoff).await;
        lane.finish().await;
        stopped
    }
}

impl Lane<'_> {
    async fn run(&mut self, stop: &CancellationToken, backoff: &mut Backoff) -> Stopped {
        let running = self.running.clone();
        loop {
            // Registered before looking, so that nothing that comes meanwhile is overlooked.
            let news = running.outbox.notified();
            if stop.is_cancelled() {
                return Stopped::Asked;
            }
            let wait = match self.begin_due(stop).await {
                Ok(wait) => wait.min(POLL),
                Err(error) => return error.into(),
            };
            tokio::select! {
                () = stop.cancelled() => return Stopped::Asked,
                () = news => {}
                () = tokio::time::sleep(wait) => {}
                Some(ended) = self.ended.1.recv() => {
                    self.busy.remove(&ended.ticket);
                    if let Err(stopped) = ended.outcome {
                        return stopped;
                    }
                    self.proven = true;
                    backoff.worked();
                }
            }
        }
    }

    /// Begins whatever may begin now. Returns how long to wait before looking again.
    async fn begin_due(&mut self, stop: &CancellationToken) -> Result<Duration, StoreError> {
        let name = &self.fence.channel;
        let engine = self.engine;
        let places = if self.proven {
            usize::from(self.running.channel.capabilities.rate.in_flight_max).max(1)
        } else {
            1
        };
        let free = places.saturating_sub(self.busy.len());
        if free == 0 {
            return Ok(POLL);
        }
        let now = engine.clock.now();
        let limit = u32::try_from(free + self.busy.len()).unwrap_or(u32::MAX);
        let due = engine.store.due_deliveries(name, limit, now).await?;
        if due.is_empty() && self.busy.is_empty() {
            engine.health.set(name, Part::Send, State::Running, None, now);
        }
        for delivery in due.into_iter().take(free) {
            if self.busy.contains(&delivery.ticket) {
                continue;
            }
            if stop.is_cancelled() {
                return Ok(Duration::ZERO);
            }
            let to = delivery.outbound.to.address.value.as_str();
            if let Err(wait) = self.limiter.take(to, Instant::now()) {
                return Ok(wait);
            }
            let remote_id = self.deliver.remote_id(&delivery.outbound);
            let now = engine.clock.now();
            if !engine.store.begin_delivery(self.fence, &delivery, remote_id, now).await? {
                continue;
            }
            failpoint::hit("lane.begun");
            self.spawn(delivery);
        }
        let next = engine.store.next_due(name).await?;
        let until = |at: crate::model::Timestamp| (at - engine.clock.now()).to_std();
        Ok(next.map_or(POLL, |at| until(at).unwrap_or(POLL).max(Duration::from_millis(10))))
    }

    fn spawn(&mut self, mut delivery: Due) {
        self.busy.insert(delivery.ticket);
        delivery.attempt += 1;
        let (deliver, ended) = (self.deliver.clone(), self.ended.0.clone());
        let call = Call {
            store: self.engine.store.clone(),
            clock: self.engine.clock,
            running: self.running.clone(),
            fence: self.fence.clone(),
        };
        let ticket = delivery.ticket;
        // In a task of its own: a call is never cut off, only left.
        self.running.tasks.spawn(async move {
            let outcome = call.run(&*deliver, &delivery).await;
            // The lane may be gone already.
            drop(ended.send(Ended { ticket, outcome }).await);
        });
    }

    /// Lets calls under way end.
    async fn finish(&mut self) {
        let limit = Instant::now() + self.engine.settings.stop_max;
        while !self.busy.is_empty() {
            match tokio::time::timeout_at(limit, self.ended.1.recv()).await {
                Ok(Some(ended)) => {
                    self.busy.remove(&ended.ticket);
                }
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// One call, with all that it needs to settle what came of it.
struct Call {
    store: crate::store::Store,
    clock: super::Clock,
    running: Arc<Running>,
    fence: Fence,
}

impl Call {
    async fn run(&self, deliver: &dyn Deliver, delivery: &Due) -> Result<(), Stopped> {
        let outcome = deliver.deliver(&delivery.outbound).await;
        failpoint::hit("lane.delivered");
        let channel = &self.running.channel;
        let (stopped, note) = match &outcome {
            Ok(Accepted { warning, .. }) => (None, warning.clone()),
            Err(DeliverError::Account(cause)) => {
                (Some(Stopped::Account(chain(cause))), Some(chain(cause)))
            }
            Err(DeliverError::Offline(cause)) => {
                let cause = chain(cause);
                (Some(Stopped::Retry { cause: cause.clone(), after: None }), Some(cause))
            }
            Err(DeliverError::Retry { cause, .. }) => (None, Some(chain(cause))),
            Err(DeliverError::Rejected(_) | DeliverError::Unknown(_)) => (None, None),
        };
        let policy = channel.policy.retry;
        let luck = (self.clock.now(), rand::random::<f64>());
        let state = desk::settle(delivery, outcome, channel.capabilities.resend, policy, luck);
        let id = delivery.outbound.delivery;
        tracing::debug!(channel = %channel.name, delivery.id = %id, outcome = state.status().as_str(), "an attempt ended");
        counter!("tributary_deliveries_total",
            "channel" => channel.name.to_string(), "outcome" => state.status().as_str())
        .increment(1);
        self.settle(delivery, &state, note).await?;
        failpoint::hit("lane.settled");
        match stopped {
            Some(stopped) => Err(stopped),
            None => Ok(()),
        }
    }

    /// Until the store takes it: a call that went out must not be forgotten because a disk was full for a
    /// moment. If it never does, the row stays `sending`, and the next holder knows what that means.
    async fn settle(
        &self,
        delivery: &Due,
        state: &DeliveryState,
        note: Option<String>,
    ) -> Result<(), StoreError> {
        let mut pause = Duration::from_millis(100);
        loop {
            let (id, now) = (delivery.outbound.delivery, self.clock.now());
            let what = (state.clone(), note.clone());
            match self.store.settle_delivery(&self.fence, id, what, now).await {
                Err(StoreError::Database(_) | StoreError::Conflict)
                    if !self.running.stop.is_cancelled() =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                settled => return settled,
            }
        }
    }
}
