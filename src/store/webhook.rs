//! From the feed of events to the rows of the outbox, one endpoint each.
//!
//! The cursor says which events an endpoint has been through; it is moved in the transaction that queues
//! their rows, under the lease. The feed itself is the backlog: only so many rows are queued ahead, so an
//! endpoint that is away for a week fills no table.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Statement, sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::entity::{cursor, delivery, event};
use super::event::take_numbers;
use super::outbox::{NewDelivery, StoredOutbound, delivery_row};
use super::{Fence, Store, StoreError, lease, millis, moment};
use crate::desk::Wanted;
use crate::model::{Address, ChannelName, DeliveryId, EventId, Party, RemoteId, Scheme, Timestamp};

/// Rows of one endpoint that may wait in the outbox.
const WAITING_MAX: u64 = 500;
/// Events that are looked at in one transaction.
const EVENTS_MAX: u64 = 200;
/// How long a row is kept after it went out or was cancelled.
const DONE_FOR: chrono::Duration = chrono::Duration::days(7);
/// The same of a notification of somebody who works here: so long it can be answered (docs/NOTIFICATIONS.md).
const ANSWERED_FOR: chrono::Duration = chrono::Duration::days(90);

/// The states are written out, so that the index of rows that wait serves it, however many have gone before.
const WAITING: &str = "SELECT count(*) AS count FROM delivery
    WHERE channel = $1 AND ticket = $2 AND state IN ('queued', 'sending', 'held')";

/// What one step queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedEvents {
    /// Rows that are in the outbox now.
    pub rows: usize,
    /// Events that were looked at; fewer than wanted ones were there.
    pub seen: usize,
}

