//! Notices what nobody would notice: a channel that no node receives on any more, though nothing fails.
//! And tells how much waits.

use std::collections::{HashMap, HashSet};

use metrics::gauge;

use super::Engine;
use super::health::SILENCE_MAX;
use crate::model::{ChannelName, Timestamp};
use crate::store::{ChannelFigures, StoreError};
use crate::telemetry::{OUTBOX, OUTBOX_AGE, QUARANTINED, SILENT, UNREAD, UNREAD_AGE};

/// Counting what waits is not done at every turn: a minute.
const COUNT_EVERY_TURNS: u64 = 12;

/// What is remembered from turn to turn.
#[derive(Default)]
pub(super) struct Watch {
    turns: u64,
    /// Since when each channel is watched here.
    since: HashMap<ChannelName, Timestamp>,
    silent: HashSet<ChannelName>,
}

impl Engine {
    /// One look. The store knows of all nodes: whichever runs a channel notes there that it works.
    pub(super) async fn keep_watch(&self, watch: &mut Watch) -> Result<(), StoreError> {
        let states = self.store.channel_states().await?;
        let now = self.clock.now();
        for running in self.all_running() {
            let name = &running.channel.name;
            let since = *watch.since.entry(name.clone()).or_insert(now);
            if running.channel.pull.is_none() {
                continue;
            }
            let kept = states.iter().find(|state| state.channel == *name);
            let paused = kept.is_some_and(|kept| kept.paused);
            let noted = kept.map(|kept| &kept.note);
            let seen =
                noted.and_then(|note| note.last_success_at).map_or(since, |at| at.max(since));
            let silent =
                noted.is_some_and(|note| note.state == "silent") || now - seen > SILENCE_MAX;
            self.tell_silence(watch, name, silent && !paused);
        }
        if watch.turns.is_multiple_of(COUNT_EVERY_TURNS) {
            let figures = self.store.channel_figures(now).await?;
            for name in self.channel_names() {
                report(
                    &name,
                    figures.get(name.as_str()).unwrap_or(&ChannelFigures::default()),
                    now,
                );
            }
        }
        watch.turns += 1;
        Ok(())
    }

    fn tell_silence(&self, watch: &mut Watch, name: &ChannelName, silent: bool) {
        gauge!(SILENT, "channel" => name.to_string()).set(if silent { 1.0 } else { 0.0 });
        if silent && watch.silent.insert(name.clone()) {
            let minutes = SILENCE_MAX.num_minutes();
            tracing::error!(channel = %name, minutes, "{name} has received nothing for {minutes} minutes, on any node");
        } else if !silent && watch.silent.remove(name) {
            tracing::info!(channel = %name, "{name} receives again");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges")]
fn report(name: &ChannelName, figures: &ChannelFigures, now: Timestamp) {
    let channel = || name.to_string();
    for (state, number) in [
        ("queued", figures.queued),
        ("held", figures.held),
        ("failed", figures.failed),
        ("unconfirmed", figures.unconfirmed),
    ] {
        gauge!(OUTBOX, "channel" => channel(), "state" => state).set(number as f64);
    }
    let age = |since: Option<Timestamp>| {
        since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0))
    };
    gauge!(OUTBOX_AGE, "channel" => channel()).set(age(figures.queued_since));
    gauge!(UNREAD, "channel" => channel()).set(figures.unread as f64);
    gauge!(UNREAD_AGE, "channel" => channel()).set(age(figures.unread_since));
    gauge!(QUARANTINED, "channel" => channel()).set(figures.quarantined as f64);
}
