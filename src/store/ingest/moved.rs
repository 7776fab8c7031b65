//! The same person or group under another name: what waits for them, and what will, goes there.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, Iterable as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{delivery, identity, message, participant};
use super::super::event::NewEvent;
use super::super::outbox::{Routing, StoredOutbound};
use super::super::{StoreError, millis};
use super::Prepared;
use super::apply::Work;
use super::facts::address_key;
use crate::model::{Actor, Address, Moved, Party, ThreadKey, Trust};

/// A move, with what it changes of what was there before.
pub(super) struct Move {
    moved: Moved,
    /// The identity that gets the new name.
    identity: Option<Uuid>,
    /// Tickets of the conversations that have other names now.
    tickets: Vec<Uuid>,
}

impl Work {
    pub(super) fn moved(&mut self, one: &Prepared, moved: &Moved) {
        let identity = self.move_identity(moved);
        let channel = one.channel.name.as_str();
        let mut tickets = Vec::new();
        for (from, to) in &moved.threads {
            tickets.extend(self.move_thread(channel, from, to));
        }
        for ticket in &tickets {
            let mut event = NewEvent::of(*ticket, "ticket.moved", Actor::system());
            event.channel = Some(channel.to_owned());
            event.data = json!({ "from": moved.from.value, "to": moved.to.value });
            self.events.push(event);
        }
        self.moves.push(Move { moved: moved.clone(), identity, tickets });
    }

    /// An address that is somebody's already stays theirs: who is who is for people to say.
    fn move_identity(&mut self, moved: &Moved) -> Option<Uuid> {
        let from = address_key(&moved.from, Trust::Proven);
        let to = address_key(&moved.to, Trust::Proven);
        if self.facts.identities.contains_key(&to) {
            return None;
        }
        let mut kept = self.facts.identities.remove(&from)?;
        kept.row.value.clone_from(&to.2);
        let id = kept.row.id;
        for fresh in self.identities.iter_mut().filter(|fresh| fresh.id == id) {
            fresh.value.clone_from(&to.2);
            fresh.shown.clone_from(&moved.to.value);
        }
        self.facts.identities.insert(to, kept);
        Some(id)
    }

    fn move_thread(&mut self, channel: &str, from: &ThreadKey, to: &ThreadKey) -> Vec<Uuid> {
        let old = (channel.to_owned(), from.0.clone());
        let new = (channel.to_owned(), to.0.clone());
        let taken = self.facts.open_by_thread.contains_key(&new);
        let mut moved = Vec::new();
        for kept in self.facts.tickets.values_mut() {
            let row = &mut kept.row;
            if row.channel != channel || row.thread.as_deref() != Some(from.as_str()) {
                continue;
            }
            // One conversation has one open ticket.
            let clashes = taken && matches!(row.status.as_str(), "open" | "pending");
            row.thread = (!clashes).then(|| to.0.clone());
            row.version += 1;
            kept.changed = true;
            moved.push(row.id);
        }
        if let Some(open) = self.facts.open_by_thread.remove(&old) {
            self.facts.open_by_thread.entry(new.clone()).or_insert(open);
        }
        if let Some(latest) = self.facts.ticket_by_thread.remove(&old) {
            self.facts.ticket_by_thread.entry(new).or_insert(latest);
        }
        moved
    }

    pub(super) async fn write_moves(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        for one in std::mem::take(&mut self.moves) {
            let Move { moved, identity, tickets } = one;
            if let Some(id) = identity {
                identity::Entity::update_many()
                    .set(identity::ActiveModel {
                        value: Set(moved.to.value.clone()),
                        shown: Set(moved.to.value.clone()),
                        ..Default::default()
                    })
                    .filter(identity::Column::Id.eq(id))
                    .exec(tx)
                    .await?;
            }
            for ticket in tickets {
                move_answers(tx, ticket, &moved).await?;
                move_deliveries(tx, ticket, &moved).await?;
                self.move_participant(tx, ticket, &moved).await?;
            }
        }
        Ok(())
    }

    async fn move_participant(
        &self,
        tx: &DatabaseTransaction,
        ticket: Uuid,
        moved: &Moved,
    ) -> Result<(), StoreError> {
        let row = participant::ActiveModel {
            ticket: Set(ticket),
            scheme: Set(moved.to.scheme.as_str().to_owned()),
            value: Set(moved.to.value.clone()),
            name: Set(None),
            since: Set(millis(self.now)),
        };
        let known = OnConflict::columns(participant::PrimaryKey::iter()).do_nothing().to_owned();
        participant::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await?;
        Ok(())
    }
}

/// An answer goes to where the customer's last message came from.
async fn move_answers(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    moved: &Moved,
) -> Result<(), StoreError> {
    let last = message::Entity::find()
        .filter(message::Column::Ticket.eq(ticket))
        .filter(message::Column::Direction.eq("in"))
        .filter(message::Column::Kind.ne("system"))
        .order_by_desc(message::Column::Seq)
        .limit(1)
        .one(tx)
        .await?;
    let Some(last) = last else { return Ok(()) };
    let Ok(mut routing) = serde_json::from_str::<Routing>(&last.routing) else { return Ok(()) };
    for party in routing.sender.iter_mut().chain(routing.reply_to.iter_mut()) {
        move_party(party, moved);
    }
    move_key(&mut routing.thread, moved);
    let changed = message::ActiveModel {
        id: Set(last.id),
        routing: Set(json!(routing).to_string()),
        ..Default::default()
    };
    message::Entity::update(changed).exec(tx).await?;
    Ok(())
}

/// What has not gone out yet goes to the new name.
async fn move_deliveries(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    moved: &Moved,
) -> Result<(), StoreError> {
    let waiting = delivery::Entity::find()
        .filter(delivery::Column::Ticket.eq(ticket))
        .filter(delivery::Column::State.is_in(["queued", "held", "unconfirmed"]))
        .all(tx)
        .await?;
    for row in waiting {
        let Ok(mut outbound) = serde_json::from_str::<StoredOutbound>(&row.outbound) else {
            continue;
        };
        move_party(&mut outbound.to, moved);
        move_key(&mut outbound.thread, moved);
        let changed = delivery::ActiveModel {
            id: Set(row.id),
            to_value: Set(outbound.to.address.value.clone()),
            outbound: Set(json!(outbound).to_string()),
            ..Default::default()
        };
        delivery::Entity::update(changed).exec(tx).await?;
    }
    Ok(())
}

fn move_party(party: &mut Party, moved: &Moved) {
    let Address { scheme, value, .. } = &moved.from;
    if party.address.scheme == *scheme && party.address.value == *value {
        party.address.value.clone_from(&moved.to.value);
    }
}

fn move_key(key: &mut Option<ThreadKey>, moved: &Moved) {
    let Some(key) = key else { return };
    if let Some((_, to)) = moved.threads.iter().find(|(from, _)| from == key) {
        *key = to.clone();
    }
}
