//! Logs and metrics: how they leave, and the names of all metrics.
//!
//! Knows nothing of channels or tickets. No body, address, name or token is ever logged; what anybody
//! outside can cause is logged at `debug` and counted.

use std::io::IsTerminal as _;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt, registry};

/// Raws that were stored, by `channel`.
pub const RECEIVED: &str = "tributary_received_total";
/// Raws that came again and were known, by `channel`.
pub const DUPLICATES: &str = "tributary_duplicates_total";
/// Raws whose meaning was settled, by `channel` and `outcome` (applied, ignored, failed).
pub const INGESTED: &str = "tributary_ingested_total";
/// Time from storing a raw to its place in a ticket, by `channel`.
pub const INGEST_LAG: &str = "tributary_ingest_lag_seconds";
/// Attempts to send, by `channel` and `outcome`.
pub const DELIVERIES: &str = "tributary_deliveries_total";
/// Hook requests that were not from the service or not for us, by `channel` and `why`.
pub const HOOKS_REFUSED: &str = "tributary_hooks_refused_total";
/// Attempts at files that messages only named, by `channel` and `outcome`.
pub const MEDIA: &str = "tributary_media_total";
/// Files that the virus scanner was asked about, by `outcome` (`clean`, `infected`, `too_large`, `allowed`, `down`).
pub const SCANNED: &str = "tributary_scanned_total";
/// Ends of connections by a fault, by `channel` and `part`.
pub const CHANNEL_ERRORS: &str = "tributary_channel_errors_total";
/// 1 while the part of the channel runs, by `channel` and `part`.
pub const CHANNEL_UP: &str = "tributary_channel_up";
/// Time since the part of the channel last worked, by `channel` and `part`: raise an alarm on this one.
pub const SINCE_SUCCESS: &str = "tributary_channel_seconds_since_success";
/// 1 while the part of the channel cannot go on until a person acts, by `channel` and `part`: an alarm.
pub const NEEDS_HUMAN: &str = "tributary_channel_needs_human";
/// 1 while nothing is received on the channel on any node although it should be, by `channel`: an alarm.
pub const SILENT: &str = "tributary_channel_silent";
/// Deliveries that wait, by `channel` and `state` (queued, held, failed, unconfirmed).
pub const OUTBOX: &str = "tributary_outbox_deliveries";
/// Age of the oldest delivery that waits for its turn, by `channel`.
pub const OUTBOX_AGE: &str = "tributary_outbox_oldest_seconds";
/// Raws that are stored and not yet understood, by `channel`.
pub const UNREAD: &str = "tributary_journal_unread";
/// Age of the oldest of these, by `channel`.
pub const UNREAD_AGE: &str = "tributary_journal_oldest_seconds";
/// Raws that could not be understood, by `channel`.
pub const QUARANTINED: &str = "tributary_quarantine_raws";
/// Messages that the service holds and we have not fetched, by `channel`.
pub const BACKLOG: &str = "tributary_channel_backlog";
/// Time until the access token must be renewed, by `channel`; negative: it has expired.
pub const TOKEN_EXPIRES: &str = "tributary_token_expires_seconds";
/// Reloads of the settings, by `outcome` (done, refused).
pub const RELOADS: &str = "tributary_reloads_total";

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// In which form.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or by module: `info,tributary::channel=debug`.
    pub level: LogLevel,
}

/// In which form is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// The journal's own form under systemd, text on a terminal, else JSON.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
    /// The journal's own form.
    Journald,
}

/// How much is logged of what.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct LogLevel(Targets);

impl TryFrom<String> for LogLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // One level is ours; other crates say a lot at `debug`, some of it with what people wrote.
        if let Ok(level) = text.parse::<LevelFilter>() {
            let others = level.min(LevelFilter::WARN);
            return Ok(Self(Targets::new().with_default(others).with_target("tributary", level)));
        }
        // A word alone would be taken for a module of which all is logged.
        let plain = text
            .split(',')
            .all(|part| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok());
        match text.parse() {
            Ok(targets) if plain => Ok(Self(targets)),
            Ok(_) | Err(_) => Err("expected error, warn, info, debug, trace or off, or like \
                                   `info,tributary::channel=debug`"
                .to_owned()),
        }
    }
}

