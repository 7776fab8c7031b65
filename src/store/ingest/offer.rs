//! A call that a rule offers, and the number that the customer answers with.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use super::super::event::NewEvent;
use super::apply::Work;
use super::triage::{Place, Triaged};
use super::{Prepared, PreparedMessage};
use crate::desk;
use crate::model::{Actor, CallWish, Form, Inbound, Texts, number_in};

/// The tag of tickets in which a call was offered.
const OFFERED: &str = "call_offered";
/// The tag of those of them whose customer wrote a number. A later number may be anything.
const ACCEPTED: &str = "call_accepted";

impl Work {
    /// What is sent at once: an acknowledgement, with an offer to call below it where a rule says so.
    pub(super) fn acknowledge_and_offer(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        triaged: &Triaged,
    ) {
        let offer = self.offer(place, triaged);
        let own = offer.as_ref().map(|offer| joined(one, place, triaged, offer));
        let own = own.as_ref().or(triaged.acknowledge.as_ref());
        let before = self.acks.len();
        self.acknowledge(one, &prepared.inbound, place, (own, triaged.safety));
        if offer.is_some() && self.acks.len() > before {
            self.note_tag(one, place.ticket, OFFERED);
        }
    }

    fn note_tag(&mut self, one: &Prepared, ticket: Uuid, tag: &str) {
        self.add_tags(ticket, [tag.to_owned()]);
        let mut event = NewEvent::of(ticket, "ticket.updated", Actor::system());
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({ "changes": {}, "tags_added": [tag] });
        self.events.push(event);
    }

    /// The words of the offer. Once a ticket, and not beside what keeps somebody from harm.
    fn offer(&self, place: Place<'_>, triaged: &Triaged) -> Option<String> {
        let texts = triaged.offer_call.as_ref().filter(|_| !triaged.safety)?;
        let offer = desk::fitting(&texts.0, place.language)?;
        (!offer.trim().is_empty() && !self.has_tag(place.ticket, OFFERED)).then(|| offer.clone())
    }

    fn has_tag(&self, ticket: Uuid, tag: &str) -> bool {
        self.facts.tags.get(&ticket).is_some_and(|tags| tags.contains(tag))
    }

    /// The wish to be called of somebody who was offered it and writes a number. Once a ticket, but for numbers that
    /// are not called: those are told to agents, and another one may follow.
    pub(super) fn accepted(
        &mut self,
        one: &Prepared,
        inbound: &Inbound,
        ticket: Uuid,
    ) -> Option<CallWish> {
        let waits = self.has_tag(ticket, OFFERED) && !self.has_tag(ticket, ACCEPTED);
        if !waits || inbound.form != Form::Message || inbound.automated.is_some() {
            return None;
        }
        let phone = number_in(&inbound.text)?;
        if one.channel.callbacks.admits(&phone) {
            self.note_tag(one, ticket, ACCEPTED);
        }
        Some(CallWish {
            phone,
            at: None,
            when: String::new(),
            note: String::new(),
            time_zone: None,
        })
    }
}

/// What would be sent anyhow, and the offer below it.
fn joined(one: &Prepared, place: Place<'_>, triaged: &Triaged, offer: &str) -> Texts {
    let of_rule = triaged.acknowledge.as_ref();
    let of_rule = of_rule.map(|texts| desk::fitting(&texts.0, place.language));
    let of_channel = || {
        let setting = one.channel.policy.acknowledge.as_ref().filter(|_| place.opens);
        setting.map(|setting| &setting.text)
    };
    let base = of_rule.unwrap_or_else(of_channel).filter(|text| !text.is_empty());
    let text = base.map_or_else(|| offer.to_owned(), |base| format!("{base}\n\n{offer}"));
    Texts(BTreeMap::from([(place.language.unwrap_or("en").to_owned(), text)]))
}
