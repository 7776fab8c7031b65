//! What is answered by itself, if the desk allows it: the acknowledgement of a new ticket, and what to do for somebody
//! who sent a secret.

use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::super::entity::autoreply;
use super::super::millis;
use super::apply::Work;
use super::facts::Facts;
use super::triage::Place;
use super::{Prepared, PreparedMessage};
use crate::desk::{self, AckFacts, AdviceFacts, Found};
use crate::model::{
    Acknowledge, Address, Capabilities, Choice, Inbound, MessageId, Party, Texts, Timestamp,
};

/// An acknowledgement to be queued; its text is filled when the ticket has its number.
pub(super) struct Ack {
    /// The message that it becomes.
    pub(super) message: Uuid,
    pub(super) ticket: Uuid,
    pub(super) channel: String,
    pub(super) realm: String,
    pub(super) to: Party,
    /// Who asked, where the answer goes to somebody else: neither of the two gets another one soon.
    pub(super) asked_by: Option<Address>,
    pub(super) template: String,
    /// It keeps somebody from harm.
    pub(super) safety: bool,
    pub(super) routing: super::super::outbox::Routing,
    pub(super) about: About,
    /// A question below it, with answers to choose from.
    pub(super) asks: Option<Asks>,
}

/// A question with answers to choose from, and what the channel can show of them.
pub(super) struct Asks {
    pub(super) question: String,
    pub(super) choices: Vec<Choice>,
    pub(super) can: Capabilities,
    /// Where it can be answered as well.
    pub(super) link: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The ticket was opened.
    Opened,
    /// A secret was sent.
    Secret,
    /// A question that is asked often; guarded by the rows of known answers.
    Known,
    /// A code that was brought back.
    Proof,
}

/// As a scheme of addresses: answers about secrets are counted apart from acknowledgements.
pub(in crate::store) const ADVISED: &str = "secret";

pub(in crate::store) fn advised_channel(channel: &str) -> String {
    format!("{ADVISED}:{channel}")
}

/// What is remembered of an answer about a secret: the ticket, and the address.
pub(super) fn advised(ack: &Ack, now: Timestamp) -> Vec<autoreply::ActiveModel> {
    if ack.about != About::Secret {
        return Vec::new();
    }
    let address = ack.asked_by.as_ref().unwrap_or(&ack.to.address);
    advised_rows(&ack.channel, ack.ticket, &address.value, now)
}

/// The same for whoever tells them later.
pub(in crate::store) fn advised_rows(
    channel: &str,
    ticket: Uuid,
    address: &str,
    now: Timestamp,
) -> Vec<autoreply::ActiveModel> {
    let both =
        [(advised_channel(channel), ticket.to_string()), (String::new(), address.to_owned())];
    let rows = both.into_iter().map(|(channel, value)| autoreply::ActiveModel {
        id: Set(Uuid::now_v7()),
        channel: Set(channel),
        scheme: Set(ADVISED.to_owned()),
        value: Set(value),
        sent_at: Set(millis(now)),
        safety: Set(true),
    });
    rows.collect()
}

impl Work {
    /// The acknowledgement of a message that opened a ticket, or `own` for whatever message.
    pub(super) fn acknowledge(
        &mut self,
        one: &Prepared,
        inbound: &Inbound,
        place: Place<'_>,
        (own, safety): (Option<&Texts>, bool),
    ) {
        let (channel, ticket) = (&one.channel, place.ticket);
        let setting = channel.policy.acknowledge.clone();
        let of_channel = setting.as_ref().filter(|_| place.opens);
        let template = match own {
            Some(texts) => desk::fitting(&texts.0, place.language).cloned().unwrap_or_default(),
            None => of_channel.map(|setting| setting.text.clone()).unwrap_or_default(),
        };
        let kept = self.facts.tickets.get(&ticket);
        let spam = kept.is_none_or(|kept| kept.row.status == "spam");
        if template.is_empty() || spam || !channel.delivers {
            return;
        }
        let setting = &setting.unwrap_or_else(Acknowledge::guard);
        let Some(address) = inbound.sender.address.clone() else { return };
        let to = inbound.reply_to.clone().unwrap_or_else(|| Party {
            address: address.clone(),
            name: inbound.sender.name.clone(),
        });
        let name = channel.name.as_str();
        let both = [&to.address, &address];
        let facts = ack_facts(&self.facts, setting, (name, safety), both, millis(self.now));
        if desk::acknowledge(inbound, setting, &channel.own, facts).is_err() {
            return;
        }
        for address in both {
            let key = (address.scheme.as_str().to_owned(), address.value.clone());
            self.facts.acks_to.entry(key).or_default().push((millis(self.now), safety));
        }
        *self.facts.acks_by.entry(name.to_owned()).or_default() += 1;
        self.acks.push(Ack {
            message: MessageId::new().uuid(),
            ticket,
            channel: name.to_owned(),
            realm: channel.realm.0.clone(),
            asked_by: Some(address).filter(|address| *address != to.address),
            to,
            template,
            safety,
            routing: super::super::outbox::Routing::of(inbound),
            about: About::Opened,
            asks: None,
        });
    }

