//! The lane's side of the outbox: what is due, an attempt begins, an attempt ends.

use bytes::Bytes;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _,
    FromQueryResult as _, QueryFilter as _, QuerySelect as _, Statement,
    sea_query::{Expr, ExprTrait as _, Func},
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{attachment, delivery, identity};
use super::super::event::{self, NewEvent};
use super::super::{
    Fence, Store, StoreError, blob, callback, channel_state, lease, millis, moment, proof, standing,
};
use super::{StoredOutbound, set_state, state_of};
use crate::desk;
use crate::desk::proof::DOTS;
use crate::model::{
    Actor, ChannelName, Delivery, DeliveryId, DeliveryState, Outbound, OutboundMedia, RemoteId,
    Resend, Secret, Standing, Timestamp,
};

/// What is due of one channel: a conversation's next delivery only, humans before machines, oldest first.
///
/// A delivery waits for every earlier one of its ticket that is under way or to be tried again, and for all
/// earlier parts of its own reply. Another reply that is held, or planned for later, holds nobody up.
const DUE: &str = "SELECT d.* FROM delivery d
    WHERE d.channel = $1 AND d.state = 'queued' AND d.not_before <= $2
    AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.ticket = d.ticket AND e.channel = d.channel
        AND e.seq < d.seq AND e.state IN ('queued', 'sending', 'held') AND (e.state = 'sending'
            OR (e.state = 'queued' AND (e.attempt > 0 OR e.not_before <= $2))
            OR e.message = d.message))
    ORDER BY d.automated, d.seq LIMIT $3";

/// A delivery that may be tried now, without the bytes of its attachments.
#[derive(Debug, Clone)]
pub struct Due {
    /// What is to be sent; `outbound.media` is still empty.
    pub delivery: Delivery,
    attachments: Vec<Uuid>,
    /// A word of it is sealed.
    sealed: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the delivery is now.
    pub state: DeliveryState,
    /// What the agent should know although it may yet work.
    pub note: Option<String>,
    /// What the attempt told of the recipient.
    pub standing: Option<Standing>,
}

impl From<DeliveryState> for Outcome {
    fn from(state: DeliveryState) -> Self {
        Self { state, note: None, standing: None }
    }
}

impl Store {
    /// What may be tried now; nothing is changed yet.
    pub async fn due_deliveries(
        &self,
        channel: &ChannelName,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Due>, StoreError> {
        let statement = Statement::from_sql_and_values(
            self.backend(),
            DUE,
            [channel.as_str().into(), millis(now).into(), i64::from(limit).into()],
        );
        let rows = self.reader().query_all_raw(statement).await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            due.push(due_row(&delivery::Model::from_query_result(&row, "")?, now)?);
        }
        Ok(due)
    }

