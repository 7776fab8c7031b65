//! Mails that may be what breaks the session, remembered across sessions.
//!
//! A mail that cannot be fetched must not stop those behind it, and a bad line must not make a mail
//! count as unfetchable. So a fault first makes the next groups smaller; a mail that was fetched alone
//! and failed gets a strike, and which sort of strike depends on whether the line or the answer broke.

use std::collections::HashMap;
use std::sync::Mutex;

use super::fault::Fault;

/// Answers that were broken, refused or harmful before a mail counts as unfetchable.
const HARD_MAX: u8 = 3;
/// Connections that were lost over it before the mail behind it is tried.
const SOFT_MAX: u8 = 4;
/// More suspects than this are not remembered.
const KEPT_MAX: usize = 10_000;

/// One mail: folder, UIDVALIDITY, UID.
pub(super) type Key = (String, u32, u32);

#[derive(Debug, Default, Clone)]
struct Strikes {
    hard: u8,
    soft: u8,
    reason: String,
}

/// What is to be done with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Fetch it with others.
    Good,
    /// Fetch it alone.
    Suspect,
    /// Connections die over it: see whether the one behind it comes through.
    Doubtful(String),
    /// Do not fetch it again; this is why.
    Unfetchable(String),
}

/// All suspects of one channel.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    strikes: HashMap<Key, Strikes>,
    /// Groups are that many times halved.
    halvings: u32,
}

impl Suspects {
    pub(super) fn standing(&self, key: &Key) -> Standing {
        let inner = self.lock();
        match inner.strikes.get(key) {
            None => Standing::Good,
            Some(strikes) if strikes.hard >= HARD_MAX => {
                Standing::Unfetchable(strikes.reason.clone())
            }
            Some(strikes) if strikes.soft >= SOFT_MAX => Standing::Doubtful(strikes.reason.clone()),
            Some(_) => Standing::Suspect,
        }
    }

    /// How many mails may be fetched at once now.
    pub(super) fn group_max(&self, wanted: u32) -> u32 {
        wanted.checked_shr(self.lock().halvings).unwrap_or(0).max(1)
    }

    /// These came through.
    pub(super) fn clear(&self, keys: &[Key]) {
        let mut inner = self.lock();
        inner.halvings = inner.halvings.saturating_sub(1);
        for key in keys {
            inner.strikes.remove(key);
        }
    }

    /// These did not, when they were asked for together.
    pub(super) fn blame(&self, keys: &[Key], fault: &Fault) {
        if fault.is_passing() {
            return;
        }
        let mut inner = self.lock();
        if inner.strikes.len() > KEPT_MAX {
            inner.strikes.clear();
        }
        let hard = fault.blames_the_mail();
        let alone = keys.len() == 1;
        if !hard && !alone {
            inner.halvings = (inner.halvings + 1).min(16);
            return;
        }
        for key in keys {
            let strikes = inner.strikes.entry(key.clone()).or_default();
            strikes.reason = fault.to_string();
            if hard {
                strikes.hard = strikes.hard.saturating_add(1);
            } else {
                strikes.soft = strikes.soft.saturating_add(1);
            }
        }
    }

    /// The parser died over these.
    fn blame_panic(&self, keys: &[Key]) {
        self.blame(keys, &Fault::Garbled("the fetch (the parser gave up)".to_owned()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Mails that are being fetched: should the parser panic, they are to blame.
pub(super) struct InFlight<'s> {
    pub(super) suspects: &'s Suspects,
    pub(super) keys: &'s [Key],
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.suspects.blame_panic(self.keys);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uid: u32) -> Key {
        ("INBOX".to_owned(), 1, uid)
    }

    fn garbled() -> Fault {
        Fault::Garbled("x".to_owned())
    }

    fn lost() -> Fault {
        Fault::Lost("x".to_owned(), None)
    }

    #[test]
    fn three_broken_answers_make_a_mail_unfetchable_and_its_neighbours_stay_good() {
        let suspects = Suspects::default();
        suspects.blame(&[key(1), key(2)], &garbled());
        assert_eq!(suspects.standing(&key(1)), Standing::Suspect);
        suspects.clear(&[key(1)]);
        assert_eq!(suspects.standing(&key(1)), Standing::Good);
        suspects.blame(&[key(2)], &garbled());
        suspects.blame(&[key(2)], &garbled());
        assert!(matches!(suspects.standing(&key(2)), Standing::Unfetchable(_)));
    }

    #[test]
    fn lost_connections_halve_the_groups_and_condemn_nothing() {
        let suspects = Suspects::default();
        for expected in [25, 12, 6, 3, 1, 1] {
            suspects.blame(&[key(1), key(2)], &lost());
            assert_eq!(suspects.group_max(50), expected);
        }
        for _ in 0..20 {
            suspects.blame(&[key(1)], &lost());
        }
        assert!(matches!(suspects.standing(&key(1)), Standing::Doubtful(_)));
        for _ in 0..6 {
            suspects.clear(&[key(1)]);
        }
        assert_eq!((suspects.group_max(50), suspects.standing(&key(1))), (50, Standing::Good));
    }

    #[test]
    fn a_panic_is_blamed_on_what_was_in_flight() {
        let suspects = Suspects::default();
        for _ in 0..3 {
            let keys = [key(7)];
            let flight = std::panic::AssertUnwindSafe(|| {
                let _flight = InFlight { suspects: &suspects, keys: &keys };
                std::panic::resume_unwind(Box::new("parser"));
            });
            assert!(std::panic::catch_unwind(flight).is_err());
        }
        assert!(matches!(suspects.standing(&key(7)), Standing::Unfetchable(_)));
    }
}
