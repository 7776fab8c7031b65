//! What somebody brings along to prove who they are: a code that joins their address with a contact, or one that was
//! sent to an address of theirs.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::address_proof;
use super::super::event::NewEvent;
use super::super::{StoreError, millis, proof};
use super::acknowledge::{About, Ack};
use super::apply::Work;
use super::facts::Facts;
use super::triage::Place;
use super::{Prepared, PreparedMessage};
use crate::desk;
use crate::desk::proof::{ProofWords, TRIES_MAX, can_be_made_up, codes_in, filled, masked};
use crate::model::{
    Actor, Address, ChannelName, Form, Inbound, MessageId, Party, Scheme, Secret, Timestamp, Trust,
    link_code,
};

/// Put on a ticket whose customer proved an address.
const TAG: &str = "address_proven";

/// What a message brings, before anything in it is masked.
pub(super) fn brought(inbound: &mut Inbound) -> Vec<Secret> {
    if inbound.form != Form::Message || inbound.automated.is_some() {
        return Vec::new();
    }
    if inbound.wishes.link.is_none() {
        inbound.wishes.link = link_code(&inbound.text);
    }
    codes_in(&inbound.text)
}

/// A code that waits, and what the batch makes of it.
pub(super) struct Waiting {
    row: address_proof::Model,
    end: Option<End>,
    changed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Proven,
    Failed,
}

/// Reads the codes that wait for those who bring something that looks like one.
pub(super) async fn load(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let messages = batch.iter().flat_map(Prepared::messages);
    let bringing = messages.filter(|message| !message.codes.is_empty());
    let askers: Vec<String> = bringing
        .filter_map(|message| Some(message.inbound.sender.address.as_ref()?.value.clone()))
        .collect();
    if askers.is_empty() {
        return Ok(());
    }
    let rows = address_proof::Entity::find()
        .filter(address_proof::Column::State.eq("open"))
        .filter(address_proof::Column::AskerValue.is_in(askers))
        .filter(address_proof::Column::ExpiresAt.gt(millis(now)))
        .lock_exclusive()
        .all(tx)
        .await?;
    let waiting = |row: address_proof::Model| (row.id, Waiting { row, end: None, changed: false });
    facts.proofs = rows.into_iter().map(waiting).collect::<HashMap<_, _>>();
    Ok(())
}

impl Work {
    /// Whoever the service vouches for may have brought a code that says who they are.
    pub(super) fn bring_link(&mut self, inbound: &Inbound, ours: Option<&Actor>) {
        let proven =
            inbound.sender.address.as_ref().filter(|_| inbound.sender.trust == Trust::Proven);
        if let (Some(code), Some(address), None) = (&inbound.wishes.link, proven, ours) {
            self.links.push((code.clone(), address.clone()));
        }
    }

    /// Compares what a customer brings with the code that was asked for in this very conversation. What others bring
    /// counts for nothing, and is no try.
    pub(super) fn bring_code(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        ours: Option<&Actor>,
    ) {
        let inbound = &prepared.inbound;
        let Some(address) = inbound.sender.address.as_ref().filter(|_| ours.is_none()) else {
            return;
        };
        let believed = |both_sides: bool| match inbound.sender.trust {
            Trust::Forged => false,
            Trust::Claimed => both_sides || !can_be_made_up(address.scheme),
            Trust::Proven => true,
        };
        let channel = one.channel.name.as_str();
        let waiting = self.facts.proofs.values_mut().filter(|waiting| {
            let row = &waiting.row;
            waiting.end.is_none()
                && row.ticket == place.ticket
                && row.asker_channel == channel
                && is_asker(row, address)
                && believed(row.both_sides)
        });
        // Tickets that were merged may have one each: the right one, else the newest.
        let brings = |row: &address_proof::Model| {
            prepared.codes.iter().take(left(row)).any(|hashes| hashes.contains(&row.hash))
        };
        let waiting = waiting.max_by_key(|waiting| (brings(&waiting.row), waiting.row.id));
        let Some(waiting) = waiting.filter(|_| !prepared.codes.is_empty()) else { return };
        waiting.changed = true;
        let mut right = false;
        for hashes in prepared.codes.iter().take(left(&waiting.row)) {
            right = hashes.contains(&waiting.row.hash);
            if right {
                break;
            }
            waiting.row.tries += 1;
        }
        let words = ProofWords::of(place.language);
        let (kind, end, said) = if right {
            ("contact.proven", Some(End::Proven), words.thanks)
        } else if waiting.row.tries >= TRIES_MAX {
            ("contact.proof_failed", Some(End::Failed), words.ended)
        } else {
            ("contact.proof_failed", None, words.wrong)
        };
        waiting.end = end;
        let row = waiting.row.clone();
        let mut event = NewEvent::of(place.ticket, kind, Actor::system());
        event.message = Some(prepared.id);
        event.channel = Some(channel.to_owned());
        event.data = json!({
            "proof": row.id, "scheme": row.scheme, "address": row.value,
            "tries_left": (TRIES_MAX - row.tries).max(0),
        });
        self.events.push(event);
        if right {
            self.add_tags(place.ticket, [TAG.to_owned()]);
        }
        self.answer_code(one, prepared, place, (&row, said));
    }

    /// Says shortly what became of the code.
    fn answer_code(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        (row, said): (&address_proof::Model, &str),
    ) {
        let (channel, inbound) = (&one.channel, &prepared.inbound);
        if !channel.delivers || desk::answerable(inbound, &channel.own).is_err() {
            return;
        }
        let Some(address) = inbound.sender.address.clone() else { return };
        let scheme: Scheme = row.scheme.parse().unwrap_or(Scheme::Email);
        let proven = Address { scheme, scope: None, value: row.value.clone() };
        self.acks.push(Ack {
            message: MessageId::new().uuid(),
            ticket: place.ticket,
            channel: channel.name.as_str().to_owned(),
            realm: channel.realm.0.clone(),
            to: Party { address, name: inbound.sender.name.clone() },
            asked_by: None,
            template: filled(said, "", &masked(&proven)),
            safety: true,
            routing: super::super::outbox::Routing::of(inbound),
            about: About::Proof,
            asks: None,
        });
    }

    /// Writes what became of codes, and joins those whose code was right.
    pub(super) async fn write_proofs(
        &mut self,
        tx: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        let waiting: HashMap<Uuid, Waiting> = std::mem::take(&mut self.facts.proofs);
        for Waiting { row, end, .. } in waiting.into_values().filter(|one| one.changed) {
            match end {
                Some(End::Proven) => proof::redeem(tx, row, self.now).await?,
                Some(End::Failed) => {
                    let row = row.into_active_model().reset_all();
                    proof::end(tx, row, "failed", self.now).await?;
                }
                None => {
                    let row = row.into_active_model().reset_all();
                    address_proof::Entity::update(row).exec(tx).await?;
                }
            }
        }
        Ok(())
    }
}

/// So many codes of one message are still compared.
fn left(row: &address_proof::Model) -> usize {
    usize::try_from(TRIES_MAX - row.tries).unwrap_or(0)
}

fn is_asker(row: &address_proof::Model, address: &Address) -> bool {
    let scope = address.scope.as_ref().map_or("", ChannelName::as_str);
    row.asker_scheme == address.scheme.as_str()
        && row.asker_scope == scope
        && row.asker_value == address.value
}
