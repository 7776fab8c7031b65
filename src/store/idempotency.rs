//! The same wish twice is one effect: what was answered to an `Idempotency-Key` is kept in the transaction
//! of the effect itself.
//!
//! There is no state «under way»: whoever comes second while the first is being written waits for it (the
//! key is the table's primary key), and then gets the first one's answer.

use std::sync::Arc;

use futures::future::BoxFuture;
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
};
use serde::Serialize;

use super::entity::idempotency::{Column, Entity, Model};
use super::{Store, StoreError, millis};
use crate::model::{Actor, Timestamp};

/// How long an answer is kept.
pub const KEY_TTL: chrono::Duration = chrono::Duration::hours(24);

/// A wish that carries a key.
#[derive(Debug, Clone)]
pub struct Once {
    /// Who wishes: keys of others are not looked at.
    pub principal: String,
    /// What: `POST /api/v1/tickets`.
    pub action: String,
    /// The key.
    pub key: String,
    /// A hash over what was sent with it.
    pub fingerprint: String,
    /// The status of the answer, once it worked.
    pub status: u16,
}

/// Who wants a change, when, and under which conditions.
#[derive(Debug, Clone)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// Refuse when the thing is no longer at this version.
    pub version: Option<i64>,
    /// The same wish twice is one effect.
    pub once: Option<Once>,
    /// When.
    pub now: Timestamp,
}

/// What came of a wish.
#[derive(Debug, Clone)]
pub enum Answer<T> {
    /// It was done now.
    Fresh(T),
    /// It had been done before, with this answer.
    Replayed {
        /// The status.
        status: u16,
        /// The body, in JSON.
        body: String,
    },
    /// The key had been used for something else.
    KeyReused,
}

impl Store {
    /// Runs `work` and keeps its answer under the key, in one transaction; or finds what it was before.
    pub(super) async fn write_once<T, F>(
        &self,
        once: Option<Once>,
        now: Timestamp,
        work: F,
    ) -> Result<Answer<T>, StoreError>
    where
        T: Serialize + Send + Sync + 'static,
        F: for<'c> Fn(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        let shared = Arc::new((once, work));
        self.write(move |tx| {
            let shared = shared.clone();
            Box::pin(async move {
                let (once, work) = &*shared;
                let Some(once) = once else { return work(tx).await.map(Answer::Fresh) };
                if let Some(known) = find(tx, once, now).await? {
                    return Ok(known);
                }
                let done = work(tx).await?;
                keep(tx, once, &done, now).await?;
                Ok(Answer::Fresh(done))
            })
        })
        .await
    }

    /// What was answered to this wish before, if it was. For callers who have to look at something before
    /// they can write; the write looks again.
    pub async fn answered<T>(
        &self,
        once: &Once,
        now: Timestamp,
    ) -> Result<Option<Answer<T>>, StoreError> {
        let id = (once.principal.clone(), once.action.clone(), once.key.clone());
        let row = Entity::find_by_id(id).one(self.reader()).await?;
        Ok(row.filter(|row| !is_old(row, now)).map(|row| known(row, once)))
    }

    /// Forgets answers that are older than [`KEY_TTL`].
    pub async fn forget_old_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let old = Column::CreatedAt.lt(millis(now - KEY_TTL));
                Ok(Entity::delete_many().filter(old).exec(tx).await?.rows_affected)
            })
        })
        .await
    }
}

async fn find<T>(
    tx: &DatabaseTransaction,
    once: &Once,
    now: Timestamp,
) -> Result<Option<Answer<T>>, StoreError> {
    let id = (once.principal.clone(), once.action.clone(), once.key.clone());
    let Some(row) = Entity::find_by_id(id.clone()).one(tx).await? else { return Ok(None) };
    if is_old(&row, now) {
        Entity::delete_by_id(id).exec(tx).await?;
        return Ok(None);
    }
    Ok(Some(known(row, once)))
}

fn is_old(row: &Model, now: Timestamp) -> bool {
    row.created_at < millis(now - KEY_TTL)
}

fn known<T>(row: Model, once: &Once) -> Answer<T> {
    if row.fingerprint != once.fingerprint {
        return Answer::KeyReused;
    }
    let status = u16::try_from(row.status).unwrap_or(200);
    Answer::Replayed { status, body: row.answer }
}

async fn keep<T: Serialize>(
    tx: &DatabaseTransaction,
    once: &Once,
    done: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = Model {
        principal: once.principal.clone(),
        action: once.action.clone(),
        key: once.key.clone(),
        fingerprint: once.fingerprint.clone(),
        status: i32::from(once.status),
        answer: serde_json::to_string(done).map_err(|error| StoreError::Database(error.into()))?,
        created_at: millis(now),
    };
    Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}
