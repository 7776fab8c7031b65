//! Who gets a ticket? Pure: the people and their load in, one of them out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::language::serves;
use crate::model::{Calendar, Timestamp};

/// `[[agents]]`: what is known of somebody who works here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSetting {
    /// The address that they sign in with.
    pub email: String,
    /// The languages that they write: `["en", "zh"]`. Absent: any.
    pub languages: Option<Vec<String>>,
    /// What they know: free words.
    pub skills: Option<Vec<String>>,
    /// When they work: the name of a calendar. Absent: always.
    pub calendar: Option<String>,
    /// Tickets that they may have open at once before no more come by themselves. Absent: any number.
    #[schemars(range(min = 1, max = 10_000))]
    pub open_max: Option<u64>,
}

/// `then.assign` of a rule: among whom, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignSetting {
    /// How one of them is chosen.
    pub by: AssignBy,
    /// Among these addresses. Absent: all of `[[agents]]`.
    pub among: Option<Vec<String>>,
    /// Only who has this skill.
    pub skill: Option<String>,
    /// Only who writes the customer's language. Default: true.
    pub language: Option<bool>,
}

/// How one of several is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssignBy {
    /// Who was given one longest ago.
    RoundRobin,
    /// Who has fewest open tickets.
    LeastBusy,
}

/// Somebody who works here, as far as the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colleague {
    /// Their id.
    pub id: Uuid,
    /// What they sign in with, lower case.
    pub email: String,
    /// Tickets that they have open.
    pub open: u64,
    /// When they were last given one by a rule, in milliseconds; 0: never.
    pub given_at: i64,
}

