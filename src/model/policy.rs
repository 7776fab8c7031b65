//! What an admin decided for one channel, whatever its kind.

use std::time::Duration;

use super::{Address, Priority};

/// Within which messages share one space of [`RemoteId`](super::RemoteId)s.
///
/// All mail channels share `email`, since one mail to two of our mailboxes has one Message-ID; every
/// other channel is its own realm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Realm(pub String);

/// What an admin decided for one channel, whatever its kind: the keys that every `[channels.<name>]`
/// table may hold beside those of its kind.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What a message to a solved ticket does.
    pub reopen: Reopen,
    /// What becomes of one message that reaches two of our channels.
    pub duplicates: Duplicates,
    /// Send an acknowledgement when a ticket is opened.
    pub acknowledge: Option<Acknowledge>,
    /// Do replies go to everybody who was addressed, or to the customer alone?
    pub reply_all: bool,
    /// What a new ticket starts with.
    pub ticket: TicketDefaults,
    /// How often and how long a delivery is tried.
    pub retry: RetryPolicy,
    /// Addresses whose mail never opens a ticket and is never answered: kept as spam. `@domain` or whole.
    pub blocked: Vec<String>,
}

/// What a message to a solved ticket does. A closed one always gets a new, linked ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopen {
    /// Opens it again, however old.
    Always,
    /// Opens it again until this long after it was solved; later, a new linked ticket.
    Within(Duration),
    /// Always a new linked ticket.
    Never,
}

/// What becomes of one message that reaches two of our channels of one realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// One ticket, in the channel that got it first; the other arrival is noted on it.
    Join,
    /// One ticket for each channel.
    Separate,
}

/// An acknowledgement, and the limits that keep it from looping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledge {
    /// Text with `{number}`, `{subject}`, `{name}`.
    pub text: String,
    /// At most one for each address within this time.
    pub per_address: Duration,
    /// At most this many for the whole channel in one hour; then none until the hour is over.
    pub per_hour_max: u32,
}

impl Acknowledge {
    /// Limits for what a channel sends by itself without an acknowledgement of its own.
    #[must_use]
    pub const fn guard() -> Self {
        let per_address = Duration::from_secs(24 * 3600);
        Self { text: String::new(), per_address, per_hour_max: 200 }
    }
}

/// What a new ticket starts with.
#[derive(Debug, Clone)]
pub struct TicketDefaults {
    /// Free word by which agents share work.
    pub queue: Option<String>,
    /// How much it hurts to wait.
    pub priority: Priority,
    /// Free words.
    pub tags: Vec<String>,
}

/// How often and how long a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Before the second attempt; doubles with each.
    pub delay_min: Duration,
    /// Never longer than this.
    pub delay_max: Duration,
    /// Counted from the first attempt; then it has failed.
    pub give_up_after: Duration,
}

/// Is one of these our own? Mail from ourselves is never acknowledged, and no copy goes to ourselves.
#[derive(Debug, Clone, Default)]
pub struct OwnAddresses(pub std::collections::HashSet<Address>);

impl OwnAddresses {
    /// Compares without a plus tag: `support+t12.x@a` is `support@a`.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        if self.0.contains(address) {
            return true;
        }
        let Some((local, domain)) = address.value.rsplit_once('@') else { return false };
        let Some((base, _)) = local.split_once('+') else { return false };
        let bare = Address { value: format!("{base}@{domain}"), ..address.clone() };
        self.0.contains(&bare)
    }
}