/// Begins to log. Called once, by `tributary run`.
pub fn start(settings: &LogSettings) -> Result<(), TryInitError> {
    let LogLevel(targets) = settings.level.clone();
    let terminal = std::io::stderr().is_terminal();
    let text = move || {
        fmt::layer().with_writer(std::io::stderr).with_ansi(terminal).with_target(false).boxed()
    };
    let json = || fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed();
    let layer = match settings.format {
        LogFormat::Text => text(),
        LogFormat::Auto if terminal => text(),
        LogFormat::Auto | LogFormat::Json => json(),
        LogFormat::Journald => match tracing_journald::layer() {
            Ok(layer) => layer
                .with_syslog_identifier("tributary".to_owned())
                .with_field_prefix(Some("TRIBUTARY".to_owned()))
                .boxed(),
            // No journal here: the log is still needed.
            Err(_) => json(),
        },
    };
    registry().with(layer.with_filter(targets)).try_init()?;
    log_panics();
    Ok(())
}

/// Logs where a panic happened. Not what it said: that may quote what a customer wrote.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name(), "a part of the program panicked");
    }));
}

/// Begins to count. Called once, by `tributary run`; the handle renders `/metrics`.
pub fn metrics() -> Result<PrometheusHandle, BuildError> {
    let lag = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(INGEST_LAG.to_owned()), &lag)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    describe_counter!(RECEIVED, "Raws that were stored");
    describe_counter!(DUPLICATES, "Raws that came again and were known");
    describe_counter!(INGESTED, "Raws whose meaning was settled");
    describe_histogram!(INGEST_LAG, Unit::Seconds, "From storing a raw to its place in a ticket");
    describe_counter!(DELIVERIES, "Attempts to send");
    describe_counter!(HOOKS_REFUSED, "Hook requests that were not from the service");
    describe_counter!(MEDIA, "Attempts to fetch files that messages only named");
    describe_counter!(SCANNED, "Files that the virus scanner was asked about");
    describe_counter!(CHANNEL_ERRORS, "Connections that ended by a fault");
    describe_gauge!(CHANNEL_UP, "1 while the part of the channel runs");
    describe_gauge!(SINCE_SUCCESS, Unit::Seconds, "Since the part of the channel last worked");
    describe_gauge!(NEEDS_HUMAN, "1 while the part cannot go on until a person acts");
    describe_gauge!(SILENT, "1 while nothing is received on any node although it should be");
    describe_gauge!(OUTBOX, "Deliveries that wait");
    describe_gauge!(OUTBOX_AGE, Unit::Seconds, "Age of the oldest delivery that waits");
    describe_gauge!(UNREAD, "Raws that are stored and not yet understood");
    describe_gauge!(UNREAD_AGE, Unit::Seconds, "Age of the oldest raw that is not yet understood");
    describe_gauge!(QUARANTINED, "Raws that could not be understood");
    describe_gauge!(BACKLOG, "Messages that the service holds and we have not fetched");
    describe_gauge!(TOKEN_EXPIRES, Unit::Seconds, "Until the access token must be renewed");
    describe_counter!(RELOADS, "Reloads of the settings");
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn level(text: &str) -> Targets {
        LogLevel::try_from(text.to_owned()).unwrap().0
    }

    #[test]
    fn a_single_level_is_ours_alone() {
        let debug = level("debug");
        assert!(debug.would_enable("tributary::engine", &Level::DEBUG));
        assert!(!debug.would_enable("hyper", &Level::INFO));
        assert!(debug.would_enable("hyper", &Level::WARN));
        assert!(!level("error").would_enable("hyper", &Level::WARN));
        assert!(level("info,hyper=debug").would_enable("hyper", &Level::DEBUG));
        assert!(LogLevel::try_from("loud".to_owned()).is_err());
    }
}
