//! `[callbacks]`: when and how customers are called back.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Weekday;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Found;
use crate::desk::{Calendar, CallbackPolicy, CallbackTexts, DaySpan};

/// `[callbacks]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackSection {
    /// The desk's time zone by its IANA name: `Asia/Shanghai`.
    #[schemars(with = "String")]
    time_zone: Tz,
    /// When the desk calls, in its own time: `09:00-18:00`.
    #[schemars(with = "String")]
    hours: DaySpan,
    /// On which days: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    #[schemars(with = "Vec<String>")]
    days: Vec<Weekday>,
    /// When a customer may be called, in their own time where it is known.
    #[schemars(with = "String")]
    customer_hours: DaySpan,
    /// Calls that reach nobody before it is given up.
    #[schemars(range(min = 1, max = 20))]
    attempts_max: u32,
    /// Minutes to wait after the first, second … call that reached nobody; the last one counts for all later ones.
    again_after_minutes: Vec<u64>,
    /// It is over when nobody called for so many days after its due time.
    #[schemars(range(min = 1, max = 90))]
    expire_after_days: u64,
    /// An agent who took one and says nothing for so many minutes has not called.
    #[schemars(range(min = 1, max = 1440))]
    claim_minutes: u64,
    /// Open call-backs of one ticket, each to another number.
    #[schemars(range(min = 1, max = 20))]
    open_max: usize,
    /// Only numbers that begin with one of these are called: `["+86", "+1"]`. None: all.
    prefixes: Vec<String>,
    /// Is a wish confirmed on the customer's channel?
    confirm: bool,
    /// So many minutes before the call they are reminded. 0: never.
    #[schemars(range(max = 1440))]
    remind_before_minutes: u64,
    /// What is written to customers, by language.
    texts: BTreeMap<String, CallbackTexts>,
}

impl CallbackSection {
    /// What no type can say.
    pub(super) fn check(&self) -> Result<(), Found> {
        let fault = |key: &str, reason: &str| {
            Err(Found { path: format!("callbacks.{key}"), reason: reason.to_owned() })
        };
        if self.days.is_empty() {
            return fault("days", "on one day at least somebody has to call");
        }
        if !(1..=20).contains(&self.attempts_max) {
            return fault("attempts_max", "must be from 1 to 20");
        }
        if self.again_after_minutes.is_empty() {
            return fault("again_after_minutes", "one pause at least is needed");
        }
        if self.again_after_minutes.iter().any(|minutes| !(1..=43_200).contains(minutes)) {
            return fault("again_after_minutes", "each must be from 1 to 43200");
        }
        if !(1..=90).contains(&self.expire_after_days) {
            return fault("expire_after_days", "must be from 1 to 90");
        }
        if !(1..=1440).contains(&self.claim_minutes) {
            return fault("claim_minutes", "must be from 1 to 1440");
        }
        if !(1..=20).contains(&self.open_max) {
            return fault("open_max", "must be from 1 to 20");
        }
        if self.remind_before_minutes > 1440 {
            return fault("remind_before_minutes", "must be from 0 to 1440");
        }
        let digits = |prefix: &String| {
            prefix.strip_prefix('+').is_some_and(|digits| {
                (1..=14).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        if !self.prefixes.iter().all(digits) {
            return fault("prefixes", "expected beginnings of numbers like +86");
        }
        Ok(())
    }

    /// What the engine is handed.
    #[must_use]
    pub fn policy(&self) -> CallbackPolicy {
        let minutes = |count: u64| Duration::from_secs(count.saturating_mul(60));
        CallbackPolicy {
            time_zone: self.time_zone,
            open: Calendar::daily(self.time_zone, &self.days, self.hours),
            customer_hours: self.customer_hours,
            attempts_max: self.attempts_max,
            again_after: self.again_after_minutes.iter().copied().map(minutes).collect(),
            expire_after: Duration::from_secs(self.expire_after_days.saturating_mul(86_400)),
            claim_max: minutes(self.claim_minutes),
            open_max: self.open_max,
            prefixes: self.prefixes.clone(),
            confirm: self.confirm,
            remind_before: Some(self.remind_before_minutes).filter(|count| *count > 0).map(minutes),
            texts: self.texts.clone(),
        }
    }
}
