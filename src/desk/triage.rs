//! Everything that is decided about a message before a human looks at it, put together from the settings.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::assign::{AgentSetting, Colleague, assign};
use super::hours::{Calendar, CalendarSetting};
use super::rules::{Assign, Hits, Known, RuleSetting, Rules, Situation, Verdict, fold};
use crate::model::{Inbound, Timestamp};

/// The sections of the settings that say what becomes of messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriageSettings {
    /// In order.
    pub rules: Vec<RuleSetting>,
    /// By name.
    pub calendars: BTreeMap<String, CalendarSetting>,
    /// Who works here, as far as tickets are given out by rules.
    pub agents: Vec<AgentSetting>,
}

impl TriageSettings {
    /// The keys of the settings file that it takes.
    pub const KEYS: &[&str] = &["rules", "calendars", "agents"];
}

/// All of it, ready.
#[derive(Default)]
pub struct Triage {
    rules: Rules,
    calendars: BTreeMap<String, Calendar>,
    agents: Vec<AgentSetting>,
}

impl std::fmt::Debug for Triage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rules.names()).finish()
    }
}

/// What a text says, found before anything else is known.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    hits: Hits,
}

impl Triage {
    /// Reads and compiles the settings. Every fault with its key: `rules[2].when.regex[0]`.
    pub fn read(
        settings: &TriageSettings,
        channels: &BTreeSet<String>,
    ) -> Result<Self, Vec<(String, String)>> {
        let mut faults = Vec::new();
        let mut calendars = BTreeMap::new();
        for (name, setting) in &settings.calendars {
            match Calendar::read(setting) {
                Ok(calendar) => {
                    calendars.insert(name.clone(), calendar);
                }
                Err(found) => {
                    // Known, so that whoever names it is not blamed as well.
                    calendars.insert(name.clone(), Calendar::never());
                    let within = |(key, reason)| (format!("calendars.{name}.{key}"), reason);
                    faults.extend(found.into_iter().map(within));
                }
            }
        }
        for (at, agent) in settings.agents.iter().enumerate() {
            let key = |key: &str| format!("agents[{at}].{key}");
            if !agent.email.contains('@') {
                faults
                    .push((key("email"), "expected the address that they sign in with".to_owned()));
            }
            if let Some(name) =
                agent.calendar.as_ref().filter(|name| !calendars.contains_key(*name))
            {
                faults.push((key("calendar"), format!("there is no calendar `{name}`")));
            }
            if agent.open_max == Some(0) {
                faults.push((key("open_max"), "must be from 1 to 10000".to_owned()));
            }
        }
        let known = Known { channels, calendars: &calendars, agents: &settings.agents };
        match Rules::read(&settings.rules, &known) {
            Ok(rules) if faults.is_empty() => {
                Ok(Self { rules, calendars, agents: settings.agents.clone() })
            }
            Ok(_) => Err(faults),
            Err(found) => {
                faults
                    .extend(found.into_iter().map(|(key, reason)| (format!("rules{key}"), reason)));
                Err(faults)
            }
        }
    }

    /// Reads the words of a message once. Takes time in proportion to them.
    #[must_use]
    pub fn look(&self, inbound: &Inbound) -> Seen {
        self.look_at(inbound.subject.as_deref(), &inbound.text)
    }

    /// The same for a message that is kept.
    #[must_use]
    pub fn look_at(&self, subject: Option<&str>, text: &str) -> Seen {
        let mut folded = fold(subject.unwrap_or_default());
        folded.push('\n');
        folded.push_str(&fold(text));
        Seen { hits: self.rules.look(&folded) }
    }

    /// What follows for the ticket.
    #[must_use]
    pub fn judge(&self, seen: &Seen, situation: &Situation<'_>) -> Verdict {
        self.rules.judge(&seen.hits, situation, &self.calendars)
    }

    /// Who gets the ticket, or why nobody does.
    pub fn assign(
        &self,
        wish: &Assign,
        colleagues: &[Colleague],
        (language, now): (Option<&str>, Timestamp),
    ) -> Result<Uuid, &'static str> {
        match wish {
            Assign::To(email) => {
                let one = colleagues.iter().find(|one| one.email == *email);
                one.map(|one| one.id)
                    .ok_or("nobody who works here has the address that the rule names")
            }
            Assign::Among(wish) => {
                assign(wish, &self.agents, &self.calendars, colleagues, (language, now))
            }
        }
    }

    /// The names of the rules, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.names()
    }

    /// Are the tags of tickets needed?
    #[must_use]
    pub fn asks_for_tags(&self) -> bool {
        self.rules.ask_for_tags()
    }

    /// Is it needed how much a contact wrote of late?
    #[must_use]
    pub fn counts_messages(&self) -> bool {
        self.rules.count_messages()
    }

    /// Does it hand tickets to people?
    #[must_use]
    pub fn assigns(&self) -> bool {
        self.rules.assign()
    }

    /// May it send something?
    #[must_use]
    pub fn acknowledges(&self) -> bool {
        self.rules.acknowledge()
    }
}
