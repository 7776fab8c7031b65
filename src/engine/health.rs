//! How each channel is: kept in memory, shown by API, console, metrics and `tributary channel list`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use metrics::{counter, gauge};

use crate::model::{ChannelName, Timestamp};
use crate::store::ChannelNote;

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
}

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
    pub fn note(&self, channel: &ChannelName) -> ChannelNote {
        let parts = self.of(channel);
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
        let troubled = worst.filter(|(_, health)| rank(&health.state) >= 5);
        let last_error = parts
            .iter()
            .filter(|(_, health)| health.last_error.is_some())
            .max_by_key(|(_, health)| health.last_error_at);
        ChannelNote {
            state: worst.map_or("off", |(_, health)| health.state.as_str()).to_owned(),
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
            if let Some(at) = health.last_success_at {
                gauge!("tributary_channel_seconds_since_success", &labels).set(seconds(now - at));
            }
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
