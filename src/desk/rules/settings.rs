//! `[[rules]]` as they stand in TOML, and their checking.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{Collector, WordId};
use super::{Assign, Known, Rule, Then, When};
use crate::desk::assign::AssignSetting;
use crate::model::{Flag, Priority, Texts, TicketStatus};

/// `[[rules]]`: one rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSetting {
    /// What it is called in traces and events.
    pub name: String,
    /// Conditions; all must hold. Absent: always.
    pub when: Option<WhenSetting>,
    /// What follows.
    pub then: Option<ThenSetting>,
    /// Are the rules behind it left out? Default: no.
    pub stop: Option<bool>,
}

/// Conditions of a rule; all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhenSetting {
    /// It came by one of these channels.
    pub channels: Option<Vec<String>>,
    /// It is written in one of these languages: `zh`, `zh-Hant`, `en`.
    pub languages: Option<Vec<String>>,
    /// One of these words or phrases stands in its subject or text. `hack*` is any word that begins so.
    pub words: Option<Vec<String>>,
    /// All of these do.
    pub all_words: Option<Vec<String>>,
    /// None of these does.
    pub no_words: Option<Vec<String>>,
    /// One of these regular expressions fits; case does not matter, white space is one space.
    pub regex: Option<Vec<String>>,
    /// It came from one of these addresses, or `@domain`.
    pub senders: Option<Vec<String>>,
    /// The ticket has one of these tags, also from a rule before.
    pub tags: Option<Vec<String>>,
    /// The ticket has none of these tags.
    pub no_tags: Option<Vec<String>>,
    /// Whoever wrote has one of these tags.
    pub contact_tags: Option<Vec<String>>,
    /// Whoever wrote has none of these tags.
    pub no_contact_tags: Option<Vec<String>>,
    /// Did it open the ticket?
    pub new_ticket: Option<bool>,
    /// The ticket stands here.
    #[schemars(with = "Option<Vec<String>>")]
    pub status: Option<Vec<TicketStatus>>,
    /// The ticket has one of these priorities.
    #[schemars(with = "Option<Vec<String>>")]
    pub priority: Option<Vec<Priority>>,
    /// One of these was noticed about it: `spoof_suspect`, `auto_reply`, `redacted` …
    #[schemars(with = "Option<Vec<String>>")]
    pub flags: Option<Vec<Flag>>,
    /// Has it attachments?
    pub attachments: Option<bool>,
    /// An attachment is of one of these types: `image/*`, `application/pdf`.
    pub media_types: Option<Vec<String>>,
    /// The sender wrote at least so many messages within the last hour, this one among them.
    pub messages_min: Option<u64>,
    /// The ticket has been there for so many hours at least.
    pub ticket_hours_min: Option<u64>,
    /// The ticket has been there for so many hours at most.
    pub ticket_hours_max: Option<u64>,
    /// This calendar is open.
    pub open: Option<String>,
    /// This calendar is closed.
    pub closed: Option<String>,
}

/// What follows from a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThenSetting {
    /// The ticket's priority.
    #[schemars(with = "Option<String>", extend("enum" = ["low", "normal", "high", "urgent"]))]
    pub priority: Option<Priority>,
    /// Put on the ticket.
    pub tags: Option<Vec<String>>,
    /// The ticket's queue.
    pub queue: Option<String>,
    /// Who gets the ticket, by the address that they sign in with, if nobody has it yet.
    pub assignee: Option<String>,
    /// One of several gets it, if nobody has it yet.
    pub assign: Option<AssignSetting>,
    /// Where the ticket stands.
    #[schemars(with = "Option<String>", extend("enum" = ["open", "pending", "solved", "closed", "spam"]))]
    pub status: Option<TicketStatus>,
    /// Sent at once instead of the channel's acknowledgement, as far as its loop guard allows; `""`: nothing is.
    pub acknowledge: Option<Texts>,
    /// Offers a call, below what else is sent at once: who answers with a telephone number is called. Once a ticket.
    pub offer_call: Option<Texts>,
    /// May a known answer go out by itself (`true`, also where `[faq]` only suggests), or may it not?
    pub faq: Option<bool>,
    /// Is it announced as event `rule.fired`, for webhooks and the stream of events? Default: no.
    pub webhook: Option<bool>,
}

type Faults = Vec<(String, String)>;

impl RuleSetting {
    pub(super) fn compile(
        &self,
        collector: &mut Collector,
        known: &Known<'_>,
        faults: &mut Faults,
    ) -> Rule {
        if self.name.trim().is_empty() {
            faults.push(("name".to_owned(), "a rule needs a name".to_owned()));
        }
        let nothing = self.then.as_ref().is_none_or(|then| *then == ThenSetting::default());
        if nothing && self.stop != Some(true) {
            let reason = "the rule does nothing: give it one of priority, tags, queue, assignee, assign, \
                status, acknowledge, offer_call, faq, webhook, or `stop = true`";
            faults.push(("then".to_owned(), reason.to_owned()));
        }
        let when = self.when.clone().unwrap_or_default().compile(collector, known, faults);
        let then = self.then.clone().unwrap_or_default().compile(known, faults);
        Rule { name: self.name.trim().to_owned(), when, then, stop: self.stop.unwrap_or(false) }
    }
}

