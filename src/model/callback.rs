//! Call-backs: a customer asked to be called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ticket::{UnknownWord, words};
use super::{Address, Scheme, Timestamp};

words! {
    /// Where a call-back stands.
    CallbackStatus {
        /// Somebody has to call, not before its due time.
        Waiting = "waiting",
        /// An agent has it and is calling.
        Calling = "calling",
        /// They were spoken to.
        Done = "done",
        /// They were called as often as the settings want, or cannot be called at all.
        Unreached = "unreached",
        /// They, or an agent, do not want it any more.
        Cancelled = "cancelled",
        /// Nobody called in time.
        Expired = "expired",
    }
}

words! {
    /// How one call ended.
    CallOutcome {
        /// They were spoken to.
        Reached = "reached",
        /// It rang, and nobody answered.
        NoAnswer = "no_answer",
        /// The line was busy.
        Busy = "busy",
        /// A machine answered; a message was left, or not.
        Voicemail = "voicemail",
        /// The call could not be made, or broke off.
        Failed = "failed",
        /// Somebody else has this number.
        WrongNumber = "wrong_number",
        /// They do not want to be called any more.
        Declined = "declined",
    }
}

/// A wish to be called, as a channel read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallWish {
    /// E.164 with the plus; anything else is noted as refused.
    pub phone: String,
    /// Not before this moment, if they chose one.
    pub at: Option<Timestamp>,
    /// When, in their own words.
    pub when: String,
    /// What about.
    pub note: String,
    /// Their time zone by its IANA name (`Asia/Shanghai`), if it is known.
    pub time_zone: Option<String>,
}

/// A telephone number in comparable form: E.164 with the plus. `None`: it is none.
#[must_use]
pub fn phone_number(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| !matches!(c, ' ' | '/' | '\u{a0}')).collect();
    let international = match kept.strip_prefix("00") {
        Some(digits) => format!("+{digits}"),
        None => kept,
    };
    Address::typed(Scheme::Tel, None, &international).map(|address| address.value)
}

/// The first telephone number within a text, in comparable form: with its country code, as one would write it.
#[must_use]
pub fn number_in(text: &str) -> Option<String> {
    let part = |c: char| c.is_ascii_digit() || "+ ()-./\u{a0}".contains(c);
    let folded: String = text.chars().map(|c| if c == '＋' { '+' } else { c }).collect();
    let runs = folded.split(|c: char| !part(c)).map(str::trim);
    runs.filter(|run| run.starts_with('+') || run.starts_with("00"))
        .find_map(|run| phone_number(run.trim_end_matches(['.', '-', '/', '(', ' '])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_among_words() {
        for (text, expected) in [
            ("yes, +44 20 7946 0958 please.", Some("+442079460958")),
            ("请打 ＋86 138-0013-8000。", Some("+8613800138000")),
            ("0086 138 0013 8000", Some("+8613800138000")),
            ("I sent +0.5 ETH and 138 0013 8000 more", None),
            ("call me", None),
            ("", None),
        ] {
            assert_eq!(number_in(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_become_comparable() {
        for text in ["+86 138 0013 8000", "0086-138-0013-8000", "+86 (138) 0013.8000"] {
            assert_eq!(phone_number(text).as_deref(), Some("+8613800138000"), "{text}");
        }
        for text in ["", "138 0013 8000", "+0123456789", "+12", "call me", "+12345678901234567"] {
            assert_eq!(phone_number(text), None, "{text}");
        }
    }
}
