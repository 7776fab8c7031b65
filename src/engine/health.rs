//! How each channel is: kept in memory, shown by API, console, metrics and `tributary channel list`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use metrics::{counter, gauge};

use crate::model::{ChannelName, Timestamp};
use crate::store::ChannelNote;
use crate::telemetry::{NEEDS_HUMAN, SINCE_SUCCESS};

/// The loops of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Asks the service for messages.
    Receive,
    /// Owns a port.
    Listen,
    /// Hands replies to the service.
    Send,
}

impl Part {
    /// For metrics and people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Listen => "listen",
            Self::Send => "send",
        }
    }
}

/// What a loop does just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Another node has the channel.
    WaitingForLease,
    /// On its way to the service.
    Connecting,
    /// It works.
    Running,
    /// It did not work; tried again then.
    BackingOff {
        /// When.
        until: Timestamp,
    },
    /// It will not work until somebody acts; tried again now and then all the same.
    NeedsHuman,
    /// Somebody stopped it.
    Paused,
    /// Not running.
    Off,
}

impl State {
    /// Is it run here, so that it should work?
    const fn is_ours(&self) -> bool {
        match self {
            Self::Connecting | Self::Running | Self::BackingOff { .. } | Self::NeedsHuman => true,
            Self::WaitingForLease | Self::Paused | Self::Off => false,
        }
    }

    /// One word for people, and for the metric's label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::WaitingForLease => "waiting_for_lease",
            Self::Connecting => "connecting",
            Self::Running => "running",
            Self::BackingOff { .. } => "backing_off",
            Self::NeedsHuman => "needs_human",
            Self::Paused => "paused",
            Self::Off => "off",
        }
    }
}

/// How one loop is.
#[derive(Debug, Clone)]
pub struct PartHealth {
    /// What it does.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When it last worked.
    pub last_success_at: Option<Timestamp>,
    /// When it last did not.
    pub last_error_at: Option<Timestamp>,
    /// What that was.
    pub last_error: Option<String>,
    /// Messages that the service holds and that we have not fetched, if it told.
    pub backlog: Option<u64>,
    /// The last moment at which nothing was amiss; of one that never worked, when it began.
    fine_at: Timestamp,
    /// It needed a human, and has not worked since: trying again does not change that.
    refused: bool,
}

impl PartHealth {
    /// For how long it has not worked although it should. Whoever asks a service hears of it again and
    /// again; the other parts are fine as long as they wait for work.
    fn amiss(&self, part: Part, now: Timestamp) -> chrono::Duration {
        let waits = part != Part::Receive && self.state == State::Running;
        if waits || !self.state.is_ours() { chrono::Duration::zero() } else { now - self.fine_at }
    }
}

/// A part that asks its service hears of it at least every ten minutes. After this it is silent, which may
/// be seen by nobody otherwise: no error, no message, and everything green.
pub(super) const SILENCE_MAX: chrono::Duration = chrono::Duration::minutes(15);

/// How all channels are.
#[derive(Default)]
pub struct Health(Mutex<HashMap<(ChannelName, Part), PartHealth>>);

impl Health {
    /// Changes a loop's state. An error is remembered beyond its end.
    pub(super) fn set(
        &self,
        channel: &ChannelName,
        part: Part,
        state: State,
        error: Option<String>,
        now: Timestamp,
    ) {
        self.update(channel, part, now, |health| {
            if health.state != state {
                health.since = now;
            }
            let was_fine = part != Part::Receive && health.state == State::Running;
            if was_fine || !health.state.is_ours() {
                health.fine_at = now;
            }
            health.refused = match state {
                State::NeedsHuman => true,
                State::Connecting | State::BackingOff { .. } => health.refused,
                State::Running | State::WaitingForLease | State::Paused | State::Off => false,
            };
            health.state = state;
            if let Some(error) = error {
                health.last_error = Some(error);
                health.last_error_at = Some(now);
                counter!("tributary_channel_errors_total",
                    "channel" => channel.to_string(), "part" => part.as_str())
                .increment(1);
            }
        });
    }