impl WhenSetting {
    /// What it names must be there, and a list must name something.
    fn check_names(&self, known: &Known<'_>, faults: &mut Faults) {
        for (at, name) in self.channels.iter().flatten().enumerate() {
            if !known.channels.contains(name) {
                faults.push((
                    format!("when.channels[{at}]"),
                    format!("there is no channel `{name}`"),
                ));
            }
        }
        for (key, calendar) in [("open", &self.open), ("closed", &self.closed)] {
            if let Some(name) =
                calendar.as_ref().filter(|name| !known.calendars.contains_key(*name))
            {
                faults.push((format!("when.{key}"), format!("there is no calendar `{name}`")));
            }
        }
        let lists: [(&str, Option<usize>); 4] = [
            ("words", self.words.as_ref().map(Vec::len)),
            ("regex", self.regex.as_ref().map(Vec::len)),
            ("senders", self.senders.as_ref().map(Vec::len)),
            ("languages", self.languages.as_ref().map(Vec::len)),
        ];
        for (key, _) in lists.iter().filter(|(_, length)| *length == Some(0)) {
            let reason = "names nothing, so that the rule could never fire";
            faults.push((format!("when.{key}"), reason.to_owned()));
        }
    }

    fn compile(self, collector: &mut Collector, known: &Known<'_>, faults: &mut Faults) -> When {
        self.check_names(known, faults);
        let mut words = |key: &str, given: Option<Vec<String>>| -> Option<Vec<(WordId, String)>> {
            let mut read = Vec::new();
            for (at, word) in given?.into_iter().enumerate() {
                match collector.word(&word) {
                    Ok(id) => read.push((id, word)),
                    Err(reason) => faults.push((format!("when.{key}[{at}]"), reason)),
                }
            }
            Some(read)
        };
        let any = words("words", self.words);
        let all = words("all_words", self.all_words).unwrap_or_default();
        let none = words("no_words", self.no_words).unwrap_or_default();
        let mut expressions = self.regex.as_ref().map(|_| Vec::new());
        for (at, given) in self.regex.into_iter().flatten().enumerate() {
            match collector.expression(&given) {
                Ok(id) => expressions.get_or_insert_default().push(id),
                Err(reason) => faults.push((format!("when.regex[{at}]"), reason)),
            }
        }
        let hours =
            |hours: Option<u64>| hours.map(|hours| Duration::from_secs(hours.saturating_mul(3600)));
        let lower = |list: Option<Vec<String>>| -> Option<Vec<String>> {
            list.map(|list| list.iter().map(|text| text.trim().to_lowercase()).collect())
        };
        When {
            channels: self.channels,
            languages: self.languages,
            words: any,
            all_words: all,
            no_words: none.into_iter().map(|(id, _)| id).collect(),
            expressions,
            senders: lower(self.senders),
            tags: self.tags,
            no_tags: self.no_tags.unwrap_or_default(),
            contact_tags: self.contact_tags,
            no_contact_tags: self.no_contact_tags.unwrap_or_default(),
            new_ticket: self.new_ticket,
            status: self.status,
            priority: self.priority,
            flags: self.flags,
            attachments: self.attachments,
            media_types: lower(self.media_types),
            messages_min: self.messages_min,
            ticket_age_min: hours(self.ticket_hours_min),
            ticket_age_max: hours(self.ticket_hours_max),
            open: self.open,
            closed: self.closed,
        }
    }
}

impl ThenSetting {
    fn compile(self, known: &Known<'_>, faults: &mut Faults) -> Then {
        let mut fault =
            |key: &str, reason: &str| faults.push((format!("then.{key}"), reason.to_owned()));
        if self.assignee.is_some() && self.assign.is_some() {
            fault("assign", "either `assignee` or `assign`, not both");
        }
        if let Some(wish) = &self.assign {
            if wish.among.as_ref().is_some_and(Vec::is_empty) {
                fault("assign.among", "names nobody");
            }
            if wish.among.is_none() && known.agents.is_empty() {
                fault("assign.among", "name people here, or describe them as [[agents]]");
            }
            let skilled = wish.skill.as_ref().is_none_or(|skill| {
                known
                    .agents
                    .iter()
                    .any(|agent| agent.skills.iter().flatten().any(|one| one == skill))
            });
            if !skilled {
                fault("assign.skill", "none of [[agents]] has this skill");
            }
        }
        let one = self.assignee.map(|email| Assign::To(email.trim().to_lowercase()));
        Then {
            priority: self.priority,
            tags: self.tags.unwrap_or_default(),
            queue: self.queue,
            assign: one.or(self.assign.map(Assign::Among)),
            status: self.status,
            acknowledge: self.acknowledge,
            offer_call: self.offer_call,
            faq: self.faq,
            webhook: self.webhook.unwrap_or(false),
        }
    }
}
