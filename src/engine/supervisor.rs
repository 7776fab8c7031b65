//! Runs one channel: takes its lease, recovers what the last holder left, then pulls and sends side by side.
//!
//! Receiving and sending back off each by itself, under the one lease: a mail server that takes nothing
//! any more is no reason to leave customers unread.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Engine, Part, Running, State};
use crate::channel::{DeliverError, PullError};
use crate::model::{Cause, Resend};
use crate::store::{Fence, LEASE_TTL, StoreError};

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// While it needs a human: often enough to notice that one came, seldom enough not to be locked out.
const ACCOUNT_PAUSE: Duration = Duration::from_secs(300);
/// After so long without trouble the next trouble is a new one.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Without a renewal the holder stops by its own clock before others may take over by the database's.
const HOLD_MAX: Duration = Duration::from_secs(25);
const LEASE_POLL: Duration = Duration::from_secs(3);

/// Why a loop of a channel ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("asked to stop")]
    Asked,
    /// The cause was shown to people already.
    #[error("{cause}")]
    Retry { cause: String, after: Option<Duration> },
    #[error("{0}")]
    Account(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PullError> for Stopped {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Retry { cause, after } => Self::Retry { cause: chain(&cause), after },
            PullError::Account(cause) => Self::Account(chain(&cause)),
        }
    }
}

impl From<DeliverError> for Stopped {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Account(cause) => Self::Account(chain(&cause)),
            DeliverError::Retry { cause, after } => Self::Retry { cause: chain(&cause), after },
            DeliverError::Rejected(cause)
            | DeliverError::Unreachable { cause, .. }
            | DeliverError::Offline(cause)
            | DeliverError::Unknown(cause) => Self::Retry { cause: chain(&cause), after: None },
        }
    }
}

