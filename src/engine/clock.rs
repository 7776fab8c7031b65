//! Hands out the time, so that a test or a demo can set it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Timestamp;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    Asked(fn() -> Timestamp),
    /// Milliseconds since 1970.
    Set(&'static AtomicI64),
}

/// Sets a clock that does not go by itself.
#[derive(Debug, Clone, Copy)]
pub struct Hand(&'static AtomicI64);

impl Hand {
    /// From now on it is this time.
    pub fn set(self, at: Timestamp) {
        self.0.store(at.timestamp_millis(), Ordering::SeqCst);
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    pub fn system() -> Self {
        Self::from_fn(chrono::Utc::now)
    }

    /// A clock for tests.
    #[must_use]
    pub const fn from_fn(now: fn() -> Timestamp) -> Self {
        Self(Source::Asked(now))
    }

    /// A clock that stands at `start` until its hand is moved: for a past that is played. Its eight bytes are
    /// kept until the program ends, so a program makes one and not many.
    #[must_use]
    pub fn by_hand(start: Timestamp) -> (Self, Hand) {
        let millis: &'static AtomicI64 = Box::leak(Box::new(AtomicI64::new(0)));
        let hand = Hand(millis);
        hand.set(start);
        (Self(Source::Set(millis)), hand)
    }

    /// The time, cut to milliseconds as the store keeps it.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self.0 {
            Source::Asked(now) => {
                let now = now();
                Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
            }
            Source::Set(millis) => {
                Timestamp::from_timestamp_millis(millis.load(Ordering::SeqCst)).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_stands_still_until_it_is_moved() {
        let at = |millis| Timestamp::from_timestamp_millis(millis).unwrap();
        let (clock, hand) = Clock::by_hand(at(1_000));
        assert_eq!((clock.now(), clock.now()), (at(1_000), at(1_000)));
        hand.set(at(5_000));
        assert_eq!(clock.now(), at(5_000));
    }
}
