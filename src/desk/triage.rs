//! Everything that is decided about a message before a human looks at it, put together from the settings.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::assign::{AgentSetting, Colleague, assign};
use super::close::CloseSetting;
use super::impostor::{Protect, ProtectSetting};
use super::macros::{self, Macro};
use super::retention::RetentionSetting;
use super::rules::{Assign, Hits, Known, RuleSetting, Rules, Situation, Verdict, fold};
use super::signature::{self, SignatureSetting};
use super::sla::{Awaited, Due, SlaSetting};
use super::survey::SurveySetting;
use super::topics::Topics;
use super::urgency::{Alarm, UrgencySetting, alarm};
use crate::model::{Calendar, CalendarSetting, Flag, Inbound, OwnAddresses, Priority, Timestamp};

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
    /// What customers tell that cannot wait.
    pub urgency: UrgencySetting,
    /// What is ours, and whom nobody should believe.
    pub protect: ProtectSetting,
    /// Within which time answers are promised.
    pub sla: SlaSetting,
    /// What customers are asked after a ticket was solved.
    pub survey: SurveySetting,
    /// What becomes of pending tickets whose customer says nothing.
    pub close: CloseSetting,
    /// What is erased by itself, and when.
    pub retention: RetentionSetting,
    /// What stands below the replies of people.
    pub signatures: Vec<SignatureSetting>,
    /// Canned answers.
    pub macros: Vec<Macro>,
}

impl TriageSettings {
    /// The keys of the settings file that it takes.
    pub const KEYS: &[&str] = &[
        "rules",
        "calendars",
        "agents",
        "urgency",
        "protect",
        "sla",
        "survey",
        "close",
        "retention",
        "signatures",
        "macros",
    ];
}

/// All of it, ready.
#[derive(Default)]
pub struct Triage {
    rules: Rules,
    calendars: BTreeMap<String, Calendar>,
    agents: Vec<AgentSetting>,
    /// `None`: texts are not searched for it.
    urgency: Option<UrgencySetting>,
    protect: Protect,
    sla: SlaSetting,
    survey: SurveySetting,
    topics: Topics,
    close: CloseSetting,
    retention: RetentionSetting,
    signatures: Vec<SignatureSetting>,
    macros: Vec<Macro>,
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
    alarm: Option<Alarm>,
    /// Signs of an impostor, with one sentence each.
    suspect: BTreeMap<Flag, String>,
}

impl Seen {
    /// Does it tell of something that cannot wait?
    #[must_use]
    pub const fn alarms(&self) -> bool {
        self.alarm.is_some()
    }

