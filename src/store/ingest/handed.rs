//! A customer's mail that somebody who works here hands on: noted, so that one of them can say whose ticket it is.
//! Until then nothing is answered by itself, neither to whoever handed it on nor to whom the mail names: anybody can
//! write such a mail.

use std::collections::HashMap;

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::super::entity::handed_on;
use super::super::event::NewEvent;
use super::super::{StoreError, millis};
use super::apply::Work;
use super::facts::Facts;
use super::triage::Place;
use super::{Prepared, PreparedMessage, agent};
use crate::model::{Actor, ActorKind, Inbound, Scheme, Trust};

/// Those who work here, by their mail addresses, where a mail of the batch is handed on.
pub(super) type Forwarders = HashMap<String, Uuid>;

pub(super) async fn load(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let mut messages = batch.iter().flat_map(Prepared::messages);
    if messages.any(|message| message.inbound.wishes.forward.is_some()) {
        let people = agent::people(tx).await?.into_iter();
        let mail = Scheme::Email.as_str();
        facts.forwarders = people
            .filter_map(|((scheme, value), id)| (scheme == mail).then_some((value, id)))
            .collect();
    }
    Ok(())
}

impl Work {
    /// Who of us hands on a customer's mail with this message.
    pub(super) fn hands_on(&self, inbound: &Inbound) -> Option<Uuid> {
        let forward = inbound.wishes.forward.as_ref()?;
        let sender = inbound.sender.address.as_ref()?;
        let believed = inbound.sender.trust != Trust::Forged && inbound.automated.is_none();
        let other = forward.from.address != *sender;
        let known = self.facts.forwarders.get(&sender.value);
        known.copied().filter(|_| believed && other && sender.scheme == Scheme::Email)
    }

    /// Notes that the ticket is somebody else's, as long as it is that of whoever handed the mail on.
    pub(super) fn note_handed_on(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        person: Uuid,
    ) {
        let inbound = &prepared.inbound;
        let Some(forward) = &inbound.wishes.forward else { return };
        let kept = self.facts.tickets.get(&place.ticket);
        if kept.is_none_or(|kept| kept.row.contact != place.contact) {
            return;
        }
        self.handed_on.push(handed_on::Model {
            message: prepared.id,
            person,
            said: json!(forward).to_string(),
            state: "open".to_owned(),
            at: millis(self.now),
        });
        let name = inbound.sender.name.clone().unwrap_or_default();
        let actor = Actor { kind: ActorKind::Agent, id: Some(person), name };
        let mut event = NewEvent::of(place.ticket, "ticket.handed_on", actor);
        event.message = Some(prepared.id);
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({ "name": forward.from.name, "address": forward.from.address.value });
        self.events.push(event);
    }
}
