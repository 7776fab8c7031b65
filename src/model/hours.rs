//! Business hours: when is a desk open, and which moment is so many open hours away? Pure.
//!
//! Hours are those of the wall clock of a time zone: a day of 23 or 25 hours has them as every other.

use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike as _, Days, NaiveDate, NaiveTime, TimeZone as _, Utc, Weekday};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Timestamp;

/// `[calendars.<name>]`: when a desk is open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarSetting {
    /// A name of the IANA database: `Europe/Berlin`.
    pub time_zone: String,
    /// When it is open: `mon-fri 09:00-17:30`, `sat 10:00-14:00`.
    pub hours: Vec<String>,
    /// Days on which it is closed: `2026-12-28`, or every year `12-25`.
    pub holidays: Option<Vec<String>>,
}

/// When a desk is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    zone: Tz,
    /// For each day of the week, from Monday: from and to as minutes of the day, in order, apart.
    week: [Vec<(u32, u32)>; 7],
    holidays: Vec<Holiday>,
}

/// A part of each day: `09:00-18:00`. One that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DaySpan {
    /// Minutes from midnight.
    from: u32,
    /// The same; the minute itself is outside.
    to: u32,
}

impl DaySpan {
    /// The whole day.
    pub const ALWAYS: Self = Self { from: 0, to: DAY_MINUTES };
    /// When people may be called.
    pub const WAKING: Self = Self { from: 8 * 60, to: 21 * 60 };
}

impl FromStr for DaySpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = text
            .split_once('-')
            .and_then(|(from, to)| Some(Self { from: minute(from)?, to: minute(to)? }));
        let span = span.filter(|span| span.from != span.to && span.from < DAY_MINUTES);
        span.ok_or_else(|| "expected a part of the day like 09:00-18:00".to_owned())
    }
}

impl TryFrom<String> for DaySpan {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holiday {
    Once(NaiveDate),
    Yearly { month: u32, day: u32 },
}

/// A calendar without open hours within this is never open.
const DAYS_MAX: u64 = 3 * 366;
const DAY_MINUTES: u32 = 24 * 60;

impl Calendar {
    /// Reads the settings. Every fault with its key.
    pub fn read(setting: &CalendarSetting) -> Result<Self, Vec<(String, String)>> {
        let mut faults = Vec::new();
        let zone = setting.time_zone.parse::<Tz>().unwrap_or_else(|_| {
            let reason = format!("`{}` is no time zone; one is Europe/Berlin", setting.time_zone);
            faults.push(("time_zone".to_owned(), reason));
            Tz::UTC
        });
        let mut week: [Vec<(u32, u32)>; 7] = Default::default();
        for (at, text) in setting.hours.iter().enumerate() {
            match hours(text) {
                Some((days, span)) => {
                    for day in days {
                        if let Some(open) = week.get_mut(day.num_days_from_monday() as usize) {
                            open.push(span);
                        }
                    }
                }
                None => faults.push((
                    format!("hours[{at}]"),
                    format!("`{text}` is none; expected days and hours like `mon-fri 09:00-17:30`"),
                )),
            }
        }
        if setting.hours.is_empty() {
            faults.push(("hours".to_owned(), "name at least one".to_owned()));
        }
        let mut holidays = Vec::new();
        for (at, text) in setting.holidays.iter().flatten().enumerate() {
            match holiday(text) {
                Some(day) => holidays.push(day),
                None => faults.push((
                    format!("holidays[{at}]"),
                    format!("`{text}` is no day; expected 2026-12-28, or 12-25 for every year"),
                )),
            }
        }
        for spans in &mut week {
            *spans = joined(std::mem::take(spans));
        }
        if faults.is_empty() { Ok(Self { zone, week, holidays }) } else { Err(faults) }
    }

    /// The same span on each of these days, without holidays. One that goes over midnight belongs to the day on which
    /// it begins.
    #[must_use]
    pub fn daily(zone: Tz, days: &[Weekday], span: DaySpan) -> Self {
        let mut week: [Vec<(u32, u32)>; 7] = Default::default();
        let mut open = |day: Weekday, span| {
            if let Some(spans) = week.get_mut(day.num_days_from_monday() as usize) {
                spans.push(span);
            }
        };
        for day in days {
            if span.from < span.to {
                open(*day, (span.from, span.to));
            } else {
                open(*day, (span.from, DAY_MINUTES));
                open(day.succ(), (0, span.to));
            }
        }
        for spans in &mut week {
            *spans = joined(std::mem::take(spans));
        }
        Self { zone, week, holidays: Vec::new() }
    }