/// One of them, or why there is none.
pub(super) fn assign(
    wish: &AssignSetting,
    agents: &[AgentSetting],
    calendars: &BTreeMap<String, Calendar>,
    colleagues: &[Colleague],
    (language, now): (Option<&str>, Timestamp),
) -> Result<Uuid, &'static str> {
    let setting = |colleague: &Colleague| {
        agents.iter().find(|agent| agent.email.trim().eq_ignore_ascii_case(&colleague.email))
    };
    let among = |colleague: &&Colleague| match &wish.among {
        Some(among) => {
            among.iter().any(|email| email.trim().eq_ignore_ascii_case(&colleague.email))
        }
        None => setting(colleague).is_some(),
    };
    let able = |colleague: &&Colleague| {
        let agent = setting(colleague);
        let skilled = wish.skill.as_ref().is_none_or(|wanted| {
            agent.is_some_and(|agent| agent.skills.iter().flatten().any(|skill| skill == wanted))
        });
        let languages = agent.and_then(|agent| agent.languages.as_ref());
        let understands = wish.language == Some(false)
            || languages
                .zip(language)
                .is_none_or(|(known, wanted)| known.iter().any(|known| serves(known, wanted)));
        skilled && understands
    };
    let on_duty = |colleague: &&Colleague| {
        let calendar = setting(colleague).and_then(|agent| agent.calendar.as_ref());
        let calendar = calendar.and_then(|name| calendars.get(name));
        calendar.is_none_or(|calendar| calendar.is_open(now))
    };
    let has_room = |colleague: &&Colleague| {
        let limit = setting(colleague).and_then(|agent| agent.open_max);
        limit.is_none_or(|limit| colleague.open < limit)
    };
    let known: Vec<&Colleague> = colleagues.iter().filter(among).collect();
    let able: Vec<&Colleague> = known.into_iter().filter(able).collect();
    if able.is_empty() {
        return Err("nobody has the skill and the language");
    }
    let there: Vec<&Colleague> = able.into_iter().filter(on_duty).collect();
    if there.is_empty() {
        return Err("nobody who could take it is at work");
    }
    let free = there.into_iter().filter(has_room);
    let chosen = match wish.by {
        AssignBy::RoundRobin => free.min_by_key(|one| (one.given_at, one.id)),
        AssignBy::LeastBusy => free.min_by_key(|one| (one.open, one.given_at, one.id)),
    };
    chosen.map(|one| one.id).ok_or("all who could take it have as many as they may")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::CalendarSetting;

    fn agent(email: &str, languages: &[&str], skills: &[&str]) -> AgentSetting {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        AgentSetting {
            email: email.to_owned(),
            languages: (!languages.is_empty()).then(|| owned(languages)),
            skills: Some(owned(skills)),
            calendar: None,
            open_max: None,
        }
    }

    fn colleague(number: u128, email: &str, open: u64, given_at: i64) -> Colleague {
        Colleague { id: Uuid::from_u128(number), email: email.to_owned(), open, given_at }
    }

    fn wish(by: AssignBy) -> AssignSetting {
        AssignSetting { by, among: None, skill: None, language: None }
    }

    fn night() -> BTreeMap<String, Calendar> {
        let setting = CalendarSetting {
            time_zone: "UTC".to_owned(),
            hours: vec!["mon-sun 20:00-24:00".to_owned()],
            holidays: None,
        };
        [("night".to_owned(), Calendar::read(&setting).unwrap())].into()
    }

    #[test]
    fn each_limit_keeps_somebody_out() {
        let anna = AgentSetting {
            open_max: Some(5),
            ..agent("Anna@desk.example", &["en", "zh"], &["chain"])
        };
        let bob = AgentSetting {
            calendar: Some("night".to_owned()),
            ..agent("bob@desk.example", &["en"], &[])
        };
        let agents = [anna, bob];
        let people = [
            colleague(1, "anna@desk.example", 3, 20),
            colleague(2, "bob@desk.example", 1, 10),
            colleague(3, "carol@desk.example", 0, 0),
        ];
        let (day, evening): (Timestamp, Timestamp) =
            ("2026-11-26T10:00:00Z".parse().unwrap(), "2026-11-26T21:00:00Z".parse().unwrap());
        let ask = |wish: &AssignSetting, people: &[Colleague], language, now| {
            assign(wish, &agents, &night(), people, (language, now)).map(|id| id.as_u128())
        };
        let least = wish(AssignBy::LeastBusy);
        assert_eq!(ask(&least, &people, Some("en"), evening), Ok(2));
        assert_eq!(ask(&least, &people, Some("en"), day), Ok(1), "Bob sleeps");
        assert_eq!(ask(&least, &people, Some("zh-Hans"), evening), Ok(1), "Bob knows no Chinese");
        assert_eq!(ask(&least, &people, None, evening), Ok(2));
        let skilled = AssignSetting { skill: Some("chain".to_owned()), ..least.clone() };
        assert_eq!(ask(&skilled, &people, Some("en"), evening), Ok(1));
        let busy = [colleague(1, "anna@desk.example", 5, 0), people[1].clone()];
        assert!(ask(&skilled, &busy, Some("en"), day).unwrap_err().contains("as many as they may"));
        assert!(ask(&least, &busy, Some("ja"), day).unwrap_err().contains("language"));
        let any = AssignSetting { language: Some(false), ..least.clone() };
        assert_eq!(ask(&any, &people, Some("ja"), evening), Ok(2));
        let named = AssignSetting { among: Some(vec!["carol@desk.example".to_owned()]), ..least };
        assert_eq!(ask(&named, &people, Some("ja"), day), Ok(3), "nothing is known against Carol");
    }

    proptest! {
        /// Whoever was given one goes to the end of the row, so that all get the same number.
        #[test]
        fn a_round_robin_is_fair(count in 1_usize..6, rounds in 1_usize..40) {
            let agents: Vec<_> = (0..count).map(|at| agent(&format!("a{at}@x.example"), &[], &[])).collect();
            let mut people: Vec<_> = (0..count)
                .map(|at| colleague(at as u128, &format!("a{at}@x.example"), 0, 0))
                .collect();
            for turn in 1..=i64::try_from(rounds).unwrap() {
                let now = Timestamp::UNIX_EPOCH;
                let wish = wish(AssignBy::RoundRobin);
                let chosen = assign(&wish, &agents, &BTreeMap::new(), &people, (None, now)).unwrap();
                let one = people.iter_mut().find(|one| one.id == chosen).unwrap();
                one.given_at = turn;
                one.open += 1;
            }
            let most = people.iter().map(|one| one.open).max().unwrap();
            let fewest = people.iter().map(|one| one.open).min().unwrap();
            prop_assert!(most - fewest <= 1);
        }
    }
}