    /// What was masked in a message and in the files that were here before it.
    pub(super) fn found(&self, prepared: &PreparedMessage) -> Found {
        let mut found = prepared.masking.found.clone();
        for upload in &prepared.uploads {
            if let Some(in_file) = self.facts.files.get(&upload.id) {
                desk::safety::add(&mut found, in_file);
            }
        }
        found
    }

    /// Tells a customer who sent a secret what to do now.
    pub(super) fn advise(&mut self, one: &Prepared, prepared: &PreparedMessage, ticket: Uuid) {
        let (channel, inbound) = (&one.channel, &prepared.inbound);
        let found = self.found(prepared);
        if found.is_empty() || !channel.delivers || desk::answerable(inbound, &channel.own).is_err()
        {
            return;
        }
        let kept = self.facts.tickets.get(&ticket).filter(|kept| kept.row.status != "spam");
        let Some(kept) = kept else { return };
        let advice = self.safety.advice(kept.row.language.as_deref(), &found).map(str::to_owned);
        let Some((template, address)) = advice.zip(inbound.sender.address.clone()) else { return };
        let to = inbound.reply_to.clone().unwrap_or_else(|| Party {
            address: address.clone(),
            name: inbound.sender.name.clone(),
        });
        let now = millis(self.now);
        let keys =
            [ticket.to_string(), address.value.clone()].map(|value| (ADVISED.to_owned(), value));
        let since = |(at, _): &&(i64, bool)| *at > now - 3_600_000;
        let [in_ticket, to_address] = keys.each_ref().map(|key| {
            self.facts.acks_to.get(key).map_or(0, |sent| sent.iter().filter(since).count() as u64)
        });
        let budget = advised_channel(channel.name.as_str());
        let suppressed = [&to.address, &address].into_iter().any(|address| {
            let key = (address.scheme.as_str().to_owned(), address.value.clone());
            self.facts.suppressed.contains(&key)
        });
        let on_channel = self.facts.acks_by.get(&budget).copied().unwrap_or(0);
        let facts = AdviceFacts { in_ticket, to_address, on_channel, suppressed };
        if desk::advisable(facts).is_err() {
            return;
        }
        for key in keys {
            self.facts.acks_to.entry(key).or_default().push((now, true));
        }
        *self.facts.acks_by.entry(budget).or_default() += 1;
        self.acks.push(Ack {
            message: MessageId::new().uuid(),
            ticket,
            channel: channel.name.as_str().to_owned(),
            realm: channel.realm.0.clone(),
            asked_by: Some(address).filter(|address| *address != to.address),
            to,
            template,
            safety: true,
            routing: super::super::outbox::Routing::of(inbound),
            about: About::Secret,
            asks: None,
        });
    }
}

fn ack_facts(
    facts: &Facts,
    setting: &Acknowledge,
    (channel, safety): (&str, bool),
    addresses: [&Address; 2],
    now: i64,
) -> AckFacts {
    let keys = addresses.map(|address| (address.scheme.as_str().to_owned(), address.value.clone()));
    let since = now - i64::try_from(setting.per_address.as_millis()).unwrap_or(i64::MAX);
    let sent = keys.iter().filter_map(|key| facts.acks_to.get(key)).flatten();
    AckFacts {
        // An acknowledgement does not keep from warning somebody later on the same day.
        to_address: sent.filter(|(at, kept)| *at > since && (*kept || !safety)).count() as u64,
        in_hour: facts.acks_by.get(channel).copied().unwrap_or(0),
        suppressed: keys.iter().any(|key| facts.suppressed.contains(key)),
    }
}
