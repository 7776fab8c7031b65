//! Files that are to be taken away at the service they came from: noted with the transaction that keeps them, so that
//! a crash in between leaves none behind.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::OnConflict,
};

use super::entity::forget;
use super::{DueMedia, Store, StoreError, millis};
use crate::model::{AttachmentId, MediaRef, Timestamp};

/// A node that took one and died: after this time another one takes it.
const TAKEN_FOR: chrono::Duration = chrono::Duration::minutes(2);

impl Store {
    /// Takes files that are to be taken away now; nobody else takes them for the next minutes.
    pub async fn take_due_forgets(
        &self,
        limit: u64,
        now: Timestamp,
    ) -> Result<Vec<DueMedia>, StoreError> {
        let due = forget::Entity::find().filter(forget::Column::RetryAt.lte(millis(now)));
        // Almost always there is nothing, and a look costs no commit.
        if due.clone().one(self.reader()).await?.is_none() {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            let due = due.clone();
            Box::pin(async move {
                let rows = due.order_by_asc(forget::Column::RetryAt).limit(limit);
                let mut taken = Vec::new();
                for row in rows.lock_exclusive().all(tx).await? {
                    let attempts = row.attempts + 1;
                    let channel = row.channel.parse();
                    taken.push(DueMedia {
                        id: row.id.into(),
                        channel: channel.map_err(|error| StoreError::Database(Box::new(error)))?,
                        source: MediaRef(row.source.clone()),
                        attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
                    });
                    let mut change = row.into_active_model();
                    change.attempts = Set(attempts);
                    change.retry_at = Set(millis(now + TAKEN_FOR));
                    forget::Entity::update(change).exec(tx).await?;
                }
                Ok(taken)
            })
        })
        .await
    }

    /// It is gone there, or it will not be.
    pub async fn end_forget(&self, id: AttachmentId) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                forget::Entity::delete_by_id(id.uuid()).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Tries again then.
    pub async fn postpone_forget(
        &self,
        id: AttachmentId,
        retry_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                forget::Entity::update_many()
                    .set(forget::ActiveModel {
                        retry_at: Set(millis(retry_at)),
                        ..Default::default()
                    })
                    .filter(forget::Column::Id.eq(id.uuid()))
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

/// It is kept here from now on.
pub(super) async fn note(
    tx: &DatabaseTransaction,
    media: &DueMedia,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = forget::Model {
        id: media.id.uuid(),
        channel: media.channel.as_str().to_owned(),
        source: media.source.0.clone(),
        attempts: 0,
        retry_at: millis(now),
    };
    forget::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(forget::Column::Id).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
