//! A word that stands in a delivery alone, and there sealed: what is searched, shown and kept has dots in its place.

use sea_orm::sea_query::{Query, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};
use uuid::Uuid;

use super::super::entity::{delivery, seal, sealed_word};
use super::super::{MasterKeys, Store, StoreError, millis};
use crate::model::{Secret, Timestamp};

/// A sealed word, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    row: sealed_word::Model,
    seal: seal::Model,
}

pub(super) fn seal(
    keys: &MasterKeys,
    (delivery, proof): (Uuid, Uuid),
    word: &Secret,
) -> Result<Sealed, StoreError> {
    let (key, seal) = keys.fresh()?;
    let sealed = key.seal(word.reveal().as_bytes())?;
    Ok(Sealed { row: sealed_word::Model { delivery, proof, seal: seal.id, sealed }, seal })
}

impl Sealed {
    pub(super) async fn insert(&self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        seal::Entity::insert(self.seal.clone().into_active_model())
            .exec_without_returning(tx)
            .await?;
        sealed_word::Entity::insert(self.row.clone().into_active_model())
            .exec_without_returning(tx)
            .await?;
        Ok(())
    }
}

impl Store {
    /// The word that goes out with a delivery. `None`: it is no longer good.
    pub(in crate::store) async fn sealed_word(
        &self,
        delivery: Uuid,
    ) -> Result<Option<Secret>, StoreError> {
        let db = self.reader();
        let row = sealed_word::Entity::find_by_id(delivery).one(db).await?;
        let Some(row) = row else { return Ok(None) };
        let Some(seal) = seal::Entity::find_by_id(row.seal).one(db).await? else { return Ok(None) };
        let plain = self.keys().open(&seal)?.unseal(&row.sealed)?;
        Ok(String::from_utf8(plain).ok().map(Secret::new))
    }
}

/// Is a word that a delivery needs no longer there?
pub(in crate::store) async fn is_gone<C: ConnectionTrait>(
    db: &C,
    delivery: Uuid,
) -> Result<bool, StoreError> {
    Ok(sealed_word::Entity::find_by_id(delivery).one(db).await?.is_none())
}

/// It went out.
pub(in crate::store) async fn forget_sent(
    tx: &DatabaseTransaction,
    delivery: Uuid,
) -> Result<(), StoreError> {
    forget(tx, sealed_word::Column::Delivery.eq(delivery)).await
}

/// Forgets the words of these messages.
pub(in crate::store) async fn forget_of(
    tx: &DatabaseTransaction,
    messages: &[Uuid],
) -> Result<(), StoreError> {
    let theirs = Query::select()
        .column(delivery::Column::Id)
        .from(delivery::Entity)
        .and_where(delivery::Column::Message.is_in(messages.iter().copied()))
        .to_owned();
    forget(tx, sealed_word::Column::Delivery.in_subquery(theirs)).await
}

/// Forgets the words of a code.
pub(super) async fn forget_of_proof(
    tx: &DatabaseTransaction,
    proof: Uuid,
) -> Result<(), StoreError> {
    forget(tx, sealed_word::Column::Proof.eq(proof)).await
}

async fn forget(tx: &DatabaseTransaction, which: SimpleExpr) -> Result<(), StoreError> {
    let rows = sealed_word::Entity::find().filter(which).all(tx).await?;
    for row in rows {
        seal::Entity::delete_by_id(row.seal).exec(tx).await?;
        sealed_word::Entity::delete_by_id(row.delivery).exec(tx).await?;
    }
    Ok(())
}

/// What has not gone out of a code will not, and its words are destroyed. Returns the deliveries that were stopped.
pub(super) async fn stop(
    tx: &DatabaseTransaction,
    proof: Uuid,
    now: Timestamp,
) -> Result<Vec<delivery::Model>, StoreError> {
    let rows =
        sealed_word::Entity::find().filter(sealed_word::Column::Proof.eq(proof)).all(tx).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let stopped = cancel(tx, rows.iter().map(|row| row.delivery).collect(), now).await?;
    forget_of_proof(tx, proof).await?;
    Ok(stopped)
}

/// Stops those of these deliveries that wait. Returns them.
pub(in crate::store) async fn cancel(
    tx: &DatabaseTransaction,
    deliveries: Vec<Uuid>,
    now: Timestamp,
) -> Result<Vec<delivery::Model>, StoreError> {
    let stopped = delivery::Entity::update_many()
        .set(delivery::ActiveModel {
            state: Set("cancelled".to_owned()),
            error: Set(Some("the code in it is no longer good".to_owned())),
            updated_at: Set(millis(now)),
            ..Default::default()
        })
        .filter(delivery::Column::Id.is_in(deliveries))
        .filter(delivery::Column::State.is_in(["queued", "held", "failed"]))
        .exec_with_returning(tx)
        .await?;
    Ok(stopped)
}
