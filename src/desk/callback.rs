//! When is a customer called back, by which rules, and what happens after a call?

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DurationRound as _, TimeDelta, Weekday};
use chrono_tz::Tz;

use super::language::fitting;
use crate::model::{Calendar, CallOutcome, CallbackStatus, DaySpan, Timestamp};

/// The desk's hours and the customer's are looked at in turn, each a day further on at the most: where they have not
/// met by then, they never do.
const ROUNDS_MAX: usize = 30;
/// Times that customers choose from are so far apart.
const SLOT: TimeDelta = TimeDelta::minutes(30);
/// Two weeks of them.
const SLOTS_AHEAD: i32 = 14 * 48;
const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// What an admin decided about call-backs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackPolicy {
    /// The desk's time zone.
    pub time_zone: Tz,
    /// When the desk calls.
    pub open: Calendar,
    /// When a customer may be called, in their own time where it is known.
    pub customer_hours: DaySpan,
    /// Calls that reach nobody before it is given up.
    pub attempts_max: u32,
    /// Pauses after the first, second … call that reached nobody; the last one counts for all later ones.
    pub again_after: Vec<Duration>,
    /// It is over when nobody called for so long after its due time.
    pub expire_after: Duration,
    /// An agent who took one and says nothing for so long has not called.
    pub claim_max: Duration,
    /// Open call-backs of one ticket.
    pub open_max: usize,
    /// Numbers begin with one of these; none: all are allowed.
    pub prefixes: Vec<String>,
    /// Is a wish confirmed on the customer's channel?
    pub confirm: bool,
    /// So long before the call they are reminded; `None`: never.
    pub remind_before: Option<Duration>,
    /// What is written to customers, by language (`en`, `zh`).
    pub texts: BTreeMap<String, CallbackTexts>,
}

/// What is written to customers about a call-back. `{number}` is the ticket's, `{time}` the time of the call in
/// their zone, `{phone}` the end of the number.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackTexts {
    /// A wish for a certain time was taken.
    pub confirmed: String,
    /// A wish for as soon as can be was taken.
    pub soon: String,
    /// The call is near.
    pub reminder: String,
}

