//! When is an answer due? Pure: the wait's beginning, the ticket's priority and a calendar in, a moment out.
//!
//! The wait begins with the customer's first unanswered message: who writes again does not begin anew, so that
//! nobody falls back by asking twice.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Calendar, Priority, Timestamp};

/// `[sla]`: within which time answers are promised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlaSetting {
    /// Only the open hours of this calendar count. Absent: all hours do.
    pub calendar: Option<String>,
    /// At so many percent of the time agents are warned.
    #[schemars(range(min = 1, max = 99))]
    pub warn_percent: u64,
    /// Minutes to the first answer, by priority.
    pub first_minutes: Targets,
    /// Minutes to each later answer, by priority.
    pub next_minutes: Targets,
}

/// Minutes by priority. Absent: nothing is promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// For priority `low`.
    pub low: Option<u64>,
    /// For priority `normal`.
    pub normal: Option<u64>,
    /// For priority `high`.
    pub high: Option<u64>,
    /// For priority `urgent`.
    pub urgent: Option<u64>,
}

/// Which answer somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Nobody has answered the ticket yet.
    First,
    /// Any later one.
    Next,
}

impl Awaited {
    /// The word in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Next => "next",
        }
    }
}

/// When an answer is due, and when agents are warned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The warning.
    pub warn_at: Timestamp,
    /// The end.
    pub due_at: Timestamp,
}

/// A year.
const MINUTES_MAX: u64 = 366 * 24 * 60;

impl Targets {
    const fn of(self, priority: Priority) -> Option<u64> {
        match priority {
            Priority::Low => self.low,
            Priority::Normal => self.normal,
            Priority::High => self.high,
            Priority::Urgent => self.urgent,
        }
    }

    fn all(self) -> impl Iterator<Item = (Priority, u64)> {
        Priority::ALL.iter().filter_map(move |priority| Some((*priority, self.of(*priority)?)))
    }
}

impl SlaSetting {
    /// Every fault with its key.
    pub(super) fn faults(&self, calendars: &BTreeMap<String, Calendar>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if let Some(name) = self.calendar.as_ref().filter(|name| !calendars.contains_key(*name)) {
            faults.push(("calendar".to_owned(), format!("there is no calendar `{name}`")));
        }
        if !(1..=99).contains(&self.warn_percent) {
            faults.push(("warn_percent".to_owned(), "must be from 1 to 99".to_owned()));
        }
        for (key, targets) in
            [("first_minutes", self.first_minutes), ("next_minutes", self.next_minutes)]
        {
            for (priority, _) in
                targets.all().filter(|(_, minutes)| !(1..=MINUTES_MAX).contains(minutes))
            {
                let reason = format!("must be from 1 to {MINUTES_MAX}");
                faults.push((format!("{key}.{priority}"), reason));
            }
        }
        faults
    }

    /// Is anything promised at all?
    pub(super) fn promises(&self) -> bool {
        self.first_minutes.all().chain(self.next_minutes.all()).next().is_some()
    }

    /// When the answer is due to somebody who waits since then.
    pub(super) fn due(
        &self,
        calendars: &BTreeMap<String, Calendar>,
        (priority, awaited): (Priority, Awaited),
        since: Timestamp,
    ) -> Option<Due> {
        let targets = match awaited {
            Awaited::First => self.first_minutes,
            Awaited::Next => self.next_minutes,
        };
        let seconds = targets.of(priority)?.saturating_mul(60);
        let calendar = self.calendar.as_ref().and_then(|name| calendars.get(name));
        let after = |seconds: u64| {
            let time = Duration::from_secs(seconds);
            match calendar {
                Some(calendar) => calendar.after(since, time),
                None => since.checked_add_signed(chrono::Duration::from_std(time).ok()?),
            }
        };
        let warn = seconds.saturating_mul(self.warn_percent) / 100;
        Some(Due { warn_at: after(warn)?, due_at: after(seconds)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::CalendarSetting;

    fn calendars() -> BTreeMap<String, Calendar> {
        let office = CalendarSetting {
            time_zone: "Europe/Berlin".to_owned(),
            hours: vec!["mon-fri 09:00-17:00".to_owned()],
            holidays: None,
        };
        [("office".to_owned(), Calendar::read(&office).unwrap())].into()
    }

    fn setting(calendar: Option<&str>) -> SlaSetting {
        SlaSetting {
            calendar: calendar.map(str::to_owned),
            warn_percent: 75,
            first_minutes: Targets { urgent: Some(20), normal: Some(480), ..Targets::default() },
            next_minutes: Targets { urgent: Some(60), ..Targets::default() },
        }
    }

    #[test]
    fn each_priority_has_its_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let due = |calendar, priority, awaited, since| {
            let due = setting(calendar).due(&calendars(), (priority, awaited), at(since))?;
            Some((due.warn_at, due.due_at))
        };
        // A Thursday, 16:50 in Berlin.
        let since = "2026-11-26T15:50:00Z";
        assert_eq!(
            due(None, Priority::Urgent, Awaited::First, since),
            Some((at("2026-11-26T16:05:00Z"), at("2026-11-26T16:10:00Z")))
        );
        assert_eq!(
            due(Some("office"), Priority::Urgent, Awaited::First, since),
            Some((at("2026-11-27T08:05:00Z"), at("2026-11-27T08:10:00Z")))
        );
        assert_eq!(
            due(Some("office"), Priority::Normal, Awaited::First, since).unwrap().1,
            at("2026-11-27T15:50:00Z")
        );
        assert_eq!(
            due(None, Priority::Urgent, Awaited::Next, since).unwrap().1,
            at("2026-11-26T16:50:00Z")
        );
        assert_eq!(due(None, Priority::High, Awaited::First, since), None);
        assert_eq!(due(None, Priority::Normal, Awaited::Next, since), None);
    }

    #[test]
    fn faults_name_their_key() {
        let mut wrong = setting(Some("night"));
        wrong.warn_percent = 100;
        wrong.first_minutes.low = Some(0);
        let keys: Vec<String> =
            wrong.faults(&calendars()).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["calendar", "warn_percent", "first_minutes.low"]);
        assert!(setting(Some("office")).faults(&calendars()).is_empty());
        assert!(!SlaSetting::default().promises() && setting(None).promises());
    }

    proptest! {
        #[test]
        fn warnings_come_before_the_end(since in 1_767_225_600_i64..1_893_456_000, office in any::<bool>()) {
            let since = Timestamp::from_timestamp(since, 0).unwrap();
            let setting = setting(office.then_some("office"));
            let due = setting.due(&calendars(), (Priority::Normal, Awaited::First), since).unwrap();
            prop_assert!(since < due.warn_at && due.warn_at < due.due_at);
        }
    }
}
