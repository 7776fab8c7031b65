//! Merging two tickets into one, and splitting one into two.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, Func, OnConflict, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::callback::move_callbacks;
use super::super::due::is_of_due;
use super::super::entity::{
    address_proof, callback, delivery, mention, message, participant, seen, ticket,
};
use super::super::event::{self, NewEvent, take_numbers};
use super::super::idempotency::{Answer, By};
use super::super::parting::{self, MovedTicket, Woke};
use super::super::{Store, StoreError, millis};
use super::change::{TicketPatch, add_tags, apply, tags_of};
use super::{TicketView, take, view};
use crate::model::{Actor, Priority, TicketId, TicketStatus, Timestamp};

/// Both tickets after a merge or a split.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Combined {
    /// The one that was named in the address.
    pub ticket: TicketView,
    /// The one that has the messages now.
    pub into: TicketView,
}

impl Store {
    /// Moves everything of one ticket into another one. The first stays as a sign-post.
    pub async fn merge_ticket(
        &self,
        from: TicketId,
        into: TicketId,
        by: By,
    ) -> Result<Answer<Combined>, StoreError> {
        self.write_once(by.once.clone(), by.now, move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                let from = take(tx, from.uuid(), version).await?;
                let into = take(tx, into.uuid(), None).await?;
                let (from, into) = merge(tx, from, into, &actor, now).await?;
                Ok(Combined { ticket: view(tx, from).await?, into: view(tx, into).await? })
            })
        })
        .await
    }

    /// Opens a new ticket with a message and all that came after it.
    pub async fn split_ticket(
        &self,
        from: TicketId,
        message: Uuid,
        by: By,
    ) -> Result<Answer<Combined>, StoreError> {
        let id = TicketId::new().uuid();
        self.write_once(by.once.clone(), by.now, move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                let from = take(tx, from.uuid(), version).await?;
                let (from, new) = split(tx, from, message, id, (&actor, now)).await?;
                Ok(Combined { ticket: view(tx, from).await?, into: view(tx, new).await? })
            })
        })
        .await
    }
}

async fn merge(
    tx: &DatabaseTransaction,
    from: ticket::Model,
    into: ticket::Model,
    actor: &Actor,
    now: Timestamp,
) -> Result<(ticket::Model, ticket::Model), StoreError> {
    if from.id == into.id {
        return Err(StoreError::Refused("a ticket cannot be merged into itself".to_owned()));
    }
    if into.status == "closed" {
        let text = format!("ticket {} is closed for good: nothing can be added to it", into.number);
        return Err(StoreError::Refused(text));
    }
    let known: HashSet<String> = tags_of(tx, into.id).await?.into_iter().collect();
    let tags = tags_of(tx, from.id).await?.into_iter();
    // When an answer is due is worked out anew.
    let tags = tags.filter(|tag| !known.contains(tag) && !is_of_due(tag));
    let wakes = wakes(&from, &into);
    let moved = what_moves(tx, &from, &into, (tags.collect(), wakes.as_ref())).await?;
    parting::remember(tx, from.id, &moved, now).await?;
    move_messages(tx, Which::All(from.id), into.id).await?;
    move_callbacks(tx, from.id, into.id).await?;
    copy_participants(tx, from.id, into.id).await?;
    address_proof::Entity::update_many()
        .col_expr(address_proof::Column::Ticket, Expr::value(into.id))
        .filter(address_proof::Column::Ticket.eq(from.id))
        .exec(tx)
        .await?;
    add_tags(tx, into.id, moved.tags).await?;

    let mut gone = NewEvent::of(from.id, "ticket.merged", actor.clone());
    gone.data = json!({ "into": into.id, "number": into.number });
    let mut grown = NewEvent::of(into.id, "ticket.absorbed", actor.clone());
    grown.data = json!({ "from": from.id, "number": from.number });
    let (from_id, into_id) = (from.id, into.id);
    let was = (from.number, from.version);
    let mut closed = from.clone().into_active_model();
    closed.merged_into = Set(Some(into.id));
    closed.status = Set("closed".to_owned());
    closed.solved_at = Set(from.solved_at.or(Some(millis(now))));
    closed.snoozed_until = Set(None);
    closed.message_count = Set(0);
    closed.version = Set(was.1 + 1);
    closed.updated_at = Set(millis(now));
    ticket::Entity::update(closed).exec(tx).await?;
    let mut changed = into.clone().into_active_model();
    changed.message_count = Set(into.message_count + from.message_count);
    changed.first_response_at = Set(earliest(into.first_response_at, from.first_response_at));
    changed.last_inbound_at = Set(into.last_inbound_at.max(from.last_inbound_at));
    changed.last_outbound_at = Set(into.last_outbound_at.max(from.last_outbound_at));
    changed.version = Set(into.version + 1);
    changed.updated_at = Set(millis(now));
    ticket::Entity::update(changed).exec(tx).await?;
    event::record(tx, vec![gone, grown], now).await?;
    let mut into = reload(tx, into_id).await?;
    if let Some(patch) = wakes {
        into = apply(tx, into, patch, actor.clone(), now).await?;
    }
    Ok((reload(tx, from_id).await?, into))
}

