//! Logs and metrics: where they go, and what they are called.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// In which form is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
    /// The journal's own form.
    Journald,
}

/// Logs and metrics cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BadTelemetry {
    /// The level is no level.
    #[error("log.level: {0}")]
    Level(String),
    /// The journal does not answer.
    #[error("the journal cannot be reached: {0}")]
    Journal(#[source] std::io::Error),
    /// Set up twice.
    #[error("logs or metrics are set up already")]
    Twice,
}

/// Starts logging. `level`: a word, or directives like `info,tributary::channel=debug`.
///
/// Libraries that print what passes through them (bodies, passwords) never go below `info`.
pub fn start(form: LogForm, level: &str) -> Result<(), BadTelemetry> {
    let quiet = ["lettre=info", "async_imap=info", "hyper=info", "rustls=info", "sqlx=warn"];
    let mut filter =
        EnvFilter::try_new(level).map_err(|error| BadTelemetry::Level(error.to_string()))?;
    for directive in quiet {
        match directive.parse() {
            Ok(directive) => filter = filter.add_directive(directive),
            Err(error) => return Err(BadTelemetry::Level(format!("{directive}: {error}"))),
        }
    }
    let layer = match form {
        LogForm::Text => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed(),
        LogForm::Json => {
            tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed()
        }
        LogForm::Journald => {
            let layer = tracing_journald::layer().map_err(BadTelemetry::Journal)?;
            layer.with_field_prefix(Some("TRIBUTARY".to_owned())).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    subscriber.try_init().map_err(|_| BadTelemetry::Twice)
}

/// Starts counting; the handle renders what was counted.
pub fn metrics() -> Result<PrometheusHandle, BadTelemetry> {
    let lag = Matcher::Full("tributary_ingest_lag_seconds".to_owned());
    let buckets = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86_400.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(lag, &buckets)
        .map_err(|_| BadTelemetry::Twice)?
        .install_recorder()
        .map_err(|_| BadTelemetry::Twice)
}
