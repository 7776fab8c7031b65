//! What people do with the outbox: look, hold, release, repeat, cancel.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::super::entity::delivery;
use super::super::event;
use super::super::{Store, StoreError, callback, millis, moment, proof};
use super::lane::updated;
use crate::model::{
    Actor, ChannelName, DeliveryId, DeliveryStatus, MessageId, TicketId, Timestamp,
};

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// Only these states; empty: all that need somebody's eyes or time (not sent, delivered, read).
    pub status: Vec<DeliveryStatus>,
    /// Only this channel.
    pub channel: Option<ChannelName>,
    /// Only this ticket.
    pub ticket: Option<TicketId>,
    /// Only this message.
    pub message: Option<MessageId>,
    /// Rows after this number.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u64,
}

/// A row of the outbox, as people see it.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// Its id.
    pub id: DeliveryId,
    /// Its place in the order of queueing.
    pub seq: i64,
    /// Through which channel.
    pub channel: ChannelName,
    /// Of which ticket; none if it announces an event.
    pub ticket: Option<TicketId>,
    /// Of which message; none if it announces an event.
    pub message: Option<MessageId>,
    /// The number of the event that it announces (outgoing webhooks).
    pub event: Option<i64>,
    /// Which part of the message, from 0.
    pub part: i32,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts begun.
    pub attempts: i32,
    /// When it is tried next, while it is queued.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last.
    pub error: Option<String>,
    /// The service's name for it.
    pub external_id: Option<String>,
    /// Whom to.
    pub to: String,
    /// Written by a program.
    pub automated: bool,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What somebody wants with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Hold,
    Release,
    Retry,
    Cancel,
}

impl Wish {
    /// From which states, and to which one.
    const fn step(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Hold => (&["queued"], "held"),
            Self::Release => (&["held"], "queued"),
            Self::Retry => (&["failed", "bounced", "unconfirmed", "cancelled", "queued"], "queued"),
            Self::Cancel => (&["queued", "held", "unconfirmed", "failed"], "cancelled"),
        }
    }
}

