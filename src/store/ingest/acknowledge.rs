//! The acknowledgement of a new ticket, if the desk allows one.

use uuid::Uuid;

use super::super::millis;
use super::Prepared;
use super::apply::Work;
use super::facts::Facts;
use super::triage::Place;
use crate::desk::{self, AckFacts, Texts};
use crate::model::{Acknowledge, Address, Inbound, Party};

/// An acknowledgement to be queued; its text is filled when the ticket has its number.
pub(super) struct Ack {
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
            Some(texts) => texts.choose(place.language).to_owned(),
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
            ticket,
            channel: name.to_owned(),
            realm: channel.realm.0.clone(),
            asked_by: Some(address).filter(|address| *address != to.address),
            to,
            template,
            safety,
            routing: super::super::outbox::Routing::of(inbound),
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