    /// Something worked.
    pub(super) fn success(&self, channel: &ChannelName, part: Part, now: Timestamp) {
        self.update(channel, part, now, |health| {
            if health.state != State::Running {
                health.since = now;
                health.state = State::Running;
            }
            health.last_success_at = Some(now);
            health.fine_at = now;
            health.refused = false;
        });
    }

    /// Something worked; `trouble` is what did not, beside it, and what a human has to mend.
    pub(super) fn working(
        &self,
        channel: &ChannelName,
        part: Part,
        trouble: Option<String>,
        now: Timestamp,
    ) {
        let Some(trouble) = trouble else { return self.success(channel, part, now) };
        self.set(channel, part, State::NeedsHuman, Some(trouble), now);
        self.update(channel, part, now, |health| health.last_success_at = Some(now));
    }

    pub(super) fn backlog(&self, channel: &ChannelName, backlog: Option<u64>, now: Timestamp) {
        self.update(channel, Part::Receive, now, |health| health.backlog = backlog);
    }

    fn update(
        &self,
        channel: &ChannelName,
        part: Part,
        now: Timestamp,
        change: impl FnOnce(&mut PartHealth),
    ) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let health = all.entry((channel.clone(), part)).or_insert_with(|| PartHealth {
            state: State::Off,
            since: now,
            last_success_at: None,
            last_error_at: None,
            last_error: None,
            backlog: None,
            fine_at: now,
            refused: false,
        });
        change(health);
    }

    pub(super) fn forget(&self, channel: &ChannelName) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(name, _), _| name != channel);
    }

    /// The loops of a channel.
    #[must_use]
    pub fn of(&self, channel: &ChannelName) -> Vec<(Part, PartHealth)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts: Vec<_> = all
            .iter()
            .filter(|((name, _), _)| name == channel)
            .map(|((_, part), health)| (*part, health.clone()))
            .collect();
        parts.sort_by_key(|(part, _)| *part);
        parts
    }

    /// A channel in one line: its worst loop.
    #[must_use]
    pub fn note(&self, channel: &ChannelName, now: Timestamp) -> ChannelNote {
        let mut parts = self.of(channel);
        for (_, health) in parts.iter_mut().filter(|(_, health)| health.refused) {
            health.state = State::NeedsHuman;
        }
        let rank = |state: &State| match state {
            State::NeedsHuman => 6,
            State::BackingOff { .. } => 5,
            State::Paused => 4,
            State::Connecting => 3,
            State::WaitingForLease => 2,
            State::Running => 1,
            State::Off => 0,
        };
        let worst = parts.iter().max_by_key(|(_, health)| rank(&health.state));
        let silent = parts.iter().any(|(part, health)| health.amiss(*part, now) > SILENCE_MAX);
        let troubled = worst.filter(|(_, health)| rank(&health.state) >= 5);
        let last_error = parts
            .iter()
            .filter(|(_, health)| health.last_error.is_some())
            .max_by_key(|(_, health)| health.last_error_at);
        let state = match worst.map(|(_, health)| health.state.as_str()) {
            Some(state) if silent && state != State::NeedsHuman.as_str() => "silent",
            Some(state) => state,
            None => "off",
        };
        ChannelNote {
            state: state.to_owned(),
            cause: troubled.and_then(|(_, health)| health.last_error.clone()),
            last_success_at: parts.iter().filter_map(|(_, health)| health.last_success_at).max(),
            last_error_at: last_error.and_then(|(_, health)| health.last_error_at),
            last_error: last_error.and_then(|(_, health)| health.last_error.clone()),
            backlog: parts.iter().find_map(|(_, health)| health.backlog),
        }
    }

    /// Sets the gauges; called when somebody asks for the metrics, and by housekeeping.
    pub fn report(&self, now: Timestamp) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((channel, part), health) in all.iter() {
            let labels = [("channel", channel.to_string()), ("part", part.as_str().to_owned())];
            gauge!(SINCE_SUCCESS, &labels).set(seconds(health.amiss(*part, now)));
            gauge!(NEEDS_HUMAN, &labels).set(if health.refused { 1.0 } else { 0.0 });
            let running = matches!(health.state, State::Running);
            gauge!("tributary_channel_up", &labels).set(if running { 1.0 } else { 0.0 });
            if let Some(backlog) = health.backlog {
                #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                gauge!("tributary_channel_backlog", &labels).set(backlog as f64);
            }
        }
    }
}

