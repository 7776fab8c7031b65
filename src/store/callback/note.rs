//! Noting that somebody wants to be called: from a message, from the API.

use chrono_tz::Tz;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{callback, identity, ticket};
use super::super::event::{self, NewEvent};
use super::super::{StoreError, millis};
use super::{NewCallback, save};
use crate::desk::CallbackPolicy;
use crate::model::{Actor, CallWish, CallbackId, CallbackStatus, MessageId, Scheme, Timestamp};

/// The event that tells of it.
const REQUESTED: &str = "callback.requested";

/// A wish to be noted.
pub(super) struct Wish<'a> {
    pub(super) ticket: Uuid,
    pub(super) phone: &'a str,
    pub(super) at: Option<Timestamp>,
    pub(super) when: &'a str,
    pub(super) note: &'a str,
    pub(super) zone: Option<Tz>,
    pub(super) message: Option<Uuid>,
}

/// A wish that came with a message of the customer. What cannot be called is told to agents in the ticket's
/// trail: the message itself is there.
pub(in crate::store) async fn note_wish(
    tx: &DatabaseTransaction,
    wish: &CallWish,
    (ticket, message): (Uuid, Uuid),
    policy: &CallbackPolicy,
    (actor, now): (Actor, Timestamp),
) -> Result<(), StoreError> {
    let Some(phone) = crate::model::phone_number(&wish.phone) else {
        return refused(tx, ticket, "it is no international telephone number", (actor, now)).await;
    };
    let noted = Wish {
        ticket,
        phone: &phone,
        at: wish.at,
        when: &wish.when,
        note: &wish.note,
        zone: wish.time_zone.as_deref().and_then(|name| name.parse().ok()),
        message: Some(message),
    };
    match note(tx, &noted, policy, (&actor, now)).await {
        Err(StoreError::Unknown { why, .. }) => refused(tx, ticket, &why, (actor, now)).await,
        Err(other) => Err(other),
        Ok(_) => Ok(()),
    }
}

async fn refused(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    why: &str,
    (actor, now): (Actor, Timestamp),
) -> Result<(), StoreError> {
    let mut event = NewEvent::of(ticket, "callback.refused", actor);
    event.data = json!({ "why": why });
    event::record(tx, vec![event], now).await
}

pub(super) async fn note(
    tx: &DatabaseTransaction,
    wish: &Wish<'_>,
    policy: &CallbackPolicy,
    (actor, now): (&Actor, Timestamp),
) -> Result<callback::Model, StoreError> {
    if !policy.admits(wish.phone) {
        let why = "numbers that begin like this are not called (callbacks.prefixes)".to_owned();
        return Err(StoreError::Unknown { field: "phone", why });
    }
    let open = callback::Entity::find()
        .filter(callback::Column::Ticket.eq(wish.ticket))
        .filter(callback::Column::Status.is_in(["waiting", "calling"]))
        .lock_exclusive()
        .all(tx)
        .await?;
    let due = policy.due(wish.at, wish.zone, now);
    if let Some(known) = open.iter().find(|row| row.phone == wish.phone) {
        return asked_again(tx, known, (wish, due), policy, (actor, now)).await;
    }
    if open.len() >= policy.open_max {
        let why = format!("{} call-backs of this ticket are open already", open.len());
        return Err(StoreError::Unknown { field: "phone", why });
    }
    let row = callback::Model {
        id: CallbackId::new().uuid(),
        ticket: wish.ticket,
        phone: wish.phone.to_owned(),
        status: CallbackStatus::Waiting.as_str().to_owned(),
        wanted: wish.when.to_owned(),
        note: wish.note.to_owned(),
        time_zone: wish.zone.map(|zone| zone.name().to_owned()),
        due_at: millis(due),
        due_told: false,
        attempts: 0,
        agent: None,
        agent_name: None,
        called_at: None,
        outcome: None,
        asked_by: actor.name.clone(),
        message: wish.message,
        confirm_id: MessageId::new().uuid(),
        confirm_at: policy.confirm.then_some(millis(now)),
        remind_id: MessageId::new().uuid(),
        remind_at: policy.reminder(due, now).map(millis),
        version: 1,
        created_at: millis(now),
        updated_at: millis(now),
        delivery: None,
        heard: None,
    };
    callback::Entity::insert(row.clone().into_active_model()).exec_without_returning(tx).await?;
    let mut event = NewEvent::of(row.ticket, REQUESTED, actor.clone());
    event.message = row.message;
    event.data = json!({ "callback": row.id, "due_at": due });
    event::record(tx, vec![event], now).await?;
    Ok(row)
}

