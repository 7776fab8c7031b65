//! Files that a message only named: which are to be fetched, and what became of each.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use super::entity::{attachment, message, seal};
use super::event::{self, NewEvent};
use super::{Store, StoreError, blob, forget, millis, original};
use crate::model::{Actor, AttachmentId, ChannelName, MediaRef, Timestamp};

/// A node that took a file and died: after this time another one takes it.
const TAKEN_FOR: chrono::Duration = chrono::Duration::minutes(10);

/// A file to be fetched.
#[derive(Debug, Clone)]
pub struct DueMedia {
    /// Which attachment.
    pub id: AttachmentId,
    /// Whose `Download` knows how.
    pub channel: ChannelName,
    /// What that one goes by.
    pub source: MediaRef,
    /// Attempts begun, this one included.
    pub attempt: u32,
}

/// What becomes of a file at the service, once it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It stays.
    Stay,
    /// It is taken away.
    Forget,
}

impl Store {
    /// Is there a file to be fetched now?
    pub async fn has_due_media(&self, now: Timestamp) -> Result<bool, StoreError> {
        let one = due("pending", now).limit(1).one(self.reader()).await?;
        Ok(one.is_some())
    }

    /// Takes files that are to be fetched; nobody else takes them for the next minutes.
    pub async fn take_due_media(
        &self,
        limit: u64,
        now: Timestamp,
    ) -> Result<Vec<DueMedia>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let rows = take_due(tx, "pending", limit, (now, now + TAKEN_FOR)).await?;
                let mut taken = Vec::with_capacity(rows.len());
                for row in rows {
                    taken.extend(to_fetch(tx, row).await?);
                }
                Ok(taken)
            })
        })
        .await
    }

    /// Keeps a fetched file, sealed. `false`: its message was erased meanwhile, so there is nothing to keep. What
    /// becomes of it at the service is noted with it.
    pub async fn keep_media(
        &self,
        media: &DueMedia,
        (bytes, there): (&[u8], Afterwards),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = media.id;
        let (safety, given) = (self.safety(), bytes.to_vec());
        let work = bytes.len().saturating_mul(24);
        // What it claims to be was said by whoever named it; what it is, is seen.
        let masked = blob::beside(work, move || Ok(safety.mask_file("", &given))).await?;
        let of = (None, Some(id.uuid()));
        let original = masked.as_ref().map(|(_, found)| self.seal_original(of, bytes, found, now));
        let mut original = original.transpose()?;
        if let Some(original) = &mut original {
            original.row.untold = true;
        }
        let bytes = masked.as_ref().map_or(bytes, |(masked, _)| masked.as_slice());
        let (key, seal) = self.keys().fresh()?;
        let mut packed = blob::pack(&key, id.uuid(), bytes)?;
        let inline = packed.inline.take();
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let kept = Arc::new((seal, packed, inline, original));
        let state = self.arrived();
        let media = media.clone();
        self.write(move |tx| {
            let (kept, media) = (kept.clone(), media.clone());
            Box::pin(async move {
                let (seal, packed, inline, original) = &*kept;
                if there == Afterwards::Forget {
                    forget::note(tx, &media, now).await?;
                }
                let Some(row) = pending(tx, id).await? else { return Ok(false) };
                seal::Entity::delete_by_id(row.seal).exec(tx).await?;
                seal::Entity::insert(seal.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                blob::insert(tx, packed).await?;
                if let Some(original) = original {
                    original::insert(tx, original, row.message).await?;
                    original::flag(tx, &row).await?;
                }
                let mut changed = row.clone().into_active_model();
                changed.state = Set(state.to_owned());
                changed.attempts = Set(0);
                changed.size = Set(size);
                changed.seal = Set(seal.id);
                changed.sealed = Set(inline.clone());
                changed.retry_at = Set(None);
                attachment::Entity::update(changed).exec(tx).await?;
                tell(tx, &row, json!({ "attachment": row.id, "state": state }), now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Tries again then.
    pub async fn postpone_media(
        &self,
        id: AttachmentId,
        retry_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let Some(row) = pending(tx, id).await? else { return Ok(()) };
                let mut changed = row.into_active_model();
                changed.retry_at = Set(Some(millis(retry_at)));
                attachment::Entity::update(changed).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// It will not come any more; people are told why.
    pub async fn give_up_media(
        &self,
        id: AttachmentId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let reason = reason.to_owned();
        self.write(move |tx| {
            let reason = reason.clone();
            Box::pin(async move {
                let Some(row) = pending(tx, id).await? else { return Ok(()) };
                let mut changed = row.clone().into_active_model();
                changed.state = Set("failed".to_owned());
                changed.retry_at = Set(None);
                attachment::Entity::update(changed).exec(tx).await?;
                let data = json!({ "attachment": row.id, "state": "failed", "error": reason });
                tell(tx, &row, data, now).await
            })
        })
        .await
    }
}

/// Files that wait in this state for something to be done now.
pub(super) fn due(state: &str, now: Timestamp) -> sea_orm::Select<attachment::Entity> {
    attachment::Entity::find().filter(attachment::Column::State.eq(state)).filter(
        Condition::any()
            .add(attachment::Column::RetryAt.is_null())
            .add(attachment::Column::RetryAt.lte(millis(now))),
    )
}

async fn pending(
    tx: &DatabaseTransaction,
    id: AttachmentId,
) -> Result<Option<attachment::Model>, StoreError> {
    let row = attachment::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
    Ok(row.filter(|row| row.state == "pending"))
}

/// Takes the oldest files that wait in this state; until `until` nobody else takes them. The attempt that
/// begins is counted.
pub(super) async fn take_due(
    tx: &DatabaseTransaction,
    state: &str,
    limit: u64,
    (now, until): (Timestamp, Timestamp),
) -> Result<Vec<attachment::Model>, StoreError> {
    let mut rows = due(state, now)
        .order_by_asc(attachment::Column::CreatedAt)
        .limit(limit)
        .lock_exclusive()
        .all(tx)
        .await?;
    for row in &mut rows {
        row.attempts += 1;
        row.retry_at = Some(millis(until));
        let taken = attachment::ActiveModel {
            id: Set(row.id),
            attempts: Set(row.attempts),
            retry_at: Set(row.retry_at),
            ..Default::default()
        };
        attachment::Entity::update(taken).exec(tx).await?;
    }
    Ok(rows)
}

/// `None`: its message is gone.
async fn to_fetch(
    tx: &DatabaseTransaction,
    row: attachment::Model,
) -> Result<Option<DueMedia>, StoreError> {
    let channel = channel_of(tx, row.message).await?;
    let Some((channel, source)) = channel.zip(row.source) else { return Ok(None) };
    let channel = channel.parse().map_err(|error| StoreError::Database(Box::new(error)))?;
    Ok(Some(DueMedia {
        id: row.id.into(),
        channel,
        source: MediaRef(source),
        attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
    }))
}

async fn channel_of(
    tx: &DatabaseTransaction,
    message: Option<Uuid>,
) -> Result<Option<String>, StoreError> {
    let Some(message) = message else { return Ok(None) };
    let channel: Option<String> = message::Entity::find_by_id(message)
        .select_only()
        .column(message::Column::Channel)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(channel)
}

/// The event that tells what became of a file.
pub(super) async fn tell(
    tx: &DatabaseTransaction,
    row: &attachment::Model,
    data: serde_json::Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(id) = row.message else { return Ok(()) };
    let Some(of) = message::Entity::find_by_id(id).one(tx).await? else { return Ok(()) };
    let mut event = NewEvent::of(of.ticket, "attachment.updated", Actor::system());
    event.message = Some(id);
    event.channel = Some(of.channel);
    event.data = data;
    event::record(tx, vec![event], now).await
}
