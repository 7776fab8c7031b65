//! What systemd is told: ready, reloading, stopping, still making progress. Elsewhere, nothing happens.
//!
//! Knows nothing of what the daemon does. `docs/OPERATING.md` says what the unit does with it.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Asked for before the last one is used up.
const EXTENSION: Duration = Duration::from_secs(60);

/// Waits for what must be done before we are ready, and asks for more time as long as it goes on.
pub async fn starting<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tell(&[NotifyState::Status(what)]);
    loop {
        tell(&[NotifyState::ExtendTimeoutUsec(
            u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX),
        )]);
        if let Ok(done) = tokio::time::timeout(EXTENSION / 3, &mut work).await {
            return done;
        }
    }
}

/// The settings hold, the store is up to date, the ports are bound.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reading the settings again begins; it ends with [`ready`], whether they were taken over or not.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]),
        // Without the time systemd would wait for ever, so it is not told at all.
        Err(error) => tracing::warn!(%error, "the clock cannot be read"),
    }
}

/// The end begins.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Feeds the watchdog as long as `heart` beats. Each beat has written to the store and run on the
/// runtime, so neither a hanging store nor a hanging runtime is taken for life.
pub async fn feed_watchdog(mut heart: watch::Receiver<u64>, stop: CancellationToken) {
    if sd_notify::watchdog_enabled().is_none() {
        return;
    }
    while stop.run_until_cancelled(heart.changed()).await.is_some_and(|beat| beat.is_ok()) {
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
