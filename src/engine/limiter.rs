//! How fast a lane may send: tokens for the channel, a gap for each recipient. In memory, since one node
//! holds the lane.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Rate;

/// Recipients remembered before old ones are forgotten.
const RECIPIENTS_MAX: usize = 10_000;

/// Why a delivery has to wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The whole channel has sent enough.
    Channel(Duration),
    /// This recipient got something a moment ago; others need not wait.
    Recipient(Duration),
}

/// The limits of one lane.
pub(super) struct Limiter {
    rate: Rate,
    /// Deliveries that may begin now; fills up to a tenth of a minute's worth, at least one.
    tokens: f64,
    filled_at: Instant,
    last_to: HashMap<String, Instant>,
}

impl Limiter {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: burst(rate), filled_at: now, last_to: HashMap::new() }
    }

    /// May a delivery to `to` begin? Takes a token if so; `Err`: ask again after so long.
    pub(super) fn take(&mut self, to: &str, now: Instant) -> Result<(), Wait> {
        if let Some(last) = self.last_to.get(to) {
            let free_at = *last + self.rate.per_recipient;
            if now < free_at {
                return Err(Wait::Recipient(free_at - now));
            }
        }
        if self.rate.per_minute > 0 {
            let per_second = f64::from(self.rate.per_minute) / 60.0;
            let earned = (now - self.filled_at).as_secs_f64() * per_second;
            self.tokens = (self.tokens + earned).min(burst(self.rate));
            self.filled_at = now;
            if self.tokens < 1.0 {
                let wait = Duration::from_secs_f64((1.0 - self.tokens) / per_second);
                return Err(Wait::Channel(wait));
            }
            self.tokens -= 1.0;
        }
        if !self.rate.per_recipient.is_zero() {
            if self.last_to.len() >= RECIPIENTS_MAX {
                let gap = self.rate.per_recipient;
                self.last_to.retain(|_, last| now < *last + gap);
            }
            self.last_to.insert(to.to_owned(), now);
        }
        Ok(())
    }
}

fn burst(rate: Rate) -> f64 {
    (f64::from(rate.per_minute) / 10.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_channel_and_a_recipient_have_their_own_limits() {
        let start = Instant::now();
        let gap = Duration::from_secs(1);
        let rate = Rate { per_minute: 60, per_recipient: gap, in_flight_max: 1 };
        let mut limiter = Limiter::new(rate, start);
        assert_eq!(limiter.take("a", start), Ok(()));
        assert_eq!(limiter.take("a", start), Err(Wait::Recipient(gap)));
        let taken = (0..60).filter(|n| limiter.take(&n.to_string(), start).is_ok()).count();
        assert_eq!(taken, 5, "the burst is a tenth of a minute's worth");
        let Err(Wait::Channel(wait)) = limiter.take("b", start) else { panic!("no limit") };
        assert_eq!(limiter.take("b", start + wait + Duration::from_millis(1)), Ok(()));
    }
}