/// Who asks twice waits once: a new time or a note is taken over, nothing is lost of the old one.
async fn asked_again(
    tx: &DatabaseTransaction,
    known: &callback::Model,
    (wish, due): (&Wish<'_>, Timestamp),
    policy: &CallbackPolicy,
    (actor, now): (&Actor, Timestamp),
) -> Result<callback::Model, StoreError> {
    let mut change = known.clone().into_active_model();
    let mut told = serde_json::Map::new();
    if wish.at.is_some() && known.status == CallbackStatus::Waiting.as_str() {
        change.due_at = Set(millis(due));
        change.due_told = Set(false);
        change.remind_id = Set(MessageId::new().uuid());
        change.remind_at = Set(policy.reminder(due, now).map(millis));
        change.confirm_id = Set(MessageId::new().uuid());
        change.confirm_at = Set(policy.confirm.then_some(millis(now)));
        told.insert("due_at".to_owned(), json!(due));
    }
    if !wish.when.is_empty() {
        change.wanted = Set(wish.when.to_owned());
    }
    if !wish.note.is_empty() && !known.note.contains(wish.note) {
        let note = [known.note.as_str(), wish.note].join("\n");
        change.note = Set(note.trim_start().to_owned());
    }
    if let Some(zone) = wish.zone {
        change.time_zone = Set(Some(zone.name().to_owned()));
    }
    told.insert("asked_again".to_owned(), json!(true));
    save(tx, known, change, told.into(), (actor.clone(), now)).await
}

pub(super) async fn ticket_of(
    tx: &DatabaseTransaction,
    new: &NewCallback,
) -> Result<ticket::Model, StoreError> {
    let living = ticket::Entity::find()
        .filter(ticket::Column::DeletedAt.is_null())
        .filter(ticket::Column::MergedInto.is_null());
    let (field, found) = match (new.ticket, new.contact) {
        (Some(id), _) => ("ticket", living.filter(ticket::Column::Id.eq(id.uuid()))),
        (None, Some(contact)) => (
            "contact",
            living
                .filter(ticket::Column::Contact.eq(contact.uuid()))
                .order_by_desc(ticket::Column::Id),
        ),
        (None, None) => {
            let why = "one of `ticket` and `contact` is needed".to_owned();
            return Err(StoreError::Unknown { field: "ticket", why });
        }
    };
    let row = found.limit(1).one(tx).await?.ok_or_else(|| {
        let why = "no ticket of theirs could be found".to_owned();
        StoreError::Unknown { field, why }
    })?;
    if let Some(contact) = new.contact.filter(|contact| contact.uuid() != row.contact) {
        let why = format!("the ticket is not one of contact {contact}");
        return Err(StoreError::Unknown { field: "contact", why });
    }
    Ok(row)
}

pub(super) async fn own_number(
    tx: &DatabaseTransaction,
    contact: Uuid,
) -> Result<String, StoreError> {
    let known = identity::Entity::find()
        .filter(identity::Column::Contact.eq(contact))
        .filter(identity::Column::Scheme.eq(Scheme::Tel.as_str()))
        .order_by_desc(identity::Column::Id)
        .limit(1)
        .one(tx)
        .await?;
    known.map(|row| row.value).ok_or_else(|| StoreError::Unknown {
        field: "phone",
        why: "the contact has no telephone number: `phone` is needed".to_owned(),
    })
}