    /// One that is never open.
    #[must_use]
    pub fn never() -> Self {
        Self { zone: Tz::UTC, week: Default::default(), holidays: Vec::new() }
    }

    /// Is it open?
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let date = at.with_timezone(&self.zone).date_naive();
        self.spans(date).any(|(from, to)| from <= at && at < to)
    }

    /// The moment that is so many open hours after `from`. `None`: it is not open for so long in years.
    #[must_use]
    pub fn after(&self, from: Timestamp, open: Duration) -> Option<Timestamp> {
        let mut left = chrono::Duration::from_std(open).ok()?;
        let first = from.with_timezone(&self.zone).date_naive();
        for day in 0..DAYS_MAX {
            let date = first.checked_add_days(Days::new(day))?;
            for (begins, ends) in self.spans(date) {
                let begins = begins.max(from);
                let length = ends - begins;
                if length <= chrono::Duration::zero() {
                    continue;
                }
                if left < length || (left == length && left > chrono::Duration::zero()) {
                    return Some(begins + left);
                }
                left -= length;
            }
        }
        None
    }

    /// The open spans of a day.
    fn spans(&self, date: NaiveDate) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let closed = self.holidays.iter().any(|holiday| match holiday {
            Holiday::Once(day) => *day == date,
            Holiday::Yearly { month, day } => (date.month(), date.day()) == (*month, *day),
        });
        let day = date.weekday().num_days_from_monday() as usize;
        let spans = self.week.get(day).filter(|_| !closed).into_iter().flatten();
        spans.filter_map(move |(from, to)| {
            Some((self.moment(date, *from)?, self.moment(date, *to)?))
        })
    }

    /// A time of the wall clock. One that the clock jumps over is the end of the jump.
    fn moment(&self, date: NaiveDate, minute: u32) -> Option<Timestamp> {
        let (date, minute) = match minute {
            DAY_MINUTES => (date.checked_add_days(Days::new(1))?, 0),
            minute => (date, minute),
        };
        (minute..minute + 24 * 60).step_by(15).find_map(|minute| {
            let (date, minute) = match minute.checked_sub(DAY_MINUTES) {
                Some(over) => (date.checked_add_days(Days::new(1))?, over),
                None => (date, minute),
            };
            let time = NaiveTime::from_hms_opt(minute / 60, minute % 60, 0)?;
            let local = self.zone.from_local_datetime(&date.and_time(time)).earliest()?;
            Some(local.with_timezone(&Utc))
        })
    }
}

fn hours(text: &str) -> Option<(Vec<Weekday>, (u32, u32))> {
    let (days, span) = text.trim().split_once(' ')?;
    let DaySpan { from, to } = span.parse().ok()?;
    let day = |text: &str| text.trim().parse::<Weekday>().ok();
    let mut all = Vec::new();
    for part in days.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (mut at, last) = (day(first)?, day(last)?);
                all.push(at);
                while at != last {
                    at = at.succ();
                    all.push(at);
                }
            }
            None => all.push(day(part)?),
        }
    }
    (from < to).then_some((all, (from, to)))
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= DAY_MINUTES).then_some(total)
}

fn holiday(text: &str) -> Option<Holiday> {
    if let Ok(date) = text.trim().parse::<NaiveDate>() {
        return Some(Holiday::Once(date));
    }
    let (month, day) = text.trim().split_once('-')?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    // A leap year has every day.
    NaiveDate::from_ymd_opt(2024, month, day).map(|_| Holiday::Yearly { month, day })
}