impl Store {
    /// Rows of the outbox in the order of queueing.
    pub async fn outbox(&self, filter: &OutboxFilter) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = delivery::Entity::find();
        if filter.status.is_empty() {
            let done = [DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Read];
            if filter.message.is_none() && filter.ticket.is_none() {
                let done = done.map(DeliveryStatus::as_str);
                rows = rows.filter(delivery::Column::State.is_not_in(done));
            }
        } else {
            let wanted = filter.status.iter().map(|status| status.as_str());
            rows = rows.filter(delivery::Column::State.is_in(wanted));
        }
        if let Some(channel) = &filter.channel {
            rows = rows.filter(delivery::Column::Channel.eq(channel.as_str()));
        }
        if let Some(ticket) = filter.ticket {
            rows = rows.filter(delivery::Column::Ticket.eq(ticket.uuid()));
        }
        if let Some(message) = filter.message {
            rows = rows.filter(delivery::Column::Message.eq(message.uuid()));
        }
        if let Some(after) = filter.after {
            rows = rows.filter(delivery::Column::Seq.gt(after));
        }
        let rows = rows.order_by_asc(delivery::Column::Seq).limit(filter.limit);
        rows.all(self.reader()).await?.into_iter().map(shown).collect()
    }

    /// One row.
    pub async fn delivery_row(&self, id: DeliveryId) -> Result<OutboxRow, StoreError> {
        let row = delivery::Entity::find_by_id(id.uuid()).one(self.reader()).await?;
        shown(row.ok_or(StoreError::NotFound("delivery"))?)
    }

    /// Deliveries of these messages, for showing where each stands.
    pub async fn deliveries_of(
        &self,
        messages: &[uuid::Uuid],
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = delivery::Entity::find()
            .filter(delivery::Column::Message.is_in(messages.iter().copied()))
            .order_by_asc(delivery::Column::Seq)
            .all(self.reader())
            .await?;
        rows.into_iter().map(shown).collect()
    }

    /// Keeps a queued delivery from going out until it is released.
    pub async fn hold_delivery(
        &self,
        id: DeliveryId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<OutboxRow, StoreError> {
        self.wish(id, Wish::Hold, actor, now).await
    }

    /// Lets a held delivery go.
    pub async fn release_delivery(
        &self,
        id: DeliveryId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<OutboxRow, StoreError> {
        self.wish(id, Wish::Release, actor, now).await
    }

    /// Tries a delivery again, now. For an unconfirmed one this may be the customer's second copy: that is
    /// what the person who asks has decided.
    pub async fn retry_delivery(
        &self,
        id: DeliveryId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<OutboxRow, StoreError> {
        self.wish(id, Wish::Retry, actor, now).await
    }

    /// Gives a delivery up.
    pub async fn cancel_delivery(
        &self,
        id: DeliveryId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<OutboxRow, StoreError> {
        self.wish(id, Wish::Cancel, actor, now).await
    }

    async fn wish(
        &self,
        id: DeliveryId,
        wish: Wish,
        actor: Actor,
        now: Timestamp,
    ) -> Result<OutboxRow, StoreError> {
        self.write(move |tx| {
            let actor = actor.clone();
            Box::pin(async move { grant(tx, id, wish, actor, now).await })
        })
        .await
    }

    /// Tries again, in order, whatever failed on a channel (or on all). Returns how many.
    pub async fn retry_failed(
        &self,
        channel: Option<ChannelName>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.write(move |tx| {
            let (channel, actor) = (channel.clone(), actor.clone());
            Box::pin(async move {
                let mut failed =
                    delivery::Entity::find().filter(delivery::Column::State.eq("failed"));
                if let Some(channel) = channel {
                    failed = failed.filter(delivery::Column::Channel.eq(channel.as_str()));
                }
                let failed = failed.order_by_asc(delivery::Column::Seq).all(tx).await?;
                for row in &failed {
                    grant(tx, row.id.into(), Wish::Retry, actor.clone(), now).await?;
                }
                Ok(failed.len())
            })
        })
        .await
    }
}

async fn grant(
    tx: &DatabaseTransaction,
    id: DeliveryId,
    wish: Wish,
    actor: Actor,
    now: Timestamp,
) -> Result<OutboxRow, StoreError> {
    let row = delivery::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
    let row = row.ok_or(StoreError::NotFound("delivery"))?;
    let (from, to) = wish.step();
    if !from.contains(&row.state.as_str()) {
        return Err(StoreError::Refused(format!(
            "the delivery is {}: it cannot be {}",
            row.state,
            match wish {
                Wish::Hold => "held",
                Wish::Release => "released",
                Wish::Retry => "tried again",
                Wish::Cancel => "cancelled",
            }
        )));
    }
    if wish == Wish::Retry && row.outbound == super::ERASED {
        let text = "what the delivery said was erased: there is nothing to send".to_owned();
        return Err(StoreError::Refused(text));
    }
    if wish == Wish::Retry && is_sealed(&row) && proof::is_gone(tx, row.id).await? {
        let text = "the code in it is no longer good: have another one sent".to_owned();
        return Err(StoreError::Refused(text));
    }
    let mut row = row.into_active_model();
    row.state = Set(to.to_owned());
    row.updated_at = Set(millis(now));
    match wish {
        Wish::Retry => {
            row.not_before = Set(Some(millis(now)));
            // The policy's time to give up counts anew.
            row.tried_since = Set(None);
        }
        Wish::Cancel => row.error = Set(Some(format!("cancelled by {}", actor.name))),
        Wish::Release => row.tried_since = Set(None),
        Wish::Hold => {}
    }
    let row = delivery::Entity::update(row).exec(tx).await?;
    if wish == Wish::Cancel {
        callback::not_called(tx, id, "the call was cancelled", now).await?;
    }
    let mut event = updated(&row);
    event.actor = actor;
    event::record(tx, vec![event], now).await?;
    shown(row)
}

fn is_sealed(row: &delivery::Model) -> bool {
    serde_json::from_str::<super::StoredOutbound>(&row.outbound).is_ok_and(|said| said.sealed)
}

fn shown(row: delivery::Model) -> Result<OutboxRow, StoreError> {
    let status: DeliveryStatus =
        row.state.parse().map_err(|error| StoreError::Database(Box::new(error)))?;
    let queued = status == DeliveryStatus::Queued;
    Ok(OutboxRow {
        id: row.id.into(),
        seq: row.seq,
        channel: row.channel.parse().map_err(|error| StoreError::Database(Box::new(error)))?,
        ticket: row.event.is_none().then(|| row.ticket.into()),
        message: row.event.is_none().then(|| row.message.into()),
        event: row.event,
        part: row.part,
        status,
        attempts: row.attempt,
        next_attempt_at: row.not_before.filter(|_| queued).map(moment),
        error: row.error,
        external_id: row.remote_id,
        to: row.to_value,
        automated: row.automated,
        queued_at: moment(row.queued_at),
        updated_at: moment(row.updated_at),
    })
}
