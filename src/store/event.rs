//! The audit trail, which is also the feed of everything that happens.
//!
//! `seq` is handed out in commit order: whoever takes numbers holds the counter's row until the commit, so
//! a reader that has seen n never misses a smaller one that comes later.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, ExprTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use uuid::Uuid;

use super::entity::event;
use super::{Store, StoreError, millis, moment};
use crate::model::{Actor, ActorKind, EventId, Timestamp};

/// Something that happened, to be recorded.
pub(super) struct NewEvent {
    /// `ticket.created`, `message.created`, `delivery.updated`…; see `docs/ARCHITECTURE.md`.
    pub(super) kind: &'static str,
    pub(super) ticket: Option<Uuid>,
    /// Its place in the ticket's own trail, where the caller counts itself; else it is taken here.
    pub(super) ticket_seq: Option<i64>,
    pub(super) message: Option<Uuid>,
    pub(super) channel: Option<String>,
    pub(super) actor: Actor,
    pub(super) data: serde_json::Value,
}

impl NewEvent {
    /// An event of a ticket.
    pub(super) fn of(ticket: Uuid, kind: &'static str, actor: Actor) -> Self {
        Self {
            kind,
            ticket: Some(ticket),
            ticket_seq: None,
            message: None,
            channel: None,
            actor,
            data: serde_json::Value::Null,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Commit order; never reused, gaps are possible.
    pub seq: i64,
    /// Its id.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: String,
    /// About which ticket.
    pub ticket: Option<Uuid>,
    /// Its place in that ticket's trail: 1, 2, 3 … without gaps.
    pub ticket_seq: Option<i64>,
    /// About which message.
    pub message: Option<Uuid>,
    /// About which channel.
    pub channel: Option<String>,
    /// Who did it.
    pub actor: Actor,
    /// The particulars, by kind.
    pub data: serde_json::Value,
}

/// Takes `count` numbers of a counter, in commit order.
pub(super) async fn take_numbers(
    tx: &DatabaseTransaction,
    counter: &str,
    count: usize,
) -> Result<RangeInclusive<i64>, StoreError> {
    let count = i64::try_from(count).map_err(|error| StoreError::Database(error.into()))?;
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE counter SET value = value + $1 WHERE name = $2 RETURNING value",
        [count.into(), counter.into()],
    );
    let row = tx.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| StoreError::Database(format!("no counter {counter}").into()))?;
    let last: i64 = row.try_get("", "value")?;
    Ok(last - count + 1..=last)
}

/// Writes events in the order given.
pub(super) async fn record(
    tx: &DatabaseTransaction,
    mut events: Vec<NewEvent>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    number_within_tickets(tx, &mut events).await?;
    let numbers = take_numbers(tx, "feed", events.len()).await?;
    let rows: Vec<_> = numbers.zip(events).map(|(seq, event)| row(seq, event, now)).collect();
    for part in rows.chunks(500) {
        let part = part.iter().map(|row| row.clone().into_active_model());
        event::Entity::insert_many(part).exec_without_returning(tx).await?;
    }
    Ok(())
}

async fn number_within_tickets(
    tx: &DatabaseTransaction,
    events: &mut [NewEvent],
) -> Result<(), StoreError> {
    let mut next: HashMap<Uuid, i64> = HashMap::new();
    for event in events.iter().filter(|event| event.ticket_seq.is_none()) {
        if let Some(ticket) = event.ticket {
            *next.entry(ticket).or_default() += 1;
        }
    }
    for (ticket, count) in &mut next {
        let statement = Statement::from_sql_and_values(
            tx.get_database_backend(),
            "UPDATE ticket SET event_count = event_count + $1 WHERE id = $2 RETURNING event_count",
            [(*count).into(), (*ticket).into()],
        );
        let last = match tx.query_one_raw(statement).await? {
            Some(row) => row.try_get::<i64>("", "event_count")?,
            None => return Err(StoreError::NotFound("ticket")),
        };
        *count = last - *count + 1;
    }
    for event in events.iter_mut().filter(|event| event.ticket_seq.is_none()) {
        if let Some(number) = event.ticket.and_then(|ticket| next.get_mut(&ticket)) {
            event.ticket_seq = Some(*number);
            *number += 1;
        }
    }
    Ok(())
}

fn row(seq: i64, event: NewEvent, now: Timestamp) -> event::Model {
    event::Model {
        seq,
        id: EventId::new().uuid(),
        at: millis(now),
        kind: event.kind.to_owned(),
        ticket: event.ticket,
        ticket_seq: event.ticket_seq,
        message: event.message,
        channel: event.channel,
        actor_kind: event.actor.kind.as_str().to_owned(),
        actor_id: event.actor.id,
        actor_name: event.actor.name,
        data: event.data.to_string(),
    }
}

impl Store {
    /// What happened after `seq`, oldest first.
    pub async fn events_after(
        &self,
        seq: i64,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = event::Entity::find()
            .filter(event::Column::Seq.gt(seq))
            .order_by_asc(event::Column::Seq)
            .limit(limit)
            .all(self.reader())
            .await?;
        rows.into_iter().map(recorded).collect()
    }

    /// The number of the last event, 0 when nothing happened yet.
    pub async fn last_event(&self) -> Result<i64, StoreError> {
        let last: Option<i64> = event::Entity::find()
            .select_only()
            .column(event::Column::Seq)
            .order_by_desc(event::Column::Seq)
            .limit(1)
            .into_tuple()
            .one(self.reader())
            .await?;
        Ok(last.unwrap_or(0))
    }

    /// What people and programs did, and what was done with people and tokens: newest first, before `seq`;
    /// with `actor`, what they did alone.
    pub async fn audit_trail(
        &self,
        actor: Option<Uuid>,
        before: i64,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let acts =
            event::Column::ActorKind.is_in([ActorKind::Agent.as_str(), ActorKind::Token.as_str()]);
        let rows = event::Entity::find().filter(event::Column::Seq.lt(before));
        let rows = match actor {
            Some(actor) => rows.filter(acts).filter(event::Column::ActorId.eq(actor)),
            None => rows.filter(
                acts.or(event::Column::Kind.starts_with("person."))
                    .or(event::Column::Kind.starts_with("token."))
                    .or(event::Column::Kind.is_in(["contact.erased", "ticket.deleted"])),
            ),
        };
        let rows = rows.order_by_desc(event::Column::Seq).limit(limit).all(self.reader()).await?;
        rows.into_iter().map(recorded).collect()
    }

    /// A ticket's audit trail after its event number `ticket_seq`, oldest first.
    pub async fn ticket_events(
        &self,
        ticket: Uuid,
        ticket_seq: i64,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = event::Entity::find()
            .filter(event::Column::Ticket.eq(ticket))
            .filter(event::Column::TicketSeq.gt(ticket_seq))
            .order_by_asc(event::Column::TicketSeq)
            .limit(limit)
            .all(self.reader())
            .await?;
        rows.into_iter().map(recorded).collect()
    }
}

fn recorded(row: event::Model) -> Result<RecordedEvent, StoreError> {
    let database = |cause: crate::model::Cause| StoreError::Database(cause);
    Ok(RecordedEvent {
        seq: row.seq,
        id: row.id.into(),
        at: moment(row.at),
        kind: row.kind,
        ticket: row.ticket,
        ticket_seq: row.ticket_seq,
        message: row.message,
        channel: row.channel,
        actor: Actor {
            kind: row.actor_kind.parse().map_err(|error| database(Box::new(error)))?,
            id: row.actor_id,
            name: row.actor_name,
        },
        data: serde_json::from_str(&row.data).map_err(|error| database(error.into()))?,
    })
}
