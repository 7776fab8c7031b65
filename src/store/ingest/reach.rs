//! Who may (not) be written to any more, and signs under messages: noted, and told to whoever looks at the ticket.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, Iterable as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{suppression, ticket};
use super::super::event::NewEvent;
use super::super::{StoreError, millis};
use super::Prepared;
use super::apply::Work;
use super::facts::address_key;
use super::receipt::Suppressed;
use crate::model::{Actor, ActorKind, Reach, Reaction, Standing, Trust};

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
            let scheme = standing.address.scheme.as_str().to_owned();
            let value = standing.address.value.clone();
            match standing.reach {
                Reach::Reachable | Reach::OptedIn => {
                    suppression::Entity::delete_by_id((scheme, value)).exec(tx).await?;
                }
                Reach::Unreachable | Reach::OptedOut => {
                    let reason = standing.said.clone();
                    suppress(tx, Suppressed { scheme, value, reason }, millis(self.now)).await?;
                }
            }
            let mut event = NewEvent {
                kind: "contact.standing",
                ticket: None,
                ticket_seq: None,
                message: None,
                channel: Some(channel),
                actor: Actor {
                    kind: ActorKind::Contact,
                    id: contact,
                    name: standing.address.value.clone(),
                },
                data: json!({
                    "contact": contact,
                    "address": standing.address.value,
                    "reach": standing.reach,
                    "said": standing.said,
                }),
            };
            if let Some(contact) = contact {
                event.ticket = newest_ticket(tx, contact).await?;
            }
            self.events.push(event);
        }
        Ok(())
    }
}

async fn newest_ticket(
    tx: &DatabaseTransaction,
    contact: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let newest = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Id)
        .filter(ticket::Column::Contact.eq(contact))
        .filter(ticket::Column::DeletedAt.is_null())
        .filter(ticket::Column::MergedInto.is_null())
        .order_by_desc(ticket::Column::Number)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(newest)
}

/// Nothing is sent unasked to this address any more. The first reason stays.
pub(super) async fn suppress(
    tx: &DatabaseTransaction,
    suppressed: Suppressed,
    added_at: i64,
) -> Result<(), StoreError> {
    let row = suppression::ActiveModel {
        scheme: Set(suppressed.scheme),
        value: Set(suppressed.value),
        reason: Set(suppressed.reason),
        added_at: Set(added_at),
    };
    let known = OnConflict::columns(suppression::PrimaryKey::iter()).do_nothing().to_owned();
    suppression::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await?;
    Ok(())
}