/// In order, and those that touch made one.
fn joined(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(spans.len());
    for (from, to) in spans {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn office() -> Calendar {
        Calendar::read(&CalendarSetting {
            time_zone: "Europe/Berlin".to_owned(),
            hours: vec!["mon-fri 09:00-17:00".to_owned(), "sat,sun 10:00-12:00".to_owned()],
            holidays: Some(vec!["12-25".to_owned(), "2026-12-28".to_owned()]),
        })
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_desk_is_open_by_its_own_clock() {
        let office = office();
        for (moment, open) in [
            // A Thursday in winter: an hour before UTC.
            ("2026-11-26T07:59:59Z", false),
            ("2026-11-26T08:00:00Z", true),
            ("2026-11-26T15:59:59Z", true),
            ("2026-11-26T16:00:00Z", false),
            // In summer two.
            ("2026-07-02T07:00:00Z", true),
            // Saturday.
            ("2026-11-28T09:30:00Z", true),
            ("2026-11-28T11:30:00Z", false),
            // Holidays: every year, and once.
            ("2026-12-25T10:00:00Z", false),
            ("2027-12-25T10:00:00Z", false),
            ("2026-12-28T10:00:00Z", false),
            ("2027-12-28T10:00:00Z", true),
        ] {
            assert_eq!(office.is_open(at(moment)), open, "{moment}");
        }
    }

    #[test]
    fn only_open_hours_count() {
        let office = office();
        let hours = |count: u64| Duration::from_secs(count * 3600);
        for (from, open, expected) in [
            ("2026-11-26T08:00:00Z", hours(1), "2026-11-26T09:00:00Z"),
            // Over the night.
            ("2026-11-26T15:00:00Z", hours(2), "2026-11-27T09:00:00Z"),
            // To the end of the day, not to the beginning of the next.
            ("2026-11-26T15:00:00Z", hours(1), "2026-11-26T16:00:00Z"),
            // Written at night.
            ("2026-11-26T22:00:00Z", hours(1), "2026-11-27T09:00:00Z"),
            ("2026-11-26T22:00:00Z", hours(0), "2026-11-27T08:00:00Z"),
            // Christmas Eve: the 25th and the 28th are closed, the weekend has two hours each.
            ("2026-12-24T15:00:00Z", hours(6), "2026-12-29T09:00:00Z"),
            // The clock is put forward on Sunday morning.
            ("2026-03-28T10:30:00Z", hours(1), "2026-03-29T08:30:00Z"),
        ] {
            assert_eq!(office.after(at(from), open), Some(at(expected)), "{from} {open:?}");
        }
    }

    #[test]
    fn faults_name_their_key() {
        let faults = Calendar::read(&CalendarSetting {
            time_zone: "Berlin".to_owned(),
            hours: vec![
                "mon 9-17".to_owned(),
                "mon 17:00-09:00".to_owned(),
                "any 09:00-10:00".to_owned(),
            ],
            holidays: Some(vec!["02-30".to_owned(), "02-29".to_owned()]),
        })
        .unwrap_err();
        let keys: Vec<&str> = faults.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["time_zone", "hours[0]", "hours[1]", "hours[2]", "holidays[0]"]);
    }

    #[test]
    fn what_is_never_open_has_no_end() {
        let setting = CalendarSetting {
            time_zone: "UTC".to_owned(),
            hours: vec!["mon 09:00-09:01".to_owned()],
            holidays: None,
        };
        let rarely = Calendar::read(&setting).unwrap();
        assert_eq!(
            rarely.after(at("2026-11-26T08:00:00Z"), Duration::from_secs(86_400 * 30)),
            None
        );
    }

    #[test]
    fn parts_of_the_day_are_read_and_may_go_over_midnight() {
        let night = "22:00-06:30".parse().unwrap();
        let night = Calendar::daily(Tz::UTC, &[Weekday::Mon], night);
        // A Monday and the Tuesday after it.
        for (moment, open) in [
            ("2026-11-23T06:00:00Z", false),
            ("2026-11-23T22:00:00Z", true),
            ("2026-11-24T06:29:00Z", true),
            ("2026-11-24T06:30:00Z", false),
            ("2026-11-24T22:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at(moment)), open, "{moment}");
        }
        assert_eq!("00:00-24:00".parse(), Ok(DaySpan::ALWAYS));
        for bad in [
            "",
            "9-18",
            "09:00",
            "09:60-10:00",
            "25:00-26:00",
            "09:00-09:00",
            "24:00-05:00",
            "a:b-c:d",
        ] {
            assert!(bad.parse::<DaySpan>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// However long: it ends within open hours (or at their end), and more hours never end earlier.
        #[test]
        fn due_times_are_in_order_and_within_open_hours(
            start in 1_767_225_600_i64..1_893_456_000, minutes in 1_u64..20_000, more in 0_u64..5_000,
        ) {
            let office = office();
            let start = Timestamp::from_timestamp(start, 0).unwrap();
            let due = office.after(start, Duration::from_secs(minutes * 60)).unwrap();
            let later = office.after(start, Duration::from_secs((minutes + more) * 60)).unwrap();
            prop_assert!(start < due && due <= later);
            prop_assert!(office.is_open(due - chrono::Duration::seconds(1)));
            let open = (start.timestamp() / 60..=due.timestamp() / 60 - 1)
                .filter(|minute| office.is_open(Timestamp::from_timestamp(minute * 60, 0).unwrap()))
                .count() as u64;
            prop_assert!(open.abs_diff(minutes) <= 1, "{} open of {}", open, minutes);
        }
    }
}
