//! Later parts of one thing (the pictures of an album, the recording of a call): they add to the message that
//! the first part made.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{attachment, message, seen};
use super::super::event::NewEvent;
use super::super::message::reindex;
use super::super::{StoreError, millis};
use super::apply::{Call, Work};
use super::triage::Place;
use super::{Ingested, Prepared, PreparedMessage};
use crate::model::{Actor, ActorKind, Flag, Form, Inbound, MessageKind};

/// What a part adds to a message that stands in the database.
pub(super) struct Addition {
    message: Uuid,
    text: String,
    html: Option<String>,
    kind: Option<MessageKind>,
    /// What was noticed about it.
    flags: BTreeSet<Flag>,
}

/// A message whose files are to be written: those of a part go to the message that it adds to.
pub(super) struct Files {
    /// The prepared message that has them.
    pub(super) of: Uuid,
    /// The message to which they go.
    pub(super) to: Uuid,
}

impl Work {
    /// The message that the first part made: `(message, ticket)`.
    pub(super) fn whole(&self, one: &Prepared, inbound: &Inbound) -> Option<(Uuid, Uuid)> {
        let key = (one.channel.realm.0.clone(), inbound.part_of.as_ref()?.0.clone());
        let rows = self.facts.seen.get(&key)?;
        rows.iter().find_map(|row| row.message.zip(row.ticket))
    }

    /// The name of the whole is noted beside that of its first part, so that the next part finds it.
    pub(super) fn begin_whole(&mut self, one: &Prepared, inbound: &Inbound, at: (Uuid, Uuid)) {
        let Some(whole) = &inbound.part_of else { return };
        let key = (one.channel.realm.0.clone(), whole.0.clone());
        // A whole whose message was erased stays gone.
        if self.facts.seen.contains_key(&key) {
            return;
        }
        self.note_seen(key, String::new(), at);
    }

    /// Adds a later part to its whole.
    pub(super) fn add_part(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        (message, ticket): (Uuid, Uuid),
        result: &mut Ingested,
    ) {
        let inbound = &prepared.inbound;
        let key = (one.channel.realm.0.clone(), inbound.remote_id.0.clone());
        self.note_seen(key, inbound.digest.clone(), (message, ticket));
        let masked = (!self.found(prepared).is_empty()).then_some(Flag::Redacted);
        let more: BTreeSet<Flag> = inbound.flags.iter().copied().chain(masked).collect();
        let flags = self.facts.flags.entry(message).or_default();
        grow(flags, &more);
        let flags = flags.clone();
        let addition = Addition {
            message,
            text: inbound.text_full.clone(),
            html: inbound.html.clone(),
            kind: (inbound.form == Form::Voicemail).then_some(MessageKind::Voicemail),
            flags: more,
        };
        match self.messages.iter_mut().find(|row| row.id == message) {
            Some(row) => {
                addition.add_to(row);
                for (_, text) in self.texts.iter_mut().filter(|(id, _)| *id == message) {
                    text.push_str(&addition.text);
                    text.push('\n');
                }
            }
            None => self.additions.push(addition),
        }
        let files = prepared.attachments.len() + prepared.uploads.len();
        if prepared.goes_along() {
            self.files.push(Files { of: prepared.id, to: message });
        }
        let now = millis(self.now);
        if let Some(kept) = self.facts.tickets.get_mut(&ticket) {
            kept.changed = true;
            kept.row.updated_at = now;
            kept.row.version += 1;
            kept.row.last_inbound_at = Some(now);
        }
        let address = inbound.sender.address.as_ref().map(|address| address.value.clone());
        let name = inbound.sender.name.clone().or(address).unwrap_or_default();
        let actor = Actor { kind: ActorKind::Contact, id: None, name };
        let mut event = NewEvent::of(ticket, "message.extended", actor);
        event.message = Some(message);
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({ "attachments": files });
        self.note_wish(one, inbound, (ticket, message), &event.actor);
        self.events.push(event);
        result.messages.push((ticket.into(), message.into()));
        if matches!(inbound.form, Form::Call | Form::Voicemail) {
            self.go_on(one, prepared, ticket, &flags);
        }
        self.advise(one, prepared, ticket);
    }

