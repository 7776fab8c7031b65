//! Who asks: the address behind our own proxies, and how often it came with something wrong.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;

use super::WebSettings;
use crate::model::Timestamp;

/// The address that a request came from.
///
/// `X-Forwarded-For` is read from its end: each proxy appends what it saw, and what stands before the
/// first that is not ours is anybody's claim.
pub(super) fn address(parts: &Parts, settings: &WebSettings) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical());
    let ours = |address: &IpAddr| {
        settings.trusted_proxies.iter().any(|network| contains(*network, *address))
    };
    let chain = parts.headers.get_all("x-forwarded-for").iter().rev();
    let hops = chain.filter_map(|value| value.to_str().ok()).flat_map(|value| value.rsplit(','));
    let mut address = peer;
    for hop in hops {
        if !ours(&address) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(before) => address = before.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

/// The network that a request came from, for rates: one address, or the /64 that one subscriber has.
pub(super) fn network(parts: &Parts, settings: &WebSettings) -> IpAddr {
    subscriber(address(parts, settings))
}

/// Does the network (first address, prefix length) hold this address?
fn contains((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Wrong tokens and passwords by address, within a minute; and which of them the audit trail is told.
#[derive(Debug, Default)]
pub struct Failures {
    counts: Mutex<HashMap<IpAddr, Count>>,
    trail: Mutex<Trail>,
}

/// What was written into the audit trail of late: whoever fails on purpose must not fill the store.
#[derive(Debug, Default)]
struct Trail {
    since: Timestamp,
    /// By subscriber; as many at most as are noted at all.
    noted: HashMap<IpAddr, u32>,
    unnoted: u32,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    failures: u32,
}

/// So many in a minute may be mistakes.
const FAILURES_MAX: u32 = 20;
const WINDOW: chrono::Duration = chrono::Duration::seconds(60);
/// Failures that are noted in an hour, by one subscriber and by all.
const NOTED_EACH_MAX: u32 = 10;
const NOTED_MAX: u32 = 60;
const TRAIL_WINDOW: chrono::Duration = chrono::Duration::hours(1);
/// More addresses than this at once are not remembered: memory has a limit too.
const ADDRESSES_MAX: usize = 10_000;

impl Failures {
    /// Were there too many of late? Asked where even trying costs us something.
    pub(super) fn are_too_many(&self, address: IpAddr, now: Timestamp) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&subscriber(address));
        count.is_some_and(|count| now - count.since < WINDOW && count.failures > FAILURES_MAX)
    }

    /// Notes one. `true`: it is one too many.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX {
            counts.retain(|_, count| now - count.since < WINDOW);
            if counts.len() >= ADDRESSES_MAX {
                counts.clear();
            }
        }
        let count = counts.entry(subscriber(address)).or_insert(Count { since: now, failures: 0 });
        if now - count.since >= WINDOW {
            *count = Count { since: now, failures: 0 };
        }
        count.failures = count.failures.saturating_add(1);
        count.failures > FAILURES_MAX
    }

    /// May one more go into the audit trail? Then: how many did not since the last one.
    pub(super) fn may_note(&self, address: IpAddr, now: Timestamp) -> Option<u32> {
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        if now - trail.since >= TRAIL_WINDOW {
            trail.since = now;
            trail.noted.clear();
        }
        let all: u32 = trail.noted.values().sum();
        let each = trail.noted.get(&subscriber(address)).copied().unwrap_or_default();
        if all >= NOTED_MAX || each >= NOTED_EACH_MAX {
            trail.unnoted = trail.unnoted.saturating_add(1);
            return None;
        }
        trail.noted.insert(subscriber(address), each + 1);
        Some(std::mem::take(&mut trail.unnoted))
    }
}

/// One subscriber has a whole /64 of IPv6.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use chrono::TimeZone as _;

    use super::*;

    fn seen_from(peer: &str, forwarded: &[&str], trusted: &[(&str, u8)]) -> String {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut settings = WebSettings::usual("http://127.0.0.1".to_owned());
        let networks = trusted.iter().map(|(network, bits)| (network.parse().unwrap(), *bits));
        settings.trusted_proxies = networks.collect();
        address(&parts, &settings).to_string()
    }

    #[test]
    fn only_our_own_proxies_are_believed() {
        let ours: &[(&str, u8)] = &[("10.0.0.0", 8), ("::1", 128)];
        for (peer, forwarded, trusted, expected) in [
            ("9.9.9.9", &["1.2.3.4"][..], ours, "9.9.9.9"),
            ("10.1.1.1", &["1.2.3.4"][..], ours, "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6, 1.2.3.4, 10.2.2.2"][..], ours, "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6", "1.2.3.4"][..], ours, "1.2.3.4"),
            ("10.1.1.1", &["1.2.3.4, nonsense"][..], ours, "10.1.1.1"),
            ("10.1.1.1", &[][..], ours, "10.1.1.1"),
            ("10.1.1.1", &["1.2.3.4"][..], &[][..], "10.1.1.1"),
            ("::1", &["2001:db8::7"][..], ours, "2001:db8::7"),
            ("::ffff:10.1.1.1", &["1.2.3.4"][..], ours, "1.2.3.4"),
            ("11.0.0.1", &["1.2.3.4"][..], &[("0.0.0.0", 0)][..], "1.2.3.4"),
        ] {
            assert_eq!(seen_from(peer, forwarded, trusted), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn failures_are_counted_by_subscriber_and_forgiven_after_a_minute() {
        let failures = Failures::default();
        let start = chrono::Utc.timestamp_opt(1_000, 0).single().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for number in 0..FAILURES_MAX {
            let neighbour = format!("2001:db8::{number}");
            assert!(!failures.note(address(&neighbour), start));
        }
        assert!(failures.note(address("2001:db8::ffff"), start));
        assert!(!failures.note(address("2001:db8:0:1::1"), start), "another subscriber");
        assert!(!failures.note(address("2001:db8::1"), start + WINDOW));
    }

    #[test]
    fn whoever_fails_on_purpose_fills_no_audit_trail() {
        let failures = Failures::default();
        let now = chrono::Utc.timestamp_opt(1_000_000, 0).single().unwrap();
        let note =
            |number: u32, now| failures.may_note(IpAddr::V4(Ipv4Addr::from_bits(number)), now);
        let one: Vec<_> = (0..100).filter_map(|_| note(1, now)).collect();
        assert_eq!(one, vec![0; 10]);
        let mut others = (2..10_000).filter_map(|number| note(number, now));
        assert_eq!(others.next(), Some(90), "those that were left out are counted");
        assert_eq!(others.count(), 49);
        assert!(note(1, now + TRAIL_WINDOW).is_some());
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory() {
        let failures = Failures::default();
        let now = chrono::Utc.timestamp_opt(1_000, 0).single().unwrap();
        for number in 0..3 * ADDRESSES_MAX {
            let number = u32::try_from(number).unwrap();
            failures.note(IpAddr::V4(Ipv4Addr::from_bits(number)), now);
        }
        assert!(failures.counts.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