impl CallbackPolicy {
    /// What is in force where the settings say nothing: at any time, in English and Chinese.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            time_zone: Tz::UTC,
            open: Calendar::daily(Tz::UTC, &WEEK, DaySpan::ALWAYS),
            customer_hours: DaySpan::WAKING,
            attempts_max: 3,
            again_after: [15, 120, 1440].map(|minutes| Duration::from_secs(minutes * 60)).to_vec(),
            expire_after: Duration::from_secs(7 * 86_400),
            claim_max: Duration::from_secs(30 * 60),
            open_max: 1,
            prefixes: Vec::new(),
            confirm: false,
            remind_before: None,
            texts: BTreeMap::new(),
        }
    }

    /// May this number be called? Keeps those away who would have us call expensive numbers.
    #[must_use]
    pub fn admits(&self, phone: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| phone.starts_with(prefix))
    }

    /// The first moment from `wanted` (or now) on at which the desk works and the customer may be called.
    #[must_use]
    pub fn due(&self, wanted: Option<Timestamp>, zone: Option<Tz>, now: Timestamp) -> Timestamp {
        let first = wanted.map_or(now, |at| at.max(now));
        let theirs = self.customer(zone);
        let mut at = first;
        for _ in 0..ROUNDS_MAX {
            let Some(ours) = self.open.after(at, Duration::ZERO) else { break };
            let both =
                theirs.as_ref().map_or(Some(ours), |theirs| theirs.after(ours, Duration::ZERO));
            match both {
                Some(both) if both == ours => return both,
                Some(later) => at = later,
                None => break,
            }
        }
        // The desk's hours and theirs never meet: their wish stands.
        first
    }

    /// The next half hours at which a call can be agreed upon: the desk works, and the customer may be called. None
    /// beyond two weeks, and none at all where the hours of both never meet.
    #[must_use]
    pub fn slots(&self, zone: Option<Tz>, now: Timestamp, count: usize) -> Vec<Timestamp> {
        let theirs = self.customer(zone);
        let suits = |at: &Timestamp| {
            self.open.is_open(*at) && theirs.as_ref().is_none_or(|theirs| theirs.is_open(*at))
        };
        let before = now.duration_trunc(SLOT).unwrap_or(now);
        let ahead = (1..=SLOTS_AHEAD).filter_map(|number| before.checked_add_signed(SLOT * number));
        ahead.filter(suits).take(count).collect()
    }

    fn customer(&self, zone: Option<Tz>) -> Option<Calendar> {
        zone.map(|zone| Calendar::daily(zone, &WEEK, self.customer_hours))
    }

    /// What follows when a call ended like this, `attempts` calls having been made.
    #[must_use]
    pub fn after(
        &self,
        outcome: CallOutcome,
        attempts: u32,
        zone: Option<Tz>,
        now: Timestamp,
    ) -> Next {
        match outcome {
            CallOutcome::Reached => Next::Over(CallbackStatus::Done),
            CallOutcome::Declined => Next::Over(CallbackStatus::Cancelled),
            CallOutcome::WrongNumber => Next::Over(CallbackStatus::Unreached),
            CallOutcome::NoAnswer
            | CallOutcome::Busy
            | CallOutcome::Voicemail
            | CallOutcome::Failed => {
                if attempts >= self.attempts_max {
                    return Next::Over(CallbackStatus::Unreached);
                }
                let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
                let pause = self.again_after.get(place).or(self.again_after.last());
                let pause = pause.copied().unwrap_or_default();
                Next::Again(self.due(now.checked_add_signed(span(pause)), zone, now))
            }
        }
    }

    /// When they are reminded of a call at `due`, if that is worth it.
    #[must_use]
    pub fn reminder(&self, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let at = due.checked_sub_signed(span(self.remind_before?))?;
        (at > now).then_some(at)
    }

    /// The texts in the customer's language, else in English, else in whichever there is.
    #[must_use]
    pub fn texts(&self, language: Option<&str>) -> Option<&CallbackTexts> {
        fitting(&self.texts, language)
    }

    /// Fills a text for a customer.
    #[must_use]
    pub fn fill(&self, text: &str, about: &CallAbout<'_>) -> String {
        let zone = about.zone.unwrap_or(self.time_zone);
        let time = about.due.with_timezone(&zone).format("%Y-%m-%d %H:%M");
        let digits = about.phone.chars().count();
        let end: String = about.phone.chars().skip(digits.saturating_sub(4)).collect();
        text.replace("{number}", &about.number.to_string())
            .replace("{time}", &format!("{time} ({})", zone.name()))
            .replace("{phone}", &format!("…{end}"))
    }
}

/// What a text to a customer speaks of.
#[derive(Debug, Clone, Copy)]
pub struct CallAbout<'a> {
    /// The ticket's number.
    pub number: u64,
    /// When the call is due.
    pub due: Timestamp,
    /// In which time zone it is told.
    pub zone: Option<Tz>,
    /// The number that will be called.
    pub phone: &'a str,
}

/// What follows a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it ends like this.
    Over(CallbackStatus),
    /// Another call, not before this.
    Again(Timestamp),
}