fn seconds(span: chrono::Duration) -> f64 {
    span.as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap() + chrono::Duration::minutes(minutes)
    }

    fn metrics(health: &Health, now: Timestamp) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || health.report(now));
        recorder.handle().render()
    }

    /// COMPLAINTS L4, L20: everything is green, and nothing has come for a quarter of an hour.
    #[test]
    fn a_part_that_has_not_worked_for_long_is_silent_even_if_it_never_did() {
        let (health, name): (Health, ChannelName) = (Health::default(), "mail".parse().unwrap());
        health.set(&name, Part::Receive, State::Connecting, None, at(0));
        assert_eq!(health.note(&name, at(14)).state, "connecting");
        assert_eq!(health.note(&name, at(16)).state, "silent", "it never worked");
        let line = "tributary_channel_seconds_since_success{channel=\"mail\",part=\"receive\"} 960";
        assert!(metrics(&health, at(16)).contains(line), "{}", metrics(&health, at(16)));
        health.success(&name, Part::Receive, at(17));
        assert_eq!(health.note(&name, at(31)).state, "running");
        assert_eq!(health.note(&name, at(33)).state, "silent", "it hangs, without an error");
        health.set(&name, Part::Receive, State::NeedsHuman, Some("535".to_owned()), at(40));
        assert_eq!(health.note(&name, at(60)).state, "needs_human", "what is known is said");
        health.set(&name, Part::Receive, State::Connecting, None, at(61));
        assert_eq!(health.note(&name, at(61)).state, "needs_human", "another try heals nothing");
        let line = "tributary_channel_needs_human{channel=\"mail\",part=\"receive\"} 1";
        assert!(metrics(&health, at(61)).contains(line), "{}", metrics(&health, at(61)));
        health.success(&name, Part::Receive, at(62));
        assert_eq!(health.note(&name, at(62)).state, "running");
    }

    /// COMPLAINTS O7: what waits, rests or runs elsewhere is not broken.
    #[test]
    fn what_only_waits_is_not_silent() {
        let (health, name): (Health, ChannelName) = (Health::default(), "mail".parse().unwrap());
        health.set(&name, Part::Send, State::Running, None, at(0));
        assert_eq!(health.note(&name, at(600)).state, "running", "there is nothing to send");
        health.set(&name, Part::Send, State::BackingOff { until: at(601) }, None, at(600));
        assert_eq!(health.note(&name, at(610)).state, "backing_off");
        health.set(&name, Part::Send, State::BackingOff { until: at(611) }, None, at(610));
        assert_eq!(health.note(&name, at(616)).state, "silent", "each try begins no new time");
        health.set(&name, Part::Send, State::Paused, None, at(620));
        assert_eq!(health.note(&name, at(900)).state, "paused");
        health.set(&name, Part::Send, State::Connecting, None, at(900));
        assert_eq!(health.note(&name, at(914)).state, "connecting", "the pause does not count");
        health.set(&name, Part::Send, State::WaitingForLease, None, at(915));
        assert_eq!(health.note(&name, at(2000)).state, "waiting_for_lease");
        assert!(metrics(&health, at(2000)).contains("part=\"send\"} 0"));
    }
}