    /// What was noticed about the sender and the links.
    pub fn flags(&self) -> impl Iterator<Item = Flag> {
        self.suspect.keys().copied()
    }
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
        faults.extend(agent_faults(&settings.agents, &calendars));
        let within = |section: &'static str| {
            move |(key, reason): (String, String)| (format!("{section}.{key}"), reason)
        };
        faults.extend(settings.urgency.faults().into_iter().map(within("urgency")));
        faults.extend(settings.sla.faults(&calendars).into_iter().map(within("sla")));
        faults.extend(settings.survey.faults(channels).into_iter().map(within("survey")));
        faults.extend(macros::faults(&settings.macros));
        faults.extend(signature::faults(&settings.signatures, channels));
        faults.extend(settings.close.faults().into_iter().map(within("close")));
        faults.extend(settings.retention.faults().into_iter().map(within("retention")));
        let protect = Protect::read(&settings.protect).unwrap_or_else(|found| {
            faults.extend(found.into_iter().map(within("protect")));
            Protect::default()
        });
        let topics = Topics::read(&settings.survey.topics).unwrap_or_else(|found| {
            faults.extend(found.into_iter().map(within("survey.topics")));
            Topics::default()
        });
        let known = Known { channels, calendars: &calendars, agents: &settings.agents };
        match Rules::read(&settings.rules, &known) {
            Ok(rules) if faults.is_empty() => {
                let urgency = settings.urgency.clone();
                let urgency = Some(urgency).filter(|setting| setting.enabled);
                Ok(Self {
                    rules,
                    calendars,
                    agents: settings.agents.clone(),
                    urgency,
                    protect,
                    sla: settings.sla.clone(),
                    survey: settings.survey.clone(),
                    topics,
                    close: settings.close.clone(),
                    retention: settings.retention.clone(),
                    signatures: settings.signatures.clone(),
                    macros: settings.macros.clone(),
                })
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
    pub fn look(&self, inbound: &Inbound, own: &OwnAddresses) -> Seen {
        let mut seen = self.look_at(inbound.subject.as_deref(), &inbound.text);
        // What a machine writes, or what is old, is happening to nobody.
        if inbound.automated.is_some() || inbound.flags.contains(&Flag::Imported) {
            seen.alarm = None;
        }
        seen.suspect = self.protect.look(inbound, own);
        seen
    }

    /// The same for a message that is kept.
    #[must_use]
    pub fn look_at(&self, subject: Option<&str>, text: &str) -> Seen {
        let mut folded = fold(subject.unwrap_or_default());
        folded.push('\n');
        folded.push_str(&fold(text));
        let alarm = self.urgency.as_ref().and_then(|_| {
            let of_subject = subject.and_then(alarm);
            [alarm(text), of_subject].into_iter().flatten().min_by_key(|alarm| match alarm {
                Alarm::Danger(danger) => (0, Some(*danger)),
                Alarm::Stated => (1, None),
            })
        });
        Seen { hits: self.rules.look(&folded), alarm, suspect: BTreeMap::new() }
    }

    /// What follows for the ticket.
    #[must_use]
    pub fn judge(&self, seen: &Seen, situation: &Situation<'_>) -> Verdict {
        let mut verdict = match self.urgency.as_ref().zip(seen.alarm) {
            Some((setting, alarm)) => setting.judge(alarm, situation),
            None => Verdict::default(),
        };
        let mut situation = situation.clone();
        situation.priority = verdict.priority.unwrap_or(situation.priority);
        situation.tags.extend(verdict.tags.iter().cloned());
        let of_rules = self.rules.judge(&seen.hits, &situation, &self.calendars);
        verdict.why.extend(seen.suspect.values().cloned());
        verdict.why.extend(of_rules.why);
        verdict.fired.extend(of_rules.fired);
        verdict.tags.extend(of_rules.tags);
        // Whoever is being robbed is told what to do, whatever else would be sent.
        let acknowledge = if verdict.safety { None } else { of_rules.acknowledge };
        Verdict {
            priority: of_rules.priority.or(verdict.priority),
            queue: of_rules.queue,
            assign: of_rules.assign,
            status: of_rules.status,
            acknowledge: acknowledge.or(verdict.acknowledge),
            offer_call: of_rules.offer_call,
            faq: of_rules.faq,
            announced: of_rules.announced,
            ..verdict
        }
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

    /// When the answer is due to somebody who waits since then.
    #[must_use]
    pub fn due(&self, priority: Priority, awaited: Awaited, since: Timestamp) -> Option<Due> {
        self.sla.due(&self.calendars, (priority, awaited), since)
    }

    /// What customers are asked after a ticket was solved.
    #[must_use]
    pub const fn surveys(&self) -> &SurveySetting {
        &self.survey
    }

    /// What a remark of a customer is about.
    #[must_use]
    pub fn topics_of(&self, remark: &str) -> Vec<String> {
        self.topics.of(remark)
    }

    /// The canned answers of the settings.
    #[must_use]
    pub fn macros(&self) -> &[Macro] {
        &self.macros
    }

    /// What stands below the replies of people.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureSetting] {
        &self.signatures
    }

    /// What becomes of pending tickets whose customer says nothing.
    #[must_use]
    pub const fn closing(&self) -> &CloseSetting {
        &self.close
    }

    /// What is erased by itself, and when.
    #[must_use]
    pub const fn retention(&self) -> &RetentionSetting {
        &self.retention
    }

    /// Are answers promised within a time?
    #[must_use]
    pub fn promises(&self) -> bool {
        self.sla.promises()
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

    /// Are the tags of contacts needed?
    #[must_use]
    pub fn asks_for_contact_tags(&self) -> bool {
        self.rules.ask_for_contact_tags()
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

/// Every fault of the agents with its key.
fn agent_faults(
    agents: &[AgentSetting],
    calendars: &BTreeMap<String, Calendar>,
) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (at, agent) in agents.iter().enumerate() {
        let key = |key: &str| format!("agents[{at}].{key}");
        if !agent.email.contains('@') {
            faults.push((key("email"), "expected the address that they sign in with".to_owned()));
        }
        if let Some(name) = agent.calendar.as_ref().filter(|name| !calendars.contains_key(*name)) {
            faults.push((key("calendar"), format!("there is no calendar `{name}`")));
        }
        if agent.open_max == Some(0) {
            faults.push((key("open_max"), "must be from 1 to 10000".to_owned()));
        }
    }
    faults
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{Address, Form, RemoteId, Sender, ThreadHint, Trust, Wishes};

    /// A mail of Anna's with these words.
    pub(in crate::desk) fn inbound(text: &str) -> Inbound {
        Inbound {
            remote_id: RemoteId::new("id"),
            digest: "digest".to_owned(),
            part_of: None,
            form: Form::Message,
            sender: Sender {
                address: Some(Address::email("anna@customer.example")),
                name: None,
                also: Vec::new(),
                trust: Trust::Claimed,
            },
            reply_to: None,
            recipients: Vec::new(),
            thread: ThreadHint::default(),
            occurred_at: Timestamp::UNIX_EPOCH,
            subject: None,
            text: text.to_owned(),
            text_full: text.to_owned(),
            html: None,
            media: Vec::new(),
            flags: BTreeSet::new(),
            auth: None,
            automated: None,
            wishes: Wishes::default(),
        }
    }
}
