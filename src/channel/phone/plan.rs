//! What an admin decided about calls that come in: languages, topics, hours, who is called.

use std::collections::BTreeMap;

use url::form_urlencoded;

use super::menu::Heard;
use super::step::Step;
use super::texts::{Words, primary};
use super::twiml::{Verb, Voice};
use crate::model::{Calendar, Priority, Timestamp};

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Where the service asks us: no slash at the end.
    pub(super) base: String,
    /// Ours: E.164.
    pub(super) number: String,
    /// Counts where nobody chose.
    pub(super) first: Language,
    /// What can be chosen beside it.
    pub(super) others: Vec<Language>,
    /// What callers can choose from.
    pub(super) topics: Vec<Topic>,
    /// When somebody is there; `None`: always.
    pub(super) hours: Option<Calendar>,
    /// Whom a call is put through to: E.164.
    pub(super) agents: Vec<String>,
    /// How they are called.
    pub(super) ring: Ring,
    /// So long each of them is called.
    pub(super) ring_seconds: u16,
    /// So long a caller waits for another round of calls to them; 0: there is one.
    pub(super) wait_seconds_max: u16,
    /// Do they press a key before they are connected? A machine does not.
    pub(super) ask_agents: bool,
    /// Are talks with agents recorded?
    pub(super) record_calls: bool,
    /// May callers leave a message?
    pub(super) voicemail: Option<Voicemail>,
    /// May callers ask for a call back?
    pub(super) callbacks: bool,
}

/// A language in which callers are spoken to.
#[derive(Debug, Clone)]
pub(super) struct Language {
    /// Its tag: `en`, `zh-CN`.
    pub(super) tag: String,
    /// The key that chooses it.
    pub(super) key: char,
    /// Who speaks.
    pub(super) voice: Voice,
    /// What is said.
    pub(super) words: Words,
    /// What is heard while somebody waits: an address.
    pub(super) music: Option<String>,
}

/// What a call may be about.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    /// The key that chooses it.
    pub(super) key: char,
    /// For agents, and said to them.
    pub(super) name: String,
    /// How it is offered, by the tag of each language.
    pub(super) says: BTreeMap<String, String>,
    /// Where it leads.
    pub(super) goal: Goal,
    /// Who is called for it; empty: those of the channel.
    pub(super) agents: Vec<String>,
    /// The ticket's.
    pub(super) queue: Option<String>,
    /// The ticket's.
    pub(super) priority: Option<Priority>,
    /// Put on the ticket.
    pub(super) tags: Vec<String>,
}

impl Topic {
    /// Who is called for it, if it has agents of its own.
    pub(super) const fn own_agents(&self) -> Option<&Vec<String>> {
        if self.agents.is_empty() { None } else { Some(&self.agents) }
    }
}

/// Where a topic leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// To somebody who talks.
    Agents,
    /// To a message.
    Voicemail,
    /// To a call back.
    Callback,
}

/// How agents are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ring {
    /// One after the other.
    InOrder,
    /// All of them; the first gets it.
    AtOnce,
}

/// Messages after the tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Voicemail {
    /// Longest.
    pub(super) seconds_max: u16,
    /// Does the service write down what was said? It understands English alone.
    pub(super) transcribe: bool,
}

impl Plan {
    /// An address of ours at the service's side.
    pub(super) fn url(&self, address: &str) -> String {
        format!("{}/{address}", self.base)
    }

    /// An address at which an agent's line is asked for: it names the caller's call, and the caller.
    pub(super) fn agent_url(&self, path: &str, step: &Step, heard: &Heard) -> String {
        let address = step.address();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("c", &heard.call);
        query.extend_pairs(heard.from.iter().map(|from| ("f", from)));
        let step = address.split_once('?').map(|(_, query)| query);
        let query = std::iter::once(query.finish()).chain(step.map(str::to_owned));
        self.url(&format!("{path}?{}", query.collect::<Vec<_>>().join("&")))
    }

    /// Is somebody there?
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.hours.as_ref().is_none_or(|hours| hours.is_open(now))
    }

    /// All languages, in the order in which they are named.
    pub(super) fn languages(&self) -> impl Iterator<Item = &Language> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The language of a call.
    ///
    /// One that is no longer in the settings, while a call is under way, is the first.
    pub(super) fn language(&self, step: &Step) -> &Language {
        self.language_of(step.language.as_deref())
    }

    /// The language with this tag, or nearest to it, or the first.
    pub(super) fn language_of(&self, tag: Option<&str>) -> &Language {
        let exact = |language: &&Language| Some(language.tag.as_str()) == tag;
        let near = |language: &&Language| Some(primary(&language.tag)) == tag.map(primary);
        let found = self.languages().find(exact);
        found.or_else(|| self.languages().find(near)).unwrap_or(&self.first)
    }

    /// The language that was chosen.
    pub(super) fn language_by_key(&self, keys: Option<&str>) -> Option<&Language> {
        let key = only(keys?)?;
        self.languages().find(|language| language.key == key)
    }

    /// The topic of a call.
    pub(super) fn topic(&self, step: &Step) -> Option<&Topic> {
        self.topics.iter().find(|topic| Some(topic.key) == step.topic)
    }

    /// The topic that was chosen.
    pub(super) fn topic_by_key(&self, keys: Option<&str>) -> Option<&Topic> {
        let key = only(keys?)?;
        self.topics.iter().find(|topic| topic.key == key)
    }
}

impl Language {
    /// Something that is said once.
    pub(super) fn say(&self, text: String) -> Verb {
        Verb::Say { voice: self.voice.clone(), text, times: 1 }
    }
}

fn only(keys: &str) -> Option<char> {
    let mut keys = keys.chars();
    keys.next().filter(|_| keys.next().is_none())
}
