//! The rules of an admin: in order, each with conditions that must all hold and with what follows.
//!
//! A later rule wins over an earlier one; tags add up; `stop` ends the list. What earlier rules set, later
//! ones see. Pure: [`Rules::look`] reads a text once, [`Rules::judge`] decides with what else is known.

mod judge;
mod settings;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::assign::{AgentSetting, AssignSetting};
use crate::model::{Address, Calendar, Flag, Priority, Texts, TicketStatus, Timestamp};

pub use settings::{RuleSetting, ThenSetting, WhenSetting};
pub(in crate::desk) use text::{Collector, Hits, Matcher, WordId, fold};

use text::ExpressionId;

/// All rules, ready.
#[derive(Default)]
pub(in crate::desk) struct Rules {
    rules: Vec<Rule>,
    matcher: Matcher,
}

struct Rule {
    name: String,
    when: When,
    then: Then,
    stop: bool,
}

/// Conditions; all must hold.
#[derive(Default)]
struct When {
    channels: Option<Vec<String>>,
    languages: Option<Vec<String>>,
    /// One of them stands in it.
    words: Option<Vec<(WordId, String)>>,
    /// All of them do.
    all_words: Vec<(WordId, String)>,
    /// None of them does.
    no_words: Vec<WordId>,
    expressions: Option<Vec<ExpressionId>>,
    senders: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    no_tags: Vec<String>,
    contact_tags: Option<Vec<String>>,
    no_contact_tags: Vec<String>,
    new_ticket: Option<bool>,
    status: Option<Vec<TicketStatus>>,
    priority: Option<Vec<Priority>>,
    flags: Option<Vec<Flag>>,
    attachments: Option<bool>,
    media_types: Option<Vec<String>>,
    messages_min: Option<u64>,
    ticket_age_min: Option<Duration>,
    ticket_age_max: Option<Duration>,
    open: Option<String>,
    closed: Option<String>,
}

/// What follows.
#[derive(Default)]
struct Then {
    priority: Option<Priority>,
    tags: Vec<String>,
    queue: Option<String>,
    assign: Option<Assign>,
    status: Option<TicketStatus>,
    acknowledge: Option<Texts>,
    offer_call: Option<Texts>,
    faq: Option<bool>,
    webhook: bool,
}

/// Who shall have the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assign {
    /// This person, by address.
    To(String),
    /// One of several.
    Among(AssignSetting),
}

/// What is known of a message and its ticket besides the text.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// The channel that it came by.
    pub channel: &'a str,
    /// Its language.
    pub language: Option<&'a str>,
    /// Who wrote.
    pub sender: Option<&'a Address>,
    /// What was noticed about it.
    pub flags: &'a BTreeSet<Flag>,
    /// The types of its attachments.
    pub media_types: Vec<&'a str>,
    /// Did it open the ticket?
    pub opens: bool,
    /// For how long the ticket has been there.
    pub ticket_age: Duration,
    /// Where the ticket stands.
    pub status: TicketStatus,
    /// Its priority.
    pub priority: Priority,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// The tags of whoever wrote.
    pub contact_tags: &'a BTreeSet<String>,
    /// Messages of the same contact within the last hour, this one among them.
    pub messages: u64,
    /// Other tickets of the contact that are high or urgent, opened within a day.
    pub lifted: u64,
    /// When it is decided.
    pub now: Timestamp,
}

/// What the rules say. `None` leaves things as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How much it hurts to wait.
    pub priority: Option<Priority>,
    /// Tags to be added.
    pub tags: BTreeSet<String>,
    /// By which agents share work.
    pub queue: Option<String>,
    /// Who shall have it, if nobody has it yet.
    pub assign: Option<Assign>,
    /// Where it stands now.
    pub status: Option<TicketStatus>,
    /// Sent at once, if the loop guard allows; empty: nothing is.
    pub acknowledge: Option<Texts>,
    /// Offers to call them, besides what else is sent at once.
    pub offer_call: Option<Texts>,
    /// May a known answer go out by itself? `None`: as the settings of known answers say.
    pub faq: Option<bool>,
    /// That is an answer that keeps somebody from harm: it is guarded apart from acknowledgements.
    pub safety: bool,
    /// Rules that want to be announced as events.
    pub announced: Vec<String>,
    /// Rules that fired, in order.
    pub fired: Vec<String>,
    /// One sentence for each rule that fired.
    pub why: Vec<String>,
}

impl Rules {
    /// Compiles them. Every fault, with its key within `rules`: `[2].when.regex[0]`.
    pub(super) fn read(
        settings: &[RuleSetting],
        known: &Known<'_>,
    ) -> Result<Self, Vec<(String, String)>> {
        let mut collector = Collector::default();
        let mut faults = Vec::new();
        let mut rules: Vec<Rule> = Vec::with_capacity(settings.len());
        for (at, setting) in settings.iter().enumerate() {
            let mut own = Vec::new();
            let rule = setting.compile(&mut collector, known, &mut own);
            if rules.iter().any(|other| other.name == rule.name) {
                own.push(("name".to_owned(), "another rule has this name".to_owned()));
            }
            rules.push(rule);
            faults.extend(own.into_iter().map(|(key, reason)| (format!("[{at}].{key}"), reason)));
        }
        let matcher = collector.finish().unwrap_or_else(|reason| {
            faults.push((String::new(), reason));
            Matcher::default()
        });
        if faults.is_empty() { Ok(Self { rules, matcher }) } else { Err(faults) }
    }

    /// What of their words and expressions stands in a text that was folded.
    pub(super) fn look(&self, folded: &str) -> Hits {
        self.matcher.look(folded)
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Does one of them ask for the tags of the ticket?
    pub(super) fn ask_for_tags(&self) -> bool {
        self.rules.iter().any(|rule| {
            let tags = rule.when.tags.is_some() || !rule.when.no_tags.is_empty();
            // A tag says that it was offered.
            tags || rule.then.offer_call.is_some()
        })
    }

    /// Does one of them ask for the tags of whoever wrote?
    pub(super) fn ask_for_contact_tags(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.when.contact_tags.is_some() || !rule.when.no_contact_tags.is_empty())
    }

    /// Does one of them ask how much the sender wrote of late?
    pub(super) fn count_messages(&self) -> bool {
        self.rules.iter().any(|rule| rule.when.messages_min.is_some())
    }

    /// Does one of them hand tickets to people?
    pub(super) fn assign(&self) -> bool {
        self.rules.iter().any(|rule| rule.then.assign.is_some())
    }

    /// Does one of them send something?
    pub(super) fn acknowledge(&self) -> bool {
        let sends = |then: &Then| then.acknowledge.is_some() || then.offer_call.is_some();
        self.rules.iter().any(|rule| sends(&rule.then))
    }
}

/// What rules may name.
pub(super) struct Known<'a> {
    /// The configured channels.
    pub(super) channels: &'a BTreeSet<String>,
    /// The calendars.
    pub(super) calendars: &'a BTreeMap<String, Calendar>,
    /// The agents.
    pub(super) agents: &'a [AgentSetting],
}

#[cfg(test)]
mod tests;