fn span(duration: Duration) -> chrono::Duration {
    chrono::Duration::from_std(duration).unwrap_or(chrono::Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn office() -> CallbackPolicy {
        CallbackPolicy {
            time_zone: Tz::Asia__Shanghai,
            open: Calendar::daily(
                Tz::Asia__Shanghai,
                WEEK.get(..5).unwrap(),
                "09:00-18:00".parse().unwrap(),
            ),
            remind_before: Some(Duration::from_secs(900)),
            ..CallbackPolicy::usual()
        }
    }

    #[test]
    fn a_call_waits_for_the_desk_and_for_the_customer() {
        let policy = office();
        for (wanted, zone, due) in [
            // Thursday in Shanghai, at work.
            ("2026-11-26T02:00:00Z", None, "2026-11-26T02:00:00Z"),
            // Thursday evening: Friday at nine.
            ("2026-11-26T10:00:00Z", None, "2026-11-27T01:00:00Z"),
            // Friday evening: Monday at nine.
            ("2026-11-27T10:00:01Z", None, "2026-11-30T01:00:00Z"),
            // In Los Angeles it is six in the evening.
            ("2026-11-26T02:00:00Z", Some(Tz::America__Los_Angeles), "2026-11-26T02:00:00Z"),
            // In Berlin it is three at night: they are called from eight, when the desk still works.
            ("2026-11-26T02:00:00Z", Some(Tz::Europe__Berlin), "2026-11-26T07:00:00Z"),
        ] {
            assert_eq!(
                policy.due(Some(at(wanted)), zone, at(wanted)),
                at(due),
                "{wanted} {zone:?}"
            );
        }
        // A wish for yesterday is one for now.
        let now = at("2026-11-26T02:00:00Z");
        assert_eq!(policy.due(Some(at("2026-11-25T02:00:00Z")), None, now), now);
    }

    #[test]
    fn times_to_choose_from_lie_in_the_hours_of_both() {
        let policy = office();
        let shown = |zone, now: &str, count| -> Vec<String> {
            let slots = policy.slots(zone, at(now), count).into_iter();
            slots.map(|at| at.format("%d %H:%M").to_string()).collect()
        };
        // The desk opens at nine in Shanghai (one UTC) on a Thursday; a time that begins now is over.
        assert_eq!(shown(None, "2026-11-26T01:00:00Z", 2), ["26 01:30", "26 02:00"]);
        // Friday evening: the next is on Monday.
        assert_eq!(shown(None, "2026-11-27T10:10:00Z", 1), ["30 01:00"]);
        // In Berlin nobody is called before eight in the morning.
        assert_eq!(shown(Some(Tz::Europe__Berlin), "2026-11-26T02:10:00Z", 1), ["26 07:00"]);
        let all = policy.slots(None, at("2026-11-26T01:00:00Z"), usize::MAX);
        assert!(
            all.iter()
                .all(|slot| policy.due(Some(*slot), None, at("2026-11-26T01:00:00Z")) == *slot)
        );
        assert!(!all.is_empty() && all.last().unwrap() <= &at("2026-12-10T01:00:00Z"));
        let night = "01:00-05:00".parse().unwrap();
        let never = CallbackPolicy {
            open: Calendar::daily(Tz::Asia__Shanghai, &WEEK, night),
            ..CallbackPolicy::usual()
        };
        let now = at("2026-11-26T02:00:00Z");
        assert_eq!(never.slots(Some(Tz::Asia__Shanghai), now, 3), Vec::<Timestamp>::new());
    }

    #[test]
    fn hours_that_never_meet_leave_the_wish_as_it_is() {
        let night = "01:00-05:00".parse().unwrap();
        let policy = CallbackPolicy {
            open: Calendar::daily(Tz::Asia__Shanghai, &WEEK, night),
            ..CallbackPolicy::usual()
        };
        let now = at("2026-11-26T02:00:00Z");
        assert_eq!(policy.due(None, Some(Tz::Asia__Shanghai), now), now);
    }

    #[test]
    fn hours_follow_the_clocks_when_those_are_changed() {
        // In Berlin the clocks go forward on 29 March 2026: nine is seven UTC from then on, eight before.
        let policy = CallbackPolicy {
            time_zone: Tz::Europe__Berlin,
            open: Calendar::daily(Tz::Europe__Berlin, &WEEK, "09:00-10:00".parse().unwrap()),
            ..CallbackPolicy::usual()
        };
        let (before, after) = (at("2026-03-28T00:00:00Z"), at("2026-03-29T12:00:00Z"));
        assert_eq!(policy.due(None, None, before), at("2026-03-28T08:00:00Z"));
        assert_eq!(policy.due(None, None, after), at("2026-03-30T07:00:00Z"));
    }

    #[test]
    fn who_is_not_reached_is_called_again_and_not_for_ever() {
        let policy = CallbackPolicy::usual();
        let now = at("2026-11-26T12:00:00Z");
        let after = |outcome, attempts| policy.after(outcome, attempts, None, now);
        let again = |minutes| Next::Again(now + chrono::Duration::minutes(minutes));
        assert_eq!(after(CallOutcome::NoAnswer, 1), again(15));
        assert_eq!(after(CallOutcome::Busy, 2), again(120));
        assert_eq!(after(CallOutcome::Voicemail, 3), Next::Over(CallbackStatus::Unreached));
        assert_eq!(after(CallOutcome::Reached, 1), Next::Over(CallbackStatus::Done));
        assert_eq!(after(CallOutcome::Declined, 1), Next::Over(CallbackStatus::Cancelled));
        assert_eq!(after(CallOutcome::WrongNumber, 1), Next::Over(CallbackStatus::Unreached));
    }

    #[test]
    fn numbers_outside_the_allowed_countries_are_not_called() {
        let policy =
            CallbackPolicy { prefixes: vec!["+86".to_owned(), "+1".to_owned()], ..office() };
        assert!(policy.admits("+8613800138000") && policy.admits("+15005550006"));
        assert!(!policy.admits("+88216123456"));
    }

    #[test]
    fn customers_are_told_in_their_time_and_language() {
        let texts = |soon: &str| CallbackTexts {
            confirmed: "{number} {time} {phone}".to_owned(),
            soon: soon.to_owned(),
            reminder: String::new(),
        };
        let mut policy = office();
        policy.texts = [("en".to_owned(), texts("soon")), ("zh".to_owned(), texts("尽快"))].into();
        assert_eq!(policy.texts(Some("zh-Hans-CN")).unwrap().soon, "尽快");
        assert_eq!(policy.texts(Some("fr")).unwrap().soon, "soon");
        let due = at("2026-11-26T02:00:00Z");
        let about =
            CallAbout { number: 7, due, zone: Some(Tz::Europe__Berlin), phone: "+8613800138000" };
        let told = policy.fill("{number} {time} {phone}", &about);
        assert_eq!(told, "7 2026-11-26 03:00 (Europe/Berlin) …8000");
        assert_eq!(
            policy.reminder(due, due - chrono::Duration::hours(1)),
            Some(at("2026-11-26T01:45:00Z"))
        );
        assert_eq!(policy.reminder(due, due - chrono::Duration::minutes(10)), None);
    }

    proptest! {
        #[test]
        fn a_due_time_is_never_before_the_wish_and_suits_both(
            seconds in 1_700_000_000_i64..1_900_000_000, ahead in -500_000_i64..500_000,
            zone in proptest::sample::select(vec![None, Some(Tz::Asia__Tokyo), Some(Tz::Europe__London)]),
        ) {
            let policy = office();
            let now = Timestamp::from_timestamp(seconds, 0).unwrap();
            let wanted = Timestamp::from_timestamp(seconds + ahead, 0).unwrap();
            let due = policy.due(Some(wanted), zone, now);
            prop_assert!(due >= wanted.max(now));
            prop_assert!(policy.open.is_open(due));
            let theirs = zone.map(|zone| Calendar::daily(zone, &WEEK, DaySpan::WAKING));
            prop_assert!(theirs.is_none_or(|theirs| theirs.is_open(due)));
            prop_assert!(due - wanted.max(now) <= chrono::Duration::days(5));
        }
    }
}