impl Store {
    /// Lets an endpoint begin with what happens from now on, unless it has begun before.
    pub async fn begin_webhook(
        &self,
        channel: &ChannelName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let channel = channel.clone();
        self.write(move |tx| {
            let channel = channel.clone();
            Box::pin(async move {
                let last = last_event(tx).await?;
                let row = cursor::Model {
                    channel: channel.as_str().to_owned(),
                    value: last.to_string(),
                    moved_at: millis(now),
                };
                let once = OnConflict::column(cursor::Column::Channel).do_nothing().to_owned();
                cursor::Entity::insert(row.into_active_model())
                    .on_conflict(once)
                    .exec_without_returning(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Are there events that the endpoint has not been through, and room for their rows? Writes nothing.
    pub async fn webhook_has_news(&self, channel: &ChannelName) -> Result<bool, StoreError> {
        let db = self.reader();
        let Some(at) = position(db, channel).await? else { return Ok(false) };
        Ok(last_event(db).await? > at && waiting(db, channel).await? < WAITING_MAX)
    }

    /// Queues the next events that the endpoint wants, and moves its cursor past those that it does not.
    pub async fn queue_events(
        &self,
        fence: &Fence,
        wanted: Arc<Wanted>,
        now: Timestamp,
    ) -> Result<QueuedEvents, StoreError> {
        let fence = fence.clone();
        self.write(move |tx| {
            let (fence, wanted) = (fence.clone(), wanted.clone());
            Box::pin(async move {
                lease::check(tx, &fence).await?;
                queue(tx, &fence.channel, &wanted, now).await
            })
        })
        .await
    }

    /// Forgets rows of events that went out, or were cancelled, a week ago; those that people can answer, after
    /// three months. Returns how many.
    pub async fn forget_old_webhooks(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let done =
                    |before: chrono::Duration| delivery::Column::UpdatedAt.lt(millis(now - before));
                let posted = Condition::all()
                    .add(delivery::Column::Ticket.eq(Uuid::nil()))
                    .add(done(DONE_FOR));
                let gone = delivery::Entity::delete_many()
                    .filter(delivery::Column::Event.is_not_null())
                    .filter(delivery::Column::State.is_in(["sent", "cancelled"]))
                    .filter(Condition::any().add(posted).add(done(ANSWERED_FOR)))
                    .exec(tx)
                    .await?;
                Ok(gone.rows_affected)
            })
        })
        .await
    }
}

async fn queue(
    tx: &DatabaseTransaction,
    channel: &ChannelName,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<QueuedEvents, StoreError> {
    let none = QueuedEvents { rows: 0, seen: 0 };
    let Some(at) = position(tx, channel).await? else { return Ok(none) };
    let room = WAITING_MAX.saturating_sub(waiting(tx, channel).await?);
    let events = event::Entity::find()
        .filter(event::Column::Seq.gt(at))
        .order_by_asc(event::Column::Seq)
        .limit(room.min(EVENTS_MAX))
        .all(tx)
        .await?;
    let Some(last) = events.last().map(|event| event.seq) else { return Ok(none) };
    let seen = events.len();
    let mut chosen = Vec::with_capacity(seen);
    for event in events {
        let data: serde_json::Value = serde_json::from_str(&event.data).map_err(database)?;
        if wanted.wants(&event.kind, &data) {
            chosen.push((event, data));
        }
    }
    let rows = chosen.len();
    if rows > 0 {
        let numbers = take_numbers(tx, "delivery", rows).await?;
        let rows = numbers
            .zip(chosen)
            .map(|(seq, (event, data))| webhook_row(seq, channel, &event, &data, now));
        for row in rows {
            // A rule of `[[notify]]` may have told the endpoint of it before.
            delivery::Entity::insert(row.into_active_model())
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(tx)
                .await?;
        }
    }
    let moved = cursor::ActiveModel {
        channel: Set(channel.as_str().to_owned()),
        value: Set(last.to_string()),
        moved_at: Set(millis(now)),
    };
    cursor::Entity::update(moved).exec(tx).await?;
    Ok(QueuedEvents { rows, seen })
}

/// The row by which an event is posted to an endpoint.
pub(super) fn webhook_row(
    seq: i64,
    channel: &ChannelName,
    event: &event::Model,
    data: &serde_json::Value,
    now: Timestamp,
) -> delivery::Model {
    let endpoint = Address { scheme: Scheme::Api, scope: None, value: channel.as_str().to_owned() };
    let outbound = StoredOutbound {
        ticket_number: 0,
        to: Party { address: endpoint, name: None },
        cc: Vec::new(),
        thread: None,
        in_reply_to: Some(RemoteId(EventId::from(event.id).to_string())),
        references: Vec::new(),
        subject: Some(event.kind.clone()),
        text: payload(event, data),
        html: None,
        attachments: Vec::new(),
        author: None,
        automated: true,
        customer_wrote_at: None,
        template: None,
        private: false,
        choices: Vec::new(),
        language: None,
        bridge: None,
        sealed: false,
        signature: None,
    };
    let mut row = delivery_row(NewDelivery {
        id: DeliveryId::new().uuid(),
        seq,
        channel: channel.as_str().to_owned(),
        realm: channel.as_str().to_owned(),
        ticket: Uuid::nil(),
        // What it carries is the event: rows of one endpoint are no parts of one message.
        message: event.id,
        part: 0,
        outbound,
        not_before: now,
        held: false,
        unless_answered: false,
        now,
    });
    row.event = Some(event.seq);
    row
}

/// What is posted: the envelope of Standard Webhooks, with ids to ask our API by. Written once, so that
/// every attempt sends the same bytes.
fn payload(event: &event::Model, data: &serde_json::Value) -> String {
    let mut detail = data.clone();
    if let Some(detail) = detail.as_object_mut() {
        // An address is nobody's business who was not told to look the message up.
        detail.remove("recipient");
    }
    json!({
        "type": event.kind,
        "timestamp": moment(event.at).to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "id": event.id,
        "sequence": event.seq,
        "data": {
            "ticket_id": event.ticket,
            "ticket_sequence": event.ticket_seq,
            "message_id": event.message,
            "channel": event.channel,
            "actor": { "kind": event.actor_kind, "id": event.actor_id },
            "detail": detail,
        },
    })
    .to_string()
}

async fn position<C: ConnectionTrait>(
    db: &C,
    channel: &ChannelName,
) -> Result<Option<i64>, StoreError> {
    let row = cursor::Entity::find_by_id(channel.as_str()).one(db).await?;
    row.map(|row| row.value.parse().map_err(database)).transpose()
}

pub(super) async fn last_event<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let last: Option<i64> = event::Entity::find()
        .select_only()
        .column(event::Column::Seq)
        .order_by_desc(event::Column::Seq)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    Ok(last.unwrap_or(0))
}

async fn waiting<C: ConnectionTrait>(db: &C, channel: &ChannelName) -> Result<u64, StoreError> {
    let values = [channel.as_str().into(), Uuid::nil().into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), WAITING, values);
    let row = db.query_one_raw(statement).await?;
    let count = row.map(|row| row.try_get::<i64>("", "count")).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
