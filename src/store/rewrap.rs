//! A new master key: the small keys are wrapped anew, some at a time, until the older one can be thrown away.

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::entity::seal;
use super::{Store, StoreError};

impl Store {
    /// How many things are still sealed by an older master key that is at hand.
    pub async fn keys_to_rewrap(&self) -> Result<u64, StoreError> {
        let older = seal::Entity::find().filter(seal::Column::Master.is_in(self.keys().older()));
        Ok(older.count(self.reader()).await?)
    }

    /// Wraps at most `limit` small keys by the current master key. Returns how many: fewer than `limit` means
    /// that none is left.
    pub async fn rewrap_keys(&self, limit: u64) -> Result<u64, StoreError> {
        let keys = self.keys().clone();
        self.write(move |tx| {
            let keys = keys.clone();
            Box::pin(async move {
                let rows = seal::Entity::find()
                    .filter(seal::Column::Master.is_in(keys.older()))
                    .limit(limit)
                    .lock_exclusive()
                    .all(tx)
                    .await?;
                let count = rows.len() as u64;
                for row in rows {
                    let anew = keys.wrap_anew(&row)?.into_active_model().reset_all();
                    seal::Entity::update(anew).exec(tx).await?;
                }
                Ok(count)
            })
        })
        .await
    }
}