/// What changes of a ticket because another one is merged into it: whoever waited there waits here, and as urgently.
fn wakes(from: &ticket::Model, into: &ticket::Model) -> Option<TicketPatch> {
    let priority = |row: &ticket::Model| row.priority.parse::<Priority>().ok();
    let waits = from.status == "open";
    let asleep = matches!(into.status.as_str(), "pending" | "solved");
    let patch = TicketPatch {
        status: (waits && asleep).then_some(TicketStatus::Open),
        snoozed_until: (waits && into.snoozed_until.is_some()).then_some(None),
        priority: priority(from).filter(|_| waits).filter(|own| Some(*own) > priority(into)),
        ..TicketPatch::default()
    };
    let some = patch.status.is_some() || patch.snoozed_until.is_some() || patch.priority.is_some();
    some.then_some(patch)
}

/// What goes from one ticket into another, and how the first stood.
async fn what_moves(
    tx: &DatabaseTransaction,
    from: &ticket::Model,
    into: &ticket::Model,
    (tags, wakes): (Vec<String>, Option<&TicketPatch>),
) -> Result<MovedTicket, StoreError> {
    let messages = message::Entity::find()
        .select_only()
        .column(message::Column::Id)
        .filter(message::Column::Ticket.eq(from.id))
        .into_tuple();
    let callbacks = callback::Entity::find()
        .select_only()
        .column(callback::Column::Id)
        .filter(callback::Column::Ticket.eq(from.id))
        .into_tuple();
    let proofs = address_proof::Entity::find()
        .select_only()
        .column(address_proof::Column::Id)
        .filter(address_proof::Column::Ticket.eq(from.id))
        .into_tuple();
    let people = async |ticket: Uuid| -> Result<HashSet<(String, String)>, StoreError> {
        let rows = participant::Entity::find()
            .select_only()
            .columns([participant::Column::Scheme, participant::Column::Value])
            .filter(participant::Column::Ticket.eq(ticket))
            .into_tuple()
            .all(tx)
            .await?;
        Ok(rows.into_iter().collect())
    };
    let there = people(into.id).await?;
    let raised_to = wakes.and_then(|patch| patch.priority).map(|own| own.as_str().to_owned());
    let participants = people(from.id).await?.into_iter().filter(|one| !there.contains(one));
    Ok(MovedTicket {
        messages: messages.all(tx).await?,
        callbacks: callbacks.all(tx).await?,
        proofs: proofs.all(tx).await?,
        participants: participants.collect(),
        tags,
        status: from.status.clone(),
        solved_at: from.solved_at,
        snoozed_until: from.snoozed_until,
        woke: wakes.map(|_| Woke {
            status: into.status.clone(),
            snoozed_until: into.snoozed_until,
            priority: into.priority.clone(),
            raised_to: raised_to.unwrap_or_else(|| into.priority.clone()),
        }),
    })
}

async fn split(
    tx: &DatabaseTransaction,
    from: ticket::Model,
    first: Uuid,
    id: Uuid,
    (actor, now): (&Actor, Timestamp),
) -> Result<(ticket::Model, ticket::Model), StoreError> {
    let first = message::Entity::find_by_id(first).one(tx).await?;
    let first = first
        .filter(|first| first.ticket == from.id)
        .ok_or(StoreError::NotFound("message in this ticket"))?;
    let new = ticket::Model {
        id,
        number: *take_numbers(tx, "ticket", 1).await?.end(),
        subject: first.subject.clone().unwrap_or_else(|| from.subject.clone()),
        status: "open".to_owned(),
        channel: first.channel.clone(),
        contact: first.contact.unwrap_or(from.contact),
        // The conversation goes on in the old ticket: one conversation has one open ticket.
        thread: None,
        created_at: millis(now),
        updated_at: millis(now),
        first_response_at: None,
        last_inbound_at: None,
        last_outbound_at: None,
        solved_at: None,
        snoozed_until: None,
        message_count: 0,
        event_count: 0,
        version: 1,
        merged_into: None,
        linked_to: Some(from.id),
        ..from.clone()
    };
    ticket::Entity::insert(new.clone().into_active_model()).exec_without_returning(tx).await?;
    let mut tags = tags_of(tx, from.id).await?;
    tags.retain(|tag| !is_of_due(tag));
    add_tags(tx, id, tags).await?;
    move_messages(tx, Which::From(from.id, first.seq), id).await?;
    copy_participants(tx, from.id, id).await?;
    for (ticket, version) in [(from.id, from.version + 1), (id, 1)] {
        recount(tx, ticket, version, now).await?;
    }
    let mut left = NewEvent::of(from.id, "ticket.split", actor.clone());
    left.message = Some(first.id);
    left.data = json!({ "into": id, "number": new.number });
    let mut made = NewEvent::of(id, "ticket.created", actor.clone());
    made.channel = Some(new.channel.clone());
    made.data = json!({ "linked_to": from.id, "split_from": from.number });
    event::record(tx, vec![left, made], now).await?;
    Ok((reload(tx, from.id).await?, reload(tx, id).await?))
}

