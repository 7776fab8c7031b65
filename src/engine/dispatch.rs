//! The outbound lane of one channel: takes what is due, one call each, never two of one conversation.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limiter::{Limiter, Wait};
use super::supervisor::{Backoff, Stopped, chain};
use super::{Engine, Part, Running, State, failpoint};
use crate::channel::{Accepted, Deliver, DeliverError};
use crate::desk;
use crate::model::{ChannelName, Delivery, DeliveryState, Standing, TicketId};
use crate::store::{Due, Fence, Outcome, StoreError};

/// The poll is the truth, the notification a hint: another node may have queued something.
const POLL: Duration = Duration::from_secs(2);
/// Rows that are looked at for one that may begin now: a recipient who has to wait holds up nobody else.
const LOOK_AT: u32 = 200;

const PANICKED: &str = "the adapter panicked";

/// What a call's task tells the lane.
struct Ended {
    ticket: TicketId,
    /// `true`: the service took it.
    outcome: Result<bool, Stopped>,
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

    /// Sends what is due of one channel, one after the other: for engines without loops. What does not go out
    /// stays in the outbox, as in a lane.
    pub async fn drain_outbox(&self, name: &ChannelName) -> Result<(), StoreError> {
        let Some(running) = self.running(name) else { return Ok(()) };
        let Some(deliver) = running.channel.deliver.clone() else { return Ok(()) };
        while !self.store.due_deliveries(name, 1, self.clock.now()).await?.is_empty() {
            // A node that is at work on the channel sends it.
            let Some(fence) = self.store.take_lease(name).await? else { return Ok(()) };
            let (store, clock) = (self.store.clone(), self.clock);
            let call = Call { store, clock, running: running.clone(), fence: fence.clone() };
            let ended = call.all_due(&*deliver).await;
            self.store.release(&fence).await?;
            match ended {
                Ok(()) => {}
                Err(Stopped::Store(error)) => return Err(error),
                Err(Stopped::Asked | Stopped::Retry { .. } | Stopped::Account(_)) => return Ok(()),
            }
        }
        Ok(())
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
                Err(stopped) => return stopped,
            };
            tokio::select! {
                () = stop.cancelled() => return Stopped::Asked,
                () = news => {}
                () = tokio::time::sleep(wait) => {}
                Some(ended) = self.ended.1.recv() => {
                    self.busy.remove(&ended.ticket);
                    match ended.outcome {
                        Ok(taken) => self.worked(taken),
                        Err(stopped) => return stopped,
                    }
                    backoff.worked();
                }
            }
        }
    }

    /// A call ended without trouble of the lane.
    fn worked(&mut self, taken: bool) {
        self.proven = true;
        if taken {
            let engine = self.engine;
            engine.health.success(&self.fence.channel, Part::Send, engine.clock.now());
        }
    }

    /// Begins whatever may begin now. Returns how long to wait before looking again.
    async fn begin_due(&mut self, stop: &CancellationToken) -> Result<Duration, Stopped> {
        let fence = self.fence;
        let (name, engine) = (&fence.channel, self.engine);
        let places = if self.proven {
            usize::from(self.running.channel.capabilities.rate.in_flight_max).max(1)
        } else {
            1
        };
        if self.busy.len() >= places {
            return Ok(POLL);
        }
        let mut wait = POLL;
        let due = engine.store.due_deliveries(name, LOOK_AT, engine.clock.now()).await?;
        if due.is_empty() && self.busy.is_empty() {
            engine.health.set(name, Part::Send, State::Running, None, engine.clock.now());
        }
        for due in due {
            if self.busy.len() >= places || stop.is_cancelled() {
                break;
            }
            if self.busy.contains(&due.delivery.ticket) {
                continue;
            }
            match self.limiter.take(&due.delivery.outbound.to.address.value, Instant::now()) {
                Ok(()) => self.begin(due).await?,
                Err(Wait::Recipient(left)) => wait = wait.min(left),
                Err(Wait::Channel(left)) => {
                    wait = wait.min(left);
                    break;
                }
            }
        }
        let next = engine.store.next_due(name).await?;
        let until = |at: crate::model::Timestamp| (at - engine.clock.now()).to_std();
        let next = next.map_or(POLL, |at| until(at).unwrap_or(POLL));
        Ok(wait.min(next).max(Duration::from_millis(10)))
    }

    /// Notes that an attempt begins, and begins it.
    async fn begin(&mut self, due: Due) -> Result<(), Stopped> {
        let store = &self.engine.store;
        if store.drop_wordless(&due, self.engine.clock.now()).await? {
            return Ok(());
        }
        let delivery = store.complete(due).await?;
        let named = catch_unwind(AssertUnwindSafe(|| self.deliver.remote_id(&delivery.outbound)));
        let (id, now) = (delivery.outbound.delivery, self.engine.clock.now());
        let Ok(remote_id) = named else {
            // Nothing went out, and the next try would meet the same fault: those behind it must not wait.
            if store.begin_delivery(self.fence, id, None, now).await? {
                let failed = DeliveryState::Failed { cause: PANICKED.to_owned() };
                store.settle_delivery(self.fence, id, failed.into(), now).await?;
            }
            return Err(panicked());
        };
        if store.begin_delivery(self.fence, id, remote_id, now).await? {
            failpoint::hit("lane.begun");
            self.spawn(delivery);
        }
        Ok(())
    }

    fn spawn(&mut self, mut delivery: Delivery) {
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

fn panicked() -> Stopped {
    Stopped::Retry { cause: PANICKED.to_owned(), after: None }
}

/// One call, with all that it needs to settle what came of it.
struct Call {
    store: crate::store::Store,
    clock: super::Clock,
    running: Arc<Running>,
    fence: Fence,
}

impl Call {
    /// One after the other, until nothing is due or the service takes no more.
    async fn all_due(&self, deliver: &dyn Deliver) -> Result<(), Stopped> {
        let name = &self.fence.channel;
        loop {
            let due = self.store.due_deliveries(name, 1, self.clock.now()).await?;
            let Some(due) = due.into_iter().next() else { return Ok(()) };
            if self.store.drop_wordless(&due, self.clock.now()).await? {
                continue;
            }
            let mut delivery = self.store.complete(due).await?;
            let (id, remote_id) =
                (delivery.outbound.delivery, deliver.remote_id(&delivery.outbound));
            if !self.store.begin_delivery(&self.fence, id, remote_id, self.clock.now()).await? {
                return Err(Stopped::Asked);
            }
            delivery.attempt += 1;
            self.run(deliver, &delivery).await?;
        }
    }

    /// `true`: the service took it.
    async fn run(&self, deliver: &dyn Deliver, delivery: &Delivery) -> Result<bool, Stopped> {
        let call = AssertUnwindSafe(deliver.deliver(&delivery.outbound)).catch_unwind();
        // An adapter that panics may have sent it before. The lane pauses, lest all that is queued should
        // meet the same fault at once.
        let (outcome, panic) = match call.await {
            Ok(outcome) => (outcome, None),
            Err(_) => (Err(DeliverError::Unknown(PANICKED.into())), Some(panicked())),
        };
        failpoint::hit("lane.delivered");
        let taken = outcome.is_ok();
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
            Err(
                DeliverError::Rejected(_)
                | DeliverError::Unknown(_)
                | DeliverError::Unreachable { .. },
            ) => (None, None),
        };
        let standing = match &outcome {
            Err(DeliverError::Unreachable { cause, reach }) => {
                let address = delivery.outbound.to.address.clone();
                Some(Standing { address, reach: *reach, said: chain(cause) })
            }
            _ => None,
        };
        let policy = channel.policy.retry;
        let luck = (self.clock.now(), rand::random::<f64>());
        let state = desk::settle(delivery, outcome, channel.capabilities.resend, policy, luck);
        let id = delivery.outbound.delivery;
        tracing::debug!(channel = %channel.name, delivery.id = %id, outcome = state.status().as_str(), "an attempt ended");
        counter!("tributary_deliveries_total",
            "channel" => channel.name.to_string(), "outcome" => state.status().as_str())
        .increment(1);
        self.settle(delivery, Outcome { state, note, standing }).await?;
        failpoint::hit("lane.settled");
        match panic.or(stopped) {
            Some(stopped) => Err(stopped),
            None => Ok(taken),
        }
    }

    /// Until the store takes it: a call that went out must not be forgotten because a disk was full for a
    /// moment. If it never does, the row stays `sending`, and the next holder knows what that means.
    async fn settle(&self, delivery: &Delivery, outcome: Outcome) -> Result<(), StoreError> {
        let mut pause = Duration::from_millis(100);
        loop {
            let (id, now) = (delivery.outbound.delivery, self.clock.now());
            match self.store.settle_delivery(&self.fence, id, outcome.clone(), now).await {
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
