//! What adapters keep and a service will not give again: sealed, durable when `put` returns.

use sea_orm::{
    ActiveValue::Set, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _,
    sea_query::OnConflict,
};

use super::entity::{seal, vault};
use super::{Store, StoreError, millis};
use crate::model::{Secret, Timestamp};

impl Store {
    /// What was last put under this name.
    pub async fn vault_get(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        let Some(row) = vault::Entity::find_by_id(name).one(self.reader()).await? else {
            return Ok(None);
        };
        let seal = seal::Entity::find_by_id(row.seal).one(self.reader()).await?;
        let Some(seal) = seal else { return Ok(None) };
        let plain = self.keys().open(&seal)?.unseal(&row.sealed)?;
        let text = String::from_utf8(plain).map_err(|error| StoreError::Database(error.into()))?;
        Ok(Some(Secret::new(text)))
    }

    /// Keeps a secret; the key of the one before is destroyed.
    pub async fn vault_put(
        &self,
        name: &str,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, seal) = self.keys().fresh()?;
        let sealed = key.seal(secret.reveal().as_bytes())?;
        let name = name.to_owned();
        self.write(move |tx| {
            let (name, seal, sealed) = (name.clone(), seal.clone(), sealed.clone());
            Box::pin(async move {
                if let Some(old) = vault::Entity::find_by_id(&name).one(tx).await? {
                    seal::Entity::delete_by_id(old.seal).exec(tx).await?;
                }
                let row = vault::ActiveModel {
                    name: Set(name),
                    seal: Set(seal.id),
                    sealed: Set(sealed),
                    put_at: Set(millis(now)),
                };
                let change = OnConflict::column(vault::Column::Name)
                    .update_columns([
                        vault::Column::Seal,
                        vault::Column::Sealed,
                        vault::Column::PutAt,
                    ])
                    .to_owned();
                seal::Entity::insert(seal.into_active_model()).exec_without_returning(tx).await?;
                vault::Entity::insert(row).on_conflict(change).exec_without_returning(tx).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Forgets a secret: its key is destroyed.
pub(super) async fn drop(tx: &DatabaseTransaction, name: &str) -> Result<(), StoreError> {
    if let Some(old) = vault::Entity::find_by_id(name).one(tx).await? {
        seal::Entity::delete_by_id(old.seal).exec(tx).await?;
        vault::Entity::delete_by_id(name).exec(tx).await?;
    }
    Ok(())
}
