//! What the answer of a service says about a delivery, or about a question: the usual reading.
//!
//! A kind whose service means something else by a status looks at the [`Answer`] itself first.

use std::time::Duration;

use bytes::Bytes;
use http::header;

use super::{Answer, HttpError};
use crate::channel::{DeliverError, DownloadError, PullError};
use crate::model::Cause;

/// No service may hold us up longer than this.
const AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// The pause that a service asks for: seconds, or a date, counted from its own clock.
#[must_use]
pub fn after(answer: &Answer) -> Option<Duration> {
    let given = answer.header(&header::RETRY_AFTER)?.trim();
    let pause = match given.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = chrono::DateTime::parse_from_rfc2822(given).ok()?;
            let now = chrono::DateTime::parse_from_rfc2822(answer.header(&header::DATE)?).ok()?;
            (until - now).to_std().unwrap_or_default()
        }
    };
    Some(pause.min(AFTER_MAX))
}

/// What became of a delivery that was one call: the answer if the status is 2xx.
///
/// | what happened | means |
/// |---|---|
/// | no connection | `Offline` |
/// | written, and no answer; 502 and 504: a gateway that handed it on | `Unknown` |
/// | 401, 403; a redirect, which is not followed; an address that we do not call | `Account` |
/// | 408, 425, 429, other 5xx | `Retry`, after the pause that was asked for |
/// | other 4xx | `Rejected` |
pub fn delivered(result: Result<Answer, HttpError>) -> Result<Answer, DeliverError> {
    let answer = match result {
        Ok(answer) => answer,
        Err(error @ HttpError::Unreachable { .. }) => {
            return Err(DeliverError::Offline(error.into()));
        }
        Err(error @ HttpError::Refused { .. }) => return Err(DeliverError::Account(error.into())),
        Err(error @ (HttpError::NoAnswer { .. } | HttpError::Unusable { .. })) => {
            return Err(DeliverError::Unknown(error.into()));
        }
    };
    let cause = || words(&answer);
    match answer.status.as_u16() {
        200..=299 => Ok(answer),
        401 | 403 | 300..=399 => Err(DeliverError::Account(cause())),
        502 | 504 => Err(DeliverError::Unknown(cause())),
        408 | 425 | 429 | 500.. => {
            Err(DeliverError::Retry { cause: cause(), after: after(&answer) })
        }
        _ => Err(DeliverError::Rejected(cause())),
    }
}

/// What became of a question: the answer if the status is 2xx. Asking twice does no harm, so everything
/// that may heal is tried again.
pub fn pulled(result: Result<Answer, HttpError>) -> Result<Answer, PullError> {
    let answer = match result {
        Ok(answer) => answer,
        Err(error @ HttpError::Refused { .. }) => return Err(PullError::Account(error.into())),
        Err(error) => return Err(PullError::Retry { cause: error.into(), after: None }),
    };
    match answer.status.as_u16() {
        200..=299 => Ok(answer),
        408 | 425 | 429 | 500.. => {
            Err(PullError::Retry { cause: words(&answer), after: after(&answer) })
        }
        _ => Err(PullError::Account(words(&answer))),
    }
}

/// What became of an attachment: the whole file if the status is 2xx.
pub fn downloaded(result: Result<Answer, HttpError>) -> Result<Bytes, DownloadError> {
    let answer = match result {
        Ok(answer) => answer,
        Err(error @ (HttpError::Refused { .. } | HttpError::Unusable { .. })) => {
            return Err(DownloadError::Never(error.into()));
        }
        Err(error @ (HttpError::Unreachable { .. } | HttpError::NoAnswer { .. })) => {
            return Err(DownloadError::Retry { cause: error.into(), after: None });
        }
    };
    match answer.status.as_u16() {
        200..=299 => match answer.body {
            Ok(bytes) => Ok(bytes),
            Err(super::TOO_LONG) => {
                Err(DownloadError::Never(answer.unusable(super::TOO_LONG).into()))
            }
            Err(why) => {
                Err(DownloadError::Retry { cause: answer.unusable(why).into(), after: None })
            }
        },
        // The token may be replaced, and then it works.
        401 | 408 | 425 | 429 | 500.. => {
            Err(DownloadError::Retry { cause: words(&answer), after: after(&answer) })
        }
        _ => Err(DownloadError::Never(words(&answer))),
    }
}

/// What becomes of a call that only prepares a delivery: nobody got anything, whatever went wrong.
#[must_use]
pub fn harmless(error: DeliverError) -> DeliverError {
    match error {
        DeliverError::Unknown(cause) => DeliverError::Retry { cause, after: None },
        DeliverError::Rejected(_)
        | DeliverError::Unreachable { .. }
        | DeliverError::Retry { .. }
        | DeliverError::Offline(_)
        | DeliverError::Account(_) => error,
    }
}

/// What becomes of a question about a file.
#[must_use]
pub fn for_download(error: DeliverError) -> DownloadError {
    match error {
        DeliverError::Rejected(cause) | DeliverError::Unreachable { cause, .. } => {
            DownloadError::Never(cause)
        }
        DeliverError::Retry { cause, after } => DownloadError::Retry { cause, after },
        DeliverError::Offline(cause)
        | DeliverError::Unknown(cause)
        | DeliverError::Account(cause) => DownloadError::Retry { cause, after: None },
    }
}

/// What becomes of a question, by what would become of a delivery: asking twice does no harm.
#[must_use]
pub fn for_pull(error: DeliverError) -> PullError {
    match error {
        DeliverError::Rejected(cause)
        | DeliverError::Unreachable { cause, .. }
        | DeliverError::Account(cause) => PullError::Account(cause),
        DeliverError::Retry { cause, after } => PullError::Retry { cause, after },
        DeliverError::Offline(cause) | DeliverError::Unknown(cause) => {
            PullError::Retry { cause, after: None }
        }
    }
}

/// The status and the service's own words.
fn words(answer: &Answer) -> Cause {
    let (host, status) = (answer.host(), answer.status.as_u16());
    let excerpt = answer.excerpt();
    let text = match status {
        300..=399 => {
            format!("{host} answered {status}: it has moved, put its new address into the settings")
        }
        _ if excerpt.is_empty() => format!("{host} answered {status}"),
        _ => format!("{host} answered {status}: {excerpt}"),
    };
    text.into()
}