/// An error with what is underneath, in one line.
pub(super) fn chain(cause: &Cause) -> String {
    let mut text = cause.to_string();
    let mut source = cause.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// Doubles, with full jitter, and begins anew after a healthy time or as soon as something got through: a
/// line that breaks again and again, but brings mail each time, must not slow down to one try in minutes.
pub(super) struct Backoff {
    failures: u32,
    max: Duration,
}

impl Backoff {
    pub(super) const fn new(max: Duration) -> Self {
        Self { failures: 0, max }
    }

    /// Something got through.
    pub(super) const fn worked(&mut self) {
        self.failures = 0;
    }

    pub(super) fn next(&mut self, ran_for: Duration, asked: Option<Duration>) -> Duration {
        if ran_for >= HEALTHY_AFTER {
            self.failures = 0;
        }
        let full = BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(rand::random_range(0.3..=1.0)).max(asked.unwrap_or_default())
    }
}

impl Engine {
    /// One task a channel, until it is stopped. A panic costs it one restart.
    pub(super) async fn run_channel(self: Arc<Self>, running: Arc<Running>) {
        let mut backoff = Backoff::new(BACKOFF_MAX);
        loop {
            let began = Instant::now();
            let work = AssertUnwindSafe(self.clone().run_leased(running.clone())).catch_unwind();
            if work.await.is_ok() {
                return;
            }
            let wait = backoff.next(began.elapsed(), None);
            let until = self.clock.now() + wait;
            tracing::error!(channel = %running.channel.name, "{} panicked and is started again", running.channel.name);
            self.set_all(&running, &State::BackingOff { until }, Some("it panicked"));
            self.pause(&running, wait).await;
        }
    }

    async fn run_leased(self: Arc<Self>, running: Arc<Running>) {
        let name = &running.channel.name;
        if running.channel.pull.is_none() && running.channel.deliver.is_none() {
            return;
        }
        while !running.stop.is_cancelled() {
            if let Err(error) = self.obey_pauses().await {
                self.store_trouble(&running, &error).await;
                continue;
            }
            if self.wait_while_paused(&running).await.is_none() {
                break;
            }
            let fence = match self.store.take_lease(name).await {
                Ok(Some(fence)) => fence,
                Ok(None) => {
                    self.set_all(&running, &State::WaitingForLease, None);
                    self.pause(&running, LEASE_POLL).await;
                    continue;
                }
                Err(error) => {
                    self.store_trouble(&running, &error).await;
                    continue;
                }
            };
            self.hold(&running, &fence).await;
        }
        self.set_all(&running, &State::Off, None);
    }

    async fn store_trouble(&self, running: &Running, error: &StoreError) {
        let until = self.clock.now() + LEASE_POLL;
        let text = format!("the store: {}", describe(error));
        self.set_all(running, &State::BackingOff { until }, Some(&text));
        self.pause(running, LEASE_POLL).await;
    }

    /// Everything that runs under one lease. Returns when it is lost, given back or not worth holding.
    async fn hold(&self, running: &Arc<Running>, fence: &Fence) {
        let resend = if running.channel.deliver.is_some() {
            Some(running.channel.capabilities.resend)
        } else {
            None
        };
        if let Some(resend) = resend
            && let Err(error) = self.recover(fence, resend).await
        {
            self.store_trouble(running, &error).await;
            return;
        }
        tracing::info!(channel = %fence.channel, epoch = fence.epoch, "{} is run here now", fence.channel);
        let stop = running.stop.child_token();
        let mut paused = running.paused.subscribe();
        let work = async {
            tokio::join!(
                self.receive(running, fence, &stop),
                self.send(running, fence, &stop),
                self.announce(running, fence, &stop),
            );
        };
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => {}
            () = self.keep_lease(fence) => stop.cancel(),
            () = async { drop(paused.wait_for(|paused| *paused).await) } => {
                stop.cancel();
                // Calls under way end as usual; nothing new begins.
                work.await;
            }
        }
        if let Err(error) = self.store.release(fence).await {
            tracing::debug!(channel = %fence.channel, error = %error, "the lease was not given back");
        }
    }

    async fn recover(&self, fence: &Fence, resend: Resend) -> Result<(), StoreError> {
        let recovered = self.store.recover_deliveries(fence, resend, self.clock.now()).await?;
        if recovered > 0 {
            tracing::warn!(channel = %fence.channel, recovered, "{recovered} deliveries were under way when their node stopped");
        }
        Ok(())
    }

    /// Returns when the lease is lost, or may be.
    async fn keep_lease(&self, fence: &Fence) {
        let mut held_since = Instant::now();
        loop {
            tokio::time::sleep(RENEW_EVERY.min(LEASE_TTL / 3)).await;
            let asked_at = Instant::now();
            let left = HOLD_MAX.saturating_sub(held_since.elapsed());
            match tokio::time::timeout(left, self.store.renew(fence)).await {
                Ok(Ok(())) => held_since = asked_at,
                Ok(Err(StoreError::LeaseLost(_))) => return,
                Ok(Err(error)) => {
                    tracing::debug!(channel = %fence.channel, error = %error, "the lease was not renewed");
                }
                Err(_) => return,
            }
            if held_since.elapsed() >= HOLD_MAX {
                return;
            }
        }
    }

    /// Pulls, with its own back-off, while the lease is held.
    async fn receive(&self, running: &Arc<Running>, fence: &Fence, stop: &CancellationToken) {
        let Some(pull) = running.channel.pull.clone() else { return stop.cancelled().await };
        let mut backoff = Backoff::new(BACKOFF_MAX);
        loop {
            let began = Instant::now();
            self.health.set(
                &fence.channel,
                Part::Receive,
                State::Connecting,
                None,
                self.clock.now(),
            );
            let stopped = self.run_pull(pull.clone(), fence, stop, &mut backoff).await;
            if self
                .back_off(Part::Receive, fence, stopped, (&mut backoff, began), stop)
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// Sends, with its own back-off, while the lease is held.
    async fn send(&self, running: &Arc<Running>, fence: &Fence, stop: &CancellationToken) {
        if running.channel.deliver.is_none() {
            return stop.cancelled().await;
        }
        // Short, since what is queued should go out soon after the service is back.
        let mut backoff = Backoff::new(Duration::from_secs(30));
        loop {
            let began = Instant::now();
            let stopped = self.run_lane(running, fence, stop, &mut backoff).await;
            if self
                .back_off(Part::Send, fence, stopped, (&mut backoff, began), stop)
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// Waits as the end of a loop asks for. `None`: the channel is to stop, or its lease is gone.
    async fn back_off(
        &self,
        part: Part,
        fence: &Fence,
        stopped: Stopped,
        (backoff, began): (&mut Backoff, Instant),
        stop: &CancellationToken,
    ) -> Option<()> {
        let channel = &fence.channel;
        let (wait, error) = match stopped {
            Stopped::Asked => return None,
            Stopped::Store(StoreError::LeaseLost(_)) => {
                stop.cancel();
                return None;
            }
            Stopped::Account(cause) => {
                tracing::error!(%channel, part = part.as_str(), error = cause, "{channel} needs a human: {cause}");
                let now = self.clock.now();
                self.health.set(channel, part, State::NeedsHuman, Some(cause), now);
                return stop.run_until_cancelled(tokio::time::sleep(ACCOUNT_PAUSE)).await;
            }
            Stopped::Retry { cause, after } => (backoff.next(began.elapsed(), after), cause),
            Stopped::Store(error) => {
                (backoff.next(began.elapsed(), None), format!("the store: {}", describe(&error)))
            }
        };
        let now = self.clock.now();
        tracing::warn!(%channel, part = part.as_str(), retry_s = wait.as_secs_f32(), error,
            "{channel} stopped to {} and tries again", part.as_str());
        self.health.set(channel, part, State::BackingOff { until: now + wait }, Some(error), now);
        stop.run_until_cancelled(tokio::time::sleep(wait)).await
    }

    /// `None`: the channel is to stop.
    async fn wait_while_paused(&self, running: &Running) -> Option<()> {
        let mut paused = running.paused.subscribe();
        if *paused.borrow() {
            self.set_all(running, &State::Paused, None);
        }
        running.stop.run_until_cancelled(paused.wait_for(|paused| !*paused)).await.map(drop)
    }

    async fn pause(&self, running: &Running, length: Duration) {
        let length = length.mul_f64(rand::random_range(0.7..=1.3));
        running.stop.run_until_cancelled(tokio::time::sleep(length)).await;
    }

    fn set_all(&self, running: &Running, state: &State, error: Option<&str>) {
        let channel = &running.channel;
        let parts =
            [(channel.pull.is_some(), Part::Receive), (channel.deliver.is_some(), Part::Send)];
        for (_, part) in parts.into_iter().filter(|(there, _)| *there) {
            self.health.set(
                &channel.name,
                part,
                state.clone(),
                error.map(str::to_owned),
                self.clock.now(),
            );
        }
    }
}

/// A store error with what is underneath.
pub(super) fn describe(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
