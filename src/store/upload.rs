//! Files that an agent brought: attachments that belong to no message yet.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{attachment, message, seal};
use super::idempotency::{Answer, Once};
use super::{Store, StoreError, blob, millis, moment, original};
use crate::model::{Timestamp, UploadId};

/// How long a file may wait for its message.
const UNUSED_MAX: chrono::Duration = chrono::Duration::hours(48);

/// A file to be kept.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// A name to show, never a path.
    pub name: String,
    /// Media type as claimed.
    pub media_type: String,
    /// The file.
    pub bytes: bytes::Bytes,
}

/// A file that is kept, ready to be named in `attachments` of a reply or note.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Upload {
    /// Its id; the attachment will have the same.
    pub id: Uuid,
    /// The name to show.
    pub name: String,
    /// Media type as claimed.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// When it came.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Keeps a file until a message uses it, sealed.
    pub async fn keep_upload(
        &self,
        new: NewUpload,
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<Answer<Upload>, StoreError> {
        let id = UploadId::new().uuid();
        let mut new = new;
        let original = self.mask_upload(id, &mut new, now).await?;
        let (key, seal) = self.keys().fresh()?;
        let mut packed = blob::pack(&key, id, &new.bytes)?;
        let row = attachment::Model {
            id,
            message: None,
            position: 0,
            name: new.name,
            media_type: new.media_type,
            size: i64::try_from(new.bytes.len()).unwrap_or(i64::MAX),
            inline: false,
            content_id: None,
            source: None,
            state: "stored".to_owned(),
            attempts: 0,
            retry_at: None,
            seal: seal.id,
            sealed: packed.inline.take(),
            created_at: millis(now),
        };
        let kept = Arc::new((row, seal, packed, original));
        self.write_once(once, now, move |tx| {
            let kept = kept.clone();
            Box::pin(async move {
                let (row, seal, packed, original) = &*kept;
                seal::Entity::insert(seal.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                attachment::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                blob::insert(tx, packed).await?;
                if let Some(original) = original {
                    original::insert(tx, original, None).await?;
                }
                Ok(shown(row))
            })
        })
        .await
    }

    /// Masks a file of text. Returns what it was.
    async fn mask_upload(
        &self,
        id: Uuid,
        new: &mut NewUpload,
        now: Timestamp,
    ) -> Result<Option<original::Sealed>, StoreError> {
        let (safety, bytes, media_type) =
            (self.safety(), new.bytes.clone(), new.media_type.clone());
        safety.mask(&mut new.name);
        let work = bytes.len().saturating_mul(24);
        let masked = blob::beside(work, move || Ok(safety.mask_file(&media_type, &bytes))).await?;
        let Some((masked, found)) = masked else { return Ok(None) };
        let sealed = self.seal_original((None, Some(id)), &new.bytes, &found, now)?;
        new.bytes = masked.into();
        Ok(Some(sealed))
    }

    /// Sizes of uploads that no message has used, in the order given.
    pub async fn unused_uploads(&self, ids: &[Uuid]) -> Result<Vec<u64>, StoreError> {
        let rows: Vec<(Uuid, i64)> = attachment::Entity::find()
            .select_only()
            .columns([attachment::Column::Id, attachment::Column::Size])
            .filter(attachment::Column::Id.is_in(ids.iter().copied()))
            .filter(attachment::Column::Message.is_null())
            .into_tuple()
            .all(self.reader())
            .await?;
        ids.iter()
            .map(|id| {
                let found = rows.iter().find(|(known, _)| known == id);
                let (_, size) = found.ok_or(StoreError::NotFound("upload"))?;
                Ok(u64::try_from(*size).unwrap_or_default())
            })
            .collect()
    }

    /// A file that was brought, used or not.
    pub async fn upload(&self, id: UploadId) -> Result<Upload, StoreError> {
        let row = attachment::Entity::find_by_id(id.uuid()).one(self.reader()).await?;
        Ok(shown(&row.ok_or(StoreError::NotFound("upload"))?))
    }

    /// What the service calls the message that has used an upload; inside `None`: it has no such name.
    pub async fn user_of_upload(&self, id: UploadId) -> Result<Option<Option<String>>, StoreError> {
        let db = self.reader();
        let row = attachment::Entity::find_by_id(id.uuid()).one(db).await?;
        let Some(used_by) = row.ok_or(StoreError::NotFound("upload"))?.message else {
            return Ok(None);
        };
        let name = message::Entity::find_by_id(used_by)
            .select_only()
            .column(message::Column::RemoteId)
            .into_tuple::<Option<String>>()
            .one(db)
            .await?;
        Ok(Some(name.flatten()))
    }

    /// Forgets files that no message has used for two days. Returns how many.
    pub async fn forget_old_uploads(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let old: Vec<(Uuid, Uuid)> = attachment::Entity::find()
                    .select_only()
                    .columns([attachment::Column::Id, attachment::Column::Seal])
                    .filter(attachment::Column::Message.is_null())
                    .filter(attachment::Column::CreatedAt.lt(millis(now - UNUSED_MAX)))
                    .limit(100)
                    .into_tuple()
                    .all(tx)
                    .await?;
                for (id, seal) in &old {
                    seal::Entity::delete_by_id(*seal).exec(tx).await?;
                    blob::delete(tx, *id).await?;
                    original::forget_of_file(tx, *id).await?;
                    attachment::Entity::delete_by_id(*id).exec(tx).await?;
                }
                Ok(old.len())
            })
        })
        .await
    }
}

fn shown(row: &attachment::Model) -> Upload {
    Upload {
        id: row.id,
        name: row.name.clone(),
        media_type: row.media_type.clone(),
        size: row.size,
        created_at: moment(row.created_at),
    }
}
