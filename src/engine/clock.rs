//! Hands out the time, so that a test can set it.

use crate::model::Timestamp;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub struct Clock(fn() -> Timestamp);

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    pub fn system() -> Self {
        Self(chrono::Utc::now)
    }

    /// A clock for tests.
    #[must_use]
    pub const fn from_fn(now: fn() -> Timestamp) -> Self {
        Self(now)
    }

    /// The time, cut to milliseconds as the store keeps it.
    #[must_use]
    pub fn now(self) -> Timestamp {
        let now = (self.0)();
        Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }
}
