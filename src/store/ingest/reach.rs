//! Who may (not) be written to any more, and signs under messages: noted, and told to whoever looks at the ticket.

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::super::event::NewEvent;
use super::super::{StoreError, millis, standing};
use super::Prepared;
use super::apply::Work;
use super::facts::address_key;
use crate::model::{Actor, ActorKind, Reaction, Standing, Trust};

/// What somebody said about being written to, with their contact if they have one.
pub(super) struct Said {
    standing: Standing,
    channel: String,
    contact: Option<Uuid>,
}

impl Work {
    pub(super) fn standing(&mut self, one: &Prepared, standing: &Standing) {
        let key = address_key(&standing.address, Trust::Proven);
        let contact = self.facts.identities.get(&key).map(|kept| kept.row.contact);
        self.said.push(Said {
            standing: standing.clone(),
            channel: one.channel.name.as_str().to_owned(),
            contact: contact.map(|contact| self.survivor_of_contact(contact)),
        });
    }

    /// `false`: there is no such message (yet).
    pub(super) fn reaction(&mut self, one: &Prepared, reaction: &Reaction) -> bool {
        let key = (one.channel.realm.0.clone(), reaction.target.0.clone());
        let known = self.facts.seen.get(&key).and_then(|rows| rows.last());
        let theirs = known.and_then(|row| Some((row.ticket?, row.message)));
        let ours = || {
            let delivery = self.facts.delivery_by_remote.get(&key)?;
            Some((self.facts.deliveries.get(delivery)?.ticket, None))
        };
        let Some((ticket, message)) = theirs.or_else(ours) else { return false };
        let name = reaction.by.value.clone();
        let actor = Actor { kind: ActorKind::Contact, id: None, name };
        let mut event = NewEvent::of(ticket, "message.reaction", actor);
        event.message = message;
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({ "emoji": reaction.emoji, "target": reaction.target });
        self.events.push(event);
        true
    }

    /// Keeps what was said: whom nothing is sent to unasked, and the record of it in their newest ticket.
    pub(super) async fn write_standings(
        &mut self,
        tx: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        for said in std::mem::take(&mut self.said) {
            let Said { standing, channel, contact } = said;
            let name = standing.address.value.clone();
            let actor = Actor { kind: ActorKind::Contact, id: contact, name };
            let about = (channel.as_str(), contact, actor);
            self.events.push(standing::keep(tx, &standing, about, millis(self.now)).await?);
        }
        Ok(())
    }
}
