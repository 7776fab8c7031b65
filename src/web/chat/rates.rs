//! How often: buckets that fill with time. Only on this node, and gone with a restart: a rate is no truth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;

use crate::model::ChannelName;

/// Keys that are remembered. Beyond it the full buckets go first.
const KEYS_MAX: usize = 50_000;

/// What is counted, on which channel, of whom.
type Key<'a> = (&'static str, &'a ChannelName, &'a str);

struct Bucket {
    left: f64,
    at: Instant,
    /// When it will be full again, and need not be remembered.
    full_at: Instant,
}

/// All buckets.
#[derive(Default)]
pub(in crate::web) struct Rates(Mutex<HashMap<(&'static str, ChannelName, String), Bucket>>);

impl Rates {
    /// Takes one of `count` in `per`; `Err`: how long to wait.
    pub(super) fn take(&self, key: Key<'_>, rate: (u32, Duration)) -> Result<(), Duration> {
        let (what, channel, who) = key;
        let taken = self.take_at((what, channel.clone(), who.to_owned()), rate, Instant::now());
        if taken.is_err() {
            counter!("tributary_chat_refused_total", "channel" => channel.to_string(), "why" => what)
                .increment(1);
        }
        taken
    }

    fn take_at(
        &self,
        key: (&'static str, ChannelName, String),
        (count, per): (u32, Duration),
        now: Instant,
    ) -> Result<(), Duration> {
        let count = f64::from(count.max(1));
        let each = per.div_f64(count);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEYS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| bucket.full_at > now);
            if buckets.len() >= KEYS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: count, at: now, full_at: now });
        let gained = now.duration_since(bucket.at).div_duration_f64(each);
        bucket.left = (bucket.left + gained).min(count);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(each.mul_f64(1.0 - bucket.left));
        }
        bucket.left -= 1.0;
        bucket.full_at = now + each.mul_f64(count - bucket.left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_is_too_fast_waits_and_others_do_not() {
        let rates = Rates::default();
        let start = Instant::now();
        let take = |who: &str, after: u64| {
            let key = ("m", "web".parse().unwrap(), who.to_owned());
            let minute = Duration::from_secs(60);
            rates.take_at(key, (20, minute), start + Duration::from_millis(after))
        };
        for _ in 0..20 {
            take("a", 0).unwrap();
        }
        assert_eq!(take("a", 0).unwrap_err(), Duration::from_secs(3));
        assert!(take("b", 0).is_ok());
        assert!(take("a", 2_999).is_err());
        assert!(take("a", 3_000).is_ok());
        assert!(take("a", 3_000).is_err());
    }

    #[test]
    fn memory_has_an_end() {
        let rates = Rates::default();
        let now = Instant::now();
        for n in 0..KEYS_MAX + 100 {
            let key = ("m", "web".parse().unwrap(), n.to_string());
            rates.take_at(key, (20, Duration::from_secs(60)), now).unwrap();
        }
        assert!(rates.0.lock().unwrap().len() <= KEYS_MAX);
    }
}