    /// Somebody wants to be called.
    pub(super) fn note_wish(
        &mut self,
        one: &Prepared,
        inbound: &Inbound,
        (ticket, message): (Uuid, Uuid),
        by: &Actor,
    ) {
        let policy = &one.channel.callbacks;
        let wish = inbound.wishes.call.clone().or_else(|| self.accepted(one, inbound, ticket));
        self.calls.extend(wish.map(|wish| Call {
            wish,
            ticket,
            message,
            policy: policy.clone(),
            by: by.clone(),
        }));
    }

    /// A call is told piece by piece: what was chosen in it counts as if it had stood in the first one, as long as
    /// nothing else is in its ticket, and the rules look at each piece.
    fn go_on(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
        flags: &BTreeSet<Flag>,
    ) {
        let wishes = &prepared.inbound.wishes;
        self.add_tags(ticket, wishes.tags.iter().cloned());
        let Some(kept) = self.facts.tickets.get_mut(&ticket) else { return };
        if kept.row.message_count == 1 {
            if let Some(priority) = wishes.priority {
                priority.as_str().clone_into(&mut kept.row.priority);
            }
            kept.row.queue = wishes.queue.clone().or_else(|| kept.row.queue.take());
            kept.row.language = wishes.language.clone().or_else(|| kept.row.language.take());
        }
        let (contact, language) = (kept.row.contact, kept.row.language.clone());
        let language = language.as_deref();
        let place = Place { ticket, contact, opens: false, language, grown: Some(flags) };
        self.triage(one, prepared, place);
    }

    fn note_seen(
        &mut self,
        key: (String, String),
        digest: String,
        (message, ticket): (Uuid, Uuid),
    ) {
        let row = seen::Model {
            realm: key.0.clone(),
            remote_id: key.1.clone(),
            digest,
            message: Some(message),
            ticket: Some(ticket),
            added_at: millis(self.now),
        };
        self.facts.seen.entry(key).or_default().push(row.clone());
        self.seen.push(row);
    }

    pub(super) async fn write_additions(
        &mut self,
        tx: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        for addition in std::mem::take(&mut self.additions) {
            let row = message::Entity::find_by_id(addition.message).one(tx).await?;
            let Some(mut row) = row.filter(|row| row.deleted_at.is_none()) else { continue };
            addition.add_to(&mut row);
            reindex(tx, &row).await?;
            let changed = message::ActiveModel {
                id: Set(row.id),
                kind: Set(row.kind),
                text: Set(row.text),
                text_full: Set(row.text_full),
                html: Set(row.html),
                flags: Set(row.flags),
                ..Default::default()
            };
            message::Entity::update(changed).exec(tx).await?;
        }
        Ok(())
    }
}

/// What a piece adds to what was noticed about the whole.
fn grow(flags: &mut BTreeSet<Flag>, more: &BTreeSet<Flag>) {
    flags.extend(more);
    if flags.contains(&Flag::AnsweredCall) {
        flags.remove(&Flag::MissedCall);
    }
}

impl Addition {
    fn add_to(&self, row: &mut message::Model) {
        if let Ok(mut flags) = serde_json::from_str(&row.flags) {
            grow(&mut flags, &self.flags);
            row.flags = json!(flags).to_string();
        }
        if let Some(kind) = self.kind.filter(|_| row.kind == MessageKind::Call.as_str()) {
            kind.as_str().clone_into(&mut row.kind);
        }
        if self.text.is_empty() {
            return;
        }
        for text in std::iter::once(&mut row.text).chain(row.text_full.as_mut()) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&self.text);
        }
        let more = || {
            let plain = || format!("<p>{}</p>", ammonia::clean_text(&self.text));
            self.html.clone().unwrap_or_else(plain)
        };
        if let Some(html) = &mut row.html {
            html.push_str(&more());
        }
    }
}

/// The place of a message's next file.
pub(super) async fn next_place(tx: &DatabaseTransaction, message: Uuid) -> Result<i32, StoreError> {
    let count = attachment::Entity::find().filter(attachment::Column::Message.eq(message));
    Ok(i32::try_from(count.count(tx).await?).unwrap_or(i32::MAX))
}