/// Which messages move.
#[derive(Clone, Copy)]
enum Which {
    All(Uuid),
    /// From this `seq` on.
    From(Uuid, i64),
}

impl Which {
    fn messages(self) -> SelectStatement {
        let mut ids = Query::select();
        ids.column(message::Column::Id).from(message::Entity);
        match self {
            Self::All(ticket) => ids.and_where(message::Column::Ticket.eq(ticket)),
            Self::From(ticket, seq) => ids
                .and_where(message::Column::Ticket.eq(ticket))
                .and_where(message::Column::Seq.gte(seq)),
        };
        ids
    }
}

async fn move_messages(
    tx: &DatabaseTransaction,
    which: Which,
    into: Uuid,
) -> Result<(), StoreError> {
    // The messages last: the others find theirs by them.
    delivery::Entity::update_many()
        .col_expr(delivery::Column::Ticket, Expr::value(into))
        .filter(delivery::Column::Message.in_subquery(which.messages()))
        .exec(tx)
        .await?;
    seen::Entity::update_many()
        .col_expr(seen::Column::Ticket, Expr::value(into))
        .filter(seen::Column::Message.in_subquery(which.messages()))
        .exec(tx)
        .await?;
    mention::Entity::update_many()
        .col_expr(mention::Column::Ticket, Expr::value(into))
        .filter(mention::Column::Message.in_subquery(which.messages()))
        .exec(tx)
        .await?;
    let moved = message::Entity::update_many().col_expr(message::Column::Ticket, Expr::value(into));
    let moved = match which {
        Which::All(ticket) => moved.filter(message::Column::Ticket.eq(ticket)),
        Which::From(ticket, seq) => {
            moved.filter(message::Column::Ticket.eq(ticket)).filter(message::Column::Seq.gte(seq))
        }
    };
    moved.exec(tx).await?;
    Ok(())
}

async fn copy_participants(
    tx: &DatabaseTransaction,
    from: Uuid,
    into: Uuid,
) -> Result<(), StoreError> {
    let rows =
        participant::Entity::find().filter(participant::Column::Ticket.eq(from)).all(tx).await?;
    for row in rows {
        let row = participant::Model { ticket: into, ..row };
        participant::Entity::insert(row.into_active_model())
            .on_conflict(
                OnConflict::columns([
                    participant::Column::Ticket,
                    participant::Column::Scheme,
                    participant::Column::Value,
                ])
                .do_nothing()
                .to_owned(),
            )
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Sets a ticket's counts and times to what its messages say.
pub(in crate::store) async fn recount(
    tx: &DatabaseTransaction,
    id: Uuid,
    version: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Whoever wrote may say what they like of when: it counts when it came.
    let at = Func::coalesce([
        Expr::col(message::Column::ReceivedAt),
        Expr::col(message::Column::SentAt),
    ]);
    let rows: Vec<(String, String, i64)> = message::Entity::find()
        .select_only()
        .columns([message::Column::Direction, message::Column::AuthorKind])
        .column_as(Expr::expr(at), "at")
        .filter(message::Column::Ticket.eq(id))
        .into_tuple()
        .all(tx)
        .await?;
    let times = |direction: &'static str| {
        rows.iter().filter(move |row| row.0 == direction).map(|row| row.2)
    };
    let by_people = rows.iter().filter(|row| row.0 == "out" && row.1 != "system");
    let change = ticket::ActiveModel {
        id: Set(id),
        message_count: Set(i64::try_from(rows.len()).unwrap_or(i64::MAX)),
        last_inbound_at: Set(times("in").max()),
        last_outbound_at: Set(times("out").max()),
        first_response_at: Set(by_people.map(|row| row.2).min()),
        version: Set(version),
        updated_at: Set(millis(now)),
        ..Default::default()
    };
    ticket::Entity::update(change).exec(tx).await?;
    Ok(())
}

pub(in crate::store) async fn reload(
    tx: &DatabaseTransaction,
    id: Uuid,
) -> Result<ticket::Model, StoreError> {
    let row = ticket::Entity::find_by_id(id).one(tx).await?;
    row.ok_or(StoreError::NotFound("ticket"))
}

fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