    /// Cancels a delivery whose sealed word is gone: it ended while an attempt was under way, or was erased. `false`:
    /// it can go out.
    pub async fn drop_wordless(&self, due: &Due, now: Timestamp) -> Result<bool, StoreError> {
        let id = due.delivery.outbound.delivery.uuid();
        if !due.sealed || !proof::is_gone(self.reader(), id).await? {
            return Ok(false);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let stopped = proof::cancel(tx, vec![id], now).await?;
                event::record(tx, stopped.iter().map(updated).collect(), now).await
            })
        })
        .await?;
        Ok(true)
    }

    /// The same with its attachments, ready to be sent.
    pub async fn complete(&self, due: Due) -> Result<Delivery, StoreError> {
        let mut delivery = due.delivery;
        if due.sealed {
            let word = self.sealed_word(delivery.outbound.delivery.uuid()).await?;
            // Where it was destroyed this moment, the delivery is cancelled by now, and cannot begin.
            let word = word.as_ref().map_or(DOTS, Secret::reveal);
            delivery.outbound.text = delivery.outbound.text.replace(DOTS, word);
        }
        delivery.outbound.media = self.outbound_files(due.attachments).await?;
        Ok(delivery)
    }

    /// A file of a delivery that is on its way, by its place in it; `None`: there is no such file (any more), or nobody
    /// has to fetch it now.
    pub async fn file_under_way(
        &self,
        id: DeliveryId,
        at: usize,
    ) -> Result<Option<OutboundMedia>, StoreError> {
        let row = delivery::Entity::find_by_id(id.uuid())
            .filter(delivery::Column::State.is_in(["queued", "sending", "unconfirmed", "sent"]))
            .one(self.reader())
            .await?;
        let Some(row) = row else { return Ok(None) };
        // Of what was erased nothing can be read.
        let stored: Option<StoredOutbound> = serde_json::from_str(&row.outbound).ok();
        let Some(stored) = stored else { return Ok(None) };
        Ok(self.outbound_files(stored.attachments).await?.into_iter().nth(at))
    }

    /// When the next delivery of the channel is due, if one waits.
    pub async fn next_due(&self, channel: &ChannelName) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<Option<i64>> = delivery::Entity::find()
            .select_only()
            .column_as(delivery::Column::NotBefore.min(), "next")
            .filter(delivery::Column::Channel.eq(channel.as_str()))
            .filter(delivery::Column::State.eq("queued"))
            .into_tuple()
            .one(self.reader())
            .await?;
        Ok(next.flatten().map(moment))
    }

    /// Those of a delivery that are still there: by their places in this list they are known outside.
    async fn outbound_files(&self, ids: Vec<Uuid>) -> Result<Vec<OutboundMedia>, StoreError> {
        let mut files = Vec::with_capacity(ids.len());
        for id in ids {
            files.extend(self.outbound_media(id).await?);
        }
        Ok(files)
    }

    async fn outbound_media(&self, id: Uuid) -> Result<Option<OutboundMedia>, StoreError> {
        let row = attachment::Entity::find_by_id(id).one(self.reader()).await?;
        let Some(row) = row else { return Ok(None) };
        let bytes =
            blob::load(self.reader(), self.keys(), row.id, row.seal, row.sealed.as_deref()).await?;
        Ok(bytes.map(|bytes| OutboundMedia {
            name: row.name,
            mime: row.media_type,
            content_id: row.content_id,
            bytes: Bytes::from(bytes),
        }))
    }

    /// Notes that an attempt begins, and the name that the message will bear: before the call, not after.
    /// `false`: it is no longer queued (somebody cancelled or held it), or somebody paused the channel, on
    /// whatever node: this is the last moment at which they can.
    pub async fn begin_delivery(
        &self,
        fence: &Fence,
        id: DeliveryId,
        remote_id: Option<RemoteId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (fence, id) = (fence.clone(), id.uuid());
        self.write(move |tx| {
            let (fence, remote_id) = (fence.clone(), remote_id.clone());
            Box::pin(async move {
                lease::check(tx, &fence).await?;
                if channel_state::is_paused(tx, fence.channel.as_str()).await? {
                    return Ok(false);
                }
                let mut begun = delivery::ActiveModel {
                    state: Set("sending".to_owned()),
                    since: Set(Some(millis(now))),
                    updated_at: Set(millis(now)),
                    ..Default::default()
                };
                if let Some(remote_id) = remote_id {
                    begun.remote_id = Set(Some(remote_id.0));
                }
                let attempt = Expr::col(delivery::Column::Attempt);
                let since = Func::coalesce([
                    Expr::col(delivery::Column::TriedSince),
                    Expr::value(millis(now)),
                ]);
                let changed = delivery::Entity::update_many()
                    .set(begun)
                    .col_expr(delivery::Column::Attempt, attempt.add(1))
                    .col_expr(delivery::Column::TriedSince, since.into())
                    .filter(delivery::Column::Id.eq(id))
                    .filter(delivery::Column::State.eq("queued"))
                    .exec(tx)
                    .await?;
                Ok(changed.rows_affected == 1)
            })
        })
        .await
    }

    /// Notes how an attempt ended.
    pub async fn settle_delivery(
        &self,
        fence: &Fence,
        id: DeliveryId,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |tx| {
            let (fence, outcome) = (fence.clone(), outcome.clone());
            Box::pin(async move {
                lease::check(tx, &fence).await?;
                settle(tx, id.uuid(), &outcome.state, outcome.note, now).await?;
                if let Some(standing) = &outcome.standing {
                    stand(tx, &fence, standing, now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// On taking over a channel: what did the last holder leave half done?
    pub async fn recover_deliveries(
        &self,
        fence: &Fence,
        resend: Resend,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let fence = fence.clone();
        self.write(move |tx| {
            let fence = fence.clone();
            Box::pin(async move {
                lease::check(tx, &fence).await?;
                let half_done: Vec<Uuid> = delivery::Entity::find()
                    .select_only()
                    .column(delivery::Column::Id)
                    .filter(delivery::Column::Channel.eq(fence.channel.as_str()))
                    .filter(delivery::Column::State.eq("sending"))
                    .into_tuple()
                    .all(tx)
                    .await?;
                let count = half_done.len() as u64;
                for id in half_done {
                    settle(tx, id, &desk::after_crash(resend, now), None, now).await?;
                }
                Ok(count)
            })
        })
        .await
    }
}

fn due_row(row: &delivery::Model, now: Timestamp) -> Result<Due, StoreError> {
    let stored: StoredOutbound = serde_json::from_str(&row.outbound).map_err(database)?;
    // Somebody may have asked for another attempt: then the last one counts.
    let tried =
        [row.tried_since, row.since].into_iter().flatten().min().filter(|_| row.attempt > 0);
    let delivery = Delivery {
        outbound: Outbound {
            delivery: row.id.into(),
            ticket_number: stored.ticket_number,
            to: stored.to,
            cc: stored.cc,
            thread: stored.thread,
            in_reply_to: stored.in_reply_to,
            references: stored.references,
            subject: stored.subject,
            text: stored.text,
            signature: stored.signature,
            html: stored.html,
            media: Vec::new(),
            author: stored.author,
            automated: stored.automated,
            customer_wrote_at: stored.customer_wrote_at,
            template: stored.template,
            private: stored.private,
            choices: stored.choices,
            language: stored.language,
            bridge: stored.bridge,
            begun_at: now,
            tried_since: tried.map(moment),
        },
        channel: row.channel.parse().map_err(database)?,
        ticket: row.ticket.into(),
        message: row.message.into(),
        state: state_of(&row.state, row.error.as_deref()),
        attempt: u32::try_from(row.attempt).unwrap_or_default(),
        tried_since: row.tried_since.map_or(now, moment),
    };
    Ok(Due { delivery, attachments: stored.attachments, sealed: stored.sealed })
}

/// Writes the state, tells of it, and lets later parts of a failed reply fail with it.
async fn settle(
    tx: &DatabaseTransaction,
    id: Uuid,
    state: &DeliveryState,
    note: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = delivery::Entity::find_by_id(id).one(tx).await?;
    // A receipt may have come first: what it said is newer than what the attempt knows, but for the name.
    let settled = |row: &delivery::Model| {
        matches!(row.state.as_str(), "sent" | "delivered" | "read" | "bounced")
    };
    if let Some(row) = before.filter(settled) {
        if let (DeliveryState::Sent { remote_id }, None) = (state, &row.remote_id) {
            let named = delivery::ActiveModel {
                id: Set(id),
                remote_id: Set(Some(remote_id.0.clone())),
                ..Default::default()
            };
            delivery::Entity::update(named).exec(tx).await?;
        }
        return Ok(());
    }
    let mut row = set_state(tx, id, state, now).await?;
    if note.is_some() {
        let noted = delivery::ActiveModel { id: Set(id), error: Set(note), ..Default::default() };
        row = delivery::Entity::update(noted).exec(tx).await?;
    }
    if row.automated && settled(&row) {
        proof::forget_sent(tx, id).await?;
    }
    if let DeliveryState::Failed { cause } = state {
        callback::not_called(tx, id.into(), cause, now).await?;
    }
    if row.event.is_some() {
        // What becomes of an announcement is not announced: it would never end.
        return Ok(());
    }
    let mut events = vec![updated(&row)];
    if let DeliveryState::Failed { cause } = state {
        let rest = delivery::Entity::update_many()
            .set(delivery::ActiveModel {
                state: Set("failed".to_owned()),
                error: Set(Some(format!("an earlier part failed: {cause}"))),
                updated_at: Set(millis(now)),
                ..Default::default()
            })
            .filter(delivery::Column::Message.eq(row.message))
            .filter(delivery::Column::Part.gt(row.part))
            .filter(delivery::Column::State.is_in(["queued", "held"]))
            .exec_with_returning(tx)
            .await?;
        events.extend(rest.iter().map(updated));
    }
    event::record(tx, events, now).await
}

/// What the service told of a recipient when we wanted to write to them.
async fn stand(
    tx: &DatabaseTransaction,
    fence: &Fence,
    told: &Standing,
    now: Timestamp,
) -> Result<(), StoreError> {
    let channel = fence.channel.as_str();
    let scope = told.address.scope.as_ref().map_or("", ChannelName::as_str);
    let contact: Option<Uuid> = identity::Entity::find()
        .select_only()
        .column(identity::Column::Contact)
        .filter(identity::Column::Scheme.eq(told.address.scheme.as_str()))
        .filter(identity::Column::Scope.eq(scope))
        .filter(identity::Column::Value.eq(&told.address.value))
        .into_tuple()
        .one(tx)
        .await?;
    let about = (channel, contact, Actor::system());
    let event = standing::keep(tx, told, about, millis(now)).await?;
    event::record(tx, vec![event], now).await
}

/// The event that tells of a delivery's state.
pub(in crate::store) fn updated(row: &delivery::Model) -> NewEvent {
    let mut event = NewEvent::of(row.ticket, "delivery.updated", Actor::system());
    event.message = Some(row.message);
    if row.event.is_some() {
        (event.ticket, event.message) = (None, None);
    }
    event.channel = Some(row.channel.clone());
    event.data = json!({
        "id": row.id, "status": row.state, "attempt": row.attempt, "error": row.error,
    });
    event
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
