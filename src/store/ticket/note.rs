//! Notes between agents: messages that never leave the house.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{attachment, mention, message, person, ticket};
use super::super::event::{self, NewEvent, take_numbers};
use super::super::idempotency::{Answer, By};
use super::super::message::{MessageView, message_view};
use super::super::{Store, StoreError, millis, outbox, search};
use super::take;
use crate::desk;
use crate::model::{Direction, Flag, MessageId, MessageKind, TicketId};

/// A note to be written.
#[derive(Debug, Clone)]
pub struct NewNote {
    /// In which ticket.
    pub ticket: TicketId,
    /// Plain text.
    pub text: String,
    /// The same, sanitised.
    pub html: Option<String>,
    /// Uploads that become its attachments.
    pub uploads: Vec<Uuid>,
}

impl Store {
    /// Writes a note.
    pub async fn add_note(&self, new: NewNote, by: By) -> Result<Answer<MessageView>, StoreError> {
        let (id, new) = (MessageId::new().uuid(), Arc::new(new));
        self.write_once(by.once.clone(), by.now, move |tx| {
            let (new, by) = (new.clone(), by.clone());
            Box::pin(async move {
                let ticket = take(tx, new.ticket.uuid(), by.version).await?;
                write(tx, id, &new, (&ticket, &[]), &by).await?;
                message_view(tx, id).await
            })
        })
        .await
    }
}

/// Writes a note under this id, as a part of something else.
pub(in crate::store) async fn write_note(
    tx: &DatabaseTransaction,
    id: Uuid,
    (new, flags): (&NewNote, &[Flag]),
    by: &By,
) -> Result<(), StoreError> {
    let ticket = take(tx, new.ticket.uuid(), by.version).await?;
    write(tx, id, new, (&ticket, flags), by).await
}

async fn write(
    tx: &DatabaseTransaction,
    id: Uuid,
    new: &NewNote,
    (ticket, flags): (&ticket::Model, &[Flag]),
    by: &By,
) -> Result<(), StoreError> {
    let now = by.now;
    let mut row = outbox::message_row(&outbox::NewMessage {
        id,
        ticket: ticket.id,
        channel: &ticket.channel,
        realm: "",
        actor: &by.actor,
        text: &new.text,
        html: new.html.as_deref(),
        reply_to: None,
        now,
    });
    row.direction = Direction::Internal.as_str().to_owned();
    row.kind = MessageKind::Note.as_str().to_owned();
    row.flags = json!(flags).to_string();
    row.seq = *take_numbers(tx, "feed", 1).await?.end();
    search::index(tx, &[(row.seq, new.text.clone())]).await?;
    message::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    for (position, upload) in new.uploads.iter().enumerate() {
        let used = attachment::Entity::update_many()
            .set(attachment::ActiveModel {
                message: Set(Some(id)),
                position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
                ..Default::default()
            })
            .filter(attachment::Column::Id.eq(*upload))
            .filter(attachment::Column::Message.is_null())
            .exec(tx)
            .await?;
        if used.rows_affected == 0 {
            return Err(StoreError::NotFound("upload"));
        }
    }
    let change = ticket::ActiveModel {
        id: Set(ticket.id),
        message_count: Set(ticket.message_count + 1),
        version: Set(ticket.version + 1),
        updated_at: Set(millis(now)),
        ..Default::default()
    };
    ticket::Entity::update(change).exec(tx).await?;
    let mut event = NewEvent::of(ticket.id, "message.created", by.actor.clone());
    event.message = Some(id);
    event.data = json!({ "direction": "internal", "kind": "note" });
    let mut events = vec![event];
    for person in name(tx, id, new, ticket.id, by).await? {
        let mut event = NewEvent::of(ticket.id, "person.mentioned", by.actor.clone());
        event.message = Some(id);
        event.data = json!({ "id": person });
        events.push(event);
    }
    event::record(tx, events, now).await
}

/// Notes who is named in a note; nobody is told of what they wrote themselves.
async fn name(
    tx: &DatabaseTransaction,
    message: Uuid,
    new: &NewNote,
    ticket: Uuid,
    by: &By,
) -> Result<Vec<Uuid>, StoreError> {
    if !new.text.contains('@') {
        return Ok(Vec::new());
    }
    let people: Vec<(Uuid, String)> = person::Entity::find()
        .select_only()
        .columns([person::Column::Id, person::Column::Name])
        .filter(person::Column::DisabledAt.is_null())
        .into_tuple()
        .all(tx)
        .await?;
    let names: Vec<&str> = people.iter().map(|(_, name)| name.as_str()).collect();
    let found = desk::mentioned(&new.text, &names).into_iter();
    let named: Vec<Uuid> = found
        .filter_map(|place| people.get(place).map(|(id, _)| *id))
        .filter(|id| by.actor.id != Some(*id))
        .collect();
    for person in &named {
        let row = mention::Model { person: *person, message, ticket };
        mention::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    }
    Ok(named)
}
