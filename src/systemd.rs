//! What systemd is told: ready, reloading, stopping, alive. Does nothing where there is no systemd.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Migrations done, channels built, port bound.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The settings are being read again; [`ready`] ends it, also when they were refused.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(error = %error, "the monotonic clock cannot be read"),
    }
}

/// On the way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "systemd cannot be told");
    }
}

/// Feeds the watchdog while `pulse` goes on: each of its changes is a turn of housekeeping that wrote to
/// the store. A daemon that only breathes is not fed.
pub async fn feed_watchdog(mut pulse: watch::Receiver<u64>, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let pause = (limit / 4).max(Duration::from_millis(100));
    while stop.run_until_cancelled(pulse.changed()).await.is_some_and(|changed| changed.is_ok()) {
        tell(&[NotifyState::Watchdog]);
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}
